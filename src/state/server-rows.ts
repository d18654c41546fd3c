import type { LogLine, RunOrigin, RunReceipt, TableReceipt } from "../core/state-store.ts";

/** How far a schedule has been served, and whether it is held. */
export interface ScheduleRow {
	readonly pipeline: string;
	/** The last time of the schedule that needs nothing more, milliseconds since 1970; null before the first. */
	readonly dueMs: number | null;
	readonly paused: { readonly at: string; readonly by: string; readonly reason: string | null } | null;
}

/** Something that a server was asked to do, kept so that it is not forgotten with its process. */
export interface JobRow {
	readonly jobId: string;
	readonly ended: boolean;
	/** ISO 8601, UTC. */
	readonly queuedAt: string;
	/** JSON. */
	readonly entry: string;
	/** Who asked another server to stop it; null or absent: nobody. */
	readonly cancelledBy?: string | null;
}

export type Role = "viewer" | "operator" | "admin";

/** An API token: the token itself is not kept, only its SHA-256. */
export interface TokenRow {
	readonly tokenId: string;
	readonly hash: string;
	readonly name: string;
	readonly role: Role;
	/** Times are ISO 8601, UTC. */
	readonly createdAt: string;
	readonly createdBy: string;
	readonly lastUsedAt: string | null;
	readonly expiresAt: string | null;
	readonly revokedAt: string | null;
}

/** Somebody who logged in with a browser; the cookie itself is not kept, only its SHA-256. */
export interface SessionRow {
	readonly hash: string;
	readonly name: string;
	readonly role: Role;
	/** The API token that it was opened with; it ends with it. */
	readonly tokenId: string | null;
	readonly expiresAt: string;
}

/** Who did what by the server. */
export interface AuditRow {
	readonly at: string;
	readonly who: string;
	readonly role: Role | null;
	readonly via: "cookie" | "token" | "command" | "none";
	readonly address: string | null;
	readonly action: string;
	readonly subject: string;
	readonly outcome: "done" | "refused" | "failed";
	readonly detail: string;
}

/** What a pipeline's file said, from a run on. */
export interface SettingsRow {
	/** Of that run; ISO 8601, UTC. */
	readonly startedAt: string;
	readonly runId: string;
	/** YAML without comments; references are not resolved, secrets are masked. */
	readonly settings: string;
}

export interface ColumnsRow {
	readonly seenAt: string;
	readonly columns: readonly {
		readonly name: string;
		readonly source_type: string;
		readonly destination_type: string;
		readonly fidelity: "exact" | "lossy" | "refused";
		readonly note: string | null;
	}[];
	readonly key: readonly string[];
	/** Where it goes, and the way of each column; absent in what an older version has kept. */
	readonly into?: string;
	readonly lineage?: readonly ColumnLineage[];
}

/** The way of one column; what it has no side of is null. */
export interface ColumnLineage {
	readonly source: string | null;
	readonly source_type: string | null;
	readonly name: string | null;
	readonly destination_type: string | null;
	readonly fidelity: "exact" | "lossy" | "refused" | null;
	readonly mask: "hmac" | "partial" | "null" | null;
	/** `left out`: by `schema_changes`. `added`: the source has no such column. */
	readonly change: "copied" | "renamed" | "dropped" | "left out" | "added";
	readonly note: string | null;
}

/** The newest run of one table for one interval. */
export interface IntervalRow {
	readonly start: string;
	readonly end: string;
	readonly runId: string;
	/** Of the run. */
	readonly startedAt: string;
	readonly table: string;
	readonly state: TableReceipt["state"];
	readonly rows: number;
	readonly seconds: number;
}

/** A line of a log with its number, which grows with each line. */
export interface NumberedLine extends LogLine {
	readonly line: number;
}

export interface LogQuery {
	readonly after: number;
	readonly limit: number;
	/** Lines of this level and above. */
	readonly level?: LogLine["level"];
	readonly task?: string;
	/** Lines that hold this text, whatever its case. */
	readonly search?: string;
}

/** A run with its tables added up. */
export interface RunSums
	extends Pick<RunReceipt, "run_id" | "pipeline" | "interval" | "state" | "started_at" | "finished_at"> {
	readonly trigger: RunOrigin["trigger"] | null;
	readonly rows: number;
	readonly bytes: number;
	/** Of its tables together. */
	readonly seconds: number;
}

/** One table in one run. */
export interface TableRun {
	readonly run_id: string;
	readonly started_at: string;
	readonly receipt: TableReceipt;
}

export interface LastRunsQuery {
	/** ISO 8601, UTC. */
	readonly since: string;
	/** So many of the last runs are given whenever they began. */
	readonly least: number;
}

export interface RunsQuery {
	readonly pipeline?: string;
	readonly state?: RunReceipt["state"];
	/** Only runs that began before this one. */
	readonly before?: string;
	readonly limit: number;
}
