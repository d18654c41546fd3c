import assert from "node:assert/strict";
import type { LogLine, StateStore, TableReceipt } from "../core/state-store.ts";
import { type Case, type CaseBody, casesOf, type Setup } from "./case.ts";
import { alertCases } from "./state-store-alerts.ts";
import type { StateStoreFixture } from "./state-store-fixture.ts";
import { receipt, tableReceipt } from "./state-store-receipts.ts";

export type { StateStoreFixture } from "./state-store-fixture.ts";

export type StateStoreSetup = Setup<StateStoreFixture>;

const LONG_MS = 600_000;

const line = (message: string, task: string | null = null): LogLine => ({
	at: "2026-01-01T00:00:00.000Z",
	level: "info",
	task,
	message,
});

async function runIds(store: StateStore, query: { pipeline?: string; limit: number }): Promise<string[]> {
	return (await store.runs(query)).map((run) => run.run_id);
}

const runCases: readonly (readonly [string, CaseBody<StateStoreFixture>])[] = [
	[
		"check finds nothing wrong",
		async ({ store }) => {
			const errors = (await store.check()).filter((finding) => finding.severity === "error");
			assert.deepEqual(errors, []);
		},
	],
	[
		"a run is kept whole: numbers, texts, nulls, errors, and the order of its tables",
		async ({ store }) => {
			const run = receipt("run-1", 1, {
				state: "failed",
				interval: { start: "2026-01-01T00:00:00Z", end: "2026-01-02T00:00:00Z" },
				finished_at: "2026-01-01T00:02:00.000Z",
				tables: [
					tableReceipt("zuletzt ☃", {
						state: "failed",
						error: { code: "E_VALUE", message: 'a "quoted"\nmessage', hint: "it's" },
					}),
					tableReceipt("a", {
						state: "succeeded",
						rows_read: 9_007_199_254_740_991,
						seconds: 0.25,
						position: "2026-01-01 00:00:00.123456",
						values_changed: { price: 3, __proto__x: 1 },
					}),
				],
			});
			await store.saveRun(run);
			assert.deepEqual(await store.run("run-1"), run);
			assert.deepEqual(await store.runs({ limit: 10 }), [run]);
		},
	],
	[
		"saving a run again replaces it and its tables",
		async ({ store }) => {
			await store.saveRun(receipt("run-1", 1));
			const after = receipt("run-1", 1, { state: "succeeded", tables: [tableReceipt("b", { state: "succeeded" })] });
			await store.saveRun(after);
			assert.deepEqual(await store.run("run-1"), after);
			assert.equal((await store.runs({ limit: 10 })).length, 1);
		},
	],
	[
		"what was saved does not change with the object it was saved from, nor with what was read",
		async ({ store }) => {
			const tables = [tableReceipt("a")];
			await store.saveRun(receipt("run-1", 1, { tables }));
			tables.push(tableReceipt("b"));
			const read = (await store.run("run-1"))!;
			(read.tables as TableReceipt[]).pop();
			assert.equal((await store.run("run-1"))?.tables.length, 1);
		},
	],
	[
		"runs come newest first, of one pipeline or all, at most as many as asked",
		async ({ store }) => {
			await store.saveRun(receipt("run-2", 2));
			await store.saveRun(receipt("run-3", 3, { pipeline: "other" }));
			await store.saveRun(receipt("run-1", 1));
			assert.deepEqual(await runIds(store, { limit: 10 }), ["run-3", "run-2", "run-1"]);
			assert.deepEqual(await runIds(store, { pipeline: "shop", limit: 10 }), ["run-2", "run-1"]);
			assert.deepEqual(await runIds(store, { limit: 2 }), ["run-3", "run-2"]);
			assert.deepEqual(await runIds(store, { pipeline: "none", limit: 10 }), []);
		},
	],
	[
		"a run is found by a beginning of its id when that is unique, and a whole id is always",
		async ({ store }) => {
			for (const [i, id] of ["abc", "abcd", "abxy"].entries()) await store.saveRun(receipt(id, i));
			assert.equal((await store.run("abx"))?.run_id, "abxy");
			assert.equal((await store.run("abc"))?.run_id, "abc");
			assert.equal(await store.run("xyz"), null);
			assert.equal(await store.run("abxyz"), null);
			const ambiguous = await store.run("ab").catch(() => null);
			assert.equal(ambiguous, null, "a beginning of several ids gives one of them");
			assert.equal(await store.run("%").catch(() => null), null);
			assert.equal(await store.run("a_x").catch(() => null), null);
		},
	],
	[
		"runs survive reopening and are seen by another process",
		async ({ store, reopen }) => {
			await store.saveRun(receipt("run-1", 1));
			await using other = await reopen();
			assert.equal((await other.run("run-1"))?.run_id, "run-1");
			await other.saveRun(receipt("run-2", 2));
			assert.deepEqual(await runIds(store, { limit: 10 }), ["run-2", "run-1"]);
		},
	],
	[
		"log lines stay in their order, by run and by task",
		async ({ store }) => {
			await store.saveRun(receipt("run-1", 1));
			await store.saveRun(receipt("run-2", 2));
			await store.appendLog("run-1", [line("first"), line("of a", "a")]);
			await store.appendLog("run-2", [line("elsewhere")]);
			await store.appendLog("run-1", []);
			await store.appendLog("run-1", [line("of b", "b"), line("of a again\nin two lines", "a"), line("last")]);
			const messages = async (run: string, task?: string) => (await store.log(run, task)).map((l) => l.message);
			assert.deepEqual(await messages("run-1"), ["first", "of a", "of b", "of a again\nin two lines", "last"]);
			assert.deepEqual(await messages("run-1", "a"), ["of a", "of a again\nin two lines"]);
			assert.deepEqual(await messages("run-2"), ["elsewhere"]);
			assert.deepEqual(await messages("run-3"), []);
			assert.deepEqual((await store.log("run-1"))[1], line("of a", "a"));
		},
	],
	[
		"positions are kept by pipeline and stream, the last saved one",
		async ({ store, reopen }) => {
			const at = (stream: string, position: string | null) => ({
				stream,
				position,
				loadId: position === null ? null : `load of ${position}`,
				committedAt: position === null ? null : "2026-01-01 00:00:00",
			});
			await store.savePositions("shop", [at("a", "1"), at("b", null)]);
			await store.savePositions("other", [at("a", "7")]);
			await store.savePositions("shop", [at("a", "2")]);
			const saved = await store.positions("shop");
			assert.deepEqual(
				saved.filter((row) => row.stream === "a"),
				[at("a", "2")],
			);
			await using other = await reopen();
			assert.deepEqual(await other.positions("other"), [at("a", "7")]);
			assert.deepEqual(await other.positions("none"), []);
		},
	],
];

