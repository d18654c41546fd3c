import type {
	ChunkCounts,
	Destination,
	EventSink,
	Field,
	FileFormat,
	LoadInterval,
	LoadRequest,
	Mode,
	PositionRow,
	Source,
	SourceColumn,
	SourceTable,
	Staging,
	TargetTable,
	TypePolicy,
	Verify,
	Write,
} from "../core/index.ts";
import type { Deletes } from "./change-target.ts";
import type { ColumnMasks } from "./mask.ts";
import type { Constants, RowShape } from "./shape-rows.ts";

/** One table of one run, planned: all that the flow needs to know. */
export interface TableTask {
	/** Name of the position row: the table, and for an interval its start. */
	readonly stream: string;
	readonly table: SourceTable;
	/** Columns that are read; the same order as the target's. Those that are read only to be counted come last. */
	readonly columns: readonly SourceColumn[];
	/** How rows become those of the table, where the source's columns are not the table's. */
	readonly shape?: RowShape;
	/** `again`: all rows are read once more and merged. `anew`: all rows are read into a new table. */
	readonly reading?: "again" | "anew";
	/** With `reading`: the table that was loaded before is not there, so that nothing of it can get lost. */
	readonly targetGone?: true;
	/** Intervals of this table that were loaded before, UTC: `reading` reads them too. */
	readonly loadedIntervals?: readonly { readonly start: string; readonly end: string }[];
	/** Columns that the table gets with this load; see LoadOverlap. */
	readonly addedColumns?: readonly string[];
	/** See LoadRequest. */
	readonly schema?: NonNullable<LoadRequest["schema"]>;
	readonly onConflict?: NonNullable<LoadRequest["onConflict"]>;
	/** Where the cut at which the table is read lies in the change log that it follows then. */
	readonly logPlace?: string;
	/** Whether changes that came after a cut, of which chunks were kept, are still applied: by its place in the log. */
	readonly keepsCut?: (logPlace: string) => boolean;
	readonly constants?: Constants;
	readonly types: TypePolicy;
	/** Columns whose values are hidden before anything else sees them. */
	readonly masks?: ColumnMasks;
	/** With mode cdc its last columns are those of `columnsAdded`. */
	readonly target: TargetTable;
	readonly mode: Mode;
	readonly write: Write;
	/** Cursor column by its source name. */
	readonly cursor?: string;
	/** Cursor column by its name in the destination. */
	readonly targetCursor?: string;
	readonly lateMs?: number;
	readonly overlapMs?: number;
	/** What deletes in a change log do; for mode cdc only. */
	readonly deletes?: Deletes;
	/** With mode cdc and write append: see ARCHIVE_COLUMNS. */
	readonly beforeImages?: true;
	/** Flag column by its name in the destination. */
	readonly deletedColumn?: string;
	readonly where?: string;
	/** UTC, `YYYY-MM-DD HH:MM:SS`; both or none. */
	readonly interval?: { readonly start: string; readonly end: string };
	readonly allowEmpty: boolean;
	/**
	 * What a run may keep of one that was killed: `auto` (the default) what is proved or caught up with by a cursor,
	 * `mixed` also ranges of the key as they were, `off` nothing.
	 */
	readonly resume?: "auto" | "mixed" | "off";
	/** Reads everything again and replaces, whatever the position says. */
	readonly fullRefresh: boolean;
	/** Names the shape of the rows: a hash of the columns and types, and of their masks. */
	readonly schemaVersion: string;
	/** Zone of cursor columns that have none. */
	readonly timezone: string;
}

/** What a table task works with. */
export interface FlowContext {
	readonly pipeline: string;
	readonly runId: string;
	readonly source: Source;
	readonly destination: Destination;
	/** Where files go between extract and load; null: batches go straight into the destination's transaction. */
	readonly staging: Staging | null;
	readonly format: FileFormat | null;
	/** Other formats, so that a sealed manifest of an earlier setting can still be loaded. */
	readonly formats: readonly FileFormat[];
	/** Which part of the work to do; `all` is extract and load. */
	readonly stage: "extract" | "load" | "all";
	/** Bytes of batches that this table may hold. */
	readonly bufferBytesMax: number;
	/** Connections that this table may read with at once. */
	readonly readers: number;
	/** Rows of a chunk of a big table; a table of four is big. By default they go by the table's size. */
	readonly chunkRows?: number;
	/** Tables that are at work at once, this one included; default 1. */
	readonly tablesAtOnce?: number;
	readonly onEvent: EventSink;
	/** Called before rows are read or loaded into a table that stays, with the form that these rows have. */
	readonly prepare?: (target: TargetTable) => Promise<void>;
	/** Checks of the rows to come. */
	readonly verify?: Verify;
	readonly signal?: AbortSignal;
}

/** What became of a table: the figures of its receipt. */
export interface TableOutcome {
	readonly rowsRead: number;
	readonly rowsStaged: number;
	readonly rowsLoaded: number;
	readonly rowsRejected: number;
	readonly rowsInserted: number;
	readonly rowsUpdated: number;
	readonly rowsDeleted: number;
	/** Rows that a newer one of the same key, which came with them, made needless; absent when there were none. */
	readonly rowsSuperseded?: number;
	readonly bytes: number;
	readonly valuesChanged: Readonly<Record<string, number>>;
	readonly position: string | null;
	/** When the table was read in chunks. */
	readonly chunks?: ChunkCounts;
	/** The position row as this task left it, so that a later task of the same stream can go on. */
	readonly row: PositionRow;
}

/** The destination's view of a task's interval. */
export function loadIntervalOf(task: TableTask): LoadInterval | undefined {
	// A table that is built anew is more than one interval's rows.
	if (task.interval === undefined || task.reading === "anew") return undefined;
	const { start, end } = task.interval;
	return task.targetCursor === undefined ? { start, end } : { column: task.targetCursor, start, end };
}

/** The task as its rows land: a table that is built anew keeps the columns that the source no longer has, empty. */
export function landingTask(task: TableTask, write: Write): TableTask {
	const kept = task.shape?.kept ?? [];
	// What `--full-refresh` makes is like the source.
	if (write !== "replace" || kept.length === 0 || task.fullRefresh) return task;
	return { ...task, target: { ...task.target, columns: [...task.target.columns, ...kept] } };
}

/** The batch's fields under their names in the destination. */
export function targetFields(task: TableTask): Field[] {
	return task.target.columns.map(({ name, type, nullable }) => ({ name, type, nullable }));
}
