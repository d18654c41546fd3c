import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { matchesGlob, matchesPattern, parsePattern, patternOf, splitDotted } from "./patterns.ts";

const table = (schema: string, name: string) => ({ schema, name });

describe("patterns", () => {
	test.each([
		["prod.orders", table("prod", "orders"), true],
		["prod.orders", table("prod", "Orders"), false],
		["prod.orders", table("test", "orders"), false],
		["prod.*", table("prod", "a.b"), true],
		["prod.*", table("prod2", "a"), false],
		["*.orders", table("x", "orders"), true],
		["prod.tmp_?", table("prod", "tmp_1"), true],
		["prod.tmp_?", table("prod", "tmp_12"), false],
		["*", table("any", "thing"), true],
		["orders", table("any", "orders"), true],
		['"a.b".c', table("a.b", "c"), true],
		['prod."my.table"', table("prod", "my.table"), true],
		['prod."a*"', table("prod", "ab"), false],
		['prod."a*"', table("prod", "a*"), true],
		['prod."say ""hi"""', table("prod", 'say "hi"'), true],
		["prod.naïve_表_🙂", table("prod", "naïve_表_🙂"), true],
		["prod.?", table("prod", "🙂"), true],
		["prod.o'); drop table x; --", table("prod", "o'); drop table x; --"), true],
		["../../etc.passwd", table("", ""), undefined],
	])("%s against %o: %s", (pattern, name, expected) => {
		if (expected === undefined) expect(() => parsePattern(pattern)).toThrow(/not a table name/);
		else expect(matchesPattern(parsePattern(pattern), name)).toBe(expected);
	});

	test.each(["", ".", "a.", ".a", "a..b", "a.b.c", '"a', 'a"b', '"a"b.c', "a\0b", '""'])("%s is refused", (text) =>
		expect(() => parsePattern(text)).toThrow(/is not a table name/),
	);

	test("a hostile pattern takes no time", () => {
		const started = performance.now();
		expect(matchesGlob(`${"*a".repeat(500)}b`, "a".repeat(2000))).toBe(false);
		expect(performance.now() - started).toBeLessThan(2000);
	});

	test("law: a name written by patternOf matches its table only", () => {
		fc.assert(
			fc.property(
				fc.string({ minLength: 1 }),
				fc.string({ minLength: 1 }),
				fc.string({ minLength: 1 }),
				(schema, name, other) => {
					fc.pre(!`${schema}${name}`.includes("\0"));
					const pattern = parsePattern(patternOf({ schema, name }));
					expect(pattern.exact).toBe(true);
					expect(matchesPattern(pattern, { schema, name })).toBe(true);
					expect(matchesPattern(pattern, { schema, name: other })).toBe(other === name);
				},
			),
		);
		expect(patternOf({ schema: "", name: "orders" })).toBe("orders");
	});

	test("law: * matches what the regular expression does", () => {
		const word = fc.string({ unit: fc.constantFrom("a", "b", "*", "?"), maxLength: 8 });
		const text = fc.string({ unit: fc.constantFrom("a", "b"), maxLength: 10 });
		fc.assert(
			fc.property(word, text, (pattern, given) => {
				const expression = new RegExp(`^${pattern.replaceAll("*", ".*").replaceAll("?", ".")}$`);
				expect(matchesGlob(pattern, given)).toBe(expression.test(given));
			}),
		);
	});

	test("splitDotted", () => {
		expect(splitDotted("a.b.c")?.map((part) => part.text)).toEqual(["a", "b", "c"]);
		expect(splitDotted('"a.b"."c"')?.map((part) => part.quoted)).toEqual([true, true]);
	});
});
