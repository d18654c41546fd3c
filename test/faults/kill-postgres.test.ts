import { describe, test } from "vitest";
import { missing } from "../support/start.ts";
import { type Killing, killAtRandom, killShop, killTimeoutMs } from "./kill-support.ts";

describe.skipIf(missing("postgres15"))("runs killed at random moments, PostgreSQL to DuckDB and to files", () => {
	test.each<[string, Killing]>([
		["straight into the transaction", { seed: 1, kills: 15, staging: false }],
		["by way of staged files", { seed: 2, kills: 10, staging: true }],
		["into a folder of Parquet files", { seed: 3, kills: 6, staging: false, folder: true }],
	])(
		"%s: whole transactions only, and the next run makes both sides equal",
		async (_how, killing) => {
			await using shop = await killShop("postgres15");
			await killAtRandom(shop, killing);
		},
		killTimeoutMs(15),
	);
});
