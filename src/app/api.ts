import type { CheckedPipeline } from "../config/index.ts";
import type {
	AlertEntry,
	AlertEvent,
	CompactedTable,
	EventSink,
	Fidelity,
	Finding,
	Grant,
	HeadraceError,
	RunOrigin,
	RunReceipt,
	SchemaChange,
	SqlRow,
	StoredPosition,
} from "../core/index.ts";

/** What the command line and a library user can ask for; `openApp` gives one. */
export interface App extends AsyncDisposable {
	/** The folder of the project: `.headrace/` is in it. */
	readonly directory: string;
	run(pipeline: CheckedPipeline, options: RunOptions): Promise<RunReceipt[]>;
	backfill(pipeline: CheckedPipeline, options: BackfillOptions): Promise<RunReceipt[]>;
	/** Intervals that `backfill` would run, oldest first. */
	backfillIntervals(pipeline: CheckedPipeline, options: BackfillOptions): Promise<RunInterval[]>;
	plan(pipeline: CheckedPipeline, options: PlanOptions): Promise<Plan>;
	check(pipeline: CheckedPipeline): Promise<CheckReport>;
	/** The least rights that the pipeline needs, ready to paste. */
	grants(pipeline: CheckedPipeline): Promise<GrantReport>;
	/** Puts small files of a lake's tables together, while loads and readers go on. */
	compact(pipeline: CheckedPipeline, options: CompactOptions): Promise<CompactedTable[]>;
	tasks(pipeline: CheckedPipeline): Promise<TaskSummary[]>;
	status(pipeline: CheckedPipeline): Promise<StatusReport>;
	/**
	 * Pauses, resumes or reads anew tables that follow a change log, or moves the place that it is read from. A process
	 * of this project that follows it does so itself and goes on; one elsewhere is fenced off.
	 */
	changePosition(
		pipeline: CheckedPipeline,
		request: PositionRequest,
		options?: { readonly signal?: AbortSignal },
	): Promise<PositionChanged>;
	/** Holds a pipeline, or lets it go on. What follows its change log ends, cleanly. */
	pause(pipeline: CheckedPipeline, paused: boolean): Promise<PauseReport>;
	/** The rows of a table of write history as they stood at a time: ISO 8601 with a zone. */
	history(
		pipeline: CheckedPipeline,
		table: string,
		asOf: string,
		options?: { readonly signal?: AbortSignal },
	): Promise<HistoryRows>;
	/** A few rows of a table that was loaded, by its name in the source, every value masked. */
	sample(pipeline: CheckedPipeline, table: string, options?: { readonly signal?: AbortSignal }): Promise<SampleRows>;
	/** What the destination says of how far each stream was read. */
	positions(pipeline: CheckedPipeline): Promise<StateReport>;
	/** Tells the channels which tables are late, and what they could not be told before: what was sent or tried. */
	alert(pipeline: CheckedPipeline, options?: { readonly signal?: AbortSignal }): Promise<AlertDelivery[]>;
	/** Sends a test through each channel. */
	alertTest(pipeline: CheckedPipeline, options?: { readonly signal?: AbortSignal }): Promise<AlertDelivery[]>;
}

/** What became of one message to one channel. */
export interface AlertDelivery {
	readonly channel: string;
	readonly event: AlertEvent | "test";
	/** E_ALERT; null when the channel took it. */
	readonly error: HeadraceError | null;
}

/** Something that a channel is still to be told. */
export interface WaitingAlert {
	readonly channel: string;
	readonly event: AlertEvent;
	/** Null: the run as a whole. */
	readonly table: string | null;
	readonly run_id: string | null;
	readonly since: string;
	/** Why it could not be sent; null when it was not tried yet. */
	readonly failure: string | null;
}

export function waitingAlert({ channel, event, table, runId, firstAt, failure }: AlertEntry): WaitingAlert {
	return { channel, event, table: table === "" ? null : table, run_id: runId, since: firstAt, failure };
}

export interface RunInterval {
	/** UTC, ISO 8601 with Z; included. */
	readonly start: string;
	/** Excluded. */
	readonly end: string;
}

