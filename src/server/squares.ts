import type { Service } from "../app/service/service.ts";
import type { RunReceipt } from "../core/index.ts";
import type { RunSquare } from "./api.ts";

type RunSums = Awaited<ReturnType<Service["state"]["server"]["lastRuns"]>>[number];

/** A run in short, its tables added up. */
export function squareOf(run: RunReceipt, nowMs: number): RunSquare {
	const sum = (of: (table: RunReceipt["tables"][number]) => number) =>
		run.tables.reduce((total, table) => total + of(table), 0);
	return squareOfSums(
		{
			...run,
			trigger: run.origin?.trigger ?? null,
			rows: sum((table) => table.rows_loaded),
			bytes: sum((table) => table.bytes),
			seconds: sum((table) => table.seconds),
		},
		nowMs,
	);
}

/** The same of what the history adds up. */
export function squareOfSums(run: RunSums, nowMs: number): RunSquare {
	const { run_id, state, interval, started_at, finished_at, rows, bytes, trigger } = run;
	const end = finished_at === null ? nowMs : Date.parse(finished_at);
	// A run whose process was killed has no end.
	const wasKilled = finished_at === null && state !== "running";
	const seconds = wasKilled ? run.seconds : (end - Date.parse(started_at)) / 1000;
	return {
		...{ run_id, state, interval, started_at, finished_at, rows, bytes },
		seconds: Math.max(0, seconds),
		trigger: trigger ?? "command",
	};
}
