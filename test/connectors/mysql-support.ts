import type {
	ChangeLogFixture,
	FixtureTable,
	SourceFixture,
	SourceWriter,
	TextRow,
} from "../../src/conformance/index.ts";
import { createMysqlSource, type MysqlOptions } from "../../src/connectors/mysql/index.ts";
import {
	type Batch,
	type ColumnType,
	DEFAULT_TYPE_POLICY,
	type Field,
	HeadraceError,
	type ReadRequest,
	Secret,
	type Snapshot,
	type Source,
	type SourceTable,
	type TableName,
	type TypePolicy,
} from "../../src/core/index.ts";
import { valueText } from "../../src/formats/index.ts";
import type { Login, TextClient } from "../support/client.ts";
import type { ServerName } from "../support/server.ts";
import { freshDatabase, sharedServer, type TestDatabase } from "../support/shared.ts";

export const MYSQL_SERVERS = ["mariadb", "mysql56"] as const satisfies readonly ServerName[];

export const name = (text: string): string => `\`${text.replaceAll("`", "``")}\``;

/** A source on a test server with all rights, or as another account. */
export function openSource(
	login: Login,
	options: Partial<Omit<MysqlOptions, "password">> & { readonly password?: string } = {},
): Promise<Source> {
	const { password = login.password, ...rest } = options;
	const { host, port, user } = login;
	return createMysqlSource({ host, port, user, ...rest, password: new Secret(password) });
}

export async function describeOne(
	source: Source,
	schema: string,
	table: string,
	types: TypePolicy = DEFAULT_TYPE_POLICY,
): Promise<SourceTable> {
	const [described] = await source.describe([{ table: { schema, name: table }, types }]);
	return described!;
}

/** All values as canonical text; batches are released. */
export async function textRows(batches: AsyncIterable<Batch>): Promise<(string | null)[][]> {
	const rows: (string | null)[][] = [];
	for await (const batch of batches) {
		for (let row = 0; row < batch.rowCount; row++) rows.push(batch.columns.map((column) => valueText(column, row)));
		batch.release();
	}
	return rows;
}

export function readAll(
	snapshot: Snapshot,
	table: SourceTable,
	request: Partial<ReadRequest> = {},
): Promise<(string | null)[][]> {
	return textRows(snapshot.read({ table, columns: table.columns, types: DEFAULT_TYPE_POLICY, ...request }));
}

/** Describes and reads a table under a policy, over a snapshot of its own. */
export async function readTable(
	source: Source,
	schema: string,
	table: string,
	types: TypePolicy = DEFAULT_TYPE_POLICY,
): Promise<{ table: SourceTable; rows: (string | null)[][] }> {
	const described = await describeOne(source, schema, table, types);
	await using snapshot = await source.snapshot({ readers: 1 });
	return { table: described, rows: await readAll(snapshot, described, { types }) };
}

/** The error that the work must fail with. */
export async function codeOf(work: Promise<unknown>): Promise<HeadraceError> {
	const error: unknown = await work.then(
		() => undefined,
		(thrown: unknown) => thrown,
	);
	if (!(error instanceof HeadraceError)) throw new Error(`not a Headrace error: ${String(error)}`);
	return error;
}

/** A table of `rows` rows of `bytes` bytes each. */
export async function bigTable(database: TestDatabase, table: string, rows: number, bytes: number): Promise<void> {
	await database.query(`create table ${table} (id int auto_increment primary key, v longblob) engine=innodb`);
	await database.query(`insert into ${table} (v) values (repeat('x', ${bytes}))`);
	for (let count = 1; count < rows; count *= 2)
		await database.query(`insert into ${table} (v) select v from ${table} limit ${rows - count}`);
}

const DDL: Readonly<Record<string, string>> = {
	boolean: "bit(1)",
	int8: "tinyint",
	int16: "smallint",
	int32: "int",
	int64: "bigint",
	uint8: "tinyint unsigned",
	uint16: "smallint unsigned",
	uint32: "int unsigned",
	uint64: "bigint unsigned",
	float32: "float",
	float64: "double",
	date: "date",
	timestamp: "datetime(6)",
	timestamptz: "timestamp(6)",
	uuid: "uuid",
	text: "longtext character set utf8mb4",
	json: "json",
	binary: "longblob",
};

