import fc from "fast-check";
import { expect, test } from "vitest";
import { lineDiff } from "./line-diff.ts";

const short = (before: string, after: string) =>
	lineDiff(before, after).map(({ kind, text }) => `${{ same: " ", added: "+", removed: "-" }[kind]}${text}`);

test("what is new, what is gone, and what stayed between", () => {
	expect(short("a\nb\nc\n", "a\nx\nc\nd\n")).toEqual([" a", "-b", "+x", " c", "+d"]);
	expect(short("", "a\n")).toEqual(["+a"]);
	expect(short("a\n", "a\n")).toEqual([" a"]);
});

test("a difference gives both texts back, and never more lines than both have", () => {
	const text = fc
		.array(fc.constantFrom("a", "b", "c", "d"), { maxLength: 12 })
		.map((lines) => lines.map((line) => `${line}\n`).join(""));
	fc.assert(
		fc.property(text, text, (before, after) => {
			const lines = lineDiff(before, after);
			const side = (out: string) =>
				lines
					.filter(({ kind }) => kind !== out)
					.map(({ text }) => `${text}\n`)
					.join("");
			expect(side("added")).toBe(before);
			expect(side("removed")).toBe(after);
			// No line that could stay is given as gone and new at the same place.
			for (const [index, { kind, text }] of lines.entries())
				if (kind === "removed") expect(lines[index + 1]).not.toEqual({ kind: "added", text });
		}),
	);
});
