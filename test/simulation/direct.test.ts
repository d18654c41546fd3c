import { test } from "vitest";
import { expectNoLawBroken, seedsFrom } from "./seeds.ts";

test("without staging, no crash, lost answer, fenced run or late commit breaks a law", { timeout: 300_000 }, () =>
	expectNoLawBroken(seedsFrom(1, 6000), { world: { staged: false } }),
);
