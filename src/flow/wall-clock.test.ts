import { expect, test } from "vitest";
import { microsOfText, wallClock } from "./wall-clock.ts";

test.each<[string, bigint]>([
	["1970-01-01", 0n],
	["1970-01-01 00:00:01.5", 1_500_000n],
	["1969-12-31 23:59:59.999999", -1n],
	["2026-01-01T00:00:00Z", 1_767_225_600_000_000n],
	["2026-01-01 00:00:00.000001+00", 1_767_225_600_000_001n],
])("%s is %s µs since 1970", (text, expected) => {
	expect(microsOfText(text)).toBe(expected);
});

test.each(["", "yesterday", "2026-01-01 25:00", "infinity"])("%j is refused", (text) => {
	expect(() => microsOfText(text)).toThrow(/not a date or time/);
});

test.each<[string, string, string]>([
	["2026-01-15 12:00:00", "UTC", "2026-01-15 12:00:00"],
	["2026-01-15 12:00:00", "Europe/Berlin", "2026-01-15 13:00:00"],
	["2026-07-15 12:00:00.25", "Europe/Berlin", "2026-07-15 14:00:00.25"],
	["2026-03-29 00:59:59", "Europe/Berlin", "2026-03-29 01:59:59"],
	["2026-03-29 01:00:00", "Europe/Berlin", "2026-03-29 03:00:00"],
	["2026-01-15 02:00:00", "America/New_York", "2026-01-14 21:00:00"],
])("%s UTC is, in %s, %s", (utc, timezone, expected) => {
	expect(wallClock(utc, timezone)).toBe(expected);
});
