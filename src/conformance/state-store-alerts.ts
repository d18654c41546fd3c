import assert from "node:assert/strict";
import type { AlertEntry } from "../core/alert.ts";
import type { RunReceipt, StateStore } from "../core/state-store.ts";
import type { CaseBody } from "./case.ts";
import type { StateStoreFixture } from "./state-store-fixture.ts";
import { receipt, tableReceipt } from "./state-store-receipts.ts";

function alertEntry(table: string, change: Partial<AlertEntry> = {}): AlertEntry {
	return {
		channel: "ops",
		event: "failed",
		table,
		code: "E_TIMEOUT",
		state: "waiting",
		over: false,
		untold: 1,
		firstAt: "2026-01-01T00:00:00.000Z",
		lastAt: "2026-01-01T00:00:00.000Z",
		toldAt: null,
		runId: "run-1",
		message: "no answer",
		hint: "look",
		attempts: 3,
		failure: null,
		...change,
	};
}

/** What alarms need: last successes, and what channels know. */
export const alertCases: readonly (readonly [string, CaseBody<StateStoreFixture>])[] = [
	[
		"a run keeps what ended it, the attempts that failed, and which stage it was",
		async ({ store }) => {
			const attempt_errors = [{ attempt: 1, at: "2026-01-01T00:00:00.000Z", code: "E_CONNECT", message: "no answer" }];
			const run = receipt("run-1", 1, {
				state: "failed",
				stage: "load",
				error: { code: "E_CONNECT", message: "no answer", hint: "look" },
				attempt_errors,
				tables: [tableReceipt("a", { attempts: 2, attempt_errors })],
			});
			await store.saveRun(run);
			assert.deepEqual(await store.run("run-1"), run);
		},
	],
	[
		"the last success of each table is known, whatever came after it",
		async ({ store, reopen }) => {
			const ended = (minute: number) => `2026-01-01T00:${String(minute).padStart(2, "0")}:30.000Z`;
			const save = (id: string, minute: number, a: "succeeded" | "failed", change: Partial<RunReceipt> = {}) =>
				store.saveRun(
					receipt(id, minute, {
						state: "failed",
						finished_at: ended(minute),
						tables: [tableReceipt("a", { state: a }), tableReceipt("b", { state: "failed" })],
						...change,
					}),
				);
			await save("run-2", 2, "succeeded");
			await save("run-1", 1, "succeeded");
			await save("run-3", 3, "failed");
			await save("run-4", 4, "succeeded", { stage: "extract" });
			await save("run-5", 5, "succeeded", { pipeline: "other" });
			await using other = await reopen();
			assert.deepEqual(await other.lastSuccesses("shop"), [{ table: "a", at: ended(2) }]);
			assert.deepEqual(await other.lastSuccesses("none"), []);
		},
	],
	[
		"an old interval that is filled later is no success of its table's newest one",
		async ({ store }) => {
			const save = (id: string, minute: number, day: number) =>
				store.saveRun(
					receipt(id, minute, {
						interval: { start: `2026-01-0${day} 00:00:00`, end: `2026-01-0${day + 1} 00:00:00` },
						finished_at: `2026-01-01T00:0${minute}:30.000Z`,
						tables: [
							tableReceipt("a", { state: "succeeded", mode: "interval" }),
							tableReceipt("b", { state: "succeeded", mode: "full" }),
						],
					}),
				);
			await save("run-1", 1, 4);
			await save("run-2", 2, 5);
			await save("run-3", 3, 1);
			assert.deepEqual(await store.lastSuccesses("shop"), [
				{ table: "a", at: "2026-01-01T00:02:30.000Z" },
				{ table: "b", at: "2026-01-01T00:03:30.000Z" },
			]);
		},
	],
	[
		"what channels know is kept by pipeline, and changed as a whole",
		async ({ store, reopen }) => {
			assert.deepEqual(await store.alerts("shop"), []);
			const [a, b] = [alertEntry("a"), alertEntry("b", { state: "told", toldAt: "2026-01-01T00:00:01.000Z" })];
			assert.deepEqual(await store.changeAlerts("shop", () => [a, b]), [a, b]);
			await store.changeAlerts("other", () => [alertEntry("c", { failure: "refused" })]);
			await using other = await reopen();
			const after = await other.changeAlerts("shop", (entries) =>
				entries.filter((entry) => entry.table === "b").map((entry) => ({ ...entry, untold: entry.untold + 1 })),
			);
			assert.deepEqual(after, [{ ...b, untold: 2 }]);
			assert.deepEqual(await store.alerts("shop"), after);
			assert.equal((await store.alerts("other")).length, 1);
		},
	],
	[
		"no change of what channels know is lost to another one at the same time",
		async ({ store, reopen }) => {
			await store.changeAlerts("shop", () => [alertEntry("a", { untold: 0 })]);
			await using other = await reopen();
			const count = (port: StateStore) =>
				port.changeAlerts("shop", (entries) => entries.map((entry) => ({ ...entry, untold: entry.untold + 1 })));
			await Promise.all(Array.from({ length: 20 }, (_, i) => count(i % 2 === 0 ? store : other)));
			assert.equal((await store.alerts("shop"))[0]?.untold, 20);
		},
	],
];
