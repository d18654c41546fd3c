import type { Batch } from "./batch.ts";
import type { Finding, Grant } from "./port.ts";
import type { SourceTable, TableName, TypePolicy } from "./table.ts";

/**
 * What a row of a change batch is. `before` holds the row as it was and is followed at once by the `update` that
 * changed it: in the same batch, or as the first row of the table's next one. `delete` holds the row as it was, as far
 * as the log tells it: at least its key. `snapshot` is a row that was there when the table began to be followed: only an
 * archive of another log tells such.
 */
export const ChangeOperation = { insert: 1, update: 2, delete: 3, before: 4, snapshot: 5 } as const;
export type ChangeOperation = (typeof ChangeOperation)[keyof typeof ChangeOperation];

/**
 * Which rows come as `before`: those of updates that change the key, or of all updates. A consumer that keeps the last
 * state of each key needs no others, and decoding both images takes twice as long.
 */
export type BeforeImages = "key-changes" | "all";

/** A source's log of committed changes: binlog, write-ahead log, change tables. */
export interface ChangeLog {
	/**
	 * Where the log ends: everything that was committed before this call is at or before it.
	 * @throws E_LOG_SETTINGS when the log does not tell whole rows
	 */
	end(signal?: AbortSignal): Promise<string>;
	/** The oldest position that can still be read from. */
	beginning(signal?: AbortSignal): Promise<string>;
	/** Less than, equal, more than 0: whether `a` is before, at, or after `b`. Both are of this log. */
	compare(a: string, b: string): number;
	/** A position as people write it: `mysql-bin.000003:4`, `0/16B3748`. */
	format(position: string): string;
	/**
	 * What people write, as a position.
	 * @throws E_INVALID_VALUE
	 */
	parse(text: string): string;
	/**
	 * Opens the stream after `from`, having proved that the log there is the one `from` was taken of.
	 * @throws E_HISTORY_GONE when the log does not reach back to it, E_HISTORY_MISMATCH when it is another log
	 */
	open(request: ChangeRequest): Promise<ChangeStream>;
	/**
	 * How far `from` is behind, and how long it can still be read: by whoever `reader` names, where the source keeps
	 * something for its readers.
	 * @throws what `open` finds wrong with what is kept for the reader
	 */
	headroom(from: string, about?: { readonly reader?: string; readonly signal?: AbortSignal }): Promise<LogHeadroom>;
	/** Settings, rights and tables that changes would be lost by. */
	check(tables: readonly SourceTable[]): Promise<Finding[]>;
	/** The least rights for reading these tables' changes, besides those of reading their rows. Changes nothing. */
	grants?(tables: readonly TableName[]): Promise<Grant[]>;
	/**
	 * Makes what the source keeps for a reader and cuts the log: a snapshot of the cut, and the stream from it, are the
	 * whole. What was kept for the reader before is replaced. Absent where the source keeps nothing for its readers.
	 * @throws E_LOG_SETTINGS for tables whose changes it could not tell, E_RIGHTS, E_BUSY
	 */
	begin?(request: BeginRequest): Promise<LogCut>;
	/**
	 * Makes the log of a reader that has begun tell of these tables too, from now on. Absent where it tells of all.
	 * @throws E_LOG_SETTINGS, E_RIGHTS
	 */
	include?(request: BeginRequest): Promise<void>;
	/** Takes away what the source keeps for a reader: nothing can be read by it any more. Twice is harmless. */
	forget?(reader: string): Promise<void>;
}

export interface BeginRequest {
	/** See ChangeRequest. */
	readonly reader: string;
	readonly tables: readonly SourceTable[];
	/** Tables whose rows are only ever inserted, as far as this reader is concerned. */
	readonly insertsOnly?: readonly TableName[];
	readonly signal?: AbortSignal;
}

/** Where a reader's log begins. While it is not disposed, snapshots can be opened as of it. */
export interface LogCut extends AsyncDisposable {
	readonly position: string;
	/** The source's own name of the state at the cut. */
	readonly snapshot: string;
}

export interface LogHeadroom {
	readonly end: string;
	/** Bytes of log between the position and its end. */
	readonly bytesBehind: number;
	/** Seconds until the position can no longer be read, when the source tells how long it keeps its log. */
	readonly secondsLeft?: number;
	/** Bytes that the log may still grow by until then. */
	readonly bytesLeft?: number;
	/** Bytes of log that the source's disk holds for the reader: more than it is behind, while a transaction is open. */
	readonly bytesKept?: number;
}

