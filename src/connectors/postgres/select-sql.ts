import { HeadraceError, type ReadRequest, type SourceColumn, type SourceTable, type Window } from "../../core/index.ts";
import type { ColumnDecoder } from "./describe.ts";
import { bracketed, quoteIdentifier, quoteLiteral, quoteTable } from "./sql-text.ts";

/** What `read` needs of a column; it is there when the column came from `describe`. */
export function decoderPlan(column: SourceColumn): ColumnDecoder {
	const plan = column.decoder as ColumnDecoder | undefined;
	if (plan === undefined)
		throw new HeadraceError("E_INTERNAL", `column ${column.name} was not described by PostgreSQL`);
	return plan;
}

/** FROM item: the query in brackets, or the table under its own name so that `where` can use it. */
export function fromItem(table: SourceTable): string {
	if (table.query !== undefined) return `${bracketed(table.query)} AS q`;
	return `${quoteTable(table.name)} AS ${quoteIdentifier(table.name.name)}`;
}

/** The SELECT of a read. A chunk's condition is all that follows FROM, so that it can name a partition. */
export function selectSql(request: Pick<ReadRequest, "table" | "columns" | "window" | "chunk" | "where">): string {
	const { table, columns, window, chunk, where } = request;
	const conditions: string[] = [];
	if (window !== undefined) conditions.push(...windowConditions(table, window));
	if (where !== undefined) conditions.push(bracketed(where));
	const items = columns.map((column) => decoderPlan(column).sql).join(", ");
	if (chunk?.condition !== undefined) return [`SELECT ${items} FROM ${chunk.condition}`, ...conditions].join(" AND ");
	return `SELECT ${items} FROM ${fromItem(table)}${conditions.length === 0 ? "" : ` WHERE ${conditions.join(" AND ")}`}`;
}

export function columnNamed(table: SourceTable, name: string): SourceColumn {
	const column = table.columns.find((c) => c.name === name);
	if (column === undefined) throw new HeadraceError("E_UNKNOWN_COLUMN", `there is no column ${name}`);
	return column;
}

function windowConditions(table: SourceTable, window: Window): string[] {
	const column = columnNamed(table, window.column);
	const name = quoteIdentifier(column.name);
	const conditions: string[] = [];
	if (window.from !== undefined && window.from !== null)
		conditions.push(`${name} >= ${boundLiteral(column, window.from)}`);
	if (window.to !== undefined && window.to !== null)
		conditions.push(`${name} ${window.toIncluded ? "<=" : "<"} ${boundLiteral(column, window.to)}`);
	return conditions;
}

const INT_TYPES = new Set(['"pg_catalog"."int2"', '"pg_catalog"."int4"']);

/** A bound as the column's own type, without its modifier: a bound must not be rounded to the column's digits. */
export function boundLiteral(column: SourceColumn, text: string): string {
	const { baseType } = decoderPlan(column);
	const literal = quoteLiteral(text);
	// Wider than the column: a bound beyond its range compares instead of failing, and indexes still serve.
	if (INT_TYPES.has(baseType)) return `${literal}::pg_catalog.int8`;
	if (baseType === '"pg_catalog"."date"' && text.includes(":")) return `${literal}::pg_catalog.timestamp`;
	return `${literal}::${baseType}`;
}
