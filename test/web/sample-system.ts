import type {
	AuditList,
	ChangeCapture,
	ConnectionList,
	Health,
	JobList,
	Session,
	TokenList,
} from "../../src/server/api.ts";
import { pipelines } from "./sample-pipelines.ts";
import { ago, shopRuns } from "./sample-runs.ts";

export const changes: ChangeCapture = {
	pipeline: "crm",
	state: "following",
	lag_seconds: 2.4,
	bytes_behind: 184_320,
	headroom_seconds: 190_000,
	headroom_bytes: 41_000_000_000,
	position: "16/B374D848",
	log_end: "16/B377A0C8",
	measured_at: ago(12),
	restarts: 1,
	next_restart_at: null,
	problem: null,
	tables: [
		{ table: "public.accounts", state: "following", from: null, until: null },
		{ table: "public.ledger", state: "following", from: null, until: null },
		{ table: "public.notes", state: "loading", from: null, until: "16/B3740000" },
		{ table: "public.archive", state: "paused", from: "16/A0000000", until: null },
	],
};

export const connections: ConnectionList = {
	connections: [
		{
			name: "shop_prod",
			type: "mysql",
			host: "db.internal",
			address: "mysql://reader@db.internal:3306/prod",
			tls: "on",
			secrets: [{ key: "password", reference: "${env:SHOP_PASSWORD}" }],
			used_by: [{ pipeline: "shop", role: "source" }],
			problems: [],
		},
		{
			name: "lake",
			type: "s3",
			host: null,
			address: "s3://acme-lake/staging/",
			tls: "on",
			secrets: [],
			used_by: [{ pipeline: "shop", role: "staging" }],
			problems: [],
		},
		{
			name: "legacy_pg",
			type: "postgres",
			host: "10.0.4.7",
			address: "postgres://etl@10.0.4.7:5432/legacy",
			tls: "insecure",
			secrets: [{ key: "password", reference: "${file:/run/secrets/legacy}" }],
			used_by: [],
			problems: [
				{
					code: "E_MISSING_REFERENCE",
					message: "the file /run/secrets/legacy is not there",
					hint: "",
					file: "connections.yaml",
					line: 7,
					column: 14,
				},
			],
		},
	],
};

export const jobs: JobList = {
	jobs: [
		...pipelines.flatMap((each) => each.jobs),
		{
			job_id: "job-1",
			pipeline: "shop",
			trigger: "backfill",
			state: "running",
			queued_at: ago(700),
			started_at: ago(690),
			finished_at: null,
			due_at: null,
			requested_by: "ana",
			waits_for: null,
			tables: ["prod.events"],
			intervals: 5,
			run_ids: shopRuns.slice(-2).map(({ run_id }) => run_id),
			error: null,
		},
	],
};

export const audit: AuditList = {
	entries: [
		{
			audit_id: 4,
			at: ago(40),
			who: "ana",
			role: "operator",
			via: "token",
			address: "10.0.1.20",
			action: "run",
			subject: "events",
			outcome: "done",
			detail: "tables: web.clicks",
		},
		{
			audit_id: 3,
			at: ago(700),
			who: "ana",
			role: "operator",
			via: "token",
			address: "10.0.1.20",
			action: "backfill",
			subject: "shop",
			outcome: "done",
			detail: "5 intervals",
		},
		{
			audit_id: 2,
			at: ago(5000),
			who: "grafana",
			role: "viewer",
			via: "token",
			address: "10.0.1.9",
			action: "pause",
			subject: "shop",
			outcome: "refused",
			detail: "needs operator",
		},
		{
			audit_id: 1,
			at: ago(90_000),
			who: "ana",
			role: "operator",
			via: "cookie",
			address: "127.0.0.1",
			action: "pause",
			subject: "billing",
			outcome: "done",
			detail: "the ledger moves on Friday",
		},
	],
	before: null,
};

export const tokens: TokenList = {
	tokens: [
		{
			token_id: "t1",
			name: "ana",
			role: "operator",
			created_at: ago(900_000),
			created_by: "first link",
			last_used_at: ago(40),
			expires_at: null,
			revoked_at: null,
		},
		{
			token_id: "t2",
			name: "grafana",
			role: "viewer",
			created_at: ago(800_000),
			created_by: "ana",
			last_used_at: ago(5),
			expires_at: null,
			revoked_at: null,
		},
	],
};

export const session: Session = {
	name: "ana",
	role: "admin",
	via: "cookie",
	expires_at: null,
	project: "acme-etl",
	version: "0.1.0",
	sample_rows: true,
};

export const health: Health = {
	version: "0.1.0",
	state: "ok",
	started_at: ago(400_000),
	now: ago(0),
	uptime_seconds: 400_000,
	leads: true,
	leader: null,
	rss_bytes: 181_000_000,
	jobs_running: 3,
	jobs_queued: 1,
	jobs_max: 8,
	pipelines: pipelines.length,
	pipelines_broken: 1,
	history: { sound: true, message: "" },
};
