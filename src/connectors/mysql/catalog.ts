import type { TableName } from "../../core/index.ts";
import type { MysqlConnection, TextRow } from "./connection.ts";
import { type CatalogColumn, nativeTypeText } from "./native.ts";
import { quoteString } from "./sql.ts";

const SYSTEM_SCHEMAS = ["information_schema", "performance_schema", "mysql", "sys", "ndbinfo"];
/** Up to this many tables of a schema are asked for by name, which costs older servers less than a schema's all. */
const LOOKUPS_MAX = 32;
const TRANSACTIONAL_ENGINES = new Set(["innodb", "rocksdb", "tokudb", "ndbcluster", "xtradb"]);

export interface TableColumn extends CatalogColumn {
	readonly defaultText: string | null;
	readonly extra: string;
	/** Whether the account has SELECT on it. */
	readonly readable: boolean;
}

export interface CatalogTable {
	readonly name: TableName;
	readonly isView: boolean;
	/** In their order in the table, invisible and generated ones too. */
	readonly columns: readonly TableColumn[];
	readonly primaryKey: readonly string[];
	readonly estimatedRows: number | null;
	readonly warnings: readonly string[];
}

/** Tables and views of all schemas but the server's own. */
export async function listTables(connection: MysqlConnection): Promise<TableName[]> {
	const rows = await connection.rows(
		`SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES
		WHERE TABLE_SCHEMA NOT IN (${SYSTEM_SCHEMAS.map(quoteString).join(", ")})
		AND TABLE_TYPE IN ('BASE TABLE', 'VIEW', 'SYSTEM VERSIONED') ORDER BY TABLE_SCHEMA, TABLE_NAME`,
	);
	return rows.map(([schema, name]) => ({ schema: schema ?? "", name: name ?? "" }));
}

/** Looks tables up by name, as the server compares names. */
export class Catalog {
	readonly #tables = new Map<string, CatalogTable>();
	readonly #folds: boolean;

	constructor(folds: boolean) {
		this.#folds = folds;
	}

	add(table: CatalogTable): void {
		this.#tables.set(this.key(table.name), table);
	}

	get(name: TableName): CatalogTable | undefined {
		return this.#tables.get(this.key(name));
	}

	key({ schema, name }: TableName): string {
		const key = JSON.stringify([schema, name]);
		return this.#folds ? key.toLowerCase() : key;
	}
}

/** What the catalog knows of these tables: four queries a schema, however many tables. */
export async function readCatalog(connection: MysqlConnection, names: readonly TableName[]): Promise<Catalog> {
	const catalog = new Catalog(connection.server.foldsNames);
	const distinct = new Map(names.filter((name) => name.schema !== "").map((name) => [catalog.key(name), name]));
	const bySchema = Map.groupBy(distinct.values(), (name) => name.schema);
	for (const [schema, tables] of bySchema) await readSchema(connection, catalog, schema, tables);
	return catalog;
}

/** `select` of the rows of these tables in one catalog view, in which a constant name is a cheap look-up. */
function inTables(select: string, view: string, schemaColumn: string, schema: string, tables: readonly TableName[]) {
	const one = (table: TableName | null) =>
		`SELECT ${select} FROM information_schema.${view} WHERE ${schemaColumn} = ${quoteString(schema)}` +
		(table === null ? "" : ` AND TABLE_NAME = ${quoteString(table.name)}`);
	return tables.length > LOOKUPS_MAX ? one(null) : tables.map(one).join(" UNION ALL ");
}

async function readSchema(
	connection: MysqlConnection,
	catalog: Catalog,
	schema: string,
	tables: readonly TableName[],
): Promise<void> {
	const ask = async (select: string, view: string, schemaColumn = "TABLE_SCHEMA") =>
		Map.groupBy(await connection.rows(inTables(select, view, schemaColumn, schema, tables)), ([table]) => table ?? "");
	const facts = await ask("TABLE_NAME, TABLE_TYPE, ENGINE, TABLE_ROWS, TABLE_SCHEMA", "TABLES");
	const columns = await ask(
		"TABLE_NAME, COLUMN_NAME, ORDINAL_POSITION, DATA_TYPE, COLUMN_TYPE, IS_NULLABLE, NUMERIC_PRECISION, " +
			"NUMERIC_SCALE, COLLATION_NAME, COLUMN_DEFAULT, EXTRA, PRIVILEGES",
		"COLUMNS",
	);
	const keys = await ask("TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX, COLUMN_NAME", "STATISTICS");
	const checks =
		connection.server.flavour === "mariadb"
			? await ask("TABLE_NAME, CHECK_CLAUSE", "CHECK_CONSTRAINTS", "CONSTRAINT_SCHEMA")
			: new Map<string, TextRow[]>();
	for (const [name, [fact]] of facts) {
		const found = columns.get(name);
		if (fact === undefined || found === undefined) continue;
		const [, type, engine, rows, storedSchema] = fact;
		const clauses = new Set((checks.get(name) ?? []).map(([, clause]) => clause));
		const isView = type === "VIEW";
		catalog.add({
			name: { schema: storedSchema ?? schema, name },
			isView,
			columns: tableColumns(found, clauses),
			primaryKey: (keys.get(name) ?? [])
				.filter(([, index]) => index === "PRIMARY")
				.sort(([, , a], [, , b]) => Number(a) - Number(b))
				.map(([, , , column]) => column ?? ""),
			estimatedRows: isView || rows === null || rows === undefined ? null : Number(rows),
			warnings:
				isView || engine === null || engine === undefined || TRANSACTIONAL_ENGINES.has(engine.toLowerCase())
					? []
					: [`engine ${engine}: not part of the consistent snapshot`],
		});
	}
}

function tableColumns(rows: readonly TextRow[], checks: ReadonlySet<string | null | undefined>): TableColumn[] {
	return rows
		.toSorted(([, , a], [, , b]) => Number(a) - Number(b))
		.map((row) => {
			const [, name, , dataType, columnType, nullable, precision, scale, collation, defaultText, extra, rights] = row;
			return {
				name: name ?? "",
				dataType: dataType ?? "",
				columnType: columnType ?? "",
				nullable: nullable === "YES",
				precision: precision ?? null,
				scale: scale ?? null,
				collation: collation ?? null,
				isJson: dataType === "longtext" && checks.has(`json_valid(\`${(name ?? "").replaceAll("`", "``")}\`)`),
				defaultText: defaultText ?? null,
				extra: extra ?? "",
				readable: /\bselect\b/i.test(rights ?? ""),
			};
		});
}

/** Columns and their types as they are now, as one text to compare. */
export async function columnList(connection: MysqlConnection, name: TableName): Promise<Map<string, string>> {
	const rows = await connection.rows(
		`SELECT COLUMN_NAME, COLUMN_TYPE, ORDINAL_POSITION FROM information_schema.COLUMNS
		WHERE TABLE_SCHEMA = ${quoteString(name.schema)} AND TABLE_NAME = ${quoteString(name.name)}`,
		name,
	);
	return new Map(
		rows
			.toSorted(([, , a], [, , b]) => Number(a) - Number(b))
			.map(([column, type]) => [column ?? "", nativeTypeText(type ?? "")]),
	);
}
