import { z } from "zod";
import { freshness, problem } from "./pipelines.ts";
import { schemaChange, tableReceipt, tableState, time } from "./receipts.ts";

export const tableColumn = z
	.strictObject({
		name: z.string(),
		source_type: z.string(),
		destination_type: z.string(),
		fidelity: z.enum(["exact", "lossy", "refused"]),
		note: z.string().nullable(),
	})
	.readonly();

export const tablePage = z
	.strictObject({
		pipeline: z.string(),
		table: z.string(),
		into: z.string(),
		mode: z.string(),
		write: z.string(),
		key: z.array(z.string()).readonly(),
		freshness,
		position: z
			.strictObject({ text: z.string(), committed_at: time.nullable(), load_id: z.string().nullable() })
			.readonly()
			.nullable(),
		last: tableReceipt.nullable().describe("Of its last run"),
		history: z
			.array(
				z
					.strictObject({
						run_id: z.string(),
						started_at: time,
						state: tableState,
						rows: z.number(),
						rows_deleted: z.number(),
						bytes: z.number(),
						seconds: z.number(),
					})
					.readonly(),
			)
			.readonly()
			.describe("Oldest first, at most 200 runs"),
		columns: z.array(tableColumn).readonly().describe("As the last run found them; empty before the first"),
		columns_at: time.nullable(),
		schema_changes: z
			.array(z.strictObject({ run_id: z.string(), at: time, changes: z.array(schemaChange).readonly() }).readonly())
			.readonly()
			.describe("Newest first"),
	})
	.readonly();

export const tableSample = z
	.strictObject({
		pipeline: z.string(),
		table: z.string(),
		into: z.string(),
		columns: z.array(z.strictObject({ name: z.string(), destination_type: z.string() }).readonly()).readonly(),
		columns_left_out: z.int().describe("How many more columns it has"),
		rows: z
			.array(z.array(z.string().nullable()).readonly())
			.readonly()
			.describe(
				"A few rows, in no order, without their values: a letter is `x` or `X`, a digit `9`, at most 40 characters; null is NULL",
			),
	})
	.readonly();

const columnLineage = z
	.strictObject({
		source: z.string().nullable().describe("Null: the source has no such column"),
		source_type: z.string().nullable(),
		name: z.string().nullable().describe("In the destination; null: it does not arrive"),
		destination_type: z.string().nullable(),
		fidelity: z.enum(["exact", "lossy", "refused"]).nullable(),
		mask: z.enum(["hmac", "partial", "null"]).nullable(),
		change: z
			.enum(["copied", "renamed", "dropped", "left out", "added"])
			.describe("dropped: by the file; left out: by `schema_changes`; added: by `deletes: soft` or `write: history`"),
		note: z.string().nullable(),
	})
	.readonly();

export const lineage = z
	.strictObject({
		pipeline: z.string(),
		from: z.string().nullable(),
		to: z.string().nullable(),
		tables: z
			.array(
				z
					.strictObject({
						table: z.string(),
						into: z.string(),
						mode: z.string().nullable(),
						seen_at: time.describe("When a run last planned it"),
						key: z.array(z.string()).readonly().describe("In the destination"),
						columns: z.array(columnLineage).readonly(),
					})
					.readonly(),
			)
			.readonly(),
		summaries: z
			.array(
				z
					.strictObject({
						name: z.string(),
						into: z.string(),
						reads: z.array(z.string()).readonly().describe("Tables and summaries, by their names in the destination"),
					})
					.readonly(),
			)
			.readonly(),
	})
	.readonly();

export const changeCapture = z
	.strictObject({
		pipeline: z.string(),
		state: z.enum(["following", "stopped", "restarting", "paused", "none"]).describe("none: no table follows a log"),
		lag_seconds: z
			.number()
			.nullable()
			.describe("Now less the commit time of the last change that is in the destination"),
		bytes_behind: z.number().nullable().describe("Of the source's log"),
		headroom_seconds: z.number().nullable().describe("Until the position can no longer be read"),
		headroom_bytes: z.number().nullable(),
		position: z.string().nullable().describe("As the source writes it"),
		log_end: z.string().nullable(),
		measured_at: time.nullable().describe("Of headroom and end"),
		restarts: z.int().describe("Since the server began to follow"),
		next_restart_at: time.nullable(),
		problem: problem.nullable().describe("Why it stands, or could not be measured"),
		tables: z
			.array(
				z
					.strictObject({
						table: z.string(),
						state: z.enum(["following", "loading", "paused"]),
						from: z.string().nullable(),
						until: z.string().nullable(),
					})
					.readonly(),
			)
			.readonly(),
	})
	.readonly();

export const connectionItem = z
	.strictObject({
		name: z.string(),
		type: z.string().nullable(),
		host: z.string().nullable(),
		address: z.string().nullable().describe("Without user's secrets"),
		tls: z.enum(["on", "off", "insecure", "none"]).nullable().describe("none: nothing is sent over a network"),
		secrets: z
			.array(z.strictObject({ key: z.string(), reference: z.string() }).readonly())
			.readonly()
			.describe("Where its secrets come from: `password`, `${env:SHOP_PASSWORD}`"),
		used_by: z
			.array(z.strictObject({ pipeline: z.string(), role: z.enum(["source", "staging", "destination"]) }).readonly())
			.readonly(),
		problems: z.array(problem).readonly(),
	})
	.readonly();

export const connectionList = z.strictObject({ connections: z.array(connectionItem).readonly() }).readonly();

export const finding = z
	.strictObject({
		subject: z.string(),
		severity: z.enum(["ok", "warning", "error"]),
		message: z.string(),
		remedy: z.string().nullable(),
	})
	.readonly();

export const checkAnswer = z
	.strictObject({ ok: z.boolean(), findings: z.array(finding).readonly(), seconds: z.number() })
	.readonly();

export const planAnswer = z
	.strictObject({
		pipeline: z.string(),
		tables: z
			.array(
				z
					.strictObject({
						table: z.string(),
						into: z.string(),
						mode: z.string(),
						write: z.string(),
						key: z.array(z.string()).readonly(),
						change: z.enum(["new", "changed", "same"]),
						estimated_rows: z.number().nullable(),
						ddl: z.array(z.string()).readonly(),
						notes: z.array(z.string()).readonly(),
						columns: z.array(tableColumn).readonly(),
					})
					.readonly(),
			)
			.readonly(),
		findings: z.array(finding).readonly(),
	})
	.readonly();
