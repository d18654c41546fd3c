import type { ChangeLogFixture, SourceFixture, SourceWriter, TextRow } from "../../src/conformance/index.ts";
import { createPostgresSource, type PostgresOptions } from "../../src/connectors/postgres/index.ts";
import {
	type Batch,
	type ColumnType,
	DEFAULT_TYPE_POLICY,
	type Field,
	parseColumnType,
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
import { freshDatabase, sharedServer } from "../support/shared.ts";

export const SERVERS = ["postgres15", "postgres18"] as const;

export function optionsOf(
	login: Login,
	database: string,
	account: { user: string; password: string } = login,
): PostgresOptions {
	return {
		host: login.host,
		port: login.port,
		user: account.user,
		password: new Secret(account.password),
		database,
		passwordReference: "${env:PG_PASSWORD}",
	};
}

export function sourceOf(
	login: Login,
	database: string,
	account?: { user: string; password: string },
): Promise<Source> {
	return createPostgresSource(optionsOf(login, database, account));
}

export const policy = (changes: Partial<TypePolicy> = {}): TypePolicy => ({ ...DEFAULT_TYPE_POLICY, ...changes });

export async function describeTable(
	source: Source,
	name: string,
	types = policy(),
	schema = "public",
): Promise<SourceTable> {
	const [table] = await source.describe([{ table: { schema, name }, types }]);
	return table!;
}

export async function describeQuery(source: Source, query: string, types = policy()): Promise<SourceTable> {
	const [table] = await source.describe([{ table: { name: { schema: "", name: "q" }, query }, types }]);
	return table!;
}

export interface Read {
	/** Canonical text of each row's values. */
	readonly rows: (string | null)[][];
	readonly changed: Record<string, number>;
	readonly batches: number;
}

/** Everything that a read gives, as canonical text. */
export async function readAll(
	snapshot: Snapshot,
	table: SourceTable,
	types = policy(),
	rest: Partial<ReadRequest> = {},
): Promise<Read> {
	const rows: (string | null)[][] = [];
	const changed: Record<string, number> = {};
	let batches = 0;
	for await (const batch of snapshot.read({ table, columns: table.columns, types, ...rest })) {
		batches++;
		rows.push(...rowsText(batch));
		for (const column of batch.columns)
			if (column.changedCount > 0) changed[column.name] = (changed[column.name] ?? 0) + column.changedCount;
		batch.release();
	}
	return { rows, changed, batches };
}

export function rowsText(batch: Batch): (string | null)[][] {
	return Array.from({ length: batch.rowCount }, (_, row) => batch.columns.map((column) => valueText(column, row)));
}

/** Rows of a table in one go. */
export async function readTable(
	source: Source,
	name: string,
	types = policy(),
): Promise<Read & { table: SourceTable }> {
	const table = await describeTable(source, name, types);
	await using snapshot = await source.snapshot({ readers: 1 });
	return { ...(await readAll(snapshot, table, types)), table };
}

export async function codeOf(work: Promise<unknown>): Promise<string> {
	try {
		await work;
	} catch (error) {
		return (error as { code?: string }).code ?? String(error);
	}
	return "no error";
}

export const quote = (text: string): string => `"${text.replaceAll('"', '""')}"`;

const DDL: Readonly<Record<string, string>> = {
	boolean: "boolean",
	int8: "smallint",
	int16: "smallint",
	int32: "integer",
	int64: "bigint",
	uint8: "smallint",
	uint16: "integer",
	uint32: "oid",
	uint64: "xid8",
	float32: "real",
	float64: "double precision",
	date: "date",
	time: "time",
	timestamp: "timestamp",
	timestamptz: "timestamptz",
	interval: "interval",
	uuid: "uuid",
	text: "text",
	json: "json",
	binary: "bytea",
};

function typeDdl(type: ColumnType): string {
	if (type.kind === "decimal") return `numeric(${type.precision},${type.scale})`;
	return type.kind === "list" ? `${typeDdl(type.element)}[]` : DDL[type.kind]!;
}

function literal(type: ColumnType, value: string | null): string {
	if (value === null) return "null";
	const quoted = (text: string) => `'${text.replaceAll("'", "''")}'`;
	if (type.kind === "binary") return `decode(${quoted(value)}, 'hex')`;
	if (type.kind === "list") return `array(select json_array_elements_text(${quoted(value)}))::${typeDdl(type)}`;
	return `${quoted(value)}::${typeDdl(type)}`;
}

async function insertRows(client: TextClient, table: string, columns: readonly Field[], rows: readonly TextRow[]) {
	for (let start = 0; start < rows.length; start += 1000) {
		const tuples = rows
			.slice(start, start + 1000)
			.map((row) => `(${columns.map(({ type }, index) => literal(type, row[index] ?? null)).join(",")})`);
		await client.query(`insert into ${table} values ${tuples.join(",")}`);
	}
}

/** The conformance fixture of a real server, read by its owner or by an account that may only SELECT. */
export async function postgresFixture(
	server: ServerName,
	account: "owner" | "reader",
): Promise<SourceFixture & Required<Pick<ChangeLogFixture, "truncate">>> {
	const shared = await sharedServer(server);
	const database = await freshDatabase(shared);
	const source = await sourceOf(shared, database.name, account === "reader" ? shared.reader : shared);
	const client = await database.connect();
	const columnsOf = new Map<string, readonly Field[]>();
	const full = (table: TableName) => `${quote(table.schema)}.${quote(table.name)}`;
	const equal = ({ column, value }: { column: string; value: string }) =>
		`${quote(column)} = '${value.replaceAll("'", "''")}'`;
	const begin = async (): Promise<SourceWriter> => {
		const session = await database.connect();
		await session.query("begin");
		return {
			insert: (table, rows) => insertRows(session, full(table), columnsOf.get(table.name)!, rows),
			update: async (table, where, set) => {
				await session.query(`update ${full(table)} set ${equal(set)} where ${equal(where)}`);
			},
			delete: async (table, where) => {
				await session.query(`delete from ${full(table)} where ${equal(where)}`);
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
	const columnDdl = ({ name, type, nullable }: Field) =>
		`${quote(name)} ${typeDdl(type)} ${nullable ? "null" : "not null"}`;
	return {
		source,
		schema: "public",
		createTable: async ({ name, columns, primaryKey, rows }) => {
			columnsOf.set(name.name, columns);
			const key = primaryKey.length === 0 ? "" : `, primary key (${primaryKey.map(quote).join(",")})`;
			await client.query(`create table ${full(name)} (${columns.map(columnDdl).join(",")}${key})`);
			await insertRows(client, full(name), columns, rows);
		},
		addColumn: async (table, column) => {
			await client.query(`alter table ${full(table)} add column ${columnDdl(column)}`);
		},
		begin,
		truncate: async (table) => {
			await client.query(`truncate ${full(table)}`);
		},
		describedType: (type) =>
			parseColumnType({ int8: "int16", uint8: "int16", uint16: "int32" }[type.kind as string] ?? "") ?? type,
		[Symbol.asyncDispose]: async () => {
			await source[Symbol.asyncDispose]();
			await client.close();
			await database.drop();
		},
	};
}
