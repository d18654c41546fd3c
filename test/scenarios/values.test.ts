import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { envelopeOf, Project } from "../faults/project.ts";
import { Shop } from "../faults/shop.ts";
import { queryWarehouse, readWarehouse } from "../faults/warehouse.ts";
import { openClient } from "../support/client.ts";
import type { ServerName } from "../support/server.ts";
import { sharedServer } from "../support/shared.ts";
import { missing } from "../support/start.ts";

describe.each<[ServerName]>([["mariadb"], ["postgres15"]])("values and shapes at the edge, %s to DuckDB", (server) => {
	describe.skipIf(missing(server))("", () => {
		let shop: Shop;
		let project: Project;
		beforeAll(async () => {
			shop = await Shop.bare(server);
		});
		afterAll(() => shop?.[Symbol.asyncDispose]());
		beforeEach(() => {
			project = new Project();
		});
		afterEach(() => project[Symbol.dispose]());

		const write = (table: string, options = "{}", keys = "") =>
			project.write(
				"pipelines/p.yaml",
				`from: ${shop.url}\nto: duckdb:w.duckdb\nretries: 0\n${keys}tables: { ${shop.schema}.${table}: ${options} }\n`,
			);
		const rows = async (table: string) =>
			(await readWarehouse(project.path("w.duckdb"))).tables.get(`${shop.schema}.${table}`);

		test.each([
			["straight", ""],
			["staged", "staging: ./staged\nmemory: 2GB\n"],
		])("a row of 50 MB is exact, %s", async (_how, keys) => {
			const text = shop.dialect === "mysql" ? "longtext" : "text";
			await shop.sql(`drop table if exists wide; create table wide (id int primary key, body ${text});
				insert into wide values (1, 'small'), (2, repeat('0123456789 äöü€', 2600000)), (3, '')`);
			write("wide", "{}", keys);
			await project.succeed("run", "p");
			const body = Buffer.from("0123456789 äöü€".repeat(2_600_000));
			expect(body.length).toBeGreaterThan(50_000_000);
			const [row] = await queryWarehouse(
				project.path("w.duckdb"),
				`SELECT md5(body) AS hash FROM "${shop.schema}".wide WHERE id = 2`,
			);
			expect(row!["hash"]).toBe(createHash("md5").update(body).digest("hex"));
		});

		test("1,000 columns", async () => {
			const columns = Array.from({ length: 999 }, (_, index) => `c${index}`);
			await shop.sql(`create table broad (id int primary key, ${columns.map((name) => `${name} int`).join(", ")});
				insert into broad (id, c0, c998) values (1, 5, 6), (2, null, null)`);
			write("broad");
			await project.succeed("run", "p");
			const nulls = "|∅".repeat(997);
			expect(await rows("broad")).toEqual([`1|5${nulls}|6`, `2|∅${nulls}|∅`]);
		});

		test("an empty table makes a table with its types; one that became empty is kept unless that is allowed", async () => {
			await shop.sql("create table hollow (id int primary key, at timestamp null, amount decimal(9,2))");
			write("hollow");
			await project.succeed("run", "p");
			expect(await rows("hollow")).toEqual([]);
			await shop.sql("insert into hollow values (1, '2026-01-01', 1.5)");
			await project.succeed("run", "p");
			await shop.sql("delete from hollow");
			const [error] = await project.fail(1, "run", "p");
			expect(error!.code).toBe("E_EMPTY");
			expect(await rows("hollow")).toHaveLength(1);
			write("hollow", "{ allow_empty: true }");
			await project.succeed("run", "p");
			expect(await rows("hollow")).toEqual([]);
		});

		test.each([
			["NULL in the key", "insert into keyed values (1, 'a'), (null, 'b')", "E_NULL_KEY"],
			["a key that is not unique", "insert into keyed values (1, 'a'), (2, 'b'), (2, 'c')", "E_DUPLICATE_KEY"],
		])("%s stops a full load, keeps the old rows, and tells no value", async (_what, fill, code) => {
			await shop.sql(
				"drop table if exists keyed; create table keyed (id int, secret_note varchar(40)); insert into keyed values (9, 'old')",
			);
			write("keyed", "{ key: id }");
			await project.succeed("run", "p");
			await shop.sql(`delete from keyed; ${fill.replaceAll(/'([abc])'/g, "'private-$1'")}`);
			for (const mode of ["{ key: id }", "{ key: id, write: merge }"]) {
				if (mode.includes("merge") && code === "E_DUPLICATE_KEY") continue;
				write("keyed", mode);
				const result = await project.run("run", "p", "-v");
				expect(result.code, result.stdout).toBe(1);
				expect(envelopeOf(result).errors[0]?.code).toBe(code);
				expect(result.stdout + result.stderr).not.toContain("private-");
				expect(await rows("keyed")).toEqual(["9|old"]);
			}
		});

		test("keys that the source calls equal and bytes do not: both arrive, and the plan says so", async () => {
			const text = shop.dialect === "mysql" ? "varchar(20) collate utf8mb4_bin" : "text";
			await shop.sql(`create table twins (id ${text} primary key); insert into twins values ('a'), ('A'), ('á')`);
			write("twins");
			await project.succeed("run", "p");
			expect(await rows("twins")).toEqual(["A", "a", "á"]);
		});
	});
});

