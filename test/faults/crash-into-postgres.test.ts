import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freshDatabase, sharedServer, type TestDatabase } from "../support/shared.ts";
import { missing } from "../support/start.ts";
import { pointsOf } from "./crash-points.ts";
import { crashOnce, ShopCopy } from "./crash-support.ts";
import { Shop, type ShopTable } from "./shop.ts";

describe.each([
	["MariaDB", "mariadb", "postgres15", { all: true }],
	// The destination's code is the same: what a server of another version makes of it is tried where a load ends.
	["PostgreSQL", "postgres15", "postgres18", { all: false }],
] as const)("a run from %s into PostgreSQL killed at a crash point", (_name, from, to, { all }) => {
	describe.skipIf(missing(from) ?? missing(to))("one", () => {
		let shop: Shop;
		let round = 0;
		beforeAll(async () => {
			shop = await Shop.open(from);
			await shop.fill(200);
		});
		afterAll(() => shop?.[Symbol.asyncDispose]());

		const ways = [
			["straight into its transaction", { staging: false }],
			["by way of staged files", { staging: true }],
		] as const;
		describe.each(all ? ways : ways.slice(0, 1))("%s", (_how, options) => {
			let target: TestDatabase;
			let copy: ShopCopy;
			beforeAll(async () => {
				target = await freshDatabase(await sharedServer(to), "copy");
				copy = new ShopCopy(shop, { ...options, into: "postgres", target });
				await copy.project.succeed("run", "shop", "--interval", "2026-01-02");
			});
			afterAll(async () => {
				await copy?.[Symbol.asyncDispose]();
				await target?.drop();
			});

			const several: readonly ShopTable[] = all ? ["accounts", "orders", "journal", "visits"] : ["accounts", "orders"];
			const tables: readonly ShopTable[] = options.staging ? ["orders"] : several;
			const cases = tables.flatMap((table) => {
				const points = pointsOf(table, {
					...options,
					some: !all || options.staging || table === "journal" || table === "visits",
				});
				return points.map((point) => [table, point] as const);
			});
			test.each(cases)("%s at %s: the old rows or the new ones, and the next run finishes", async (table, point) => {
				await shop.change(++round);
				await crashOnce(copy, table, point);
			});
		});

		const first: [ShopTable, string][] = [
			["accounts", "c08"],
			["accounts", "c10"],
			["orders", "c09"],
			["journal", "c09"],
			["visits", "c08"],
		];
		test.each(all ? first : first.slice(0, 1))(
			"in the first load of %s at %s: no table, or all of it",
			async (table, point) => {
				await using target = await freshDatabase(await sharedServer(to), "copy");
				await using copy = new ShopCopy(shop, { staging: false, into: "postgres", target });
				await crashOnce(copy, table, point);
			},
		);

		test("a killed run that another one follows at once is waited for by the server, not by hand", async () => {
			await using target = await freshDatabase(await sharedServer(to), "copy");
			await using copy = new ShopCopy(shop, { staging: false, into: "postgres", target });
			await copy.project.succeed(...copy.words("accounts"));
			for (const point of ["c08", "c15", "c15#2", "c15#3", "c09"]) {
				await copy.project.start(copy.words("accounts"), { env: { HEADRACE_CRASH: point } }).ended;
				await copy.project.succeed(...copy.words("accounts"));
			}
			expect(await copy.rows("accounts")).toEqual(await shop.lines("accounts"));
			await copy.expectClean();
		});
	});
});