export interface PlanOptions {
	/** Tables to take, by source or destination name or pattern; all when absent. */
	readonly tables?: readonly string[];
	readonly params?: Readonly<Record<string, string>>;
	readonly interval?: RunInterval;
	readonly fullRefresh?: boolean;
	readonly concurrency?: number;
	/** Bound on buffered bytes and the embedded engine. */
	readonly memoryBytes?: number;
	readonly signal?: AbortSignal;
}

export interface CompactOptions {
	/** Tables of the destination, by name or pattern; all that the pipeline ever loaded into when absent. */
	readonly tables?: readonly string[];
	/** About what a file is to have; default 256 MB. */
	readonly targetBytes?: number;
	/** Only says what would be done. */
	readonly dryRun?: boolean;
	readonly memoryBytes?: number;
	readonly signal?: AbortSignal;
}

export interface RunOptions extends PlanOptions {
	readonly stage?: "check" | "extract" | "load";
	/** Only the tables that failed in this run. */
	readonly failedRun?: string;
	/** Follows a change stream until stopped. */
	readonly follow?: boolean;
	/** Records nothing in the state store and commits nothing: `tasks test`. */
	readonly test?: boolean;
	/** False: a connection that can't be made at the start fails the run at once. Default: tried again by `retries`. */
	readonly retryStart?: boolean;
	/** How long to wait while another run has the pipeline, in milliseconds; default not at all. */
	readonly waitMs?: number;
	/** Errors of the receipts that it gives show row values, where they have some; nothing that is stored does. */
	readonly showValues?: boolean;
	/** Kept in the receipts; absent when the command line runs it. */
	readonly origin?: RunOrigin;
	readonly onEvent?: EventSink;
}

export interface BackfillOptions extends RunOptions {
	/** As on the command line: `2026-01-01`, in the pipeline's time zone; included. */
	readonly start: string;
	/** Excluded. */
	readonly end: string;
	/** Only these of the intervals from start to end, in this order. */
	readonly intervals?: readonly RunInterval[];
	readonly maxActiveRuns?: number;
}

export interface Plan {
	readonly pipeline: string;
	readonly from: string;
	readonly to: string;
	readonly tables: readonly PlanTable[];
	readonly findings: readonly Finding[];
	/** Of the pipeline; absent when it has none. */
	readonly hooks?: readonly PlanHook[];
}

/** A hook, its statements as they are written. */
export interface PlanHook {
	readonly when: "before" | "after";
	readonly on: "source" | "destination";
	readonly sql: readonly string[];
}

export interface PlanTable {
	readonly table: string;
	readonly into: string;
	readonly mode: string;
	readonly write: string;
	readonly key: readonly string[];
	readonly estimated_rows: number | null;
	readonly ddl: readonly string[];
	readonly columns: readonly PlanColumn[];
	/** new: the table will be created; changed: DDL will run; same: only rows. */
	readonly change: "new" | "changed" | "same";
	/** What will happen, in words: `cursor modified >= 2026-11-20 01:59:58`, `no key: rows are appended`. */
	readonly notes: readonly string[];
	/** What is asked of its new rows before they are seen; absent when nothing is. */
	readonly checks?: readonly { readonly name: string; readonly severity: "error" | "warn" }[];
	readonly hooks?: readonly PlanHook[];
	/** What changed in the source's columns since the last load, and what a run does about it. */
	readonly schema_changes: readonly SchemaChange[];
}

export interface PlanColumn {
	readonly name: string;
	readonly source_type: string;
	readonly destination_type: string;
	readonly fidelity: Fidelity;
	readonly note: string | null;
}

export interface CheckReport {
	readonly ok: boolean;
	readonly findings: readonly (Finding & { readonly subject: string })[];
}

export interface GrantReport {
	/** Of each connection, in the order source, staging, destination. */
	readonly connections: readonly ConnectionGrants[];
}

export interface ConnectionGrants {
	readonly connection: string;
	readonly role: "source" | "staging" | "destination";
	readonly type: string;
	/** Null: there is no list for its type; `check` tells what is missing. Empty: none are needed. */
	readonly grants: readonly Grant[] | null;
}

export interface TaskSummary {
	/** `prod.orders`, the name that `tasks run` takes. */
	readonly task: string;
	readonly into: string;
	readonly mode: string;
	readonly write: string;
	/** What `--table` takes for it and for no other. */
	readonly pattern: string;
	/** Of a summary: the tasks that it is built from. */
	readonly needs?: readonly string[];
}

