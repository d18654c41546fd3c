import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { TextClient } from "../support/client.ts";
import { missing } from "../support/start.ts";
import { ShopCopy } from "./crash-support.ts";
import { envelopeOf } from "./project.ts";
import { Shop } from "./shop.ts";

describe.skipIf(missing("mariadb"))("a signal in the middle of a run", () => {
	let shop: Shop;
	let locker: TextClient;
	let round = 0;
	beforeAll(async () => {
		shop = await Shop.open("mariadb");
		await shop.fill(50);
	});
	afterAll(() => shop?.[Symbol.asyncDispose]());
	beforeEach(async () => {
		locker = await shop.database.connect();
	});
	afterEach(async () => {
		await locker.query("unlock tables").catch(() => {});
		await locker.close();
	});

	describe.each([
		["straight", false],
		["staged", true],
	] as const)("%s", (_how, staging) => {
		test.each<[NodeJS.Signals, number]>([
			["SIGTERM", 143],
			["SIGINT", 130],
		])("%s ends it with %i, nothing half; the next run finishes", async (signal, code) => {
			await using copy = new ShopCopy(shop, { staging });
			await copy.project.succeed("run", "shop", "--interval", "2026-01-02");
			const before = await copy.read();
			await shop.change(++round);
			await locker.query("lock tables accounts write, orders write, visits write, journal write");
			const run = copy.project.start(["run", "shop", "--interval", "2026-01-02"]);
			await run.says(/orders .*started/);
			const asked = performance.now();
			run.kill(signal);
			const result = await run.ended;
			expect(performance.now() - asked).toBeLessThan(10_000);
			expect(result.code, result.stdout + result.stderr).toBe(code);
			const [stopped] = envelopeOf(result).data?.runs ?? [];
			expect(stopped).toMatchObject({ state: "stopped" });
			expect(stopped!.tables.every((table) => table.state !== "succeeded" && table.rows_loaded === 0)).toBe(true);
			expect((await copy.read()).tables).toEqual(before.tables);
			await copy.expectClean();
			await locker.query("unlock tables");
			await copy.project.succeed("run", "shop", "--interval", "2026-01-02");
			for (const table of ["accounts", "orders", "journal"] as const)
				expect(await copy.rows(table)).toEqual(await shop.lines(table));
			await copy.expectClean();
		});
	});

	test("a second one ends it at once, and the next run finishes all the same", async () => {
		await using copy = new ShopCopy(shop, { staging: false });
		await locker.query("lock tables accounts write");
		const run = copy.project.start(copy.words("accounts"));
		await run.says(/accounts .*started/);
		run.kill("SIGTERM");
		const again = setInterval(() => run.kill("SIGTERM"), 300);
		const result = await run.ended;
		clearInterval(again);
		expect(result.code).toBe(143);
		await locker.query("unlock tables");
		await copy.project.succeed(...copy.words("accounts"));
		expect(await copy.rows("accounts")).toEqual(await shop.lines("accounts"));
	});
});
