import { describe, expect, test } from "vitest";
import type { ColumnType, CursorPosition, SourceColumn } from "../core/index.ts";
import { compareCursor, cursorRefusal, intervalWindow, moveBack, nextCursor } from "./cursor.ts";
import type { TableTask } from "./task.ts";

function column(type: ColumnType, name = "modified"): SourceColumn {
	return { name, type, nullable: true, nativeType: type.kind, fidelity: "exact" };
}

const timestamp = column({ kind: "timestamp" });
const id = column({ kind: "int64" }, "id");
const task = (options: Partial<TableTask> = {}) => ({ timezone: "UTC", ...options }) as TableTask;
const clock = "2026-11-20 10:00:00";
const at = (value: string | null, rest: Partial<CursorPosition> = {}): CursorPosition => ({
	kind: "cursor",
	column: "modified",
	value,
	max: value,
	...rest,
});

describe("compareCursor", () => {
	test.each<[string, ColumnType, string, string, number]>([
		["numbers by value", { kind: "int64" }, "9", "10", -1],
		["numbers beyond 2^53", { kind: "int64" }, "9007199254740993", "9007199254740992", 1],
		["negative numbers", { kind: "int32" }, "-10", "-9", -1],
		["decimals of unlike scale", { kind: "decimal", precision: 10, scale: 2 }, "1.5", "1.50", 0],
		["times with and without a fraction", { kind: "timestamp" }, "2026-01-01 00:00:00", "2026-01-01 00:00:00.5", -1],
		["equal dates", { kind: "date" }, "2026-01-01", "2026-01-01", 0],
	])("%s", (_, type, a, b, expected) => {
		expect(Math.sign(compareCursor(a, b, column(type)))).toBe(expected);
		expect(Math.sign(compareCursor(b, a, column(type)))).toBe(expected === 0 ? 0 : -expected);
	});
});

test.each<[ColumnType["kind"] & string, boolean]>([
	["int64", true],
	["date", true],
	["timestamptz", true],
	["text", false],
	["float64", false],
	["boolean", false],
])("a %s column may be a cursor: %s", (kind, allowed) => {
	expect(cursorRefusal(column({ kind } as ColumnType)) === null).toBe(allowed);
});

