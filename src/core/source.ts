import type { Batch, BatchPool } from "./batch.ts";
import type { ChangeLog, LogCut } from "./changes.ts";
import type { Port } from "./port.ts";
import type { SourceColumn, SourceTable, TableName, TypePolicy } from "./table.ts";

/** A named query of a pipeline, its templates filled in. */
export interface QueryRequest {
	readonly name: TableName;
	readonly query: string;
}

/** A table by name, a query, with the policy for its types. */
export interface DescribeRequest {
	readonly table: TableName | QueryRequest;
	readonly types: TypePolicy;
	/** As the change log tells it, where that is not how its rows are read: the table that an archive of changes is of. */
	readonly forLog?: true;
}

/** Where tables are read from. */
export interface Source extends Port {
	/** The kind of database; see Destination.mapType. */
	readonly system?: string;
	/** Schema of a name written without one. */
	readonly defaultSchema: string;
	/** Whether `describe` and `read` take SQL text. */
	readonly queries: boolean;
	/** How SQL text literals of a query template are quoted. */
	readonly quoteString: (text: string) => string;
	/** Whether a backslash escapes inside the quotes of a query's literal. */
	readonly backslashEscapes: boolean;
	/** Every table and view the user can see, system schemas excepted. */
	listTables(): Promise<TableName[]>;
	/**
	 * Columns, types, keys and estimates, in the order of the requests.
	 * @throws E_UNKNOWN_TABLE, E_RIGHTS
	 */
	describe(requests: readonly DescribeRequest[]): Promise<SourceTable[]>;
	/**
	 * One consistent cut of the whole source without locks. `readers` is the most reads wanted at once; the
	 * snapshot says how many it could open on the same cut. `cut`: one that the source's change log has made.
	 */
	snapshot(options: {
		readonly readers: number;
		readonly cut?: Pick<LogCut, "snapshot">;
		/**
		 * `logPlace` will be asked: a source whose cuts don't tell it notes its log's place before it opens them. `exact`:
		 * it looks for a moment at which nothing is committed, for half a minute at most.
		 */
		readonly forLog?: boolean | "exact";
		readonly signal?: AbortSignal;
	}): Promise<Snapshot>;
	/** Statements of a pipeline's hooks, all in one transaction; absent where the source has no SQL. */
	execute?(statements: readonly string[], signal?: AbortSignal): Promise<void>;
	/** The log of its changes; absent where it keeps none that can be read. */
	readonly changeLog?: ChangeLog;
}

/** Reads of one moment. All its reads see the same committed state, as far as the engine of each table can. */
export interface Snapshot extends AsyncDisposable {
	/** How many reads may go on at once; more wait for their turn. */
	readonly readers: number;
	/** The source's clock at the cut, UTC, `YYYY-MM-DD HH:MM:SS.ffffff`. */
	readonly clock: string;
	/**
	 * Marks that order transactions, when the user may see them: all that were open at this cut began after an earlier
	 * cut K when `oldestOpen >= K.now` and the kinds are equal. `oldestOpen === now` says that none was open.
	 * `clock` marks are microseconds since 1970 by the server's clock (PostgreSQL `xact_start`, InnoDB `trx_started`)
	 * and see transactions that have not written yet; `xid` marks (pg_current_snapshot) see only those that have.
	 * A cursor filled by PostgreSQL's now() holds the transaction's start, so `clock` is the one to prefer.
	 */
	readonly transactions?: TransactionMarks;
	/**
	 * What it takes to see open transactions, when the source has some and does not show them to this user: a run says
	 * so, since rows that commit late may be missed.
	 */
	readonly transactionsHidden?: string;
	/** Where the cut lies in the source's change log, when it keeps one and the cut was not made by the log. */
	logPlace?(): Promise<LogPlace>;
	/** Highest value of a cursor column as canonical text, null when there is none; NULLs are counted. */
	cursorMax(table: SourceTable, column: string): Promise<{ readonly max: string | null; readonly nulls: number }>;
	/**
	 * Ranges that together are the table, each of about `rows` rows; one chunk when it cannot be split. `byKey`: only
	 * ranges of the key will do, since they may be read at several cuts.
	 */
	split(table: SourceTable, options: { readonly rows: number; readonly byKey?: boolean }): Promise<Chunk[]>;
	/**
	 * What a later snapshot needs to prove by `unchanged` that rows which this one reads are still the table's. Null when
	 * nothing could prove it.
	 */
	tableState?(table: SourceTable): Promise<string | null>;
	/**
	 * Whether a read of the chunk at this cut would give the very rows that it gave at an earlier one. False whenever
	 * that is not proved.
	 */
	unchanged?(request: UnchangedRequest): Promise<boolean>;
	/** For sources of files: the table's files with a stamp that changes when the file does. */
	fileStamps?(table: SourceTable): Promise<readonly { readonly name: string; readonly stamp: string }[]>;
	/** The rows, as batches that the caller releases. Breaking out of the loop or aborting ends the read at the source. */
	read(request: ReadRequest): AsyncIterable<Batch>;
}

/** A cut's place in the change log: what was committed up to `position` is in the cut. */
export interface LogPlace {
	readonly position: string;
	/** Nothing that was committed after `position` is in the cut; else some of it may be. */
	readonly exact: boolean;
	/** When it is not exact: nothing that was committed after this place is in the cut. */
	readonly until?: string;
	/** Once the cut stood, in microseconds since 1970 by the source's clock, and no finer than the log tells commits. */
	readonly at?: bigint;
}

export interface TransactionMarks {
	readonly kind: "clock" | "xid";
	readonly now: bigint;
	readonly oldestOpen: bigint;
}

/** A half-open or closed range of a cursor column; values are canonical text and are bound by the source as its type. */
export interface Window {
	readonly column: string;
	/** Included; null or absent: no lower bound. */
	readonly from?: string | null;
	readonly to?: string | null;
	readonly toIncluded?: boolean;
}

/** A range of a table, whose bounds only the source understands. */
export interface Chunk {
	readonly index: number;
	/** The source's own condition; absent when the chunk is the whole table. */
	readonly condition?: string;
	/** Its rows are chosen by the primary key alone: a row stays in its chunk for as long as its key is the same. */
	readonly byKey?: boolean;
}

export interface UnchangedRequest {
	readonly table: SourceTable;
	readonly chunk: Chunk;
	/** `tableState` of the cut at which the chunk was read. */
	readonly since: string;
	/** Rows that the chunk had then. */
	readonly rows: number;
}

export interface ReadRequest {
	readonly table: SourceTable;
	/** Columns to read, a subset of the table's, in this order; they are the batch's fields. */
	readonly columns: readonly SourceColumn[];
	readonly types: TypePolicy;
	readonly window?: Window;
	readonly chunk?: Chunk;
	/** For sources of files: read only these, by the names of `fileStamps`. */
	readonly files?: readonly string[];
	/** An expert's own condition, raw SQL from the pipeline file. */
	readonly where?: string;
	readonly signal?: AbortSignal;
	/** Most bytes of batches that wait to be taken before the source is paused. */
	readonly bufferBytesMax?: number;
	/** Where to take batches from, with `columns` as its fields: reads of several chunks share their memory by it. */
	readonly pool?: BatchPool;
}
