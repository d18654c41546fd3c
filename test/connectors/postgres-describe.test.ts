import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { connect } from "../../src/connectors/postgres/connect.ts";
import { describeAll } from "../../src/connectors/postgres/describe.ts";
import { HeadraceErrors, type Source, typeName } from "../../src/core/index.ts";
import { freshDatabase, sharedServer, type TestDatabase } from "../support/shared.ts";
import { missing } from "../support/start.ts";
import {
	codeOf,
	describeQuery,
	describeTable,
	optionsOf,
	policy,
	quote,
	readAll,
	readTable,
	SERVERS,
	sourceOf,
} from "./postgres-support.ts";

/** Names that end a quoted name, look like SQL, or need their exact bytes. */
const HOSTILE_NAMES = [
	't"; drop table victim; --',
	"t'; drop table victim; --",
	"a.b",
	"select",
	"Größe 😀",
	"$1",
	" leading and trailing ",
	"\\",
	"%s",
	"x".repeat(63),
];

describe.each(SERVERS)("%s", (name) => {
	describe.skipIf(missing(name))("describe", () => {
		let database: TestDatabase;
		let source: Source;
		let role: string;

		beforeAll(async () => {
			const server = await sharedServer(name);
			database = await freshDatabase(server);
			role = `limited_${database.name}`;
			await database.query(`create role ${role} login password 'limited'; create table victim (id int)`);
			source = await sourceOf(server, database.name);
		});
		afterAll(async () => {
			await source?.[Symbol.asyncDispose]();
			await database?.query(`drop owned by ${role}; drop role ${role}`);
			await database?.drop();
		});

		test("a table that is dropped and made again between two look-ups has its key", async () => {
			const anew = "create table made_anew (id int primary key, v text)";
			await database.query(anew);
			const { session, facts } = await connect(optionsOf(await sharedServer(name), database.name), "headrace");
			let isMadeAnew = false;
			const between = {
				rows: async (sql: string, values?: (string | readonly string[])[]) => {
					const rows = await session.rows(sql, values as never);
					if (sql.includes("a.attnotnull") && !isMadeAnew) await database.query(`drop table made_anew; ${anew}`);
					isMadeAnew ||= sql.includes("a.attnotnull");
					return rows;
				},
				script: (statements: readonly string[]) => session.script(statements),
				broken: false,
			} as unknown as typeof session;
			const request = { table: { schema: "public", name: "made_anew" }, types: policy() };
			const [described] = await describeAll(between, facts, [request]);
			await session.end();
			expect(isMadeAnew).toBe(true);
			expect(described!.primaryKey).toEqual(["id"]);
		});

		test.each(HOSTILE_NAMES)("schema, table, key, cursor and column of the name %j", async (hostile) => {
			await database.query(`create schema ${quote(hostile)}; create table ${quote(hostile)}.${quote(hostile)} (${quote(hostile)} int primary key, v text);
				insert into ${quote(hostile)}.${quote(hostile)} values (1, 'one'), (2, 'two'); analyze ${quote(hostile)}.${quote(hostile)}`);
			expect(await source.listTables()).toContainEqual({ schema: hostile, name: hostile });
			const table = await describeTable(source, hostile, policy(), hostile);
			expect(table.primaryKey).toEqual([hostile]);
			await using snapshot = await source.snapshot({ readers: 1 });
			expect(await snapshot.cursorMax(table, hostile)).toEqual({ max: "2", nulls: 0 });
			const where = `${quote(hostile)}.${quote(hostile)} > 1 -- the rest`;
			const { rows } = await readAll(snapshot, table, policy(), { window: { column: hostile, from: "1" }, where });
			expect(rows).toEqual([["2", "two"]]);
			expect(await database.query("select count(*) from victim")).toEqual([{ count: "0" }]);
		});

		test.each(["'; drop table victim; --", "1'::int8 or true --", "\\' or 1=1 --", "$1", "nul\0"])(
			"the cursor value %j is a value",
			async (value) => {
				await database.query(
					"create table if not exists cursors (t text, n int); truncate cursors; insert into cursors values ('a', 1)",
				);
				const table = await describeTable(source, "cursors");
				await using snapshot = await source.snapshot({ readers: 1 });
				const window = { column: "t", from: value, to: value, toIncluded: true };
				if (value.includes("\0"))
					expect(await codeOf(readAll(snapshot, table, policy(), { window }))).toBe("E_INVALID_VALUE");
				else expect((await readAll(snapshot, table, policy(), { window })).rows).toEqual([]);
				const error = await readAll(snapshot, table, policy(), { window: { column: "n", from: value } }).catch(
					(e: unknown) => e,
				);
				expect(error).toMatchObject({ code: expect.stringMatching(/^E_(?:VALUE|INVALID_VALUE)$/) });
				expect((await readAll(snapshot, table)).rows).toEqual([["a", "1"]]);
				expect(await database.query("select count(*) from victim")).toEqual([{ count: "0" }]);
			},
		);

		test("a table name that does not exist, or cannot, is E_UNKNOWN_TABLE; all faults at once", async () => {
			const ask = (...names: string[]) =>
				source.describe(names.map((each) => ({ table: { schema: "public", name: each }, types: policy() })));
			expect(await codeOf(ask("nosuch"))).toBe("E_UNKNOWN_TABLE");
			expect(await codeOf(ask("victim\0"))).toBe("E_UNKNOWN_TABLE");
			const faults = (await ask("nosuch", "victim", "neither").catch((e: unknown) => e)) as HeadraceErrors;
			expect(faults).toBeInstanceOf(HeadraceErrors);
			expect(faults.errors.map((e) => e.message)).toEqual([
				"there is no table public.nosuch",
				"there is no table public.neither",
			]);
		});

		test("keys, nullability, generated columns and constant defaults", async () => {
			await database.query(`create table shop (
				b int, a int, "Z" text not null default 'it''s', n numeric(10,2) default 1.5, neg int default -1, flag boolean default true,
				nothing varchar(5) default null, made timestamptz default now(), born date default '2020-02-29', serial_id bigserial,
				back text default E'a\\\\b', arr int[] default '{}', j jsonb default '{"a": 1}', i interval default '1 day',
				total numeric generated always as (n * 2) stored, ident int generated by default as identity, sum int default 1 + 1,
				v varchar(9) default 'x', primary key (a, b) include (neg))`);
			await database.query("insert into shop (a, b) values (1, 2)");
			const { table, rows } = await readTable(source, "shop");
			expect(table.primaryKey).toEqual(["a", "b"]);
			expect(table.columns.filter((c) => !c.nullable).map((c) => c.name)).toEqual([
				"b",
				"a",
				"Z",
				"serial_id",
				"ident",
			]);
			expect(
				Object.fromEntries(table.columns.filter((c) => c.defaultSql !== undefined).map((c) => [c.name, c.defaultSql])),
			).toEqual({
				Z: "'it''s'",
				n: "1.5",
				neg: "-1",
				flag: "true",
				nothing: "NULL",
				born: "'2020-02-29'",
				j: `'{"a": 1}'`,
				v: "'x'",
			});
			expect(rows[0]![table.columns.findIndex((c) => c.name === "total")]).toBe("3.00");
		});

		test.skipIf(name === "postgres15")(
			"of PostgreSQL 18: virtual columns are read, a NOT NULL that old rows may break is nullable",
			async () => {
				await database.query(`create table v18 (a int, twice int generated always as (a * 2) virtual); insert into v18 values (null), (4);
				alter table v18 add constraint later not null a not valid`);
				const { table, rows } = await readTable(source, "v18");
				expect(table.columns.map((c) => c.nullable)).toEqual([true, true]);
				expect(rows).toEqual([
					[null, null],
					["4", "8"],
				]);
			},
		);

		test("views, materialized and foreign tables, partitions and heirs", async () => {
			await database.query(`
				create schema kinds; set search_path = kinds;
				create table base (id int, v text); insert into base values (1, 'a'), (2, 'b');
				create view seen as select id, upper(v) as v from base where id > 1;
				create materialized view kept as select * from base; create materialized view unfilled as select * from base with no data;
				create table parts (id int, day date, primary key (id, day)) partition by range (day);
				create table parts_1 partition of parts for values from ('2024-01-01') to ('2025-01-01');
				create table parts_2 (day date not null, extra int, id int not null);
				alter table parts_2 drop column extra; alter table parts attach partition parts_2 for values from ('2025-01-01') to ('2026-01-01');
				insert into parts select i, date '2024-12-01' + i from generate_series(1, 60) i;
				create table heir (more int) inherits (base); insert into heir values (3, 'c', 9);
				create temp table gone (id int); analyze; reset search_path`);
			const listed = (await source.listTables()).filter((t) => t.schema === "kinds").map((t) => t.name);
			expect(listed).toEqual(["base", "heir", "kept", "parts", "seen", "unfilled"]);
			const of = async (table: string) => describeTable(source, table, policy(), "kinds");
			const rowsOf = async (table: string) => {
				await using snapshot = await source.snapshot({ readers: 1 });
				return (await readAll(snapshot, await of(table))).rows;
			};
			expect([(await of("seen")).kind, (await of("kept")).kind, (await of("parts")).kind]).toEqual([
				"view",
				"view",
				"table",
			]);
			expect(await rowsOf("seen")).toEqual([
				["2", "B"],
				["3", "C"],
			]);
			expect((await of("kept")).warnings).toEqual(["materialized view: as of its last REFRESH"]);
			expect((await of("unfilled")).warnings).toEqual(["materialized view that was never filled"]);
			expect((await of("parts")).primaryKey).toEqual(["id", "day"]);
			expect((await of("parts")).estimatedRows).toBe(60);
			expect(await rowsOf("parts")).toHaveLength(60);
			// As SELECT does: an heir's rows are rows of its parent.
			expect((await of("base")).warnings).toEqual([
				"the rows of 1 tables that inherit from it are part of it, as in SELECT",
			]);
			expect((await rowsOf("base")).map((r) => r[0]).sort()).toEqual(["1", "2", "3"]);
		});

		test("an extension's own tables are not listed", async () => {
			await database.query(
				"create table owned (id int); create extension if not exists hstore; alter extension hstore add table owned",
			);
			expect((await source.listTables()).map((t) => t.name)).not.toContain("owned");
		});

		test("estimates follow the size; before the first ANALYZE there is none", async () => {
			await database.query("create table sized (id int) with (autovacuum_enabled = off)");
			expect((await describeTable(source, "sized")).estimatedRows).toBe(0);
			await database.query("insert into sized select generate_series(1, 5000)");
			expect((await describeTable(source, "sized")).estimatedRows).toBeUndefined();
			await database.query("analyze sized; insert into sized select generate_series(1, 5000)");
			expect((await describeTable(source, "sized")).estimatedRows).toBeGreaterThan(9000);
		});

		test("queries: names as the user's own session finds them, comments, semicolons", async () => {
			await database.query(
				"create schema app; create table app.orders (id int, at timestamptz); insert into app.orders values (1, '2024-01-01'), (2, '2024-02-01')",
			);
			await database.query(`alter database ${database.name} set search_path = app, public`);
			await using fresh = await sourceOf(database.server, database.name);
			const table = await describeQuery(
				fresh,
				"select id, at, count(*) over () as n from orders where id > 0 -- all\n ; ;",
			);
			expect(table.columns.map((c) => [c.name, typeName(c.type)])).toEqual([
				["id", "int32"],
				["at", "timestamptz"],
				["n", "int64"],
			]);
			await using snapshot = await fresh.snapshot({ readers: 1 });
			const window = { column: "at", from: "2024-01-15 00:00:00" };
			expect((await readAll(snapshot, table, policy(), { window })).rows).toEqual([
				["2", "2024-02-01 00:00:00+00", "2"],
			]);
			expect(await snapshot.cursorMax(table, "at")).toEqual({ max: "2024-02-01 00:00:00+00", nulls: 0 });
			expect(await snapshot.split(table, { rows: 1 })).toEqual([{ index: 0 }]);
		});

		test.each([
			["select 1 as a, 2 as a", "E_NAME_COLLISION"],
			["selec 1", "E_INVALID_VALUE"],
			["select * from nosuch", "E_UNKNOWN_TABLE"],
			["select nosuch from victim", "E_UNKNOWN_COLUMN"],
			["delete from victim returning id", "E_INVALID_VALUE"],
			["select 1) q; drop table victim; select (1", "E_INVALID_VALUE"],
			["select", "E_INVALID_VALUE"],
		])("the query %j is refused before a row is read", async (query, code) => {
			expect(await codeOf(describeQuery(source, query))).toBe(code);
			expect(await codeOf(describeTable(source, "victim"))).toBe("no error");
		});

		test("no statement of ours can write, a query's functions neither", async () => {
			await database.query(
				"create function sneak() returns int language sql volatile as 'insert into victim values (1) returning id'",
			);
			const table = await describeQuery(source, "select public.sneak() as n");
			await using snapshot = await source.snapshot({ readers: 1 });
			expect(await codeOf(readAll(snapshot, table))).toBe("E_SOURCE");
			expect(await database.query("select count(*) from victim")).toEqual([{ count: "0" }]);
		});

		test("texts that compare equal without being equal are told", async () => {
			await database.query(`create extension if not exists citext; create collation if not exists loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
				create table loose_keys (a citext, b char(3), c text collate loose, d numeric, e text)`);
			const { columns } = await describeTable(source, "loose_keys");
			expect(columns.map((c) => c.looseEquality)).toEqual([
				"citext compares without case",
				"char(n) compares without trailing blanks",
				"collation loose calls different texts equal",
				"1.0 and 1.00 are equal as numeric, not as text",
				undefined,
			]);
		});

		describe("rights", () => {
			const limited = () => sourceOf(database.server, database.name, { user: role, password: "limited" });

			test("what may not be read is not listed, and E_RIGHTS brings the GRANT that cures it", async () => {
				await database.query(
					"create schema closed; create table closed.t (id int); insert into closed.t values (7); create table public.shut (id int)",
				);
				await using source = await limited();
				expect((await source.listTables()).filter((t) => t.schema === "closed" || t.name === "shut")).toEqual([]);
				const error = (await describeTable(source, "t", policy(), "closed").catch((e: unknown) => e)) as Error & {
					code: string;
					hint: string;
				};
				expect(error.code).toBe("E_RIGHTS");
				const findings = await source.check();
				const closed = findings.find((f) => f.message.startsWith("schema closed"));
				expect(closed?.severity).toBe("warning");
				expect(findings.some((f) => f.message.includes("shut"))).toBe(true);
				expect(findings.some((f) => f.remedy?.includes("pg_read_all_stats"))).toBe(true);
				for (const cure of [error.hint, closed!.remedy!, findings.find((f) => f.message.includes("shut"))!.remedy!])
					await database.query(cure);
				const table = await describeTable(source, "t", policy(), "closed");
				await using snapshot = await source.snapshot({ readers: 2 });
				expect((await readAll(snapshot, table)).rows).toEqual([["7"]]);
				expect(snapshot.transactions?.kind).toBe("xid");
				expect(
					(await source.check()).filter((f) => f.message.includes("closed") || f.message.includes("shut")),
				).toEqual([]);
			});

			test("a right that goes away between describe and read", async () => {
				await database.query(`create table revoked (id int); grant select on revoked to ${role}`);
				await using source = await limited();
				const table = await describeTable(source, "revoked");
				await database.query(`revoke select on revoked from ${role}`);
				await using snapshot = await source.snapshot({ readers: 1 });
				await expect(readAll(snapshot, table)).rejects.toMatchObject({
					code: "E_RIGHTS",
					hint: expect.stringContaining(`GRANT SELECT ON "public"."revoked" TO "${role}"`),
				});
				await database.query(`grant select on revoked to ${role}`);
				expect((await readAll(snapshot, table)).rows).toEqual([]);
			});

			test("rights on some columns: told, and read", async () => {
				await database.query(
					`create table partial (id int, hidden text); insert into partial values (1, 'x'); grant select (id) on partial to ${role}`,
				);
				await using source = await limited();
				const table = await describeTable(source, "partial");
				expect(table.warnings).toEqual([
					`no right to read 1 of its columns: GRANT SELECT ("hidden") ON "public"."partial" TO "${role}";`,
				]);
				await using snapshot = await source.snapshot({ readers: 1 });
				expect((await readAll(snapshot, table, policy(), { columns: [table.columns[0]!] })).rows).toEqual([["1"]]);
				expect(await codeOf(readAll(snapshot, table))).toBe("E_RIGHTS");
			});

			test("row security is told, and partitions are then not read past it", async () => {
				await database.query(`create table secured (id int) partition by range (id); create table secured_1 partition of secured for values from (0) to (100000);
					insert into secured select generate_series(1, 50000); analyze secured;
					alter table secured enable row level security; create policy few on secured using (id <= 3); grant select on secured, secured_1 to ${role}`);
				await using source = await limited();
				const table = await describeTable(source, "secured");
				expect(table.warnings).toEqual([`row security is on: only the rows that ${role} may see are read`]);
				expect((await source.check()).some((f) => f.message.includes("row security hides rows"))).toBe(true);
				await using snapshot = await source.snapshot({ readers: 1 });
				expect(await snapshot.split(table, { rows: 1000 })).toEqual([{ index: 0 }]);
				expect((await readAll(snapshot, table)).rows).toHaveLength(3);
			});
		});
	});
});