const leaseCases: readonly (readonly [string, CaseBody<StateStoreFixture>])[] = [
	[
		"a lease has one holder at a time, and is told who",
		async ({ store, reopen }) => {
			await using other = await reopen();
			const lease = await store.acquireLease("shop", "holder a", LONG_MS);
			assert.equal(lease?.name, "shop");
			assert.equal(lease.holder, "holder a");
			assert.ok(new Date(lease.expiresAt).getTime() > Date.now());
			assert.equal(await other.acquireLease("shop", "holder b", LONG_MS), null);
			assert.equal((await other.leaseHolder("shop"))?.holder, "holder a");
			assert.equal(await store.leaseHolder("free"), null);
		},
	],
	[
		"of several at once exactly one gets a lease",
		async ({ store, reopen }) => {
			await using other = await reopen();
			const asked = Array.from({ length: 8 }, (_, i) =>
				(i % 2 === 0 ? store : other).acquireLease("raced", `holder ${i}`, LONG_MS),
			);
			const won = (await Promise.all(asked)).filter((lease) => lease !== null);
			assert.equal(won.length, 1, `${won.length} of them have it`);
			assert.equal((await store.leaseHolder("raced"))?.holder, won[0]?.holder);
		},
	],
	[
		"leases of other names are free",
		async ({ store }) => {
			assert.notEqual(await store.acquireLease("shop", "holder a", LONG_MS), null);
			assert.notEqual(await store.acquireLease("shop 2", "holder b", LONG_MS), null);
		},
	],
	[
		"a lease that was released is free, and its next holder has a higher epoch",
		async ({ store, reopen }) => {
			const first = (await store.acquireLease("shop", "holder a", LONG_MS))!;
			await store.releaseLease(first);
			assert.equal(await store.leaseHolder("shop"), null);
			await using other = await reopen();
			const second = await other.acquireLease("shop", "holder b", LONG_MS);
			assert.ok(second !== null && second.epoch > first.epoch, "the epoch does not grow");
			await store.releaseLease(first);
			assert.equal(
				(await store.leaseHolder("shop"))?.holder,
				"holder b",
				"a late release takes the next holder's lease",
			);
			assert.equal(await store.renewLease(first, LONG_MS), false);
		},
	],
	[
		"a lease that expired is free, and its former holder learns that it lost it",
		async ({ store }) => {
			const first = (await store.acquireLease("shop", "holder a", 0))!;
			assert.equal(await store.leaseHolder("shop"), null);
			const second = await store.acquireLease("shop", "holder b", LONG_MS);
			assert.ok(second !== null && second.epoch > first.epoch, "the epoch does not grow");
			assert.equal(await store.renewLease(first, LONG_MS), false);
			assert.equal((await store.leaseHolder("shop"))?.holder, "holder b");
		},
	],
	[
		"renewing keeps a lease",
		async ({ store }) => {
			const lease = (await store.acquireLease("shop", "holder a", 60_000))!;
			assert.equal(await store.renewLease(lease, LONG_MS), true);
			const holder = await store.leaseHolder("shop");
			assert.equal(holder?.epoch, lease.epoch);
			assert.ok(new Date(holder.expiresAt).getTime() > new Date(lease.expiresAt).getTime());
			assert.equal(await store.acquireLease("shop", "holder b", LONG_MS), null);
			assert.equal(await store.renewLease(lease, LONG_MS), true);
		},
	],
	[
		"a lease of the same holder but an older epoch is lost",
		async ({ store }) => {
			const first = (await store.acquireLease("shop", "holder a", 0))!;
			const second = await store.acquireLease("shop", "holder a", LONG_MS);
			assert.notEqual(second, null);
			assert.equal(await store.renewLease(first, LONG_MS), false);
			await store.releaseLease(first);
			assert.equal((await store.leaseHolder("shop"))?.epoch, second?.epoch);
		},
	],
	[
		"closing twice is harmless",
		async ({ store }) => {
			await store[Symbol.asyncDispose]();
			await store[Symbol.asyncDispose]();
		},
	],
];

/** What every state store must do: runs, receipts, logs, positions and alarms are kept, a lease has one holder. */
export function stateStoreSuite(setup: StateStoreSetup): Case[] {
	return casesOf(setup, [...runCases, ...alertCases, ...leaseCases]);
}
