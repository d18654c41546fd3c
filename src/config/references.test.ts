import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { resolveText, splitReferences } from "./references.ts";
import { didYouMean, nearest } from "./suggest.ts";

const directory = mkdtempSync(join(tmpdir(), "headrace-references-"));
writeFileSync(join(directory, "pw"), "from a file\r\n\n");
writeFileSync(join(directory, "empty"), "\n");
writeFileSync(join(directory, "big"), "x".repeat(1_000_001));
const scope = { directory, env: { A: "1", B_2: "${env:A}", EMPTY: "" } };

describe("references", () => {
	test.each([
		["plain", "plain", undefined],
		["", "", undefined],
		["${env:A}", "1", "${env:A}"],
		["${ env:A }", "1", "${ env:A }"],
		["a${env:A}b${env:A}", "a1b1", "${env:A}, ${env:A}"],
		["${env:B_2}", "${env:A}", "${env:B_2}"],
		["${file:pw}", "from a file", "${file:pw}"],
		["$${env:A}", "${env:A}", undefined],
		["$$ ${ $x {env:A}", "$$ ${ $x {env:A}", undefined],
	])("%s", (text, expected, origin) =>
		expect(resolveText(text, scope)).toEqual({ text: expected, ...(origin && { origin }) }),
	);

	test.each([
		["${env:NO}", "E_MISSING_VARIABLE", /NO is not set/],
		["${env:EMPTY}", "E_MISSING_VARIABLE", /EMPTY is empty/],
		["${env:__proto__}", "E_MISSING_VARIABLE", /is not set/],
		["${file:no}", "E_MISSING_VARIABLE", /does not exist/],
		["${file:pw/x}", "E_MISSING_VARIABLE", /does not exist/],
		["${file:empty}", "E_MISSING_VARIABLE", /is empty/],
		["${file:big}", "E_MISSING_VARIABLE", /larger than 1 MB/],
		["${file:.}", "E_MISSING_VARIABLE", /not a regular file/],
		["${file:a\0b}", "E_INVALID_VALUE", /is not a reference/],
		["${A}", "E_INVALID_VALUE", /did you mean \$\{env:A\}\?/],
		["${env.A}", "E_INVALID_VALUE", /did you mean \$\{env:A\}\?/],
		["${env:A:-x}", "E_INVALID_VALUE", /is not a reference/],
		["${env:}", "E_INVALID_VALUE", /is not a reference/],
		["${}", "E_INVALID_VALUE", /is not a reference/],
		["${vault:x}", "E_INVALID_VALUE", /is not a reference/],
	])("%s is %s", (text, code, message) => {
		expect(() => resolveText(text, scope)).toThrow(
			expect.objectContaining({ code, message: expect.stringMatching(message) }),
		);
	});

	test("parts", () =>
		expect(splitReferences("a${env:X}")).toEqual(["a", { kind: "env", name: "X", text: "${env:X}" }]));
});

describe("suggestions", () => {
	test.each([
		["crusor", "cursor"],
		["CURSOR", "cursor"],
		["update-key", "cursor"],
		["zzz", undefined],
		["c".repeat(200), undefined],
	])("%s → %s", (word, expected) =>
		expect(nearest(word, ["cursor", "key", "x".repeat(150)], { update_key: "cursor", other: "absent" })).toBe(expected),
	);
	test("didYouMean", () => {
		expect(didYouMean("kye", ["key"])).toBe('; did you mean "key"?');
		expect(didYouMean("zzzzz", ["key"], {}, "; no")).toBe("; no");
	});
});
