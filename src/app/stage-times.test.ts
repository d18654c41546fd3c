import { expect, test } from "vitest";
import type { RunEvent } from "../core/index.ts";
import { StageTimes } from "./stage-times.ts";

test("stages follow each other without a gap, over attempts, and an interval's stream is its table", () => {
	let second = 0;
	const times = new StageTimes(() => new Date(second * 1000));
	const tell = (atSecond: number, event: object) => {
		second = atSecond;
		times.onEvent({ runId: "r", ...event } as RunEvent);
	};
	tell(0, { type: "table-started", table: "s.t", into: "raw.t" });
	tell(1, { type: "progress", table: "s.t@2026-01-01T00:00:00Z", phase: "extract", rows: 5, bytes: 50 });
	tell(2, { type: "retry", table: "s.t", attempt: 1, delayMs: 1, error: { code: "E_TIMEOUT", message: "" } });
	tell(5, { type: "progress", table: "s.t@2026-01-01T00:00:00Z", phase: "extract", rows: 9, bytes: 90 });
	tell(7, { type: "progress", table: "s.t@2026-01-01T00:00:00Z", phase: "load", rows: 9, bytes: 90 });
	tell(7, { type: "progress", table: "unknown", phase: "load", rows: 1, bytes: 1 });
	expect(times.all()[0]?.stages.at(-1)).toMatchObject({ stage: "load", finished_at: null });
	second = 8;
	const seconds = (text: string | null) => Date.parse(text!) / 1000;
	expect(
		times
			.finished("s.t")
			.stages?.map((each) => [
				each.stage,
				each.attempt,
				seconds(each.started_at),
				seconds(each.finished_at),
				each.rows,
			]),
	).toEqual([
		["extract", 1, 0, 2, 5],
		["wait", 1, 2, 5, 0],
		["extract", 2, 5, 7, 9],
		["load", 2, 7, 8, 9],
	]);
	expect(times.finished("never begun")).toEqual({});
});
