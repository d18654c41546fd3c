import {
	CHANGED_AT_COLUMN,
	type ChangesWrite,
	type ColumnType,
	DELETED_AT_COLUMN,
	type Destination,
	HISTORY_COLUMNS,
	type TargetColumn,
	type TargetTable,
} from "../core/index.ts";

/** What a delete in a change log does to a table that keeps the last state of each key. */
export type Deletes = "hard" | "soft" | "ignore";

const TIME: ColumnType = { kind: "timestamptz" };
const TEXT: ColumnType = { kind: "text" };
const { validFrom, validTo, operation, position } = HISTORY_COLUMNS;

type Added = readonly (readonly [name: string, type: ColumnType])[];

const ADDED: Readonly<Record<ChangesWrite, (deletes: Deletes) => Added>> = {
	merge: (deletes) => (deletes === "soft" ? [[DELETED_AT_COLUMN, TIME]] : []),
	append: () => [
		[operation, TEXT],
		[position, TEXT],
		[CHANGED_AT_COLUMN, TIME],
	],
	history: () => [
		[validFrom, TIME],
		[validTo, TIME],
		[operation, TEXT],
		[position, TEXT],
	],
};

/** Columns that following a log adds behind a table's own; no source has them. Times are those of commits. */
export function columnsAdded(
	write: ChangesWrite,
	deletes: Deletes,
	destination: Pick<Destination, "mapType">,
): TargetColumn[] {
	return ADDED[write](deletes).map(([name, type]) => ({
		name,
		type,
		nullable: true,
		destinationType: destination.mapType(type).destinationType,
	}));
}

/**
 * The table as changes of a log land in it: its own columns, then those of `columnsAdded`. What `append` writes of a
 * delete is no more than the log tells of it, which may be the key alone: its columns may be NULL.
 */
export function changeTarget(
	target: TargetTable,
	write: ChangesWrite,
	deletes: Deletes,
	destination: Pick<Destination, "mapType">,
): TargetTable {
	const key = new Set(target.key);
	const own =
		write === "append"
			? target.columns.map((column) => (key.has(column.name) ? column : { ...column, nullable: true }))
			: target.columns;
	return { ...target, columns: [...own, ...columnsAdded(write, deletes, destination)] };
}
