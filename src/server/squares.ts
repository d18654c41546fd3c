import type { RunReceipt } from "../core/index.ts";
import type { RunSquare } from "./api.ts";

/** A run in short. */
export function squareOf(run: RunReceipt, nowMs: number): RunSquare {
	const end = run.finished_at === null ? nowMs : Date.parse(run.finished_at);
	const sum = (of: (table: RunReceipt["tables"][number]) => number) =>
		run.tables.reduce((total, table) => total + of(table), 0);
	// A run whose process was killed has no end.
	const seconds =
		run.finished_at === null && run.state !== "running"
			? sum(({ seconds }) => seconds)
			: (end - Date.parse(run.started_at)) / 1000;
	return {
		run_id: run.run_id,
		state: run.state,
		interval: run.interval,
		started_at: run.started_at,
		finished_at: run.finished_at,
		seconds: Math.max(0, seconds),
		rows: sum((table) => table.rows_loaded),
		bytes: sum((table) => table.bytes),
		trigger: run.origin?.trigger ?? "command",
	};
}
