import { expect, test } from "vitest";
import { traceSeed } from "./scenario.ts";
import { expectNoLawBroken, seedsFrom, withFolder } from "./seeds.ts";

// Both files together run 10,000 seeds; they are two so that they run side by side.
test("through staging, no crash, lost answer, fenced run or late commit breaks a law", { timeout: 300_000 }, () =>
	expectNoLawBroken(seedsFrom(1, 4000), { world: { staged: true } }),
);

test("the same seed does the same", () =>
	withFolder(async (temporaryFolder) => {
		const [first, second] = [await traceSeed(7, { temporaryFolder }), await traceSeed(7, { temporaryFolder })];
		expect(second).toBe(first);
		expect(first.split("\n").length).toBeGreaterThan(100);
	}));
