import {
	type ExistingTable,
	HeadraceError,
	type TableName,
	type TargetColumn,
	type TargetTable,
} from "../../core/index.ts";
import type { Value } from "../../engine/index.ts";
import { type ColumnDefinition, columnDefinition, createTable, duckdbDialect, quotedPath } from "../../sql/index.ts";
import type { Session } from "./session.ts";
import { foldName } from "./types.ts";

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

/** A column as a table is to have it, and how a table without it comes by it. */
export interface WantedColumn extends ColumnDefinition, Pick<TargetColumn, "renamedFrom" | "fill"> {}

export function definitionsOf(target: TargetTable): WantedColumn[] {
	return target.columns.map(({ name, destinationType, nullable, defaultSql, renamedFrom, fill }) => ({
		name,
		type: destinationType,
		nullable: nullable && !target.key.includes(name),
		...(defaultSql === undefined ? {} : { defaultSql }),
		...(renamedFrom === undefined ? {} : { renamedFrom }),
		...(fill === undefined ? {} : { fill }),
	}));
}

export function createDdl(place: Place, columns: readonly ColumnDefinition[]): string {
	return createTable(duckdbDialect, place.sql, columns);
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
	columns: readonly Pick<WantedColumn, "name" | "renamedFrom">[],
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
		const column = successorOf(String(row["column_name"]), columns);
		if (column !== undefined)
			statements.push(
				`COMMENT ON COLUMN ${place.sql}.${duckdbDialect.quoteIdentifier(column.name)} IS ${text(row["comment"])}`,
			);
	}
	const old = await describeTable(session, place);
	const successors = new Map(old?.columns.map(({ name }) => [name, successorOf(name, columns)?.name ?? null]));
	// An index goes with its columns.
	for (const { create } of await indexesOf(session, place)) statements.push(...renamedIn(create, successors));
	return statements;
}

/** The column that goes on with a column of the old table: of its name, or renamed from it. */
function successorOf<Column extends Pick<WantedColumn, "name" | "renamedFrom">>(
	name: string,
	columns: readonly Column[],
): Column | undefined {
	const isIt = (other: string | undefined) => other !== undefined && foldName(other) === foldName(name);
	return columns.find((column) => isIt(column.name)) ?? columns.find((column) => isIt(column.renamedFrom));
}

/** The columns and constraints of a table as lines of a CREATE TABLE that makes one like it, but for some types. */
export async function tableLike(
	session: Session,
	place: Place,
	types: ReadonlyMap<string, string> = new Map(),
): Promise<{ readonly columns: string[]; readonly constraints: string[] }> {
	const names = [place.schema, place.name];
	const columns = await session.query(
		`SELECT column_name, data_type, is_nullable, column_default FROM duckdb_columns() WHERE ${AT} ORDER BY column_index`,
		names,
	);
	const constraints = await session.query(
		`SELECT constraint_text FROM duckdb_constraints() WHERE ${AT} AND constraint_type <> 'NOT NULL' ORDER BY constraint_index`,
		names,
	);
	return {
		columns: columns.map((row) =>
			columnDefinition(duckdbDialect, {
				name: String(row["column_name"]),
				type: types.get(String(row["column_name"])) ?? String(row["data_type"]),
				nullable: row["is_nullable"] === true,
				...(row["column_default"] === null ? {} : { defaultSql: String(row["column_default"]) }),
			}),
		),
		constraints: constraints.map((row) => String(row["constraint_text"])),
	};
}

/** The table's own indexes (those of its constraints aside), as what drops each and what makes it again. */
export async function indexesOf(
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

/** An index's statement with columns under their new names; none when one of its columns is gone (null). */
export function renamedIn(create: string, successors: ReadonlyMap<string, string | null>): string[] {
	const columns = create.indexOf("(", create.indexOf(" ON "));
	const byName = new Map([...successors].map(([name, successor]) => [foldName(name), successor]));
	let gone = false;
	const tail = create.slice(columns).replace(TOKEN, (token) => {
		if (token.startsWith("'")) return token;
		const name = token.startsWith('"') ? token.slice(1, -1).replaceAll('""', '"') : token;
		const successor = byName.get(foldName(name));
		if (successor === null) gone = true;
		return successor === undefined || successor === null || successor === name
			? token
			: duckdbDialect.quoteIdentifier(successor);
	});
	return gone ? [] : [create.slice(0, columns) + tail];
}

/** Literals, quoted names and plain names of an expression. */
const TOKEN = /'(?:[^']|'')*'|"(?:[^"]|"")*"|[\p{L}_][\p{L}\p{N}_$]*/gu;

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
