import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Plan } from "../../src/app/api.ts";
import type { RunReceipt } from "../../src/core/index.ts";
import { envelopeOf, Project } from "../faults/project.ts";
import { Shop } from "../faults/shop.ts";
import { leftovers, queryWarehouse, readWarehouse } from "../faults/warehouse.ts";
import type { ServerName } from "../support/server.ts";
import { missing } from "../support/start.ts";

const SECRET = "pepper-of-the-shop";
const hashed = (text: string) => createHmac("sha256", SECRET).update(text).digest("hex");

describe.each<[ServerName]>([["mariadb"], ["postgres15"]])("what may land, %s to DuckDB", (name) => {
	describe.skipIf(missing(name))("", () => {
		let shop: Shop;
		let project: Project;
		beforeAll(async () => {
			shop = await Shop.open(name);
			await shop.sql(
				"create table people (id bigint primary key, email varchar(80), card varchar(40) default 'none', salary int, born date not null)",
			);
			await shop.sql("create table done (what varchar(80))");
		});
		afterAll(() => shop?.[Symbol.asyncDispose]());
		beforeEach(async () => {
			await shop.sql(
				"delete from accounts; delete from orders; delete from journal; delete from visits; delete from people; delete from done",
			);
			await shop.fill(20);
			project = new Project();
		});
		afterEach(() => project[Symbol.dispose]());

		const write = (rest: string) =>
			project.write(
				"pipelines/p.yaml",
				`from: ${shop.url}\nto: duckdb:w.duckdb\nretries: 0\n${rest.replaceAll("shop.", `${shop.schema}.`)}\n`,
			);
		const rows = async (table: string) => (await readWarehouse(project.path("w.duckdb"))).tables.get(table);
		const query = (sql: string) => queryWarehouse(project.path("w.duckdb"), sql);
		const failed = async (code: number, ...words: string[]) => {
			const result = await project.run(...words);
			expect([result.code, result.stderr + result.stdout]).toEqual([code, expect.anything()]);
			return envelopeOf(result);
		};
		const planOf = async () => {
			const result = await project.run("plan", "p");
			expect([result.code, result.stderr]).toEqual([0, ""]);
			return envelopeOf(result).data as unknown as Plan;
		};

		describe("masks", () => {
			const people = async () => {
				await shop.sql(`insert into people values (1, 'ann@example.com', '4111111111111111', 5000, '1990-02-03'),
					(2, null, null, null, '1991-01-01'), (3, 'ann@example.com', 'short', 7000, '1992-01-01')`);
			};
			const COLUMNS = `columns: { email: { mask: hmac, secret: "${SECRET}" }, card: { mask: partial }, salary: { mask: null }, born: { mask: hmac, secret: "${SECRET}" } }`;

			test("values are hidden on the way, in staged files and in everything that is told", async () => {
				await people();
				write(`staging: ./staged\ntables:\n  shop.people: { mode: full, into: raw.people, ${COLUMNS} }`);
				const [table] = (await planOf()).tables;
				expect(table!.columns.map((column) => [column.name, column.destination_type, column.fidelity])).toEqual([
					["id", "BIGINT", "exact"],
					["email", "VARCHAR", "lossy"],
					["card", "VARCHAR", "lossy"],
					["salary", "INTEGER", "lossy"],
					["born", "VARCHAR", "lossy"],
				]);
				expect(table!.columns[1]!.note).toContain("masked: its HMAC-SHA-256 by the secret");
				expect(table!.ddl.join()).not.toContain("none");
				await project.succeed("run", "p", "--stage", "extract");
				for (const file of project.files("staged")) {
					const content = readFileSync(project.path(`staged/${file}`), "latin1");
					for (const value of ["ann@example", "411111111111", "short", "1990-02-03"])
						expect(content).not.toContain(value);
				}
				const [run] = await project.succeed("run", "p", "--stage", "load");
				expect(await rows("raw.people")).toEqual([
					`1|${hashed("ann@example.com")}|***1111|∅|${hashed("1990-02-03")}`,
					`2|∅|∅|∅|${hashed("1991-01-01")}`,
					`3|${hashed("ann@example.com")}|***rt|∅|${hashed("1992-01-01")}`,
				]);
				expect(run!.tables[0]!.values_changed).toEqual({ email: 2, card: 2, salary: 2, born: 3 });
				await project.run("logs", run!.run_id);
				await project.run("runs", "show", run!.run_id);
				const told = project.output.join("\n");
				for (const value of ["ann@", "4111", SECRET, "1990-02"]) expect(told).not.toContain(value);
			});

			test("equal values of two tables have equal hashes, a hashed key merges, other masks of a key are refused", async () => {
				await people();
				await shop.sql("insert into orders select id, email, 1, '2026-02-01', 0 from people where id = 1 and 1 = 0");
				await shop.sql("update orders set note = 'ann@example.com' where id = 5");
				const hmac = `{ mask: hmac, secret: "${SECRET}" }`;
				const tables = `tables:\n  shop.people: { columns: { id: ${hmac}, email: ${hmac}, born: drop } }\n  shop.orders: { mode: incremental, cursor: modified, columns: { id: ${hmac}, note: ${hmac} } }`;
				write(tables);
				await project.succeed("run", "p");
				const s = `"${shop.schema}"`;
				expect(
					await query(
						`select count(*) as n from ${s}.people p join ${s}.orders o on p.email = o.note where p.id <> o.id`,
					),
				).toEqual([{ n: 2n }]);
				expect(await query(`select id from ${s}.people order by 1`)).toEqual(
					["1", "2", "3"].map((id) => ({ id: hashed(id) })).sort((a, b) => (a.id < b.id ? -1 : 1)),
				);
				await shop.sql(`update orders set note = 'other', modified = ${shop.now} where id = 5`);
				const [run] = await project.succeed("run", "p", "--table", "*.orders");
				expect([run!.tables[0]!.rows_updated, run!.tables[0]!.rows_inserted]).toEqual([1, 0]);
				write("tables: { shop.people: { columns: { id: { mask: partial } } } }");
				expect((await failed(2, "run", "p")).errors[0]).toMatchObject({ code: "E_INVALID_VALUE", line: 4 });
				write(`tables: { shop.orders: { mode: incremental, cursor: modified, columns: { modified: ${hmac} } } }`);
				expect((await failed(2, "run", "p")).errors[0]!.message).toContain("is the cursor");
			});

			test("masks that change are told, staged rows under old masks are read again, a key's new mask stops", async () => {
				const table = (columns: string) =>
					`staging: ./staged\ntables: { shop.orders: { mode: incremental, cursor: modified, ${columns} } }`;
				write(table("late: 0s"));
				await project.succeed("run", "p", "--stage", "extract");
				write(table(`columns: { note: { mask: hmac, secret: "${SECRET}" } }`));
				await project.succeed("run", "p");
				expect((await query(`select count(*) as n from "${shop.schema}".orders where note like '%note%'`))[0]).toEqual({
					n: 0n,
				});
				write(table(`columns: { note: { mask: null } }`));
				expect((await planOf()).tables[0]!.notes.join()).toContain("its masks have changed");
				await project.succeed("run", "p");
				expect(project.output.join()).toContain("the masks of its columns have changed");
				write(table(`columns: { id: { mask: hmac, secret: "${SECRET}" } }`));
				const hidden = async () =>
					(await query(`select count(*) as n from "${shop.schema}".orders where length(id) = 64`))[0]!["n"];
				// A number becomes text: the table is built anew, with every key masked.
				await project.succeed("run", "p");
				expect(await hidden()).toBe(20n);
				write(table(`columns: { id: { mask: hmac, secret: "another ${SECRET}" } }`));
				expect((await failed(1, "run", "p")).errors[0]!.code).toBe("E_SCHEMA");
				await project.succeed("run", "p", "--full-refresh");
				expect(await hidden()).toBe(20n);
			});
		});

		describe("checks", () => {
			test("a check that fails leaves the old table, names the rows by their keys, and nothing else of them", async () => {
				write(
					"tables: { shop.orders: { into: raw.orders } }\nchecks:\n  - { table: raw.orders, not_null: [note], unique: id }",
				);
				await project.succeed("run", "p");
				const before = await rows("raw.orders");
				await shop.sql("update orders set note = null, amount = 777.25 where id in (3, 7)");
				const { errors, data } = await failed(1, "run", "p");
				expect(errors[0]).toMatchObject({
					code: "E_CHECK",
					message: `${shop.schema}.orders: check "raw.orders not_null note" failed: 2 of 20 rows; id: 3, 7`,
				});
				expect(errors[0]!.hint).toContain("(pipelines/p.yaml:6)");
				expect(JSON.stringify(data)).not.toContain("777.25");
				expect(data!.runs[0]!.tables[0]!.checks).toEqual([
					{ name: "raw.orders not_null note", severity: "error", state: "failed", failing: 2 },
					{ name: "raw.orders unique id", severity: "error", state: "passed", failing: 0 },
				]);
				const contents = await readWarehouse(project.path("w.duckdb"));
				expect(contents.tables.get("raw.orders")).toEqual(before);
				expect(leftovers(contents)).toEqual([]);
				const shown = await project.start(["runs", "show", data!.runs[0]!.run_id], { plain: true }).ended;
				expect(shown.stdout).toContain("check raw.orders not_null note failed: 2");
				await shop.sql("update orders set note = 'mended' where note is null");
				const [run] = await project.succeed("run", "p");
				expect(run!.tables[0]!.checks!.map((check) => check.state)).toEqual(["passed", "passed"]);
			});

			test("all kinds, in a merge, an append and an interval: none moves a row or a position", async () => {
				await shop.sql("update visits set page = '/odd' where id <= 4");
				write(`tables:
  shop.orders: { mode: incremental, cursor: modified, into: raw.orders }
  shop.journal: { mode: incremental, cursor: seq, write: append, into: raw.journal }
  shop.visits: { mode: interval, cursor: at, into: raw.visits }
checks:
  - { table: raw.orders, range: { amount: { min: 0, max: 100 }, modified: { max: 2099-01-01 } }, rows: ">= 20" }
  - { table: raw.journal, accepted: { note: [line 1] }, severity: warn, name: only one }
  - { table: raw.visits, sql: "select * from {{ this }} where page = '/odd' and '{{ ds }}' = '2026-01-01'", name: no odd page }`);
				const [interval, ...others] = ["--interval", "2026-01-01"];
				const first = await failed(1, "run", "p", interval!, ...others);
				expect(first.errors.map((error) => error.message)).toEqual([
					`${shop.schema}.visits: check "no odd page" failed: its query returns 4 rows; id: 1, 2, 3, 4`,
				]);
				const contents = await readWarehouse(project.path("w.duckdb"));
				expect([...contents.tables.keys()].sort()).toEqual(["raw.journal", "raw.orders"]);
				expect(contents.positions.filter((row) => row.position !== null)).toHaveLength(2);
				expect(first.data!.runs[0]!.tables.find((table) => table.into === "raw.journal")!.checks).toEqual([
					{ name: "only one", severity: "warn", state: "failed", failing: 19 },
				]);
				await shop.sql(`update orders set amount = -1, modified = ${shop.now} where id = 9`);
				const second = await failed(1, "run", "p", "--table", "*.orders", interval!, ...others);
				expect(second.errors[0]!.message).toContain('"raw.orders range amount" failed: 1 of 20 rows; id: 9');
				expect((await readWarehouse(project.path("w.duckdb"))).positions).toEqual(
					contents.positions.map((row) => ({ ...row })),
				);
				await project.succeed("run", "p", "--table", "*.visits", "--interval", "2026-01-02");
			});

			test("freshness, by the newest value", async () => {
				write(
					"tables: { shop.orders: { into: raw.orders } }\nchecks: [{ table: raw.orders, freshness: { modified: 2h } }]",
				);
				expect((await failed(1, "run", "p")).errors[0]!.message).toContain("the newest modified is older than 2h");
				const utc = shop.dialect === "mysql" ? "utc_timestamp(6)" : "clock_timestamp() at time zone 'UTC'";
				await shop.sql(`update orders set modified = ${utc} where id = 1`);
				await project.succeed("run", "p");
			});

			test("keys that are masked are not told, values only for who asks, and neither is stored", async () => {
				write(`tables:
  shop.orders: { into: raw.orders, columns: { id: { mask: hmac, secret: "${SECRET}" } } }
checks: [{ table: raw.orders, accepted: { note: [none] } }]`);
				const { errors } = await failed(1, "run", "p");
				expect(errors[0]!.message).toBe(
					`${shop.schema}.orders: check "raw.orders accepted note" failed: 20 of 20 rows`,
				);
				const shown = await project.run("--show-values", "run", "p");
				expect(shown.stdout).toContain('"values":');
				expect(shown.stdout).toMatch(/note \\"note \d+\\"/);
				expect(shown.stdout).not.toContain(hashed("1"));
				const { run_id } = (envelopeOf(shown).data!.runs as readonly RunReceipt[])[0]!;
				for (const words of [
					["logs", run_id],
					["runs", "show", run_id],
				])
					expect((await project.run(...words)).stdout).not.toMatch(/note \d/);
			});

			test("hostile names and values stay names and values", async () => {
				const nasty = `x' or "1"="1"; drop table raw.orders; --`;
				write(`tables: { shop.orders: { into: raw.orders, columns: { note: { rename: ${JSON.stringify(nasty)} } } } }
checks:
  - { table: raw.orders, name: ${JSON.stringify(nasty)}, not_null: ${JSON.stringify(nasty)}, unique: [${JSON.stringify(nasty)}] }
  - { table: raw.orders, accepted: { ${JSON.stringify(nasty)}: [${JSON.stringify(nasty)}] }, severity: warn }
  - { table: raw.orders, sql: "select * from {{ this }} where amount < 0 -- nothing" }
  - { table: raw.orders, sql: "select 1 where '{{ params.x }}' = 'y';" }
params: { x: ${JSON.stringify(nasty)} }`);
				const [run] = await project.succeed("run", "p");
				expect(run!.tables[0]!.checks!.map((check) => check.failing)).toEqual([0, 0, 20, 0, 0]);
				expect(await rows("raw.orders")).toHaveLength(20);
				write(
					"tables: { shop.orders: { into: raw.orders } }\nchecks: [{ table: raw.orders, sql: 'select 1; commit' }]",
				);
				const { errors } = await failed(1, "run", "p");
				expect(errors[0]).toMatchObject({ code: "E_CHECK" });
				expect(errors[0]!.message).toContain("can't be asked");
			});

			test("what can't be asked is told by the plan, with its place", async () => {
				write(`tables: { shop.orders: { into: raw.orders } }
checks:
  - { table: raw.order, rows: "> 0" }
  - { table: raw.orders, not_null: nota }
  - { table: raw.orders, freshness: { note: 1h } }
  - { table: raw.orders, sql: "select {{ params.nope }}" }`);
				const { errors } = await failed(2, "plan", "p");
				expect(errors.map(({ code, line }) => `${line} ${code}`)).toEqual([
					"6 E_UNKNOWN_TABLE",
					"7 E_UNKNOWN_COLUMN",
					"8 E_INVALID_VALUE",
					"9 E_TEMPLATE",
				]);
				project.write(
					"pipelines/p.yaml",
					`from: ${shop.url}\nto: ./out\ntables: { ${shop.schema}.orders: {} }\nchecks: [{ table: ${shop.schema}.orders, rows: 1 }]`,
				);
				expect((await failed(2, "plan", "p")).errors[0]).toMatchObject({ code: "E_UNSUPPORTED", line: 4 });
			});
		});

		describe("summaries", () => {
			const SUMMARIES = `summaries:
  top: { into: mart.top, query: "select max(total) as total from mart.daily", depends_on: [daily] }
  daily:
    into: mart.daily
    key: day
    depends_on: [raw.orders]
    query: |
      select cast(modified as date) as day, sum(amount) as total, {{ params.tag }} as tag
      from raw.orders group by all
params: { tag: a'b }`;

			test("are built after what they depend on, again and again, and keep their table's form", async () => {
				write(`tables: { shop.orders: { into: raw.orders }, shop.accounts: {} }\n${SUMMARIES}`);
				const plan = await planOf();
				expect(plan.tables.map(({ table, mode }) => [table, mode]).slice(2)).toEqual([
					["daily", "summary"],
					["top", "summary"],
				]);
				const [run] = await project.succeed("run", "p");
				expect(run!.tables.map(({ table }) => table).slice(2)).toEqual(["daily", "top"]);
				expect(await query("select total, tag from mart.daily")).toEqual([{ total: "52.50", tag: "a'b" }]);
				expect(run!.tables[2]!.checks!.map(({ name }) => name)).toEqual([
					"mart.daily not_null day",
					"mart.daily unique day",
					"mart.daily rows > 0",
				]);
				const tasks = envelopeOf(await project.run("tasks", "list", "p")).data as unknown as {
					tasks: { task: string }[];
				};
				expect(tasks.tasks.map(({ task }) => task)).toEqual(expect.arrayContaining(["daily", "top"]));
				await shop.sql("update orders set amount = amount + 1");
				const [only] = await project.succeed("run", "p", "--table", "daily");
				expect(only!.tables.map(({ table }) => table)).toEqual(["daily"]);
				expect(await query("select total from mart.daily")).toEqual([{ total: "52.50" }]);
				const [again] = await project.succeed("run", "p", "--params", "tag=c");
				expect(again!.tables[2]!.rows_loaded).toBe(1);
				expect(await query("select total, tag from mart.daily")).toEqual([{ total: "72.50", tag: "c" }]);
				const test = await project.run("tasks", "test", "p", "daily");
				expect(envelopeOf(test).data!.runs[0]!.tables[0]!.rows_read).toBe(1);
			});

			test("one that depends on a failure is skipped, one that fails its checks keeps its rows", async () => {
				write(
					`tables: { shop.orders: { into: raw.orders } }\nchecks: [{ table: raw.orders, rows: "> 5" }]\n${SUMMARIES}`,
				);
				await project.succeed("run", "p");
				await shop.sql("delete from orders where id > 3");
				const { data, errors } = await failed(1, "run", "p");
				expect(data!.runs[0]!.tables.map(({ table, state }) => [table.replace(/.*\./, ""), state])).toEqual([
					["orders", "failed"],
					["daily", "skipped"],
					["top", "skipped"],
				]);
				expect(errors[1]).toMatchObject({ code: "E_SKIPPED" });
				expect(errors[1]!.message).toMatch(/not built: \S+orders, which it depends on, failed/);
				expect(await query("select total from mart.daily")).toEqual([{ total: "52.50" }]);
				write(
					`tables: { shop.orders: { into: raw.orders } }\n${SUMMARIES.replace("group by all", "where id < 0 group by all")}`,
				);
				const second = await failed(1, "run", "p");
				expect(second.errors[0]!.message).toContain('"mart.daily rows > 0" failed: it has 0 rows, not > 0');
				expect(await query("select total from mart.daily")).toEqual([{ total: "52.50" }]);
				expect(leftovers(await readWarehouse(project.path("w.duckdb")))).toEqual([]);
				write(`tables: { shop.orders: { into: raw.orders } }\n${SUMMARIES}`);
				const [mended] = await project.succeed("run", "p", "--failed", second.data!.runs[0]!.run_id);
				expect(mended!.tables.map(({ table }) => table)).toEqual(["daily", "top"]);
			});

			test("a backfill builds them once, behind its last interval", async () => {
				write(`tables: { shop.visits: { mode: interval, cursor: at, into: raw.visits } }
summaries: { pages: { into: mart.pages, query: "select count(*) as n from raw.visits" } }`);
				const runs = await project.succeed("backfill", "p", "-s", "2026-01-01", "-e", "2026-01-04");
				expect(runs.map((run) => run.tables.map(({ mode }) => mode))).toEqual([
					["interval"],
					["interval"],
					["interval"],
					["summary"],
				]);
				const count = await query("select count(*) as n from raw.visits");
				expect(await query("select n from mart.pages")).toEqual(count);
			});

			test("unknown dependencies and names that clash are told before anything runs", async () => {
				write(`tables: { shop.orders: { into: raw.orders } }
summaries:
  a: { into: raw.orders, query: select 1 }
  b: { into: mart.b, query: select 1, depends_on: [nope] }
  c: { into: mart.b, query: select 1 }`);
				const { errors } = await failed(2, "run", "p");
				expect(errors.map(({ code, line }) => `${line} ${code}`)).toEqual([
					"6 E_NAME_COLLISION",
					"7 E_UNKNOWN_TABLE",
					"8 E_NAME_COLLISION",
				]);
			});
		});

		describe("hooks", () => {
			const insert = (text: string) => `insert into ${shop.schema}.done values ('${text}')`;
			const done = async () => (await shop.sql("select what from done")).map((row) => row["what"]);

			test("run before and after the run and each table, in source and destination", async () => {
				write(`hooks:
  before:
    - { on: source, sql: ["${insert("before run {{ params.x }}")}", "update orders set note = 'from hook' where id = 1"] }
  after: [{ on: source, sql: "${insert("after run")}" }]
params: { x: it's }
tables:
  shop.orders:
    into: raw.orders
    hooks:
      before: [{ on: source, sql: "${insert("before orders")}" }]
      after:
        - { on: destination, sql: "create or replace table seen as select count(*) as n from {{ this }}" }
        - { on: source, sql: "${insert("after orders")}" }`);
				const plan = await planOf();
				expect(plan.hooks!.map(({ when, on }) => `${when} ${on}`)).toEqual(["before source", "after source"]);
				expect(plan.tables[0]!.hooks).toHaveLength(3);
				expect(await done()).toEqual([]);
				await project.succeed("run", "p");
				expect(await done()).toEqual(["before run it's", "before orders", "after orders", "after run"]);
				expect(await query("select n from seen")).toEqual([{ n: 20n }]);
				expect((await rows("raw.orders"))!.some((line) => line.includes("from hook"))).toBe(true);
			});

			test("a run that is killed between load and after-hook: the hook runs behind the next load", async () => {
				write(`tables:
  shop.orders: { mode: incremental, cursor: modified, into: raw.orders, hooks: { after: [{ on: source, sql: "${insert("after orders")}" }] } }`);
				const killed = await project.start(["run", "p"], { env: { HEADRACE_CRASH: "c11" } }).ended;
				expect(killed.signal).toBe("SIGKILL");
				expect(await rows("raw.orders")).toHaveLength(20);
				expect(await done()).toEqual([]);
				await project.succeed("run", "p");
				expect(await done()).toEqual(["after orders"]);
			});

			test("a stop ends a hook's statement, and nothing of it stays", async () => {
				const sleep = shop.dialect === "mysql" ? "select sleep(60)" : "select pg_sleep(60)";
				write(`hooks: { before: [{ on: source, sql: ["${insert("half")}", "${sleep}"] }] }
tables: { shop.orders: { into: raw.orders } }`);
				const running = project.start(["run", "p"]);
				await running.says(/started/);
				running.kill("SIGTERM");
				const ended = await running.ended;
				expect([ended.code, ended.milliseconds < 30_000]).toEqual([143, true]);
				expect(await done()).toEqual([]);
			});

			test("one that fails before the run stops it; the statements before it in its transaction are undone", async () => {
				write(`hooks: { before: [{ on: source, sql: ["${insert("half")}", "nonsense"] }] }
tables: { shop.orders: { into: raw.orders } }`);
				const { errors, data } = await failed(1, "run", "p");
				expect(errors[0]!.message).toContain("the hook before the run (pipelines/p.yaml:4) failed");
				expect(data!.runs[0]!.tables[0]).toMatchObject({ state: "skipped", error: { code: "E_SKIPPED" } });
				expect(await done()).toEqual([]);
				expect(await rows("raw.orders")).toBeUndefined();
				const shown = await project.start(["runs", "show", data!.runs[0]!.run_id], { plain: true }).ended;
				expect(shown.stdout).toContain("the hook before the run (pipelines/p.yaml:4) failed");
			});

			test("after-hooks run only after a success; one that fails fails its table, whose rows are there", async () => {
				const table = (check: string, sql: string) =>
					`tables: { shop.orders: { into: raw.orders, hooks: { after: [{ on: source, sql: "${sql}" }] } } }
hooks: { after: [{ on: source, sql: "${insert("after run")}" }] }
checks: [{ table: raw.orders, rows: "${check}" }]`;
				write(table("> 99", insert("after orders")));
				await failed(1, "run", "p");
				expect(await done()).toEqual([]);
				write(table("> 0", "nonsense"));
				const { errors, data } = await failed(1, "run", "p");
				expect(errors[0]!.message).toMatch(/the hook after \S+orders \(pipelines\/p.yaml:4\) failed/);
				expect(data!.runs[0]!.tables[0]).toMatchObject({ state: "failed", rows_read: 20, rows_loaded: 20 });
				expect(await rows("raw.orders")).toHaveLength(20);
				expect(await done()).toEqual([]);
			});
		});
	});
});
