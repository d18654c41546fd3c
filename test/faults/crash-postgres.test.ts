import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { missing } from "../support/start.ts";
import { FOLDER_DESTINATION, pointsOf } from "./crash-points.ts";
import { crashOnce, ShopCopy } from "./crash-support.ts";
import { envelopeOf } from "./project.ts";
import { Shop, type ShopTable } from "./shop.ts";
import { leftovers } from "./warehouse.ts";

describe.skipIf(missing("postgres15"))("a run from PostgreSQL killed at a crash point", () => {
	let shop: Shop;
	let round = 0;
	beforeAll(async () => {
		shop = await Shop.open("postgres15");
		await shop.fill(200);
	});
	afterAll(() => shop?.[Symbol.asyncDispose]());

	describe.each([
		["into DuckDB", { staging: false }],
		["into DuckDB by way of staged files", { staging: true }],
		["into a folder of Parquet files", { staging: false, into: "folder" }],
	] as const)("%s", (_how, options) => {
		let copy: ShopCopy;
		beforeAll(async () => {
			copy = new ShopCopy(shop, options);
			await copy.project.succeed("run", "shop", "--interval", "2026-01-02");
		});
		afterAll(() => copy?.[Symbol.asyncDispose]());

		const points = "into" in options ? FOLDER_DESTINATION : null;
		const cases = (["accounts", "orders"] as const).flatMap((table) =>
			(points ?? pointsOf(table, { ...options, some: table === "accounts" || options.staging })).map(
				(point) => [table, point] as const,
			),
		);
		test.each(cases)("%s at %s: the old rows or the new ones, and the next run finishes", async (table, point) => {
			await shop.change(++round);
			await crashOnce(copy, table, point);
		});
	});

	describe("in its first load", () => {
		let copy: ShopCopy;
		beforeEach(() => {
			copy = new ShopCopy(shop, { staging: false });
		});
		afterEach(() => copy[Symbol.asyncDispose]());

		test.each<[ShopTable, string]>([
			["accounts", "c08"],
			["accounts", "c15"],
			["orders", "c09"],
			["orders", "c10"],
			["journal", "c15"],
			["visits", "c09"],
		])("of %s at %s", async (table, point) => {
			await crashOnce(copy, table, point);
		});

		test("a table half-built by a killed refresh goes with the next incremental run", async () => {
			await copy.project.succeed(...copy.words("journal"));
			await copy.project.start([...copy.words("journal"), "--full-refresh"], { env: { HEADRACE_CRASH: "c08" } }).ended;
			expect(leftovers(await copy.read())).toHaveLength(1);
			await copy.project.succeed(...copy.words("journal"));
			await copy.expectClean();
		});

		test("the killed run is told as stopped, not as one that goes on", async () => {
			await copy.project.start(copy.words("orders"), { env: { HEADRACE_CRASH: "c09" } }).ended;
			const runs = envelopeOf(await copy.project.run("runs", "shop")).data?.runs ?? [];
			expect(runs.map((run) => run.state)).toEqual(["stopped"]);
			expect(envelopeOf(await copy.project.run("check", "shop")).ok).toBe(true);
		});
	});
});
