import type { Dialect } from "./dialect.ts";

/** The condition of a half-open range of a column, `[from, to)`; a bound that is absent is open. Values are text. */
export function rangeCondition(
	dialect: Dialect,
	column: string,
	type: string,
	range: { readonly from?: string; readonly to?: string },
): string {
	// A date is compared as the midnight it begins with, so that an interval of hours does not take whole days.
	const isDate = type.toUpperCase() === "DATE";
	const expression = isDate ? `CAST(${dialect.quoteIdentifier(column)} AS TIMESTAMP)` : dialect.quoteIdentifier(column);
	const bound = (value: string) => `CAST(${dialect.quoteLiteral(value)} AS ${isDate ? "TIMESTAMP" : type})`;
	const parts: string[] = [];
	if (range.from !== undefined) parts.push(`${expression} >= ${bound(range.from)}`);
	if (range.to !== undefined) parts.push(`${expression} < ${bound(range.to)}`);
	return parts.join(" AND ");
}

/** Deletes the rows of an interval by a column's value. */
export function deleteRange(
	dialect: Dialect,
	table: string,
	column: string,
	type: string,
	range: { readonly from: string; readonly to: string },
): string {
	return `DELETE FROM ${table} WHERE ${rangeCondition(dialect, column, type, range)}`;
}

/** Deletes the rows that an earlier load of the interval tagged. */
export function deleteTagged(dialect: Dialect, table: string, tagColumn: string, tag: string): string {
	return `DELETE FROM ${table} WHERE ${dialect.quoteIdentifier(tagColumn)} = ${dialect.quoteLiteral(tag)}`;
}
