import { describe, expect, test } from "vitest";
import { startSnowflakeStandIn } from "../stand-ins/snowflake/index.ts";
import { missing } from "../support/start.ts";
import { killAtRandom, killShop, killTimeoutMs } from "./kill-support.ts";

describe("runs killed at random moments, MariaDB to Snowflake (stand-in)", () => {
	const killing = { seed: 8, kills: 3, staging: true };
	test.skipIf(missing("mariadb"))(
		"whole transactions only, no row twice, and the next run makes both sides equal",
		async () => {
			await using shop = await killShop("mariadb");
			await using snowflake = await startSnowflakeStandIn();
			await killAtRandom(shop, { ...killing, snowflake });
			// What dead runs had begun is rolled back by those after them.
			expect(snowflake.openTransactions()).toBe(0);
		},
		killTimeoutMs(killing.kills),
	);
});
