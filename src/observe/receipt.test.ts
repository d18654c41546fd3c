import { describe, expect, test } from "vitest";
import type { RunReceipt, TableReceipt } from "../core/state-store.ts";
import { bytesText, clockText, countText, intervalText, rowsText, secondsText, timeText } from "./format.ts";
import { receiptLines } from "./receipt.ts";
import { cut, displayWidth, painter, printable } from "./terminal.ts";
import { textTable } from "./text-table.ts";

const plain = (_style: unknown, text: string): string => text;

function table(name: string, rows: number, more: Partial<TableReceipt> = {}): TableReceipt {
	return {
		table: name,
		into: name,
		mode: "full",
		write: "replace",
		state: "succeeded",
		rows_read: rows,
		rows_staged: rows,
		rows_loaded: rows,
		rows_rejected: 0,
		rows_inserted: 0,
		rows_updated: 0,
		rows_deleted: 0,
		bytes: rows * 68,
		seconds: rows / 666_667,
		attempts: 1,
		position: null,
		values_changed: {},
		error: null,
		...more,
	};
}

function run(tables: TableReceipt[], state: RunReceipt["state"] = "succeeded"): RunReceipt {
	return { run_id: "r", pipeline: "shop", interval: null, state, started_at: "", finished_at: "", tables };
}

describe("receipt", () => {
	test("of a full copy", () => {
		const tables = [table("shop.customers", 5000), table("shop.orders", 60_000), table("shop.order_lines", 180_000)];
		expect(receiptLines(run(tables), { paint: plain })).toEqual([
			"   shop.customers      5,000 rows  340.0 kB  0.01 s  ✓",
			"   shop.orders        60,000 rows    4.1 MB  0.09 s  ✓",
			"   shop.order_lines  180,000 rows   12.2 MB  0.27 s  ✓",
			"   receipt: read 245,000 = loaded 245,000 · rejected 0",
		]);
	});

	test("of a merge with altered values says what came new and what was altered", () => {
		const merged = table("o", 1540, {
			write: "merge",
			rows_inserted: 1200,
			rows_updated: 340,
			rows_deleted: 2,
			attempts: 2,
			values_changed: { born: 3, died: 0, rate: 1000 },
		});
		expect(receiptLines(run([merged]), { paint: plain })).toEqual([
			"   o  1,540 rows  104.7 kB  0.00 s  ✓  1,200 new · 340 updated · 2 deleted · attempt 2",
			"   receipt: read 1,540 = loaded 1,540 · rejected 0",
			"   ! o  values changed by the stated policy: born 3, rate 1,000",
		]);
	});

	test("of a failed run counts only what succeeded, and says what failed and the cure", () => {
		const error = { code: "E_VALUE", message: "column rate does not fit", hint: "map it to text" };
		const tables = [
			table("a", 10),
			table("b", 7, { state: "failed", rows_loaded: 0, error }),
			table("c", 0, { state: "pending" }),
		];
		expect(receiptLines(run(tables, "failed"), { paint: plain, indent: 0 })).toEqual([
			"a  10 rows  680 B  0.00 s  ✓",
			"b   7 rows  476 B  0.00 s  ✗",
			"c                          · not begun",
			"receipt: read 10 = loaded 10 · rejected 0 · 1 of 3 tables failed · 1 of 3 tables not begun",
			"✗ b  E_VALUE  column rate does not fit",
			"  cure: map it to text",
		]);
	});

	test("of a run that was stopped says why once", () => {
		const error = { code: "E_STOPPED", message: "stopped by SIGINT", hint: "Run again." };
		const stopped = { state: "stopped", rows_read: 0, rows_loaded: 0, error } as const;
		const tables = [table("a", 10), table("b", 0, stopped), table("c", 0, stopped)];
		expect(receiptLines(run(tables, "stopped"), { paint: plain, indent: 0 }).slice(3)).toEqual([
			"receipt: read 10 = loaded 10 · rejected 0 · 2 of 3 tables stopped",
			"stopped by SIGINT. Run again.",
		]);
	});

	test("that does not balance shows it", () => {
		expect(receiptLines(run([table("a", 10, { rows_loaded: 9 })]), { paint: plain }).at(-1)).toContain(
			"read 10 ≠ loaded 9 · rejected 0",
		);
		expect(
			receiptLines(run([table("a", 10, { rows_loaded: 9, rows_rejected: 1 })]), { paint: plain }).at(-1),
		).toContain("read 10 = loaded 9 · rejected 1");
	});

	test("tables whose differences cancel out do not balance", () => {
		const tables = [table("a", 10, { rows_loaded: 9 }), table("b", 9, { rows_loaded: 10 })];
		expect(receiptLines(run(tables), { paint: plain }).at(-1)).toContain("read 19 ≠ loaded 19");
	});

	test("of an extract balances against what was staged", () => {
		const lines = receiptLines(run([table("a", 10, { rows_loaded: 0 })]), { paint: plain, stage: "extract" });
		expect(lines.at(-1)).toBe("   receipt: read 10 = staged 10");
	});

	test("names that steer the terminal are made harmless", () => {
		expect(receiptLines(run([table("a\u001b[2J\nb", 1)]), { paint: plain })[0]).toContain("a\\x1b[2J\\x0ab");
	});
});

