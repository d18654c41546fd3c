import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { intervalsBetween, intervalsSince, lastInterval, parseInterval, parseTime } from "./intervals.ts";
import { instantOf, isTimezone, timezones, wallOf } from "./zones.ts";

const HOUR = 3_600_000;

describe("intervals", () => {
	test("a month of days, half-open", () => {
		const days = intervalsBetween("2018-07-01", "2018-08-01", undefined, "UTC");
		expect(days).toHaveLength(31);
		expect(days[0]).toEqual({ start: "2018-07-01T00:00:00Z", end: "2018-07-02T00:00:00Z", name: "2018-07-01" });
		expect(days.at(-1)!.end).toBe("2018-08-01T00:00:00Z");
	});

	test.each([
		["2024-02-28", "2024-03-01", "daily", "UTC", ["2024-02-28", "2024-02-29"]],
		["2023-11-01", "2024-03-01", "@monthly", "UTC", ["2023-11-01", "2023-12-01", "2024-01-01", "2024-02-01"]],
		["2023-12-15", "2024-03-15", "0 0 15 * *", "UTC", ["2023-12-15", "2024-01-15", "2024-02-15"]],
		["2026-01-04", "2026-01-18", "@weekly", "UTC", ["2026-01-04", "2026-01-11"]],
		["2026-01-05", "2026-01-19", "every 7d", "UTC", ["2026-01-05", "2026-01-12"]],
		["2024-01-01", "2026-01-01", "@yearly", "UTC", ["2024-01-01", "2025-01-01"]],
		["1969-12-31", "1970-01-02", "daily", "UTC", ["1969-12-31", "1970-01-01"]],
		["2026-01-01T22:00", "2026-01-02", "@hourly", "UTC", ["2026-01-01T22:00", "2026-01-01T23:00"]],
		["2026-01-01", "2026-01-01T00:30", "*/15 * * * *", "UTC", ["2026-01-01T00:00", "2026-01-01T00:15"]],
	])("%s to %s by %s", (start, end, schedule, zone, names) =>
		expect(intervalsBetween(start, end, schedule, zone).map((each) => each.name)).toEqual(names),
	);

	test("days of a zone begin at its midnight and have 23 or 25 hours when the clock changes", () => {
		const spring = intervalsBetween("2026-03-28", "2026-03-31", undefined, "Europe/Berlin");
		expect(spring.map((each) => each.start)).toEqual([
			"2026-03-27T23:00:00Z",
			"2026-03-28T23:00:00Z",
			"2026-03-29T22:00:00Z",
		]);
		const hours = (schedule: string, day: string, next: string, zone: string) =>
			intervalsBetween(day, next, schedule, zone);
		expect(hours("@hourly", "2026-03-29", "2026-03-30", "Europe/Berlin")).toHaveLength(23);
		const autumn = hours("@hourly", "2026-10-25", "2026-10-26", "Europe/Berlin");
		expect(autumn).toHaveLength(25);
		expect(autumn.slice(2, 4).map((each) => each.name)).toEqual(["2026-10-25T02:00", "2026-10-25T02:00+01:00"]);
		const west = hours("@hourly", "2026-11-01", "2026-11-02", "America/New_York");
		expect(west[2]!.name).toBe("2026-11-01T01:00-05:00");
		expect(hours("0 */6 * * *", "2026-10-25", "2026-10-26", "Europe/Berlin").map((each) => each.start)).toEqual([
			"2026-10-24T22:00:00Z",
			"2026-10-25T05:00:00Z",
			"2026-10-25T11:00:00Z",
			"2026-10-25T17:00:00Z",
		]);
	});

	test("a day without midnight begins at the jump", () => {
		// Beirut sets its clock from 00:00 to 01:00.
		const [day] = intervalsBetween("2026-03-29", "2026-03-30", undefined, "Asia/Beirut");
		expect(day).toMatchObject({ start: "2026-03-28T22:00:00Z", end: "2026-03-29T21:00:00Z", name: "2026-03-29" });
	});

	test.each([
		["2026-01-02", "2026-01-01", "daily", /is not before the end/],
		["2026-01-01", "2026-01-01", "daily", /is not before the end/],
		["2026-01-01T05:00", "2026-01-03", "daily", /begin at 2026-01-01 and 2026-01-02/],
		["2026-01-06", "2026-02-01", "@weekly", /the start 2026-01-06 is inside/],
		["2026-02-30", "2026-03-03", "daily", /is not a day such as/],
		["2026-1-1", "2026-03-03", "daily", /is not a day/],
		["2026-01-01T25:00", "2026-03-03", "daily", /is not a day/],
		["", "2026-03-03", "daily", /is not a day/],
		["0000-01-01", "2026-03-03", "daily", /is not a day/],
		["1000-01-01", "2026-01-01", "* * * * *", /more than 100,000 intervals/],
	])("%s to %s by %s is refused", (start, end, schedule, message) =>
		expect(() => intervalsBetween(start, end, schedule, "UTC")).toThrow(message),
	);

	test("an unknown zone is refused", () =>
		expect(() => intervalsBetween("2026-01-01", "2026-01-02", undefined, "Mars/Base")).toThrow(/not a time zone/));

	test.each([
		["2026-01-01", undefined, "UTC", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"],
		["2026-01-01T05:00", "@hourly", "UTC", "2026-01-01T05:00:00Z", "2026-01-01T06:00:00Z"],
		["2026-01-01 05:00:00", "@hourly", "UTC", "2026-01-01T05:00:00Z", "2026-01-01T06:00:00Z"],
		["2026-01-01", "@hourly", "Europe/Berlin", "2025-12-31T23:00:00Z", "2026-01-01T23:00:00Z"],
		["2026-01-01T00:00", "@daily", "Europe/Berlin", "2025-12-31T23:00:00Z", "2026-01-01T23:00:00Z"],
		["2026-10-25T02:00+01:00", "@hourly", "Europe/Berlin", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z"],
		["2026-01-01T05:00Z", "@hourly", "Europe/Berlin", "2026-01-01T05:00:00Z", "2026-01-01T06:00:00Z"],
		["2026-01-01T00:00-0500", "@hourly", "UTC", "2026-01-01T05:00:00Z", "2026-01-01T06:00:00Z"],
		["2026-02-01", "@monthly", "UTC", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"],
	])("--interval %s of %s in %s", (text, schedule, zone, start, end) =>
		expect(parseInterval(text, schedule, zone)).toMatchObject({ start, end }),
	);

	test("--interval that is no boundary names the ones near it", () =>
		expect(() => parseInterval("2026-01-02", "@monthly", "UTC")).toThrow(/begin at 2026-01-01 and 2026-02-01/));

	test("what is over: the last interval, and those since the start", () => {
		const now = Date.parse("2026-01-04T10:30:00Z");
		expect(lastInterval(now, undefined, "UTC").name).toBe("2026-01-03");
		expect(lastInterval(now, "@hourly", "UTC").name).toBe("2026-01-04T09:00");
		expect(lastInterval(now, "@monthly", "UTC").name).toBe("2025-12-01");
		expect(intervalsSince("2026-01-01T12:00", now, undefined, "UTC").map((each) => each.name)).toEqual([
			"2026-01-01",
			"2026-01-02",
			"2026-01-03",
		]);
		expect(intervalsSince("2027-01-01", now, undefined, "UTC")).toEqual([]);
	});

	const zones = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Asia/Beirut"];
	const schedules = [
		"daily",
		"@hourly",
		"*/15 * * * *",
		"0 */2 * * *",
		"0 */8 * * *",
		"@weekly",
		"@monthly",
		"@yearly",
	];

	test("law: intervals follow each other without gap or overlap, and each is found again by its name", () => {
		fc.assert(
			fc.property(
				fc.constantFrom(...zones),
				fc.constantFrom(...schedules),
				fc.integer({ min: Date.UTC(1990, 0), max: Date.UTC(2040, 0) }),
				(zone, schedule, now) => {
					const last = lastInterval(now, schedule, zone);
					const before = lastInterval(Date.parse(last.end) - 1, schedule, zone);
					expect(before.end).toBe(last.start);
					expect(Date.parse(last.end)).toBeLessThanOrEqual(now);
					expect(Date.parse(last.start)).toBeLessThan(Date.parse(last.end));
					const again = parseInterval(last.name, schedule, zone);
					expect(again).toEqual(last);
				},
			),
			{ numRuns: 400 },
		);
	});
});

describe("zones", () => {
	test("law: the instant of a wall time shows that time, or lies at a jump", () => {
		fc.assert(
			fc.property(
				fc.constantFrom("Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Africa/Monrovia"),
				fc.integer({ min: Date.UTC(1880, 0), max: Date.UTC(2040, 0) }),
				(zone, seconds) => {
					const wall = Math.floor(seconds / 1000) * 1000;
					const instant = instantOf(zone, wall);
					const shown = wallOf(zone, instant);
					expect(shown).toBeGreaterThanOrEqual(wall);
					expect(shown - wall).toBeLessThanOrEqual(2 * HOUR);
					if (shown !== wall) expect(wallOf(zone, instant - 1)).toBeLessThan(wall);
				},
			),
			{ numRuns: 300 },
		);
	});

	test("years before 1 and milliseconds", () => {
		expect(wallOf("Europe/Berlin", Date.parse("2026-01-01T00:00:00.250Z")) % 1000).toBe(250);
		const ancient = new Date(0);
		ancient.setUTCFullYear(-5);
		expect(Math.abs(wallOf("Europe/Berlin", ancient.getTime()) - ancient.getTime())).toBeLessThan(2 * HOUR);
	});

	test("names", () => {
		expect(isTimezone("Europe/Berlin")).toBe(true);
		expect(isTimezone("Europe/Berln")).toBe(false);
		expect(isTimezone("x".repeat(100))).toBe(false);
		expect(isTimezone("+02:00")).toBe(false);
		expect(timezones()).toContain("UTC");
	});

	test("parseTime tells a day from a time", () => {
		expect(parseTime("2026-01-01", "UTC").dayOnly).toBe(true);
		expect(parseTime("2026-01-01T00:00", "UTC").dayOnly).toBe(false);
	});
});
