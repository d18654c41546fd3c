import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { receipt, tableReceipt } from "../../src/conformance/state-store-receipts.ts";
import type { LogLine } from "../../src/core/state-store.ts";
import type { ProjectState } from "../../src/state/index.ts";
import { STATE_KINDS } from "./stores.ts";

const T0 = Date.parse("2026-01-01T00:00:00Z");
const at = (minutes: number) => new Date(T0 + minutes * 60_000).toISOString();

describe.each(STATE_KINDS.map((kind) => [kind.name, kind] as const))("in %s", (_name, kind) => {
	if (kind.isMissing) return test.skip("it can't be started here", () => {});
	let store: ProjectState;
	beforeAll(async () => {
		const fresh = await kind.fresh((text) => text.replaceAll("s3cret", "***"));
		store = await fresh.open();
	});
	afterAll(async () => {
		await store[Symbol.asyncDispose]();
		await kind.close();
	});

	test("a schedule remembers its time and its pause, each without the other", async () => {
		await store.server.saveDue("a", T0);
		await store.server.savePause("a", { at: at(1), by: "anna", reason: "the password s3cret leaked" });
		await store.server.saveDue("a", T0 + 1);
		expect(await store.server.schedules()).toEqual([
			{ pipeline: "a", dueMs: T0 + 1, paused: { at: at(1), by: "anna", reason: "the password *** leaked" } },
		]);
		await store.server.savePause("a", null);
		expect(await store.server.schedules()).toEqual([{ pipeline: "a", dueMs: T0 + 1, paused: null }]);
	});

	test("a token counts until it is revoked or ends, and its sessions end with it", async () => {
		const token = { name: "anna", role: "operator", createdAt: at(0), createdBy: "cli", lastUsedAt: null } as const;
		await store.access.addToken({ ...token, tokenId: "t1", hash: "h1", expiresAt: at(60), revokedAt: null });
		await store.access.addToken({ ...token, tokenId: "t2", hash: "h2", expiresAt: null, revokedAt: null });
		expect((await store.access.useToken("h1", T0))?.name).toBe("anna");
		expect((await store.access.tokens())[0]?.lastUsedAt).toBe(at(0));
		expect(await store.access.useToken("h1", T0 + 60 * 60_000)).toBeNull();
		expect(await store.access.useToken("other", T0)).toBeNull();
		await store.access.addSession(
			{ hash: "s2", name: "anna", role: "operator", tokenId: "t2", expiresAt: at(600) },
			T0,
		);
		await store.access.addSession(
			{ hash: "s1", name: "anna", role: "operator", tokenId: "t1", expiresAt: at(600) },
			T0,
		);
		expect(await store.access.session("s1", T0)).not.toBeNull();
		expect(await store.access.session("s1", T0 + 61 * 60_000), "its token has ended").toBeNull();
		expect(await store.access.session("s2", T0 + 601 * 60_000), "it has ended itself").toBeNull();
		expect(await store.access.session("s2", T0)).not.toBeNull();
		expect((await store.access.revokeToken("t2", at(2)))?.revokedAt).toBe(at(2));
		expect(await store.access.session("s2", T0)).toBeNull();
		expect(await store.access.useToken("h2", T0)).toBeNull();
		expect((await store.access.revokeToken("t2", at(3)))?.revokedAt, "the first time stays").toBe(at(2));
		expect(await store.access.revokeToken("none", at(3))).toBeNull();
	});

	test("of each interval and table the newest run counts; a run that was cut off leaves no table at work", async () => {
		const interval = { start: "2026-01-01T00:00:00Z", end: "2026-01-02T00:00:00Z" };
		const table = (name: string, state: "succeeded" | "failed" | "pending", mode = "interval") =>
			tableReceipt(name, { state, mode, rows_loaded: 5 });
		const run = (id: string, minute: number, tables: ReturnType<typeof table>[], more = {}) =>
			store.saveRun({
				...receipt(id, 1, { pipeline: "p", interval, tables, state: "failed" }),
				started_at: at(minute),
				...more,
			});
		await run("i1", 1, [table("e", "failed"), table("f", "succeeded"), table("full", "succeeded", "full")]);
		await run("i2", 2, [table("e", "succeeded")]);
		await run("i3", 3, [table("g", "pending")], { state: "stopped" });
		await run("i4", 4, [table("f", "failed")], { stage: "extract" });
		expect(
			(await store.server.intervals("p", "2026-01-01", "2026-01-02")).map((row) => [row.table, row.runId, row.state]),
		).toEqual([
			["e", "i2", "succeeded"],
			["f", "i1", "succeeded"],
			["g", "i3", "stopped"],
		]);
		expect(await store.server.intervals("p", "2026-01-02", "2026-02-02")).toEqual([]);
		expect(await store.server.neighbour("i2", -1)).toBe("i1");
		expect(await store.server.neighbour("i2", 1)).toBe("i3");
		expect(await store.server.neighbour("i1", -1)).toBeNull();
		const ids = async (query: { before?: string; state?: "failed" | "stopped" }) =>
			(await store.server.runs({ pipeline: "p", limit: 2, ...query })).map(({ run_id }) => run_id);
		expect(await ids({})).toEqual(["i4", "i3"]);
		expect(await ids({ before: "i3" })).toEqual(["i2", "i1"]);
		expect(await ids({ state: "failed", before: "i4" })).toEqual(["i2", "i1"]);
		const last = async (least: number, since = "9") =>
			(await store.server.lastRuns("p", { since, least })).map(({ run_id, rows, trigger }) => [run_id, rows, trigger]);
		expect(await last(2)).toEqual([
			["i3", 5, null],
			["i4", 5, null],
		]);
		expect(await last(1, (await store.run("i2"))!.started_at)).toHaveLength(3);
		expect(await last(99)).toHaveLength((await store.runs({ pipeline: "p", limit: 99 })).length);
		const marks = await store.server.runMarks();
		await store.saveRun(receipt("m1", 59, { pipeline: "p" }));
		expect((await store.server.runMarks()).get("p")).not.toBe(marks.get("p"));
		expect((await store.server.tableRuns("p", "e", 9)).map(({ run_id }) => run_id)).toEqual(["i2", "i1"]);
	});

	test("settings are kept when they change, and found by the time of a run", async () => {
		const save = (minute: number, settings: string) =>
			store.server.saveSettings("s", { runId: `s${minute}`, startedAt: at(minute), settings });
		await save(1, "a: 1\n");
		await save(2, "a: 1\n");
		await save(3, "a: s3cret\n");
		const found = async (minute: number) => {
			const row = await store.server.settingsAt("s", at(minute));
			return row === null ? null : `${row.runId} ${row.settings.trim()}`;
		};
		expect(await found(0)).toBeNull();
		expect([await found(1), await found(2), await found(9)]).toEqual(["s1 a: 1", "s1 a: 1", "s3 a: ***"]);
		for (let minute = 10; minute < 120; minute++) await save(minute, `a: ${minute}\n`);
		expect(await found(15), "only the last hundred stay").toBeNull();
		expect(await found(20)).toBe("s20 a: 20");
	});

	test("a log is given in parts: after a line, from a level on, of a table, with a text", async () => {
		const line = (level: LogLine["level"], task: string | null, message: string): LogLine => ({
			at: at(0),
			level,
			task,
			message,
		});
		await store.appendLog("l1", [
			line("info", null, "begun"),
			line("error", "a", "Broken: 50%"),
			line("info", "b", "done"),
		]);
		const texts = async (query: object) =>
			(await store.server.logLines("l1", { after: 0, limit: 10, ...query })).map(({ message }) => message);
		expect(await texts({})).toEqual(["begun", "Broken: 50%", "done"]);
		const [first] = await store.server.logLines("l1", { after: 0, limit: 1 });
		expect(await texts({ after: first!.line })).toEqual(["Broken: 50%", "done"]);
		expect(await texts({ level: "warn" })).toEqual(["Broken: 50%"]);
		expect(await texts({ task: "b" })).toEqual(["done"]);
		expect(await texts({ search: "broken: 50%" })).toEqual(["Broken: 50%"]);
		expect(await texts({ search: "b_oken" })).toEqual([]);
		expect(await store.server.logSize("l1")).toEqual({ lines: 3, firstErrorLine: first!.line + 1 });
	});

	test("jobs that have not ended are kept in their order, of those that ended the last", async () => {
		for (let n = 0; n < 210; n++)
			await store.server.saveJob({ jobId: `j${n}`, ended: n > 1, queuedAt: at(n), entry: `{"n":${n}}` });
		expect((await store.server.jobs(false)).map(({ jobId }) => jobId)).toEqual(["j0", "j1"]);
		expect(await store.server.jobs(true)).toHaveLength(200);
		expect((await store.server.jobs(true))[0]?.jobId).toBe("j209");
	});

	test("what was done is kept with its author, newest first, without secrets", async () => {
		const entry = {
			role: "admin",
			via: "token",
			address: "::1",
			action: "run",
			subject: "shop",
			outcome: "done",
		} as const;
		for (let n = 0; n < 3; n++) await store.server.addAudit({ ...entry, at: at(n), who: `w${n}`, detail: "s3cret" });
		const [newest, next] = await store.server.audit(2);
		expect([newest?.who, newest?.detail, next?.who]).toEqual(["w2", "***", "w1"]);
		expect((await store.server.audit(5, next!.auditId)).map(({ who }) => who)).toEqual(["w0"]);
	});
});
