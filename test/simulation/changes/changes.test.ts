import { test } from "vitest";
import { seedsFrom } from "../seeds.ts";
import { expectNoChangeLawBroken } from "./seeds.ts";

test(
	"following a log, no crash, lost answer, fenced run, late commit or purge breaks a law",
	{ timeout: 120_000 },
	() => expectNoChangeLawBroken(seedsFrom(1, 850)),
);

test("a history of a log whose times go back is the source at each of its times", { timeout: 120_000 }, () =>
	expectNoChangeLawBroken(seedsFrom(20_001, 150), { world: { second: "history", stamps: "begin", cuts: "exact" } }),
);
