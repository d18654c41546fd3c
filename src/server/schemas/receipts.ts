import { z } from "zod";

/** The receipts of `src/core/state-store.ts`, as they are sent: the compiler refuses a route that sends others. */

export const time = z.string().describe("ISO 8601, UTC");

export const interval = z
	.strictObject({ start: time.describe("UTC, included"), end: time.describe("UTC, excluded") })
	.readonly();

export const runState = z.enum(["running", "succeeded", "failed", "stopped"]);
export const tableState = z.enum([...runState.options, "pending", "skipped"]);

export const receiptError = z
	.strictObject({
		code: z.string(),
		message: z.string().describe("Without row values and secrets"),
		hint: z.string().describe("What to do about it"),
		values: z.string().exactOptional().describe("Never sent by the server"),
	})
	.readonly();

export const attemptError = z
	.strictObject({ attempt: z.int().describe("From 1 on"), at: time, code: z.string(), message: z.string() })
	.readonly();

export const schemaChange = z
	.strictObject({
		column: z.string().describe("Empty for a change of the key"),
		change: z.string().describe("In words: `added`, `renamed from a`, `widened int → bigint`"),
		action: z.string().describe("In words: `added`, `kept`, `table built anew`"),
	})
	.readonly();

export const stageTime = z
	.strictObject({
		stage: z.enum(["wait", "extract", "load"]).describe("`wait`: between two attempts"),
		attempt: z.int().describe("From 1 on"),
		started_at: time,
		finished_at: time.nullable().describe("Null: it goes on"),
		rows: z.number(),
		bytes: z.number(),
	})
	.readonly();

export const checkReceipt = z
	.strictObject({
		name: z.string(),
		severity: z.enum(["error", "warn"]),
		state: z.enum(["passed", "failed"]),
		failing: z.number().describe("Rows that fail"),
	})
	.readonly();

export const tableReceipt = z
	.strictObject({
		table: z.string(),
		into: z.string(),
		mode: z.string(),
		write: z.string(),
		state: tableState,
		rows_read: z.number(),
		rows_staged: z.number(),
		rows_loaded: z.number(),
		rows_rejected: z.number(),
		rows_inserted: z.number(),
		rows_updated: z.number(),
		rows_deleted: z.number(),
		rows_superseded: z
			.number()
			.exactOptional()
			.describe("Loaded rows that a newer one of the same key, which came with them, made needless"),
		bytes: z.number(),
		seconds: z.number(),
		attempts: z.int(),
		position: z.string().nullable(),
		values_changed: z
			.record(z.string(), z.number())
			.readonly()
			.describe("Values that a stated policy altered, by column"),
		chunks_total: z.int().exactOptional(),
		chunks_reused: z.int().exactOptional(),
		rows_reused: z.number().exactOptional(),
		consistency: z.enum(["exact", "cursor", "mixed"]).exactOptional(),
		error: receiptError.nullable(),
		schema_changes: z.array(schemaChange).readonly().exactOptional(),
		checks: z.array(checkReceipt).readonly().exactOptional(),
		attempt_errors: z.array(attemptError).readonly().exactOptional(),
		stages: z.array(stageTime).readonly().exactOptional(),
	})
	.readonly();

/** What `headrace run --json` prints too. */
export const runReceipt = z
	.strictObject({
		run_id: z.string(),
		pipeline: z.string(),
		interval: interval.nullable(),
		state: runState,
		started_at: time,
		finished_at: time.nullable(),
		stage: z.enum(["extract", "load"]).exactOptional().describe("Present when only this stage ran"),
		tables: z.array(tableReceipt).readonly(),
		error: receiptError.exactOptional().describe("Why the run as a whole ended"),
		attempt_errors: z.array(attemptError).readonly().exactOptional(),
		origin: z
			.strictObject({
				trigger: z.enum(["schedule", "catchup", "continuous", "manual", "backfill", "retry"]),
				by: z.string().exactOptional(),
				due_at: time.exactOptional(),
				params: z.record(z.string(), z.string()).readonly().exactOptional(),
			})
			.readonly()
			.exactOptional()
			.describe("Absent when the command line began it"),
	})
	.readonly();
