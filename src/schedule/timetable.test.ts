import { describe, expect, test } from "vitest";
import { intervalBoundaries, parseSchedule } from "../config/index.ts";
import { cronTimetable, everyTimetable, nextTimes, type Timetable } from "./timetable.ts";

const cron = (text: string, timezone = "UTC"): Promise<Timetable> => {
	const schedule = parseSchedule(text);
	if (schedule.kind !== "cron") throw new Error("not cron");
	return cronTimetable(schedule.fields, timezone);
};
const every = (text: string, timezone = "UTC"): Timetable => {
	const schedule = parseSchedule(text);
	if (schedule.kind !== "every") throw new Error("not every");
	return everyTimetable(schedule.everyMs, intervalBoundaries(schedule, timezone));
};
const times = (timetable: Timetable, after: string, count: number) =>
	nextTimes(timetable, Date.parse(after), count).map((at) => new Date(at).toISOString().slice(0, 16));

describe("the night the clocks change", () => {
	test.each([
		[
			"Berlin, forward: 02:30 is the moment of the jump",
			"30 2 * * *",
			"Europe/Berlin",
			"2026-03-28T12:00Z",
			["2026-03-29T01:00", "2026-03-30T00:30"],
		],
		[
			"Berlin, back: 02:30 comes once, the first time",
			"30 2 * * *",
			"Europe/Berlin",
			"2026-10-24T12:00Z",
			["2026-10-25T00:30", "2026-10-26T01:30"],
		],
		[
			"New York, forward",
			"30 2 * * *",
			"America/New_York",
			"2026-03-07T12:00Z",
			["2026-03-08T07:00", "2026-03-09T06:30"],
		],
		["New York, back", "30 1 * * *", "America/New_York", "2026-10-31T12:00Z", ["2026-11-01T05:30", "2026-11-02T06:30"]],
		[
			"every half hour goes on through the jump",
			"*/30 * * * *",
			"Europe/Berlin",
			"2026-03-29T00:10Z",
			["2026-03-29T00:30", "2026-03-29T01:00", "2026-03-29T01:30"],
		],
		[
			"every half hour goes on through the hour that comes twice",
			"*/30 * * * *",
			"Europe/Berlin",
			"2026-10-25T00:10Z",
			["2026-10-25T00:30", "2026-10-25T01:00", "2026-10-25T01:30", "2026-10-25T02:00"],
		],
	])("%s", async (_name, text, timezone, after, expected) => {
		expect(times(await cron(text, timezone), after, expected.length)).toEqual(expected);
	});

	test("`every 6h` keeps to the wall clock, `every 30m` to the minutes", () => {
		expect(times(every("every 6h", "Europe/Berlin"), "2026-03-28T22:30Z", 4)).toEqual([
			"2026-03-28T23:00",
			"2026-03-29T04:00",
			"2026-03-29T10:00",
			"2026-03-29T16:00",
		]);
		expect(times(every("every 30m", "America/New_York"), "2026-11-01T05:10Z", 3)).toEqual([
			"2026-11-01T05:30",
			"2026-11-01T06:00",
			"2026-11-01T06:30",
		]);
	});
});

test.each([
	["a leap day", "0 0 29 2 *", "2026-03-01T00:00Z", ["2028-02-29T00:00", "2032-02-29T00:00"]],
	["the 31st, in months that have one", "0 0 31 * *", "2026-01-31T00:00Z", ["2026-03-31T00:00", "2026-05-31T00:00"]],
	["a day of the month or of the week", "0 0 13 * 5", "2026-03-12T00:00Z", ["2026-03-13T00:00", "2026-03-20T00:00"]],
	["steps from a number on", "5/20 * * * *", "2026-03-12T00:00Z", ["2026-03-12T00:05", "2026-03-12T00:25"]],
	["names", "0 0 * jan sun", "2026-03-12T00:00Z", ["2027-01-03T00:00"]],
	["a word", "@weekly", "2026-03-12T00:00Z", ["2026-03-15T00:00"]],
])("cron: %s", async (_name, text, after, expected) => {
	expect(times(await cron(text), after, expected.length)).toEqual(expected);
});

test("a day that never comes has no times", async () => {
	const never = await cron("0 0 31 2 *");
	expect(never.next(Date.parse("2026-01-01"))).toBeNull();
	expect(never.last(Date.parse("2026-01-01"))).toBeNull();
});

test("the last time of the last time is itself, and the next comes after it: law of both kinds, over the changes of clocks", async () => {
	const tables = [
		await cron("30 2 * * *", "Europe/Berlin"),
		await cron("*/15 1-3 * * *", "America/New_York"),
		every("every 45m", "America/New_York"),
		every("every 7m"),
	];
	for (const timetable of tables)
		for (const day of ["2026-03-08", "2026-03-29", "2026-10-25", "2026-11-01"])
			for (let minute = 0; minute < 12 * 60; minute += 47) {
				const at = Date.parse(`${day}T00:00Z`) + minute * 60_000 + 123;
				const last = timetable.last(at)!;
				expect(last).toBeLessThanOrEqual(at);
				expect(timetable.last(last)).toBe(last);
				expect(timetable.next(last)!).toBeGreaterThan(at);
				expect(timetable.next(last)).toBe(timetable.next(at));
			}
});
