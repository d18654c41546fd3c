import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { missing } from "../support/start.ts";
import {
	CHUNKS_BEHIND,
	CHUNKS_DIRECT,
	CHUNKS_LOADED,
	CHUNKS_STAGED,
	FOLDER_DESTINATION,
	pointsOf,
	S3_PARTS,
	S3_STAGED,
} from "./crash-points.ts";
import { crashOnce, crashPointsInCode, pointsNamedInTests, ShopCopy } from "./crash-support.ts";
import { Shop, type ShopTable } from "./shop.ts";

const TABLES: readonly ShopTable[] = ["accounts", "orders", "journal", "visits"];

/** Those that no run of the shop passes, by how their names begin, and why. */
const ELSEWHERE: Readonly<Record<string, string>> = {
	"lake-": "a table of a lake: test/connectors/lake-crash.test.ts and lake-glue.test.ts",
	"cdc-": "a log that is followed: crash-change-capture.test.ts",
	"file-shown": "changes that a folder keeps: crash-archive.test.ts",
	"archive-": "files of them that are put together: crash-archive.test.ts",
};

test("every crash point of the code is tried", () => {
	const chunks = [...CHUNKS_DIRECT, ...CHUNKS_STAGED, ...CHUNKS_LOADED, CHUNKS_BEHIND];
	const other = [...FOLDER_DESTINATION, ...chunks, ...S3_STAGED, ...S3_PARTS];
	const tried = [...TABLES.flatMap((table) => pointsOf(table, { staging: true })), ...other];
	const inCode = crashPointsInCode();
	const elsewhere = inCode.filter((point) => Object.keys(ELSEWHERE).some((start) => point.startsWith(start)));
	expect(inCode.filter((point) => !elsewhere.includes(point))).toEqual(
		[...new Set(tried.map((point) => point.replace(/#.*/, "")))].sort(),
	);
	const named = pointsNamedInTests();
	expect(elsewhere.filter((point) => !named.has(point))).toEqual([]);
});

describe.skipIf(missing("mariadb"))("a run killed at a crash point, MariaDB to DuckDB", () => {
	describe.each([
		["straight into the transaction", false],
		["by way of staged files", true],
	] as const)("%s", (_how, staging) => {
		let shop: Shop;
		let copy: ShopCopy;
		let round = 0;

		beforeAll(async () => {
			shop = await Shop.open("mariadb");
			await shop.fill(200);
			copy = new ShopCopy(shop, { staging });
			await copy.project.succeed("run", "shop", "--interval", "2026-01-02");
		});
		afterAll(async () => {
			await copy?.[Symbol.asyncDispose]();
			await shop?.[Symbol.asyncDispose]();
		});

		const cases = TABLES.flatMap((table) => {
			const some = table === "journal" || table === "visits";
			return pointsOf(table, { staging, some }).map((point) => [table, point] as const);
		});
		test.each(cases)("%s at %s: the old rows or the new ones, and the next run finishes", async (table, point) => {
			await shop.change(++round);
			await crashOnce(copy, table, point);
		});
	});
});
