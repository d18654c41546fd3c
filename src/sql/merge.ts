import { type Dialect, quotedList } from "./dialect.ts";

/**
 * A merge by way of a stage: rows as they came, in the order of their row identifiers. Names of tables are quoted
 * already, names of columns are not.
 */
export interface MergeTables {
	readonly target: string;
	readonly stage: string;
	/** A temporary table of the pairs that `findMatches` finds. */
	readonly matches: string;
	readonly key: readonly string[];
	/** Columns that the stage brings, the key's among them. */
	readonly columns: readonly string[];
}

/** How equality of a column's values is told; see `sameValue`. */
export type Comparison = "value" | "float" | "text";

/** One row: how many staged rows there are, how many keys, how many rows have NULL in the key. */
export function countKeys(dialect: Dialect, tables: Pick<MergeTables, "stage" | "key">): string {
	const key = quotedList(dialect, tables.key);
	const isNull = tables.key.map((name) => `${dialect.quoteIdentifier(name)} IS NULL`).join(" OR ");
	return `SELECT coalesce(sum(n), 0) AS staged, count(*) AS keys, coalesce(sum(n) FILTER (WHERE ${isNull}), 0) AS nulls
FROM (SELECT ${key}, count(*) AS n FROM ${tables.stage} GROUP BY ${key})`;
}

/** Leaves the newest row of each key: by the order column (NULL is oldest), then the one read later. */
export function deleteSuperseded(
	dialect: Dialect,
	tables: Pick<MergeTables, "stage" | "key">,
	orderColumn: string | undefined,
): string {
	const row = dialect.rowIdentifier;
	const order = orderColumn === undefined ? "" : `${dialect.quoteIdentifier(orderColumn)} DESC NULLS LAST, `;
	return `DELETE FROM ${tables.stage} WHERE ${row} IN (
	SELECT row_identifier FROM (
		SELECT ${row} AS row_identifier, row_number() OVER (PARTITION BY ${quotedList(dialect, tables.key)} ORDER BY ${order}${row} DESC) AS place
		FROM ${tables.stage}
	) WHERE place > 1
)`;
}

/** Deletes the target's rows whose staged row is flagged, by a boolean or integer column. */
export function deleteFlagged(dialect: Dialect, tables: MergeTables, flag: string): string {
	return `DELETE FROM ${tables.target} AS t USING ${tables.stage} AS s
WHERE ${sameKey(dialect, tables.key)} AND ${isFlagged(`s.${dialect.quoteIdentifier(flag)}`)}`;
}

export function deleteFlaggedFromStage(dialect: Dialect, tables: Pick<MergeTables, "stage">, flag: string): string {
	return `DELETE FROM ${tables.stage} WHERE ${isFlagged(dialect.quoteIdentifier(flag))}`;
}

function isFlagged(expression: string): string {
	return `coalesce(CAST(${expression} AS BOOLEAN), FALSE)`;
}

/** Pairs of target and staged rows of one key, with whether the target's row is equal already. */
export function findMatches(
	dialect: Dialect,
	tables: MergeTables,
	comparisonOf: (column: string) => Comparison,
): string {
	const others = tables.columns.filter((name) => !tables.key.includes(name));
	const same = others.map((name) => sameValue(dialect, name, comparisonOf(name))).join(" AND ");
	return `CREATE TEMPORARY TABLE ${tables.matches} AS
SELECT t.${dialect.rowIdentifier} AS target_row, s.${dialect.rowIdentifier} AS stage_row, ${same === "" ? "TRUE" : same} AS same
FROM ${tables.target} AS t JOIN ${tables.stage} AS s ON ${sameKey(dialect, tables.key)}`;
}

/** One row: how many staged rows have a counterpart, how many pairs there are, and how many are equal. */
export function countMatches(tables: Pick<MergeTables, "matches">): string {
	return `SELECT count(DISTINCT stage_row) AS known, count(*) AS pairs, count(*) FILTER (WHERE same) AS equal_pairs FROM ${tables.matches}`;
}

