import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import type { RunReceipt } from "../../src/core/state-store.ts";
import { type CliOptions, envelopeOf, headrace } from "./cli.ts";

let directory: string;

const PIPELINE = `from: ./data
to: duckdb:x.duckdb
defaults: { into: "raw.{table}" }
tables:
  shop.*: {}
`;

beforeEach(async () => {
	const made = mkdtempSync(join(tmpdir(), "headrace-cli-"));
	directory = made;
	onTestFinished(() => rmSync(made, { recursive: true, force: true }));
	writeFileSync(join(directory, "shop.yaml"), PIPELINE);
});

const run = (line: string, options: CliOptions = {}) =>
	headrace(line.split(" "), { cwd: directory, standIns: true, ...options });

async function runsOf(line: string, options: CliOptions = {}): Promise<RunReceipt[]> {
	const { data } = envelopeOf(await run(`${line} --json`, options));
	return (data as { runs: RunReceipt[] }).runs;
}

describe("run", () => {
	test("prints the receipt on stdout and progress with the time on stderr", async () => {
		const result = await run("run shop");
		expect(result.code, result.stderr).toBe(0);
		expect(result.stdout.replace(/\d+\.\d\d s/g, "0.01 s").replace(/run 2\S+/, "run X")).toBe(
			`shop  run X
   shop.orders     2,000 rows  48.0 kB  0.01 s  ✓
   shop.customers  2,000 rows  48.0 kB  0.01 s  ✓
   receipt: read 4,000 = loaded 4,000 · rejected 0
   took 0.01 s
`,
		);
		const lines = result.stderr.trimEnd().split("\n");
		for (const line of lines) expect(line).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ {2}/);
		expect(result.stderr).toMatch(/shop\.orders {2}started → raw\.orders, ~2,000 rows/);
		expect(result.stderr).toMatch(/shop\.orders {2}succeeded {2}2,000 rows/);
		expect(readFileSync(join(directory, ".headrace/.gitignore"), "utf8")).toBe("*\n");
	});

	test("-q prints nothing when all is well, and the error when it is not", async () => {
		expect(await run("run shop -q")).toMatchObject({ code: 0, stdout: "", stderr: "" });
		const failed = await run("run shop -q", { env: { STAND_IN_FAILURE: "E_VALUE" } });
		expect(failed).toMatchObject({ code: 1, stdout: "" });
		expect(failed.stderr).toMatch(
			/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ {2}✗ E_VALUE {2}shop\.orders: the stand-in was told to fail; cure: Set the policy.*\n$/,
		);
	});

	test("--json gives the receipts in the contract's form", async () => {
		const [receipt, ...more] = await runsOf("run shop --table orders");
		expect(more).toEqual([]);
		expect(receipt).toMatchObject({ pipeline: "shop", interval: null, state: "succeeded" });
		const keys = "table into mode write state rows_read rows_staged rows_loaded rows_rejected bytes seconds position";
		for (const key of [...keys.split(" "), "values_changed", "error"]) expect(receipt?.tables[0]).toHaveProperty(key);
		expect(receipt?.tables).toMatchObject([{ table: "shop.orders", rows_read: 2000, rows_loaded: 2000, error: null }]);
	});

	test("a failed table does not stop the others; the run fails, --failed repeats only it", async () => {
		const failed = await run("run shop --json", { env: { STAND_IN_FAILURE: "E_VALUE" } });
		expect(failed.code).toBe(1);
		const envelope = envelopeOf(failed);
		expect(envelope).toMatchObject({ ok: false, errors: [{ code: "E_VALUE", message: /^shop\.orders: / }] });
		const [receipt] = (envelope.data as { runs: RunReceipt[] }).runs;
		expect(receipt?.tables.map((table) => table.state)).toEqual(["failed", "succeeded"]);
		const [repeated] = await runsOf(`run shop --failed ${receipt?.run_id}`);
		expect(repeated?.tables.map((table) => table.table)).toEqual(["shop.orders"]);
	});

	test.each<[string, number]>([
		["E_LOGIN", 4],
		["E_FENCED", 75],
		["E_TYPE_REFUSED", 1],
	])("a table that fails with %s ends with %i", async (code, exit) => {
		expect((await run("run shop", { env: { STAND_IN_FAILURE: code } })).code).toBe(exit);
	});

	test.each<[string, number, string]>([
		["run shop --table nothing", 2, "E_UNKNOWN_TABLE"],
		["run shop --interval soon", 2, "E_INVALID_VALUE"],
		["run shop --stage lode", 2, "--stage is check, extract or load"],
		["run shop --follow", 2, "--follow is for tables of mode cdc"],
		["run shop --params x", 2, "--params needs key=value"],
		["run shop --failed 1999", 2, "has no run 1999"],
		["run shop --memory 1MB", 2, "64MB"],
		["backfill shop -s 2026-01-01 -e 2026-01-04", 2, "no table with mode interval"],
		["tasks run shop nothing", 2, "E_UNKNOWN_TABLE"],
	])("%s ends with %i", async (line, exit, message) => {
		const result = await run(line);
		expect(result.code).toBe(exit);
		expect(result.stderr).toContain(message);
	});

	test.each<[NodeJS.Signals, number]>([
		["SIGINT", 130],
		["SIGTERM", 143],
	])("%s stops it cleanly, with a receipt, and the next run may begin at once", async (signal, exit) => {
		let sentMs: number | null = null;
		const stopped = await run("run shop --json", {
			env: { STAND_IN_DELAY_MS: "600" },
			onStderr: (text, kill) => {
				if (sentMs !== null || !text.includes("shop.customers  started")) return;
				sentMs = performance.now();
				kill(signal);
			},
		});
		const tookMs = performance.now() - sentMs!;
		expect(stopped.code, stopped.stderr).toBe(exit);
		expect(stopped.stderr).toContain(`${signal}: stopping`);
		const envelope = envelopeOf(stopped);
		expect(envelope).toMatchObject({
			ok: false,
			data: { runs: [{ state: "stopped" }] },
			errors: [{ code: "E_STOPPED" }, {}],
		});
		// Unstopped it would read for twelve seconds.
		expect(tookMs).toBeLessThan(5000);
		expect((await run("run shop")).code).toBe(0);
	});

	test("a second run of the same pipeline is refused while the first goes on", async () => {
		let second: Promise<{ code: number | null; stderr: string }> | undefined;
		const first = await run("run shop", {
			// It does not end by itself before the second one has.
			env: { STAND_IN_DELAY_MS: "30000" },
			onStderr: (text, kill) => {
				if (text.includes("started →")) second ??= run("run shop").finally(() => kill("SIGTERM"));
			},
		});
		expect(first.code, first.stderr).toBe(143);
		expect(await second).toMatchObject({ code: 75, stderr: expect.stringMatching(/E_BUSY.*holds/) });
	});

	test("an error that nobody awaited ends it like any other, its secret masked", async () => {
		const env = { STAND_IN_ORPHAN: "lost mysql://u:hunter2@h/db", STAND_IN_DELAY_MS: "50" };
		const result = await run("run shop --json -v", { env });
		expect(result.code).toBe(1);
		expect(envelopeOf(result).errors).toMatchObject([{ code: "E_INTERNAL", message: "lost mysql://u:***@h/db" }]);
		expect(result.stderr).toContain("stand-ins.ts");
		expect(result.stdout + result.stderr).not.toContain("hunter2");
		expect((await run("runs --json")).stdout).toContain('"stopped"');
	});

	test("leaves its log, its receipt, and its positions", async () => {
		await run("run shop");
		const [listed] = await runsOf("runs");
		const id = listed!.run_id;
		expect((await run(`logs ${id}`)).stdout).toMatch(
			/info {3}run of shop started\n[\s\S]*shop\.orders {2}succeeded: read 2,000/,
		);
		expect((await run(`runs show ${id.slice(0, 10)}`)).stdout).toContain("receipt: read 4,000 = loaded 4,000");
		const status = await run("status");
		expect(status.stdout).toMatch(
			/^shop {2}last run .* succeeded\n {2}table +position +committed\n {2}shop\.customers/,
		);
	});
});

