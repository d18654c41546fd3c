import { existsSync, readdirSync } from "node:fs";
import { dirname } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { quoteBacktick, quoteDouble } from "../faults/names.ts";
import { Project } from "../faults/project.ts";
import { Shop } from "../faults/shop.ts";
import { queryWarehouse, readWarehouse } from "../faults/warehouse.ts";
import type { ServerName } from "../support/server.ts";
import { missing } from "../support/start.ts";

/** Table and column names that a careless statement, path or pattern would trip over. */
const HOSTILE = [
	'we"ird',
	"back`tick",
	"it's",
	"a.b.c",
	"select",
	"Ünï çødé 表",
	"😀",
	" blank ",
	"per%cent",
	"semi;colon",
	'x"; DROP TABLE victim; --',
	"back\\slash",
	"{{ ds }}",
	"$1",
	"../../up",
	"-dash",
];

describe.each<[ServerName]>([["mariadb"], ["postgres15"]])("names, %s", (server) => {
	describe.skipIf(missing(server))("", () => {
		let shop: Shop;
		beforeAll(async () => {
			shop = await Shop.bare(server);
		});
		afterAll(() => shop?.[Symbol.asyncDispose]());
		const q = (name: string) => (shop.dialect === "mysql" ? quoteBacktick(name) : quoteDouble(name));

		// MySQL takes no names that end with a blank, and none outside the basic plane.
		const possible = (name: string) =>
			shop.dialect === "postgres" ||
			(!name.endsWith(" ") && !/[\u{10000}-\u{10ffff}]/u.test(name) && !/[/\\]/.test(name));

		test.each([
			["straight", ""],
			["by way of staged files", "staging: ./staged\n"],
		])("of every kind arrive as they are, %s, and nothing is written elsewhere", async (_how, staging) => {
			const names = HOSTILE.filter(possible);
			await shop.sql("drop table if exists victim; create table victim (id int primary key)");
			for (const name of names)
				await shop.sql(`drop table if exists ${q(name)};
					create table ${q(name)} (id int primary key, ${names.map((column) => `${q(column)} varchar(20)`).join(", ")});
					insert into ${q(name)} (id, ${q(names[0]!)}) values (1, 'x'), (2, null)`);
			using project = new Project({
				"deep/er/project/pipelines/p.yaml": `from: ${shop.url}\nto: duckdb:w.duckdb\n${staging}tables: { "${shop.schema}.*": {} }\n`,
			});
			const run = () => project.start(["-C", "deep/er/project", "run", "p"]).ended;
			for (let time = 0; time < 2; time++) {
				const result = await run();
				expect(result.code, result.stdout + result.stderr).toBe(0);
			}
			const found = await readWarehouse(project.path("deep/er/project/w.duckdb"));
			for (const name of names)
				expect(found.tables.get(`${shop.schema}.${name}`), name).toEqual([
					`1|x${"|∅".repeat(names.length - 1)}`,
					`2${"|∅".repeat(names.length)}`,
				]);
			expect(found.tables.has(`${shop.schema}.victim`)).toBe(true);
			const columns = await queryWarehouse(
				project.path("deep/er/project/w.duckdb"),
				`SELECT column_name AS c FROM duckdb_columns() WHERE table_name = 'select' ORDER BY column_index`,
			);
			expect(columns.map((row) => row["c"])).toEqual(["id", ...names]);
			expect(project.files("deep/er/project/staged")).toEqual([]);
			expect(readdirSync(project.folder)).toEqual(["deep"]);
			for (const name of names) await shop.sql(`drop table ${q(name)}`);
		});

		test("into a folder of files stay inside it", async () => {
			const names = HOSTILE.filter(possible);
			for (const name of names)
				await shop.sql(`create table ${q(name)} (id int primary key); insert into ${q(name)} values (7)`);
			using project = new Project({
				"in/pipelines/p.yaml": `from: ${shop.url}\nto: ./out\ntables: { "${shop.schema}.*": {} }\n`,
			});
			const result = await project.start(["-C", "in", "run", "p"]).ended;
			expect(result.code, result.stdout + result.stderr).toBe(0);
			expect(readdirSync(project.folder)).toEqual(["in"]);
			expect(existsSync(dirname(project.path("in/out")))).toBe(true);
			for (const name of names) await shop.sql(`drop table ${q(name)}`);
		});

		test("that differ by case only are refused by name before anything is made", async () => {
			if (shop.dialect === "mysql")
				await shop.sql("create table Twin (id int); create table twin (id int); create table cols (a int)");
			else
				await shop.sql(`create table "Twin" (id int); create table twin (id int); create table cols ("A" int, a int)`);
			using project = new Project({
				"pipelines/p.yaml": `from: ${shop.url}\nto: duckdb:w.duckdb\ntables: { ${shop.schema}.Twin: {}, ${shop.schema}.twin: {} }\n`,
				"pipelines/q.yaml": `from: ${shop.url}\nto: duckdb:w.duckdb\ntables: { ${shop.schema}.cols: {} }\n`,
			});
			// MySQL has no two columns whose names differ by case only.
			for (const pipeline of shop.dialect === "mysql" ? ["p"] : ["p", "q"]) {
				const [error] = await project.fail(2, "run", pipeline);
				expect(error).toMatchObject({ code: "E_NAME_COLLISION", line: 3 });
			}
			expect(existsSync(project.path("w.duckdb"))).toBe(false);
			await shop.sql(`drop table ${q("Twin")}; drop table twin; drop table cols`);
		});

		test("text that would be SQL stays text: parameters, templates, cursor values, row values", async () => {
			const evil = "x' OR 1=1; DROP TABLE victim; -- \\' \" ` {{ ds }}";
			await shop.sql("drop table if exists victim; create table victim (id int primary key, note varchar(200))");
			const parameter = shop.dialect === "mysql" ? "?" : "$2";
			await shop.database.query(`insert into victim values (${shop.dialect === "mysql" ? "?" : "$1"}, ${parameter})`, [
				1,
				evil,
			]);
			await shop.sql("insert into victim values (2, 'good')");
			using project = new Project({
				"pipelines/p.yaml": `from: ${shop.url}
to: duckdb:w.duckdb
params: { note: ${JSON.stringify(evil)} }
tables:
  quoted: { query: "select id, note from victim where note = '{{ params.note }}'", into: raw.quoted }
  bare:   { query: "select id, note from victim where note = {{ params.note }}", into: raw.bare }
  ${shop.schema}.victim: { where: "note <> {{ params.note }}", into: raw.others }
`,
			});
			await project.succeed("run", "p");
			const { tables } = await readWarehouse(project.path("w.duckdb"));
			expect(tables.get("raw.quoted")).toEqual([`1|${evil}`]);
			expect(tables.get("raw.bare")).toEqual([`1|${evil}`]);
			expect(tables.get("raw.others")).toEqual(["2|good"]);
			expect(await shop.linesOf("victim", ["id"])).toEqual(["1", "2"]);
		});
	});
});
