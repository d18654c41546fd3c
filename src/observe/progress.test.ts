import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { RunEvent } from "../core/events.ts";
import type { LogLine, RunReceipt, TableReceipt } from "../core/state-store.ts";
import { eventLine, RunLog } from "./log.ts";
import { createProgress } from "./progress.ts";
import { displayWidth } from "./terminal.ts";

const paint = (_style: unknown, text: string): string => text;
const redact = (text: string): string => text.replaceAll("s3cret", "***");

beforeEach(() => {
	vi.useFakeTimers({ now: new Date("2026-11-20T10:00:00Z") });
});
afterEach(() => {
	vi.useRealTimers();
});

function receipt(table: string, more: Partial<TableReceipt> = {}): TableReceipt {
	const rows = {
		rows_read: 10,
		rows_staged: 10,
		rows_loaded: 10,
		rows_rejected: 0,
		rows_inserted: 0,
		rows_updated: 0,
		rows_deleted: 0,
	};
	return {
		table,
		into: `raw.${table}`,
		mode: "full",
		write: "replace",
		state: "succeeded",
		...rows,
		bytes: 100,
		seconds: 0.5,
		attempts: 1,
		position: null,
		values_changed: {},
		error: null,
		...more,
	};
}

function run(tables: TableReceipt[], more: Partial<RunReceipt> = {}): RunReceipt {
	return {
		run_id: "r1",
		pipeline: "shop",
		interval: null,
		state: "running",
		started_at: "",
		finished_at: null,
		tables,
		...more,
	};
}

function events(): RunEvent[] {
	const error = { code: "E_CONNECTION_LOST", message: "lost with s3cret" };
	return [
		{ type: "run-started", run: run([receipt("orders", { state: "pending" })]) },
		{ type: "table-started", runId: "r1", table: "orders", into: "raw.orders", estimatedRows: 1000 },
		{ type: "progress", runId: "r1", table: "orders", phase: "extract", rows: 100, bytes: 1_000_000 },
		{ type: "progress", runId: "r1", table: "orders", phase: "extract", rows: 600, bytes: 6_000_000 },
		{ type: "retry", runId: "r1", table: "orders", attempt: 1, delayMs: 180_000, error },
		{ type: "notice", runId: "r1", level: "warn", table: "orders", message: "engine MyISAM" },
		{ type: "table-finished", runId: "r1", receipt: receipt("orders") },
		{ type: "run-finished", run: run([receipt("orders")], { state: "succeeded" }) },
	];
}

const ESCAPE = String.fromCharCode(27);

/** Draws what a terminal would show: only the sequences that progress uses. */
class Screen {
	lines: string[] = [""];
	written = "";
	readonly isTTY: boolean;
	columns = 100;
	rows = 10;
	constructor(isTTY = true) {
		this.isTTY = isTTY;
	}
	write(text: string): void {
		this.written += text;
		for (const part of text.split(new RegExp(`(${ESCAPE}\\[\\d*[AJ]|\\n|\\r)`))) {
			const code = new RegExp(`^${ESCAPE}\\[(\\d*)([AJ])$`).exec(part);
			if (code?.[2] === "A") this.lines = this.lines.slice(0, Math.max(1, this.lines.length - Number(code[1])));
			else if (code?.[2] === "J" || part === "\r") this.lines[this.lines.length - 1] = "";
			else if (part === "\n") this.lines.push("");
			else this.lines[this.lines.length - 1] += part;
		}
	}
}

