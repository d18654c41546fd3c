import { type ChangedRows, type Field, type SourceTable, sameType } from "../core/index.ts";
import type { TableTask } from "./task.ts";

/** The columns that some rows of a log have. */
export interface LoggedShape {
	readonly table: SourceTable;
	readonly columns: readonly Pick<Field, "name" | "type">[];
	/** The last transaction with such rows. */
	last: number;
}

/** Adds the columns of these rows, when they are others than those of the rows before. */
export function noteShape(shapes: LoggedShape[], { table, batch, transactions }: ChangedRows): void {
	const last = transactions[batch.rowCount - 1] ?? 0;
	const known = shapes.at(-1);
	if (known?.table === table) known.last = last;
	else shapes.push({ table, columns: batch.columns.map(({ name, type }) => ({ name, type })), last });
}

/**
 * Whether rows of this shape are older than the plan in a way that loses values: a column that they lack got values since
 * without being in them, by its default or under another name, or has another type. Where the table may be newer than
 * the log, any column that they lack would be set back.
 */
export function isOtherShape(
	{ columns }: LoggedShape,
	{ columns: planned, table }: TableTask,
	overlaps: boolean,
): boolean {
	const isStrange = columns.some(({ name }) => !table.columns.some((column) => column.name === name));
	return planned.some((column) => {
		const found = columns.find(({ name }) => name === column.name);
		if (found !== undefined) return !sameType(found.type, column.type);
		return overlaps || isStrange || !column.nullable || column.defaultSql !== undefined;
	});
}
