/** Copies into PostgreSQL: the database that they go to, what they are measured against, and how they are compared. */
import { join } from "node:path";
import type { TestServer } from "../../test/support/server.ts";
import { type Command, type Contestant, measure } from "./measure.ts";
import { COLUMN_TYPES, type Generated, POSTGRES_TABLE } from "./tables.ts";

/** The database of the copies, and the role that makes them. */
export const TARGET_DATABASE = "bench_copy";
export const LOADER = "bench_loader";

/** Makes the database; the copies' own role may make schemas in it and nothing else. */
export async function makeTarget(server: TestServer): Promise<void> {
	await server.createDatabase(TARGET_DATABASE);
	await server.admin(`create role ${LOADER} login password '${LOADER}';
		grant create, temporary on database ${TARGET_DATABASE} to ${LOADER}`);
}

export function targetUrl(server: TestServer, scheme = "postgres"): string {
	return `${scheme}://${LOADER}:${LOADER}@${server.host}:${server.port}/${TARGET_DATABASE}`;
}

/** Takes away what the last contestant made, and gives the server's memory and disk a common start. */
export async function clearTarget(server: TestServer): Promise<void> {
	const schemas = await server.query(
		TARGET_DATABASE,
		"select nspname from pg_namespace where nspowner <> 10 and nspname !~ '^pg_'",
	);
	for (const { nspname } of schemas) await server.query(TARGET_DATABASE, `drop schema "${nspname}" cascade`);
	await server.admin("checkpoint");
}

function psql(server: TestServer, account: string, database: string, commands: readonly string[]): Command {
	return {
		command: "psql",
		args: [
			...[
				"-X",
				"-q",
				"-v",
				"ON_ERROR_STOP=1",
				"-h",
				server.host,
				"-p",
				`${server.port}`,
				"-U",
				account,
				"-d",
				database,
			],
			...commands.flatMap((command) => ["-c", command]),
		],
		env: { PGPASSWORD: account, PGSSLMODE: "disable" },
	};
}

/** What one who has the rows in a file would do: the same table, the rows, then its key. */
function copyFrom(server: TestServer, name: string, file: string, options: string, prepare: Contestant["prepare"]) {
	const table = POSTGRES_TABLE.replace("create table lineitem", "create table bench.lineitem").replace(
		" primary key",
		"",
	);
	const commands = [
		"create schema bench",
		table,
		`\\copy bench.lineitem from '${file}' ${options}`,
		"alter table bench.lineitem add primary key (l_id)",
	];
	const contestant: Contestant = {
		name,
		command: psql(server, LOADER, TARGET_DATABASE, commands),
		prepare: async () => {
			await clearTarget(server);
			await prepare?.();
		},
	};
	return contestant;
}

/** The first is what the copies are measured against. */
export function psqlContestants(server: TestServer, generated: Generated, folder: string): readonly Contestant[] {
	const binary = join(folder, "lineitem.bin");
	let made = false;
	return [
		copyFrom(server, "psql, copy from a text file", generated.tsv, "", undefined),
		copyFrom(server, "psql, copy from a binary file", binary, "(format binary)", async () => {
			if (made) return;
			made = true;
			await exportRows(server, "postgres", generated, binary);
		}),
	];
}

/** The rows as PostgreSQL's own binary file, made by way of a table of its own. */
async function exportRows(server: TestServer, database: string, generated: Generated, file: string): Promise<void> {
	await server.query(database, `${POSTGRES_TABLE}; copy lineitem from '${generated.tsv}'`);
	await server.admin(`grant select on lineitem to ${LOADER}`);
	await succeed(psql(server, LOADER, database, [`\\copy lineitem to '${file}' (format binary)`]));
	await server.query(database, "drop table lineitem");
}

async function succeed(command: Command): Promise<void> {
	const { exitCode, stderr } = await measure(command);
	if (exitCode !== 0) throw new Error(stderr);
}

/** Writes a table's rows into a CSV file and gives what DuckDB selects from to read it. */
export async function copyRelation(server: TestServer, table: string, folder: string): Promise<string> {
	const file = join(folder, "copy.csv");
	const columns = Object.keys(COLUMN_TYPES).join(", ");
	await succeed(
		psql(server, LOADER, TARGET_DATABASE, [`\\copy (select ${columns} from ${table}) to '${file}' (format csv)`]),
	);
	const types = Object.entries(COLUMN_TYPES).map(([name, type]) => `'${name}': '${type}'`);
	return `read_csv('${file}', header = false, auto_detect = false, delim = ',', quote = '"', escape = '"',
		nullstr = '', allow_quoted_nulls = false, new_line = '\\n', columns = {${types.join(", ")}})`;
}
