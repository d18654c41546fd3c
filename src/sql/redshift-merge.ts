import { redshiftDialect as dialect, quotedList } from "./dialect.ts";

/**
 * A merge into a table of Redshift by way of a stage whose columns have the types of the files. There is no ON CONFLICT,
 * RETURNING, IS DISTINCT FROM, FILTER or row identity, and the target of DELETE and UPDATE has no alias:
 * https://docs.aws.amazon.com/redshift/latest/dg/c_unsupported-postgresql-features.html
 * https://docs.aws.amazon.com/redshift/latest/dg/t_updating-inserting-using-staging-tables-.html
 */
export interface RedshiftMerge {
	/** With its schema, quoted. */
	readonly target: string;
	/** The target's name alone, quoted: how its columns are named where it is joined. */
	readonly targetName: string;
	/** Quoted. */
	readonly stage: string;
	readonly key: readonly string[];
	readonly columns: readonly RedshiftColumn[];
}

export interface RedshiftColumn {
	readonly name: string;
	/** The target's type in capitals, without a length: `VARCHAR`, `SUPER`, `NUMERIC`. */
	readonly family: string;
	/** The staged value as one of the target's type, given the staged column. */
	readonly convert: (staged: string) => string;
}

/** Name that no table has, for joins with the stage. */
const STAGED = "_headrace_s";
const ROW = dialect.quoteIdentifier(dialect.rowIdentifier);

const quote = (name: string) => dialect.quoteIdentifier(name);
const ofTarget = (merge: RedshiftMerge, name: string) => `${merge.targetName}.${quote(name)}`;
const ofStage = ({ name, convert }: RedshiftColumn) => convert(`${STAGED}.${quote(name)}`);
const columnOf = (merge: RedshiftMerge, name: string) => merge.columns.find((column) => column.name === name)!;

/**
 * What tells values apart. Trailing blanks of VARCHAR do not count when values are compared, so the length does:
 * https://docs.aws.amazon.com/redshift/latest/dg/r_Character_types.html#r_Character_types-significance-of-trailing-blanks
 * A zero with a sign is told by its text, a SUPER by what it is written as.
 */
function distinguishing({ family }: RedshiftColumn, value: string): string[] {
	if (family === "VARCHAR" || family === "CHAR") return [value, `octet_length(${value})`];
	if (family === "REAL" || family === "DOUBLE PRECISION") return [value, `CAST(${value} AS VARCHAR)`];
	return family === "SUPER" ? [`json_serialize_to_varbyte(${value})`] : [value];
}

function equal(column: RedshiftColumn, a: string, b: string): string {
	const others = distinguishing(column, b);
	return distinguishing(column, a)
		.map((value, at) => `${value} = ${others[at]!}`)
		.join(" AND ");
}

function sameKey(merge: RedshiftMerge): string {
	return merge.key
		.map((name) => {
			const column = columnOf(merge, name);
			return equal(column, ofTarget(merge, name), ofStage(column));
		})
		.join("\n\tAND ");
}

function sameOthers(merge: RedshiftMerge): string {
	return merge.columns
		.filter(({ name }) => !merge.key.includes(name))
		.map((column) => {
			const [target, staged] = [ofTarget(merge, column.name), ofStage(column)];
			return `\n\tAND ((${equal(column, target, staged)}) OR (${target} IS NULL AND ${staged} IS NULL))`;
		})
		.join("");
}

function partition(merge: RedshiftMerge, names: readonly string[], alias = ""): string {
	return names
		.flatMap((name) => {
			const column = columnOf(merge, name);
			return distinguishing(column, column.convert(`${alias}${quote(name)}`));
		})
		.join(", ");
}

/** What statements of a merge and of changes have in common. */
export const redshiftSql = { quote, ofTarget, ofStage, columnOf, equal, sameKey, partition, STAGED, ROW } as const;

