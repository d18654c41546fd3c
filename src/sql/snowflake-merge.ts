import { type Dialect, quotedList, snowflakeDialect } from "./dialect.ts";
import type { MergeTables } from "./merge.ts";

/** How two values of a column are told apart: semi-structured ones by their text. */
export type SnowflakeComparison = "value" | "json";

const dialect: Dialect = snowflakeDialect;
const quote = (name: string): string => dialect.quoteIdentifier(name);
const ROW = quote(dialect.rowIdentifier);
/** Names that no folded column has. */
const COUNT = quote("_headrace_count");
const PLACE = quote("_headrace_place");

function compared(expression: string, comparison: SnowflakeComparison): string {
	return comparison === "json" ? `TO_JSON(${expression})` : expression;
}

/** One row: rows of a table, keys among them, and rows with NULL in the key. `table` is quoted. */
export function snowflakeCountKeys(table: string, key: readonly string[]): string {
	const isNull = key.map((name) => `${quote(name)} IS NULL`).join(" OR ");
	return `SELECT (SELECT count(*) FROM ${table}) AS ROW_COUNT,
	(SELECT count(*) FROM (SELECT DISTINCT ${quotedList(dialect, key)} FROM ${table}) AS K) AS KEYS,
	(SELECT count(*) FROM ${table} WHERE ${isNull}) AS NULLS`;
}

function flagged(expression: string): string {
	return `coalesce(CAST(${expression} AS BOOLEAN), FALSE)`;
}

export interface SnowflakeMerge {
	readonly tables: MergeTables;
	/** NULL is oldest; rows that tie: the one read later. */
	readonly orderColumn?: string;
	readonly deletedColumn?: string;
	readonly onConflict: "update" | "ignore";
	readonly comparisonOf: (column: string) => SnowflakeComparison;
}

/**
 * The newest row of each key into the table: one source row a key, so that the merge is deterministic (where two source
 * rows meet one of the target, ERROR_ON_NONDETERMINISTIC_MERGE fails it). Rows that are equal already are not written.
 * https://docs.snowflake.com/en/sql-reference/sql/merge
 */
export function snowflakeMerge(merge: SnowflakeMerge): string {
	const { tables, orderColumn, deletedColumn, onConflict, comparisonOf } = merge;
	const { target, stage, key, columns } = tables;
	const order = orderColumn === undefined ? "" : `${quote(orderColumn)} DESC NULLS LAST, `;
	const newest = `QUALIFY row_number() OVER (PARTITION BY ${quotedList(dialect, key)} ORDER BY ${order}${ROW} DESC) = 1`;
	const same = key.map((name) => `t.${quote(name)} = s.${quote(name)}`).join(" AND ");
	const others = columns.filter((name) => !key.includes(name));
	const differ = others.map((name) => {
		const comparison = comparisonOf(name);
		return `${compared(`t.${quote(name)}`, comparison)} IS DISTINCT FROM ${compared(`s.${quote(name)}`, comparison)}`;
	});
	const isFlagged = deletedColumn === undefined ? null : flagged(`s.${quote(deletedColumn)}`);
	const lines = [`MERGE INTO ${target} AS t USING (SELECT * FROM ${stage} ${newest}) AS s ON ${same}`];
	if (isFlagged !== null) lines.push(`WHEN MATCHED AND ${isFlagged} THEN DELETE`);
	if (onConflict === "update" && others.length > 0) {
		const set = others.map((name) => `${quote(name)} = s.${quote(name)}`).join(", ");
		lines.push(`WHEN MATCHED AND (${differ.join(" OR ")}) THEN UPDATE SET ${set}`);
	}
	const unless = isFlagged === null ? "" : ` AND NOT ${isFlagged}`;
	lines.push(
		`WHEN NOT MATCHED${unless} THEN INSERT (${quotedList(dialect, columns)}) VALUES (${quotedList(dialect, columns, "s")})`,
	);
	return lines.join("\n");
}

