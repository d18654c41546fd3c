import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type SnowflakeStandIn, startSnowflakeStandIn } from "../stand-ins/snowflake/index.ts";
import { missing } from "../support/start.ts";
import { ShopCopy } from "./crash-support.ts";
import { Shop, type ShopTable } from "./shop.ts";

/** Where a run can be killed between the staged files and the end of its load, by what is in the destination then. */
const POINTS: readonly (readonly [table: ShopTable, point: string, moved: boolean])[] = [
	["accounts", "c07", false],
	["accounts", "c08", false],
	["accounts", "c09", false],
	["accounts", "c10", true],
	["accounts", "c15", true],
	["accounts", "c15#2", true],
	["accounts", "c11", true],
	["orders", "c08", false],
	["orders", "c09", false],
	["orders", "c10", true],
	["orders", "c11", true],
	["journal", "c08", false],
	["journal", "c09", false],
	["journal", "c10", true],
	["visits", "c09", false],
	["visits", "c10", true],
];

describe.skipIf(missing("mariadb"))("a run into Snowflake (stand-in) killed at a crash point", () => {
	let shop: Shop;
	let snowflake: SnowflakeStandIn;
	let copy: ShopCopy;
	let round = 0;
	beforeAll(async () => {
		shop = await Shop.open("mariadb");
		await shop.fill(200);
		snowflake = await startSnowflakeStandIn();
		copy = new ShopCopy(shop, { staging: true, into: "snowflake", snowflake });
		await copy.project.succeed("run", "shop", "--interval", "2026-01-02");
	});
	afterAll(async () => {
		await copy?.[Symbol.asyncDispose]();
		await snowflake?.[Symbol.asyncDispose]();
		await shop?.[Symbol.asyncDispose]();
	});

	test.each(POINTS)(
		"%s at %s: the old rows or the new ones, and the next run finishes",
		async (table, point, moved) => {
			await shop.change(++round);
			const old = await copy.look(table);
			const wanted = await copy.expected(table);
			await copy.killAt(table, point);
			const { rows: left, moves } = await copy.look(table);
			expect(moves - old.moves).toBe(moved ? 1 : 0);
			// Of a whole table the position is first, and the swap is finished by the next run; all else is one transaction.
			const isSwap = table === "accounts" && (point === "c10" || point.startsWith("c15"));
			if (isSwap) expect([old.rows, wanted]).toContainEqual(left);
			else expect(left).toEqual(moved ? wanted : old.rows);

			await copy.project.succeed(...copy.words(table));
			const { rows, contents } = await copy.look(table);
			expect(rows).toEqual(wanted);
			await copy.expectClean(contents);
			expect(snowflake.openTransactions()).toBe(0);
			const swaps = snowflake.table("_HEADRACE", "SWAPS")!;
			expect(await snowflake.query(`SELECT * FROM ${swaps.physical}`)).toEqual([]);
		},
	);
});
