import type { LogLine, RunDetail, TableReceipt } from "../../src/server/api.ts";
import { cellOf, iso, RUNS, SHOP_TABLES, shopRuns } from "./sample-runs.ts";

const EMPTY_RECEIPT = {
	rows_inserted: 0,
	rows_updated: 0,
	rows_deleted: 0,
	attempts: 1,
	position: null,
	values_changed: {},
	error: null,
};

export function receiptOf(index: number): TableReceipt {
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