/** Deletes rows that the source flags as deleted. */
export function snowflakeDeleteFlagged(table: string, deletedColumn: string): string {
	return `DELETE FROM ${table} WHERE ${flagged(quote(deletedColumn))}`;
}

/** Rows of a stage or of a table beside into another; `columns` are those of both. */
export function snowflakeInsert(target: string, from: string, columns: readonly string[]): string {
	const list = quotedList(dialect, columns);
	return `INSERT INTO ${target} (${list})\nSELECT ${list} FROM ${from}`;
}

/** Rows of the overlap in the table, as groups of equal rows with their number. */
function groups(
	table: string,
	columns: readonly string[],
	where: string,
	same: SnowflakeMerge["comparisonOf"],
): string {
	const items = columns.map((name, index) => `${compared(quote(name), same(name))} AS ${quote(`_headrace_c${index}`)}`);
	const numbers = columns.map((_, index) => index + 1).join(", ");
	return `(SELECT ${items.join(", ")}, count(*) AS ${COUNT} FROM ${table}${where === "" ? "" : ` WHERE ${where}`} GROUP BY ${numbers})`;
}

function numbered(
	table: string,
	columns: readonly string[],
	where: string,
	same: SnowflakeMerge["comparisonOf"],
): string {
	const items = columns.map((name) => compared(quote(name), same(name))).join(", ");
	return `(SELECT *, row_number() OVER (PARTITION BY ${items} ORDER BY ${items}) AS ${PLACE} FROM ${table}${where === "" ? "" : ` WHERE ${where}`})`;
}

function equalTo(columns: readonly string[], alias: string, same: SnowflakeMerge["comparisonOf"]): string {
	return columns
		.map((name, index) => {
			const value = compared(`${alias}${quote(name)}`, same(name));
			return `g.${quote(`_headrace_c${index}`)} IS NOT DISTINCT FROM ${value}`;
		})
		.join(" AND ");
}

/**
 * Adds staged rows but for those that the table has already in the overlap, each against one. Snowflake has no EXCEPT
 * ALL: equal rows are numbered, and those numbered up to the number that the table has are left out.
 * `overlap` is a condition on the table, empty for all of it.
 */
export function snowflakeInsertBeyond(
	tables: Pick<MergeTables, "target" | "stage" | "columns">,
	overlap: string,
	same: SnowflakeMerge["comparisonOf"],
): string {
	const { target, stage, columns } = tables;
	return `INSERT INTO ${target} (${quotedList(dialect, columns)})
SELECT ${quotedList(dialect, columns, "s")} FROM ${numbered(stage, columns, "", same)} AS s
LEFT JOIN ${groups(target, columns, overlap, same)} AS g ON ${equalTo(columns, "s.", same)}
WHERE g.${COUNT} IS NULL OR s.${PLACE} > g.${COUNT}`;
}

/**
 * For a load that brings columns the table's rows can't have: rows of the overlap that a staged row replaces, each by
 * one, are equal in `compared`. Three statements: the rows that stay of such groups are set aside in `aside`, a table
 * with the target's columns; the groups are deleted; what was set aside comes back. Gives them in this order.
 */
export function snowflakeReplaceBeyond(
	tables: Pick<MergeTables, "target" | "stage">,
	aside: string,
	all: readonly string[],
	comparedColumns: readonly string[],
	overlap: string,
	same: SnowflakeMerge["comparisonOf"],
): readonly [setAside: string, remove: string, putBack: string] {
	const { target, stage } = tables;
	const staged = groups(stage, comparedColumns, "", same);
	const rows = overlap === "" ? "" : `${overlap} AND `;
	return [
		`INSERT INTO ${aside} (${quotedList(dialect, all)})
SELECT ${quotedList(dialect, all, "t")} FROM ${numbered(target, comparedColumns, overlap, same)} AS t
JOIN ${staged} AS g ON ${equalTo(comparedColumns, "t.", same)}
WHERE t.${PLACE} > g.${COUNT}`,
		`DELETE FROM ${target} USING ${staged} AS g WHERE ${rows}${equalTo(comparedColumns, "", same)}`,
		snowflakeInsert(target, aside, all),
	];
}
