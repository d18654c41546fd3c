import { z } from "zod";
import { job } from "./pipelines.ts";
import { runState, tableState, time } from "./receipts.ts";

/**
 * What `GET /api/events` sends: the SSE event's name is `type`, its data the object. After `reset` whatever was kept is
 * old: ask for it anew.
 */
export const serverEvent = z.discriminatedUnion("type", [
	z.strictObject({ type: z.literal("reset") }).readonly(),
	z.strictObject({ type: z.literal("job"), at: time, job }).readonly(),
	z
		.strictObject({ type: z.literal("run"), at: time, pipeline: z.string(), run_id: z.string(), state: runState })
		.readonly(),
	z
		.strictObject({
			type: z.literal("table"),
			at: time,
			pipeline: z.string(),
			run_id: z.string(),
			table: z.string(),
			state: tableState,
		})
		.readonly(),
	z
		.strictObject({
			type: z.literal("progress"),
			at: time,
			pipeline: z.string(),
			run_id: z.string(),
			table: z.string(),
			stage: z.enum(["extract", "load"]),
			rows: z.number(),
			bytes: z.number(),
			estimated_rows: z.number().nullable(),
			chunks_done: z.int().nullable(),
			chunks_total: z.int().nullable(),
		})
		.readonly()
		.describe("At most twice a second for each table"),
	z
		.strictObject({ type: z.literal("pipeline"), at: time, pipeline: z.string() })
		.readonly()
		.describe("Paused, changed, made or gone"),
	z
		.strictObject({ type: z.literal("history"), at: time })
		.readonly()
		.describe("Another process wrote to the history"),
	z
		.strictObject({ type: z.literal("draining"), at: time })
		.readonly()
		.describe("The server is about to stop"),
]);
