import { postgresDialect as dialect, quotedList } from "./dialect.ts";
import { type MergeTables, sameKey, staged, stagedList } from "./merge.ts";

/**
 * How PostgreSQL's values are compared so that only equal bytes are equal: by SQL's equality, by the text (types without
 * equality, or whose equality is loose), or by the binary form (−0 and 0, one month and thirty days).
 */
export type PostgresComparison = "value" | "text" | "float4send" | "float8send" | "interval_send";

type ComparisonOf = (column: string) => PostgresComparison;

function comparable(expression: string, comparison: PostgresComparison): string {
	if (comparison === "value") return expression;
	if (comparison === "text") return `${expression}::pg_catalog.text COLLATE pg_catalog."C"`;
	return `pg_catalog.${comparison}(${expression})`;
}

function others(tables: MergeTables): string[] {
	return tables.columns.filter((name) => !tables.key.includes(name));
}

function differs(columns: readonly string[], comparisonOf: ComparisonOf, other: (name: string) => string): string {
	return columns
		.map((name) => {
			const comparison = comparisonOf(name);
			const mine = comparable(`t.${dialect.quoteIdentifier(name)}`, comparison);
			return `${mine} IS DISTINCT FROM ${comparable(other(name), comparison)}`;
		})
		.join("\n\tOR ");
}

const stagedOf = (name: string) => `s.${staged(dialect, name)}`;

/**
 * Staged rows into a table that has a unique index on the key; a row that is equal already is not written. One row:
 * how many were inserted and how many updated. A row version that no other transaction has locked or ended has xmax 0,
 * and one that ON CONFLICT made from another has not: it carries the lock that was taken on its predecessor. Rows of a
 * partitioned table do not show it: there the keys that are new are counted by themselves, as of before the statement.
 */
export function upsertStaged(
	tables: MergeTables,
	comparisonOf: ComparisonOf,
	onConflict: "update" | "ignore" = "update",
	partitioned = false,
): string {
	const changing = others(tables);
	const key = quotedList(dialect, tables.key);
	const excluded = (name: string) => `EXCLUDED.${dialect.quoteIdentifier(name)}`;
	const action =
		onConflict === "ignore" || changing.length === 0
			? "DO NOTHING"
			: `DO UPDATE SET ${changing.map((name) => `${dialect.quoteIdentifier(name)} = ${excluded(name)}`).join(", ")}
	WHERE ${differs(changing, comparisonOf, excluded)}`;
	const insert = `INSERT INTO ${tables.target} AS t (${quotedList(dialect, tables.columns)}) OVERRIDING SYSTEM VALUE
SELECT ${stagedList(dialect, tables.columns)} FROM ${tables.stage}
ON CONFLICT (${key}) ${action}`;
	if (partitioned)
		return `WITH known AS MATERIALIZED (
SELECT count(*) AS new_keys FROM ${tables.stage} AS s
WHERE NOT EXISTS (SELECT FROM ${tables.target} AS t WHERE ${sameKey(dialect, tables.key)})), written AS (
${insert}
RETURNING 1)
SELECT new_keys AS inserted, (SELECT count(*) FROM written) - new_keys AS updated FROM known`;
	return `WITH written AS (
${insert}
RETURNING t.xmax = 0 AS is_new)
SELECT count(*) FILTER (WHERE is_new) AS inserted, count(*) FILTER (WHERE NOT is_new) AS updated FROM written`;
}

/** Rows of the target that share a staged key, from before it was one, become one. */
export function deleteRepeatedKeys(tables: MergeTables): string {
	const both = tables.key.map((name) => dialect.quoteIdentifier(name)).map((name) => `t.${name} = u.${name}`);
	return `DELETE FROM ${tables.target} AS t USING ${tables.target} AS u, ${tables.stage} AS s
WHERE ${sameKey(dialect, tables.key)} AND ${both.join(" AND ")} AND (t.tableoid, t.ctid) > (u.tableoid, u.ctid)`;
}

/** Takes away the rows that `insertUnknown` then brings with other values. */
export function deleteChanged(tables: MergeTables, comparisonOf: ComparisonOf): string {
	return `DELETE FROM ${tables.target} AS t USING ${tables.stage} AS s
WHERE ${sameKey(dialect, tables.key)} AND (${differs(others(tables), comparisonOf, stagedOf)})`;
}

/** Changes rows in place: for a table with columns that the stage does not have, or that other tables refer to. */
export function updateChanged(tables: MergeTables, comparisonOf: ComparisonOf): string {
	const changing = others(tables);
	const assignments = changing.map((name) => `${dialect.quoteIdentifier(name)} = ${stagedOf(name)}`);
	return `UPDATE ${tables.target} AS t SET ${assignments.join(", ")} FROM ${tables.stage} AS s
WHERE ${sameKey(dialect, tables.key)} AND (${differs(changing, comparisonOf, stagedOf)})`;
}

