import { type ExistingTable, HeadraceError, qualified, type TableName, type TargetTable } from "../../core/index.ts";
import type { Value } from "../../engine/index.ts";
import {
	addColumn,
	type ColumnDefinition,
	changeType,
	createTable,
	dropNotNull,
	duckdbDialect,
	quotedPath,
} from "../../sql/index.ts";
import type { Session } from "./session.ts";
import { foldName, holds } from "./types.ts";

/** DuckDB's schema for tables whose name has none. */
const SCHEMA_DEFAULT = "main";

/** A condition of DuckDB's catalog functions; its parameters are the schema and the table. */
const AT = "database_name = current_database() AND lower(schema_name) = lower(?) AND lower(table_name) = lower(?)";

export type ExistingColumn = ExistingTable["columns"][number];

/** Where a table lies. Always with the database's name: `shop.orders` would be ambiguous in a file `shop.duckdb`. */
export class Place {
	readonly catalog: string;
	readonly schema: string;
	readonly name: string;

	constructor(catalog: string, table: TableName) {
		this.catalog = catalog;
		this.schema = table.schema === "" ? SCHEMA_DEFAULT : table.schema;
		this.name = table.name;
	}

	get sql(): string {
		return quotedPath(duckdbDialect, [this.catalog, this.schema, this.name]);
	}

	get schemaSql(): string {
		return quotedPath(duckdbDialect, [this.catalog, this.schema]);
	}

	beside(suffix: string): Place {
		return new Place(this.catalog, { schema: this.schema, name: `${this.name}${suffix}` });
	}
}

export async function schemaExists(session: Session, place: Place): Promise<boolean> {
	const rows = await session.query(
		"SELECT 1 AS one FROM duckdb_schemas() WHERE database_name = current_database() AND lower(schema_name) = lower(?)",
		[place.schema],
	);
	return rows.length > 0;
}

/** Null when there is no such table. */
export async function describeTable(session: Session, place: Place): Promise<ExistingTable | null> {
	const names = [place.schema, place.name];
	const [table] = await session.query(`SELECT estimated_size FROM duckdb_tables() WHERE ${AT}`, names);
	if (table === undefined) return null;
	const columns = await session.query(
		`SELECT column_name, data_type, is_nullable FROM duckdb_columns() WHERE ${AT} ORDER BY column_index`,
		names,
	);
	const keys = await session.query(
		`SELECT unnest(constraint_column_names) AS name FROM duckdb_constraints() WHERE ${AT} AND constraint_type = 'PRIMARY KEY'`,
		names,
	);
	return {
		columns: columns.map((column) => ({
			name: String(column["column_name"]),
			destinationType: String(column["data_type"]),
			nullable: column["is_nullable"] === true,
		})),
		key: keys.map((row) => String(row["name"])),
		rows: Number(table["estimated_size"]),
	};
}

export function findColumn(columns: readonly ExistingColumn[], name: string): ExistingColumn | undefined {
	return columns.find((column) => foldName(column.name) === foldName(name));
}

export function definitionsOf(target: TargetTable): ColumnDefinition[] {
	return target.columns.map(({ name, destinationType, nullable, defaultSql }) => ({
		name,
		type: destinationType,
		nullable: nullable && !target.key.includes(name),
		...(defaultSql === undefined ? {} : { defaultSql }),
	}));
}

export function createDdl(place: Place, columns: readonly ColumnDefinition[]): string {
	return createTable(duckdbDialect, place.sql, columns);
}

/**
 * What makes an existing table take the columns: new ones are added, types widened where every old value stays what it
 * is, and NOT NULL goes where NULL may come. A table's wider type is kept.
 * @throws E_SCHEMA naming both types when neither holds the other
 */
