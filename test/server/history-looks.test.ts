import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { HistoryLooks } from "../../src/app/service/history-looks.ts";
import { receipt, tableReceipt } from "../../src/conformance/state-store-receipts.ts";
import { openStateStore } from "../../src/state/index.ts";

const MINUTE_MS = 60_000;
const beginMs = Date.parse("2026-03-01T00:00:00Z");

test("what is remembered of a history is what the history says, while runs begin, end and grow old", async () => {
	const directory = mkdtempSync(join(tmpdir(), "headrace-looks-"));
	try {
		await using state = await openStateStore(join(directory, "state.db"));
		await using elsewhere = await openStateStore(join(directory, "state.db"));
		let nowMs = beginMs;
		const looks = new HistoryLooks(state, () => nowMs);
		let asked = 0;
		const { lastRuns } = state.server;
		state.server.lastRuns = (...query) => {
			asked++;
			return lastRuns.apply(state.server, query);
		};
		const save = async (store: typeof state, id: string, startMs: number, rows: number, ended: boolean) => {
			const table = tableReceipt("a", { rows_loaded: rows, bytes: 10 * rows, state: ended ? "succeeded" : "running" });
			await store.saveRun(
				receipt(id, 0, {
					...{ started_at: new Date(startMs).toISOString(), tables: [table] },
					...(ended ? { state: "succeeded", finished_at: new Date(startMs + 1000).toISOString() } : {}),
				}),
			);
		};
		const isTrue = async () => {
			const since = new Date(nowMs - 1440 * MINUTE_MS).toISOString();
			const truth = await lastRuns.call(state.server, "shop", { since, least: 14 });
			const { lastRuns: last, day } = await looks.of("shop");
			expect(last).toEqual(truth.slice(-14));
			const recent = truth.filter(({ started_at }) => started_at >= since);
			expect(day.rows).toBe(recent.reduce((sum, { rows }) => sum + rows, 0));
		};
		await isTrue();
		for (let run = 0; run < 60; run++) {
			nowMs += 37 * MINUTE_MS;
			await save(state, `r${run}`, nowMs, run, false);
			looks.forget("shop");
			await isTrue();
			await save(state, `r${run}`, nowMs, 2 * run, true);
			looks.forget("shop");
			await isTrue();
		}
		const before = asked;
		await isTrue();
		nowMs += 600 * MINUTE_MS;
		await isTrue();
		expect(asked, "nothing has changed but the time").toBe(before);
		expect(await looks.successes("shop")).toHaveLength(1);
		await save(elsewhere, "other", nowMs, 5_000, true);
		await looks.refresh();
		await isTrue();
		expect((await looks.successes("shop"))[0]!.at).toBe(new Date(nowMs + 1000).toISOString());
	} finally {
		rmSync(directory, { recursive: true, force: true });
	}
});
