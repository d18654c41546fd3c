import type { AlertEntry } from "./alert.ts";
import type { Port } from "./port.ts";
import type { SchemaChange } from "./schema.ts";

export type RunState = "running" | "succeeded" | "failed" | "stopped";

export interface TableReceipt {
	readonly table: string;
	readonly into: string;
	readonly mode: string;
	readonly write: string;
	readonly state: RunState | "pending" | "skipped";
	readonly rows_read: number;
	readonly rows_staged: number;
	readonly rows_loaded: number;
	readonly rows_rejected: number;
	readonly rows_inserted: number;
	readonly rows_updated: number;
	readonly rows_deleted: number;
	/** Loaded rows that a newer one of the same key, which came with them, made needless; absent when there were none. */
	readonly rows_superseded?: number;
	readonly bytes: number;
	readonly seconds: number;
	readonly attempts: number;
	readonly position: string | null;
	readonly values_changed: Readonly<Record<string, number>>;
	/** Chunks that the table was read in; absent when it was read in one piece. */
	readonly chunks_total?: number;
	/** Chunks, and their rows, that an earlier run had read. `rows_read` counts them too. */
	readonly chunks_reused?: number;
	readonly rows_reused?: number;
	/** What the table is a copy of when chunks were reused: see docs/modes.md. */
	readonly consistency?: "exact" | "cursor" | "mixed";
	readonly error: ReceiptError | null;
	/** How the source's columns changed since the last run, and what was done about it; absent when they did not. */
	readonly schema_changes?: readonly SchemaChange[];
	/** What the checks of its new rows found; absent when none were asked. */
	readonly checks?: readonly CheckReceipt[];
	/** Attempts that failed and were followed by another one; absent when there were none. */
	readonly attempt_errors?: readonly AttemptError[];
	/** What it did when, in this order; absent in receipts of an older version. */
	readonly stages?: readonly StageTime[];
}

/** A part of the time that a table took. */
export interface StageTime {
	/** `wait`: between two attempts. */
	readonly stage: "wait" | "extract" | "load";
	/** From 1 on. */
	readonly attempt: number;
	/** ISO 8601, UTC. */
	readonly started_at: string;
	/** Null while it goes on. */
	readonly finished_at: string | null;
	readonly rows: number;
	readonly bytes: number;
}

/** Why there was a run. */
export interface RunOrigin {
	readonly trigger: "schedule" | "catchup" | "continuous" | "manual" | "backfill" | "retry";
	/** Who asked for it; absent when the schedule did. */
	readonly by?: string;
	/** When the schedule wanted it: ISO 8601, UTC. */
	readonly due_at?: string;
	readonly params?: Readonly<Record<string, string>>;
}

export interface CheckReceipt {
	readonly name: string;
	readonly severity: "error" | "warn";
	readonly state: "passed" | "failed";
	/** Rows that fail; 1 where the claim is about the table as a whole. */
	readonly failing: number;
}

export interface AttemptError {
	/** From 1 on. */
	readonly attempt: number;
	/** When it failed: ISO 8601, UTC. */
	readonly at: string;
	readonly code: string;
	readonly message: string;
}

export interface ReceiptError {
	readonly code: string;
	readonly message: string;
	readonly hint: string;
	/** Row values that show what is wrong; only when they were asked for, and never stored. */
	readonly values?: string;
}

/** What a run says it did: the object that `run --json` prints. */
export interface RunReceipt {
	readonly run_id: string;
	readonly pipeline: string;
	readonly interval: { readonly start: string; readonly end: string } | null;
	readonly state: RunState;
	readonly started_at: string;
	readonly finished_at: string | null;
	/** Present when only this stage ran. */
	readonly stage?: "extract" | "load";
	readonly tables: readonly TableReceipt[];
	/** Why the run ended before its tables began: a connection, credentials, or a fault of the configuration. */
	readonly error?: ReceiptError;
	/** Attempts to connect and to plan that failed before the one that succeeded, or before the run was given up. */
	readonly attempt_errors?: readonly AttemptError[];
	/** Absent when the command line began it. */
	readonly origin?: RunOrigin;
}

export interface LogLine {
	/** ISO 8601, UTC. */
	readonly at: string;
	readonly level: "debug" | "info" | "warn" | "error";
	readonly task: string | null;
	readonly message: string;
}

export interface Lease {
	readonly name: string;
	readonly holder: string;
	readonly epoch: number;
	readonly expiresAt: string;
}

/**
 * Runs, receipts, logs, leases and a cache of positions. Never the truth about data: a lost store costs history only,
 * since positions are read from the destination.
 */
export interface StateStore extends Port {
	/** Inserts or replaces the run and its table receipts. */
	saveRun(run: RunReceipt): Promise<void>;
	/** A whole run id or a unique beginning of one. */
	run(runId: string): Promise<RunReceipt | null>;
	/** Newest first. */
	runs(query: { readonly pipeline?: string; readonly limit: number }): Promise<RunReceipt[]>;
	appendLog(runId: string, lines: readonly LogLine[]): Promise<void>;
	log(runId: string, task?: string): Promise<LogLine[]>;
	/** Takes a lease that is free, expired, or whose holder's process is dead; null while another holds it. */
	acquireLease(name: string, holder: string, durationMs: number): Promise<Lease | null>;
	/** False when the lease was lost. */
	renewLease(lease: Lease, durationMs: number): Promise<boolean>;
	releaseLease(lease: Lease): Promise<void>;
	/** The holder of a lease, for the message of a run that can't have it. */
	leaseHolder(name: string): Promise<Lease | null>;
	savePositions(pipeline: string, positions: readonly StoredPosition[]): Promise<void>;
	positions(pipeline: string): Promise<StoredPosition[]>;
	/**
	 * When each table of a pipeline was last loaded, also when that run is no longer kept. Of a table that is loaded by
	 * intervals only its newest one counts: to fill an old month today makes nothing fresh.
	 */
	lastSuccesses(pipeline: string): Promise<TableSuccess[]>;
	/** What the channels of a pipeline know, and what they are yet to be told. */
	alerts(pipeline: string): Promise<AlertEntry[]>;
	/**
	 * Replaces the entries of a pipeline by what `change` makes of them, in one transaction, and gives them back.
	 * `change` does nothing else: it may be called again when another process was faster.
	 */
	changeAlerts(
		pipeline: string,
		change: (entries: readonly AlertEntry[]) => readonly AlertEntry[],
	): Promise<AlertEntry[]>;
}

export interface TableSuccess {
	/** As the receipts name it. */
	readonly table: string;
	/** When the run ended, ISO 8601, UTC. */
	readonly at: string;
}

export interface StoredPosition {
	readonly stream: string;
	readonly position: string | null;
	readonly loadId: string | null;
	readonly committedAt: string | null;
}
