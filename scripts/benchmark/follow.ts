/** A table that is followed by its log into a DuckDB file or PostgreSQL: each run applies what was committed since the one before. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestServer } from "../../test/support/server.ts";
import { alternate, type Contestant, type Result } from "./measure.ts";
import { targetUrl } from "./postgres-target.ts";
import { headraceCommand, rowsLoaded } from "./routes.ts";
import { DATABASE } from "./tables.ts";

const TABLE = "followed";

export interface FollowRace {
	readonly name: string;
	readonly rows: number;
	readonly results: Result[];
}

/** Inserts `rows` rows of the benchmark's table, changes a tenth of them, does nothing, deletes all, inserts all at once. */
export async function raceFollow(
	server: TestServer,
	into: TestServer | null,
	{ rows, folder, onRun }: { readonly rows: number; readonly folder: string; readonly onRun: (line: string) => void },
): Promise<FollowRace> {
	const isPostgres = server.kind === "postgres";
	const like = isPostgres ? "(like lineitem including all)" : "like lineitem";
	await server.query(DATABASE, `drop table if exists ${TABLE}; create table ${TABLE} ${like}`);
	const project = join(folder, "follow");
	rmSync(project, { recursive: true, force: true });
	mkdirSync(join(project, "pipelines"), { recursive: true });
	const { host, port, user, password } = server;
	const copy = into === null ? "duckdb:copy.duckdb" : targetUrl(into);
	const scheme = isPostgres ? "postgres" : "mysql";
	const schema = isPostgres ? "public" : DATABASE;
	writeFileSync(
		join(project, "connections.yaml"),
		`source: ${scheme}://${user}:${encodeURIComponent(password)}@${host}:${port}/${DATABASE}\ncopy: "${copy}"\n`,
	);
	writeFileSync(
		join(project, "pipelines/follow.yaml"),
		`pipeline: follow_${scheme}\nfrom: source\nto: copy\ntables:\n  ${schema}.${TABLE}: { mode: cdc, into: ${scheme}.${TABLE} }\n`,
	);
	const results: Result[] = [];
	const race = async (name: string, expected: number) => {
		const contestant: Contestant = {
			name,
			command: headraceCommand(["run", "follow", "--json"], project),
			examine: async (measurement) => {
				const loaded = rowsLoaded(measurement);
				if (loaded !== expected) throw new Error(`it says it applied ${loaded} of ${expected} changes`);
				return `${Math.round(expected / measurement.wallSeconds).toLocaleString("en")} changes/s, start included`;
			},
		};
		results.push(...(await alternate([contestant], 1, onRun)));
	};
	await race("first reading of an empty table", 0);
	// By thousands of transactions of a few rows, a log has one event a row or more.
	for (let start = 0; start < rows; start += 10_000)
		await server.query(
			DATABASE,
			`insert into ${TABLE} select * from lineitem where l_id >= ${start} and l_id < ${Math.min(rows, start + 10_000)}`,
		);
	await race(`${rows} inserted rows, 10,000 a transaction`, rows);
	await server.query(DATABASE, `update ${TABLE} set l_comment = 'changed' where l_id % 10 = 0`);
	await race(`${Math.ceil(rows / 10)} updated rows, one transaction`, Math.ceil(rows / 10));
	await race("nothing to do", 0);
	await server.query(DATABASE, `delete from ${TABLE}`);
	await race(`${rows} deleted rows, one transaction`, rows);
	await server.query(DATABASE, `insert into ${TABLE} select * from lineitem`);
	await race(`${rows} inserted rows, one transaction`, rows);
	if (isPostgres) await forgetSlots(server);
	const name = `Following ${isPostgres ? "PostgreSQL" : "MariaDB"} into ${into === null ? "DuckDB" : "PostgreSQL"}`;
	return { name, rows, results };
}

/** A slot that nobody reads would keep the log of all that comes. */
async function forgetSlots(server: TestServer): Promise<void> {
	await server.query(
		DATABASE,
		"select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = current_database() and not active",
	);
}