describe("nextCursor", () => {
	test("the first read has no window and ends at the highest value", () => {
		const next = nextCursor(task(), timestamp, null, { clock }, "2026-11-20 09:00:00");
		expect(next.window).toBeUndefined();
		expect(next.position.value).toBe("2026-11-20 09:00:00");
	});

	test("a later read begins at the position, included", () => {
		const next = nextCursor(task(), timestamp, at("2026-11-20 08:00:00"), { clock }, "2026-11-20 09:00:00");
		expect(next.window).toEqual({ column: "modified", from: "2026-11-20 08:00:00" });
	});

	test("the position never passes the clock less `late`", () => {
		const next = nextCursor(task({ lateMs: 600_000 }), timestamp, null, { clock }, "2026-11-20 09:59:59");
		expect(next.position.value).toBe("2026-11-20 09:50:00");
	});

	test("`late` counts on the wall clock of the zone for columns without one", () => {
		const berlin = task({ lateMs: 600_000, timezone: "Europe/Berlin" });
		expect(nextCursor(berlin, timestamp, null, { clock }, "2026-11-20 10:59:59").position.value).toBe(
			"2026-11-20 10:50:00",
		);
		const zoned = column({ kind: "timestamptz" });
		expect(nextCursor(berlin, zoned, null, { clock }, "2026-11-20 09:59:59").position.value).toBe(
			"2026-11-20 09:50:00",
		);
	});

	test("`overlap` moves the read back, not the position", () => {
		const next = nextCursor(
			task({ overlapMs: 60_000 }),
			timestamp,
			at("2026-11-20 08:00:00"),
			{ clock },
			"2026-11-20 09:00:00",
		);
		expect(next.window?.from).toBe("2026-11-20 07:59:00");
		expect(next.position.value).toBe("2026-11-20 09:00:00");
	});

	test("an open transaction that may be older than the last cut holds the position", () => {
		const transactions = { kind: "xid", now: 20n, oldestOpen: 12n } as const;
		const previous = at("5", { column: "id", max: "9", mark: "xid:15" });
		const next = nextCursor(task(), id, previous, { clock, transactions }, "30");
		expect(next.position).toMatchObject({ value: "5", max: "30", mark: "xid:20" });
	});

	test("open transactions that all began after the last cut let the position go to that cut's highest value", () => {
		const transactions = { kind: "xid", now: 20n, oldestOpen: 15n } as const;
		const previous = at("5", { column: "id", max: "9", mark: "xid:15" });
		expect(nextCursor(task(), id, previous, { clock, transactions }, "30").position.value).toBe("9");
	});

	test("marks of another kind prove nothing", () => {
		const transactions = { kind: "clock", now: 20n, oldestOpen: 19n } as const;
		const previous = at("5", { column: "id", max: "9", mark: "xid:15" });
		expect(nextCursor(task(), id, previous, { clock, transactions }, "30").position.value).toBe("5");
	});

	test("with no open transaction the highest value is safe", () => {
		const transactions = { kind: "xid", now: 20n, oldestOpen: 20n } as const;
		expect(nextCursor(task(), id, at("5", { column: "id" }), { clock, transactions }, "30").position.value).toBe("30");
	});

	test("on a first run with open transactions nothing below them is taken as read", () => {
		const transactions = { kind: "xid", now: 20n, oldestOpen: 3n } as const;
		expect(nextCursor(task(), id, null, { clock, transactions }, "30").position.value).toBeNull();
	});

	test("the start of the oldest open transaction bounds a time cursor, by the server's clock", () => {
		const transactions = { kind: "clock", now: 1_763_632_800_000_000n, oldestOpen: 1_763_632_500_500_000n } as const;
		const next = nextCursor(task(), timestamp, null, { clock, transactions }, "2025-11-20 09:59:59");
		expect(next.position.value).toBe("2025-11-20 09:55:00");
		const early = nextCursor(task(), timestamp, null, { clock, transactions }, "2025-11-20 09:00:00");
		expect(early.position.value).toBe("2025-11-20 09:00:00");
	});

	test("the position never goes back, and a lower highest value is told", () => {
		const next = nextCursor(task(), id, at("50", { column: "id" }), { clock }, "30");
		expect(next.position.value).toBe("50");
		expect(next.wentBack).toBe(true);
	});

	test("another cursor column begins anew", () => {
		expect(nextCursor(task(), id, at("2026-01-01 00:00:00"), { clock }, "30").window).toBeUndefined();
	});

	test("an empty table keeps the position", () => {
		expect(nextCursor(task(), id, at("50", { column: "id" }), { clock }, null).position.value).toBe("50");
		expect(nextCursor(task(), id, null, { clock }, null).position.value).toBeNull();
	});
});

test("a number can't be moved back by a duration", () => {
	expect(() => moveBack("5", 1000, id)).toThrow(/late and overlap are durations/);
	expect(moveBack("5", 0, id)).toBe("5");
	expect(moveBack("2026-03-01", 1000, column({ kind: "date" }))).toBe("2026-02-28");
});

test.each<[string, ColumnType, string, string]>([
	["a zoned column in UTC", { kind: "timestamptz" }, "2026-06-30 22:00:00", "2026-07-01 22:00:00"],
	["a column without a zone by the wall clock", { kind: "timestamp" }, "2026-07-01 00:00:00", "2026-07-02 00:00:00"],
	["a date by its day", { kind: "date" }, "2026-07-01", "2026-07-02"],
])("an interval of Berlin bounds %s", (_, type, from, to) => {
	const window = intervalWindow(column(type), "2026-06-30 22:00:00", "2026-07-01 22:00:00", "Europe/Berlin");
	expect(window).toEqual({ column: "modified", from, to });
});