/** One row: how many rows a stage has, how many keys, and how many of the rows have NULL in the key. */
export function redshiftCountKeys(merge: RedshiftMerge): string {
	const isNull = merge.key.map((name) => `${quote(name)} IS NULL`).join(" OR ");
	return `SELECT coalesce(sum(n), 0) AS row_count, count(*) AS keys, coalesce(sum(CASE WHEN is_null = 1 THEN n ELSE 0 END), 0) AS nulls
FROM (
	SELECT count(*) AS n, max(CASE WHEN ${isNull} THEN 1 ELSE 0 END) AS is_null
	FROM ${merge.stage} GROUP BY ${partition(merge, merge.key)}
) AS grouped`;
}

/** Leaves the newest row of each key: by the order column (NULL is oldest), then the one read later. */
export function redshiftDeleteSuperseded(merge: RedshiftMerge, orderColumn: string | undefined): string {
	// There is no NULLS LAST everywhere, and NULL is the greatest of all.
	const newest = (name: string) => `CASE WHEN ${quote(name)} IS NULL THEN 1 ELSE 0 END, ${quote(name)} DESC, `;
	const order = orderColumn === undefined ? "" : newest(orderColumn);
	return `DELETE FROM ${merge.stage} WHERE ${ROW} IN (
	SELECT row_identifier FROM (
		SELECT ${ROW} AS row_identifier, row_number() OVER (PARTITION BY ${partition(merge, merge.key)} ORDER BY ${order}${ROW} DESC) AS place
		FROM ${merge.stage}
	) AS places WHERE place > 1
)`;
}

/** A flag that says deleted: true, or a number other than 0. */
function isFlagged(value: string, isBoolean: boolean): string {
	return isBoolean ? `coalesce(${value}, FALSE)` : `coalesce(${value}, 0) <> 0`;
}

export function redshiftDeleteFlagged(merge: RedshiftMerge, flag: string, isBoolean: boolean): string {
	return `DELETE FROM ${merge.target} USING ${merge.stage} AS ${STAGED}
WHERE ${sameKey(merge)} AND ${isFlagged(`${STAGED}.${quote(flag)}`, isBoolean)}`;
}

export function redshiftDeleteFlaggedStaged(merge: RedshiftMerge, flag: string, isBoolean: boolean): string {
	return `DELETE FROM ${merge.stage} WHERE ${isFlagged(quote(flag), isBoolean)}`;
}

/** One row: how many staged keys the target knows, and how many rows it has of them. */
export function redshiftCountKnown(merge: RedshiftMerge): string {
	return `SELECT count(*) AS known, coalesce(sum(n), 0) AS known_rows
FROM (
	SELECT count(*) AS n FROM ${merge.target} JOIN ${merge.stage} AS ${STAGED} ON ${sameKey(merge)}
	GROUP BY ${STAGED}.${ROW}
) AS counted`;
}

/** What is equal already is not written again: each row that Redshift deletes and inserts must be vacuumed. */
export function redshiftDeleteEqualStaged(merge: RedshiftMerge): string {
	return deleteStagedWhere(merge, `${sameKey(merge)}${sameOthers(merge)}`);
}

export function redshiftDeleteKnownStaged(merge: RedshiftMerge): string {
	return deleteStagedWhere(merge, sameKey(merge));
}

function deleteStagedWhere(merge: RedshiftMerge, condition: string): string {
	return `DELETE FROM ${merge.stage} WHERE ${ROW} IN (
	SELECT ${STAGED}.${ROW} FROM ${merge.stage} AS ${STAGED} JOIN ${merge.target} ON ${condition}
)`;
}

/** The first half of a replacement of rows; the second is `redshiftInsertStaged`. */
export function redshiftDeleteKnown(merge: RedshiftMerge): string {
	return `DELETE FROM ${merge.target} USING ${merge.stage} AS ${STAGED}\nWHERE ${sameKey(merge)}`;
}

/** Changes rows where they are: for a table with columns that the stage does not have, which keep their values. */
export function redshiftUpdateKnown(merge: RedshiftMerge): string {
	const assignments = merge.columns
		.filter(({ name }) => !merge.key.includes(name))
		.map((column) => `${quote(column.name)} = ${ofStage(column)}`);
	return `UPDATE ${merge.target} SET ${assignments.join(", ")}
FROM ${merge.stage} AS ${STAGED} WHERE ${sameKey(merge)}`;
}

