import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { RunReceipt, TableReceipt } from "../../src/core/index.ts";
import { freshDatabase, ownServers, sharedServer, type TestDatabase } from "../support/shared.ts";
import { missing } from "../support/start.ts";
import { CHUNKS_BEHIND, CHUNKS_DIRECT, CHUNKS_LOADED, CHUNKS_STAGED } from "./crash-points.ts";
import { type CopyOptions, crashOnce, ShopCopy } from "./crash-support.ts";
import { envelopeOf } from "./project.ts";
import { Shop, type ShopTable } from "./shop.ts";
import { queryWarehouse } from "./warehouse.ts";

// What is proved here depends on the open transactions of the whole server.
ownServers();

/** Rows of each table, and of a chunk: ten chunks. */
const ROWS = 1000;
const CHUNK_ROWS = "100";
/** The chunks that are sealed when a run is killed at 60 %. */
const SEALED = 6;
const AT_60_PERCENT = `chunk-sealed#${SEALED}`;

beforeAll(() => {
	process.env["HEADRACE_CHUNK_ROWS"] = CHUNK_ROWS;
});
afterAll(() => {
	delete process.env["HEADRACE_CHUNK_ROWS"];
});

const noTest = (): void => {};

async function filledShop(server: "mariadb" | "postgres15"): Promise<Shop> {
	const shop = await Shop.open(server);
	await shop.fill(ROWS);
	await shop.sql(shop.dialect === "mysql" ? "analyze table accounts, orders" : "analyze accounts, orders");
	return shop;
}

const only = (runs: readonly RunReceipt[]): TableReceipt => runs[0]!.tables[0]!;

/** Chunks that the killed run had sealed are there, and what is missing was read: two are under way at a time. */
function expectResumed(receipt: TableReceipt): void {
	const { chunks_total = 0, chunks_reused = 0, rows_reused = 0 } = receipt;
	expect(chunks_total).toBeGreaterThan(SEALED + 1);
	expect(chunks_reused).toBeGreaterThanOrEqual(SEALED);
	expect(chunks_reused).toBeLessThanOrEqual(SEALED + 1);
	expect(rows_reused).toBeGreaterThan(ROWS / 4);
	expect(rows_reused).toBeLessThan(receipt.rows_read);
}

