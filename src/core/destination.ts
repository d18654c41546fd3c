import type { Batch, Field } from "./batch.ts";
import type { ColumnType } from "./column-type.ts";
import type { Port } from "./port.ts";
import type { RecordedColumn, RecordedSchema } from "./schema.ts";
import type { FileFormat, FormatName, ManifestFile, Staging } from "./staging.ts";
import type { Fidelity, TableName, TargetTable, Write } from "./table.ts";

/** Where tables land. */
export interface Destination extends Port {
	readonly accepts: {
		/** Takes batches straight into its own transaction, without files. */
		readonly batches: boolean;
		/** Formats it loads by itself; others are read into batches for it. */
		readonly formats: readonly FormatName[];
		/**
		 * Schemes of addresses, such as `s3`, that it reads staged files from by itself: it is given addresses then, and
		 * the files are as `fileFields` wants them. Absent: it takes batches, or files of this machine.
		 */
		readonly uriSchemes?: readonly string[];
	};
	readonly writes: readonly Write[];
	/** The kind of database, when a source of the same kind has types that are best kept as they are: see `mapType`. */
	readonly system?: string;
	/**
	 * How a type is kept here; `refused` with a note when it can't be. `native` is the source's own name of the type, when
	 * the source is of the same `system` and its values come as their own type's exact text. `declared` is the type in
	 * the DDL of whatever source there is: `varchar(50)` says how long a text can be.
	 */
	mapType(type: ColumnType, native?: string, declared?: string): TypeMapping;
	/**
	 * Whether a column of that type in the destination is one that a canonical type is kept in, where `mapType` gives
	 * one name of several that differ in size; absent when equal names say it.
	 */
	keeps?(destinationType: string, type: ColumnType): boolean;
	/**
	 * The types that a target's values have in files that the destination reads by itself, in the order of its columns;
	 * each holds every value of its column. After them comes `ROW_NUMBER_COLUMN`.
	 */
	fileFields?(target: TargetTable): readonly Field[];
	/** The name as the engine stores it: folded only where it must be. */
	foldName(name: string): string;
	/** What exists now; null when the table does not. */
	describe(table: TableName): Promise<ExistingTable | null>;
	/** DDL that `load` will run for this table, as text for `plan`; empty when nothing changes. */
	planDdl(target: TargetTable, write: Write): Promise<string[]>;
	/**
	 * Takes the pipeline's streams over: raises their epoch in one transaction, making rows that are missing, so that
	 * an older run can't commit any more. Gives each stream's position row.
	 */
	takeOver(pipeline: string, streams: readonly string[]): Promise<Map<string, PositionRow>>;
	/** Position rows of a pipeline, without taking anything over. */
	positions(pipeline: string): Promise<PositionRow[]>;
	/** The columns that loads of a pipeline recorded last, one entry a stream that has any. */
	schemas(pipeline: string): Promise<RecordedSchema[]>;
	/** Whether this load is committed: the answer to a lost COMMIT, and to whether staged files may go. */
	committed(loadId: string): Promise<boolean>;
	/**
	 * One transaction: data, load row and position by compare-and-set. Creates schema and table when missing.
	 * When it throws, nothing of it is visible.
	 * @throws E_FENCED when epoch, seq or from-position are no longer as given
	 */
	load(request: LoadRequest): Promise<LoadResult>;
	/**
	 * Puts the rows of a pipeline's tables into fewer files, without a change of any row, while readers and loads go on;
	 * absent where nothing of the kind is needed.
	 */
	compact?(request: CompactRequest): Promise<CompactedTable[]>;
	/** Nothing may load meanwhile: whoever compacts holds the pipeline. Absent: readers and loads go on. */
	readonly compactsAlone?: true;
	/** The destination's own SQL, for checks, hooks and summaries; absent where it has none. */
	readonly sql?: DestinationSql;
	/** SQL that only reads, for checks and histories; absent where `sql` does it, or nothing. */
	readonly reads?: DestinationReads;
	/** Big tables that are replaced are brought in parts, so that a run that is killed goes on with what is missing. */
	readonly parts?: DestinationParts;
	/** Takes the changes of a log; absent where only one table at a time can be loaded. */
	readonly changes?: DestinationChanges;
}

