import fc from "fast-check";
import { expect, test } from "vitest";
import { maskedText, SAMPLE_CHARACTERS_MAX } from "./sample-mask.ts";

test.each([
	["Anna.Müller@example.com", "Xxxx.Xxxxxx@xxxxxxx.xxx"],
	["2026-11-21 10:00:00.25+00", "9999-99-99 99:99:99.99+99"],
	["-1234.50", "-9999.99"],
	["", ""],
	["東京 ٣٤ 👋\n\u0000", "xx 99 ? ?"],
	["e\u0301", "xx"],
	["x".repeat(40), "x".repeat(40)],
	["7".repeat(41), `${"9".repeat(40)}…`],
])("%j is shown as %j", (text, shape) => {
	expect(maskedText(text)).toBe(shape);
});

test("two texts that differ in letters and digits only are shown alike, and nothing of another kind is shown", () => {
	fc.assert(
		fc.property(fc.string({ unit: "binary", maxLength: 60 }), (text) => {
			const shown = maskedText(text);
			expect(shown).toMatch(/^[Xx9 ?!-/:-@[-`{-~]*…?$/);
			expect([...shown].length).toBe(Math.min([...text].length, SAMPLE_CHARACTERS_MAX + 1));
			expect(maskedText(text.replaceAll(/[a-z]/g, "q").replaceAll(/[0-9]/g, "0"))).toBe(shown);
		}),
	);
});
