import { describe, test } from "vitest";
import { missing } from "../support/start.ts";
import { killAtRandom, killShop, killTimeoutMs } from "./kill-support.ts";

describe.skipIf(missing("mariadb"))("runs killed at random moments, MariaDB to DuckDB", () => {
	test.each([
		["straight into the transaction", { seed: 1, kills: 18, staging: false }],
		["by way of staged files", { seed: 2, kills: 12, staging: true }],
	] as const)(
		"%s: whole transactions only, and the next run makes both sides equal",
		async (_how, killing) => {
			await using shop = await killShop("mariadb");
			await killAtRandom(shop, killing);
		},
		killTimeoutMs(18),
	);
});
