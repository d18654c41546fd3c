import type { Dialect } from "./dialect.ts";

export interface ColumnDefinition {
	readonly name: string;
	/** Type name in the engine's DDL. */
	readonly type: string;
	readonly nullable: boolean;
	/** A constant, as SQL. */
	readonly defaultSql?: string;
}

/** `"id" BIGINT NOT NULL DEFAULT 0`. */
export function columnDefinition(dialect: Dialect, column: ColumnDefinition): string {
	const parts = [dialect.quoteIdentifier(column.name), column.type];
	if (!column.nullable) parts.push("NOT NULL");
	if (column.defaultSql !== undefined) parts.push(`DEFAULT ${column.defaultSql}`);
	return parts.join(" ");
}

/**
 * A table, one column a line. The key is not declared: a primary key costs the load of an analytical engine 40 % more
 * and its checks are stricter than a merge allows (measured for DuckDB). Loads check the key themselves.
 * `table` is quoted already.
 */
export function createTable(
	dialect: Dialect,
	table: string,
	columns: readonly ColumnDefinition[],
	options: { readonly temporary?: boolean; readonly ifNotExists?: boolean } = {},
): string {
	const lines = columns.map((column) => `\t${columnDefinition(dialect, column)}`).join(",\n");
	const kind = options.temporary === true ? "TEMPORARY TABLE" : "TABLE";
	return `CREATE ${kind} ${options.ifNotExists === true ? "IF NOT EXISTS " : ""}${table} (\n${lines}\n)`;
}

/**
 * A column for rows to come. Rows that are there have no value for it, so it is nullable; with `fill` they get its
 * default, which the engine gives them in the same statement.
 */
export function addColumn(dialect: Dialect, table: string, column: ColumnDefinition, fill = false): string {
	const { name, type, defaultSql } = column;
	const definition = { name, type, nullable: true, ...(fill && defaultSql !== undefined ? { defaultSql } : {}) };
	return `ALTER TABLE ${table} ADD COLUMN ${columnDefinition(dialect, definition)}`;
}

export function renameColumn(dialect: Dialect, table: string, from: string, to: string): string {
	return `ALTER TABLE ${table} RENAME COLUMN ${dialect.quoteIdentifier(from)} TO ${dialect.quoteIdentifier(to)}`;
}

export function setNotNull(dialect: Dialect, table: string, column: string): string {
	return `ALTER TABLE ${table} ALTER COLUMN ${dialect.quoteIdentifier(column)} SET NOT NULL`;
}

export function changeType(dialect: Dialect, table: string, column: string, type: string): string {
	return `ALTER TABLE ${table} ALTER COLUMN ${dialect.quoteIdentifier(column)} SET DATA TYPE ${type}`;
}

export function dropNotNull(dialect: Dialect, table: string, column: string): string {
	return `ALTER TABLE ${table} ALTER COLUMN ${dialect.quoteIdentifier(column)} DROP NOT NULL`;
}

/** Puts `fresh` in the place of `old` (absent: there is none), inside one transaction that the caller has open. */
export function swapTable(
	dialect: Dialect,
	swap: { readonly old?: string; readonly fresh: string; readonly name: string },
): string[] {
	const rename = `ALTER TABLE ${swap.fresh} RENAME TO ${dialect.quoteIdentifier(swap.name)}`;
	return swap.old === undefined ? [rename] : [`DROP TABLE ${swap.old}`, rename];
}
