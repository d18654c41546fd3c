import { randomUUID } from "node:crypto";
import type { RunReceipt, RunState, TableReceipt } from "../core/state-store.ts";
import type { StateDatabase } from "./database.ts";
import { intervalOf, receiptsOf, settleAbandonedRuns } from "./run-rows.ts";
import type {
	AuditRow,
	ColumnsRow,
	IntervalRow,
	JobRow,
	LastRunsQuery,
	LogQuery,
	NumberedLine,
	RunSums,
	RunsQuery,
	ScheduleRow,
	SettingsRow,
	TableRun,
} from "./server-rows.ts";
import {
	all,
	first,
	insert,
	jsonText,
	numberOf,
	numberOrNull,
	type Row,
	run,
	textOf,
	textOrNull,
	type Work,
} from "./work.ts";

const LEVELS = ["debug", "info", "warn", "error"] as const;
/** Jobs that have ended are kept for the list of the last ones only. */
const ENDED_JOBS_KEPT = 200;
const AUDIT_KEPT = 100_000;
/** Versions of a pipeline's settings. */
const SETTINGS_KEPT = 100;

/** What the server keeps beside runs, and how it looks into them. In the same database as the runs. */
export class ServerStore {
	readonly #database: StateDatabase;
	readonly #redact: (text: string) => string;

	constructor(database: StateDatabase, redact: (text: string) => string) {
		this.#database = database;
		this.#redact = redact;
	}

	/** A number that changes when another process has written. */
	dataVersion(): Promise<number> {
		return this.#database.dataVersion();
	}

	async schedules(): Promise<ScheduleRow[]> {
		return (await this.#database.use(() => all("SELECT * FROM schedules"))).map(scheduleOf);
	}

	/** Remembers how far a schedule has been served. */
	async saveDue(pipeline: string, dueMs: number): Promise<void> {
		const more = "ON CONFLICT (pipeline) DO UPDATE SET due_ms = excluded.due_ms";
		await this.#database.transaction(() => insert("schedules", ["pipeline", "due_ms"], [[pipeline, dueMs]], more));
	}

	/** Holds a schedule, or lets it go on when `paused` is null. */
	async savePause(pipeline: string, paused: ScheduleRow["paused"]): Promise<void> {
		const reason = paused === null || paused.reason === null ? null : this.#redact(paused.reason);
		await this.#database.transaction(() =>
			insert(
				"schedules",
				["pipeline", "paused_at", "paused_by", "pause_reason"],
				[[pipeline, paused?.at ?? null, paused?.by ?? null, reason]],
				`ON CONFLICT (pipeline) DO UPDATE SET paused_at = excluded.paused_at, paused_by = excluded.paused_by,
					pause_reason = excluded.pause_reason`,
			),
		);
	}

