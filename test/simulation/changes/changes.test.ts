import { test } from "vitest";
import { seedsFrom } from "../seeds.ts";
import { expectNoChangeLawBroken } from "./seeds.ts";

test(
	"following a log, no crash, lost answer, fenced run, late commit or purge breaks a law",
	{ timeout: 120_000 },
	() => expectNoChangeLawBroken(seedsFrom(1, 1000)),
);
