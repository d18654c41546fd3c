import type { AlertEntry } from "../core/alert.ts";
import type { Finding } from "../core/port.ts";
import type { Lease, LogLine, RunReceipt, StateStore, StoredPosition, TableSuccess } from "../core/state-store.ts";
import { redactByLook } from "../observe/redact.ts";
import { AccessStore } from "./access-store.ts";
import { alertRows, replaceAlertRows } from "./alert-rows.ts";
import { ChangeRequests } from "./change-requests.ts";
import type { StateDatabase } from "./database.ts";
import { bootId } from "./lease-clock.ts";
import { acquire, holderOf, release, renew } from "./lease-rows.ts";
import { PostgresDatabase, type ServerOptions } from "./postgres-database.ts";
import { processHolder } from "./process-identity.ts";
import { redactedRun } from "./redacted.ts";
import { findRunId, lastSuccesses, receiptsOf, saveRun, settleAbandonedRuns } from "./run-rows.ts";
import { ServerStore } from "./server-store.ts";
import { SqliteDatabase } from "./sqlite-database.ts";
import { all, insert, places, run, textOf, textOrNull } from "./work.ts";

export interface StateStoreOptions {
	/** Applied to every text of a log line or an error before it is stored; default: what looks like a password is masked. */
	readonly redact?: (text: string) => string;
	/** Told when a damaged store was moved aside. */
	readonly onNotice?: (message: string) => void;
}

export interface Retention {
	/** Runs that started this long ago go. */
	readonly days: number;
	/** The newest runs of each pipeline stay, however old. */
	readonly runsKept: number;
}

export const DEFAULT_RETENTION: Retention = { days: 90, runsKept: 50 };

const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
/** Runs deleted in one transaction, so that others need not wait long for the lock. */
const PRUNE_RUNS_MAX = 100;

/**
 * Opens the state of a project in a file, which is made when it is missing. A damaged file is moved aside and replaced.
 * @throws E_STATE when the file belongs to another program or a newer Headrace, or can't be opened; E_NO_SPACE
 */
export async function openStateStore(path: string, options: StateStoreOptions = {}): Promise<ProjectState> {
	return new ProjectState(SqliteDatabase.open(path, options.onNotice ?? (() => {})), options.redact);
}

/**
 * Opens the state of a project in a schema of PostgreSQL, which is made when it is missing.
 * @throws E_CONNECT, E_LOGIN, E_TLS, E_RIGHTS, E_STATE when the schema is another program's or a newer Headrace's
 */
export async function openServerState(
	server: ServerOptions,
	options: Pick<StateStoreOptions, "redact"> = {},
): Promise<ProjectState> {
	return new ProjectState(await PostgresDatabase.open(server), options.redact);
}

/** What is kept of a project: runs and their logs, leases, and what the server keeps. */
export class ProjectState implements StateStore {
	/** For messages: the file, or the server and the schema. */
	readonly place: string;
	/** What the server keeps. */
	readonly server: ServerStore;
	readonly access: AccessStore;
	/** What is asked of processes that follow change logs. */
	readonly requests: ChangeRequests;
	readonly #database: StateDatabase;
	readonly #redact: (text: string) => string;
	readonly #holder = processHolder();
	readonly #bootId = bootId();
	/** By the process' own clock. */
	#prunedMs: number | null = null;

	constructor(database: StateDatabase, redact: (text: string) => string = redactByLook) {
		this.place = database.place;
		this.#redact = redact;
		this.#database = database;
		this.server = new ServerStore(database, redact);
		this.access = new AccessStore(database);
		this.requests = new ChangeRequests(database);
	}

