import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DEFAULT_TYPE_POLICY, HeadraceErrors, type Source, typeName } from "../../src/core/index.ts";
import { freshDatabase, sharedServer, type TestDatabase } from "../support/shared.ts";
import { missing } from "../support/start.ts";
import { describeOne, MYSQL_SERVERS, name, openSource, readAll, readTable } from "./mysql-support.ts";

const types = DEFAULT_TYPE_POLICY;
const ODD = [
	"a`b",
	"a.b",
	'a"b',
	"a'b",
	"a\\b",
	"select",
	"with space",
	"naïve_名前",
	"t; drop table victim; --",
	"%s_?",
];

describe.each(MYSQL_SERVERS)("describing on %s", (server) => {
	describe.skipIf(missing(server))("a real server", () => {
		let database: TestDatabase;
		let source: Source;
		beforeAll(async () => {
			const shared = await sharedServer(server);
			database = await freshDatabase(shared);
			source = await openSource(shared, { database: database.name });
		});
		afterAll(async () => {
			await source?.[Symbol.asyncDispose]();
			await database?.drop();
		});

		test("the default schema is the connection's database, also for names without one", async () => {
			expect(source.defaultSchema).toBe(database.name);
			await database.query("create table plain (id int primary key) engine=innodb");
			const table = await describeOne(source, "", "plain");
			expect(table.name).toEqual({ schema: database.name, name: "plain" });
		});

		test("odd names of schema, table, column and key are described, split, windowed and read", async () => {
			const schema = `${database.name}_a.b\`c'd"`;
			await database.query(`create database ${name(schema)}`);
			try {
				await database.query("create table victim (n int)");
				for (const table of ODD) {
					const columns = ODD.map((column) => `${name(column)} int not null`).join(", ");
					const full = `${name(schema)}.${name(table)}`;
					await database.query(`create table ${full} (${columns}, primary key (${name(table)})) engine=innodb`);
					await database.query(`insert into ${full} values (${ODD.map((_, i) => i)}), (${ODD.map((_, i) => i + 100)})`);
					const described = await describeOne(source, schema, table);
					expect(described.primaryKey).toEqual([table]);
					expect(described.columns.map((column) => column.name)).toEqual(ODD);
					await using snapshot = await source.snapshot({ readers: 1 });
					expect(await readAll(snapshot, described)).toEqual([
						ODD.map((_, i) => String(i)),
						ODD.map((_, i) => String(i + 100)),
					]);
					const index = ODD.indexOf(table);
					expect(await snapshot.cursorMax(described, table)).toEqual({ max: String(index + 100), nulls: 0 });
					const window = { column: table, from: "50" };
					expect(await readAll(snapshot, described, { window })).toHaveLength(1);
					const chunks = await snapshot.split({ ...described, estimatedRows: 1000 }, { rows: 1 });
					const found = await Promise.all(chunks.map((chunk) => readAll(snapshot, described, { chunk })));
					expect(found.flat()).toHaveLength(2);
				}
				expect(await database.query("select * from victim")).toEqual([]);
				const listed = (await source.listTables()).filter((table) => table.schema === schema);
				expect(listed.map((table) => table.name).sort()).toEqual([...ODD].sort());
			} finally {
				await database.query(`drop database ${name(schema)}`);
			}
		});

		test("a cursor value is bound as its column's type, or refused: it never becomes SQL", async () => {
			await database.query(
				`create table bound (id int primary key, d decimal(5,2), s varchar(40) character set utf8mb4, at datetime(6), day date) engine=innodb`,
			);
			const hostile = "' or 1=1; drop table bound; -- \\";
			await database.query("insert into bound values (1, 1.5, ?, '2024-01-01 00:00:00.5', '2024-01-01')", [hostile]);
			const table = await describeOne(source, database.name, "bound");
			await using snapshot = await source.snapshot({ readers: 1 });
			const count = async (column: string, from: string) =>
				(await readAll(snapshot, table, { window: { column, from } })).length;
			for (const column of ["id", "d", "at", "day"])
				await expect(count(column, "0 or 1=1")).rejects.toMatchObject({ code: "E_INVALID_VALUE" });
			expect(await count("s", hostile)).toBe(1);
			expect(await count("s", `${hostile}z`)).toBe(0);
			expect(await count("id", "1")).toBe(1);
			expect(await count("d", "1.51")).toBe(0);
			expect(await count("at", "2024-01-01 00:00:00.500001")).toBe(0);
			expect(await count("at", "2024-01-01T00:00:00.5Z")).toBe(1);
			expect(await count("day", "2024-01-01 00:00:00")).toBe(1);
			await expect(count("none", "1")).rejects.toMatchObject({ code: "E_UNKNOWN_COLUMN" });
			expect(await readAll(snapshot, table, { where: "id = 1 -- a comment" })).toHaveLength(1);
			expect(await readAll(snapshot, table, { where: "id = 2", window: { column: "id", from: "1" } })).toEqual([]);
		});

		test("text that a template quotes stays one literal", async () => {
			const awkward = "it's a \\' \"quote\" \\";
			const query = `select ${source.quoteString(awkward)} as v`;
			const [table] = await source.describe([{ table: { name: { schema: "", name: "q" }, query }, types }]);
			await using snapshot = await source.snapshot({ readers: 1 });
			expect(await readAll(snapshot, table!)).toEqual([[awkward]]);
			expect(source.backslashEscapes).toBe(true);
		});

		test("the primary key comes in key order, prefixes too; unique keys are not it", async () => {
			await database.query(
				"create table keyed (a int not null, b varchar(40) not null, c int unique, primary key (b(10), a))",
			);
			expect((await describeOne(source, database.name, "keyed")).primaryKey).toEqual(["b", "a"]);
			await database.query("create table keyless (a int unique)");
			expect((await describeOne(source, database.name, "keyless")).primaryKey).toEqual([]);
		});

		test("defaults that are constants become portable SQL", async () => {
			const columns: [ddl: string, wanted: string | undefined][] = [
				["int default 7", "7"],
				["int not null default -1", "-1"],
				["int", undefined],
				["decimal(5,2) default 1.5", "1.50"],
				["double default -15", "-15"],
				["varchar(20) default 'it''s'", "'it''s'"],
				["varchar(20) default ''", "''"],
				["varchar(20) default 'back\\\\slash'", undefined],
				["varchar(20) default null", undefined],
				["enum('x','y') default 'y'", "'y'"],
				["date default '2024-02-29'", "'2024-02-29'"],
				["datetime default '2024-02-29 10:00:00'", "'2024-02-29 10:00:00'"],
				["datetime default current_timestamp", undefined],
				["timestamp default current_timestamp on update current_timestamp", undefined],
				["bit(1) default b'1'", "true"],
				["bit(4) default b'10'", "'0010'"],
				["varbinary(4) default 'ab'", undefined],
				["time default '10:00:00'", undefined],
			];
			await database.query(`create table defaults (${columns.map(([ddl], i) => `c${i} ${ddl}`).join(", ")})`);
			const table = await describeOne(source, database.name, "defaults");
			expect(table.columns.map((column) => column.defaultSql)).toEqual(columns.map(([, wanted]) => wanted));
			const string = await describeOne(source, database.name, "defaults", { ...types, mode: "string" });
			expect(string.columns[0]!.defaultSql).toBe("'7'");
		});

		test("loose collations are named on text columns, exact ones are not", async () => {
			await database.query(
				`create table collated (a varchar(9) character set utf8mb4 collate utf8mb4_general_ci,
				b varchar(9) character set utf8mb4 collate utf8mb4_bin, c int, d varbinary(9)
				${server === "mariadb" ? ", e varchar(9) collate utf8mb4_nopad_bin" : ""})`,
			);
			const { columns } = await describeOne(source, database.name, "collated");
			expect(columns[0]!.looseEquality).toMatch(/general_ci ignores case and trailing blanks/);
			expect(columns[1]!.looseEquality).toMatch(/utf8mb4_bin ignores trailing blanks/);
			for (const column of columns.slice(2)) expect(column.looseEquality).toBeUndefined();
		});

		test("a table outside of InnoDB is warned of", async () => {
			await database.query("create table outside (id int) engine=MyISAM");
			expect((await describeOne(source, database.name, "outside")).warnings).toEqual([
				"engine MyISAM: not part of the consistent snapshot",
			]);
		});

		test("views and queries are read; their types are the server's", async () => {
			await database.query(
				`create table base (id int primary key, f float, b bit(3), at timestamp null, n bigint unsigned) engine=innodb;
				insert into base values (1, 3.14159265, b'101', '2024-01-01 00:00:00', 18446744073709551615);
				create view viewed as select id, f, b, at, n, count(*) as how_many from base group by id`,
			);
			const view = await readTable(source, database.name, "viewed");
			expect(view.table.kind).toBe("view");
			expect(view.table.primaryKey).toEqual([]);
			const row = ["1", "3.1415927", "101", "2024-01-01 00:00:00+00", "18446744073709551615", "1"];
			expect(view.rows).toEqual([row]);

			const query =
				"select *, 1.5 as d, 'é' as t, x'ff' as x, null as nothing, now() as moment from viewed -- all of it";
			const [described] = await source.describe([{ table: { name: { schema: "", name: "q" }, query }, types }]);
			expect(described!.kind).toBe("query");
			expect(described!.columns.map(({ type }) => typeName(type))).toEqual([
				"int32",
				"float32",
				"text",
				"timestamptz",
				"uint64",
				"int64",
				"decimal(2,1)",
				"text",
				"binary",
				described!.columns[8]!.name === "x" ? typeName(described!.columns[9]!.type) : "",
				"timestamp",
			]);
			await using snapshot = await source.snapshot({ readers: 1 });
			const [found] = await readAll(snapshot, described!);
			expect(found!.slice(0, 10)).toEqual([...row, "1.5", "é", "ff", null]);
			expect(await snapshot.cursorMax(described!, "id")).toEqual({ max: "1", nulls: 0 });
			expect(await snapshot.split(described!, { rows: 1 })).toHaveLength(1);
			expect(await readAll(snapshot, described!, { window: { column: "id", from: "2" } })).toEqual([]);
		});

		test("a query can't be more than one statement and can't write", async () => {
			await database.query("create table safe (id int) engine=innodb");
			const ask = (query: string) => source.describe([{ table: { name: { schema: "", name: "q" }, query }, types }]);
			await expect(ask("select 1 as a; drop table safe")).rejects.toMatchObject({ code: "E_SOURCE" });
			await expect(ask("select 1) q; drop table safe; select * from (select 1")).rejects.toMatchObject({
				code: "E_SOURCE",
			});
			await expect(ask("select nothing from safe")).rejects.toMatchObject({ code: "E_UNKNOWN_COLUMN" });
			await expect(ask("select * from no_such_table")).rejects.toMatchObject({ code: "E_UNKNOWN_TABLE" });
			expect(await database.query("select * from safe")).toEqual([]);
		});

		test("all tables that are missing are told at once", async () => {
			const requests = ["gone_1", "gone_2"].map((table) => ({ table: { schema: database.name, name: table }, types }));
			const error: unknown = await source.describe(requests).catch((thrown: unknown) => thrown);
			expect(error).toBeInstanceOf(HeadraceErrors);
			expect((error as HeadraceErrors).errors.map(({ code }) => code)).toEqual(["E_UNKNOWN_TABLE", "E_UNKNOWN_TABLE"]);
		});

		test("names that differ in case are told apart", async () => {
			await database.query("create table Cased (a int); create table cased (b int)");
			const [upper, lower] = await source.describe(
				["Cased", "cased"].map((table) => ({ table: { schema: database.name, name: table }, types })),
			);
			expect([upper!.columns[0]!.name, lower!.columns[0]!.name]).toEqual(["a", "b"]);
		});

		test("a thousand columns, by name and in order", async () => {
			const count = 1000;
			const columns = Array.from({ length: count }, (_, i) => `c${i} ${i % 3 === 0 ? "int" : "varchar(4)"}`);
			// Text types keep the row under the limits of the engines.
			await database.query(`create table wide (${columns.join(", ")}) engine=MyISAM character set latin1`);
			const values = columns.map((_, i) => (i % 3 === 0 ? String(i) : i % 7 === 0 ? null : `v${i % 100}`));
			const literals = values.map((value) => (value === null ? "null" : `'${value}'`)).join(",");
			await database.query(`insert into wide values ${Array.from({ length: 300 }, () => `(${literals})`).join(",")}`);
			const { table, rows } = await readTable(source, database.name, "wide");
			expect(table.columns.map((column) => column.name)).toEqual(columns.map((column) => column.split(" ")[0]));
			expect(rows).toHaveLength(300);
			for (const row of [rows[0], rows[299]]) expect(row).toEqual(values);
		});

		test("hundreds of tables are described in a bounded number of queries", async () => {
			const names = Array.from({ length: 120 }, (_, i) => `many_${i}`);
			await database.query(
				names.map((table) => `create table ${table} (id int primary key, v int) engine=MyISAM`).join(";"),
			);
			const asked = async () => Number((await database.query("show global status like 'Questions'"))[0]!["Value"]);
			const before = await asked();
			const tables = await source.describe(
				names.map((table) => ({ table: { schema: database.name, name: table }, types })),
			);
			// Other tests of the same server may ask too; one a table would be over 120.
			expect((await asked()) - before).toBeLessThan(100);
			expect(tables.map((table) => table.name.name)).toEqual(names);
			for (const table of tables) expect(table.primaryKey).toEqual(["id"]);
		});

		test.runIf(server === "mariadb")("invisible, generated and system-versioned columns are named", async () => {
			await database.query(
				`create table hidden (id int primary key, secret int invisible default 5, doubled int as (id * 2) virtual,
				stored int as (id * 3) persistent) with system versioning engine=innodb`,
			);
			await database.query(
				"insert into hidden (id) values (1); update hidden set secret = 6; insert into hidden (id) values (2)",
			);
			const { table, rows } = await readTable(source, database.name, "hidden");
			expect(table.columns.map((column) => column.name).slice(0, 4)).toEqual(["id", "secret", "doubled", "stored"]);
			expect(rows.map((row) => row.slice(0, 4))).toEqual([
				["1", "6", "2", "3"],
				["2", "5", "4", "6"],
			]);
		});
	});
});
