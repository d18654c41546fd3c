import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Plan } from "../../src/app/api.ts";
import type { RunReceipt } from "../../src/core/index.ts";
import { envelopeOf, Project } from "../faults/project.ts";
import { Shop } from "../faults/shop.ts";
import type { ServerName } from "../support/server.ts";
import { missing } from "../support/start.ts";
import { Target, type TargetName } from "./schema-target.ts";

/** Each source and each destination once; `schema-changes.test.ts` has all pairs. */
const WAYS: readonly (readonly [ServerName, TargetName])[] = [
	["postgres15", "duckdb"],
	["mariadb", "postgres15"],
];

describe.each(WAYS)("columns that change in other modes, %s to %s", (name, into) => {
	describe.skipIf(missing(name) || missing(into === "duckdb" ? name : into))("", () => {
		let shop: Shop;
		let target: Target;
		let project: Project;
		let at: string;
		beforeAll(async () => {
			shop = await Shop.bare(name);
			at = shop.dialect === "mysql" ? "datetime" : "timestamp";
		});
		afterAll(() => shop?.[Symbol.asyncDispose]());
		beforeEach(async () => {
			target = await Target.open(into);
			project = new Project();
			await shop.sql("drop table if exists t; drop table if exists u; drop table if exists v");
		});
		afterEach(async () => {
			project[Symbol.dispose]();
			await target[Symbol.asyncDispose]();
		});

		const write = (tables: string, keys = "") =>
			project.write(
				"pipelines/p.yaml",
				`from: ${shop.url}\nto: "${target.url(project)}"\nretries: 0\n${keys}\ntables:\n  ${tables.replaceAll("shop.", `${shop.schema}.`)}\n`,
			);
		const lines = (...without: string[]) => target.lines(project, "raw.t", without);
		const columns = () => target.columns(project, "raw.t");
		const run = async (...words: string[]): Promise<RunReceipt["tables"][number]> =>
			(await project.succeed("run", "p", ...words))[0]!.tables[0]!;
		const plan = async (): Promise<Plan["tables"][number]> => {
			const result = await project.run("plan", "p");
			expect(result.code, result.stdout + result.stderr).toBe(0);
			return (envelopeOf(result).data as unknown as Plan).tables[0]!;
		};
		const told = (receipt: RunReceipt["tables"][number]) =>
			(receipt.schema_changes ?? []).map(({ column, change, action }) => `${column} ${change}: ${action}`);

		test("without a key: a default fills rows from before, rows at the position are not doubled, the cure is named", async () => {
			await shop.sql(`create table t (v int, modified ${at} not null)`);
			await shop.sql("insert into t values (1, '2026-01-01'), (2, '2026-01-02'), (2, '2026-01-02')");
			write("shop.t: { mode: incremental, cursor: modified, into: raw.t }");
			await run();
			await shop.sql("alter table t add column c int default 5");
			await shop.sql("alter table t add column d int");
			await shop.sql("update t set d = 9, modified = modified");
			await shop.sql("insert into t values (3, '2026-01-03', 6, 7)");
			expect((await plan()).notes.join("\n")).toMatch(/d added: added; rows from before have NULL.*--full-refresh/);
			await run();
			// The rows at the position are read again, so they have the new values.
			expect(await lines("modified")).toEqual(["1|5|∅", "2|5|9", "2|5|9", "3|6|7"]);
			await run();
			expect(await lines("modified")).toHaveLength(4);
			await run("--full-refresh");
			expect(await lines("modified")).toEqual(["1|5|9", "2|5|9", "2|5|9", "3|6|7"]);
		});

		test("intervals with a key: those that were loaded are read again, no others", async () => {
			await shop.sql(`create table t (id int primary key, at ${at} not null)`);
			await shop.sql(
				"insert into t values (1, '2026-01-01 06:00'), (2, '2026-01-02 06:00'), (3, '2026-01-03 06:00'), (4, '2026-01-05 06:00'), (6, '2026-01-06 06:00')",
			);
			write("shop.t: { mode: interval, cursor: at, into: raw.t }");
			await project.succeed("backfill", "p", "-s", "2026-01-01", "-e", "2026-01-03");
			await project.succeed("run", "p", "--interval", "2026-01-05");
			await shop.sql("alter table t add column c int");
			await shop.sql("update t set c = id * 10");
			const receipt = await run("--interval", "2026-01-06");
			expect(await lines("at")).toEqual(["1|10", "2|20", "4|40", "6|60"]);
			expect(receipt.rows_read).toBe(4);
			await shop.sql(`alter table t add column x ${shop.dialect === "mysql" ? "varchar(9)" : "text"}`);
			await shop.sql("alter table t drop column c");
			await shop.sql(
				shop.dialect === "mysql" ? "alter table t modify id bigint" : "alter table t alter id type bigint",
			);
			await run("--interval", "2026-01-06");
			expect(await columns()).toEqual([
				expect.stringMatching(/^id bigint/),
				expect.any(String),
				expect.stringMatching(/^c /),
				expect.stringMatching(/^x /),
			]);
			const text =
				shop.dialect === "mysql" ? "alter table t modify x date" : "alter table t alter x type date using x::date";
			await shop.sql(text);
			expect(told(await run("--interval", "2026-01-06")).join()).toMatch(/x retyped .*: table built anew/);
			// Not the interval's rows alone.
			expect(await lines("at")).toEqual(
				["1|∅|∅", "2|∅|∅", "4|∅|∅", "6|∅|∅"].map((line) => expect.stringMatching(line.slice(0, 2))),
			);
		});

		test("a query's intervals can't be read again: a change of type stops, with what to do", async () => {
			await shop.sql("create table t (id int primary key, v int)");
			await shop.sql("insert into t values (1, 10)");
			const query = (expression: string) =>
				write(
					`q: { query: "select id, ${expression} as v from t where '{{ ds }}' > ''", mode: interval, key: id, into: raw.t }`,
				);
			query("v");
			await run("--interval", "2026-01-01");
			query(shop.dialect === "mysql" ? "cast(v as char(20))" : "v::text");
			const [error] = await project.fail(1, "run", "p", "--interval", "2026-01-02");
			expect([error!.code, error!.message]).toEqual([
				"E_SCHEMA",
				expect.stringMatching(/v retyped .*new table can't be made/),
			]);
		});

		test("a query of one interval that has a cursor too: other intervals are not lost by a change of type", async () => {
			await shop.sql(`create table t (id int primary key, at ${at} not null, v int)`);
			await shop.sql("insert into t values (1, '2026-01-01 06:00', 10), (2, '2026-01-02 06:00', 20)");
			write(
				`q: { query: "select id, at, v from t where date(at) = date('{{ ds }}')", mode: interval, cursor: at, key: id, into: raw.t }`,
			);
			await project.succeed("backfill", "p", "-s", "2026-01-01", "-e", "2026-01-03");
			await shop.sql(
				shop.dialect === "mysql" ? "alter table t modify v varchar(9)" : "alter table t alter v type varchar(9)",
			);
			const [error] = await project.fail(1, "run", "p", "--interval", "2026-01-02");
			expect([error!.code, error!.message]).toEqual(["E_SCHEMA", expect.stringMatching(/rows of one interval only/)]);
			expect(await lines("at")).toEqual(["1|10", "2|20"]);
		});

		test("a change of type in a backfill of several runs at once: none puts away what another has loaded", async () => {
			await shop.sql(`create table t (id int primary key, at ${at} not null, v int)`);
			await shop.sql(
				"insert into t values (1, '2026-01-01', 1), (2, '2026-01-02', 2), (3, '2026-01-03', 3), (4, '2026-01-04', 4)",
			);
			write("shop.t: { mode: interval, cursor: at, into: raw.t }");
			await project.succeed("backfill", "p", "-s", "2026-01-01", "-e", "2026-01-02");
			await shop.sql(
				shop.dialect === "mysql" ? "alter table t modify v varchar(9)" : "alter table t alter v type varchar(9)",
			);
			await project.succeed("backfill", "p", "-s", "2026-01-02", "-e", "2026-01-05", "--max-active-runs", "3");
			expect(await lines("at")).toEqual(["1|1", "2|2", "3|3", "4|4"]);
		});

		test("full: a wider type and dropped columns stay; --full-refresh makes the table like the source", async () => {
			await shop.sql("create table t (id int primary key, v bigint, w int)");
			await shop.sql("insert into t values (1, 10, 100)");
			write("shop.t: { into: raw.t }");
			await run();
			await shop.sql("alter table t drop column w");
			await shop.sql(shop.dialect === "mysql" ? "alter table t modify v int" : "alter table t alter v type int");
			const receipt = await run();
			expect(told(receipt)).toEqual([expect.stringMatching(/^v narrowed/), "w dropped: kept"]);
			expect(await lines()).toEqual(["1|10|∅"]);
			expect((await columns()).map((column) => column.split(" ")[1])).toEqual([
				expect.any(String),
				"bigint",
				expect.any(String),
			]);
			// Told once; the columns stay.
			expect(told(await run())).toEqual([]);
			expect(await lines()).toEqual(["1|10|∅"]);
			expect((await plan()).change).toBe("same");
			await run("--full-refresh");
			const left = (await columns()).map((column) => column.split(" ").slice(0, 2).join(" "));
			// PostgreSQL's table is the same one with other rows: its columns are dropped by hand.
			expect(left).toEqual(into === "duckdb" ? ["id integer", "v integer"] : ["id integer", "v bigint", "w integer"]);
			expect(told(await run())).toEqual([]);
		});

		test("a key that the table gets: a reason to stop, or all rows are read into a new table", async () => {
			await shop.sql(`create table t (id int not null, v int, modified ${at} not null)`);
			await shop.sql("insert into t values (1, 10, '2026-01-01'), (2, 20, '2026-01-02')");
			const options = "{ mode: incremental, cursor: modified, into: raw.t }";
			write(`shop.t: ${options}`);
			await run();
			await shop.sql("alter table t add primary key (id)");
			await shop.sql("update t set v = 11, modified = modified where id = 1");
			await shop.sql("update t set v = 21, modified = '2026-01-03' where id = 2");
			for (const policy of ["freeze", "discard", "fail"]) {
				write(`shop.t: ${options}`, `schema_changes: ${policy}`);
				const [error] = await project.fail(1, "run", "p");
				expect([error!.code, error!.message]).toEqual(["E_SCHEMA", expect.stringMatching(/key none → id/)]);
				expect(await lines("modified")).toEqual(["1|10", "2|20"]);
			}
			write(`shop.t: ${options}`);
			expect(told(await run())).toContain("id key none → id: table built anew");
			expect(await lines("modified")).toEqual(["1|11", "2|21"]);
		});

		test("a wider type of a column that has an index here", async () => {
			await shop.sql(`create table t (id int primary key, v int, modified ${at} not null)`);
			await shop.sql("insert into t values (1, 10, '2026-01-01')");
			write("shop.t: { mode: incremental, cursor: modified, into: raw.t }");
			await run();
			await target.execute(project, "create index t_v on raw.t (v)");
			await shop.sql(shop.dialect === "mysql" ? "alter table t modify v bigint" : "alter table t alter v type bigint");
			await shop.sql("insert into t values (2, 3000000000, '2026-01-02')");
			await run();
			expect(await lines("modified")).toEqual(["1|10", "2|3000000000"]);
			expect(await target.indexes(project, "raw.t")).toContain("t_v");
		});

		test("staged rows land as they were sealed, though the columns have changed since", async () => {
			await shop.sql(`create table t (id int primary key, v int, modified ${at} not null)`);
			await shop.sql("insert into t values (1, 10, '2026-01-01')");
			write("shop.t: { mode: incremental, cursor: modified, into: raw.t }", "staging: ./staged");
			await project.succeed("run", "p", "--stage", "extract");
			await shop.sql("alter table t add column c int");
			await shop.sql("alter table t drop column v");
			await shop.sql("update t set c = 5, modified = modified");
			await project.succeed("run", "p", "--stage", "load");
			expect(await lines("modified")).toEqual(["1|10"]);
			await project.succeed("run", "p", "--stage", "extract");
			await project.succeed("run", "p", "--stage", "load");
			expect((await lines("modified")).map((line) => line.split("|").sort())).toEqual([["1", "10", "5"]]);
		});

		test("the plan shows DDL and reasons, and changes nothing", async () => {
			await shop.sql(`create table t (id int primary key, v int, modified ${at} not null)`);
			await shop.sql("insert into t values (1, 10, '2026-01-01')");
			write("shop.t: { mode: incremental, cursor: modified, into: raw.t }");
			await run();
			expect(await plan()).toMatchObject({ ddl: [], change: "same", schema_changes: [] });
			await shop.sql("alter table t add column c int default 5");
			await shop.sql(shop.dialect === "mysql" ? "analyze table t" : "analyze t");
			const planned = await plan();
			expect(planned.ddl.join()).toMatch(/ADD COLUMN "c" INTEGER DEFAULT 5/i);
			expect(planned.change).toBe("changed");
			expect(planned.schema_changes).toEqual([{ column: "c", change: "added", action: "added" }]);
			expect(planned.notes.join("\n")).toMatch(/c added: added; rows from before are read once more/);
			expect(planned.notes.join("\n")).toMatch(/all ~1 rows are read once more and merged/);
			expect(await columns()).toHaveLength(3);
		});

		test("new tables of a pattern: taken, left out, or a reason to stop; those that went are told", async () => {
			await shop.sql("create table t (id int primary key)");
			write("shop.*: { into: 'raw.{table}' }", "schema_changes: freeze");
			await project.succeed("run", "p");
			await shop.sql("create table u (id int primary key)");
			expect((await project.succeed("run", "p"))[0]!.tables).toHaveLength(1);
			expect(project.output.join()).toMatch(/\.u is new in the source; schema_changes: freeze leaves new tables out/);
			write("shop.*: { into: 'raw.{table}' }", "schema_changes: fail");
			const [error] = await project.fail(1, "run", "p");
			expect([error!.code, error!.message]).toEqual([
				"E_SCHEMA",
				expect.stringContaining("the table is new in the source"),
			]);
			write("shop.*: { into: 'raw.{table}' }");
			expect((await project.succeed("run", "p"))[0]!.tables).toHaveLength(2);
			await shop.sql("drop table u");
			await project.succeed("run", "p");
			expect(project.output.at(-1)! + project.output.at(-2)!).toMatch(/\.u is no longer in the source; its rows stay/);
			expect(await target.columns(project, "raw.u")).toHaveLength(1);
		});

		test("on_conflict: ignore leaves the rows that are there; new columns of them stay NULL", async () => {
			await shop.sql(`create table t (id int primary key, v int, modified ${at} not null)`);
			await shop.sql("insert into t values (1, 10, '2026-01-01')");
			write("shop.t: { mode: incremental, cursor: modified, into: raw.t, on_conflict: ignore }");
			await run();
			await shop.sql("update t set v = 11, modified = '2026-01-02'");
			await shop.sql("insert into t values (2, 20, '2026-01-02')");
			const receipt = await run();
			expect(await lines("modified")).toEqual(["1|10", "2|20"]);
			expect([receipt.rows_inserted, receipt.rows_updated]).toEqual([1, 0]);
			await shop.sql("alter table t add column c int");
			await shop.sql("update t set c = 5");
			await run();
			expect(await lines("modified")).toEqual(["1|10|∅", "2|20|∅"]);
			write("shop.t: { mode: full, into: raw.t, on_conflict: ignore }");
			expect((await project.fail(2, "run", "p"))[0]!.code).toBe("E_UNSUPPORTED");
		});

		describe("text first, types later", () => {
			const exact = "types: { mode: string }";
			const incremental = (more = "") =>
				`shop.t: { mode: incremental, cursor: seq, into: raw.t, columns: { seq: { type: int64 } }${more} }`;

			test("everything lands as text, exactly; a fix gives it its type, checked and swapped in", async () => {
				await shop.sql(
					"create table t (id int primary key, seq bigint not null, price decimal(10,2), born date, note varchar(20))",
				);
				await shop.sql("insert into t values (1, 1, 1.50, '2024-02-29', 'x'), (2, 2, -12345678.90, null, '7.5')");
				write(incremental(), exact);
				await run();
				expect(await lines()).toEqual(["1|1|1.50|2024-02-29|x", "2|2|-12345678.90|∅|7.5"]);
				await target.execute(project, "create index t_price on raw.t (price)");
				write(incremental(', fix: { price: "decimal(10,2)", born: date }'), exact);
				expect((await plan()).notes.join("\n")).toMatch(/0 of 2 values of price fail the cast to decimal\(10,2\)/);
				await shop.sql("insert into t values (3, 3, 2.25, '2024-03-01', 'y')");
				const receipt = await run();
				expect(told(receipt)).toEqual([
					expect.stringMatching(/^price fixed .*: converted$/),
					expect.stringMatching(/^born fixed .*: converted$/),
				]);
				expect(await lines()).toEqual(["1|1|1.50|2024-02-29|x", "2|2|-12345678.90|∅|7.5", "3|3|2.25|2024-03-01|y"]);
				expect((await columns()).map((column) => column.split(" ")[1])).toEqual([
					expect.stringMatching(/text|varchar/),
					"bigint",
					expect.stringMatching(/decimal|numeric/),
					"date",
					expect.stringMatching(/text|varchar/),
				]);
				expect(await target.indexes(project, "raw.t")).toContain("t_price");
				expect(told(await run())).toEqual([]);
			});

			test("one value that is none of the type stops the fix, names its key, and leaves the table", async () => {
				await shop.sql("create table t (id int primary key, seq bigint not null, price varchar(20))");
				await shop.sql("insert into t values (1, 1, '1.50'), (2, 2, 'secret-9.99'), (3, 3, '1.505')");
				write(incremental(), exact);
				await run();
				const before = await lines();
				write(incremental(', fix: { price: "decimal(10,2)" }'), exact);
				expect((await plan()).notes.join("\n")).toMatch(
					/2 of 3 values of price fail the cast to decimal\(10,2\); failing keys 2, 3/,
				);
				const [error] = await project.fail(1, "run", "p");
				expect([error!.code, error!.message]).toEqual([
					"E_VALUE",
					expect.stringMatching(/2 of 3 values of raw\.t\.price are no decimal\(10,2\): keys 2, 3/),
				]);
				expect(project.output.join()).not.toContain("secret-9.99");
				expect(await lines()).toEqual(before);
				const shown = await project.run("run", "p", "--show-values");
				expect(shown.stdout + shown.stderr).toContain("secret-9.99");
				await shop.sql("update t set price = '2.00' where id > 1");
				await project.succeed("run", "p", "--full-refresh");
				expect(await lines()).toEqual(["1|1|1.50", "2|2|2.00", "3|3|2.00"]);
			});

			test("a column that is renamed and fixed at once; a type that the destination can't try is told by the plan", async () => {
				await shop.sql("create table t (id int primary key, seq bigint not null, price varchar(20))");
				await shop.sql("insert into t values (1, 1, '1.5')");
				write(incremental(), exact);
				await run();
				write(incremental(", fix: { price: interval }"), exact);
				expect((await project.fail(2, "run", "p"))[0]).toMatchObject({ code: "E_INVALID_VALUE", line: 6 });
				if (into !== "duckdb") {
					write(incremental(", fix: { price: json }"), exact);
					const [error] = await project.fail(2, "run", "p");
					expect(error).toMatchObject({ code: "E_UNSUPPORTED" });
					expect(error!.message).toMatch(/can't make json of the text in raw\.t\.price/);
				}
				expect(await lines()).toEqual(["1|1|1.5"]);
				await shop.sql("alter table t rename column price to cost");
				await shop.sql("insert into t values (2, 2, '2.25')");
				write(
					`shop.t: { mode: incremental, cursor: seq, into: raw.t, columns: { seq: { type: int64 }, cost: { renamed_from: price } }, fix: { cost: "decimal(10,2)" } }`,
					exact,
				);
				await run();
				expect(await lines()).toEqual(["1|1|1.50", "2|2|2.25"]);
			});

			test("rows that come must be of the type too", async () => {
				await shop.sql("create table t (id int primary key, seq bigint not null, price varchar(20))");
				await shop.sql("insert into t values (1, 1, '1.5')");
				write(incremental(', fix: { price: "decimal(10,2)" }'), exact);
				await run();
				expect(await lines()).toEqual(["1|1|1.50"]);
				await shop.sql("insert into t values (2, 2, 'none')");
				const [error] = await project.fail(1, "run", "p");
				expect([error!.code, error!.message]).toEqual(["E_VALUE", expect.stringContaining("price")]);
				expect(await lines()).toEqual(["1|1|1.50"]);
			});
		});

		test("a run that is killed between DDL and commit leaves the old table; the next one does it all", async () => {
			await shop.sql(`create table t (id int primary key, v int, modified ${at} not null)`);
			await shop.sql("insert into t values (1, 10, '2026-01-01'), (2, 20, '2026-01-02')");
			write("shop.t: { mode: incremental, cursor: modified, into: raw.t }");
			await run();
			await shop.sql("alter table t add column c int default 5");
			await shop.sql(shop.dialect === "mysql" ? "alter table t modify v bigint" : "alter table t alter v type bigint");
			await shop.sql("insert into t values (3, 30, '2026-01-03', 6)");
			const before = [await columns(), await lines()];
			const killed = await project.start(["run", "p"], { env: { HEADRACE_CRASH: "c09" } }).ended;
			expect(killed.signal).toBe("SIGKILL");
			// PostgreSQL's DDL is committed before, so that readers don't wait for the rows: it only adds.
			if (into === "duckdb") expect([await columns(), await lines()]).toEqual(before);
			else expect(await lines("modified")).toEqual(["1|10|5", "2|20|5"]);
			expect(await target.recorded(project)).toBe(1);
			expect(told(await run())).toContain("c added: added");
			expect(await lines("modified")).toEqual(["1|10|5", "2|20|5", "3|30|6"]);
			expect(await target.recorded(project)).toBe(2);
			const after = await project.start(["run", "p"], { env: { HEADRACE_CRASH: "c10" } }).ended;
			expect(after.signal).toBe("SIGKILL");
			expect(told(await run())).toEqual([]);
		});

		test.skipIf(into === "duckdb" || name === "mariadb")(
			"a reader sees the old columns with the old rows, or the new with the new",
			async () => {
				const many = 20_000;
				await shop.sql(`create table t (id int primary key, v int, modified ${at} not null)`);
				await shop.sql(
					`insert into t select n, n, timestamp '2026-01-01' + n * interval '1 second' from generate_series(1, ${many}) as n`,
				);
				write("shop.t: { mode: incremental, cursor: modified, into: raw.t }");
				await run();
				await shop.sql("alter table t alter v type text");
				await shop.sql("alter table t add column c int default 5");
				await shop.sql("update t set v = 'n' || v, modified = modified");
				const running = project.start(["run", "p"]);
				const seen = new Set<string>();
				let over = false;
				void running.ended.then(() => {
					over = true;
				});
				while (!over) {
					const [row] = await target.query(
						project,
						"select count(*) as n, count(*) filter (where v::text like 'n%') as new, (select count(*) from raw.t as u where to_jsonb(u) ? 'c') as c from raw.t",
					);
					seen.add(`${row!["n"]} ${row!["new"]} ${row!["c"]}`);
					await sleep(5);
				}
				expect((await running.ended).code).toBe(0);
				for (const state of seen) expect([`${many} 0 0`, `${many} ${many} ${many}`]).toContain(state);
				expect(seen).toContain(`${many} 0 0`);
			},
		);
	});
});
