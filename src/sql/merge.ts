import { type Dialect, quotedList } from "./dialect.ts";

/**
 * A merge by way of a stage: rows as they came, in the order of their row identifiers. Names of tables are quoted
 * already, names of columns are not.
 */
export interface MergeTables {
	readonly target: string;
	readonly stage: string;
	readonly key: readonly string[];
	/** Columns that the stage brings, the key's among them. */
	readonly columns: readonly string[];
}

/** How equality of a column's values is told; see `sameValue`. */
export type Comparison = "value" | "float" | "text";

/** A column's name in a stage: one that hides the row identifier, which the stage's order depends on, gets another. */
export function stageColumn(dialect: Dialect, name: string): string {
	return name.toLowerCase() === dialect.rowIdentifier.toLowerCase() ? `_headrace_${name}` : name;
}

/**
 * One row: how many rows a table has, how many keys, and how many of the rows have NULL in the key; each of these counts
 * as a key. By sorting, since that works in little memory: DuckDB's grouping of 20 million keys fails in 43 MB and takes
 * three times as long.
 */
export function countKeys(dialect: Dialect, table: string, key: readonly string[]): string {
	const columns = key.map((name) => dialect.quoteIdentifier(name));
	const isNull = columns.map((column) => `${column} IS NULL`).join(" OR ");
	const isRepeated = columns.map((column) => `lag(${column}) OVER by_key = ${column}`).join(" AND ");
	return `SELECT count(*) AS row_count, count(*) FILTER (WHERE NOT is_repeated) AS keys, count(*) FILTER (WHERE is_null) AS nulls
FROM (
	SELECT coalesce(${isRepeated}, false) AS is_repeated, ${isNull} AS is_null
	FROM ${table} WINDOW by_key AS (ORDER BY ${columns.join(", ")})
) AS checked`;
}

/** Leaves the newest row of each key: by the order column (NULL is oldest), then the one read later. */
export function deleteSuperseded(
	dialect: Dialect,
	tables: Pick<MergeTables, "stage" | "key">,
	orderColumn: string | undefined,
): string {
	const row = dialect.rowIdentifier;
	const order = orderColumn === undefined ? "" : `${staged(dialect, orderColumn)} DESC NULLS LAST, `;
	return `DELETE FROM ${tables.stage} WHERE ${row} IN (
	SELECT row_identifier FROM (
		SELECT ${row} AS row_identifier, row_number() OVER (PARTITION BY ${stagedList(dialect, tables.key)} ORDER BY ${order}${row} DESC) AS place
		FROM ${tables.stage}
	) AS places WHERE place > 1
)`;
}

/** Deletes the target's rows whose staged row is flagged, by a boolean or integer column. */
export function deleteFlagged(dialect: Dialect, tables: MergeTables, flag: string): string {
	return `DELETE FROM ${tables.target} AS t USING ${tables.stage} AS s
WHERE ${sameKey(dialect, tables.key)} AND ${isFlagged(`s.${staged(dialect, flag)}`)}`;
}

export function deleteFlaggedFromStage(dialect: Dialect, tables: Pick<MergeTables, "stage">, flag: string): string {
	return `DELETE FROM ${tables.stage} WHERE ${isFlagged(staged(dialect, flag))}`;
}

function isFlagged(expression: string): string {
	return `coalesce(CAST(${expression} AS BOOLEAN), FALSE)`;
}

/** One row: how many staged keys the target knows, and how many rows it has of them. */
export function countKnown(dialect: Dialect, tables: MergeTables): string {
	return `SELECT count(*) AS known, coalesce(sum(n), 0) AS known_rows
FROM (SELECT count(*) AS n FROM ${tables.target} AS t JOIN ${tables.stage} AS s ON ${sameKey(dialect, tables.key)} GROUP BY ${stagedList(dialect, tables.key, "s")})`;
}

/** What is equal already is not written again. */
export function deleteEqualFromStage(
	dialect: Dialect,
	tables: MergeTables,
	comparisonOf: (column: string) => Comparison,
): string {
	const others = tables.columns.filter((name) => !tables.key.includes(name));
	const same = others.map((name) => `\n\tAND ${sameValue(dialect, name, comparisonOf(name))}`).join("");
	return `DELETE FROM ${tables.stage} AS s USING ${tables.target} AS t
WHERE ${sameKey(dialect, tables.key)}${same}`;
}

/** The first half of a replacement of rows: `insertStaged` is the second. */
export function deleteKnown(dialect: Dialect, tables: MergeTables): string {
	return `DELETE FROM ${tables.target} AS t USING ${tables.stage} AS s WHERE ${sameKey(dialect, tables.key)}`;
}

/** Changes rows in place: for a table with columns that the stage does not have, which keep their values. */
export function updateKnown(dialect: Dialect, tables: MergeTables): string {
	const assignments = tables.columns
		.filter((name) => !tables.key.includes(name))
		.map((name) => `${dialect.quoteIdentifier(name)} = s.${staged(dialect, name)}`);
	return `UPDATE ${tables.target} AS t SET ${assignments.join(", ")}
FROM ${tables.stage} AS s WHERE ${sameKey(dialect, tables.key)}`;
}