export function evolveDdl(
	place: Place,
	existing: ExistingTable,
	columns: readonly ColumnDefinition[],
	table: TableName,
): string[] {
	const ddl: string[] = [];
	for (const column of columns) {
		const found = findColumn(existing.columns, column.name);
		if (found === undefined) {
			ddl.push(addColumn(duckdbDialect, place.sql, column));
			continue;
		}
		if (column.nullable && !found.nullable && !isKeyOf(existing, found.name))
			ddl.push(dropNotNull(duckdbDialect, place.sql, found.name));
		if (holds(found.destinationType, column.type)) continue;
		if (!holds(column.type, found.destinationType))
			throw new HeadraceError(
				"E_SCHEMA",
				`column ${found.name} of ${qualified(table)} is ${found.destinationType} and the rows have ${column.type}`,
				{
					table: qualified(table),
					hint: `Fix the type by \`columns: { ${found.name}: { type: … } }\`, or rebuild the table with --full-refresh.`,
				},
			);
		ddl.push(changeType(duckdbDialect, place.sql, found.name, column.type));
	}
	for (const found of existing.columns) {
		const comes = columns.some((column) => foldName(column.name) === foldName(found.name));
		// A column that the source dropped stays, and new rows have NULL in it.
		if (!comes && !found.nullable && !isKeyOf(existing, found.name))
			ddl.push(dropNotNull(duckdbDialect, place.sql, found.name));
	}
	return ddl;
}

function isKeyOf(existing: ExistingTable, name: string): boolean {
	return existing.key.some((key) => foldName(key) === foldName(name));
}

/** Whether a table that is built anew would have another shape than the one that is there. */
export function shapeDiffers(existing: ExistingTable, columns: readonly ColumnDefinition[]): boolean {
	return (
		existing.columns.length !== columns.length ||
		columns.some((column, index) => {
			const found = existing.columns[index]!;
			return found.name !== column.name || found.destinationType !== column.type || found.nullable !== column.nullable;
		})
	);
}

/** Comments and indexes of a table as statements that give them to its successor of the same name. */
export async function keepsakesOf(
	session: Session,
	place: Place,
	columns: readonly ColumnDefinition[],
): Promise<string[]> {
	const names = [place.schema, place.name];
	const text = (value: Value | undefined) => duckdbDialect.quoteLiteral(String(value));
	const statements: string[] = [];
	const [table] = await session.query(`SELECT comment FROM duckdb_tables() WHERE ${AT} AND comment IS NOT NULL`, names);
	if (table !== undefined) statements.push(`COMMENT ON TABLE ${place.sql} IS ${text(table["comment"])}`);
	const comments = await session.query(
		`SELECT column_name, comment FROM duckdb_columns() WHERE ${AT} AND comment IS NOT NULL`,
		names,
	);
	for (const row of comments) {
		const column = columns.find(({ name }) => foldName(name) === foldName(String(row["column_name"])));
		if (column !== undefined)
			statements.push(
				`COMMENT ON COLUMN ${place.sql}.${duckdbDialect.quoteIdentifier(column.name)} IS ${text(row["comment"])}`,
			);
	}
	statements.push(...(await indexesOf(session, place)).map((index) => index.create));
	return statements;
}

/** The table's own indexes (those of its constraints aside), as what drops each and what makes it again. */
async function indexesOf(
	session: Session,
	place: Place,
): Promise<{ readonly drop: string; readonly create: string }[]> {
	const rows = await session.query(
		`SELECT index_name, sql FROM duckdb_indexes() WHERE ${AT} AND sql IS NOT NULL ORDER BY index_name`,
		[place.schema, place.name],
	);
	return rows.map((row) => ({
		drop: `DROP INDEX ${quotedPath(duckdbDialect, [place.catalog, place.schema, String(row["index_name"])])}`,
		create: indexOn(place, String(row["sql"])),
	}));
}

/** Runs DDL on a table. DuckDB alters no table that has an index, so its indexes are made anew. */
export async function alterTable(session: Session, place: Place, ddl: readonly string[]): Promise<void> {
	const indexes = ddl.length === 0 ? [] : await indexesOf(session, place);
	for (const { drop } of indexes) await session.execute(drop);
	for (const statement of ddl) await session.execute(statement);
	for (const { create } of indexes) await session.execute(create);
}

const IDENTIFIER = String.raw`(?:"(?:[^"]|"")*"|[^\s".(]+)`;
const CREATE_INDEX = new RegExp(
	String.raw`^(CREATE (?:UNIQUE )?INDEX ${IDENTIFIER}) ON ${IDENTIFIER}(?:\.${IDENTIFIER})*\s*(.*?);?$`,
	"s",
);

/** DuckDB tells an index without its database, where the statement would look for the table elsewhere. */
function indexOn(place: Place, sql: string): string {
	const match = CREATE_INDEX.exec(sql);
	if (match === null)
		throw new HeadraceError("E_INTERNAL", `an index of ${place.sql} can't be read from DuckDB's catalog`);
	return `${match[1]} ON ${place.sql} ${match[2]}`;
}