describe("on a terminal", () => {
	test("a line a table is redrawn in place with rates, share and time left, and nothing is left at the end", () => {
		const screen = new Screen();
		let now = 0;
		const progress = createProgress({ terminal: screen, paint, redact, now: () => now }, {});
		const [started, table, first, second, retry, notice, finished] = events();
		for (const event of [started!, table!, first!]) progress.onEvent(event);
		now = 1000;
		progress.onEvent(second!);
		vi.advanceTimersByTime(100);
		expect(screen.lines).toEqual([
			"   orders               600 rows     6.0 MB      500 rows/s   5.0 MB/s  ~60 %  ETA ~0:01",
			"",
		]);
		progress.onEvent(retry!);
		progress.onEvent(notice!);
		vi.advanceTimersByTime(100);
		expect(screen.lines).toEqual([
			"! orders  engine MyISAM",
			"   orders        E_CONNECTION_LOST  lost with ***; attempt 2 in 3 min 00 s",
			"",
		]);
		progress.onEvent(finished!);
		vi.advanceTimersByTime(100);
		expect(screen.lines[1]).toBe("   orders                10 rows      100 B        0.50 s   ✓");
		progress[Symbol.dispose]();
		expect(screen.lines).toEqual(["! orders  engine MyISAM", ""]);
	});

	test("more tables than lines, and lines longer than the terminal is wide, still fit", () => {
		const screen = new Screen();
		screen.columns = 40;
		const progress = createProgress({ terminal: screen, paint, redact, now: () => 0 }, {});
		const tables = Array.from({ length: 50 }, (_, i) => `a_table_with_a_very_long_name_indeed_漢字_${i}`);
		progress.onEvent({ type: "run-started", run: run(tables.map((name) => receipt(name, { state: "pending" }))) });
		for (const name of tables.slice(0, 5))
			progress.onEvent({ type: "table-started", runId: "r1", table: name, into: name });
		for (const name of tables.slice(5, 30))
			progress.onEvent({ type: "table-finished", runId: "r1", receipt: receipt(name) });
		vi.advanceTimersByTime(100);
		expect(screen.lines.length).toBeLessThanOrEqual(screen.rows);
		for (const line of screen.lines) expect(displayWidth(line)).toBeLessThan(screen.columns);
		expect(screen.lines.at(-2)).toBe("   25 of 50 tables done");
		progress[Symbol.dispose]();
		expect(screen.lines).toEqual([""]);
	});

	test("nothing is written while nothing changes", () => {
		const screen = new Screen();
		const progress = createProgress({ terminal: screen, paint, redact, now: () => 0 }, {});
		for (const event of events().slice(0, 2)) progress.onEvent(event);
		vi.advanceTimersByTime(100);
		const before = screen.written;
		vi.advanceTimersByTime(5000);
		expect(screen.written).toBe(before);
		progress[Symbol.dispose]();
	});
});

describe.each<[string, boolean, NodeJS.ProcessEnv]>([
	["elsewhere", false, {}],
	["in CI", true, { CI: "true" }],
	["on a dumb terminal", true, { TERM: "dumb" }],
])("%s", (_name, isTTY, env) => {
	test("plain lines with the time: at the start, every 10 s, at the end", () => {
		const screen = new Screen(isTTY);
		let now = 0;
		const progress = createProgress({ terminal: screen, paint, redact, now: () => now }, env);
		const [started, table, first, second, ...rest] = events();
		for (const event of [started!, table!, first!]) progress.onEvent(event);
		now = 2000;
		progress.onEvent(second!);
		vi.advanceTimersByTime(9_999);
		expect(screen.lines).toHaveLength(3);
		vi.advanceTimersByTime(1);
		for (const event of rest) progress.onEvent(event);
		vi.advanceTimersByTime(60_000);
		progress[Symbol.dispose]();
		expect(screen.written).toBe(
			[
				"2026-11-20T10:00:00Z  run r1 of shop started",
				"2026-11-20T10:00:00Z  orders  started → raw.orders, ~1,000 rows",
				"2026-11-20T10:00:10Z  orders  extract  600 rows  6.0 MB  250 rows/s  2.5 MB/s  ~60 %  ETA ~0:02",
				"2026-11-20T10:00:10Z  orders  E_CONNECTION_LOST  lost with ***; attempt 2 in 3 min 00 s",
				"2026-11-20T10:00:10Z  ! orders  engine MyISAM",
				"2026-11-20T10:00:10Z  orders  succeeded  10 rows  100 B  0.50 s",
				"2026-11-20T10:00:10Z  run r1 of shop succeeded",
				"",
			].join("\n"),
		);
	});
});

