import type {
	AuditList,
	Calendar,
	ChangeCapture,
	ConnectionList,
	GridCell,
	Health,
	JobList,
	LogLine,
	PipelineDetail,
	PipelineSummary,
	RunDetail,
	RunSquare,
	Session,
	TablePage,
	TableReceipt,
	TableState,
	TokenList,
} from "../../src/server/api.ts";

/**
 * A made-up project in every state that a page can show, as the server would tell of it: for pictures, and for looking
 * at states that are hard to bring about. What the page does is tried on the real server.
 */

const DAY_MS = 86_400_000;
const nowMs = Math.floor(Date.now() / 1000) * 1000;
const midnightMs = Math.floor(nowMs / DAY_MS) * DAY_MS;

/** A time `seconds` before now, ISO 8601. */
function ago(seconds: number): string {
	return iso(nowMs - seconds * 1000);
}

function iso(ms: number): string {
	return new Date(ms).toISOString();
}

/** The same number between 0 and 1 for the same seed. */
function chance(seed: number): number {
	const x = Math.sin(seed * 12.9898) * 43758.5453;
	return x - Math.floor(x);
}

const SHOP_TABLES = [
	["prod.orders", "incremental", "merge", 41_200],
	["prod.order_lines", "incremental", "merge", 118_400],
	["prod.customers", "incremental", "merge", 3_100],
	["prod.coupons", "full", "replace", 1_240],
	["prod.nps", "full", "replace", 81_000],
	["prod.events", "interval", "merge", 402_000],
	["daily_scores", "interval", "merge", 5_600],
] as const;
export const RUNS = 26;

function runsOf(pipeline: string, count: number, everyMs: number, last: RunSquare["state"]): RunSquare[] {
	return Array.from({ length: count }, (_, index) => {
		const back = count - 1 - index;
		const startMs = everyMs === DAY_MS ? midnightMs - back * DAY_MS + 2 * 3_600_000 : nowMs - 400_000 - back * everyMs;
		const isLast = back === 0;
		const state = isLast
			? last
			: chance(index * 7 + pipeline.length) > 0.93
				? "failed"
				: index === 9
					? "stopped"
					: "succeeded";
		const seconds = 140 + chance(index + pipeline.length) * 160;
		return {
			run_id: `${iso(startMs).slice(0, 19).replace(/[-:]/g, "").replace("T", "T")}-${pipeline}-${index}`,
			state,
			interval:
				pipeline === "shop" ? { start: iso(startMs - 26 * 3_600_000), end: iso(startMs - 2 * 3_600_000) } : null,
			started_at: iso(startMs),
			finished_at: state === "running" ? null : iso(startMs + seconds * 1000),
			seconds,
			rows: Math.round(600_000 + chance(index) * 90_000),
			bytes: Math.round(81_000_000 + chance(index) * 9_000_000),
			trigger: "schedule",
		};
	});
}

export const shopRuns = runsOf("shop", RUNS, DAY_MS, "failed");

function cellState(table: string, run: RunSquare, index: number): TableState {
	if (run.state === "failed")
		return table === "prod.nps" ? "failed" : index === RUNS - 1 && table === "prod.events" ? "failed" : "succeeded";
	if (run.state === "stopped" && table === "daily_scores") return "stopped";
	return "succeeded";
}

function cellOf(table: string, rows: number, run: RunSquare, index: number): GridCell | null {
	if (table === "prod.coupons" && index < 6) return null;
	const state = cellState(table, run, index);
	return {
		run_id: run.run_id,
		state,
		rows: state === "succeeded" ? Math.round(rows * (0.9 + chance(index + rows) * 0.2)) : 0,
		bytes: Math.round(rows * 120),
		seconds: 2 + chance(rows + index) * 40,
		error_code: state === "failed" ? (table === "prod.nps" ? "E_TYPE_LOSSY" : "E_CONNECTION_LOST") : null,
	};
}

const fresh = { last_success_at: ago(4000), seconds: 4000, late_after_seconds: null, late: false, message: null };

const shop: PipelineSummary = {
	pipeline: "shop",
	file: "pipelines/shop.yaml",
	from: "shop_prod",
	from_type: "mysql",
	to: "warehouse",
	to_type: "redshift",
	modes: ["incremental", "full", "interval"],
	schedule: {
		text: "0 2 * * *",
		words: "At 02:00",
		kind: "cron",
		timezone: "UTC",
		next_at: iso(midnightMs + DAY_MS + 2 * 3_600_000),
		start: "2026-01-01",
		catchup: false,
		max_active_runs: 1,
	},
	paused: null,
	last_runs: shopRuns.slice(-14),
	jobs: [],
	held_by: null,
	freshness: { ...fresh, late_after_seconds: 93_600 },
	rows_day: 571_200,
	bytes_day: 80_400_000,
	lag_seconds: null,
	alerts_waiting: 0,
	problems: [],
};

