import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
	closeSync,
	existsSync,
	mkdtempSync,
	openSync,
	readdirSync,
	readFileSync,
	renameSync,
	rmSync,
	statSync,
	truncateSync,
	writeFileSync,
	writeSync,
} from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { RunReceipt, TableReceipt } from "../core/state-store.ts";
import { openStateStore, type ProjectState, processHolder, SCHEMA_VERSION } from "./index.ts";
import { MIGRATIONS } from "./migrations.ts";
import { APPLICATION_ID } from "./sqlite-schema.ts";

/** Of the steps to versions 1 to 4, as they were released. */
const RELEASED = ["84504309464c5571", "c5955221d8fad285", "af0516b274f4c4f6", "5486e700ebdea53f"];

let directory: string;
let path: string;
let notices: string[];
const open = (): Promise<ProjectState> =>
	openStateStore(path, {
		redact: (text) => text.replaceAll("s3cret", "***"),
		onNotice: (message) => notices.push(message),
	});

beforeEach(() => {
	directory = mkdtempSync(join(tmpdir(), "headrace-state-"));
	path = join(directory, "state.db");
	notices = [];
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function receipt(table: string, state: TableReceipt["state"] = "succeeded"): TableReceipt {
	return {
		table,
		into: `raw.${table}`,
		mode: "full",
		write: "replace",
		state,
		rows_read: 3,
		rows_staged: 3,
		rows_loaded: 3,
		rows_rejected: 0,
		rows_inserted: 3,
		rows_updated: 0,
		rows_deleted: 0,
		bytes: 120,
		seconds: 0.25,
		attempts: 1,
		position: "2026-11-20 10:00:00",
		values_changed: { born: 2 },
		error: null,
	};
}

function run(id: string, more: Partial<RunReceipt> = {}): RunReceipt {
	return {
		run_id: id,
		pipeline: "shop",
		interval: null,
		state: "succeeded",
		started_at: "2026-11-20T10:00:00.000Z",
		finished_at: "2026-11-20T10:00:01.000Z",
		tables: [receipt("orders"), receipt("customers")],
		...more,
	};
}

describe("runs", () => {
	test("are read back as they were saved, tables in their order", async () => {
		const interval = { start: "2026-11-01T00:00:00Z", end: "2026-11-02T00:00:00Z" };
		await using store = await open();
		await store.saveRun(run("r1", { state: "running", tables: [receipt("orders", "running")], finished_at: null }));
		await store.saveRun(run("r1", { interval }));
		expect(await store.run("r1")).toEqual(run("r1", { interval }));
	});

	test("come newest first, filtered by pipeline and limited", async () => {
		await using store = await open();
		await store.saveRun(run("r1", { started_at: "2026-11-20T10:00:00.000Z" }));
		await store.saveRun(run("r2", { started_at: "2026-11-21T10:00:00.000Z" }));
		await store.saveRun(run("r3", { started_at: "2026-11-22T10:00:00.000Z", pipeline: "other" }));
		expect((await store.runs({ limit: 10 })).map((each) => each.run_id)).toEqual(["r3", "r2", "r1"]);
		expect((await store.runs({ pipeline: "shop", limit: 1 })).map((each) => each.run_id)).toEqual(["r2"]);
	});

	test("are found by a unique beginning of their id; an ambiguous one is named", async () => {
		await using store = await open();
		for (const id of ["abc1", "abc2", "x%_y"]) await store.saveRun(run(id));
		expect((await store.run("abc2"))?.run_id).toBe("abc2");
		expect((await store.run("x%"))?.run_id).toBe("x%_y");
		expect(await store.run("%")).toBeNull();
		expect(await store.run("")).toBeNull();
		await expect(store.run("abc")).rejects.toMatchObject({ code: "E_USAGE", message: /abc1, abc2/ });
	});

	test("an id that is the beginning of another is found", async () => {
		await using store = await open();
		for (const id of ["abc", "abcd"]) await store.saveRun(run(id));
		expect((await store.run("abc"))?.run_id).toBe("abc");
	});

	test("a run whose process died is shown as stopped, its unfinished tables with the reason", async () => {
		await using store = await open();
		const tables = [receipt("orders"), receipt("customers", "running"), receipt("lines", "pending")];
		await store.saveRun(run("dead", { state: "running", finished_at: null, tables }));
		await store.saveRun(run("alive", { state: "running", finished_at: null, tables }));
		const database = new DatabaseSync(path);
		database.prepare("UPDATE runs SET holder = ? WHERE run_id = 'dead'").run(`${hostname()} pid ${deadPid()}`);
		database.close();
		expect(await store.run("dead")).toMatchObject({
			state: "stopped",
			tables: [{ state: "succeeded" }, { state: "stopped", error: { code: "E_STOPPED" } }, { state: "stopped" }],
		});
		expect(await store.run("alive")).toMatchObject({ state: "running" });
	});

	test("retention removes old runs with their logs but keeps the newest of each pipeline and running ones", async () => {
		await using store = await open();
		const old = "2020-01-01T00:00:00.000Z";
		for (let i = 0; i < 5; i++) {
			await store.saveRun(run(`old${i}`, { started_at: `2020-01-0${i + 1}T00:00:00.000Z` }));
			await store.appendLog(`old${i}`, [{ at: old, level: "info", task: null, message: "hello" }]);
		}
		await store.saveRun(run("old-running", { state: "running", started_at: old, finished_at: null }));
		await store.saveRun(run("lonely", { started_at: old, pipeline: "other" }));
		await store.saveRun(run("new", { started_at: new Date().toISOString() }));
		expect(await store.prune({ days: 30, runsKept: 2 })).toBe(4);
		expect((await store.runs({ limit: 10 })).map((each) => each.run_id)).toEqual([
			"new",
			"old4",
			"old-running",
			"lonely",
		]);
		expect(await store.log("old0")).toEqual([]);
		expect(await store.log("old4")).toHaveLength(1);
	});
});

test("log lines keep their order, are filtered by task, and pass the redaction; so do errors of receipts", async () => {
	await using store = await open();
	const at = "2026-11-20T10:00:00.000Z";
	await store.appendLog("r1", [
		{ at, level: "info", task: null, message: "begin" },
		{ at, level: "error", task: "orders", message: "login with s3cret refused" },
	]);
	await store.appendLog("r1", [{ at, level: "debug", task: "orders", message: "end" }]);
	expect((await store.log("r1")).map((line) => line.message)).toEqual(["begin", "login with *** refused", "end"]);
	expect((await store.log("r1", "orders")).map((line) => line.level)).toEqual(["error", "debug"]);
	const error = { code: "E_LOGIN", message: "user s3cret", hint: "not s3cret" };
	await store.saveRun(run("r1", { tables: [{ ...receipt("orders", "failed"), error }] }));
	expect((await store.run("r1"))?.tables[0]?.error).toEqual({ code: "E_LOGIN", message: "user ***", hint: "not ***" });
	expect(readdirSync(directory).some((file) => readFileSync(join(directory, file)).includes("s3cret"))).toBe(false);
});

describe("leases", () => {
	test("are held by one at a time; the epoch rises at every change of hands and never falls", async () => {
		await using store = await open();
		const first = await store.acquireLease("shop", `${processHolder()} a`, 60_000);
		expect(first).toMatchObject({ epoch: 1 });
		expect(await store.acquireLease("shop", `${processHolder()} b`, 60_000)).toBeNull();
		expect(await store.acquireLease("other", "b", 60_000)).toMatchObject({ epoch: 1 });
		expect(await store.leaseHolder("shop")).toMatchObject({ holder: `${processHolder()} a`, epoch: 1 });
		await store.releaseLease(first!);
		expect(await store.leaseHolder("shop")).toBeNull();
		const second = await store.acquireLease("shop", "b", 60_000);
		expect(second).toMatchObject({ epoch: 2 });
		expect(await store.renewLease(first!, 60_000)).toBe(false);
		await store.releaseLease(first!);
		expect(await store.leaseHolder("shop")).toMatchObject({ epoch: 2 });
		expect(await store.renewLease(second!, 60_000)).toBe(true);
	});

	test("an expired one is free, and its former holder cannot renew it once taken", async () => {
		await using store = await open();
		const first = await store.acquireLease("shop", "elsewhere pid 1", 0);
		expect(await store.leaseHolder("shop")).toBeNull();
		expect(await store.renewLease(first!, 0)).toBe(true);
		expect(await store.acquireLease("shop", "b", 1000)).toMatchObject({ epoch: 2 });
		expect(await store.renewLease(first!, 1000)).toBe(false);
	});

	test("a clock that was set neither frees a lease nor holds it for ever", async () => {
		await using store = await open();
		await store.acquireLease("shop", processHolder(), 60_000);
		const database = new DatabaseSync(path);
		const told = database.prepare("SELECT boot_id FROM leases").get() as { boot_id: string | null };
		database.exec("UPDATE leases SET expires_ms = 0");
		const held = (await store.leaseHolder("shop")) !== null;
		expect(held).toBe(told.boot_id !== null);
		database.exec("UPDATE leases SET expires_ms = 9e15, expires_uptime_ms = 0");
		expect(await store.leaseHolder("shop")).toEqual(told.boot_id === null ? expect.anything() : null);
		database.close();
	});

	test.each<[string, () => string, boolean]>([
		["a process that lives", () => processHolder(), true],
		["a process that is gone", () => `${hostname()} pid ${deadPid()}`, false],
		["a process that is gone, written host:pid", () => `${hostname()}:${deadPid()}`, false],
		["a pid that another process has now", () => processHolder().replace(/#\d+/, "#1"), !processHolder().includes("#")],
		["a process in another container", () => `${hostname()} pid ${deadPid()} #1.1`, true],
		["a process on another host", () => `not-${hostname()} pid ${deadPid()}`, true],
		["a text of another form", () => "somebody", true],
	])("of %s", async (_name, holder, held) => {
		await using store = await open();
		await store.acquireLease("shop", holder(), 60_000);
		expect((await store.acquireLease("shop", "b", 60_000)) === null).toBe(held);
	});

	test("of many processes that start at once exactly one gets it", async () => {
		const program = `
			import { openStateStore, processHolder } from ${JSON.stringify(join(import.meta.dirname, "index.ts"))};
			const store = await openStateStore(process.argv[1]);
			const lease = await store.acquireLease("shop", processHolder(), 60000);
			process.stdout.write(lease === null ? "0" : "1");
			process.stdin.resume().on("end", () => process.exit());`;
		const children = Array.from({ length: 4 }, () =>
			spawn(process.execPath, ["--input-type=module", "-e", program, path]),
		);
		const answers = await Promise.all(
			children.map(
				(child) =>
					new Promise<string>((resolve, reject) => {
						child.stdout.on("data", (data) => resolve(String(data)));
						child.stderr.on("data", (data) => reject(new Error(String(data))));
					}),
			),
		);
		for (const child of children) child.stdin.end();
		expect(answers.sort().join("")).toBe("0001");
	});
});

test("positions are kept per pipeline and stream", async () => {
	await using store = await open();
	const position = { stream: "orders", position: "1", loadId: "l1", committedAt: "2026-11-20 10:00:00" };
	await store.savePositions("shop", [position, { ...position, stream: "a" }]);
	await store.savePositions("shop", [{ ...position, position: "2" }]);
	expect(await store.positions("shop")).toEqual([
		{ ...position, stream: "a" },
		{ ...position, position: "2" },
	]);
	expect(await store.positions("other")).toEqual([]);
});

describe("the file", () => {
	test("survives reopening, and is readable by its owner only", async () => {
		{
			await using store = await open();
			await store.saveRun(run("r1"));
			expect(await store.check()).toMatchObject([{ severity: "ok" }]);
		}
		await using store = await open();
		expect(await store.run("r1")).toEqual(run("r1"));
		expect(statSync(path).mode & 0o077).toBe(0);
		expect(notices).toEqual([]);
	});

	test.each<[string, () => void]>([
		["is not SQLite", () => writeFileSync(path, '{"runs": []}'.repeat(500))],
		["was cut in the middle", () => truncateSync(path, 8192)],
		["was cut in its header", () => truncateSync(path, 50)],
	])("that %s is moved aside and replaced", async (_name, damage) => {
		{
			await using store = await open();
			await store.saveRun(run("r1"));
		}
		damage();
		await using store = await open();
		expect(await store.runs({ limit: 10 })).toEqual([]);
		await store.saveRun(run("r2"));
		expect(await store.run("r2")).toEqual(run("r2"));
		expect(notices).toEqual([expect.stringContaining("was damaged")]);
		expect(readdirSync(directory).filter((file) => file.includes(".damaged-")).length).toBeGreaterThan(0);
	});

	test("that turns out to be damaged while it is in use is replaced, and the work is done on the new one", async () => {
		{
			await using store = await open();
			for (let i = 0; i < 50; i++) await store.saveRun(run(`r${i}`));
		}
		damagePages();
		await using store = await open();
		await store.saveRun(run("new"));
		expect((await store.runs({ limit: 10 })).map((each) => each.run_id)).toEqual(["new"]);
		expect(notices).toHaveLength(1);
	});

	test("that another process has already replaced is not moved aside a second time", async () => {
		{
			await using store = await open();
			await store.saveRun(run("lost"));
		}
		await using store = await open();
		damagePages();
		// What the other process does when it meets the damage first.
		for (const suffix of ["", "-wal", "-shm"]) renameSync(path + suffix, `${path}.damaged-first${suffix}`);
		await using other = await open();
		await other.saveRun(run("kept"));
		expect((await store.runs({ limit: 10 })).map((each) => each.run_id)).toEqual(["kept"]);
		expect(notices).toEqual([]);
	});

	test.each([1, 2, 3, 4, 5, 6, 7])("of version %i gets what later ones need, and keeps its runs", async (version) => {
		const database = new DatabaseSync(path);
		for (const step of MIGRATIONS.slice(0, version)) database.exec(step);
		const { tables, ...kept } = run("r1");
		database
			.prepare(
				"INSERT INTO runs (run_id, pipeline, state, started_at, finished_at, holder) VALUES (?, ?, ?, ?, ?, 'x')",
			)
			.run(kept.run_id, kept.pipeline, kept.state, kept.started_at, kept.finished_at);
		for (const [ordinal, table] of tables.entries())
			database
				.prepare("INSERT INTO table_receipts VALUES ('r1', ?, ?, ?, ?)")
				.run(ordinal, table.table, table.state, JSON.stringify(table));
		if (version >= 7)
			for (const { table } of tables)
				database.prepare("INSERT INTO table_successes VALUES ('shop', ?, '', ?, 0)").run(table, kept.finished_at);
		if (version >= 3) database.exec("INSERT INTO schedules (pipeline, due_ms) VALUES ('old', 7)");
		database.exec(`PRAGMA user_version = ${version}; PRAGMA application_id = ${APPLICATION_ID}`);
		database.close();
		await using store = await open();
		expect(await store.run("r1")).toEqual(run("r1"));
		const loaded = tables.flatMap(({ table, state }) =>
			state === "succeeded" ? [{ table, at: kept.finished_at }] : [],
		);
		expect(loaded).toHaveLength(2);
		expect(await store.lastSuccesses("shop")).toEqual(loaded.toSorted((a, b) => (a.table < b.table ? -1 : 1)));
		expect(await store.alerts("shop")).toEqual([]);
		await store.saveRun({ ...run("r2"), error: { code: "E_CONNECT", message: "with s3cret", hint: "" } });
		expect((await store.run("r2"))?.error?.message).toBe("with ***");
		await store.server.saveDue("shop", 1);
		const schedules = [...(version >= 3 ? [{ pipeline: "old", dueMs: 7, paused: null }] : [])];
		expect(await store.server.schedules()).toEqual([...schedules, { pipeline: "shop", dueMs: 1, paused: null }]);
		const asked = await store.requests.ask("shop", "end");
		expect(await store.requests.take("shop")).toEqual([{ id: asked, request: "end" }]);
		await store.server.saveJob({ jobId: "j", ended: false, queuedAt: "2026-01-01T00:00:00.000Z", entry: "{}" });
		expect(await store.server.cancelJob("j", "anna")).toBe(true);
		expect(notices).toEqual([]);
	});

	test("of before intervals and last successes were kept by themselves finds them in its runs", async () => {
		const database = new DatabaseSync(path);
		for (const step of MIGRATIONS.slice(0, 6)) database.exec(step);
		const add = (id: string, minute: number, endDay: number | null, mode: string, details: object | null = null) => {
			const at = `2026-11-20T10:0${minute}:00.000Z`;
			const end = endDay === null ? null : `2026-11-0${endDay} 00:00:00`;
			database
				.prepare(
					`INSERT INTO runs (run_id, pipeline, interval_start, interval_end, state, started_at, finished_at, holder, details)
					VALUES (?, 'shop', ?, ?, 'succeeded', ?, ?, 'x', ?)`,
				)
				.run(id, end, end, at, at, details === null ? null : JSON.stringify(details));
			database
				.prepare("INSERT INTO table_receipts VALUES (?, 0, 'orders', 'succeeded', ?)")
				.run(id, JSON.stringify({ ...receipt("orders"), mode }));
		};
		add("newest interval", 1, 5, "interval");
		add("rerun of the newest", 2, 5, "interval");
		add("older interval, later", 3, 4, "interval");
		add("before it had intervals", 1, null, "full");
		add("extract only", 4, 6, "interval", { stage: "extract" });
		database.exec(`PRAGMA user_version = 6; PRAGMA application_id = ${APPLICATION_ID}`);
		database.close();
		await using store = await open();
		expect(await store.lastSuccesses("shop")).toEqual([{ table: "orders", at: "2026-11-20T10:02:00.000Z" }]);
		const intervals = await store.server.intervals("shop", "2026-11-01", "2026-12-01");
		expect(intervals.map(({ runId }) => runId)).toEqual(["older interval, later", "rerun of the newest"]);
	});

	test("is brought up to date by the steps that were released, which nobody edits", () => {
		const hashes = MIGRATIONS.map((step) => createHash("sha256").update(step).digest("hex").slice(0, 16));
		expect(hashes.slice(0, 4)).toEqual(RELEASED);
	});

	test("of a newer version is refused and stays as it is", async () => {
		{
			await using store = await open();
			await store.saveRun(run("r1"));
		}
		const database = new DatabaseSync(path);
		database.exec(`PRAGMA user_version = ${SCHEMA_VERSION + 1}`);
		database.close();
		const before = readFileSync(path);
		await expect(open()).rejects.toMatchObject({ code: "E_STATE", message: /newer Headrace/ });
		expect(readFileSync(path).equals(before)).toBe(true);
	});

	test("of another program is refused and stays as it is", async () => {
		const database = new DatabaseSync(path);
		database.exec("CREATE TABLE notes (text)");
		database.close();
		const before = readFileSync(path);
		await expect(open()).rejects.toMatchObject({ code: "E_STATE", message: /another program/ });
		expect(readFileSync(path).equals(before)).toBe(true);
	});

	test("that can't be made says so", async () => {
		writeFileSync(join(directory, "file"), "");
		await expect(openStateStore(join(directory, "file", "state.db"))).rejects.toThrow();
		path = directory;
		await expect(open()).rejects.toMatchObject({ code: "E_STATE" });
	});
});

test("a process killed at any moment leaves whole runs only, and the next one writes on", {
	timeout: 60_000,
}, async () => {
	const program = `
		import { openStateStore, processHolder } from ${JSON.stringify(join(import.meta.dirname, "index.ts"))};
		const store = await openStateStore(process.argv[1]);
		await store.acquireLease("shop", processHolder(), 600000);
		const base = JSON.parse(process.argv[2]);
		for (let i = 0; ; i++) {
			const run_id = process.pid + "-" + String(i).padStart(6, "0");
			await store.saveRun({ ...base, run_id });
			await store.appendLog(run_id, [{ at: base.started_at, level: "info", task: null, message: "one" }, { at: base.started_at, level: "info", task: null, message: "two" }]);
			if (i === 20) process.stdout.write("go");
		}`;
	for (let round = 0; round < 5; round++) {
		const child = spawn(process.execPath, ["--input-type=module", "-e", program, path, JSON.stringify(run(""))]);
		await new Promise<void>((resolve, reject) => {
			child.stdout.once("data", () => resolve());
			child.stderr.on("data", (data) => reject(new Error(String(data))));
			child.once("exit", (code) => reject(new Error(`exit ${code}`)));
		});
		await new Promise((resolve) => setTimeout(resolve, 7 * round));
		const gone = new Promise((resolve) => child.once("close", resolve));
		child.kill("SIGKILL");
		await gone;
		await using store = await open();
		expect(await store.check()).toMatchObject([{ severity: "ok" }]);
		const runs = (await store.runs({ limit: 100_000 })).filter((each) => each.run_id.startsWith(`${child.pid}-`));
		expect(runs.length).toBeGreaterThan(20);
		for (const each of runs) expect(each.tables).toEqual(run("").tables);
		const logged = await Promise.all(runs.slice(1).map((each) => store.log(each.run_id)));
		for (const lines of logged) expect(lines.map((line) => line.message)).toEqual(["one", "two"]);
		// The dead holder's lease is free at once, with a higher epoch.
		const lease = await store.acquireLease("shop", processHolder(), 600_000);
		expect(lease?.epoch).toBe(2 * round + 2);
		await store.releaseLease(lease!);
	}
	expect(notices).toEqual([]);
	expect(existsSync(path)).toBe(true);
});

/** Spoils every page but the first, which holds the schema: the damage shows when a table is read. */
function damagePages(): void {
	const bytes = readFileSync(path);
	const file = openSync(path, "r+");
	const pageBytes = bytes.readUInt16BE(16);
	writeSync(file, bytes.fill(0x5a, pageBytes), pageBytes, bytes.length - pageBytes, pageBytes);
	closeSync(file);
}

function deadPid(): number {
	return spawnSync(process.execPath, ["-e", ""]).pid;
}

test("what is asked of a follower is taken once, answered, and can be withdrawn until it is taken", async () => {
	await using store = await open();
	const { requests } = store;
	const first = await requests.ask("shop", "one");
	const second = await requests.ask("shop", "two");
	await requests.ask("other", "three");
	expect([await requests.isAsked("shop"), await requests.isAsked("nobody")]).toEqual([true, false]);
	expect(await requests.withdraw(second)).toBe(true);
	expect(await requests.take("shop")).toEqual([{ id: first, request: "one" }]);
	expect([await requests.take("shop"), await requests.isAsked("shop")]).toEqual([[], false]);
	expect([await requests.withdraw(first), await requests.answerOf(first)]).toEqual([false, null]);
	await requests.answer(first, "done");
	expect(await requests.answerOf(first)).toBe("done");
	expect(await requests.take("other")).toHaveLength(1);
});