	async saveJob(job: JobRow): Promise<void> {
		await this.#database.transaction(function* () {
			yield* insert(
				"jobs",
				["job_id", "ended", "queued_at", "entry"],
				[[job.jobId, job.ended ? 1 : 0, job.queuedAt, job.entry]],
				"ON CONFLICT (job_id) DO UPDATE SET ended = excluded.ended, entry = excluded.entry",
			);
			if (job.ended)
				yield* run(
					`DELETE FROM jobs WHERE ended = 1 AND job_id NOT IN
						(SELECT job_id FROM jobs WHERE ended = 1 ORDER BY queued_at DESC, job_id DESC LIMIT $1)`,
					ENDED_JOBS_KEPT,
				);
		});
	}

	/** Those that have not ended, oldest first; `ended` gives the others, newest first. */
	async jobs(ended: boolean): Promise<JobRow[]> {
		const order = ended ? "DESC" : "ASC";
		const sql = `SELECT * FROM jobs WHERE ended = $1 ORDER BY queued_at ${order}, job_id ${order}`;
		return (await this.#database.use(() => all(sql, ended ? 1 : 0))).map((row) => ({
			jobId: textOf(row, "job_id"),
			ended,
			queuedAt: textOf(row, "queued_at"),
			entry: textOf(row, "entry"),
			cancelledBy: textOrNull(row, "cancelled_by"),
		}));
	}

	/** Asks whoever works on a job to stop it. False when it has ended. */
	async cancelJob(jobId: string, by: string): Promise<boolean> {
		const asked = await this.#database.transaction(() =>
			run("UPDATE jobs SET cancelled_by = coalesce(cancelled_by, $1) WHERE job_id = $2 AND ended = 0", by, jobId),
		);
		return asked === 1;
	}

	async saveColumns(pipeline: string, tables: ReadonlyMap<string, ColumnsRow>): Promise<void> {
		const rows = [...tables].map(([table, { seenAt, ...entry }]) => [pipeline, table, seenAt, jsonText(entry)]);
		const more = "ON CONFLICT (pipeline, table_name) DO UPDATE SET seen_at = excluded.seen_at, entry = excluded.entry";
		await this.#database.transaction(() =>
			insert("table_columns", ["pipeline", "table_name", "seen_at", "entry"], rows, more),
		);
	}

	async columns(pipeline: string, table: string): Promise<ColumnsRow | null> {
		const sql = "SELECT seen_at, entry FROM table_columns WHERE pipeline = $1 AND table_name = $2";
		const row = await this.#database.use(() => first(sql, pipeline, table));
		if (row === null) return null;
		return { seenAt: textOf(row, "seen_at"), ...(JSON.parse(textOf(row, "entry")) as Omit<ColumnsRow, "seenAt">) };
	}

	/** Keeps the settings of a pipeline that a run begins with, when they differ from those of the run before. */
	async saveSettings(pipeline: string, { startedAt, runId, settings }: SettingsRow): Promise<void> {
		const text = this.#redact(settings);
		await this.#database.transaction(function* () {
			const last = yield* first(
				"SELECT settings FROM pipeline_settings WHERE pipeline = $1 ORDER BY started_at DESC LIMIT 1",
				pipeline,
			);
			if (last !== null && textOf(last, "settings") === text) return;
			const columns = ["pipeline", "started_at", "run_id", "settings"];
			const more =
				"ON CONFLICT (pipeline, started_at) DO UPDATE SET run_id = excluded.run_id, settings = excluded.settings";
			yield* insert("pipeline_settings", columns, [[pipeline, startedAt, runId, text]], more);
			yield* run(
				`DELETE FROM pipeline_settings WHERE pipeline = $1 AND started_at < (
					SELECT min(started_at) FROM (
						SELECT started_at FROM pipeline_settings WHERE pipeline = $1 ORDER BY started_at DESC LIMIT $2) AS kept)`,
				pipeline,
				SETTINGS_KEPT,
			);
		});
	}

	/** The settings that runs of a pipeline began with at a time, and since which run; null when none were kept then. */
	async settingsAt(pipeline: string, at: string): Promise<SettingsRow | null> {
		const row = await this.#database.use(() =>
			first(
				`SELECT started_at, run_id, settings FROM pipeline_settings WHERE pipeline = $1 AND started_at <= $2
				ORDER BY started_at DESC LIMIT 1`,
				pipeline,
				at,
			),
		);
		if (row === null) return null;
		return { startedAt: textOf(row, "started_at"), runId: textOf(row, "run_id"), settings: textOf(row, "settings") };
	}

	/** The columns of every table of a pipeline that a run has planned, by name. */
	async allColumns(pipeline: string): Promise<Map<string, ColumnsRow>> {
		const sql = "SELECT table_name, seen_at, entry FROM table_columns WHERE pipeline = $1 ORDER BY table_name";
		const rows = await this.#database.use(() => all(sql, pipeline));
		return new Map(
			rows.map((row) => {
				const entry = JSON.parse(textOf(row, "entry")) as Omit<ColumnsRow, "seenAt">;
				return [textOf(row, "table_name"), { seenAt: textOf(row, "seen_at"), ...entry }];
			}),
		);
	}

	/** Tables of a pipeline that a run has planned, by name. */
	async plannedTables(pipeline: string): Promise<string[]> {
		const sql = "SELECT table_name FROM table_columns WHERE pipeline = $1 ORDER BY table_name";
		return (await this.#database.use(() => all(sql, pipeline))).map((row) => textOf(row, "table_name"));
	}

	/** The newest run of each table for each interval that begins in [from, to), in their order. */
	async intervals(pipeline: string, from: string, to: string): Promise<IntervalRow[]> {
		await settleAbandonedRuns(this.#database);
		const rows = await this.#database.use(() =>
			all(
				`SELECT i.interval_start AS interval_start, i.interval_end AS interval_end, i.run_id AS run_id,
					i.started_at AS started_at, i.table_name AS table_name,
					CASE WHEN r.state <> 'running' AND t.state IN ('pending', 'running') THEN r.state ELSE t.state END AS state,
					t.receipt ->> 'rows_loaded' AS rows_loaded, t.receipt ->> 'seconds' AS seconds
				FROM interval_runs i JOIN runs r ON r.run_id = i.run_id
					JOIN table_receipts t ON t.run_id = i.run_id AND t.table_name = i.table_name
				WHERE i.pipeline = $1 AND i.interval_start >= $2 AND i.interval_start < $3
					AND t.receipt ->> 'mode' = 'interval'
				ORDER BY i.interval_start, i.table_name`,
				pipeline,
				from,
				to,
			),
		);
		return rows.map((row) => ({
			start: textOf(row, "interval_start"),
			end: textOf(row, "interval_end"),
			runId: textOf(row, "run_id"),
			startedAt: textOf(row, "started_at"),
			table: textOf(row, "table_name"),
			state: textOf(row, "state") as IntervalRow["state"],
			rows: numberOf(row, "rows_loaded"),
			seconds: numberOf(row, "seconds"),
		}));
	}

	/** Runs, newest first. */
	async runs({ pipeline, state, before, limit }: RunsQuery): Promise<RunReceipt[]> {
		await settleAbandonedRuns(this.#database);
		return this.#database.use(function* () {
			// Only what is asked for stands there: a condition that may be absent keeps a database from its indexes.
			const wanted = [
				...(pipeline === undefined ? [] : [{ sql: "pipeline = ?", value: pipeline }]),
				...(state === undefined ? [] : [{ sql: `state = ?${UNLIKE_MOST(state)}`, value: state }]),
				...(before === undefined
					? []
					: [{ sql: "(started_at, run_id) < (SELECT started_at, run_id FROM runs WHERE run_id = ?)", value: before }]),
			].map(({ sql, value }, index) => ({ sql: sql.replace("?", `$${index + 1}`), value }));
			const where = wanted.length === 0 ? "" : `WHERE ${wanted.map(({ sql }) => sql).join(" AND ")}`;
			const rows = yield* all(
				`SELECT * FROM runs ${where} ORDER BY started_at DESC, run_id DESC LIMIT $${wanted.length + 1}`,
				...wanted.map(({ value }) => value),
				limit,
			);
			return yield* receiptsOf(rows);
		});
	}

	/** How many runs each pipeline has and when its newest began, as text: differs when a run came or went. */
	async runMarks(): Promise<Map<string, string>> {
		const sql = "SELECT pipeline, count(*) AS runs, max(started_at) AS newest FROM runs GROUP BY pipeline";
		const rows = await this.#database.use(() => all(sql));
		return new Map(rows.map((row) => [textOf(row, "pipeline"), `${numberOf(row, "runs")} ${textOf(row, "newest")}`]));
	}

	/** The runs of a pipeline that began since then in short, and at least so many of its last; oldest first. */
	async lastRuns(pipeline: string, { since, least }: LastRunsQuery): Promise<RunSums[]> {
		await settleAbandonedRuns(this.#database);
		const columns =
			"run_id, pipeline, interval_start, interval_end, state, started_at, finished_at, rows_loaded, bytes, tables_ms";
		const last = "SELECT started_at FROM runs WHERE pipeline = $1 ORDER BY started_at DESC LIMIT 1 OFFSET $3";
		const from = `SELECT CASE WHEN at < $2 THEN at ELSE $2 END FROM (SELECT coalesce((${last}), '') AS at) AS last_runs`;
		const rows = await this.#database.use(() =>
			all(
				`SELECT ${columns}, details -> 'origin' ->> 'trigger' AS run_trigger FROM runs
				WHERE pipeline = $1 AND started_at >= (${from}) ORDER BY started_at, run_id`,
				pipeline,
				since,
				least - 1,
			),
		);
		return rows.map((row) => ({
			run_id: textOf(row, "run_id"),
			pipeline: textOf(row, "pipeline"),
			interval: intervalOf(row),
			state: textOf(row, "state") as RunState,
			started_at: textOf(row, "started_at"),
			finished_at: textOrNull(row, "finished_at"),
			trigger: textOrNull(row, "run_trigger") as RunSums["trigger"],
			rows: numberOf(row, "rows_loaded"),
			bytes: numberOf(row, "bytes"),
			seconds: numberOf(row, "tables_ms") / 1000,
		}));
	}

	/** The run before (-1) or after (1) another one of the same pipeline. */
	async neighbour(runId: string, step: -1 | 1): Promise<string | null> {
		const [sign, order] = step < 0 ? ["<", "DESC"] : [">", "ASC"];
		const row = await this.#database.use(() =>
			first(
				`SELECT b.run_id AS run_id FROM runs a JOIN runs b USING (pipeline)
				WHERE a.run_id = $1 AND (b.started_at, b.run_id) ${sign} (a.started_at, a.run_id)
				ORDER BY b.started_at ${order}, b.run_id ${order} LIMIT 1`,
				runId,
			),
		);
		return row === null ? null : textOf(row, "run_id");
	}

	/** The last runs of one table, newest first. */
	async tableRuns(pipeline: string, table: string, limit: number): Promise<TableRun[]> {
		const rows = await this.#database.use(() =>
			all(
				`SELECT r.run_id AS run_id, r.started_at AS started_at, t.receipt AS receipt
				FROM table_receipts t JOIN runs r USING (run_id)
				WHERE r.pipeline = $1 AND t.table_name = $2 ORDER BY r.started_at DESC, r.run_id DESC LIMIT $3`,
				pipeline,
				table,
				limit,
			),
		);
		return rows.map((row) => ({
			run_id: textOf(row, "run_id"),
			started_at: textOf(row, "started_at"),
			receipt: JSON.parse(textOf(row, "receipt")) as TableReceipt,
		}));
	}

	/** A part of a run's log. */
	async logLines(runId: string, { after, limit, level, task, search }: LogQuery): Promise<NumberedLine[]> {
		const levels = level === undefined ? LEVELS : LEVELS.slice(LEVELS.indexOf(level));
		const rows = await this.#database.use(() =>
			all(
				`SELECT line_id, logged_at, level, task, message FROM log_lines
				WHERE run_id = $1 AND line_id > $2 AND level IN (${levels.map((each) => `'${each}'`).join(", ")})
					AND (CAST($3 AS TEXT) IS NULL OR task = $3)
					AND (CAST($4 AS TEXT) IS NULL OR lower(message) LIKE lower($4) ESCAPE '!')
				ORDER BY line_id LIMIT $5`,
				runId,
				after,
				task ?? null,
				search === undefined ? null : `%${search.replace(/[!%_]/g, "!$&")}%`,
				limit,
			),
		);
		return rows.map(lineOf);
	}

	/** The last lines of a run's log, oldest first, and how many came before them. */
	async logTail(
		runId: string,
		limit: number,
	): Promise<{ readonly lines: readonly NumberedLine[]; readonly before: number }> {
		const { lines: count } = await this.logSize(runId);
		const rows = await this.#database.use(() =>
			all(
				`SELECT line_id, logged_at, level, task, message FROM log_lines
				WHERE run_id = $1 ORDER BY line_id DESC LIMIT $2`,
				runId,
				limit,
			),
		);
		return { lines: rows.toReversed().map(lineOf), before: Math.max(0, count - rows.length) };
	}

	/** How many lines a run's log has, and where its first error is. */
	async logSize(runId: string): Promise<{ readonly lines: number; readonly firstErrorLine: number | null }> {
		const row = await this.#database.use(() =>
			first(
				`SELECT count(*) AS lines, min(CASE WHEN level = 'error' THEN line_id END) AS first_error
				FROM log_lines WHERE run_id = $1`,
				runId,
			),
		);
		return { lines: numberOf(row!, "lines"), firstErrorLine: numberOrNull(row!, "first_error") };
	}

	async addAudit(row: AuditRow): Promise<void> {
		const entry = jsonText({ ...row, detail: this.#redact(row.detail) });
		await this.#database.transaction(function* (): Work<void> {
			const added = yield* first("INSERT INTO audit (at, entry) VALUES ($1, $2) RETURNING audit_id", row.at, entry);
			yield* run("DELETE FROM audit WHERE audit_id <= $1", numberOf(added!, "audit_id") - AUDIT_KEPT);
		});
	}

	/** Newest first. */
	async audit(limit: number, before?: number): Promise<(AuditRow & { readonly auditId: number })[]> {
		const rows = await this.#database.use(() =>
			all(
				`SELECT audit_id, entry FROM audit WHERE CAST($1 AS BIGINT) IS NULL OR audit_id < $1
				ORDER BY audit_id DESC LIMIT $2`,
				before ?? null,
				limit,
			),
		);
		return rows.map((row) => ({
			auditId: numberOf(row, "audit_id"),
			...(JSON.parse(textOf(row, "entry")) as AuditRow),
		}));
	}
}

/** What lets a database use its index of the few runs that did not succeed. */
const UNLIKE_MOST = (state: RunState): string => (state === "succeeded" ? "" : " AND state <> 'succeeded'");
/** A new name for something that the store keeps, which sorts by its time. */
export function newId(now: Date = new Date()): string {
	return `${now.toISOString().replace(/[-:]/g, "").slice(0, 15)}-${randomUUID().slice(0, 8)}`;
}

function lineOf(row: Row): NumberedLine {
	return {
		line: numberOf(row, "line_id"),
		at: textOf(row, "logged_at"),
		level: textOf(row, "level") as NumberedLine["level"],
		task: textOrNull(row, "task"),
		message: textOf(row, "message"),
	};
}

function scheduleOf(row: Row): ScheduleRow {
	const at = textOrNull(row, "paused_at");
	const paused =
		at === null ? null : { at, by: textOrNull(row, "paused_by") ?? "", reason: textOrNull(row, "pause_reason") };
	return { pipeline: textOf(row, "pipeline"), dueMs: numberOrNull(row, "due_ms"), paused };
}
