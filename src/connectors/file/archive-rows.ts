import {
	ARCHIVE_COLUMNS,
	CHANGED_AT_COLUMN,
	ChangeOperation,
	HISTORY_COLUMNS,
	type SourceTable,
	sameType,
} from "../../core/index.ts";
import { duckdbType } from "../../engine/index.ts";
import { duckdbDialect } from "../../sql/index.ts";
import { pathLiteral } from "./engine-paths.ts";
import { castTo, type ParquetColumn } from "./parquet-file.ts";

const { quoteIdentifier, quoteLiteral } = duckdbDialect;
const [OPERATION, POSITION, CHANGED_AT, TRANSACTION, UNTOLD] = [
	HISTORY_COLUMNS.operation,
	HISTORY_COLUMNS.position,
	CHANGED_AT_COLUMN,
	ARCHIVE_COLUMNS.transaction,
	ARCHIVE_COLUMNS.untold,
].map(quoteIdentifier) as [string, string, string, string, string];

/** Columns of the relation that tell the place of a row. */
const FILE = '"_headrace_file"';

/** What a row of an archive is that is no row of its table: all rows went. */
export const TRUNCATE = 6;

/** Files of one table that one record names, in the order of their rows. */
export interface ArchiveFiles {
	readonly paths: readonly string[];
	/** As the engine reads them. */
	readonly columns: readonly ParquetColumn[];
}

/** Files in the order in which they were written, with what tells each row's place. */
function relationOf({ paths }: Pick<ArchiveFiles, "paths">, more = ""): string {
	return `read_parquet([${paths.map(pathLiteral).join(", ")}], binary_as_string = false, hive_partitioning = false, filename = '_headrace_file', file_row_number = true${more})`;
}

/**
 * Each transaction of some files once, in its order: the record that its file is named after, its number, position, time in
 * microseconds, and rows. `numbers`: the first and the last that are wanted; null for all.
 */
export function transactionsSql(paths: readonly string[], numbers: readonly [from: bigint, to: bigint] | null): string {
	const text = `CASE WHEN ${OPERATION} = 'truncate' THEN ${POSITION} ELSE regexp_replace(${POSITION}, '/[0-9]+$', '') END`;
	const record = `CAST(regexp_extract(${FILE}, '/since-([0-9]{12})-[^/]*$', 1) AS BIGINT)`;
	const wanted = numbers === null ? "" : ` WHERE ${TRANSACTION} BETWEEN ${numbers[0]} AND ${numbers[1]}`;
	const from = `(SELECT ${[OPERATION, POSITION, CHANGED_AT, TRANSACTION, FILE].join(", ")} FROM ${relationOf({ paths }, ", union_by_name = true")}${wanted})`;
	return `SELECT min(${record}) AS record, ${TRANSACTION} AS number, any_value(${text}) AS place, any_value(epoch_us(${CHANGED_AT})) AS micros, count(*) AS row_count
		FROM ${from} AS changes GROUP BY 2 ORDER BY 2`;
}

/** Place and time of a reading, which all of its rows have; no row when it has none. */
export function readingSql(paths: readonly string[]): string {
	return `SELECT ${POSITION} AS place, epoch_us(${CHANGED_AT}) AS micros FROM read_parquet([${paths.map(pathLiteral).join(", ")}]) LIMIT 1`;
}

/** The rows of a reading as its table describes them. */
export function readingRowsSql(files: ArchiveFiles, table: SourceTable, defaults: Defaults): string {
	return `SELECT ${items(files, table, defaults).join(", ")} FROM ${relationOf(files)} AS changes`;
}

/** SQL of constants that rows of before a column was added have in it. */
export type Defaults = Readonly<Record<string, string>>;

/**
 * Changes as their table describes them, in their order; behind them what each row is (as `ChangeOperation`, or
 * TRUNCATE), its transaction, and what it does not tell. `keyChanges`: rows before updates that leave the key as it is
 * are left out.
 */
export function changesSql(
	files: ArchiveFiles,
	table: SourceTable,
	defaults: Defaults,
	how: { readonly keyChanges: boolean; readonly from: bigint; readonly to: bigint },
): string {
	const codes = [...Object.entries(ChangeOperation), ["truncate", TRUNCATE] as const];
	const code = `CASE ${OPERATION} ${codes.map(([name, value]) => `WHEN ${quoteLiteral(name)} THEN ${value}`).join(" ")} END`;
	const has = (name: string) => files.columns.some((column) => column.name === name);
	const keys = table.primaryKey.filter(has).map(quoteIdentifier);
	const order = `ORDER BY ${FILE}, file_row_number`;
	const same = keys.map((key) => `${key} IS NOT DISTINCT FROM lead(${key}) OVER (${order})`).join(" AND ");
	const qualify = how.keyChanges
		? ` QUALIFY NOT (${OPERATION} = 'before' AND ${keys.length === 0 ? "true" : `coalesce(${same}, false)`})`
		: "";
	const own = items(files, table, defaults);
	return `SELECT ${[...own, `CAST(${code} AS UTINYINT)`, TRANSACTION, UNTOLD].join(", ")} FROM ${relationOf(files)} AS changes
		WHERE ${TRANSACTION} BETWEEN ${how.from} AND ${how.to}${qualify} ${order}`;
}

function items({ columns }: ArchiveFiles, table: SourceTable, defaults: Defaults): string[] {
	return table.columns.map(({ name, type }) => {
		const column = columns.find((other) => other.name === name);
		const quoted = quoteIdentifier(name);
		if (column === undefined) return `CAST(${defaults[name] ?? "NULL"} AS ${duckdbType(type)}) AS ${quoted}`;
		return sameType(column.type, type) ? quoted : `${castTo(quoted, column.type, type)} AS ${quoted}`;
	});
}
