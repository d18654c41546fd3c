import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { envelopeOf, Project } from "../faults/project.ts";
import { Shop } from "../faults/shop.ts";
import { leftovers, readWarehouse } from "../faults/warehouse.ts";
import type { ServerName } from "../support/server.ts";
import { missing } from "../support/start.ts";

describe.each<[ServerName]>([["mariadb"], ["postgres15"]])("what the modes promise, %s to DuckDB", (name) => {
	describe.skipIf(missing(name))("", () => {
		let shop: Shop;
		let project: Project;
		beforeAll(async () => {
			shop = await Shop.open(name);
		});
		afterAll(() => shop?.[Symbol.asyncDispose]());
		beforeEach(async () => {
			await shop.sql("delete from accounts; delete from orders; delete from journal; delete from visits");
			await shop.fill(20);
			project = new Project();
		});
		afterEach(() => project[Symbol.dispose]());

		const write = (tables: string, keys = "") =>
			project.write(
				"pipelines/p.yaml",
				`from: ${shop.url}\nto: duckdb:w.duckdb\nretries: 0\n${keys}\ntables:\n${tables.replaceAll("shop.", `${shop.schema}.`)}\n`,
			);
		const rows = async (table: string) =>
			(await readWarehouse(project.path("w.duckdb"))).tables.get(`${shop.schema}.${table}`);

		test("a flag column removes the rows, and rows that come back come back", async () => {
			write("  shop.orders: { mode: incremental, cursor: modified, deleted: deleted }");
			await shop.sql("update orders set deleted = 1 where id <= 3");
			await project.succeed("run", "p");
			expect(await rows("orders")).toEqual(await shop.lines("orders", "deleted = 0"));
			await shop.sql(`update orders set deleted = 1, modified = ${shop.now} where id between 4 and 8`);
			await shop.sql(`update orders set deleted = 0, modified = ${shop.now} where id = 2`);
			const [run] = await project.succeed("run", "p");
			expect(run!.tables[0]!.rows_deleted).toBe(5);
			expect(await rows("orders")).toEqual(await shop.lines("orders", "deleted = 0"));
			await project.succeed("run", "p", "--full-refresh");
			expect(await rows("orders")).toEqual(await shop.lines("orders", "deleted = 0"));
		});

		test("an interval again changes nothing, takes up what changed, and leaves its neighbours alone", async () => {
			write("  shop.visits: { mode: interval, cursor: at }");
			await shop.sql(`insert into visits values (900, '/start', '2026-01-02 00:00:00'), (901, '/end', '2026-01-03 00:00:00'),
				(902, '/last', '2026-01-02 23:59:59.999999')`);
			await project.succeed("backfill", "p", "-s", "2026-01-01", "-e", "2026-01-03");
			const two = await shop.lines("visits", "at < '2026-01-03'");
			expect(await rows("visits")).toEqual(two);
			await project.succeed("run", "p", "--interval", "2026-01-02");
			expect(await rows("visits")).toEqual(two);
			await shop.sql("delete from visits where id = 900; update visits set page = '/moved' where id = 902");
			await shop.sql("update visits set page = '/not asked' where at < '2026-01-02'");
			const before = (await rows("visits"))!.filter((line) => line.includes("|2026-01-01"));
			await project.succeed("run", "p", "--interval", "2026-01-02");
			const expected = await shop.lines("visits", "at >= '2026-01-02' and at < '2026-01-03'");
			expect(await rows("visits")).toEqual([...before, ...expected].sort());
		});

		test("an interval of appended rows without a key is replaced, not doubled", async () => {
			write("  shop.visits: { mode: interval, cursor: at, write: append }");
			for (let time = 0; time < 2; time++) await project.succeed("run", "p", "--interval", "2026-01-02");
			expect(await rows("visits")).toEqual(await shop.lines("visits", "at >= '2026-01-02' and at < '2026-01-03'"));
		});

		test("a query of a day replaces its own rows by their tag", async () => {
			write(
				"  daily: { query: \"select id, page, '{{ ds }}' as day from visits where at >= '{{ ds }}' and id < {{ params.below }}\", mode: interval, into: raw.daily }",
				"params: { below: 1000 }",
			);
			const count = async () => (await readWarehouse(project.path("w.duckdb"))).tables.get("raw.daily")?.length;
			await project.succeed("run", "p", "--interval", "2026-01-02");
			const first = await count();
			await project.succeed("run", "p", "--interval", "2026-01-02");
			expect(await count()).toBe(first);
			await project.succeed("run", "p", "--interval", "2026-01-03");
			expect(await count()).toBeGreaterThan(first!);
		});

		test("--full-refresh takes deletes and silent updates along", async () => {
			write(
				"  shop.orders: { mode: incremental, cursor: modified }\n  shop.journal: { mode: incremental, cursor: seq }",
			);
			await project.succeed("run", "p");
			await shop.sql(
				"delete from orders where id = 5; update orders set note = 'silent' where id = 6; delete from journal where note = 'line 7'",
			);
			await project.succeed("run", "p");
			expect(await rows("orders")).not.toEqual(await shop.lines("orders"));
			await project.succeed("run", "p", "--full-refresh");
			expect(await rows("orders")).toEqual(await shop.lines("orders"));
			expect(await rows("journal")).toEqual(await shop.lines("journal"));
			await shop.change(1);
			await project.succeed("run", "p");
			expect(await rows("orders")).toEqual(await shop.lines("orders"));
			expect(await rows("journal")).toEqual(await shop.lines("journal"));
		});

		test("--failed takes only what failed, and other tables of the run are done", async () => {
			await shop.sql("insert into journal (note) values (null)");
			write("  shop.accounts: {}\n  shop.journal: { key: note }\n  shop.orders: {}");
			const failed = await project.run("run", "p");
			expect(failed.code, failed.stdout).toBe(1);
			const [run] = envelopeOf(failed).data!.runs;
			expect(run!.tables.map((table) => [table.table.split(".")[1], table.state, table.error?.code])).toEqual([
				["accounts", "succeeded", undefined],
				["journal", "failed", "E_NULL_KEY"],
				["orders", "succeeded", undefined],
			]);
			expect(await rows("journal")).toBeUndefined();
			await shop.sql("delete from journal where note is null");
			const [again] = await project.succeed("run", "p", "--failed", run!.run_id);
			expect(again!.tables.map((table) => table.table.split(".")[1])).toEqual(["journal"]);
			expect(await rows("journal")).toEqual(await shop.lines("journal"));
		});

		test("extract and load apart give the same; load alone loads what was sealed", async () => {
			write(
				"  shop.accounts: {}\n  shop.orders: { mode: incremental, cursor: modified }\n  shop.journal: { mode: incremental, cursor: seq }",
			);
			const equal = async () => {
				for (const table of ["accounts", "orders", "journal"] as const)
					expect(await rows(table), table).toEqual(await shop.lines(table));
			};
			for (const round of [1, 2]) {
				await project.succeed("run", "p", "--stage", "extract");
				expect(project.files(".headrace/staging").filter((file) => file.endsWith(".json"))).toHaveLength(3);
				await project.succeed("run", "p", "--stage", "load");
				await equal();
				expect(project.files(".headrace/staging")).toEqual([]);
				await project.succeed("run", "p", "--stage", "load");
				await equal();
				await shop.change(round);
			}
			const sealed = await shop.lines("orders");
			await project.succeed("run", "p", "--stage", "extract");
			await shop.change(9);
			await project.succeed("run", "p", "--stage", "load");
			expect(await rows("orders")).toEqual(sealed);
			await project.succeed("run", "p");
			await equal();
			expect(leftovers(await readWarehouse(project.path("w.duckdb")))).toEqual([]);
		});

		test("columns that appear are added, columns that go stay and are NULL from then on", async () => {
			const text = shop.dialect === "mysql" ? "varchar(20)" : "text";
			await shop.sql(`create table drifting (id int primary key, a ${text}, b ${text}, modified timestamp not null)`);
			await shop.sql("insert into drifting values (1, 'a1', 'b1', '2026-01-01'), (2, 'a2', 'b2', '2026-01-02')");
			write("  shop.drifting: { mode: incremental, cursor: modified }");
			await project.succeed("run", "p");
			await shop.sql(`alter table drifting add column c ${text}`);
			await shop.sql("insert into drifting values (3, 'a3', 'b3', '2026-01-03', 'c3')");
			await project.succeed("run", "p");
			expect(await rows("drifting")).toEqual(
				["1|a1|b1|2026-01-01 00:00:00|∅", "2|a2|b2|2026-01-02 00:00:00|∅", "3|a3|b3|2026-01-03 00:00:00|c3"].map(
					(line) => line.replace(/00:00:00/, (time) => (shop.dialect === "mysql" ? `${time}+00` : time)),
				),
			);
			await shop.sql("alter table drifting drop column b");
			await shop.sql("insert into drifting (id, a, modified, c) values (4, 'a4', '2026-01-04', 'c4')");
			await project.succeed("run", "p");
			const lines = (await rows("drifting"))!;
			expect(lines).toHaveLength(4);
			expect(lines[0]).toMatch(/^1\|a1\|b1/);
			expect(lines[3]).toMatch(/^4\|a4\|∅\|.*\|c4$/);
			await shop.sql("drop table drifting");
		});
	});
});
