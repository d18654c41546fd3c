import { createHmac } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { envelopeOf, Project } from "../faults/project.ts";
import { Shop } from "../faults/shop.ts";
import { freshDatabase, sharedServer, type TestDatabase } from "../support/shared.ts";
import { missing } from "../support/start.ts";

const SECRET = "pepper-of-the-shop";

describe.skipIf(missing("mariadb") || missing("postgres15"))("what may land, MariaDB to PostgreSQL", () => {
	let shop: Shop;
	let mart: TestDatabase;
	let project: Project;
	beforeAll(async () => {
		shop = await Shop.open("mariadb");
	});
	afterAll(() => shop?.[Symbol.asyncDispose]());
	beforeEach(async () => {
		await shop.sql("delete from accounts; delete from orders; delete from journal; delete from visits");
		await shop.fill(20);
		mart = await freshDatabase(await sharedServer("postgres15"), "mart");
		project = new Project();
	});
	afterEach(async () => {
		project[Symbol.dispose]();
		await mart.drop();
	});

	const write = (rest: string) =>
		project.write(
			"pipelines/p.yaml",
			`from: ${shop.url}\nto: ${mart.url}\nretries: 0\n${rest.replaceAll("shop.", `${shop.schema}.`)}\n`,
		);
	const failed = async (code: number, ...words: string[]) => {
		const result = await project.run(...words);
		expect([result.code, result.stderr + result.stdout]).toEqual([code, expect.anything()]);
		return envelopeOf(result);
	};
	const count = async (from: string) => (await mart.query(`select count(*)::text as n from ${from}`))[0]!["n"];

	test.each([
		["replace", "shop.orders: { into: raw.orders }"],
		["merge", "shop.orders: { mode: incremental, cursor: modified, into: raw.orders }"],
	])("%s: a check that fails keeps the old rows and names the keys", async (_write, table) => {
		write(`tables: { ${table} }
checks:
  - { table: raw.orders, not_null: [note], unique: [id, note], range: { amount: { min: 0, max: "1000.5" }, modified: { max: 2199-01-01 } }, rows: "= 20" }
  - { table: raw.orders, sql: "select id from {{ this }} where note = '{{ params.x }}';", accepted: { deleted: [0, 1] } }
params: { x: it's }`);
		const [run] = await project.succeed("run", "p");
		expect(run!.tables[0]!.checks!.map((check) => check.state)).toEqual(Array(7).fill("passed"));
		await shop.sql(`update orders set note = null, amount = -1, modified = ${shop.now} where id in (3, 7)`);
		const { errors } = await failed(1, "run", "p");
		expect(errors[0]!.message).toBe(
			`${shop.schema}.orders: 2 checks failed: "raw.orders not_null note": 2 of 20 rows; id: 3, 7; "raw.orders range amount": 2 of 20 rows; id: 3, 7`,
		);
		expect(await count("raw.orders where amount < 0")).toBe("0");
		await shop.sql(`update orders set note = 'mended', amount = 1, modified = ${shop.now} where note is null`);
		await project.succeed("run", "p");
		expect(await count("raw.orders where note = 'mended'")).toBe("2");
	});

	test("no SQL of a check ends the load's transaction", async () => {
		for (const sql of [
			"select 1; commit",
			"select 1) as a; commit; select * from (select 1",
			"delete from raw.orders",
		]) {
			write(
				`tables: { shop.orders: { into: raw.orders } }\nchecks: [{ table: raw.orders, sql: ${JSON.stringify(sql)} }]`,
			);
			expect((await failed(1, "run", "p")).errors[0]!.message).toContain("can't be asked");
			expect(await count("information_schema.tables where table_schema = 'raw'")).toBe("0");
		}
	});

	test("freshness, masks, a summary, and hooks on the destination", async () => {
		await shop.sql("update orders set modified = utc_timestamp(6) where id = 1");
		write(`tables:
  shop.orders:
    into: raw.orders
    columns: { note: { mask: hmac, secret: "${SECRET}" } }
    hooks: { after: [{ on: destination, sql: "create or replace view raw.seen as select * from {{ this }}" }] }
checks: [{ table: raw.orders, freshness: { modified: 1h } }]
summaries:
  daily:
    into: mart.daily
    key: day
    query: select modified::date as day, sum(amount) as total from raw.orders group by 1 -- by day
hooks: { before: [{ on: destination, sql: ["create table if not exists public.log (what text)", "insert into public.log values ('{{ run_id }}')"] }] }`);
		await project.succeed("run", "p");
		expect(await count("raw.seen")).toBe("20");
		expect(await mart.query("select note from raw.orders where id = 5")).toEqual([
			{ note: createHmac("sha256", SECRET).update("note 5").digest("hex") },
		]);
		expect(await mart.query("select total::text from mart.daily order by day")).toEqual([
			{ total: "52.25" },
			{ total: "0.25" },
		]);
		await mart.query(
			"alter table mart.daily add column note text default 'ours'; create unique index on mart.daily (day)",
		);
		await shop.sql("update orders set amount = amount + 1");
		await project.succeed("run", "p");
		expect(await mart.query("select total::text, note from mart.daily order by day")).toEqual([
			{ total: "71.25", note: "ours" },
			{ total: "1.25", note: "ours" },
		]);
		expect(await count("pg_indexes where schemaname = 'mart'")).toBe("1");
		expect(await count("public.log")).toBe("2");
		await shop.sql("update orders set modified = '2020-01-01'");
		const { errors, data } = await failed(1, "run", "p");
		expect(errors[0]!.message).toContain("the newest modified is older than 1h");
		expect(data!.runs[0]!.tables.map((table) => table.state)).toEqual(["failed", "skipped"]);
		expect(await count("mart.daily")).toBe("2");
	});
});
