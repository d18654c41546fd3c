import { daysFromCivil, daysInMonth } from "../core/calendar.ts";
import { HeadraceError } from "../core/errors.ts";
import { type IntervalLength, intervalLength, parseSchedule, type Schedule } from "./schedules.ts";
import { instantOf, isTimezone, wallOf } from "./zones.ts";

/** A part of time, start included, end excluded. */
export interface Interval {
	/** UTC, `2026-01-01T00:00:00Z`. */
	readonly start: string;
	readonly end: string;
	/** What `--interval` takes for it, in the pipeline's time zone: `2026-01-01` or `2026-01-01T05:00`. */
	readonly name: string;
}

const DAY_MS = 86_400_000;
const INTERVALS_MAX = 100_000;
const TIME_FORM = "a day such as 2026-01-01 or a time such as 2026-01-01T05:00";

interface Calendar {
	readonly length: IntervalLength;
	readonly timezone: string;
}

function calendarOf(schedule: Schedule | string | undefined, timezone: string): Calendar {
	if (!isTimezone(timezone))
		throw new HeadraceError("E_INVALID_VALUE", `${JSON.stringify(timezone.slice(0, 64))} is not a time zone`);
	return { length: intervalLength(typeof schedule === "string" ? parseSchedule(schedule) : schedule), timezone };
}

/**
 * The intervals of [start, end), oldest first: each begins at midnight (or the hour, week, month of the schedule) of
 * the time zone. Days on which the clock changes have 23 or 25 hours. Start and end are written in the time zone and
 * must be boundaries.
 * @throws E_INVALID_VALUE
 */
export function intervalsBetween(
	start: string,
	end: string,
	schedule: Schedule | string | undefined,
	timezone: string,
): Interval[] {
	const calendar = calendarOf(schedule, timezone);
	const from = boundaryAt(calendar, start, "start");
	const to = boundaryAt(calendar, end, "end");
	if (from >= to) throw new HeadraceError("E_INVALID_VALUE", `the start ${start} is not before the end ${end}`);
	return collect(calendar, from, to);
}

/**
 * The intervals from `start` on that are over at `nowMs`: what catch-up has to run. `start` need not be a boundary:
 * the first interval is the one that it lies in.
 * @throws E_INVALID_VALUE
 */
export function intervalsSince(
	start: string,
	nowMs: number,
	schedule: Schedule | string | undefined,
	timezone: string,
): Interval[] {
	const calendar = calendarOf(schedule, timezone);
	const from = floorOf(calendar, parseTime(start, timezone).instantMs);
	const to = floorOf(calendar, nowMs);
	return from < to ? collect(calendar, from, to) : [];
}

/** The last interval that is over at `nowMs`: what a run without `--interval` takes. */
export function lastInterval(nowMs: number, schedule: Schedule | string | undefined, timezone: string): Interval {
	const calendar = calendarOf(schedule, timezone);
	const end = floorOf(calendar, nowMs);
	return intervalOf(calendar, floorOf(calendar, end - 1), end);
}

/**
 * The interval that `--interval` names: a day gives that whole day (or the week, month or year that begins on it), a
 * time gives the hour or minutes of the schedule that begin then.
 * @throws E_INVALID_VALUE
 */
export function parseInterval(text: string, schedule: Schedule | string | undefined, timezone: string): Interval {
	const calendar = calendarOf(schedule, timezone);
	const time = parseTime(text, timezone);
	const unit = calendar.length.unit;
	const days: Calendar = time.dayOnly && unit === "minute" ? { length: { unit: "day" }, timezone } : calendar;
	const start = boundaryAt(days, text, "interval");
	return intervalOf(days, start, nextOf(days, start));
}

/**
 * Where intervals of a schedule begin; null for a schedule that has no single interval length.
 * @throws E_INVALID_VALUE for a time zone that is not known
 */
export function intervalBoundaries(
	schedule: Schedule | undefined,
	timezone: string,
): { readonly floor: (atMs: number) => number; readonly next: (boundaryMs: number) => number } | null {
	let calendar: Calendar;
	try {
		calendar = calendarOf(schedule, timezone);
	} catch (error) {
		if (isTimezone(timezone)) return null;
		throw error;
	}
	return { floor: (atMs) => floorOf(calendar, atMs), next: (boundaryMs) => nextOf(calendar, boundaryMs) };
}

function collect(calendar: Calendar, from: number, to: number): Interval[] {
	const intervals: Interval[] = [];
	for (let at = from; at < to; ) {
		const next = nextOf(calendar, at);
		intervals.push(intervalOf(calendar, at, next));
		if (intervals.length > INTERVALS_MAX)
			throw new HeadraceError("E_INVALID_VALUE", `more than ${INTERVALS_MAX.toLocaleString("en")} intervals`, {
				hint: "Take a shorter range, or a schedule with longer intervals.",
			});
		at = next;
	}
	return intervals;
}

function intervalOf(calendar: Calendar, startMs: number, endMs: number): Interval {
	return { start: utcText(startMs), end: utcText(endMs), name: nameOf(calendar, startMs) };
}

