import { ARCHIVE_COLUMNS, CHANGED_AT_COLUMN, HISTORY_COLUMNS } from "../../core/index.ts";
import type { TableRecord } from "./table-record.ts";

/** Columns that a table has besides its own when all that a log tells of it is kept. */
export const ADDED_COLUMNS: ReadonlySet<string> = new Set([
	HISTORY_COLUMNS.operation,
	HISTORY_COLUMNS.position,
	CHANGED_AT_COLUMN,
	ARCHIVE_COLUMNS.transaction,
	ARCHIVE_COLUMNS.untold,
]);

/** Whether the log that a table followed can be read from it again. */
export function isArchive({ columns }: Pick<TableRecord, "columns">): boolean {
	const names = new Set(columns.map(({ name }) => name));
	return [...ADDED_COLUMNS].every((name) => names.has(name));
}
