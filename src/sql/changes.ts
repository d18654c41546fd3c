import {
	CHANGE_ABSENT_COLUMN,
	CHANGE_BASE_COLUMN,
	CHANGE_DELETED_COLUMN,
	type ChangesWrite,
	DELETED_AT_COLUMN,
	HISTORY_COLUMNS,
} from "../core/destination.ts";
import { type Dialect, quotedList } from "./dialect.ts";
import { type MergeTables, sameKey, staged, stagedList } from "./merge.ts";

/**
 * Changes of a log by way of a stage, whose rows are in the order of the log by their row identifiers. The stage has,
 * beside the columns, those of `ChangesPart.input`; all statements are of one part's transaction, in this order:
 * `deleteAllRows`, `markAllDeleted` or `closeAllVersions` for a truncation; `deleteSuperseded`, for `merge`; `selectMasks`,
 * `countBaseMissing` or `deleteBaseMissing`, and `fillAbsent`, before any row of the target is changed; then the statements
 * of a merge, with CHANGE_DELETED_COLUMN as the flag, or `closeVersions` and `insertVersions`.
 */

/** A write that keeps rows by key, so that a row which does not tell all its columns has one to take them from. */
export type KeyedChangesWrite = Exclude<ChangesWrite, "append">;

/** A column and its place in the text of CHANGE_ABSENT_COLUMN, from 0 on. */
export interface MaskedColumn {
	readonly name: string;
	readonly place: number;
}

/** Before rows that come after a truncation: `merge`. Never TRUNCATE, which readers of old snapshots would see. */
export function deleteAllRows(target: string): string {
	return `DELETE FROM ${target}`;
}

/**
 * Before rows that come after a truncation: `merge` into a table whose deleted rows stay. `at` is canonical text of a
 * timestamptz.
 */
export function markAllDeleted(dialect: Dialect, target: string, at: string): string {
	const deletedAt = dialect.quoteIdentifier(DELETED_AT_COLUMN);
	return `UPDATE ${target} SET ${deletedAt} = CAST(${dialect.quoteLiteral(at)} AS TIMESTAMP WITH TIME ZONE) WHERE ${deletedAt} IS NULL`;
}

/** Before rows that come after a truncation: `history`. `at` is canonical text of a timestamptz. */
export function closeAllVersions(dialect: Dialect, target: string, at: string): string {
	const validTo = dialect.quoteIdentifier(HISTORY_COLUMNS.validTo);
	return `UPDATE ${target} SET ${validTo} = CAST(${dialect.quoteLiteral(at)} AS TIMESTAMP WITH TIME ZONE) WHERE ${validTo} IS NULL`;
}

/**
 * One row for each set of columns that some rows do not tell, as `mask`: see `maskedColumns`. With `append` there must be
 * none: it has no row that they could be taken from.
 */
export function selectMasks(dialect: Dialect, tables: Pick<MergeTables, "stage">, write: ChangesWrite): string {
	return `SELECT DISTINCT s.${staged(dialect, CHANGE_ABSENT_COLUMN)} AS mask FROM ${tables.stage} AS s
WHERE ${needsBase(dialect, write)}`;
}

/** The columns that any of the masks says are not told; `columns` are all of the target's, in their order. */
export function maskedColumns(masks: readonly string[], columns: readonly string[]): MaskedColumn[] {
	return columns.flatMap((name, place) => (masks.some((mask) => mask[place] === "1") ? [{ name, place }] : []));
}

/** One row: how many staged rows, as `needing`, do not tell all their columns. */
export function countNeedingBase(
	dialect: Dialect,
	tables: Pick<MergeTables, "stage">,
	write: KeyedChangesWrite,
): string {
	return `SELECT count(*) AS needing FROM ${tables.stage} AS s
WHERE ${needsBase(dialect, write)}`;
}

/** One row: how many staged rows, as `missing`, do not tell all their columns and find no row that has the others. */
export function countBaseMissing(dialect: Dialect, tables: MergeTables, write: KeyedChangesWrite): string {
	return `SELECT count(*) AS missing FROM ${tables.stage} AS s
WHERE ${isBaseMissing(dialect, tables, write)}`;
}

/** Leaves out rows that were read later than they were written. */
export function deleteBaseMissing(dialect: Dialect, tables: MergeTables, write: KeyedChangesWrite): string {
	return `DELETE FROM ${tables.stage} AS s
WHERE ${isBaseMissing(dialect, tables, write)}`;
}

/** Gives staged rows the values that they do not tell, from the target's row under the key they had before. */
export function fillAbsent(
	dialect: Dialect,
	tables: MergeTables,
	write: KeyedChangesWrite,
	columns: readonly MaskedColumn[],
): string {
	const mask = `s.${staged(dialect, CHANGE_ABSENT_COLUMN)}`;
	const assignments = columns.map(({ name, place }) => {
		const column = staged(dialect, name);
		const there = `t.${dialect.quoteIdentifier(name)}`;
		return `\n\t${column} = CASE WHEN substr(${mask}, ${place + 1}, 1) = '1' THEN ${there} ELSE s.${column} END`;
	});
	return `UPDATE ${tables.stage} AS s SET${assignments.join(",")}
FROM ${tables.target} AS t
WHERE ${needsBase(dialect, write)}
	AND ${isBase(dialect, tables, write)}`;
}

