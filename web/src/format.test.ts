import { beforeAll, describe, expect, test, vi } from "vitest";

let format: typeof import("./format.ts");

beforeAll(async () => {
	vi.stubGlobal("document", { documentElement: { dataset: {} } });
	format = await import("./format.ts");
});

describe("how the page writes", () => {
	test.each([
		[0, "0 s"],
		[0.0042, "4 ms"],
		[0.416, "0.42 s"],
		[8, "8.0 s"],
		[9.96, "10 s"],
		[59.6, "1 min 00 s"],
		[184, "3 min 04 s"],
		[7500, "2 h 05 min"],
		[90_000, "1 d 1 h"],
		[null, "–"],
	])("a duration of %s seconds: %s", (seconds, text) => {
		expect(format.duration(seconds)).toBe(text);
	});

	test.each([
		[0, "0 B"],
		[999, "999 B"],
		[1234, "1.2 kB"],
		[999_600, "1.0 MB"],
		[4_100_000, "4.1 MB"],
		[41_000_000_000, "41 GB"],
	])("%s bytes: %s", (bytes, text) => {
		expect(format.bytes(bytes)).toBe(text);
	});

	test.each([
		["2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z", "2026-11-20"],
		["2026-11-20T02:00:00Z", "2026-11-20T03:00:00Z", "2026-11-20 02:00 – 03:00"],
		["2026-11-20T23:00:00Z", "2026-11-21T00:00:00Z", "2026-11-20 23:00 – 2026-11-21"],
		["2026-11-02T00:00:00Z", "2026-11-09T00:00:00Z", "2026-11-02 – 2026-11-09"],
		// A day of Berlin.
		["2026-11-19T23:00:00Z", "2026-11-20T23:00:00Z", "2026-11-19 23:00 – 2026-11-20 23:00"],
	])("the interval from %s to %s: %s", (start, end, text) => {
		expect(format.intervalText({ start, end })).toBe(text);
	});

	test("a day of the zone that was chosen is a day, also when the clock changes in it", async () => {
		vi.stubEnv("TZ", "Europe/Berlin");
		const { zone } = await import("./settings.ts");
		zone.value = "local";
		expect(format.intervalText({ start: "2026-11-19T23:00:00Z", end: "2026-11-20T23:00:00Z" })).toBe("2026-11-20");
		expect(format.intervalText({ start: "2026-10-24T22:00:00Z", end: "2026-10-25T23:00:00Z" })).toBe("2026-10-25");
		zone.value = "UTC";
		vi.unstubAllEnvs();
	});

	test("times in UTC, as ISO 8601 has them, and how long ago they were", () => {
		expect(format.dateTime("2026-11-21T02:00:07.118Z")).toBe("2026-11-21 02:00:07");
		expect(format.clockTime("2026-11-21T02:00:07.118Z")).toBe("02:00:07.118");
		expect(format.shortDateTime("2026-11-21T02:00:00Z")).toBe("2026-11-21 02:00");
		const nowMs = Date.parse("2026-11-21T03:00:00Z");
		expect(format.relative("2026-11-21T02:00:00Z", nowMs)).toBe("60 min ago");
		expect(format.relative("2026-11-22T02:00:00Z", nowMs)).toBe("in 23 h");
		expect(format.relative(null, nowMs)).toBe("never");
	});
});
