import { CHANGE_ABSENT_COLUMN, CHANGE_BASE_COLUMN, CHANGE_DELETED_COLUMN } from "../core/destination.ts";
import { quotedList, snowflakeDialect } from "./dialect.ts";
import type { MergeTables } from "./merge.ts";

const quote = (name: string): string => snowflakeDialect.quoteIdentifier(name);
const list = (names: readonly string[], alias?: string): string => quotedList(snowflakeDialect, names, alias);
const ROW = quote(snowflakeDialect.rowIdentifier);
/** Names that no folded column has. */
const NEXT_AT = quote("_headrace_next_at");

/** In a stage whose rows are whole: false for a row that does not tell all its columns and found none that has them. */
export const SNOWFLAKE_IS_WHOLE = "_headrace_is_whole";

/** What a table of versions calls the columns that it has for them. */
export interface SnowflakeVersions {
	readonly validFrom: string;
	readonly validTo: string;
	readonly operation: string;
}

/** Gives all rows that have none a time in a column: `at` is canonical text of a timestamptz. */
export function snowflakeMarkAll(target: string, column: string, at: string): string {
	const name = quote(column);
	return `UPDATE ${target} SET ${name} = CAST(${snowflakeDialect.quoteLiteral(at)} AS TIMESTAMP_TZ(6)) WHERE ${name} IS NULL`;
}

/** One row: how many rows of a stage do not tell all their columns, as `missing`: with `append` there must be none. */
export function snowflakeCountPartial(stage: string): string {
	return `SELECT count(${quote(CHANGE_ABSENT_COLUMN)}) AS MISSING FROM ${stage}`;
}

/**
 * The rows of a stage, whole: columns that a row does not tell are those of the target's row under the key that it had
 * before. `whole` is a table like the stage, with SNOWFLAKE_IS_WHOLE. With `versions` the target's current ones are
 * looked at and all rows are kept; else the last of each key. `columns` are all of the target's, in the order of the mask.
 */
export function snowflakeFillAbsent(
	tables: MergeTables,
	whole: string,
	columns: readonly string[],
	versions: SnowflakeVersions | null,
): string {
	const { target, stage, key } = tables;
	const mask = `s.${quote(CHANGE_ABSENT_COLUMN)}`;
	const values = tables.columns.map((name) => {
		if (key.includes(name)) return `s.${quote(name)}`;
		const place = columns.indexOf(name) + 1;
		return `CASE WHEN SUBSTR(${mask}, ${place}, 1) = '1' THEN t.${quote(name)} ELSE s.${quote(name)} END`;
	});
	const flag = versions === null ? [CHANGE_DELETED_COLUMN] : [];
	const isKept =
		versions === null
			? `NOT coalesce(s.${quote(CHANGE_DELETED_COLUMN)}, FALSE)`
			: `s.${quote(versions.operation)} <> 'delete'`;
	const needsBase = `${mask} IS NOT NULL AND ${isKept}`;
	const isBase = key.map((name, place) => `t.${quote(name)} = s.${quote(`${CHANGE_BASE_COLUMN}${place}`)}`);
	if (versions !== null) isBase.push(`t.${quote(versions.validTo)} IS NULL`);
	const last = `SELECT * FROM ${stage} QUALIFY row_number() OVER (PARTITION BY ${list(key)} ORDER BY ${ROW} DESC) = 1`;
	const carried = [...flag, snowflakeDialect.rowIdentifier];
	return `INSERT INTO ${whole} (${list([...tables.columns, ...carried, SNOWFLAKE_IS_WHOLE])})
SELECT ${[...values, list(carried, "s")].join(",\n\t")},
	NOT (${needsBase} AND t.${quote(key[0]!)} IS NULL)
FROM (${versions === null ? last : `SELECT * FROM ${stage}`}) AS s LEFT JOIN ${target} AS t
	ON ${[needsBase, ...isBase].join("\n\tAND ")}`;
}

/** One row: how many rows `snowflakeFillAbsent` found nothing for, as `missing`. */
export function snowflakeCountUnfilled(whole: string): string {
	return `SELECT count(*) AS MISSING FROM ${whole} WHERE NOT ${quote(SNOWFLAKE_IS_WHOLE)}`;
}

/** Leaves out rows that were read later than they were written. */
export function snowflakeDeleteUnfilled(whole: string): string {
	return `DELETE FROM ${whole} WHERE NOT ${quote(SNOWFLAKE_IS_WHOLE)}`;
}

/**
 * Ends the current version of each staged key at its first change: a MERGE, since the target of an UPDATE has no alias.
 * https://docs.snowflake.com/en/sql-reference/sql/update
 */
export function snowflakeCloseVersions(
	{ target, stage, key }: Pick<MergeTables, "target" | "stage" | "key">,
	{ validFrom, validTo }: SnowflakeVersions,
): string {
	const same = key.map((name) => `t.${quote(name)} = s.${quote(name)}`).join(" AND ");
	return `MERGE INTO ${target} AS t USING (
	SELECT ${list([...key, validFrom])} FROM ${stage}
	QUALIFY row_number() OVER (PARTITION BY ${list(key)} ORDER BY ${ROW}) = 1
) AS s ON ${same} AND t.${quote(validTo)} IS NULL
WHEN MATCHED THEN UPDATE SET ${quote(validTo)} = s.${quote(validFrom)}`;
}

/** Adds a version for each staged change that is no delete; it ends with the next change of its key. */
export function snowflakeInsertVersions(
	{ target, stage, key, columns }: MergeTables,
	{ validFrom, validTo, operation }: SnowflakeVersions,
): string {
	return `INSERT INTO ${target} (${list([...columns, validTo])})
SELECT ${list(columns, "s")}, s.${NEXT_AT} FROM (
	SELECT *, lead(${quote(validFrom)}) OVER (PARTITION BY ${list(key)} ORDER BY ${ROW}) AS ${NEXT_AT} FROM ${stage}
) AS s
WHERE s.${quote(operation)} <> 'delete'`;
}