/** All staged rows into a table; `into` when it is another than the merge's target. */
export function redshiftInsertStaged(merge: RedshiftMerge, into = merge.target, where = ""): string {
	const names = merge.columns.map(({ name }) => name);
	return `INSERT INTO ${into} (${quotedList(dialect, names)})
SELECT ${merge.columns.map(ofStage).join(", ")} FROM ${merge.stage} AS ${STAGED}${where === "" ? "" : `\nWHERE ${where}`}`;
}

/**
 * Adds staged rows but for those that the target has already within `overlap` (a condition on it), each against one:
 * EXCEPT ALL, which Redshift has not.
 */
export function redshiftInsertBeyond(merge: RedshiftMerge, overlap: string): string {
	const both = [
		`SELECT ${ROW} AS incoming, ${comparedItems(merge, merge.columns, true)} FROM ${merge.stage}`,
		`SELECT CAST(NULL AS BIGINT), ${comparedItems(merge, merge.columns, false)} FROM ${merge.target} WHERE ${overlap}`,
	].join("\n\t\t\tUNION ALL\n\t\t\t");
	const all = comparedNames(merge.columns);
	return redshiftInsertStaged(
		merge,
		merge.target,
		`${STAGED}.${ROW} IN (
	SELECT incoming FROM (
		SELECT incoming, sum(CASE WHEN incoming IS NULL THEN 1 ELSE 0 END) OVER (PARTITION BY ${all}) AS there,
			row_number() OVER (PARTITION BY ${all}, CASE WHEN incoming IS NULL THEN 1 ELSE 0 END ORDER BY incoming) AS place
		FROM (
			${both}
		) AS both_sides
	) AS numbered WHERE incoming IS NOT NULL AND place > there
)`,
	);
}

/**
 * The target's rows of an overlap without those that a staged row replaces: one that is equal in `compared`, each
 * against one. They are put aside, since a row of Redshift has nothing that names it; `columns` are all of the table's.
 */
export function redshiftKeepUnreplaced(
	merge: RedshiftMerge,
	kept: { readonly table: string; readonly columns: readonly string[] },
	compared: ReadonlySet<string>,
	overlap: string,
): string {
	const columns = merge.columns.filter(({ name }) => compared.has(name));
	const all = comparedNames(columns);
	const names = kept.columns.map(quote);
	const nulls = kept.columns.map(() => "NULL").join(", ");
	return `CREATE TEMPORARY TABLE ${kept.table} AS
SELECT ${names.join(", ")} FROM (
	SELECT is_there, ${names.map((name) => `there.${name}`).join(", ")},
		sum(CASE WHEN is_there = 0 THEN 1 ELSE 0 END) OVER (PARTITION BY ${all}) AS incoming,
		row_number() OVER (PARTITION BY ${all}, is_there ORDER BY is_there) AS place
	FROM (
		SELECT 1 AS is_there, ${comparedItems(merge, columns, false)}, ${names.join(", ")} FROM ${merge.target} WHERE ${overlap}
		UNION ALL
		SELECT 0, ${comparedItems(merge, columns, true)}, ${nulls} FROM ${merge.stage}
	) AS there
) AS numbered WHERE is_there = 1 AND place > incoming`;
}

function comparedNames(columns: readonly RedshiftColumn[]): string {
	return columns.flatMap((column, at) => distinguishing(column, "").map((_, part) => `c${at}_${part}`)).join(", ");
}

function comparedItems(merge: RedshiftMerge, columns: readonly RedshiftColumn[], staged: boolean): string {
	return columns
		.flatMap((column, at) => {
			const name = quote(column.name);
			const value = staged ? column.convert(name) : ofTarget(merge, column.name);
			return distinguishing(column, value).map((expression, part) => `${expression} AS c${at}_${part}`);
		})
		.join(", ");
}