test("a damaged history is told, replaced, and does not stop a run; a newer one does", async () => {
	await run("run shop");
	const file = join(directory, ".headrace/state.db");
	writeFileSync(file, "not a database".repeat(1000));
	const result = await run("run shop");
	expect(result.code, result.stderr).toBe(0);
	expect(result.stderr).toMatch(/! .*state\.db was damaged: it is now .*state\.db\.damaged-/);
	expect(await runsOf("runs")).toHaveLength(1);
	const database = new DatabaseSync(file);
	database.exec("PRAGMA user_version = 99");
	database.close();
	for (const line of ["run shop", "runs", "status"]) {
		const refused = await run(line);
		expect(refused.code).toBe(1);
		expect(refused.stderr).toMatch(/E_STATE.*newer Headrace/);
	}
});

test("plan and types explain tell tables and columns, as text and as JSON", async () => {
	const plan = await run("plan shop");
	expect(plan).toMatchObject({ code: 0, stderr: "" });
	expect(plan.stdout).toMatch(
		/\+ {2}shop\.orders {5}full, replace {2}→ raw\.orders, new table, 2 columns, ~2,000 rows/,
	);
	expect(plan.stdout).toContain("2 tables change. `headrace run shop` applies this.");
	for (const verb of ["plan", "types explain"]) {
		const { data } = envelopeOf(await run(`${verb} shop --json`));
		const { tables } = data as { tables: Record<string, unknown>[] };
		const keys = "table into mode write key estimated_rows ddl columns";
		for (const key of keys.split(" ")) expect(tables[0]).toHaveProperty(key);
		expect(tables[0]?.["columns"]).toMatchObject([
			{ name: "id", source_type: "int64", destination_type: "int64", fidelity: "exact", note: null },
			{ name: "name" },
		]);
	}
	expect((await run("types explain shop --table orders")).stdout).toMatch(
		/^shop\.orders → raw\.orders\n {2}column +source +destination/,
	);
});

