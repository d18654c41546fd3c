import type {
	Destination,
	EventSink,
	FileFormat,
	LoadInterval,
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
import type { ColumnMasks } from "./mask.ts";

/** One table of one run, planned: all that the flow needs to know. */
export interface TableTask {
	/** Name of the position row: the table, and for an interval its start. */
	readonly stream: string;
	readonly table: SourceTable;
	/** Columns that are read; the same order as the target's. */
	readonly columns: readonly SourceColumn[];
	readonly types: TypePolicy;
	/** Columns whose values are hidden before anything else sees them. */
	readonly masks?: ColumnMasks;
	readonly target: TargetTable;
	readonly mode: Mode;
	readonly write: Write;
	/** Cursor column by its source name. */
	readonly cursor?: string;
	/** Cursor column by its name in the destination. */
	readonly targetCursor?: string;
	readonly lateMs?: number;
	readonly overlapMs?: number;
	/** Flag column by its name in the destination. */
	readonly deletedColumn?: string;
	readonly where?: string;
	/** UTC, `YYYY-MM-DD HH:MM:SS`; both or none. */
	readonly interval?: { readonly start: string; readonly end: string };
	readonly allowEmpty: boolean;
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
	readonly onEvent: EventSink;
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
	readonly bytes: number;
	readonly valuesChanged: Readonly<Record<string, number>>;
	readonly position: string | null;
	/** The position row as this task left it, so that a later task of the same stream can go on. */
	readonly row: PositionRow;
}

/** The destination's view of a task's interval. */
export function loadIntervalOf(task: TableTask): LoadInterval | undefined {
	if (task.interval === undefined) return undefined;
	const { start, end } = task.interval;
	return task.targetCursor === undefined ? { start, end } : { column: task.targetCursor, start, end };
}