/** Takes what a change log tells: several tables in one transaction, so that readers see whole transactions only. */
export interface DestinationChanges {
	readonly writes: readonly ChangesWrite[];
	/**
	 * One transaction: the parts in their order, a row of `_headrace.loads` for the request (under the stream's name, with no
	 * rows of its own) and for each part, recorded columns, and the position by compare-and-set. A table that is missing is
	 * made; columns are added as `load` does.
	 * When it throws, nothing of it is visible.
	 * @throws E_FENCED when epoch, seq or from-position are no longer as given
	 * @throws E_BASE_MISSING when a row does not tell all its columns and the one that has the others is not there;
	 * E_KEY_REQUIRED for `merge` and `history` of a table without a key
	 */
	apply(request: ApplyRequest): Promise<ApplyResult>;
}

/** `merge` keeps the last state of each key, `append` every change as a row, `history` every version of a key. */
export type ChangesWrite = "merge" | "append" | "history";

export interface ApplyRequest extends PositionMove {
	/** None: only the position moves. A table may come more than once. */
	readonly parts: readonly ChangesPart[];
	/** Bytes of batches that may be held. */
	readonly bufferBytesMax: number;
	readonly signal?: AbortSignal;
}

/** What happened to one table, up to a change of its columns or a truncation. */
export interface ChangesPart {
	readonly loadId: string;
	/** With the columns that the write adds: HISTORY_COLUMNS, DELETED_AT_COLUMN. */
	readonly target: TargetTable;
	readonly write: ChangesWrite;
	readonly schemaVersion: string;
	/** See LoadRequest. */
	readonly schema?: NonNullable<LoadRequest["schema"]>;
	/**
	 * All rows of the table went before `input` came, when it was so: canonical text of a timestamptz. `merge` deletes
	 * them, or marks them where the target has DELETED_AT_COLUMN, `history` ends them at that time, `append` leaves them.
	 */
	readonly truncatedAt?: string;
	/**
	 * A row that does not tell all its columns, and whose base is not there, is left out: the rows were read later than
	 * it was written, and what becomes of it comes yet. It counts as superseded.
	 */
	readonly overlaps?: boolean;
	/**
	 * Rows in the order of the log. Fields are those of the target, by name and in its order, but that of HISTORY_COLUMNS
	 * `valid_to` is not among them. `merge` has CHANGE_DELETED_COLUMN after them, and of the rows of a key the last one
	 * counts. When `partial`, CHANGE_ABSENT_COLUMN and, for each column of the key, CHANGE_BASE_COLUMN follow.
	 */
	readonly input: LoadInput;
	/**
	 * Of `merge`, where no row is `partial`: each key comes once, by the bytes of its values, and all rows are on this
	 * machine already. Absent: nothing is known.
	 */
	readonly isFolded?: boolean;
	/** Some rows don't tell all their columns. With `append` nothing has what such a row does not tell: E_BASE_MISSING. */
	readonly partial: boolean;
}

/** Boolean: the key is gone; other columns need not be there. */
export const CHANGE_DELETED_COLUMN = "_headrace_deleted";
/**
 * Text: a `1` for each of the target's columns that the row does not tell, else a `0`, in their order; NULL when it tells
 * all, and of no meaning in a row that is a delete. They have the value of the table's row with the key in
 * CHANGE_BASE_COLUMN, as it is when the part begins: after the parts before it and the truncation (for `history`: its
 * version without an end).
 */
export const CHANGE_ABSENT_COLUMN = "_headrace_absent";
/** With the place of a key's column behind it, from 0 on: the key under which the table has the row's base. */
export const CHANGE_BASE_COLUMN = "_headrace_base_";
/** timestamptz: when the row was deleted at the source; NULL while it is there. */
export const DELETED_AT_COLUMN = "_headrace_deleted_at";

/** Whether rows that are deleted at the source stay, marked. */
export function keepsDeleted({ target, write }: Pick<ChangesPart, "target" | "write">): boolean {
	return write === "merge" && target.columns.some(({ name }) => name === DELETED_AT_COLUMN);
}

/**
 * What `history` adds: from and to (timestamptz, commit times; `to` NULL for the current version), the operation (text:
 * `snapshot`, `insert`, `update`, `delete`) and the position with the change's place in its flush (text). A `delete` ends
 * the version before it and is no version itself. Times never go back in the order of the log, so that each key has one
 * version at a time: whoever makes the rows sees to it. `append` adds the last two, and CHANGED_AT_COLUMN.
 */