/** The column of a table of met rows that has their row identifiers. */
export const MET_ROW = "met_row";
const MET_GONE = "gone";

/**
 * The other columns of a table of met rows, and of the rows that meet: the key's, then whether it is gone at the source.
 * Where changes of which each key comes once go straight into their table, `insertMet`, `countMet` and `deleteMet` come
 * before the rows.
 */
export function metColumns(keyColumns: number): string[] {
	return [...Array.from({ length: keyColumns }, (_, place) => `key_${place}`), MET_GONE];
}

/** Notes the target's rows whose key is among the keys of `relation`. */
export function insertMet(
	dialect: Dialect,
	{ target, met, key }: { readonly target: string; readonly met: string; readonly key: readonly string[] },
	relation: string,
): string {
	const columns = metColumns(key.length);
	const same = key.map((name, place) => `t.${dialect.quoteIdentifier(name)} = s.${columns[place]}`);
	return `INSERT INTO ${met}
SELECT t.${dialect.rowIdentifier}, ${columns.map((name) => `s.${name}`).join(", ")}
FROM ${target} AS t JOIN ${relation} AS s ON ${same.join(" AND ")}`;
}

/** One row: how many `rows` were met, how many of them are `deleted` at the source, and of the others how many keys are `known`. */
export function countMet(keyColumns: number, met: string): string {
	const key = metColumns(keyColumns).slice(0, keyColumns).join(", ");
	return `SELECT count(*) AS rows, count(*) FILTER (WHERE ${MET_GONE}) AS deleted,
	(SELECT count(*) FROM (SELECT DISTINCT ${key} FROM ${met} WHERE ${MET_GONE} IS NOT TRUE)) AS known
FROM ${met}`;
}

export function deleteMet(dialect: Dialect, target: string, met: string): string {
	return `DELETE FROM ${target} WHERE ${dialect.rowIdentifier} IN (SELECT ${MET_ROW} FROM ${met})`;
}

/** Ends the current version of each staged key at its first change. */
export function closeVersions(dialect: Dialect, tables: Pick<MergeTables, "target" | "stage" | "key">): string {
	const key = stagedList(dialect, tables.key);
	const validTo = dialect.quoteIdentifier(HISTORY_COLUMNS.validTo);
	return `UPDATE ${tables.target} AS t SET ${validTo} = s._headrace_at
FROM (
	SELECT ${key}, ${staged(dialect, HISTORY_COLUMNS.validFrom)} AS _headrace_at,
		row_number() OVER (PARTITION BY ${key} ORDER BY ${dialect.rowIdentifier}) AS _headrace_place
	FROM ${tables.stage}
) AS s
WHERE s._headrace_place = 1 AND ${sameKey(dialect, tables.key)} AND t.${validTo} IS NULL`;
}

/**
 * Adds a version for each staged change that is no delete; it ends with the next change of its key. `columns` are those
 * of the stage that the target has.
 */
export function insertVersions(dialect: Dialect, tables: MergeTables): string {
	const { validFrom, validTo, operation } = HISTORY_COLUMNS;
	const key = stagedList(dialect, tables.key);
	const row = dialect.rowIdentifier;
	// Whole rows would be sorted else, many times the bytes of their keys.
	return `INSERT INTO ${tables.target} (${quotedList(dialect, [...tables.columns, validTo])})
SELECT ${stagedList(dialect, tables.columns, "s")}, n._headrace_next_at
FROM ${tables.stage} AS s JOIN (
	SELECT ${row} AS _headrace_place,
		lead(${staged(dialect, validFrom)}) OVER (PARTITION BY ${key} ORDER BY ${row}) AS _headrace_next_at
	FROM ${tables.stage}
) AS n ON s.${row} = n._headrace_place
WHERE ${isNoDelete(dialect, operation)}`;
}

/** The staged row is to be kept and does not tell all its columns. */
function needsBase(dialect: Dialect, write: ChangesWrite): string {
	const isPartial = `s.${staged(dialect, CHANGE_ABSENT_COLUMN)} IS NOT NULL`;
	if (write === "append") return isPartial;
	const isKept =
		write === "merge"
			? `NOT coalesce(s.${staged(dialect, CHANGE_DELETED_COLUMN)}, FALSE)`
			: isNoDelete(dialect, HISTORY_COLUMNS.operation);
	return `${isPartial} AND ${isKept}`;
}

function isBaseMissing(dialect: Dialect, tables: MergeTables, write: KeyedChangesWrite): string {
	return `${needsBase(dialect, write)}
	AND NOT EXISTS (SELECT 1 FROM ${tables.target} AS t WHERE ${isBase(dialect, tables, write)})`;
}

/** The target's row is the one that has what the staged row does not tell. */
function isBase(dialect: Dialect, { key }: Pick<MergeTables, "key">, write: KeyedChangesWrite): string {
	const same = key.map(
		(name, place) => `t.${dialect.quoteIdentifier(name)} = s.${staged(dialect, `${CHANGE_BASE_COLUMN}${place}`)}`,
	);
	if (write === "history") same.push(`t.${dialect.quoteIdentifier(HISTORY_COLUMNS.validTo)} IS NULL`);
	return same.join(" AND ");
}

function isNoDelete(dialect: Dialect, operation: string): string {
	return `s.${staged(dialect, operation)} <> 'delete'`;
}