export interface ChangeRequest {
	/** Names who reads, the same at each time: a source tells its readers apart by it. */
	readonly reader: string;
	readonly from: string;
	/** Tables whose rows are wanted, as `describe` gave them; others are passed over without decoding their rows. */
	readonly tables: readonly SourceTable[];
	readonly types: (table: TableName) => TypePolicy;
	readonly before: BeforeImages | ((table: TableName) => BeforeImages);
	/** Up to where whoever asks has all changes of a table: a source may leave them out. */
	readonly knownUntil?: (table: TableName) => string | undefined;
	/**
	 * Tables that whoever asks can read anew. Where the columns of their rows can't be known, a `ChangedSchema` without
	 * `after` that `rereads` is the last that comes of them, in place of E_SCHEMA_AMBIGUOUS.
	 */
	readonly canReadAnew?: (table: TableName) => boolean;
	/** Batches of a table are given when a set of transactions has so many rows or bytes, or is so old. */
	readonly flush: { readonly seconds: number; readonly rows: number; readonly bytes: number };
	/** Only a look: nothing is kept for the reader, and nothing that is kept for others is used up. */
	readonly looks?: boolean;
	/** Ends the stream at a boundary that is at or after this position; without it the stream waits for more. */
	readonly until?: string;
	readonly signal?: AbortSignal;
}

/** Which rows of a table come as `before`. */
export function beforeImagesOf({ before }: Pick<ChangeRequest, "before">, table: TableName): BeforeImages {
	return typeof before === "function" ? before(table) : before;
}

export interface ChangeStream extends AsyncIterable<ChangeEvent>, AsyncDisposable {
	/**
	 * Tells the source that everything up to a boundary is durable in the destination: it may forget it. Never call it
	 * before the destination's commit.
	 */
	acknowledge(position: string): Promise<void>;
}

/**
 * What a log holds, in commit order. Rows come in batches of one table, over as many transactions as fit; a boundary
 * says that all rows before it are whole transactions. Only at a boundary may anything be committed.
 */
export type ChangeEvent = ChangedRows | ChangedSchema | Truncated | ChangeBoundary;

export interface ChangedRows {
	readonly kind: "rows";
	/** As it was described when these rows were written: the batch's fields are its columns, by name. */
	readonly table: SourceTable;
	/** Whoever takes it last releases it. */
	readonly batch: Batch;
	/** A `ChangeOperation` a row. */
	readonly operations: Uint8Array;
	/** Which of the transactions since the last boundary a row is of: an index into `ChangeBoundary.transactions`. */
	readonly transactions: Uint32Array;
	/**
	 * Columns that some rows do not tell (an unchanged TOAST value, a partial row image): a bit per row, 1 = not told,
	 * least significant first; null for a column that every row tells. Absent when every row tells every column.
	 */
	readonly absent?: readonly (Uint8Array | null)[];
}

/** Whether a row tells the column at a place of its batch. */
export function isTold({ absent }: Pick<ChangedRows, "absent">, column: number, row: number): boolean {
	const bits = absent?.[column];
	return bits === undefined || bits === null || ((bits[row >> 3]! >> (row & 7)) & 1) === 0;
}

/** The columns of a table changed at this place of the log. Its rows before this had the old ones. */
export interface ChangedSchema {
	readonly kind: "schema";
	readonly before: SourceTable;
	/** Null when the table is gone. */
	readonly after: SourceTable | null;
	/**
	 * Rows may have changed without being in the log (a default for a new column, a converted type, a dropped
	 * partition): the table has to be read again.
	 */
	readonly rereads: boolean;
	/** With `rereads`: only columns that came with it got values. Absent: to be judged by what it was before and after. */
	readonly onlyAdds?: boolean;
	/** The statement's kind, for people: `alter`, `rename`, `drop`. */
	readonly statement: string;
}

/** All rows of a table went at this place of the log. */
export interface Truncated {
	readonly kind: "truncate";
	readonly table: SourceTable;
	/** See ChangedRows.transactions. */
	readonly transaction: number;
}

/** Everything before is whole transactions. Boundaries without rows come too, so that the position moves with the log. */
export interface ChangeBoundary {
	readonly kind: "boundary";
	/** After the last transaction: a stream opened from here begins with the next one. */
	readonly position: string;
	readonly transactions: readonly ChangeTransaction[];
}

export interface ChangeTransaction {
	/** After this transaction. */
	readonly position: string;
	/** Microseconds since 1970, by the source's clock. */
	readonly committedAt: bigint;
	/** The source's own name of it, when it has one: a GTID, a transaction id. */
	readonly id?: string;
	/** No transaction, but a reading of a table: its time is that of the cut, and says nothing about what comes after. */
	readonly reading?: true;
}