export const HISTORY_COLUMNS = {
	validFrom: "_headrace_valid_from",
	validTo: "_headrace_valid_to",
	operation: "_headrace_operation",
	position: "_headrace_position",
} as const;
/** timestamptz: when the change was committed. */
export const CHANGED_AT_COLUMN = "_headrace_changed_at";
/**
 * What `append` adds besides for a table with before images: the number of the transaction in the order of the log
 * (int64, the same in all tables), and the names of the columns that a row does not tell (a list; NULL when it tells all).
 * Then the operation may also be `before`, or `truncate`, a row without values, and nothing is lost of what the log tells.
 */
export const ARCHIVE_COLUMNS = { transaction: "_headrace_transaction", untold: "_headrace_untold" } as const;
/**
 * Transactions of one commit have numbers of their own: those of the commit that follows the position row's `seq` begin
 * with `seq` times this.
 */
export const ARCHIVE_TRANSACTIONS_MAX = 10_000_000_000n;

export interface ApplyResult {
	/**
	 * One for each part, in their order. Of `merge`, `rowsUpdated` may count rows that are as they were. Of `history`,
	 * `rowsInserted` counts versions and `rowsUpdated` those of before that got an end; nothing is deleted.
	 */
	readonly parts: readonly LoadResult[];
}

/**
 * Rows of one load, brought part by part and kept beside the table until `load` puts them in its place. A part and its
 * record are one transaction: after a crash all of it is there, or nothing. A stream has at most one such load, bound
 * to the position row's `seq` that it follows: any load of the stream that commits ends it.
 */
export interface DestinationParts {
	/** Most parts that are worth adding at once. */
	readonly parallel: number;
	/** What the stream has begun and not ended; null when there is nothing, or nothing that can be used. */
	find(pipeline: string, stream: string): Promise<UnfinishedLoad | null>;
	/** Begins one; an earlier one is removed. @throws E_FENCED */
	begin(request: PartsRequest, plan: string): Promise<void>;
	/** `record` is asked once all rows are in, with their number. Gives that number. @throws E_FENCED */
	add(request: PartsRequest, part: NewPart): Promise<number>;
	/** Takes parts away again, rows and records. @throws E_FENCED */
	remove(request: PartsRequest, indexes: readonly number[]): Promise<void>;
	/**
	 * As `Destination.load` with `replace` and no `deletedColumn`; `rows` is what the parts hold together.
	 * @throws E_STATE when they do not hold that many: then all of it is removed
	 */
	load(request: Omit<LoadRequest, "input">, rows: number): Promise<LoadResult>;
	/** Removes the whole of it. @throws E_FENCED */
	discard(request: PartsRequest): Promise<void>;
	/** Removes what streams of the pipeline began before a time and nobody went on with. */
	sweep(pipeline: string, before: Date): Promise<void>;
}

export interface PartsRequest extends PositionExpected {
	readonly target: TargetTable;
	readonly bufferBytesMax: number;
	readonly signal?: AbortSignal;
}

export interface NewPart {
	readonly index: number;
	readonly fields: readonly Field[];
	readonly batches: AsyncIterable<Batch>;
	readonly record: (rows: number) => string;
}

export interface UnfinishedLoad {
	readonly seq: number;
	readonly plan: string;
	/** By the part's index. */
	readonly records: ReadonlyMap<number, string>;
}

export interface CompactRequest {
	readonly pipeline: string;
	/** Whether to take a table; default all that the pipeline ever loaded into. */
	readonly takes?: (table: TableName) => boolean;
	/** About what a file is to have. */
	readonly targetBytes: number;
	/** Only says what would be done. */
	readonly dryRun?: boolean;
	readonly signal?: AbortSignal;
}

export interface CompactedTable {
	readonly table: TableName;
	readonly filesBefore: number;
	readonly filesAfter: number;
	readonly bytesBefore: number;
	readonly bytesAfter: number;
	/** Rows that were put into other files. */
	readonly rows: number;
	/** Groups of files that a load changed meanwhile: they are as the load left them. */
	readonly givenUp: number;
	/** Files removed that runs which were killed had left. */
	readonly orphansRemoved: number;
	readonly seconds: number;
}