/** What is equal already is not written again. */
export function deleteEqualFromStage(dialect: Dialect, tables: Pick<MergeTables, "stage" | "matches">): string {
	return `DELETE FROM ${tables.stage} WHERE ${dialect.rowIdentifier} IN (SELECT stage_row FROM ${tables.matches} WHERE same)`;
}

/** The first half of a replacement of rows: `insertStaged` is the second. */
export function deleteMatched(dialect: Dialect, tables: Pick<MergeTables, "target" | "matches">): string {
	return `DELETE FROM ${tables.target} WHERE ${dialect.rowIdentifier} IN (SELECT target_row FROM ${tables.matches} WHERE NOT same)`;
}

/** Changes rows in place: for a table with columns that the stage does not have, which keep their values. */
export function updateMatched(dialect: Dialect, tables: MergeTables): string {
	const others = tables.columns.filter((name) => !tables.key.includes(name));
	const row = dialect.rowIdentifier;
	const assignments = others
		.map((name) => `${dialect.quoteIdentifier(name)} = s.${dialect.quoteIdentifier(name)}`)
		.join(", ");
	return `UPDATE ${tables.target} AS t SET ${assignments}
FROM ${tables.stage} AS s, ${tables.matches} AS m
WHERE t.${row} = m.target_row AND s.${row} = m.stage_row AND NOT m.same`;
}

export function deleteMatchedFromStage(dialect: Dialect, tables: Pick<MergeTables, "stage" | "matches">): string {
	return `DELETE FROM ${tables.stage} WHERE ${dialect.rowIdentifier} IN (SELECT stage_row FROM ${tables.matches})`;
}

export function insertStaged(dialect: Dialect, tables: Pick<MergeTables, "target" | "stage" | "columns">): string {
	const columns = quotedList(dialect, tables.columns);
	return `INSERT INTO ${tables.target} (${columns}) SELECT ${columns} FROM ${tables.stage}`;
}

/**
 * Adds staged rows but for those that the target has already from a cursor value on, each against one: re-reading an
 * overlap neither loses nor doubles a row.
 */
export function insertBeyondOverlap(
	dialect: Dialect,
	tables: Pick<MergeTables, "target" | "stage" | "columns">,
	overlap: string,
	comparisonOf: (column: string) => Comparison,
): string {
	const columns = quotedList(dialect, tables.columns);
	// Values that SQL takes for equal although they differ get a second column that tells them apart.
	const told = tables.columns.flatMap((name) => {
		const quoted = dialect.quoteIdentifier(name);
		const comparison = comparisonOf(name);
		if (comparison === "float") return [`signbit(${quoted})`];
		return comparison === "text" ? [`CAST(${quoted} AS VARCHAR)`] : [];
	});
	const items = [columns, ...told.map((expression, index) => `${expression} AS told_apart_${index}`)].join(", ");
	return `INSERT INTO ${tables.target} (${columns})
SELECT ${columns} FROM (
	SELECT ${items} FROM ${tables.stage}
	EXCEPT ALL
	SELECT ${items} FROM ${tables.target} WHERE ${overlap}
)`;
}

function sameKey(dialect: Dialect, key: readonly string[]): string {
	return key.map((name) => `t.${dialect.quoteIdentifier(name)} = s.${dialect.quoteIdentifier(name)}`).join(" AND ");
}

/** SQL's equality, but for zeros with a sign, and for types whose equal values differ (an interval of 1 month and 30 days). */
function sameValue(dialect: Dialect, name: string, comparison: Comparison): string {
	const t = `t.${dialect.quoteIdentifier(name)}`;
	const s = `s.${dialect.quoteIdentifier(name)}`;
	if (comparison === "text") return `CAST(${t} AS VARCHAR) IS NOT DISTINCT FROM CAST(${s} AS VARCHAR)`;
	const same = `${t} IS NOT DISTINCT FROM ${s}`;
	return comparison === "float" ? `${same} AND signbit(${t}) IS NOT DISTINCT FROM signbit(${s})` : same;
}
