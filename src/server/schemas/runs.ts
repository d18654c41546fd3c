import { z } from "zod";
import { job, problem, runSquare, trigger } from "./pipelines.ts";
import { interval, runReceipt, stageTime, time } from "./receipts.ts";

/** A bar of the run's timeline. */
export const stageBar = z.strictObject({ table: z.string(), ...stageTime.unwrap().shape }).readonly();

export const runDetail = z
	.strictObject({
		run: runReceipt,
		trigger,
		requested_by: z.string().nullable(),
		due_at: time.nullable(),
		params: z.record(z.string(), z.string()).readonly(),
		held: z.boolean().describe("It is at work in this server: it can be cancelled here"),
		stages: z.array(stageBar).readonly(),
		previous_run_id: z.string().nullable().describe("Of the same pipeline"),
		next_run_id: z.string().nullable(),
		log_lines: z.int(),
		first_error_line: z.int().nullable().describe("`line` of the first line at level error"),
		commands: z
			.strictObject({ show: z.string(), logs: z.string(), retry: z.string().nullable() })
			.readonly()
			.describe("For a shell"),
	})
	.readonly();

export const settingsDiff = z
	.strictObject({
		run_id: z.string(),
		previous_run_id: z.string().nullable().describe("The run of the pipeline before it"),
		state: z
			.enum(["unknown", "first", "same", "changed"])
			.describe("unknown: nothing was kept of one of them; first: there is no run before it that was kept"),
		since_run_id: z.string().nullable().describe("The first run with these settings"),
		lines: z
			.array(z.strictObject({ kind: z.enum(["same", "added", "removed"]), text: z.string() }).readonly())
			.readonly()
			.describe("The pipeline's file as YAML without comments, references unresolved, secrets masked"),
	})
	.readonly();

export const runListItem = z
	.strictObject({
		...runSquare.unwrap().shape,
		pipeline: z.string(),
		tables: z.int(),
		tables_failed: z.int(),
		error: problem.nullable().describe("The first"),
	})
	.readonly();

export const runList = z
	.strictObject({
		runs: z.array(runListItem).readonly().describe("Newest first"),
		before: z.string().nullable().describe("What `?before=` takes for older ones; null when there are none"),
	})
	.readonly();

export const logLevel = z.enum(["debug", "info", "warn", "error"]);

export const logLine = z
	.strictObject({
		line: z.int().describe("Grows with each line; what `?after=` and Last-Event-ID take"),
		at: time,
		level: logLevel,
		task: z.string().nullable().describe("The table; null for the run as a whole"),
		message: z.string(),
	})
	.readonly();

export const logPage = z
	.strictObject({
		run_id: z.string(),
		lines: z.array(logLine).readonly(),
		next: z.int().nullable().describe("What `?after=` takes for the next page; null at the end so far"),
		complete: z.boolean().describe("The run has ended: no more lines will come"),
	})
	.readonly();

export const runRequest = z
	.strictObject({
		tables: z.array(z.string().min(1).max(300)).max(1000).optional().describe("Names or patterns; all when absent"),
		full_refresh: z.boolean().optional(),
		interval: z.string().max(60).optional().describe("As `--interval`: `2026-01-01`"),
		stage: z.enum(["extract", "load"]).optional(),
		params: z.record(z.string().max(100), z.string().max(10_000)).optional(),
	})
	.readonly();

export const backfillRequest = z
	.strictObject({
		start: z.string().max(60).describe("`2026-01-01`, in the pipeline's time zone; included"),
		end: z.string().max(60).describe("Excluded"),
		tables: z.array(z.string().min(1).max(300)).max(1000).optional(),
		which: z
			.enum(["all", "missing", "failed"])
			.optional()
			.describe("missing: what is not loaded, failed ones too; failed: whose last run failed or was stopped"),
		newest_first: z.boolean().optional(),
		max_active_runs: z.int().min(1).max(100).optional(),
	})
	.readonly();

export const backfillPreview = z
	.strictObject({
		pipeline: z.string(),
		tables: z.array(z.string()).readonly(),
		intervals: z
			.array(
				z
					.strictObject({
						interval,
						state: z.enum(["missing", "queued", "running", "succeeded", "failed", "stopped"]),
						taken: z.boolean(),
					})
					.readonly(),
			)
			.readonly()
			.describe("All of the range, in the order in which they run"),
		runs: z.int().describe("How many are taken"),
	})
	.readonly();

export const jobAnswer = z.strictObject({ job }).readonly();
export const jobList = z.strictObject({ jobs: z.array(job).readonly() }).readonly();
