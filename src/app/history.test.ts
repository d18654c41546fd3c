import { expect, test } from "vitest";
import { asOfTime } from "./history.ts";

test.each([
	["2026-11-21T10:00:00Z", "2026-11-21 10:00:00.000000+00"],
	["2026-11-21T12:00+02:00", "2026-11-21 10:00:00.000000+00"],
	["2026-11-21 00:30:00.25+0130", "2026-11-20 23:00:00.250000+00"],
	["2026-03-01T00:00:00.123456-05", "2026-03-01 05:00:00.123456+00"],
	["2024-02-29T23:59:59.999999Z", "2024-02-29 23:59:59.999999+00"],
])("%s is %s", (text, time) => {
	expect(asOfTime(text)).toBe(time);
});

test.each(["2026-11-21", "2026-11-21T10:00:00", "2026-02-29T10:00:00Z", "2026-11-21T25:00:00Z", "now", "'; --Z", ""])(
	"%j is no time with a zone",
	(text) => {
		expect(() => asOfTime(text)).toThrow(expect.objectContaining({ code: "E_INVALID_VALUE" }));
	},
);