/** Rows of a query: every value as the engine's own text, NULL as null. */
export type SqlRow = Readonly<Record<string, string | null>>;

/** What a destination that speaks SQL offers beside loads. Each method commits by itself. */
export interface DestinationSql {
	readonly quoteIdentifier: (name: string) => string;
	readonly quoteLiteral: (text: string) => string;
	/** Whether a backslash escapes inside the quotes of a literal; default not. */
	readonly backslashEscapes?: boolean;
	/** The SQL name of a table. */
	relation(table: TableName): string;
	/** Rows of a query, in a transaction that only reads. */
	query(sql: string, signal?: AbortSignal): Promise<readonly SqlRow[]>;
	/** Rows of one SELECT, some at a time, in a transaction that only reads: a result may be of any size. */
	select?(sql: string, signal?: AbortSignal): AsyncIterable<readonly SqlRow[]>;
	/** All statements in one transaction, or none. */
	execute(statements: readonly string[], signal?: AbortSignal): Promise<void>;
	/**
	 * Replaces the rows of a table by those of a SELECT: built beside it in a table made LIKE it (columns, defaults,
	 * NOT NULL), verified, swapped in one transaction that keeps keys, indexes, grants and comments. A table that is
	 * missing is made with the columns of the SELECT. Readers see the old rows until the commit.
	 */
	rebuild(request: RebuildRequest): Promise<{ readonly rows: number }>;
	/** How texts are tried and made values; absent where the destination can't. */
	readonly texts?: TextCasts;
	/**
	 * Gives columns of a table other types, in one transaction: readers see the old column until the commit, and what
	 * belongs to the table stays.
	 * @throws E_CONFLICT when the table changed meanwhile; E_UNSUPPORTED when something keeps the column as it is
	 */
	retype?(request: RetypeRequest): Promise<void>;
}

/** What of a destination's SQL only reads. */
export type DestinationReads = Pick<
	DestinationSql,
	"quoteIdentifier" | "quoteLiteral" | "backslashEscapes" | "relation" | "query" | "select"
>;

/** How the destination's rows are asked for; undefined when they can't be. */
export function readsOf({ sql, reads }: Pick<Destination, "sql" | "reads">): DestinationReads | undefined {
	return sql ?? reads;
}

/** SQL that makes values of texts, exactly: nothing is rounded or guessed. `column` is a name. */
export interface TextCasts {
	/** True for a text that is no value of the type, false for one that is and for NULL; null: can't be told here. */
	fails(column: string, type: ColumnType): string | null;
	/** The value of a text that does not fail. */
	value(column: string, type: ColumnType): string;
	/** An aggregate of an expression: equal for equal values in any order, another for almost all others. */
	checksum(expression: string): string;
}

export interface RetypeRequest {
	readonly table: TableName;
	readonly columns: readonly {
		readonly name: string;
		readonly destinationType: string;
		/** SQL of the new value. */
		readonly value: string;
	}[];
	readonly verify?: Verify;
	readonly signal?: AbortSignal;
}

export interface RebuildRequest {
	readonly table: TableName;
	readonly select: string;
	readonly verify?: Verify;
	readonly signal?: AbortSignal;
}

/** Looks at new rows before anyone else can; when it throws, they never become visible. */
export type Verify = (view: NewRows) => Promise<void>;

export interface NewRows {
	/** SQL name of the table as it will be: the one that is built beside, or the table itself within the transaction. */
	readonly relation: string;
	query(sql: string): Promise<readonly SqlRow[]>;
}

export interface TypeMapping {
	readonly destinationType: string;
	readonly fidelity: Fidelity;
	readonly note?: string;
}

export interface ExistingTable {
	readonly columns: readonly { readonly name: string; readonly destinationType: string; readonly nullable: boolean }[];
	readonly key: readonly string[];
	/** An estimate. */
	readonly rows?: number;
}

/** A row of `_headrace.positions`. */
export interface PositionRow {
	readonly stream: string;
	readonly epoch: number;
	readonly seq: number;
	readonly position: string | null;
	readonly loadId: string | null;
	readonly schemaVersion: string | null;
	readonly committedAt: string | null;
}