export function deleteKnownFromStage(dialect: Dialect, tables: MergeTables): string {
	return `DELETE FROM ${tables.stage} AS s USING ${tables.target} AS t WHERE ${sameKey(dialect, tables.key)}`;
}

export function insertStaged(dialect: Dialect, tables: Pick<MergeTables, "target" | "stage" | "columns">): string {
	return `INSERT INTO ${tables.target} (${quotedList(dialect, tables.columns)})
SELECT ${stagedList(dialect, tables.columns)} FROM ${tables.stage}`;
}

/**
 * Adds staged rows but for those that the target has already from a cursor value on, each against one: re-reading an
 * overlap neither loses nor doubles a row. `overlap` is the condition on the target.
 */
export function insertBeyondOverlap(
	dialect: Dialect,
	tables: Pick<MergeTables, "target" | "stage" | "columns">,
	overlap: string,
	comparisonOf: (column: string) => Comparison,
): string {
	const items = (nameOf: (column: string) => string) => comparedItems(tables.columns, nameOf, comparisonOf).join(", ");
	return `INSERT INTO ${tables.target} (${quotedList(dialect, tables.columns)})
SELECT ${tables.columns.map((_, index) => `c${index}`).join(", ")} FROM (
	SELECT ${items((name) => staged(dialect, name))} FROM ${tables.stage}
	EXCEPT ALL
	SELECT ${items((name) => dialect.quoteIdentifier(name))} FROM ${tables.target} WHERE ${overlap}
)`;
}

/**
 * Deletes the target's rows of an overlap that a staged row replaces: one that is equal in `compared`, each against one.
 * What is staged is inserted then, with the columns that the target's rows could not have.
 */
export function deleteReplaced(
	dialect: Dialect,
	tables: Pick<MergeTables, "target" | "stage">,
	compared: readonly string[],
	overlap: string,
	comparisonOf: (column: string) => Comparison,
): string {
	const row = dialect.rowIdentifier;
	const there = comparedItems(compared, (name) => dialect.quoteIdentifier(name), comparisonOf);
	const incoming = comparedItems(compared, (name) => staged(dialect, name), comparisonOf);
	const names = there.map((item) => item.slice(item.lastIndexOf(" ") + 1));
	const equal = names.map((name) => `t.${name} IS NOT DISTINCT FROM s.${name}`);
	return `DELETE FROM ${tables.target} WHERE ${row} IN (
	SELECT row_identifier FROM (
		SELECT *, row_number() OVER (PARTITION BY ${names.join(", ")}) AS place FROM (
			SELECT ${[`${row} AS row_identifier`, ...there].join(", ")} FROM ${tables.target} WHERE ${overlap}
		)
	) AS t JOIN (
		SELECT ${names.join(", ")}, count(*) AS places FROM (SELECT ${incoming.join(", ")} FROM ${tables.stage})
		GROUP BY ${names.join(", ")}
	) AS s ON ${["t.place <= s.places", ...equal].join(" AND ")}
)`;
}

/** Columns as `c0`, `c1`, …; values that SQL takes for equal although they differ get a second one that tells them apart. */
function comparedItems(
	columns: readonly string[],
	nameOf: (column: string) => string,
	comparisonOf: (column: string) => Comparison,
): string[] {
	return [
		...columns.map((name, index) => `${nameOf(name)} AS c${index}`),
		...columns.flatMap((name, index) => {
			const comparison = comparisonOf(name);
			if (comparison === "float") return [`signbit(${nameOf(name)}) AS told_apart_${index}`];
			return comparison === "text" ? [`CAST(${nameOf(name)} AS VARCHAR) AS told_apart_${index}`] : [];
		}),
	];
}

/** A stage's column, quoted. */
export function staged(dialect: Dialect, name: string): string {
	return dialect.quoteIdentifier(stageColumn(dialect, name));
}

export function stagedList(dialect: Dialect, names: readonly string[], alias?: string): string {
	return quotedList(
		dialect,
		names.map((name) => stageColumn(dialect, name)),
		alias,
	);
}

export function sameKey(dialect: Dialect, key: readonly string[]): string {
	return key.map((name) => `t.${dialect.quoteIdentifier(name)} = s.${staged(dialect, name)}`).join(" AND ");
}

/** SQL's equality, but for zeros with a sign, and for types whose equal values differ (an interval of 1 month and 30 days). */
function sameValue(dialect: Dialect, name: string, comparison: Comparison): string {
	const t = `t.${dialect.quoteIdentifier(name)}`;
	const s = `s.${staged(dialect, name)}`;
	if (comparison === "text") return `CAST(${t} AS VARCHAR) IS NOT DISTINCT FROM CAST(${s} AS VARCHAR)`;
	const same = `${t} IS NOT DISTINCT FROM ${s}`;
	return comparison === "float" ? `${same} AND signbit(${t}) IS NOT DISTINCT FROM signbit(${s})` : same;
}
