import { describe, expect, test } from "vitest";
import { durationMs, parseDuration } from "./durations.ts";
import { countOf, parseCount, parseSize, sizeBytes } from "./sizes.ts";

describe("durations", () => {
	test.each([
		["500ms", 500],
		["10s", 10_000],
		["3m", 180_000],
		["2h", 7_200_000],
		["1d", 86_400_000],
		["1w", 604_800_000],
		["1h30m", 5_400_000],
		["0.5s", 500],
		["0s", 0],
		[" 3m ", 180_000],
	])("%s is %d ms", (text, expected) => expect(parseDuration(text)).toBe(expected));

	test.each(["", "3", "3 m", "m", "-3m", "3M", "3min", "1m1h", "1m1m", "1e3s", "99999999d", "1".repeat(50), "∞s"])(
		"%s is none",
		(text) => {
			expect(durationMs(text)).toBeUndefined();
			expect(() => parseDuration(text)).toThrow(/is not a duration/);
		},
	);
});

describe("sizes", () => {
	test.each([
		["64MB", 64_000_000],
		["256MiB", 268_435_456],
		["1.5GiB", 1_610_612_736],
		["64mb", 64_000_000],
		["64 MB", 64_000_000],
		["12B", 12],
		["2kB", 2000],
		["1TB", 1e12],
	])("%s is %d bytes", (text, expected) => expect(parseSize(text)).toBe(expected));

	test.each(["", "64", "64M", "64iB", "-1MB", "1e3MB", "999999999999TiB", "MB"])("%s is no size", (text) => {
		expect(sizeBytes(text)).toBeUndefined();
		expect(() => parseSize(text)).toThrow(/is not a size/);
	});

	test.each([
		["100k", 100_000],
		["2M", 2_000_000],
		["1.5k", 1500],
		["5000", 5000],
		["100_000", 100_000],
	])("%s is %d", (text, expected) => expect(parseCount(text)).toBe(expected));

	test.each(["", "k", "1e3", "-1", "1_00", "9".repeat(30), "99999999999999M"])("%s is no count", (text) => {
		expect(countOf(text)).toBeUndefined();
		expect(() => parseCount(text)).toThrow(/is not a whole number/);
	});
});