test("check tells its findings, tasks list the tasks; tasks test records nothing, tasks run does", async () => {
	expect((await run("check shop")).stdout).toMatch(/✓ tables are in this process's memory/);
	expect((await run("tasks list shop")).stdout).toMatch(
		/^task +into +mode +write\nshop\.orders +raw\.orders +full +replace\n/,
	);
	const tested = await run("tasks test shop shop.orders");
	expect(tested.code, tested.stderr).toBe(0);
	expect(tested.stdout).toContain("read only; nothing was written");
	expect(await runsOf("runs")).toEqual([]);
	expect((await run("tasks run shop shop.orders")).code).toBe(0);
	expect(await runsOf("runs")).toMatchObject([{ tables: [{ table: "shop.orders" }] }]);
});

test("copy runs without a file and keeps its history; --save writes a file that runs the same", async () => {
	const copy =
		"copy ./data duckdb:x.duckdb --tables shop.orders,shop.cust* --into raw.{table} --save pipelines/mine.yaml";
	const copied = await run(copy);
	expect(copied.code, copied.stderr).toBe(0);
	expect(copied.stdout).toMatch(/receipt: read 4,000 = loaded 4,000/);
	expect(copied.stderr).toContain("saved pipelines/mine.yaml");
	expect(existsSync(join(directory, ".headrace/state.db"))).toBe(true);
	const [receipt] = await runsOf("run mine");
	expect(receipt?.tables.map((table) => table.into)).toEqual(["raw.orders", "raw.customers"]);
	expect((await runsOf("runs")).map((each) => each.pipeline)).toEqual(["mine", "mine"]);
});

test("backfill prints the list first, and --dry-run only that", async () => {
	appendFileSync(join(directory, "shop.yaml"), "  shop.events: { mode: interval, cursor: at, key: id }\n");
	const dry = await run("backfill shop -s 2026-01-30 -e 2026-02-02 --dry-run");
	expect(dry).toMatchObject({
		code: 0,
		stderr: "",
		stdout: "shop: 3 runs, oldest first\n   2026-01-30\n   2026-01-31\n   2026-02-01\n",
	});
	const { data } = envelopeOf(await run("backfill shop -s 2026-01-30 -e 2026-02-02 --dry-run --json"));
	expect(data).toMatchObject({ intervals: [{ start: "2026-01-30T00:00:00Z", end: "2026-01-31T00:00:00Z" }, {}, {}] });
	expect(await runsOf("runs")).toEqual([]);
});
