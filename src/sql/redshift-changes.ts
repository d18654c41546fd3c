import {
	CHANGE_ABSENT_COLUMN,
	CHANGE_BASE_COLUMN,
	CHANGE_DELETED_COLUMN,
	HISTORY_COLUMNS,
} from "../core/destination.ts";
import type { KeyedChangesWrite } from "./changes.ts";
import { redshiftDialect as dialect, quotedList } from "./dialect.ts";
import { type RedshiftMerge, redshiftSql } from "./redshift-merge.ts";

const { quote, ofTarget, ofStage, columnOf, equal, sameKey, partition, STAGED, ROW } = redshiftSql;

/** In a stage whose rows are whole: false for a row that does not tell all its columns and found none that has them. */
export const REDSHIFT_IS_WHOLE = "_headrace_is_whole";

/** One row: how many rows of a stage say that their key is gone, as `flagged`. */
export function redshiftCountFlagged(stage: string): string {
	return `SELECT count(*) AS flagged FROM ${stage} WHERE ${quote(CHANGE_DELETED_COLUMN)}`;
}

/** One row: how many rows of a stage do not tell all their columns, as `missing`: with `append` there must be none. */
export function redshiftCountPartial(stage: string): string {
	return `SELECT count(${quote(CHANGE_ABSENT_COLUMN)}) AS missing FROM ${stage}`;
}

/**
 * The rows of a stage, whole: columns that a row does not tell are those of the target's row under the key that it had
 * before. `whole` is a table with the target's types, CHANGE_DELETED_COLUMN for `merge`, the row number, and
 * REDSHIFT_IS_WHOLE. They go into another table, since a stage has the types of files, which need not hold the target's
 * values. `columns` are all of the target's by their names, in the order of the mask.
 */
export function redshiftFillAbsent(
	merge: RedshiftMerge,
	whole: string,
	write: KeyedChangesWrite,
	columns: readonly string[],
): string {
	const places = new Map(columns.map((name, place) => [name, place + 1]));
	const mask = `${STAGED}.${quote(CHANGE_ABSENT_COLUMN)}`;
	const values = merge.columns.map((column) => {
		const staged = ofStage(column);
		if (merge.key.includes(column.name)) return staged;
		const place = places.get(column.name);
		return `CASE WHEN substring(${mask}, ${place}, 1) = '1' THEN ${ofTarget(merge, column.name)} ELSE ${staged} END`;
	});
	const flag = write === "merge" ? [CHANGE_DELETED_COLUMN] : [];
	const isKept =
		write === "merge"
			? `NOT coalesce(${STAGED}.${quote(CHANGE_DELETED_COLUMN)}, FALSE)`
			: `${STAGED}.${quote(HISTORY_COLUMNS.operation)} <> 'delete'`;
	const needsBase = `${mask} IS NOT NULL AND ${isKept}`;
	const isBase = merge.key.map((name, place) => {
		const column = columnOf(merge, name);
		const base = column.convert(`${STAGED}.${quote(`${CHANGE_BASE_COLUMN}${place}`)}`);
		return equal(column, ofTarget(merge, name), base);
	});
	if (write === "history") isBase.push(`${ofTarget(merge, HISTORY_COLUMNS.validTo)} IS NULL`);
	const names = [...merge.columns.map(({ name }) => name), ...flag, dialect.rowIdentifier, REDSHIFT_IS_WHOLE];
	return `INSERT INTO ${whole} (${quotedList(dialect, names)})
SELECT ${[...values, ...flag.map((name) => `${STAGED}.${quote(name)}`), `${STAGED}.${ROW}`].join(",\n\t")},
	NOT (${needsBase} AND ${ofTarget(merge, merge.key[0]!)} IS NULL)
FROM ${merge.stage} AS ${STAGED} LEFT JOIN ${merge.target}
	ON ${[needsBase, ...isBase].join("\n\tAND ")}`;
}

/** One row: how many rows `redshiftFillAbsent` found nothing for, as `missing`. */
export function redshiftCountUnfilled(whole: string): string {
	return `SELECT count(*) AS missing FROM ${whole} WHERE NOT ${quote(REDSHIFT_IS_WHOLE)}`;
}

/** Leaves out rows that were read later than they were written. */
export function redshiftDeleteUnfilled(whole: string): string {
	return `DELETE FROM ${whole} WHERE NOT ${quote(REDSHIFT_IS_WHOLE)}`;
}

/** Ends the current version of each staged key at its first change. */
export function redshiftCloseVersions(merge: RedshiftMerge): string {
	const { validFrom, validTo } = HISTORY_COLUMNS;
	return `UPDATE ${merge.target} SET ${quote(validTo)} = ${STAGED}.${quote(validFrom)}
FROM (
	SELECT ${quotedList(dialect, [...merge.key, validFrom])},
		row_number() OVER (PARTITION BY ${partition(merge, merge.key)} ORDER BY ${ROW}) AS place
	FROM ${merge.stage}
) AS ${STAGED}
WHERE ${STAGED}.place = 1
	AND ${sameKey(merge)}
	AND ${ofTarget(merge, validTo)} IS NULL`;
}

/** Adds a version for each staged change that is no delete; it ends with the next change of its key. */
export function redshiftInsertVersions(merge: RedshiftMerge): string {
	const { validFrom, validTo, operation } = HISTORY_COLUMNS;
	const names = [...merge.columns.map(({ name }) => name), validTo];
	return `INSERT INTO ${merge.target} (${quotedList(dialect, names)})
SELECT ${merge.columns.map(ofStage).join(", ")}, following.next_at
FROM ${merge.stage} AS ${STAGED} JOIN (
	SELECT ${ROW} AS place,
		lead(${quote(validFrom)}) OVER (PARTITION BY ${partition(merge, merge.key)} ORDER BY ${ROW}) AS next_at
	FROM ${merge.stage}
) AS following ON following.place = ${STAGED}.${ROW}
WHERE ${STAGED}.${quote(operation)} <> 'delete'`;
}