describe.each([
	["MariaDB", "mariadb"],
	["PostgreSQL", "postgres15"],
] as const)("a load of %s in chunks", (_name, server) => {
	describe.skipIf(missing(server))("killed", () => {
		// The code that keeps chunks and loads them knows nothing of the source that they came from.
		const isAll = server === "mariadb";
		const loaded = isAll ? CHUNKS_LOADED : [];
		let shop: Shop;
		let round = 0;
		beforeAll(async () => {
			shop = await filledShop(server);
		});
		afterAll(() => shop?.[Symbol.asyncDispose]());

		describe.each([
			["straight into DuckDB", { staging: false }, isAll ? [...CHUNKS_DIRECT, ...loaded] : ["chunk-sealed#5"]],
			[
				"into DuckDB by way of staged files",
				{ staging: true },
				isAll ? [...CHUNKS_STAGED, "c07", ...loaded, "c13#2"] : ["chunk-sealed#5"],
			],
		] as const)("%s", (_how, options, points) => {
			let copy: ShopCopy;
			beforeEach(() => {
				copy = new ShopCopy(shop, options);
			});
			afterEach(() => copy[Symbol.asyncDispose]());

			test.each(["chunk-planned", "chunk-sealed#5", ...(isAll ? ["c09"] : [])])(
				"at %s of the first load: no table, and it goes on",
				async (point) => {
					await crashOnce(copy, "accounts", point);
				},
			);

			describe("in later loads", () => {
				let again: ShopCopy;
				beforeAll(async () => {
					again = new ShopCopy(shop, options);
					await again.project.succeed(...again.words("accounts"));
				});
				afterAll(() => again?.[Symbol.asyncDispose]());

				test.each(points)("at %s: the old rows or the new, and it goes on", async (point) => {
					await shop.change(++round);
					await crashOnce(again, "accounts", point);
				});
			});

			test.each<ShopTable>(["accounts", "orders"])(
				"at three fifths of %s: the next run reads what is missing, and says so",
				async (table) => {
					await shop.settled();
					await copy.killAt(table, AT_60_PERCENT);
					const resumed = await copy.project.run(...copy.words(table));
					expect(resumed.code, resumed.stderr).toBe(0);
					const receipt = only(envelopeOf(resumed).data!.runs);
					expectResumed(receipt);
					expect(receipt).toMatchObject({ state: "succeeded", consistency: "exact", rows_inserted: receipt.rows_read });
					const { chunks_total: total, chunks_reused: reused } = receipt;
					expect(resumed.stderr).toContain(`${reused} of ${total} chunks were there, ${total! - reused!} are read`);
					expect(await copy.rows(table)).toEqual(await copy.expected(table));
					await copy.expectClean();
				},
			);

			test("again and again: each run goes on where the last one was killed", async () => {
				await shop.settled();
				for (const point of [3, 3]) await copy.killAt("accounts", `chunk-sealed#${point}`);
				const receipt = only(await copy.project.succeed(...copy.words("accounts")));
				expect(receipt.chunks_reused).toBeGreaterThanOrEqual(6);
				expect(await copy.rows("accounts")).toEqual(await copy.expected("accounts"));
				await copy.expectClean();
			});

			test.each<ShopTable>(["accounts", "orders"])(
				"and %s changed before the next run: the rows are those of the source",
				async (table) => {
					await copy.killAt(table, AT_60_PERCENT);
					await shop.change(++round);
					const receipt = only(await copy.project.succeed(...copy.words(table)));
					expect(await copy.rows(table)).toEqual(await copy.expected(table));
					expect(receipt.consistency ?? "exact").not.toBe("mixed");
					await copy.expectClean();
				},
			);

			// What a plan of chunks is held against is the same whatever the source.
			const once = isAll ? test : noTest;
			once("and its columns are masked since: nothing that was read unmasked arrives", async () => {
				await copy.killAt("accounts", AT_60_PERCENT);
				const file = "pipelines/shop.yaml";
				copy.project.write(
					file,
					copy.project
						.read(file)
						.replace("accounts: { mode: full }", "accounts: { mode: full, columns: { owner: { mask: null } } }"),
				);
				const resumed = await copy.project.run(...copy.words("accounts"));
				expect(resumed.code, resumed.stderr).toBe(0);
				expect(only(envelopeOf(resumed).data!.runs)).toMatchObject({ chunks_reused: 0, rows_reused: 0 });
				expect(resumed.stderr).toMatch(
					/chunks of an earlier run are thrown away .*: the table's columns or masks have changed/,
				);
				for (const line of (await copy.rows("accounts"))!) expect(line.split("|")[1]).toBe("∅");
				expect((await copy.rows("accounts"))!).toHaveLength((await copy.expected("accounts")).length);
				await copy.expectClean();
			});

			test("and a column was added in the source: the table is read anew", async () => {
				await using other = await filledShop(server);
				await using copyOfIt = new ShopCopy(other, options);
				await copyOfIt.killAt("accounts", AT_60_PERCENT);
				await other.sql("alter table accounts add column extra int");
				await other.sql("update accounts set extra = 7 where id = 1");
				const receipt = only(await copyOfIt.project.succeed(...copyOfIt.words("accounts")));
				expect(receipt).toMatchObject({ chunks_reused: 0 });
				expect(await copyOfIt.rows("accounts")).toEqual(
					await other.linesOf("accounts", ["id", "owner", "amount", "extra"]),
				);
			});

			once("and the next run has `resume: off`: all of it is read", async () => {
				await copy.killAt("accounts", AT_60_PERCENT);
				const file = "pipelines/shop.yaml";
				copy.project.write(file, copy.project.read(file).replace("{ mode: full }", "{ mode: full, resume: off }"));
				const receipt = only(await copy.project.succeed(...copy.words("accounts")));
				expect(receipt.chunks_reused).toBeUndefined();
				expect(await copy.rows("accounts")).toEqual(await copy.expected("accounts"));
				await copy.expectClean();
			});
		});
	});
});

