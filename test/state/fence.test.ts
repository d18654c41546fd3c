import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { receipt, tableReceipt } from "../../src/conformance/state-store-receipts.ts";
import { type ProjectState, processHolder } from "../../src/state/index.ts";
import { type FreshState, NEWER_KINDS, STATE_KINDS } from "./stores.ts";

const MINUTE_MS = 60_000;
const ELSEWHERE = "elsewhere pid 1";

describe.each([...STATE_KINDS, ...NEWER_KINDS].map((kind) => [kind.name, kind] as const))("in %s", (_name, kind) => {
	if (kind.isMissing) return test.skip("it can't be started here", () => {});
	let fresh: FreshState;
	let store: ProjectState;
	let other: ProjectState;
	beforeEach(async () => {
		fresh = await kind.fresh();
		[store, other] = [await fresh.open(), await fresh.open()];
	});
	afterEach(async () => {
		vi.useRealTimers();
		await store[Symbol.asyncDispose]();
		await other[Symbol.asyncDispose]();
		await fresh[Symbol.asyncDispose]();
	});
	afterAll(() => kind.close());

	test("who lost a lease writes nothing more, whatever it is, but the log of its own run", async () => {
		const first = (await store.acquireLease("pipeline:shop", ELSEWHERE, 0))!;
		const frozen = store.fencedBy(first);
		await frozen.saveRun(receipt("r1", 1));
		await frozen.server.saveDue("shop", 1);
		const second = (await other.acquireLease("pipeline:shop", processHolder(), MINUTE_MS))!;
		const at = "2026-01-01T00:00:00.000Z";
		const writes: (() => Promise<unknown>)[] = [
			() => frozen.saveRun(receipt("r1", 1, { state: "succeeded", tables: [] })),
			() => frozen.savePositions("shop", [{ stream: "a", position: "1", loadId: null, committedAt: null }]),
			() => frozen.changeAlerts("shop", () => []),
			() => frozen.server.saveDue("shop", 2),
			() => frozen.server.saveJob({ jobId: "j", ended: true, queuedAt: at, entry: "{}" }),
		];
		for (const write of writes) await expect(write()).rejects.toMatchObject({ code: "E_FENCED" });
		await frozen.appendLog("r1", [{ at, level: "error", task: null, message: "fenced off" }]);
		expect(await other.log("r1")).toHaveLength(1);
		expect(await other.positions("shop")).toEqual([]);
		expect(await other.server.schedules()).toMatchObject([{ dueMs: 1 }]);
		await other.fencedBy(second).saveRun(receipt("r2", 2, { state: "succeeded" }));
		expect((await other.runs({ limit: 9 })).map(({ run_id, state }) => [run_id, state])).toEqual([
			["r2", "succeeded"],
			["r1", "stopped"],
		]);
		// Nor does it bring its own run back by reading.
		expect((await frozen.run("r1"))?.state).toBe("stopped");
	});

	test("of a lease that is over and that nobody took, its holder writes on", async () => {
		const lease = (await store.acquireLease("serve", ELSEWHERE, 0))!;
		await store.fencedBy(lease).server.saveDue("shop", 1);
		expect(await other.server.schedules()).toMatchObject([{ dueMs: 1 }]);
	});

	test("a run counts as stopped when its lease is over, released, or another's, and its tables say why", async () => {
		const open = { tables: [tableReceipt("a", { state: "succeeded" }), tableReceipt("b"), tableReceipt("c")] };
		const lease = (await store.acquireLease("pipeline:shop", ELSEWHERE, MINUTE_MS))!;
		await store.fencedBy(lease).saveRun(receipt("r1", 1, open));
		expect((await other.run("r1"))?.state).toBe("running");
		await store.releaseLease(lease);
		expect(await other.run("r1")).toMatchObject({
			state: "stopped",
			tables: [{ state: "succeeded" }, { state: "stopped", error: { code: "E_STOPPED" } }, { state: "stopped" }],
		});
		// The same run, when it was only slow to say so.
		const again = (await store.acquireLease("pipeline:shop", ELSEWHERE, MINUTE_MS))!;
		await store.fencedBy(again).saveRun(receipt("r1", 1, { state: "succeeded" }));
		expect((await other.run("r1"))?.state).toBe("succeeded");
	});

	test("others' writes are noticed, and this one's own are not", async () => {
		const before = await store.server.dataVersion();
		await store.server.saveDue("shop", 1);
		expect(await store.server.dataVersion()).toBe(before);
		await other.server.saveDue("shop", 2);
		expect(await store.server.dataVersion()).not.toBe(before);
	});

	test("a text that no database likes is kept readable", async () => {
		const odd = "a\u0000b \ud800 c \\u0000 ☃ 😀 'quoted\" %_!";
		const at = "2026-01-01T00:00:00.000Z";
		await store.saveRun(
			receipt("r1", 1, {
				state: "failed",
				error: { code: "E_VALUE", message: odd, hint: odd },
				tables: [
					tableReceipt("a", { error: { code: "E_VALUE", message: odd, hint: "" }, values_changed: { [odd]: 1 } }),
				],
			}),
		);
		await store.appendLog("r1", [{ at, level: "info", task: null, message: odd }]);
		expect((await other.run("r1"))?.error?.message).toContain("c \\u0000 ☃ 😀 'quoted\" %_!");
		expect((await other.log("r1"))[0]?.message).toContain("☃ 😀");
		expect(await other.server.logLines("r1", { after: 0, limit: 9, search: "%_!" })).toHaveLength(1);
		expect(await other.server.lastRuns("shop", { since: "9", least: 9 })).toHaveLength(1);
		expect(await other.lastSuccesses("shop")).toEqual([]);
	});

	test("a job that another server was asked for is found, and so is who asked to cancel it", async () => {
		const job = { jobId: "j1", ended: false, queuedAt: "2026-01-01T00:00:00.000Z", entry: '{"id":"j1"}' };
		await other.server.saveJob(job);
		expect(await other.server.cancelJob("j1", "anna")).toBe(true);
		await store.server.saveJob({ ...job, entry: '{"id":"j1","state":"running"}' });
		expect(await store.server.cancelJob("j1", "ben"), "the first one stays").toBe(true);
		expect(await store.server.jobs(false)).toMatchObject([{ jobId: "j1", cancelledBy: "anna" }]);
		await store.server.saveJob({ ...job, ended: true });
		expect(await other.server.cancelJob("j1", "anna")).toBe(false);
	});

	test.runIf(kind.name !== "SQLite")("a machine whose clock is wrong takes no lease that is not over", async () => {
		await store.acquireLease("serve", ELSEWHERE, MINUTE_MS);
		const realMs = Date.now();
		vi.useFakeTimers({ toFake: ["Date"], now: realMs + 10 * MINUTE_MS });
		await using wrong = await fresh.open();
		expect(await wrong.acquireLease("serve", processHolder(), MINUTE_MS)).toBeNull();
		expect(Math.abs(wrong.nowMs() - realMs)).toBeLessThan(MINUTE_MS);
		vi.setSystemTime(realMs - 10 * MINUTE_MS);
		await wrong.leaseHolder("serve");
		expect(Math.abs(wrong.nowMs() - realMs)).toBeLessThan(MINUTE_MS);
		const own = (await wrong.acquireLease("other", ELSEWHERE, 0))!;
		expect(Math.abs(Date.parse(own.expiresAt) - realMs)).toBeLessThan(MINUTE_MS);
		expect(await store.leaseHolder("other")).toBeNull();
	});
});