function utcText(instantMs: number): string {
	return `${new Date(instantMs).toISOString().slice(0, 19)}Z`;
}

function nameOf({ length, timezone }: Calendar, startMs: number): string {
	const wall = wallOf(timezone, startMs);
	const text = new Date(wall).toISOString();
	if (length.unit !== "minute") return text.slice(0, 10);
	const name = text.slice(0, 16);
	return instantOf(timezone, wall) === startMs ? name : `${name}${offsetText(wall - startMs)}`;
}

function offsetText(offsetMs: number): string {
	const minutes = Math.round(Math.abs(offsetMs) / 60_000);
	const two = (value: number) => String(value).padStart(2, "0");
	return `${offsetMs < 0 ? "-" : "+"}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}

interface WrittenTime {
	readonly instantMs: number;
	readonly dayOnly: boolean;
}

/**
 * A day or time in a zone; with `Z` or an offset at its end, in that.
 * @throws E_INVALID_VALUE
 */
export function parseTime(text: string, timezone: string): WrittenTime {
	const match = /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.0+)?)?(Z|[+-]\d{2}:?\d{2})?)?$/.exec(
		text.trim(),
	);
	const [year, month, day, hour, minute, second] = (match?.slice(1, 7) ?? []).map((part) => Number(part ?? 0));
	if (
		!match ||
		year! < 1 ||
		day! < 1 ||
		day! > daysInMonth(year!, month!) ||
		hour! > 23 ||
		minute! > 59 ||
		second! > 59
	)
		throw new HeadraceError("E_INVALID_VALUE", `${JSON.stringify(text.slice(0, 60))} is not ${TIME_FORM}`);
	const wall = daysFromCivil(year!, month!, day!) * DAY_MS + ((hour! * 60 + minute!) * 60 + second!) * 1000;
	const zone = match[7];
	if (zone === undefined) return { instantMs: instantOf(timezone, wall), dayOnly: match[4] === undefined };
	const digits = zone.replace(":", "");
	const offset = zone === "Z" ? 0 : Number(digits.slice(1, 3)) * 60 + Number(digits.slice(3));
	return { instantMs: wall - (digits.startsWith("-") ? -offset : offset) * 60_000, dayOnly: false };
}

function boundaryAt(calendar: Calendar, text: string, what: string): number {
	const { instantMs } = parseTime(text, calendar.timezone);
	const floor = floorOf(calendar, instantMs);
	if (floor === instantMs) return floor;
	const near = [floor, nextOf(calendar, floor)].map((at) => nameOf(calendar, at));
	throw new HeadraceError(
		"E_INVALID_VALUE",
		`the ${what} ${text} is inside an interval; intervals begin at ${near.join(" and ")}`,
	);
}

/** The latest boundary at or before an instant. */
function floorOf({ length, timezone }: Calendar, instantMs: number): number {
	const wall = wallOf(timezone, instantMs);
	const day = Math.floor(wall / DAY_MS);
	if (length.unit === "minute") {
		const stepMs = length.count * 60_000;
		const midnight = instantOf(timezone, day * DAY_MS);
		return stepMs <= 3_600_000
			? midnight + Math.floor((instantMs - midnight) / stepMs) * stepMs
			: instantOf(timezone, day * DAY_MS + Math.floor((wall - day * DAY_MS) / stepMs) * stepMs);
	}
	return instantOf(timezone, startDay(length, day) * DAY_MS);
}

/** The first boundary after a boundary. */
function nextOf({ length, timezone }: Calendar, boundaryMs: number): number {
	const wall = wallOf(timezone, boundaryMs);
	const day = Math.floor(wall / DAY_MS);
	if (length.unit === "minute") {
		const stepMs = length.count * 60_000;
		const midnight = instantOf(timezone, (day + 1) * DAY_MS);
		if (stepMs <= 3_600_000) return Math.min(boundaryMs + stepMs, midnight);
		const passed = Math.floor((wall - day * DAY_MS) / stepMs) * stepMs;
		return passed + stepMs >= DAY_MS ? midnight : instantOf(timezone, day * DAY_MS + passed + stepMs);
	}
	// A day past the longest interval lies in the next one, whatever the month's length or the clock.
	const skip = { day: 1, week: 7, month: 31, year: 366 }[length.unit];
	return instantOf(timezone, startDay(length, startDay(length, day) + skip) * DAY_MS);
}

function startDay(length: Exclude<IntervalLength, { unit: "minute" }>, day: number): number {
	if (length.unit === "day") return day;
	// Day 0, 1970-01-01, was a Thursday.
	if (length.unit === "week") return day - ((((day + 4 - length.startsOn) % 7) + 7) % 7);
	const date = new Date(day * DAY_MS);
	const [year, month] = [date.getUTCFullYear(), date.getUTCMonth() + 1];
	if (length.unit === "year") return daysFromCivil(year, 1, 1);
	if (date.getUTCDate() >= length.startsOn) return daysFromCivil(year, month, length.startsOn);
	return month === 1 ? daysFromCivil(year - 1, 12, length.startsOn) : daysFromCivil(year, month - 1, length.startsOn);
}
