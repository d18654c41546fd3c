import { z } from "zod";
import { interval, runState, tableState, time } from "./receipts.ts";

/** A fault of a file, or an error of a request. */
export const problem = z
	.strictObject({
		code: z.string(),
		message: z.string(),
		hint: z.string(),
		file: z.string().nullable().describe("Within the project's folder"),
		line: z.int().nullable().describe("From 1 on"),
		column: z.int().nullable().describe("From 1 on"),
	})
	.readonly();

/** What every answer that is not a success holds. */
export const failure = z.strictObject({ errors: z.array(problem).readonly() }).readonly();

export const trigger = z
	.enum(["schedule", "catchup", "continuous", "manual", "backfill", "retry", "command"])
	.describe("What began the run; `command`: the command line, or another program");

export const runSquare = z
	.strictObject({
		run_id: z.string(),
		state: runState,
		interval: interval.nullable(),
		started_at: time,
		finished_at: time.nullable(),
		seconds: z.number().describe("So far, when it is running"),
		rows: z.number().describe("Loaded"),
		bytes: z.number(),
		trigger,
	})
	.readonly();

/** Something that the server was asked to do: it waits, works, or has ended. */
export const job = z
	.strictObject({
		job_id: z.string(),
		pipeline: z.string(),
		trigger,
		state: z.enum(["queued", "running", "succeeded", "failed", "stopped"]),
		queued_at: time,
		started_at: time.nullable(),
		finished_at: time.nullable(),
		due_at: time.nullable().describe("When the schedule wanted it"),
		requested_by: z.string().nullable().describe("Null: the schedule"),
		waits_for: z.string().nullable().describe("In words, when it is queued"),
		tables: z.array(z.string()).readonly().describe("Empty: all"),
		intervals: z.int().describe("Runs that it consists of, one an interval"),
		run_ids: z.array(z.string()).readonly().describe("Of the runs that have begun"),
		error: problem.nullable(),
	})
	.readonly();

export const freshness = z
	.strictObject({
		last_success_at: time.nullable().describe("Of the loaded table that is behind most"),
		seconds: z.number().nullable().describe("Since then"),
		late_after_seconds: z.number().nullable().describe("Null: no `late_after`, never late"),
		late: z.boolean(),
		message: z.string().nullable().describe("In words, when it is late"),
		never_loaded: z
			.array(z.string())
			.readonly()
			.describe("Tables that the file names, or a run has planned, and no run that is kept has loaded"),
	})
	.readonly();

export const schedule = z
	.strictObject({
		text: z.string().describe("As written: `0 2 * * *`"),
		words: z.string().describe("`At 02:00`"),
		kind: z.enum(["cron", "every", "continuous"]),
		timezone: z.string(),
		next_at: time.nullable().describe("Null when it is paused, or continuous"),
		start: z.string().nullable(),
		catchup: z.boolean(),
		max_active_runs: z.int(),
	})
	.readonly();

export const pause = z
	.strictObject({ at: time, by: z.string(), reason: z.string().nullable() })
	.readonly()
	.describe("The schedule is held; a run that is asked for goes on");

export const pipelineSummary = z
	.strictObject({
		pipeline: z.string(),
		file: z.string().describe("Within the project's folder"),
		from: z.string().nullable().describe("Name of the connection; null when the file is broken"),
		from_type: z.string().nullable(),
		to: z.string().nullable(),
		to_type: z.string().nullable(),
		modes: z.array(z.string()).readonly().describe("Of its tables, without repetition"),
		schedule: schedule.nullable(),
		paused: pause.nullable(),
		last_runs: z.array(runSquare).readonly().describe("Newest last, at most 14"),
		jobs: z.array(job).readonly().describe("Waiting and at work"),
		held_by: z.string().nullable().describe("The process that runs it now, on whatever machine"),
		freshness,
		rows_day: z.number().describe("Loaded in the last 24 hours"),
		bytes_day: z.number(),
		lag_seconds: z.number().nullable().describe("Of its change stream"),
		alerts_waiting: z.int(),
		problems: z.array(problem).readonly().describe("Not empty: the file is broken, and nothing of it is run"),
	})
	.readonly();

export const gridCell = z
	.strictObject({
		run_id: z.string(),
		state: tableState,
		rows: z.number().describe("Loaded"),
		bytes: z.number(),
		seconds: z.number(),
		error_code: z.string().nullable(),
	})
	.readonly();

export const grid = z
	.strictObject({
		pipeline: z.string(),
		runs: z.array(runSquare).readonly().describe("Columns, oldest first"),
		tables: z
			.array(
				z
					.strictObject({
						table: z.string(),
						into: z.string(),
						mode: z.string(),
						write: z.string(),
						cells: z.array(gridCell.nullable()).readonly().describe("One a run; null where it did not take part"),
					})
					.readonly(),
			)
			.readonly(),
	})
	.readonly();

export const pipelineDetail = z
	.strictObject({
		...pipelineSummary.unwrap().shape,
		grid,
		staging: z.string().nullable(),
		retries: z.int().nullable(),
		retry_delay_seconds: z.number().nullable(),
		concurrency: z.int().nullable(),
		schema_changes: z.string().nullable(),
		params: z
			.record(z.string(), z.union([z.string(), z.number(), z.boolean()]))
			.readonly()
			.describe("Names and defaults of what `run` takes as `params`"),
		can_backfill: z.boolean().describe("It has a table with `mode: interval`"),
		next_runs: z.array(time).readonly().describe("The next five times of its schedule"),
		alerts: z
			.array(
				z
					.strictObject({
						channel: z.string(),
						event: z.string(),
						table: z.string().nullable(),
						run_id: z.string().nullable(),
						since: time,
						failure: z.string().nullable(),
					})
					.readonly(),
			)
			.readonly()
			.describe("That no channel could be told yet"),
	})
	.readonly();

export const calendarDay = z
	.strictObject({
		interval: interval.readonly(),
		name: z.string().describe("What `--interval` takes"),
		state: z.enum(["missing", "queued", ...runState.options]),
		run_id: z.string().nullable().describe("The last run of it"),
		rows: z.number(),
		seconds: z.number(),
	})
	.readonly();

export const calendar = z
	.strictObject({
		pipeline: z.string(),
		unit: z.enum(["minute", "day", "week", "month", "year"]),
		timezone: z.string(),
		from: time,
		to: time,
		intervals: z.array(calendarDay).readonly().describe("Oldest first"),
	})
	.readonly();
