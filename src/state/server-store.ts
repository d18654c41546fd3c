import { randomUUID } from "node:crypto";
import type { RunReceipt, TableReceipt } from "../core/state-store.ts";
import type { DurableDatabase } from "./database.ts";
import { type RunRow, receiptOf, settleAbandonedRuns } from "./run-rows.ts";
import type {
	AuditRow,
	ColumnsRow,
	IntervalRow,
	JobRow,
	LogQuery,
	NumberedLine,
	RunSums,
	RunsQuery,
	ScheduleRow,
	TableRun,
} from "./server-rows.ts";

const LEVELS = ["debug", "info", "warn", "error"] as const;
/** Jobs that have ended are kept for the list of the last ones only. */
const ENDED_JOBS_KEPT = 200;
const AUDIT_KEPT = 100_000;

/** What the server keeps beside runs, and how it looks into them. In the same file as the runs. */
export class ServerStore {
	readonly #database: DurableDatabase;
	readonly #redact: (text: string) => string;

	constructor(database: DurableDatabase, redact: (text: string) => string) {
		this.#database = database;
		this.#redact = redact;
	}

	/** A number that changes when another process has written to the file: https://www.sqlite.org/pragma.html#pragma_data_version */
	dataVersion(): number {
		return this.#database.use((database) =>
			Number(Object.values(database.prepare("PRAGMA data_version").get() ?? {})[0]),
		);
	}

	schedules(): ScheduleRow[] {
		return this.#database.use((database) =>
			database
				.prepare("SELECT * FROM schedules")
				.all()
				.map((row) => scheduleOf(row as unknown as ScheduleColumns)),
		);
	}

	/** Remembers how far a schedule has been served. */
	saveDue(pipeline: string, dueMs: number): void {
		this.#database.transaction((database) => {
			database
				.prepare(
					"INSERT INTO schedules (pipeline, due_ms) VALUES (?, ?) ON CONFLICT (pipeline) DO UPDATE SET due_ms = excluded.due_ms",
				)
				.run(pipeline, dueMs);
		});
	}

	/** Holds a schedule, or lets it go on when `paused` is null. */
	savePause(pipeline: string, paused: ScheduleRow["paused"]): void {
		this.#database.transaction((database) => {
			database
				.prepare(
					`INSERT INTO schedules (pipeline, paused_at, paused_by, pause_reason) VALUES (?, ?, ?, ?)
					ON CONFLICT (pipeline) DO UPDATE SET paused_at = excluded.paused_at, paused_by = excluded.paused_by,
						pause_reason = excluded.pause_reason`,
				)
				.run(
					pipeline,
					paused?.at ?? null,
					paused?.by ?? null,
					paused?.reason === null || paused === null ? null : this.#redact(paused.reason),
				);
		});
	}

	saveJob(job: JobRow): void {
		this.#database.transaction((database) => {
			database
				.prepare(
					`INSERT INTO jobs (job_id, ended, queued_at, entry) VALUES (?, ?, ?, ?)
					ON CONFLICT (job_id) DO UPDATE SET ended = excluded.ended, entry = excluded.entry`,
				)
				.run(job.jobId, job.ended ? 1 : 0, job.queuedAt, job.entry);
			if (job.ended)
				database
					.prepare(
						"DELETE FROM jobs WHERE job_id IN (SELECT job_id FROM jobs WHERE ended = 1 ORDER BY queued_at DESC LIMIT -1 OFFSET ?)",
					)
					.run(ENDED_JOBS_KEPT);
		});
	}

	/** Those that have not ended, oldest first; `ended` gives the others, newest first. */
	jobs(ended: boolean): JobRow[] {
		return this.#database.use((database) =>
			database
				.prepare(`SELECT * FROM jobs WHERE ended = ? ORDER BY queued_at ${ended ? "DESC" : "ASC"}, job_id`)
				.all(ended ? 1 : 0)
				.map((row) => ({
					jobId: String(row["job_id"]),
					ended: row["ended"] === 1,
					queuedAt: String(row["queued_at"]),
					entry: String(row["entry"]),
				})),
		);
	}

	saveColumns(pipeline: string, tables: ReadonlyMap<string, ColumnsRow>): void {
		this.#database.transaction((database) => {
			const upsert = database.prepare(
				`INSERT INTO table_columns (pipeline, table_name, seen_at, entry) VALUES (?, ?, ?, ?)
				ON CONFLICT (pipeline, table_name) DO UPDATE SET seen_at = excluded.seen_at, entry = excluded.entry`,
			);
			for (const [table, { seenAt, columns, key }] of tables)
				upsert.run(pipeline, table, seenAt, JSON.stringify({ columns, key }));
		});
	}

	columns(pipeline: string, table: string): ColumnsRow | null {
		return this.#database.use((database) => {
			const row = database
				.prepare("SELECT seen_at, entry FROM table_columns WHERE pipeline = ? AND table_name = ?")
				.get(pipeline, table);
			if (row === undefined) return null;
			const entry = JSON.parse(String(row["entry"])) as Omit<ColumnsRow, "seenAt">;
			return { seenAt: String(row["seen_at"]), ...entry };
		});
	}

	/** Tables of a pipeline that a run has planned, by name. */
	plannedTables(pipeline: string): string[] {
		return this.#database.use((database) =>
			database
				.prepare("SELECT table_name FROM table_columns WHERE pipeline = ? ORDER BY table_name")
				.all(pipeline)
				.map((row) => String(row["table_name"])),
		);
	}

	/** The newest run of each table for each interval that begins in [from, to), in their order. */
	intervals(pipeline: string, from: string, to: string): IntervalRow[] {
		settleAbandonedRuns(this.#database);
		return this.#database.use((database) =>
			database
				.prepare(
					`SELECT interval_start AS start, interval_end AS "end", run_id AS runId, started_at AS startedAt,
						table_name AS "table", state, rows, seconds
					FROM (
						SELECT r.interval_start, r.interval_end, r.run_id, r.started_at, t.table_name,
							iif(r.state <> 'running' AND t.state IN ('pending', 'running'), r.state, t.state) AS state,
							t.receipt ->> '$.rows_loaded' AS rows, t.receipt ->> '$.seconds' AS seconds,
							row_number() OVER (PARTITION BY r.interval_start, r.interval_end, t.table_name
								ORDER BY r.started_at DESC, r.run_id DESC) AS age
						FROM runs r JOIN table_receipts t USING (run_id)
						WHERE r.pipeline = ? AND r.interval_start >= ? AND r.interval_start < ?
							AND t.receipt ->> '$.mode' = 'interval' AND coalesce(r.details ->> '$.stage', '') <> 'extract')
					WHERE age = 1 ORDER BY interval_start, table_name`,
				)
				.all(pipeline, from, to)
				.map((row) => ({ ...row }) as unknown as IntervalRow),
		);
	}

	/** Runs, newest first. */
	runs({ pipeline, state, before, limit }: RunsQuery): RunReceipt[] {
		settleAbandonedRuns(this.#database);
		return this.#database.use((database) =>
			database
				.prepare(
					`SELECT * FROM runs
					WHERE (?1 IS NULL OR pipeline = ?1) AND (?2 IS NULL OR state = ?2)
						AND (?3 IS NULL OR (started_at, run_id) < (SELECT started_at, run_id FROM runs WHERE run_id = ?3))
					ORDER BY started_at DESC, run_id DESC LIMIT ?4`,
				)
				.all(pipeline ?? null, state ?? null, before ?? null, limit)
				.map((row) => receiptOf(database, row as unknown as RunRow)),
		);
	}

	/** The last runs of every pipeline in short, oldest first. */
	lastRuns(perPipeline: number): RunSums[] {
		settleAbandonedRuns(this.#database);
		return this.#database.use((database) =>
			database
				.prepare(
					`SELECT r.*, r.details ->> '$.origin.trigger' AS trigger, coalesce(sum(t.receipt ->> '$.rows_loaded'), 0) AS rows,
						coalesce(sum(t.receipt ->> '$.bytes'), 0) AS bytes, coalesce(sum(t.receipt ->> '$.seconds'), 0) AS seconds
					FROM (
						SELECT *, row_number() OVER (PARTITION BY pipeline ORDER BY started_at DESC, run_id DESC) AS age FROM runs) r
						LEFT JOIN table_receipts t USING (run_id)
					WHERE r.age <= ? GROUP BY r.run_id ORDER BY r.started_at, r.run_id`,
				)
				.all(perPipeline)
				.map((row) => {
					const { run_id, pipeline, interval_start, interval_end, state, started_at, finished_at } =
						row as unknown as RunRow;
					return {
						...{ run_id, pipeline, state, started_at, finished_at },
						interval:
							interval_start === null || interval_end === null ? null : { start: interval_start, end: interval_end },
						trigger: row["trigger"] as RunSums["trigger"],
						rows: Number(row["rows"]),
						bytes: Number(row["bytes"]),
						seconds: Number(row["seconds"]),
					};
				}),
		);
	}

	/** The run before (-1) or after (1) another one of the same pipeline. */
	neighbour(runId: string, step: -1 | 1): string | null {
		const [sign, order] = step < 0 ? ["<", "DESC"] : [">", "ASC"];
		return this.#database.use((database) => {
			const row = database
				.prepare(
					`SELECT b.run_id FROM runs a JOIN runs b USING (pipeline)
					WHERE a.run_id = ? AND (b.started_at, b.run_id) ${sign} (a.started_at, a.run_id)
					ORDER BY b.started_at ${order}, b.run_id ${order} LIMIT 1`,
				)
				.get(runId);
			return row === undefined ? null : String(row["run_id"]);
		});
	}

	/** The last runs of one table, newest first. */
	tableRuns(pipeline: string, table: string, limit: number): TableRun[] {
		return this.#database.use((database) =>
			database
				.prepare(
					`SELECT r.run_id, r.started_at, t.receipt FROM table_receipts t JOIN runs r USING (run_id)
					WHERE r.pipeline = ? AND t.table_name = ? ORDER BY r.started_at DESC, r.run_id DESC LIMIT ?`,
				)
				.all(pipeline, table, limit)
				.map((row) => ({
					run_id: String(row["run_id"]),
					started_at: String(row["started_at"]),
					receipt: JSON.parse(String(row["receipt"])) as TableReceipt,
				})),
		);
	}

	/** Rows and bytes that were loaded by runs that began since then, by pipeline. */
	loadedSince(since: string): Map<string, { readonly rows: number; readonly bytes: number }> {
		return this.#database.use((database) => {
			const rows = database
				.prepare(
					`SELECT r.pipeline, sum(t.receipt ->> '$.rows_loaded') AS rows, sum(t.receipt ->> '$.bytes') AS bytes
					FROM runs r JOIN table_receipts t USING (run_id) WHERE r.started_at >= ? GROUP BY r.pipeline`,
				)
				.all(since);
			return new Map(
				rows.map((row) => [String(row["pipeline"]), { rows: Number(row["rows"]), bytes: Number(row["bytes"]) }]),
			);
		});
	}

	/** A part of a run's log. */
	logLines(runId: string, { after, limit, level, task, search }: LogQuery): NumberedLine[] {
		const levels = level === undefined ? LEVELS : LEVELS.slice(LEVELS.indexOf(level));
		return this.#database.use((database) =>
			database
				.prepare(
					`SELECT line_id AS line, logged_at AS at, level, task, message FROM log_lines
					WHERE run_id = ?1 AND line_id > ?2 AND level IN (SELECT value FROM json_each(?3))
						AND (?4 IS NULL OR task = ?4) AND (?5 IS NULL OR instr(lower(message), lower(?5)) > 0)
					ORDER BY line_id LIMIT ?6`,
				)
				.all(runId, after, JSON.stringify(levels), task ?? null, search ?? null, limit)
				.map((row) => ({ ...row }) as unknown as NumberedLine),
		);
	}

	/** How many lines a run's log has, and where its first error is. */
	logSize(runId: string): { readonly lines: number; readonly firstErrorLine: number | null } {
		return this.#database.use((database) => {
			const row = database
				.prepare(
					"SELECT count(*) AS lines, min(iif(level = 'error', line_id, NULL)) AS first FROM log_lines WHERE run_id = ?",
				)
				.get(runId);
			const first = row?.["first"] ?? null;
			return { lines: Number(row?.["lines"] ?? 0), firstErrorLine: first === null ? null : Number(first) };
		});
	}

	addAudit(row: AuditRow): void {
		const entry = { ...row, detail: this.#redact(row.detail) };
		this.#database.transaction((database) => {
			const { lastInsertRowid } = database
				.prepare("INSERT INTO audit (at, entry) VALUES (?, ?)")
				.run(row.at, JSON.stringify(entry));
			database.prepare("DELETE FROM audit WHERE audit_id <= ?").run(Number(lastInsertRowid) - AUDIT_KEPT);
		});
	}

	/** Newest first. */
	audit(limit: number, before?: number): (AuditRow & { readonly auditId: number })[] {
		return this.#database.use((database) =>
			database
				.prepare("SELECT audit_id, entry FROM audit WHERE ?1 IS NULL OR audit_id < ?1 ORDER BY audit_id DESC LIMIT ?2")
				.all(before ?? null, limit)
				.map((row) => ({ auditId: Number(row["audit_id"]), ...(JSON.parse(String(row["entry"])) as AuditRow) })),
		);
	}
}

/** A new name for something that the store keeps, which sorts by its time. */
export function newId(now: Date = new Date()): string {
	return `${now.toISOString().replace(/[-:]/g, "").slice(0, 15)}-${randomUUID().slice(0, 8)}`;
}

interface ScheduleColumns {
	readonly pipeline: string;
	readonly due_ms: number | null;
	readonly paused_at: string | null;
	readonly paused_by: string | null;
	readonly pause_reason: string | null;
}

function scheduleOf({ pipeline, due_ms, paused_at, paused_by, pause_reason }: ScheduleColumns): ScheduleRow {
	const paused = paused_at === null ? null : { at: paused_at, by: paused_by ?? "", reason: pause_reason };
	return { pipeline, dueMs: due_ms, paused };
}