	/** The same state; whatever is written by way of it is refused with E_FENCED once the lease is another's. */
	fencedBy(lease: Lease): ProjectState {
		return new ProjectState(this.#database.fencedBy(lease), this.#redact);
	}

	/** Whether several servers may share it. */
	get isShared(): boolean {
		return this.#database.isShared;
	}

	/** Now, milliseconds since 1970, by the clock that all who share the state go by. */
	nowMs(): number {
		return this.#database.nowMs();
	}

	/** Whether the database is sound, or can be reached. */
	check(): Promise<Finding[]> {
		return this.#database.check();
	}

	async saveRun(receipt: RunReceipt): Promise<void> {
		const kept = redactedRun(receipt, this.#redact);
		const maker = { holder: this.#holder, bootId: this.#bootId, lease: this.#database.fence };
		await this.#database.transaction(() => saveRun(kept, maker));
	}

	async run(runId: string): Promise<RunReceipt | null> {
		await settleAbandonedRuns(this.#database);
		return this.#database.use(function* () {
			const id = yield* findRunId(runId);
			const rows = id === null ? [] : yield* all("SELECT * FROM runs WHERE run_id = $1", id);
			return (yield* receiptsOf(rows))[0] ?? null;
		});
	}

	runs(query: { readonly pipeline?: string; readonly limit: number }): Promise<RunReceipt[]> {
		return this.server.runs(query);
	}

	async appendLog(runId: string, lines: readonly LogLine[]): Promise<void> {
		if (lines.length === 0) return;
		const rows = lines.map(({ at, level, task, message }) => [runId, at, level, task, this.#redact(message)]);
		// Under the run's own name, they are nobody else's: also those of a run that was fenced off.
		await this.#database
			.fencedBy(null)
			.transaction(() => insert("log_lines", ["run_id", "logged_at", "level", "task", "message"], rows));
	}

	async log(runId: string, task?: string): Promise<LogLine[]> {
		const rows = await this.#database.use(function* () {
			return yield* all(
				`SELECT logged_at, level, task, message FROM log_lines
				WHERE run_id = $1 AND (CAST($2 AS TEXT) IS NULL OR task = $2) ORDER BY line_id`,
				(yield* findRunId(runId)) ?? runId,
				task ?? null,
			);
		});
		return rows.map((row) => ({
			at: textOf(row, "logged_at"),
			level: textOf(row, "level") as LogLine["level"],
			task: textOrNull(row, "task"),
			message: textOf(row, "message"),
		}));
	}

	acquireLease(name: string, holder: string, durationMs: number): Promise<Lease | null> {
		return this.#database.transaction(() => acquire(this.#database, name, holder, durationMs));
	}

	renewLease(lease: Lease, durationMs: number): Promise<boolean> {
		return this.#database.transaction(() => renew(this.#database, lease, durationMs));
	}

	releaseLease(lease: Lease): Promise<void> {
		return this.#database.transaction(() => release(lease));
	}

	leaseHolder(name: string): Promise<Lease | null> {
		return this.#database.use(() => holderOf(this.#database, name));
	}

	async savePositions(pipeline: string, positions: readonly StoredPosition[]): Promise<void> {
		const rows = positions.map(({ stream, position, loadId, committedAt }) => [
			pipeline,
			stream,
			position,
			loadId,
			committedAt,
		]);
		await this.#database.transaction(() =>
			insert(
				"positions",
				["pipeline", "stream", "position", "load_id", "committed_at"],
				rows,
				`ON CONFLICT (pipeline, stream) DO UPDATE SET position = excluded.position, load_id = excluded.load_id,
					committed_at = excluded.committed_at`,
			),
		);
	}

	async positions(pipeline: string): Promise<StoredPosition[]> {
		const sql = "SELECT stream, position, load_id, committed_at FROM positions WHERE pipeline = $1 ORDER BY stream";
		const rows = await this.#database.use(() => all(sql, pipeline));
		return rows.map((row) => ({
			stream: textOf(row, "stream"),
			position: textOrNull(row, "position"),
			loadId: textOrNull(row, "load_id"),
			committedAt: textOrNull(row, "committed_at"),
		}));
	}

	lastSuccesses(pipeline: string): Promise<TableSuccess[]> {
		return this.#database.use(() => lastSuccesses(pipeline));
	}

	alerts(pipeline: string): Promise<AlertEntry[]> {
		return this.#database.use(() => alertRows(pipeline));
	}

	changeAlerts(
		pipeline: string,
		change: (entries: readonly AlertEntry[]) => readonly AlertEntry[],
	): Promise<AlertEntry[]> {
		const redact = this.#redact;
		return this.#database.transaction(function* () {
			const entries = change(yield* alertRows(pipeline)).map((entry) => ({
				...entry,
				message: redact(entry.message),
				hint: redact(entry.hint),
				failure: entry.failure === null ? null : redact(entry.failure),
			}));
			yield* replaceAlertRows(pipeline, entries);
			return entries;
		});
	}

	/** Deletes old finished runs with their receipts and logs, and gives the space back. Returns how many went. */
	async prune(retention: Retention = DEFAULT_RETENTION): Promise<number> {
		const before = new Date(this.nowMs() - retention.days * DAY_MS).toISOString();
		let pruned = 0;
		for (let count = PRUNE_RUNS_MAX; count === PRUNE_RUNS_MAX; pruned += count) {
			const ids = await this.#database.use(() =>
				all(
					`SELECT run_id FROM runs r WHERE started_at < $1 AND state <> 'running' AND $2 <= (
						SELECT count(*) FROM (
							SELECT 1 FROM runs n WHERE n.pipeline = r.pipeline
								AND (n.started_at, n.run_id) > (r.started_at, r.run_id) LIMIT $2) AS newer)
					LIMIT $3`,
					before,
					retention.runsKept,
					PRUNE_RUNS_MAX,
				),
			);
			count = ids.length;
			if (count === 0) break;
			const values = ids.map((row) => textOf(row, "run_id"));
			await this.#database.transaction(function* () {
				yield* run(`DELETE FROM log_lines WHERE run_id IN (${places(count)})`, ...values);
				yield* run(`DELETE FROM interval_runs WHERE run_id IN (${places(count)})`, ...values);
				yield* run(`DELETE FROM runs WHERE run_id IN (${places(count)})`, ...values);
			});
		}
		if (pruned > 0) await this.#database.tidy();
		return pruned;
	}

	/** The same, once an hour in a process: who makes many runs need not look for old ones after each. */
	async pruneHourly(): Promise<void> {
		const now = performance.now();
		if (this.#prunedMs !== null && now - this.#prunedMs < HOUR_MS) return;
		this.#prunedMs = now;
		await this.prune();
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.#database[Symbol.asyncDispose]();
	}
}