export const pipelines: readonly PipelineSummary[] = [
	{
		...shop,
		pipeline: "billing",
		file: "pipelines/billing.yaml",
		from: "billing_pg",
		from_type: "postgres",
		modes: ["incremental"],
		schedule: {
			...shop.schedule!,
			text: "30 6 * * 1-5",
			words: "At 06:30, Monday through Friday",
			timezone: "Europe/Berlin",
			next_at: null,
		},
		paused: { at: ago(90_000), by: "ana", reason: "the ledger moves on Friday" },
		last_runs: runsOf("billing", 14, DAY_MS, "succeeded"),
		freshness: {
			...fresh,
			last_success_at: ago(180_000),
			seconds: 180_000,
			late_after_seconds: 129_600,
			late: true,
			message: "late since yesterday",
		},
		rows_day: 0,
		bytes_day: 0,
	},
	{
		...shop,
		pipeline: "crm",
		file: "pipelines/crm.yaml",
		from: "crm_pg",
		from_type: "postgres",
		to: "lake",
		to_type: "lake",
		modes: ["cdc"],
		schedule: { ...shop.schedule!, text: "continuous", words: "Continuously", kind: "continuous", next_at: null },
		last_runs: runsOf("crm", 4, DAY_MS / 3, "running"),
		freshness: { ...fresh, last_success_at: ago(6), seconds: 6 },
		lag_seconds: 2.4,
		rows_day: 1_830_442,
		bytes_day: 411_000_000,
	},
	{
		...shop,
		pipeline: "events",
		file: "pipelines/events.yaml",
		modes: ["interval"],
		schedule: {
			...shop.schedule!,
			text: "every 15m",
			words: "Every 15 minutes",
			kind: "every",
			next_at: iso(nowMs + 500_000),
		},
		last_runs: runsOf("events", 14, 900_000, "running"),
		jobs: [
			{
				job_id: "job-2",
				pipeline: "events",
				trigger: "manual",
				state: "queued",
				queued_at: ago(40),
				started_at: null,
				finished_at: null,
				due_at: null,
				requested_by: "ana",
				waits_for: "the run before it",
				tables: ["web.clicks"],
				intervals: 1,
				run_ids: [],
				error: null,
			},
		],
		freshness: { ...fresh, last_success_at: ago(1200), seconds: 1200 },
		rows_day: 12_402_118,
		bytes_day: 2_950_000_000,
	},
	{
		...shop,
		pipeline: "legacy",
		file: "pipelines/legacy.yaml",
		from: null,
		from_type: null,
		to: null,
		to_type: null,
		schedule: null,
		last_runs: runsOf("legacy", 6, DAY_MS, "succeeded"),
		freshness: { ...fresh, last_success_at: ago(200_000), seconds: 200_000 },
		rows_day: 0,
		bytes_day: 0,
		problems: [
			{
				code: "E_UNKNOWN_KEY",
				message: 'unknown key "upate_key" in tables."shop.orders"',
				hint: 'did you mean "cursor"?',
				file: "pipelines/legacy.yaml",
				line: 9,
				column: 7,
			},
		],
	},
	shop,
];

export function detailOf(name: string): PipelineDetail {
	const summary = pipelines.find(({ pipeline }) => pipeline === name) ?? shop;
	const runs = name === "shop" ? shopRuns : [...summary.last_runs];
	return {
		...summary,
		grid: {
			pipeline: name,
			runs,
			tables: SHOP_TABLES.map(([table, mode, write, rows]) => ({
				table,
				into: `raw.${table.replace(".", "_")}`,
				mode,
				write,
				cells: runs.map((run, index) => cellOf(table, rows, run, index)),
			})),
		},
		staging: "acme-lake",
		retries: 2,
		retry_delay_seconds: 180,
		concurrency: 4,
		schema_changes: "evolve",
		params: name === "shop" ? { country: "all" } : {},
		can_backfill: summary.modes.includes("interval"),
		next_runs: summary.schedule?.next_at
			? [0, 1, 2, 3, 4].map((day) => iso(Date.parse(summary.schedule!.next_at!) + day * DAY_MS))
			: [],
		alerts: [],
	};
}

