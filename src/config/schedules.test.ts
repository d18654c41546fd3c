import { describe, expect, test } from "vitest";
import { intervalLength, parseSchedule } from "./schedules.ts";

test.each([
	["0 2 * * *", { unit: "day" }],
	["@daily", { unit: "day" }],
	["@hourly", { unit: "minute", count: 60 }],
	["30 * * * *", { unit: "minute", count: 60 }],
	["*/15 * * * *", { unit: "minute", count: 15 }],
	["* * * * *", { unit: "minute", count: 1 }],
	["0 */6 * * *", { unit: "minute", count: 360 }],
	["0 */24 * * *", { unit: "day" }],
	["@weekly", { unit: "week", startsOn: 0 }],
	["0 3 * * mon", { unit: "week", startsOn: 1 }],
	["0 3 * * 7", { unit: "week", startsOn: 0 }],
	["@monthly", { unit: "month", startsOn: 1 }],
	["0 3 5 * *", { unit: "month", startsOn: 5 }],
	["@yearly", { unit: "year" }],
	["0 0 1 jan *", { unit: "year" }],
	["daily", { unit: "day" }],
	["continuous", { unit: "day" }],
	["every 5m", { unit: "minute", count: 5 }],
	["every 6h", { unit: "minute", count: 360 }],
	["every 1d", { unit: "day" }],
	["every 7d", { unit: "week", startsOn: 1 }],
])("%s has intervals of %o", (text, expected) => expect(intervalLength(parseSchedule(text))).toEqual(expected));

test("without a schedule an interval is a day", () => expect(intervalLength(undefined)).toEqual({ unit: "day" }));

test.each([
	"0 2,14 * * *",
	"*/7 * * * *",
	"0 */5 * * *",
	"0 0 31 * *",
	"0 0 1 2 *",
	"0 0 2 1 *",
	"0 0 * * 1-5",
	"0 0 1 * 1",
	"*/5 9-17 * * *",
	"0-30 * * * *",
	"0 */6 * * 1",
	"every 7m",
	"every 36h",
	"every 90s",
])("%s is a schedule without one interval length", (text) => {
	const schedule = parseSchedule(text);
	expect(() => intervalLength(schedule)).toThrow(/has no single interval length; intervals work with/);
});

describe("what is no schedule says which part", () => {
	test.each([
		["60 * * * *", /minute "60" is not/],
		["0 24 * * *", /hour "24"/],
		["0 0 0 * *", /day of the month "0"/],
		["0 0 * 13 *", /month "13"/],
		["0 0 * * 8", /day of the week "8"/],
		["0 0 * * foo", /day of the week "foo"/],
		["*/0 * * * *", /minute "\*\/0"/],
		["30-10 * * * *", /minute "30-10"/],
		["0 0 * *", /it is not cron/],
		["every", /it is not cron/],
		["every day", /takes a duration/],
		["every 10ms", /takes a duration/],
		["", /it is not cron/],
		["@never", /it is not cron/],
		["0 0 * * * *", /it is not cron/],
	])("%s", (text, message) => expect(() => parseSchedule(text)).toThrow(message));
});