test("plain lines of a table that rests come after 1, 2, 4, … times 10 s, at once when it moves", () => {
	const screen = new Screen(false);
	const progress = createProgress({ terminal: screen, paint, redact, now: () => 0 }, {});
	const told = () => screen.lines.filter((line) => line.includes("orders  load")).length;
	const [started, table] = events();
	const moved = (rows: number): RunEvent => ({
		type: "progress",
		runId: "r1",
		table: "orders",
		phase: "load",
		rows,
		bytes: 1,
	});
	for (const event of [started!, table!, moved(1)]) progress.onEvent(event);
	const counts = Array.from({ length: 8 }, () => {
		vi.advanceTimersByTime(10_000);
		return told();
	});
	expect(counts).toEqual([1, 2, 2, 3, 3, 3, 3, 4]);
	progress.onEvent(moved(2));
	vi.advanceTimersByTime(20_000);
	expect(told()).toBe(6);
	progress[Symbol.dispose]();
});

test("quietly only warnings are printed", () => {
	const screen = new Screen();
	const progress = createProgress({ terminal: screen, paint, redact, quiet: true }, {});
	for (const event of events()) progress.onEvent(event);
	vi.advanceTimersByTime(20_000);
	progress[Symbol.dispose]();
	expect(screen.written).toBe("! orders  engine MyISAM\n");
});

test("each event but progress is one line of the log, at its level", () => {
	const at = new Date("2026-11-20T10:00:00Z");
	const failure = { code: "E_VALUE", message: "does not fit", hint: "" };
	const interval = { start: "2026-11-01T00:00:00Z", end: "2026-11-02T00:00:00Z" };
	const all: RunEvent[] = [
		...events(),
		{ type: "run-started", run: run([], { interval }) },
		{ type: "table-finished", runId: "r1", receipt: receipt("orders", { state: "failed", error: failure }) },
		{ type: "run-finished", run: run([], { state: "failed" }) },
		{ type: "run-finished", run: run([], { state: "stopped" }) },
	];
	const lines = all.map((event) => eventLine(event, at)?.line).filter((line) => line !== undefined);
	expect(lines.map((line) => `${line.level} ${line.task ?? "-"} ${line.message}`)).toEqual([
		"info - run of shop started",
		"info orders started, into raw.orders, about 1,000 rows",
		"warn orders attempt 1 failed with E_CONNECTION_LOST: lost with s3cret; next in 3 min 00 s",
		"warn orders engine MyISAM",
		"info orders succeeded: read 10, staged 10, loaded 10, rejected 0; 100 B in 0.50 s",
		"info - run succeeded",
		"info - run of shop started, interval 2026-11-01T00:00:00Z to 2026-11-02T00:00:00Z",
		"error orders failed with E_VALUE: does not fit",
		"error - run failed",
		"warn - run stopped",
	]);
	expect(lines.every((line) => line.at === "2026-11-20T10:00:00.000Z")).toBe(true);
});

test("log lines are stored in their order, grouped by run, after a moment or at a flush", async () => {
	const stored: [string, string[]][] = [];
	const log = new RunLog(async (runId: string, lines: readonly LogLine[]) => {
		stored.push([runId, lines.map((line) => line.message)]);
	});
	const notice = (runId: string, message: string): RunEvent => ({ type: "notice", runId, level: "info", message });
	for (const event of [notice("a", "1"), notice("b", "2"), notice("a", "3")]) log.onEvent(event);
	expect(stored).toEqual([]);
	await vi.advanceTimersByTimeAsync(250);
	expect(stored).toEqual([
		["a", ["1", "3"]],
		["b", ["2"]],
	]);
	log.onEvent(notice("a", "4"));
	await log.flush();
	expect(stored.at(-1)).toEqual(["a", ["4"]]);
});

test("a log that can't be stored says so at the flush, once", async () => {
	const log = new RunLog(() => Promise.reject(new Error("disk full")));
	log.onEvent({ type: "notice", runId: "a", level: "info", message: "1" });
	await expect(log.flush()).rejects.toThrow("disk full");
	await log.flush();
});
