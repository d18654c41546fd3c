import type { AlertEntry } from "../core/alert.ts";
import type { Finding } from "../core/port.ts";
import type { Lease, LogLine, RunReceipt, StateStore, StoredPosition, TableSuccess } from "../core/state-store.ts";
import { redactByLook } from "../observe/redact.ts";
import { AccessStore } from "./access-store.ts";
import { alertRows, replaceAlertRows } from "./alert-rows.ts";
import { ChangeRequests } from "./change-requests.ts";
import { DurableDatabase } from "./database.ts";
import { leaseNow, momentAfter } from "./lease-clock.ts";
import { isHeld, leaseRow, momentColumns } from "./lease-rows.ts";
import { processHolder } from "./process-identity.ts";
import { redactedRun } from "./redacted.ts";
import { detailsOf, findRunId, type RunRow, receiptOf, replaceReceipts, settleAbandonedRuns } from "./run-rows.ts";
import { ServerStore } from "./server-store.ts";

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

const DAY_MS = 86_400_000;
/** Runs deleted in one transaction, so that others need not wait long for the lock. */
const PRUNE_RUNS_MAX = 100;

/**
 * Opens the state store of a project, making the file when it is missing. A damaged file is moved aside and replaced.
 * @throws E_STATE when the file belongs to another program or a newer Headrace, or can't be opened; E_NO_SPACE
 */
export async function openStateStore(path: string, options: StateStoreOptions = {}): Promise<SqliteStateStore> {
	return new SqliteStateStore(path, options);
}

/** The state store in one SQLite file, shared by all processes that work on a project on this machine. */
export class SqliteStateStore implements StateStore {
	readonly path: string;
	/** What the server keeps. */
	readonly server: ServerStore;
	readonly access: AccessStore;
	/** What is asked of processes that follow change logs. */
	readonly requests: ChangeRequests;
	readonly #database: DurableDatabase;
	readonly #redact: (text: string) => string;
	readonly #holder = processHolder();

	constructor(path: string, options: StateStoreOptions) {
		this.path = path;
		this.#redact = options.redact ?? redactByLook;
		this.#database = new DurableDatabase(path, options.onNotice ?? (() => {}));
		this.server = new ServerStore(this.#database, this.#redact);
		this.access = new AccessStore(this.#database);
		this.requests = new ChangeRequests(this.#database);
	}

	/** One finding: whether every page of the file is sound. */
	async check(): Promise<Finding[]> {
		return this.#database.use((database) => {
			const rows = database.prepare("PRAGMA quick_check(1)").all();
			const answer = String(Object.values(rows[0] ?? {})[0] ?? "no answer");
			return answer === "ok"
				? [{ severity: "ok", message: `state store ${this.path} is sound` }]
				: [
						{
							severity: "warning",
							message: `state store ${this.path} is damaged: ${answer}`,
							remedy: `mv ${this.path} ${this.path}.damaged`,
						},
					];
		});
	}

	async saveRun(receipt: RunReceipt): Promise<void> {
		const run = redactedRun(receipt, this.#redact);
		const details = detailsOf(run);
		this.#database.transaction((database) => {
			database
				.prepare(
					`INSERT INTO runs (run_id, pipeline, interval_start, interval_end, state, started_at, finished_at, holder, details)
					VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
					ON CONFLICT (run_id) DO UPDATE SET pipeline = excluded.pipeline, interval_start = excluded.interval_start,
						interval_end = excluded.interval_end, state = excluded.state, started_at = excluded.started_at,
						finished_at = excluded.finished_at, holder = excluded.holder, details = excluded.details`,
				)
				.run(
					run.run_id,
					run.pipeline,
					run.interval?.start ?? null,
					run.interval?.end ?? null,
					run.state,
					run.started_at,
					run.finished_at,
					this.#holder,
					details === null ? null : JSON.stringify(details),
				);
			replaceReceipts(database, run.run_id, run.tables);
		});
	}