export function insertUnknown(tables: MergeTables): string {
	return `INSERT INTO ${tables.target} (${quotedList(dialect, tables.columns)}) OVERRIDING SYSTEM VALUE
SELECT ${stagedList(dialect, tables.columns, "s")} FROM ${tables.stage} AS s
WHERE NOT EXISTS (SELECT FROM ${tables.target} AS t WHERE ${sameKey(dialect, tables.key)})`;
}

export function insertAllStaged(tables: Pick<MergeTables, "target" | "stage" | "columns">): string {
	return `INSERT INTO ${tables.target} (${quotedList(dialect, tables.columns)}) OVERRIDING SYSTEM VALUE
SELECT ${stagedList(dialect, tables.columns)} FROM ${tables.stage}`;
}

/** Rows whose key did not come: a whole table is replaced where it is. */
export function deleteGone(tables: Pick<MergeTables, "target" | "stage" | "key">): string {
	return `DELETE FROM ${tables.target} AS t
WHERE NOT EXISTS (SELECT FROM ${tables.stage} AS s WHERE ${sameKey(dialect, tables.key)})`;
}

/** A flag that says deleted: true, or a number other than 0. */
export function isFlagged(expression: string, pgType: string): string {
	return pgType === "boolean" ? `coalesce(${expression}, FALSE)` : `coalesce(${expression} <> 0, FALSE)`;
}

/** The flag stands by itself, so that the planner, who knows nothing of an expression, can tell how many those are. */
export function deleteFlaggedRows(tables: Pick<MergeTables, "target" | "stage" | "key">, flag: string, pgType: string) {
	return `DELETE FROM ${tables.target} AS t USING ${tables.stage} AS s
WHERE ${sameKey(dialect, tables.key)} AND ${stagedOf(flag)}${pgType === "boolean" ? "" : " <> 0"}`;
}

export function deleteFlaggedStaged(stage: string, flag: string, pgType: string): string {
	return `DELETE FROM ${stage} WHERE ${isFlagged(staged(dialect, flag), pgType)}`;
}

/**
 * Adds staged rows but for those that the target has already within `overlap` (a condition on it), each against one:
 * EXCEPT ALL, for types that have no equality too.
 */
export function insertBeyond(
	tables: Pick<MergeTables, "target" | "stage" | "columns">,
	overlap: string,
	comparisonOf: ComparisonOf,
): string {
	const row = dialect.quoteIdentifier(dialect.rowIdentifier);
	const items = (nameOf: (column: string) => string) => comparedItems(tables.columns, nameOf, comparisonOf);
	const all = tables.columns.map((_, index) => `c${index}`).join(", ");
	return `INSERT INTO ${tables.target} (${quotedList(dialect, tables.columns)}) OVERRIDING SYSTEM VALUE
SELECT ${stagedList(dialect, tables.columns)} FROM ${tables.stage} WHERE ${row} IN (
	SELECT incoming FROM (
		SELECT incoming, count(*) FILTER (WHERE incoming IS NULL) OVER (PARTITION BY ${all}) AS there,
			row_number() OVER (PARTITION BY ${all}, incoming IS NULL) AS place
		FROM (
			SELECT ${row} AS incoming, ${items((name) => staged(dialect, name))} FROM ${tables.stage}
			UNION ALL
			SELECT NULL, ${items((name) => dialect.quoteIdentifier(name))} FROM ${tables.target} WHERE ${overlap}
		) AS both_sides
	) AS numbered WHERE incoming IS NOT NULL AND place > there
) ORDER BY ${row}`;
}

/**
 * Deletes the target's rows of an overlap that a staged row replaces: one that is equal in `compared`, each against one.
 * What is staged is inserted then, with the columns that the target's rows could not have.
 */
export function deleteReplacedRows(
	tables: Pick<MergeTables, "target" | "stage">,
	compared: readonly string[],
	overlap: string,
	comparisonOf: ComparisonOf,
): string {
	const all = compared.map((_, index) => `c${index}`).join(", ");
	return `DELETE FROM ${tables.target} AS t USING (
	SELECT part, there, count(*) FILTER (WHERE there IS NULL) OVER (PARTITION BY ${all}) AS incoming,
		row_number() OVER (PARTITION BY ${all}, there IS NULL) AS place
	FROM (
		SELECT tableoid AS part, ctid AS there, ${comparedItems(compared, (name) => dialect.quoteIdentifier(name), comparisonOf)}
		FROM ${tables.target} WHERE ${overlap}
		UNION ALL
		SELECT NULL, NULL, ${comparedItems(compared, (name) => staged(dialect, name), comparisonOf)} FROM ${tables.stage}
	) AS both_sides
) AS numbered WHERE t.tableoid = part AND t.ctid = there AND place <= incoming`;
}

function comparedItems(
	columns: readonly string[],
	nameOf: (column: string) => string,
	comparisonOf: ComparisonOf,
): string {
	return columns.map((name, index) => `${comparable(nameOf(name), comparisonOf(name))} AS c${index}`).join(", ");
}