const EMPTY_RECEIPT = {
	rows_inserted: 0,
	rows_updated: 0,
	rows_deleted: 0,
	attempts: 1,
	position: null,
	values_changed: {},
	error: null,
};

function receiptOf(index: number): TableReceipt {
	const [table, mode, write, rows] = SHOP_TABLES[index]!;
	const cell = cellOf(table, rows, shopRuns.at(-1)!, RUNS - 1)!;
	const loaded = cell.rows;
	const receipt = {
		...EMPTY_RECEIPT,
		table,
		into: `raw.${table.replace(".", "_")}`,
		mode,
		write,
		state: cell.state,
		rows_read: loaded,
		rows_staged: loaded,
		rows_loaded: loaded,
		rows_rejected: 0,
		rows_inserted: Math.round(loaded * 0.8),
		rows_updated: loaded - Math.round(loaded * 0.8),
		bytes: cell.bytes,
		seconds: cell.seconds,
		position: mode === "incremental" ? "modified > 2026-11-20 01:59:58.120331" : null,
	};
	if (table === "prod.nps")
		return {
			...receipt,
			error: {
				code: "E_TYPE_LOSSY",
				message: "column rate numeric(60,30) does not fit DECIMAL(38) in Redshift (pipelines/shop.yaml:14:5)",
				hint: "Add `columns: { rate: { type: text } }` (exact) or `types: { mode: lenient }`.",
			},
		};
	if (table === "prod.events")
		return {
			...receipt,
			rows_read: 180_224,
			rows_staged: 180_224,
			attempts: 3,
			attempt_errors: [1, 2].map((attempt) => ({
				attempt,
				at: iso(Date.parse(shopRuns.at(-1)!.started_at) + attempt * 50_000),
				code: "E_CONNECTION_LOST",
				message: "the source closed the connection while rows were read",
			})),
			error: {
				code: "E_CONNECTION_LOST",
				message: "the source closed the connection while rows were read (shop_prod, 3 attempts)",
				hint: "Look at the server's log for that time; net_write_timeout may be too short for this table.",
			},
		};
	if (table === "prod.orders")
		return {
			...receipt,
			schema_changes: [{ column: "channel", change: "added", action: "added" }],
			checks: [{ name: "unique id", severity: "error", state: "passed", failing: 0 }],
			values_changed: { delivered_at: 3 },
		};
	return receipt;
}

export function runOf(runId: string): RunDetail {
	const square = shopRuns.find(({ run_id }) => run_id === runId) ?? shopRuns.at(-1)!;
	const startMs = Date.parse(square.started_at);
	const tables = SHOP_TABLES.map((_, index) => receiptOf(index));
	const at = (seconds: number) => iso(startMs + seconds * 1000);
	const bar = (table: string, stage: "wait" | "extract" | "load", from: number, to: number, attempt = 1) => ({
		table,
		stage,
		attempt,
		started_at: at(from),
		finished_at: at(to),
		rows: stage === "wait" ? 0 : 41_200,
		bytes: stage === "wait" ? 0 : 4_900_000,
	});
	return {
		run: {
			run_id: square.run_id,
			pipeline: "shop",
			interval: square.interval,
			state: square.state,
			started_at: square.started_at,
			finished_at: at(236),
			tables,
		},
		trigger: "schedule",
		requested_by: null,
		due_at: square.started_at,
		params: {},
		held: false,
		stages: [
			bar("prod.orders", "extract", 1, 38),
			bar("prod.orders", "load", 38, 61),
			bar("prod.order_lines", "extract", 1, 74),
			bar("prod.order_lines", "load", 74, 131),
			bar("prod.customers", "extract", 1, 9),
			bar("prod.customers", "load", 9, 14),
			bar("prod.coupons", "extract", 2, 6),
			bar("prod.coupons", "load", 6, 12),
			bar("prod.nps", "extract", 12, 18),
			bar("prod.events", "extract", 14, 50),
			bar("prod.events", "wait", 50, 80),
			bar("prod.events", "extract", 80, 100, 2),
			bar("prod.events", "wait", 100, 160),
			bar("prod.events", "extract", 160, 232, 3),
			bar("daily_scores", "extract", 61, 96),
			bar("daily_scores", "load", 96, 118),
		],
		previous_run_id: shopRuns.at(-2)!.run_id,
		next_run_id: null,
		log_lines: log.length,
		first_error_line: 31,
		commands: {
			show: `headrace runs show ${square.run_id}`,
			logs: `headrace logs ${square.run_id}`,
			retry: `headrace run shop --failed ${square.run_id}`,
		},
	};
}

