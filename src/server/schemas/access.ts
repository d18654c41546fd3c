import { z } from "zod";
import { time } from "./receipts.ts";

export const role = z
	.enum(["viewer", "operator", "admin"])
	.describe("viewer sees; operator also runs, cancels, pauses, tests; admin also gives and takes tokens");

export const session = z
	.strictObject({
		name: z.string(),
		role,
		via: z.enum(["cookie", "token"]),
		expires_at: time.nullable(),
		project: z.string().describe("The folder's name"),
		version: z.string(),
		sample_rows: z.boolean().describe("Whether admins may see masked rows: `headrace serve --sample-rows`"),
	})
	.readonly();

export const loginRequest = z
	.strictObject({ token: z.string().min(1).max(200).describe("The one of the link, or an API token") })
	.readonly();

export const tokenItem = z
	.strictObject({
		token_id: z.string(),
		name: z.string(),
		role,
		created_at: time,
		created_by: z.string(),
		last_used_at: time.nullable(),
		expires_at: time.nullable(),
		revoked_at: time.nullable(),
	})
	.readonly();

export const tokenList = z.strictObject({ tokens: z.array(tokenItem).readonly() }).readonly();

export const tokenRequest = z
	.strictObject({
		name: z.string().regex(/^[\w.@-]{1,60}$/, { error: "letters, digits, _ . @ -, at most 60" }),
		role,
		expires_days: z.int().min(1).max(3650).optional().describe("Default: it does not end by itself"),
	})
	.readonly();

export const tokenMade = z
	.strictObject({ token: z.string().describe("Shown once: only its hash is kept"), item: tokenItem })
	.readonly();

export const auditEntry = z
	.strictObject({
		audit_id: z.int(),
		at: time,
		who: z.string(),
		role: role.nullable().describe("Null: nobody was logged in"),
		via: z.enum(["cookie", "token", "command", "none"]),
		address: z.string().nullable().describe("Of the client"),
		action: z.string().describe("`run`, `pause`, `token add`, `login` …"),
		subject: z.string().describe("A pipeline, run, connection or token"),
		outcome: z.enum(["done", "refused", "failed"]),
		detail: z.string(),
	})
	.readonly();

export const auditList = z
	.strictObject({
		entries: z.array(auditEntry).readonly().describe("Newest first"),
		before: z.int().nullable().describe("What `?before=` takes for older ones"),
	})
	.readonly();

export const pauseRequest = z.strictObject({ reason: z.string().max(500).optional() }).readonly();

export const health = z
	.strictObject({
		version: z.string(),
		state: z.enum(["ok", "draining"]),
		leads: z.boolean().describe("Whether this server runs the pipelines"),
		leader: z.string().nullable().describe("The process that does where it is another one"),
		started_at: time,
		now: time,
		uptime_seconds: z.number(),
		rss_bytes: z.number(),
		jobs_running: z.int(),
		jobs_queued: z.int(),
		jobs_max: z.int().describe("Jobs that may work at once"),
		pipelines: z.int(),
		pipelines_broken: z.int(),
		history: z.strictObject({ sound: z.boolean(), message: z.string() }).readonly(),
	})
	.readonly();
