import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { RunReceipt, TableReceipt } from "../../src/core/state-store.ts";
import { openStateStore } from "../../src/state/index.ts";
import { envelopeOf, headrace } from "./cli.ts";

let directory: string;

const table: TableReceipt = {
	table: "shop.orders",
	into: "raw.orders",
	mode: "incremental",
	write: "merge",
	state: "succeeded",
	rows_read: 1540,
	rows_staged: 1540,
	rows_loaded: 1540,
	rows_rejected: 0,
	rows_inserted: 1200,
	rows_updated: 340,
	rows_deleted: 0,
	bytes: 104_720,
	seconds: 0.04,
	attempts: 1,
	position: "2026-11-20 10:00:00",
	values_changed: {},
	error: null,
};
const error = { code: "E_VALUE", message: "column rate does not fit", hint: "map the column to text" };

const runs: readonly RunReceipt[] = [
	{
		run_id: "20261120T100000-aaaaaa",
		pipeline: "shop",
		interval: null,
		state: "succeeded",
		started_at: "2026-11-20T10:00:00.000Z",
		finished_at: "2026-11-20T10:00:02.500Z",
		tables: [table],
	},
	{
		run_id: "20261121T100000-bbbbbb",
		pipeline: "shop",
		interval: { start: "2026-11-20T00:00:00Z", end: "2026-11-21T00:00:00Z" },
		state: "failed",
		started_at: "2026-11-21T10:00:00.000Z",
		finished_at: "2026-11-21T10:01:00.000Z",
		tables: [table, { ...table, table: "shop.ledger", state: "failed", rows_loaded: 0, position: null, error }],
	},
	{
		run_id: "20261122T100000-cccccc",
		pipeline: "other",
		interval: null,
		state: "succeeded",
		started_at: "2026-11-22T10:00:00.000Z",
		finished_at: "2026-11-22T10:00:01.000Z",
		tables: [],
	},
];

beforeAll(async () => {
	directory = mkdtempSync(join(tmpdir(), "headrace-cli-"));
	await using store = await openStateStore(join(directory, ".headrace", "state.db"));
	for (const run of runs) await store.saveRun(run);
	const at = "2026-11-21T10:00:00.123Z";
	await store.appendLog("20261121T100000-bbbbbb", [
		{ at, level: "info", task: null, message: "run of shop started" },
		{ at, level: "error", task: "shop.ledger", message: "failed with E_VALUE: column rate does not fit" },
	]);
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

test.each<[string, number, string]>([
	[
		"runs",
		0,
		`run                     pipeline  interval    state      started                        took   rows  tables
20261122T100000-cccccc  other                 succeeded  2026-11-22 10:00:00 UTC      1.00 s      0       0
20261121T100000-bbbbbb  shop      2026-11-20  failed     2026-11-21 10:00:00 UTC  1 min 00 s  1,540  1 of 2
20261120T100000-aaaaaa  shop                  succeeded  2026-11-20 10:00:00 UTC      2.50 s  1,540       1
`,
	],
	["runs nothing", 0, ""],
	[
		"runs show 20261121",
		0,
		`shop  2026-11-20  run 20261121T100000-bbbbbb
   failed · started 2026-11-21 10:00:00 UTC · took 1 min 00 s
   shop.orders  1,540 rows  104.7 kB  0.04 s  ✓  1,200 new · 340 updated
   shop.ledger  1,540 rows  104.7 kB  0.04 s  ✗
   receipt: read 1,540 = loaded 1,540 · rejected 0 · 1 of 2 tables failed
   ✗ shop.ledger  E_VALUE  column rate does not fit
     cure: map the column to text
   shop.orders  position 2026-11-20 10:00:00
`,
	],
	["runs show 2026112", 2, ""],
	[
		"logs 20261121",
		0,
		`2026-11-21T10:00:00.123Z  info   run of shop started
2026-11-21T10:00:00.123Z  error  shop.ledger  failed with E_VALUE: column rate does not fit
`,
	],
	[
		"logs 20261121 shop.ledger",
		0,
		"2026-11-21T10:00:00.123Z  error  shop.ledger  failed with E_VALUE: column rate does not fit\n",
	],
	["logs 20261121 shop.nothing", 2, ""],
])("headrace %s", async (run, exit, stdout) => {
	const result = await headrace(["-C", directory, ...run.split(" ")]);
	expect(result.code, result.stderr).toBe(exit);
	expect(result.stdout).toBe(stdout);
});

test("the same as JSON", async () => {
	const json = async (...args: string[]): Promise<unknown> =>
		envelopeOf(await headrace(["-C", directory, ...args, "--json"])).data;
	expect(await json("runs", "shop")).toEqual({ runs: [runs[1], runs[0]] });
	expect(await json("runs", "--limit", "1")).toEqual({ runs: [runs[2]] });
	expect(await json("runs", "show", "20261120")).toEqual({ runs: [runs[0]], alerts_waiting: [] });
	expect(await json("logs", "20261121")).toMatchObject({
		run_id: runs[1]!.run_id,
		lines: [{ task: null }, { task: "shop.ledger" }],
	});
});