function columnDdl({ name: column, type, nullable }: Field): string {
	const ddl = type.kind === "decimal" ? `decimal(${type.precision},${type.scale})` : DDL[type.kind];
	if (ddl === undefined) throw new Error(`MySQL has no type for ${type.kind}`);
	return `${name(column)} ${ddl} ${nullable ? "null" : "not null"}`;
}

/** A value as the server takes it into a column of the type: the parameter, and the SQL around it. */
function parameter(type: ColumnType, value: string | null): readonly [sql: string, value: string | null] {
	if (value === null) return ["?", null];
	if (type.kind === "boolean") return ["b?", value === "true" ? "1" : "0"];
	if (type.kind === "binary") return ["unhex(?)", value];
	if (type.kind === "float32") return ["?", value === "-0" ? value : String(Math.fround(Number(value)))];
	if (type.kind === "timestamptz") return ["?", value.replace("+00", "")];
	return ["?", value];
}

async function insertRows(client: TextClient, table: TableName, columns: readonly Field[], rows: readonly TextRow[]) {
	for (let start = 0; start < rows.length; start += 1000) {
		const values: (string | null)[] = [];
		const tuples = rows.slice(start, start + 1000).map((row) => {
			const parts = columns.map(({ type }, index) => parameter(type, row[index] ?? null));
			values.push(...parts.map(([, value]) => value));
			return `(${parts.map(([sql]) => sql).join(",")})`;
		});
		await client.query(`insert into ${name(table.schema)}.${name(table.name)} values ${tuples.join(",")}`, values);
	}
}

/** The conformance fixture of a real server; every fixture has a database of its own. */
export async function mysqlFixture(
	server: ServerName,
	{ seesMarks = true }: { readonly seesMarks?: boolean } = {},
): Promise<SourceFixture & Required<Pick<ChangeLogFixture, "truncate">>> {
	const shared = await sharedServer(server);
	const database: TestDatabase = await freshDatabase(shared);
	const source = await openSource(shared);
	const client = await database.connect();
	const columnsOf = new Map<string, readonly Field[]>();
	const full = (table: TableName) => `${name(table.schema)}.${name(table.name)}`;
	const writer = async (): Promise<SourceWriter> => {
		// InnoDB's trx_started counts whole seconds: what is to have begun after an earlier cut begins in a later one.
		if (seesMarks) await new Promise((resolve) => setTimeout(resolve, 1005 - (Date.now() % 1000)));
		const session = await database.connect();
		await session.query("start transaction");
		return {
			insert: (table, rows) => insertRows(session, table, columnsOf.get(table.name)!, rows),
			update: async (table, where, set) => {
				await session.query(`update ${full(table)} set ${name(set.column)} = ? where ${name(where.column)} = ?`, [
					set.value,
					where.value,
				]);
			},
			delete: async (table, where) => {
				await session.query(`delete from ${full(table)} where ${name(where.column)} = ?`, [where.value]);
			},
			commit: async () => {
				await session.query("commit");
			},
			[Symbol.asyncDispose]: async () => {
				await session.query("rollback");
				await session.close();
			},
		};
	};
	return {
		source,
		schema: database.name,
		createTable: async ({ name: table, columns, primaryKey, rows }: FixtureTable) => {
			columnsOf.set(table.name, columns);
			const key = primaryKey.length === 0 ? "" : `, primary key (${primaryKey.map(name).join(",")})`;
			await client.query(`create table ${full(table)} (${columns.map(columnDdl).join(",")}${key}) engine=innodb`);
			await insertRows(client, table, columns, rows);
		},
		addColumn: async (table, column) => {
			await client.query(`alter table ${full(table)} add column ${columnDdl(column)} first`);
		},
		begin: writer,
		truncate: async (table) => {
			await client.query(`truncate table ${full(table)}`);
		},
		cannotHold: ({ kind }, value) => {
			if (kind !== "float32" && kind !== "float64") return false;
			return /NaN|Infinity/.test(value) || (value === "-0" && server === "mariadb");
		},
		[Symbol.asyncDispose]: async () => {
			await source[Symbol.asyncDispose]();
			await client.close();
			await database.drop();
		},
	};
}