	async run(runId: string): Promise<RunReceipt | null> {
		settleAbandonedRuns(this.#database);
		return this.#database.use((database) => {
			const id = findRunId(database, runId);
			if (id === null) return null;
			const row = database.prepare("SELECT * FROM runs WHERE run_id = ?").get(id);
			return row === undefined ? null : receiptOf(database, row as unknown as RunRow);
		});
	}

	async runs(query: { readonly pipeline?: string; readonly limit: number }): Promise<RunReceipt[]> {
		settleAbandonedRuns(this.#database);
		return this.#database.use((database) => {
			const rows = database
				.prepare(
					`SELECT * FROM runs WHERE ?1 IS NULL OR pipeline = ?1
					ORDER BY started_at DESC, run_id DESC LIMIT ?2`,
				)
				.all(query.pipeline ?? null, query.limit);
			return rows.map((row) => receiptOf(database, row as unknown as RunRow));
		});
	}

	async appendLog(runId: string, lines: readonly LogLine[]): Promise<void> {
		if (lines.length === 0) return;
		this.#database.transaction((database) => {
			const insert = database.prepare(
				"INSERT INTO log_lines (run_id, logged_at, level, task, message) VALUES (?, ?, ?, ?, ?)",
			);
			for (const line of lines) insert.run(runId, line.at, line.level, line.task, this.#redact(line.message));
		});
	}

	async log(runId: string, task?: string): Promise<LogLine[]> {
		return this.#database.use((database) => {
			const rows = database
				.prepare(
					`SELECT logged_at AS at, level, task, message FROM log_lines
					WHERE run_id = ?1 AND (?2 IS NULL OR task = ?2) ORDER BY line_id`,
				)
				.all(findRunId(database, runId) ?? runId, task ?? null);
			return rows.map((row) => ({ ...row }) as unknown as LogLine);
		});
	}

	async acquireLease(name: string, holder: string, durationMs: number): Promise<Lease | null> {
		return this.#database.transaction((database) => {
			const row = leaseRow(database, name);
			if (row !== null && isHeld(row, leaseNow())) return null;
			const until = momentAfter(leaseNow(), durationMs);
			const epoch = (row?.epoch ?? 0) + 1;
			database
				.prepare(
					`INSERT INTO leases (name, epoch, holder, expires_ms, boot_id, expires_uptime_ms) VALUES (?, ?, ?, ?, ?, ?)
					ON CONFLICT (name) DO UPDATE SET epoch = excluded.epoch, holder = excluded.holder,
						expires_ms = excluded.expires_ms, boot_id = excluded.boot_id, expires_uptime_ms = excluded.expires_uptime_ms`,
				)
				.run(name, epoch, holder, ...momentColumns(until));
			return { name, holder, epoch, expiresAt: new Date(until.wallMs).toISOString() };
		});
	}

	async renewLease(lease: Lease, durationMs: number): Promise<boolean> {
		return this.#database.transaction((database) => {
			const renewed = database
				.prepare(
					`UPDATE leases SET expires_ms = ?, boot_id = ?, expires_uptime_ms = ?
					WHERE name = ? AND holder = ? AND epoch = ?`,
				)
				.run(...momentColumns(momentAfter(leaseNow(), durationMs)), lease.name, lease.holder, lease.epoch);
			return renewed.changes === 1;
		});
	}

	/** The row stays with its epoch, so that the next holder's epoch is higher. */
	async releaseLease(lease: Lease): Promise<void> {
		this.#database.transaction((database) => {
			database
				.prepare("UPDATE leases SET holder = NULL WHERE name = ? AND holder = ? AND epoch = ?")
				.run(lease.name, lease.holder, lease.epoch);
		});
	}

	async leaseHolder(name: string): Promise<Lease | null> {
		return this.#database.use((database) => {
			const row = leaseRow(database, name);
			if (row === null || row.holder === null || !isHeld(row, leaseNow())) return null;
			return { name, holder: row.holder, epoch: row.epoch, expiresAt: new Date(row.expires_ms).toISOString() };
		});
	}

	async savePositions(pipeline: string, positions: readonly StoredPosition[]): Promise<void> {
		this.#database.transaction((database) => {
			const upsert = database.prepare(
				`INSERT INTO positions (pipeline, stream, position, load_id, committed_at) VALUES (?, ?, ?, ?, ?)
				ON CONFLICT (pipeline, stream) DO UPDATE SET position = excluded.position, load_id = excluded.load_id,
					committed_at = excluded.committed_at`,
			);
			for (const { stream, position, loadId, committedAt } of positions)
				upsert.run(pipeline, stream, position, loadId, committedAt);
		});
	}

	async positions(pipeline: string): Promise<StoredPosition[]> {
		return this.#database.use((database) => {
			const rows = database
				.prepare(
					`SELECT stream, position, load_id AS loadId, committed_at AS committedAt
					FROM positions WHERE pipeline = ? ORDER BY stream`,
				)
				.all(pipeline);
			return rows.map((row) => ({ ...row }) as unknown as StoredPosition);
		});
	}

	async lastSuccesses(pipeline: string): Promise<TableSuccess[]> {
		return this.#database.use((database) => {
			const rows = database
				.prepare(
					`WITH successes AS (
						SELECT t.table_name, coalesce(r.finished_at, r.started_at) AS at,
							iif(t.receipt ->> '$.mode' = 'interval', r.interval_end, NULL) AS interval_end
						FROM table_receipts t JOIN runs r USING (run_id)
						WHERE r.pipeline = ? AND t.state = 'succeeded' AND coalesce(r.details ->> '$.stage', '') <> 'extract'
					), newest AS (SELECT table_name, max(interval_end) AS interval_end FROM successes GROUP BY table_name)
					SELECT s.table_name AS "table", max(s.at) AS at
					FROM successes s JOIN newest n USING (table_name)
					WHERE s.interval_end IS NULL OR s.interval_end = n.interval_end
					GROUP BY s.table_name ORDER BY s.table_name`,
				)
				.all(pipeline);
			return rows.map((row) => ({ ...row }) as unknown as TableSuccess);
		});
	}

	async alerts(pipeline: string): Promise<AlertEntry[]> {
		return this.#database.use((database) => alertRows(database, pipeline));
	}

	async changeAlerts(
		pipeline: string,
		change: (entries: readonly AlertEntry[]) => readonly AlertEntry[],
	): Promise<AlertEntry[]> {
		return this.#database.transaction((database) => {
			const entries = change(alertRows(database, pipeline)).map((entry) => ({
				...entry,
				message: this.#redact(entry.message),
				hint: this.#redact(entry.hint),
				failure: entry.failure === null ? null : this.#redact(entry.failure),
			}));
			replaceAlertRows(database, pipeline, entries);
			return entries;
		});
	}

	/** Deletes old finished runs with their receipts and logs, and gives the space back. Returns how many went. */
	async prune(retention: Retention = DEFAULT_RETENTION): Promise<number> {
		const before = new Date(Date.now() - retention.days * DAY_MS).toISOString();
		let pruned = 0;
		while (true) {
			const count = this.#database.transaction((database) => {
				const rows = database
					.prepare(
						`SELECT run_id FROM (
							SELECT run_id, state, started_at,
								row_number() OVER (PARTITION BY pipeline ORDER BY started_at DESC, run_id DESC) AS age
							FROM runs)
						WHERE state <> 'running' AND started_at < ? AND age > ? LIMIT ?`,
					)
					.all(before, retention.runsKept, PRUNE_RUNS_MAX) as { run_id: string }[];
				const deleteLog = database.prepare("DELETE FROM log_lines WHERE run_id = ?");
				const deleteRun = database.prepare("DELETE FROM runs WHERE run_id = ?");
				for (const row of rows) {
					deleteLog.run(row.run_id);
					deleteRun.run(row.run_id);
				}
				return rows.length;
			});
			pruned += count;
			if (count < PRUNE_RUNS_MAX) break;
		}
		if (pruned > 0) this.#database.use((database) => database.exec("PRAGMA incremental_vacuum"));
		return pruned;
	}

	async [Symbol.asyncDispose](): Promise<void> {
		this.#database[Symbol.dispose]();
	}
}