export interface StatusReport {
	readonly pipeline: string;
	readonly last_run: RunReceipt | null;
	/** Who holds the pipeline now, if anyone. */
	readonly held_by: string | null;
	/** Since when it is paused; null when it is not. */
	readonly paused: { readonly at: string; readonly by: string; readonly reason: string | null } | null;
	readonly positions: readonly StoredPosition[];
	/** Tables whose last success is longer ago than `late_after`; a null table is the pipeline as a whole. */
	readonly late: readonly {
		readonly table: string | null;
		readonly last_success: string | null;
		readonly message: string;
	}[];
	readonly alerts_waiting: readonly WaitingAlert[];
	/** How it follows the source's change log; null when no table does. */
	readonly changes: ChangeStatus | null;
}

/** `tables`: names and patterns; all tables that follow the log when absent. */
export type PositionRequest =
	| { readonly kind: "pause" | "resume" | "resync"; readonly tables?: readonly string[] }
	| {
			readonly kind: "set";
			/** As the source writes it. */
			readonly position: string;
			/** Changes may be passed over. */
			readonly isConfirmed: boolean;
	  };

export interface PositionChanged {
	/** False: it was so already. */
	readonly changed: boolean;
	readonly position_before: string | null;
	readonly position: string;
	/** Those that it was about. */
	readonly tables: readonly string[];
	/** What comes of it. */
	readonly notes: readonly string[];
}

/** Closes its destination when it is disposed. */
export interface HistoryRows extends AsyncDisposable {
	/** In the destination. */
	readonly table: string;
	readonly columns: readonly string[];
	readonly key: readonly string[];
	/** UTC. */
	readonly as_of: string;
	/** Since when it is kept, as the destination prints times; null when the table never had a row. */
	readonly begins: string | null;
	/** Values as the destination's own text. */
	readonly rows: AsyncIterable<readonly SqlRow[]>;
}

export interface SampleRows {
	/** In the destination. */
	readonly into: string;
	readonly columns: readonly { readonly name: string; readonly destination_type: string }[];
	/** How many more columns the table has. */
	readonly columns_left_out: number;
	/** Shapes of values, one for each column: letters are `x`, digits `9`; null is NULL. */
	readonly rows: readonly (readonly (string | null)[])[];
}

export interface PauseReport {
	readonly pipeline: string;
	readonly paused: { readonly at: string; readonly by: string } | null;
	/** What followed the change log has ended. */
	readonly ended: boolean;
}

export interface StateReport {
	readonly pipeline: string;
	/** A run has the pipeline: positions are as it told them last. */
	readonly is_held: boolean;
	readonly positions: readonly StoredPosition[];
	/** Of the change log, as the source writes it; null when there is none. */
	readonly log: { readonly at: string; readonly tables: readonly FollowedTableStatus[] } | null;
}

export interface ChangeStatus {
	/** `following`: a process is at it. */
	readonly state: "following" | "stopped" | "paused";
	/** As the source writes it; null before the first run. */
	readonly position: string | null;
	readonly log_end: string | null;
	/** Now less the commit time of the last change that was applied, while the log holds more; else 0. */
	readonly lag_seconds: number | null;
	readonly bytes_behind: number | null;
	/** Until the position can no longer be read; null when the source does not tell. */
	readonly headroom_seconds: number | null;
	/** Bytes by which the log may grow until then. */
	readonly headroom_bytes: number | null;
	/** Bytes of log that the source's disk holds for this pipeline; null where it keeps nothing for its readers. */
	readonly kept_bytes: number | null;
	/** When the source was asked: ISO 8601, UTC. */
	readonly measured_at: string | null;
	/** Why the log can't be read on, or could not be asked. */
	readonly problem: { readonly code: string; readonly message: string; readonly hint: string } | null;
	readonly tables: readonly FollowedTableStatus[];
}

export interface FollowedTableStatus {
	readonly table: string;
	readonly state: "loading" | "following" | "paused";
	/** Its changes up to here are in the table. */
	readonly from: string | null;
	/** It catches up until here: its rows were read at several places of the log. */
	readonly until: string | null;
}