describe.skipIf(missing("postgres15") ?? missing("postgres18"))("a load in chunks into PostgreSQL", () => {
	let shop: Shop;
	let target: TestDatabase;
	let copy: ShopCopy;
	const options = (): CopyOptions => ({ staging: true, into: "postgres", target });
	beforeAll(async () => {
		shop = await filledShop("postgres15");
	});
	afterAll(() => shop?.[Symbol.asyncDispose]());
	beforeEach(async () => {
		target = await freshDatabase(await sharedServer("postgres18"), "copy");
		await shop.settled();
		copy = new ShopCopy(shop, options());
	});
	afterEach(async () => {
		await copy?.[Symbol.asyncDispose]();
		await target?.drop();
	});

	test.each<ShopTable>(["accounts", "orders"])(
		"by way of staged files, killed at three fifths of %s",
		async (table) => {
			await copy.killAt(table, AT_60_PERCENT);
			expect(await copy.rows(table)).toBeUndefined();
			const receipt = only(await copy.project.succeed(...copy.words(table)));
			expectResumed(receipt);
			expect(await copy.rows(table)).toEqual(await copy.expected(table));
			await copy.expectClean();
		},
	);

	test.each(["c07", "c08", "c10"])("killed at %s, when all chunks are there: none is read again", async (point) => {
		const run = await crashOnce(copy, "accounts", point);
		if (point === "c10") return;
		expect(run.tables[0]!.chunks_reused).toBe(run.tables[0]!.chunks_total);
	});
});

describe.skipIf(missing("mariadb"))("chunks of several moments", () => {
	let shop: Shop;
	let round = 0;
	beforeAll(async () => {
		shop = await filledShop("mariadb");
	});
	afterAll(() => shop?.[Symbol.asyncDispose]());

	describe.each([
		["straight", { staging: false }],
		["by way of staged files", { staging: true }],
	] as const)("%s", (_how, options) => {
		test("a cursor catches up with what has changed since, also when it is killed in between", async () => {
			await using copy = new ShopCopy(shop, options);
			await copy.killAt("orders", AT_60_PERCENT);
			await shop.change(++round);
			await copy.killAt("orders", CHUNKS_BEHIND);
			expect(await copy.moves("orders")).toBe(1);
			await shop.change(++round);
			await copy.project.succeed(...copy.words("orders"));
			expect(await copy.rows("orders")).toEqual(await copy.expected("orders"));
			await copy.expectClean();
		});

		test("and says so", async () => {
			await using copy = new ShopCopy(shop, options);
			await copy.killAt("orders", AT_60_PERCENT);
			await shop.change(++round);
			const resumed = await copy.project.run(...copy.words("orders"));
			expect(resumed.code, resumed.stderr).toBe(0);
			const receipt = only(envelopeOf(resumed).data!.runs);
			expectResumed({ ...receipt, rows_read: ROWS });
			expect(receipt.consistency).toBe("cursor");
			expect(resumed.stderr).toMatch(/what has changed since .* UTC is read by modified/);
			expect(await copy.rows("orders")).toEqual(await copy.expected("orders"));
		});
	});

	test("a part that is kept is not written again", async () => {
		await using copy = new ShopCopy(shop, { staging: false });
		await shop.settled();
		const sealed = "SELECT chunk, CAST(sealed_at AS VARCHAR) AS at FROM _headrace.chunks ORDER BY chunk";
		await copy.killAt("accounts", AT_60_PERCENT);
		const before = await queryWarehouse(copy.warehouse, sealed);
		expect(before.length).toBeGreaterThanOrEqual(SEALED);
		await copy.killAt("accounts", "c08");
		const after = await queryWarehouse(copy.warehouse, sealed);
		expect(after.filter(({ chunk }) => before.some((old) => old["chunk"] === chunk))).toEqual(before);
		expect(after.length).toBeGreaterThan(before.length);
	});

	test("a refresh that was killed and is not asked for again leaves nothing behind", async () => {
		await using copy = new ShopCopy(shop, { staging: false });
		await copy.project.succeed(...copy.words("orders"));
		await copy.killAt("orders", AT_60_PERCENT, "--full-refresh");
		await shop.change(++round);
		await copy.project.succeed(...copy.words("orders"));
		expect(await copy.rows("orders")).toEqual(await copy.expected("orders"));
		await copy.expectClean();
	});
});
