import type { Calendar, Lineage, LineageColumn, SettingsDiff, TablePage, TableSample } from "../../src/server/api.ts";
import { receiptOf } from "./sample-run.ts";
import { ago, chance, DAY_MS, fresh, iso, midnightMs, shopRuns } from "./sample-runs.ts";

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

export const tableSample: TableSample = {
	pipeline: "shop",
	table: "prod.orders",
	into: "raw.prod_orders",
	columns: tablePage.columns.map(({ name, destination_type }) => ({ name, destination_type })),
	columns_left_out: 0,
	rows: [
		["9999999", "99999", "99.99", "9999-99-99 99:99:99.999999", "9999-99-99 99:99:99", "xxx"],
		["9999999", "99", "9999.99", "9999-99-99 99:99:99.999999", null, "xxxxx xxxxx"],
		["999999", "99999", "9.99", "9999-99-99 99:99:99.999999", null, ""],
		["9999999", "9999", "99.99", "9999-99-99 99:99:99.999999", "9999-99-99 99:99:99", null],
	],
};

const lineageColumns = [
	...tablePage.columns.map(
		(column): LineageColumn => ({ ...column, source: column.name, mask: null, change: "copied" }),
	),
	{
		source: "email",
		source_type: "varchar(200)",
		name: "email",
		destination_type: "VARCHAR(64)",
		fidelity: "lossy",
		mask: "hmac",
		change: "copied",
		note: "masked: hmac",
	},
	{
		source: "comment",
		source_type: "text",
		name: "customer_comment",
		destination_type: "VARCHAR(65535)",
		fidelity: "exact",
		mask: null,
		change: "renamed",
		note: null,
	},
	{
		source: "card_number",
		source_type: "varchar(32)",
		name: null,
		destination_type: null,
		fidelity: null,
		mask: null,
		change: "dropped",
		note: null,
	},
] satisfies LineageColumn[];

export const lineage: Lineage = {
	pipeline: "shop",
	from: "shop_prod",
	to: "warehouse",
	tables: [
		{
			table: "prod.orders",
			into: "raw.prod_orders",
			mode: "incremental",
			seen_at: ago(4000),
			key: ["id"],
			columns: lineageColumns,
		},
		{
			table: "prod.nps",
			into: "raw.prod_nps",
			mode: "full",
			seen_at: ago(4000),
			key: [],
			columns: lineageColumns.slice(0, 2),
		},
	],
	summaries: [{ name: "revenue", into: "marts.revenue_by_day", reads: ["raw.prod_orders"] }],
};

export const settings: SettingsDiff = {
	run_id: shopRuns.at(-1)!.run_id,
	previous_run_id: shopRuns.at(-2)!.run_id,
	state: "changed",
	since_run_id: shopRuns.at(-1)!.run_id,
	lines: [
		...["pipeline: shop", "from: shop_prod", "to: warehouse", "staging: lake", 'schedule: "0 2 * * *"'],
		"-concurrency: 4",
		"+concurrency: 8",
		...["retries: 2", "defaults:", "  mode: incremental", "  cursor: modified", "tables:", "  prod.*: {}"],
		...["  prod.nps:", "    mode: full", "+    columns:", "+      rate:", "+        type: decimal(5,2)"],
	].map((line) => ({
		kind: line.startsWith("+") ? "added" : line.startsWith("-") ? "removed" : "same",
		text: line.replace(/^[+-]/, ""),
	})),
};