export const log: readonly LogLine[] = Array.from({ length: 64 }, (_, index) => {
	const [table, , , rows] = SHOP_TABLES[index % SHOP_TABLES.length]!;
	const isError = index === 30 || index === 58;
	const isWarning = index === 12 || index === 44;
	return {
		line: index + 1,
		at: iso(Date.parse(shopRuns.at(-1)!.started_at) + index * 3650),
		level: isError ? "error" : isWarning ? "warn" : index % 9 === 0 ? "debug" : "info",
		task: isError || isWarning ? "prod.events" : index === 0 ? null : table,
		message: isError
			? "E_CONNECTION_LOST the source closed the connection while rows were read. Look at the server's log for that time."
			: isWarning
				? "attempt 1 failed; trying again in 30 s"
				: index === 0
					? "run began: 7 tables, 4 at once"
					: `${rows.toLocaleString("en")} rows, ${(rows / 7300).toFixed(1)} MB, 84,100 rows/s`,
	} as const;
});

export const calendar: Calendar = {
	pipeline: "shop",
	unit: "day",
	timezone: "UTC",
	from: iso(midnightMs - 92 * DAY_MS),
	to: iso(midnightMs),
	intervals: Array.from({ length: 92 }, (_, index) => {
		const startMs = midnightMs - (92 - index) * DAY_MS;
		const state =
			index > 30 && index < 36
				? "missing"
				: index === 91 || index === 70
					? "failed"
					: index === 52
						? "stopped"
						: index === 90
							? "queued"
							: "succeeded";
		return {
			interval: { start: iso(startMs), end: iso(startMs + DAY_MS) },
			name: iso(startMs).slice(0, 10),
			state,
			run_id: state === "missing" || state === "queued" ? null : shopRuns.at(-1)!.run_id,
			rows: 400_000,
			seconds: 88,
		};
	}),
};

export const tablePage: TablePage = {
	pipeline: "shop",
	table: "prod.orders",
	into: "raw.prod_orders",
	mode: "incremental",
	write: "merge",
	key: ["id"],
	freshness: { ...fresh, late_after_seconds: 93_600 },
	position: { text: "modified > 2026-11-20 01:59:58.120331", committed_at: ago(4000), load_id: "0192" },
	last: receiptOf(0),
	history: shopRuns.map((run, index) => ({
		run_id: run.run_id,
		started_at: run.started_at,
		state: index === 14 ? "failed" : "succeeded",
		rows: index === 14 ? 0 : Math.round(38_000 + chance(index) * 9000),
		rows_deleted: 40 + index,
		bytes: Math.round(4_400_000 + chance(index) * 900_000),
		seconds: 40 + chance(index) * 30,
	})),
	columns: [
		["id", "bigint unsigned", "DECIMAL(20,0)", "exact", null],
		["customer_id", "int", "INTEGER", "exact", null],
		["total", "decimal(10,2)", "DECIMAL(10,2)", "exact", null],
		["placed_at", "datetime(6)", "TIMESTAMP", "exact", null],
		["delivered_at", "datetime", "TIMESTAMP", "lossy", "0000-00-00 becomes NULL (types.zero_date)"],
		["channel", "varchar(20)", "VARCHAR(80)", "exact", null],
	].map(([name, source_type, destination_type, fidelity, note]) => ({
		name,
		source_type,
		destination_type,
		fidelity,
		note,
	})) as TablePage["columns"],
	columns_at: ago(4000),
	schema_changes: [
		{
			run_id: shopRuns.at(-1)!.run_id,
			at: ago(4000),
			changes: [{ column: "channel", change: "added", action: "added" }],
		},
		{
			run_id: shopRuns.at(-9)!.run_id,
			at: ago(8 * 86_400),
			changes: [
				{ column: "total", change: "widened decimal(8,2) → decimal(10,2)", action: "widened" },
				{ column: "legacy_flag", change: "dropped", action: "kept" },
			],
		},
	],
};

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
};

export const health: Health = {
	version: "0.1.0",
	state: "ok",
	started_at: ago(400_000),
	now: ago(0),
	uptime_seconds: 400_000,
	rss_bytes: 181_000_000,
	jobs_running: 3,
	jobs_queued: 1,
	jobs_max: 8,
	pipelines: pipelines.length,
	pipelines_broken: 1,
	history: { sound: true, message: "" },
};