test.each<[string, string]>([
	[countText(1234567), "1,234,567"],
	[rowsText(1), "1 row"],
	[bytesText(0), "0 B"],
	[bytesText(999), "999 B"],
	[bytesText(999_960), "1.0 MB"],
	[bytesText(4_123_456), "4.1 MB"],
	[bytesText(1_250_000_000), "1.25 GB"],
	[secondsText(0.094), "0.09 s"],
	[secondsText(9.996), "10.0 s"],
	[secondsText(59.96), "1 min 00 s"],
	[secondsText(185), "3 min 05 s"],
	[secondsText(7800), "2 h 10 min"],
	[clockText(7), "0:07"],
	[clockText(3729), "1:02:09"],
	[timeText("2026-11-20T10:00:00.123Z"), "2026-11-20 10:00:00 UTC"],
	[intervalText({ start: "2026-11-20T00:00:00Z", end: "2026-11-21T00:00:00.000Z" }), "2026-11-20"],
	[intervalText({ start: "2026-11-20T00:00:00Z", end: "2026-11-22T00:00:00Z" }), "2026-11-20 to 2026-11-22"],
	[
		intervalText({ start: "2026-11-20T01:00:00Z", end: "2026-11-20T02:00:00Z" }),
		"2026-11-20T01:00:00Z to 2026-11-20T02:00:00Z",
	],
	[cut("añ漢字xyz", 6), "añ漢…"],
	[printable("a\tb\u202ec\u009b"), "a\\x09b\\u202ec\\x9b"],
])("%s", (actual, expected) => {
	expect(actual).toBe(expected);
});

test("a table's columns line up by what the terminal shows, not by length", () => {
	const paint = painter({ write: () => {} }, { FORCE_COLOR: "1" });
	const lines = textTable(
		[{ title: "A" }, { title: "B", align: "right" }, { title: "" }],
		[
			["漢字", "1", ""],
			[paint("red", "x"), "10,000", ""],
		],
	);
	expect(lines.map(displayWidth)).toEqual([12, 12, 12]);
	expect(lines[2]).toContain("\u001b[31mx\u001b[39m");
});

test.each<[NodeJS.ProcessEnv, boolean, boolean]>([
	[{}, true, true],
	[{}, false, false],
	[{ NO_COLOR: "1" }, true, false],
	[{ NO_COLOR: "" }, true, true],
	[{ NO_COLOR: "1", FORCE_COLOR: "1" }, true, false],
	[{ FORCE_COLOR: "1" }, false, true],
	[{ FORCE_COLOR: "0" }, true, false],
	[{ TERM: "dumb" }, true, false],
])("with %o on a terminal (%s) colour is %s", (env, isTTY, coloured) => {
	expect(painter({ write: () => {}, isTTY }, env)("red", "x") !== "x").toBe(coloured);
});
