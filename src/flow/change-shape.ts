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

/**
 * The task with those columns of rows of these shapes that the source no longer has and the table has kept. Null where
 * one has got another name by now, or may have: its values would be lost.
 */
export function withKept(task: TableTask, shapes: readonly LoggedShape[]): TableTask | null {
	const { columns, table, target, shape } = task;
	const logged = new Map(shapes.flatMap((of) => of.table.columns.map((column) => [column.name, column])));
	const gone = [...logged.values()].filter(({ name }) => !table.columns.some((column) => column.name === name));
	const keptOf = (name: string) => shape?.kept.find(({ source }) => source === name);
	const kept = gone.flatMap((column) => {
		const into = keptOf(column.name);
		return into === undefined ? [] : [{ column, into }];
	});
	const lacks = (of: LoggedShape) => columns.some(({ name }) => !of.columns.some((column) => column.name === name));
	if (kept.length < gone.length && shapes.some(lacks)) return null;
	if (kept.length === 0) return task;
	// Columns that are read only to be counted come last.
	const own = columns.length - (shape?.discarded.size ?? 0);
	const within = <T>(all: readonly T[], more: readonly T[]) => [...all.slice(0, own), ...more, ...all.slice(own)];
	return {
		...task,
		columns: within(
			columns,
			kept.map(({ column }) => column),
		),
		target: {
			...target,
			columns: within(
				target.columns,
				kept.map(({ into }) => into),
			),
		},
	};
}
