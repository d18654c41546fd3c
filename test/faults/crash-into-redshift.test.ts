import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BACKEND, openWarehouse, type Warehouse } from "../connectors/redshift-support.ts";
import { missing } from "../support/start.ts";
import { crashOnce, ShopCopy } from "./crash-support.ts";
import { killAtRandom, killShop, killTimeoutMs } from "./kill-support.ts";
import { Shop, type ShopTable } from "./shop.ts";

describe.skipIf(missing("mariadb") ?? missing(BACKEND))("runs from MariaDB into Redshift (stand-in)", () => {
	describe("killed at a crash point", () => {
		let shop: Shop;
		let warehouse: Warehouse;
		let copy: ShopCopy;
		let round = 0;
		beforeAll(async () => {
			shop = await Shop.open("mariadb");
			await shop.fill(1200);
			warehouse = await openWarehouse();
			copy = new ShopCopy(shop, { staging: true, into: "redshift", warehouse });
			await copy.project.succeed("run", "shop", "--interval", "2026-01-02");
		}, 120_000);
		afterAll(async () => {
			await copy?.[Symbol.asyncDispose]();
			await warehouse?.[Symbol.asyncDispose]();
			await shop?.[Symbol.asyncDispose]();
		});

		test.each<[ShopTable, string]>([
			["accounts", "c07"],
			["accounts", "c08"],
			["accounts", "c09"],
			["accounts", "c10"],
			["accounts", "c12#2"],
			["orders", "c01"],
			["orders", "c02"],
			["orders", "c03"],
			["orders", "s3-once-sent"],
			["orders", "c07"],
			["orders", "c08"],
			["orders", "c09"],
			["orders", "c10"],
			["orders", "c11"],
			["orders", "c13#2"],
			["journal", "c09"],
			["visits", "c09"],
		])(
			"%s at %s: the old rows or the new ones, and the next run finishes",
			async (table, point) => {
				await shop.change(++round);
				await crashOnce(copy, table, point);
			},
			180_000,
		);
	});

	const kills = 4;
	test(
		"killed at random moments: whole transactions only, and the next run makes both sides equal",
		async () => {
			await using shop = await killShop("mariadb");
			await using warehouse = await openWarehouse();
			await killAtRandom(shop, { seed: 6, kills, staging: true, warehouse });
			expect(warehouse.redshift.log.some((statement) => statement.startsWith("COPY "))).toBe(true);
		},
		killTimeoutMs(kills),
	);
});
