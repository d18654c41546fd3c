import { expect, test } from "vitest";
import { keepsDigits } from "./significant-digits.ts";

test.each([
	["0.1", true],
	["-12.500", true],
	["0.000", true],
	["1e22", true],
	["+1.50E3", true],
	["9007199254740992", true],
	["9007199254740993", false],
	["-9007199254740993.0", false],
	["0.123456789012345678", false],
	["123456789012345.6", true],
	["1".repeat(400), false],
	[`0.${"0".repeat(400)}1`, false],
])("%s as a double keeps its digits: %s", (text, kept) => {
	expect(keepsDigits(text, Number(text), false)).toBe(kept);
});

test.each([
	["0.1", true],
	["16777216", true],
	["16777217", false],
	["1234.56", true],
	["1234.56789", false],
])("%s as a 32-bit float keeps its digits: %s", (text, kept) => {
	expect(keepsDigits(text, Math.fround(Number(text)), true)).toBe(kept);
});