/** What a stream's position row has to be, or the run has been fenced. */
export interface PositionExpected {
	readonly pipeline: string;
	readonly stream: string;
	readonly epoch: number;
	readonly seq: number;
	readonly fromPosition: string | null;
}

/** Moves a stream's position, in the transaction of the rows that it is of. */
export interface PositionMove extends PositionExpected {
	/** For logs of the destination's own. */
	readonly runId?: string;
	readonly loadId: string;
	readonly toPosition: string;
	readonly schemaVersion: string;
}

export interface LoadRequest extends PositionMove {
	readonly target: TargetTable;
	readonly write: Write;
	/** Newest row per key wins by this column; rows that tie: the later one read. */
	readonly orderColumn?: string;
	/** A boolean or integer column that says the row is deleted at the source: merge removes it, replace leaves it out. */
	readonly deletedColumn?: string;
	/** Rows of this interval are replaced: those whose `column` lies in [start, end), or that an earlier load of the interval tagged. */
	readonly interval?: LoadInterval;
	/**
	 * For `append` by a cursor: rows that the table has already are not added again. Of the rows that come in, those
	 * equal in all columns to a row of the table with `column >= from` are left out, each against one (a multiset
	 * difference, EXCEPT ALL); they count as superseded. So re-reading an overlap neither loses nor doubles a row.
	 * `from` null: everything is read again, and compared with every row of the table.
	 */
	readonly overlap?: LoadOverlap;
	/**
	 * Columns to record for `Destination.schemas`, in the load's transaction: a line of `_headrace.schemas`, unless the
	 * last one of the stream is equal.
	 */
	readonly schema?: { readonly stream: string; readonly columns: readonly RecordedColumn[] };
	/** A full load of no rows may replace a table that has some. */
	readonly allowEmpty?: boolean;
	/** What `merge` does with a row whose key the table has: take its values (the default), or leave the old row. */
	readonly onConflict?: "update" | "ignore";
	/**
	 * Asked in the load's transaction once all rows are in, before readers are kept out or see anything; its error is
	 * the load's.
	 */
	readonly verify?: Verify;
	readonly input: LoadInput;
	/** Bytes of batches that may be held. */
	readonly bufferBytesMax: number;
	readonly signal?: AbortSignal;
}

export interface LoadOverlap {
	readonly column: string;
	readonly from: string | null;
	/**
	 * Columns that the table gets with this load: its rows can't be equal in them. Rows of the overlap that are equal in
	 * all others are replaced, each by one, instead of left out.
	 */
	readonly added?: readonly string[];
}

export interface LoadInterval {
	/** Absent: the table gets a column `_headrace_interval` that says which interval a row came with. */
	readonly column?: string;
	/** UTC, `YYYY-MM-DD HH:MM:SS`. */
	readonly start: string;
	readonly end: string;
}

/** `fields` are in the order of the target's columns, by name. */
export type LoadInput =
	| { readonly kind: "batches"; readonly fields: readonly Field[]; readonly batches: AsyncIterable<Batch> }
	| {
			readonly kind: "files";
			readonly fields: readonly Field[];
			readonly format: FileFormat;
			/** Empty when the files are `remote`. */
			readonly localPaths: readonly string[];
			/** For a destination with `uriSchemes`; `fields` are its `fileFields`, then `ROW_NUMBER_COLUMN`. */
			readonly remote?: RemoteFiles;
	  };

/** Sealed files where they were staged. */
export interface RemoteFiles {
	readonly staging: Staging;
	readonly files: readonly ManifestFile[];
	/** What stands for NULL in files of text. */
	readonly nullText?: string;
}

export interface LoadResult {
	/** Rows that came in; the receipt compares it with the rows that were read. */
	readonly rowsReceived: number;
	readonly rowsInserted: number;
	/** Rows whose key was there already, with other values: a row that is equal to the one there counts nowhere. */
	readonly rowsUpdated: number;
	readonly rowsDeleted: number;
	/** Rows that this load did not need because a newer row of the same key came with it. */
	readonly rowsSuperseded: number;
	/** What could not be done after the commit, and is made up for by the next run; for people. */
	readonly warnings?: readonly string[];
}

export const INTERVAL_TAG_COLUMN = "_headrace_interval";

/** An int64 column of staged files that a destination reads by itself: rows by the order in which they were read. */
export const ROW_NUMBER_COLUMN = "_headrace_row";