describe.skipIf(missing("postgres15"))("bytes that are no UTF-8, from a SQL_ASCII database", () => {
	test("stop their table and keep the old rows, or become U+FFFD and are counted", async () => {
		const server = await sharedServer("postgres15");
		const name = `ascii_${process.pid}_${Date.now().toString(36)}`;
		await server.admin(`create database ${name} encoding 'SQL_ASCII' template template0`);
		try {
			await using client = await openClient(server, name);
			await client.query("create table t (id int primary key, note text); insert into t values (1, 'fine')");
			const yaml = (types: string) =>
				`from: ${server.url(name)}\nto: duckdb:w.duckdb\nretries: 0\n${types}tables: { public.t: {} }\n`;
			using project = new Project({ "pipelines/p.yaml": yaml("") });
			await project.succeed("run", "p");
			await client.query("insert into t values (2, convert_from('\\xff41'::bytea, 'SQL_ASCII'))");
			const [error] = await project.fail(1, "run", "p");
			expect(error).toMatchObject({ code: "E_ENCODING" });
			expect((await readWarehouse(project.path("w.duckdb"))).tables.get("public.t")).toEqual(["1|fine"]);
			project.write("pipelines/p.yaml", yaml("types: { invalid_text: replace }\n"));
			const [run] = await project.succeed("run", "p");
			expect(run!.tables[0]!.values_changed).toEqual({ note: 1 });
			expect((await readWarehouse(project.path("w.duckdb"))).tables.get("public.t")).toEqual(["1|fine", "2|\ufffdA"]);
		} finally {
			await server.dropDatabase(name);
		}
	});
});

describe("files that are not what they claim", () => {
	const copy = async (project: Project, file: string) => project.run("copy", file, "duckdb:w.duckdb");

	test.each([
		["a Parquet file without its end", "t.parquet", Buffer.from("PAR1 and then nothing more of it")],
		["a Parquet file that is text", "t.parquet", Buffer.from("id,note\n1,a\n")],
		["a gzip file that is cut off", "t.csv.gz", null],
		["CSV with an open quote", "t.csv", Buffer.from('id,note\n1,"never closed\n2,b\n')],
		["JSON lines that stop in the middle", "t.jsonl", Buffer.from('{"id":1}\n{"id":')],
	])("%s: a clear error that names the file, and no table", async (_what, name, content) => {
		using project = new Project();
		const { gzipSync } = await import("node:zlib");
		const bytes = content ?? gzipSync(Buffer.from("id,note\n".concat("1,abcdefgh\n".repeat(50_000)))).subarray(0, 300);
		project.write(name, bytes);
		const result = await copy(project, name);
		expect(result.code, result.stdout + result.stderr).toBe(1);
		const [error] = envelopeOf(result).errors;
		expect(["E_CORRUPT_FILE", "E_VALUE"]).toContain(error!.code);
		expect(error!.message).toContain(name);
		if (existsSync(project.path("w.duckdb")))
			expect([...(await readWarehouse(project.path("w.duckdb"))).tables.keys()]).toEqual([]);
	});

	test("a compressed file that grows without end is E_BOMB, long before its end", async () => {
		using project = new Project();
		const { zstdCompressSync } = await import("node:zlib");
		const lines = zstdCompressSync(Buffer.alloc(64 << 20, `1,${"a".repeat(4093)}\n`));
		expect(lines.length).toBeLessThan(20_000);
		const frames = Array.from({ length: 200 }, () => lines);
		project.write("t.csv.zst", Buffer.concat([zstdCompressSync(Buffer.from("id,note\n")), ...frames]));
		const result = await copy(project, "t.csv.zst");
		expect(result.code, result.stdout).toBe(1);
		expect(envelopeOf(result).errors[0]?.code).toBe("E_BOMB");
	});
});
