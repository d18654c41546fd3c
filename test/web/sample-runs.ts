import type { GridCell, RunSquare, TableState } from "../../src/server/api.ts";

/** Runs of the made-up project of `sample.ts`, and what they are made of. */

export const DAY_MS = 86_400_000;
export const nowMs = Math.floor(Date.now() / 1000) * 1000;
/** Of the last day whose runs, at two and some minutes, are over. */
export const midnightMs = Math.floor((nowMs - 3 * 3_600_000) / DAY_MS) * DAY_MS;

/** A time `seconds` before now, ISO 8601. */
export function ago(seconds: number): string {
	return iso(nowMs - seconds * 1000);
}

export function iso(ms: number): string {
	return new Date(ms).toISOString();
}

/** The same number between 0 and 1 for the same seed. */
export function chance(seed: number): number {
	const x = Math.sin(seed * 12.9898) * 43758.5453;
	return x - Math.floor(x);
}

export const SHOP_TABLES = [
	["prod.orders", "incremental", "merge", 41_200],
	["prod.order_lines", "incremental", "merge", 118_400],
	["prod.customers", "incremental", "merge", 3_100],
	["prod.coupons", "full", "replace", 1_240],
	["prod.nps", "full", "replace", 81_000],
	["prod.events", "interval", "merge", 402_000],
	["daily_scores", "interval", "merge", 5_600],
] as const;
export const RUNS = 26;

export function runsOf(pipeline: string, count: number, everyMs: number, last: RunSquare["state"]): RunSquare[] {
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

export function cellOf(table: string, rows: number, run: RunSquare, index: number): GridCell | null {
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

export const fresh = {
	last_success_at: ago(4000),
	seconds: 4000,
	late_after_seconds: null,
	late: false,
	message: null,
	never_loaded: [],
};
