import type { CursorPosition, Snapshot, SourceColumn, TransactionMarks, Window } from "../core/index.ts";
import { HeadraceError, timestampText } from "../core/index.ts";
import type { TableTask } from "./task.ts";
import { microsOfText, wallClock } from "./wall-clock.ts";

const NUMERIC = new Set(["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "decimal"]);
const TIMES = new Set(["timestamp", "timestamptz", "date"]);

/** Why a column can't be a cursor; null when it can. */
export function cursorRefusal(column: SourceColumn): string | null {
	const { kind } = column.type;
	if (NUMERIC.has(kind) || TIMES.has(kind)) return null;
	return `${column.nativeType} has no order that a cursor can rely on; use a number, date or timestamp`;
}

/** Whether a duration can be taken off a cursor's values. */
export function isTimeCursor(column: SourceColumn): boolean {
	return TIMES.has(column.type.kind);
}

/** Orders two canonical cursor values of one type. */
export function compareCursor(a: string, b: string, column: SourceColumn): number {
	if (NUMERIC.has(column.type.kind)) return compareDecimal(a, b);
	if (a === b) return 0;
	return a < b ? -1 : 1;
}

function compareDecimal(a: string, b: string): number {
	const scale = Math.max(fractionDigits(a), fractionDigits(b));
	const difference = scaled(a, scale) - scaled(b, scale);
	return difference === 0n ? 0 : difference < 0n ? -1 : 1;
}

function fractionDigits(text: string): number {
	const point = text.indexOf(".");
	return point < 0 ? 0 : text.length - point - 1;
}

function scaled(text: string, scale: number): bigint {
	return BigInt(text.replace(".", "") + "0".repeat(scale - fractionDigits(text)));
}

/** A time cursor moved back by a duration; a date moves by whole days, rounded up. */
export function moveBack(value: string, durationMs: number, column: SourceColumn): string {
	if (durationMs === 0) return value;
	if (!isTimeCursor(column))
		throw new HeadraceError(
			"E_INVALID_VALUE",
			`late and overlap are durations, but the cursor ${column.name} is a number`,
			{
				hint: "Use a date or timestamp as cursor, or leave `late` and `overlap` out.",
			},
		);
	const moved = microsOfText(value) - BigInt(Math.ceil(durationMs)) * 1000n;
	if (column.type.kind !== "date") return timestampText(moved);
	return timestampText(moved).slice(0, 10);
}

function earlier(a: string, b: string, column: SourceColumn): string {
	return compareCursor(a, b, column) <= 0 ? a : b;
}

/**
 * What to read and which position it leads to.
 *
 * Everything visible from the last position on is read; the new position is held back where rows below it may still
 * appear: by transactions that were open at this cut, and by `late` for clocks that are not the database's.
 * A transaction that was open at this cut and began after an earlier cut K can only write cursor values from K's
 * highest on, so the position may go to the highest value of the newest cut that is older than all open ones.
 */
export function nextCursor(
	task: TableTask,
	column: SourceColumn,
	previous: CursorPosition | null,
	snapshot: Pick<Snapshot, "clock" | "transactions">,
	max: string | null,
): { readonly window: Window | undefined; readonly position: CursorPosition; readonly wentBack: boolean } {
	const known = previous !== null && previous.column === column.name ? previous : null;
	const { transactions } = snapshot;
	let safe = max;
	if (transactions !== undefined && transactions.oldestOpen !== transactions.now)
		safe = safeWhileOpen(task, column, known, transactions, max);
	if (safe !== null && task.lateMs !== undefined) {
		safe = earlier(safe, moveBack(boundIn(column, snapshot.clock, task.timezone), task.lateMs, column), column);
	}
	const last = known?.value ?? null;
	const wentBack = last !== null && max !== null && compareCursor(max, last, column) < 0;
	// The position never goes back: rows below it are loaded.
	const value = safe === null || (last !== null && compareCursor(safe, last, column) < 0) ? last : safe;
	const position: CursorPosition = {
		kind: "cursor",
		column: column.name,
		value,
		max,
		...(transactions === undefined ? {} : { mark: `${transactions.kind}:${transactions.now}` }),
	};
	const window = last === null ? undefined : { column: column.name, from: moveBack(last, task.overlapMs ?? 0, column) };
	return { window, position, wentBack };
}

/** The highest position below which no open transaction can still write; null when nothing is known. */
function safeWhileOpen(
	task: TableTask,
	column: SourceColumn,
	known: CursorPosition | null,
	transactions: TransactionMarks,
	max: string | null,
): string | null {
	const byCut = opensBeganAfter(known, transactions) ? (known?.max ?? null) : (known?.value ?? null);
	if (transactions.kind !== "clock" || max === null || !isTimeCursor(column)) return byCut;
	// A time cursor is filled at the earliest when its transaction starts.
	const byClock = earlier(max, boundIn(column, timestampText(transactions.oldestOpen), task.timezone), column);
	return byCut === null || compareCursor(byClock, byCut, column) > 0 ? byClock : byCut;
}

/** A time as a bound: whole seconds, since a column may keep no more (DATETIME of MySQL) and its values are cut to them. */
function boundIn(column: SourceColumn, utc: string, timezone: string): string {
	return timeIn(column, utc, timezone).replace(/\.\d+$/, "");
}

/** A UTC time as a column holds it: with a zone, as the wall clock of the pipeline's zone, or as its day. */
function timeIn(column: SourceColumn, utc: string, timezone: string): string {
	if (column.type.kind === "timestamptz") return utc;
	const local = wallClock(utc, timezone);
	return column.type.kind === "date" ? local.slice(0, 10) : local;
}

function opensBeganAfter(
	previous: CursorPosition | null,
	transactions: { readonly kind: string; readonly oldestOpen: bigint },
): boolean {
	const mark = /^(clock|xid):(\d+)$/.exec(previous?.mark ?? "");
	return mark !== null && mark[1] === transactions.kind && transactions.oldestOpen >= BigInt(mark[2] as string);
}

/** An interval as a window of a cursor column, in the form of the column's type. */
export function intervalWindow(column: SourceColumn, start: string, end: string, timezone: string): Window {
	const inColumn = (utc: string) => timeIn(column, utc, timezone);
	return { column: column.name, from: inColumn(start), to: inColumn(end) };
}
