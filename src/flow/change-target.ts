import {
	ARCHIVE_COLUMNS,
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
const TEXTS: ColumnType = { kind: "list", element: TEXT };
const { validFrom, validTo, operation, position } = HISTORY_COLUMNS;

type Added = readonly (readonly [name: string, type: ColumnType])[];

/** How changes land in a table. */
export interface ChangeLanding {
	readonly write: ChangesWrite;
	readonly deletes: Deletes;
	/** See ARCHIVE_COLUMNS. */
	readonly beforeImages: boolean;
}

const ADDED: Readonly<Record<ChangesWrite, (landing: ChangeLanding) => Added>> = {
	merge: ({ deletes }) => (deletes === "soft" ? [[DELETED_AT_COLUMN, TIME]] : []),
	append: ({ beforeImages }) => [
		[operation, TEXT],
		[position, TEXT],
		[CHANGED_AT_COLUMN, TIME],
		...(beforeImages
			? ([
					[ARCHIVE_COLUMNS.transaction, { kind: "int64" }],
					[ARCHIVE_COLUMNS.untold, TEXTS],
				] as const)
			: []),
	],
	history: () => [
		[validFrom, TIME],
		[validTo, TIME],
		[operation, TEXT],
		[position, TEXT],
	],
};

/** Columns that following a log adds behind a table's own; no source has them. Times are those of commits. */
export function columnsAdded(landing: ChangeLanding, destination: Pick<Destination, "mapType">): TargetColumn[] {
	return ADDED[landing.write](landing).map(([name, type]) => ({
		name,
		type,
		nullable: true,
		destinationType: destination.mapType(type).destinationType,
	}));
}

/**
 * The table as changes of a log land in it: its own columns, then those of `columnsAdded`. What `append` writes of a
 * delete is no more than the log tells of it, which may be the key alone: its columns may be NULL. Of a truncation there
 * is no value at all.
 */
export function changeTarget(
	target: TargetTable,
	landing: ChangeLanding,
	destination: Pick<Destination, "mapType">,
): TargetTable {
	const { write, beforeImages } = landing;
	const told = new Set(beforeImages ? [] : target.key);
	const own =
		write === "append"
			? target.columns.map((column) => (told.has(column.name) ? column : { ...column, nullable: true }))
			: target.columns;
	return {
		...target,
		...(beforeImages ? { key: [] } : {}),
		columns: [...own, ...columnsAdded(landing, destination)],
	};
}
