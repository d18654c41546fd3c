import { inspect } from "node:util";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { missing } from "../support/start.ts";
import { errorOf, Loads } from "./postgres-loads.ts";
import { SERVERS } from "./postgres-support.ts";

describe.each(SERVERS)("destination %s", (server) => {
	describe.skipIf(missing(server))("values that a type can't hold", () => {
		let loads: Loads;
		beforeEach(async () => {
			loads = await Loads.open(server);
		});
		afterEach(() => loads[Symbol.asyncDispose]());

		test("mapType names them", () => {
			const note = (kind: "text" | "json" | "timestamp") => loads.destination.mapType({ kind }).note;
			expect(note("text")).toContain("NUL");
			expect(note("json")).toContain("\\u0000");
			expect(note("timestamp")).toContain("4713 BC");
			expect(loads.destination.mapType({ kind: "uint64" })).toEqual({
				destinationType: "numeric(20,0)",
				fidelity: "exact",
			});
		});

		const secret = "SECRET";
		const cases: readonly (readonly [name: string, type: string, value: string, existing?: string])[] = [
			["a NUL in text", "text", `${secret}\0`],
			["a NUL in a long text", "text", `${"x".repeat(50)}\0${secret}`],
			["a NUL in JSON", "json", `{"${secret}": "\0"}`],
			["\\u0000 in jsonb", "json", `{"${secret}": "\\u0000"}`, "jsonb"],
			["no JSON at all", "json", `{${secret}`],
			["a text longer than its varchar", "text", `${secret} is too long`, "varchar(10)"],
			["blanks beyond its varchar, which the server would cut", "text", `${secret}        `, "varchar(10)"],
			["characters of several bytes beyond its varchar", "text", "ééééé€€€€€€", "varchar(10)"],
			["a label that the enum does not have", "text", secret, "mood"],
			["a value that the domain refuses", "int32", "-1", "positive"],
			["a list element with a NUL", "text[]", `["${secret}\\u0000"]`],
		];
		test.each(cases)(
			"%s: the error names table and column, and holds no value",
			async (_name, type, value, existing) => {
				await loads.client.query(`create schema raw; create type public.mood as enum ('sad', 'ok');
				create domain public.positive as int check (value > 0);
				create table raw.t (id bigint primary key, "odd, ""column" ${existing ?? "text"})`);
				if (existing === undefined) await loads.client.query("drop table raw.t");
				const columns = `id int64, v ${type}`;
				const target = loads.target({ columns });
				const [id, v] = target.columns;
				const named = { ...target, columns: [id!, { ...v!, name: 'odd, "column' }] };
				for (const write of ["replace", "merge", "append"] as const) {
					const error = await errorOf(loads.load([["1", value ?? null]], { target: named, write }));
					expect(error).toMatchObject({ code: "E_VALUE" });
					expect(error.message).toContain('odd, "column');
					expect(error.message + JSON.stringify((error as { place?: unknown }).place)).toContain("raw.t");
					expect(inspect(error, { depth: 10 })).not.toContain(secret);
				}
				expect(await loads.lines("select count(*) from pg_class where oid = to_regclass('raw.t')")).toEqual([
					existing === undefined ? "0" : "1",
				]);
			},
		);

		test("the limits of varchar count characters, and what fits is kept whole", async () => {
			await loads.client.query(`create schema raw; create table raw.t (id bigint primary key, v varchar(10), j jsonb, e text,
				n numeric, b bigint, d timestamp, c double precision)`);
			const columns = "id int64, v text, j json, e text, n decimal(10,2), b int16, d date, c float32";
			const row = ["1", "ééééé€€€€😀", '{"b": 1, "a": [1.50]}', "x", "-1.50", "-3", "2024-02-29", "-0"];
			for (const write of ["replace", "merge", "append"] as const)
				await loads.load([row.with(0, write === "append" ? "2" : "1")], { columns, write });
			const line = '|ééééé€€€€😀|{"a": [1.50], "b": 1}|x|-1.50|-3|2024-02-29 00:00:00|-0';
			expect(await loads.lines()).toEqual([`1${line}`, `2${line}`]);
		});

		test("NULL where a column of its owner's allows none", async () => {
			await loads.client.query("create schema raw; create table raw.t (id bigint primary key, name text not null)");
			const target = loads.target();
			const strict = { ...target, columns: target.columns.map((column) => ({ ...column, nullable: false })) };
			const error = await errorOf(loads.load([["1", null]], { target: strict, write: "append" }));
			expect(error).toMatchObject({ code: "E_VALUE", message: expect.stringContaining("column name of raw.t") });
			// A source whose column may hold NULL takes the constraint away.
			await loads.load([["1", null]], { write: "merge" });
		});

		test("too many columns are told by the plan and by the load", async () => {
			const columns = Array.from({ length: 1601 }, (_, i) => `c${i} int32`).join(", ");
			const target = loads.target({ columns, key: [] });
			for (const failing of [loads.destination.planDdl(target, "append"), loads.load([], { target, write: "append" })])
				expect(await errorOf(failing)).toMatchObject({
					code: "E_UNSUPPORTED",
					message: expect.stringContaining("1600"),
				});
			const most = loads.target({ columns: columns.replace(", c1600 int32", ""), key: [] });
			await loads.load([Array.from({ length: 1600 }, (_, i) => (i % 4 === 0 ? String(i) : null))], { target: most });
			expect(await loads.lines("select c0, c1, c1596 from raw.t")).toEqual(["0|∅|1596"]);
		});

		test("names that are longer than PostgreSQL keeps are told apart", async () => {
			const long = `ünïcode_${"x".repeat(70)}`;
			const columns = `id int64, ${long}a text, ${long}b text`;
			for (const write of ["replace", "merge", "replace"] as const)
				await loads.load([["1", "A", "B"]], { columns, write, table: `${long}t`, orderColumn: `${long}a` });
			const table = await loads.destination.describe({ schema: "raw", name: `${long}t` });
			const names = table!.columns.map((column) => column.name);
			expect(names.map((name) => Buffer.byteLength(name) <= 63)).toEqual([true, true, true]);
			expect(new Set(names).size).toBe(3);
			expect(loads.destination.foldName(`${long}a`)).toBe(names[1]);
			expect(
				await loads.lines(`select * from ${loads.destination.sql!.relation({ schema: "raw", name: `${long}t` })}`),
			).toEqual(["1|A|B"]);
		});

		test("rows of several megabytes, and very many short ones, in a small memory", async () => {
			const huge = "ä".repeat(3 << 20);
			const rows = [
				["1", huge],
				["2", "b"],
				["3", huge],
				...Array.from({ length: 20_000 }, (_, i) => [String(i + 4), null]),
			];
			await loads.load(rows, { bufferBytesMax: 1 << 20 });
			expect(await loads.lines("select count(*), sum(length(name)), count(distinct name) from raw.t")).toEqual([
				`20003|${2 * (3 << 20) + 1}|2`,
			]);
		});

		test("a view by the table's name is refused, and left as it is", async () => {
			await loads.client.query("create schema raw; create view raw.t as select 1 as id");
			for (const write of ["replace", "merge", "append"] as const)
				expect(await errorOf(loads.load([["1", "a"]], { write }))).toMatchObject({ code: "E_UNSUPPORTED" });
		});
	});

	describe.skipIf(missing(server))("a role with few rights", () => {
		const account = { user: `loader_${process.pid}_${server}`, password: "l" };
		let loads: Loads;
		beforeAll(async () => {
			loads = await Loads.open(server, account);
			await loads.client.query(`create role ${account.user} login password '${account.password}'`);
		});
		afterAll(async () => {
			await loads.client.query(`drop owned by ${account.user} cascade; drop role ${account.user}`);
			await loads[Symbol.asyncDispose]();
		});

		test("is told what it lacks with the statements that cure it, one after the other", async () => {
			const asAdmin = (sql: string) => loads.client.query(sql.replaceAll(/ *--.*$/gm, ""));
			const errors = async () => (await loads.destination.check()).filter((finding) => finding.severity === "error");
			await loads.client.query(`revoke temporary on database ${loads.database.name} from public`);
			const found = await errors();
			expect(found).toHaveLength(2);
			const refused = await errorOf(loads.load([["1", "a"]]));
			expect(refused).toMatchObject({ code: "E_RIGHTS", hint: expect.stringContaining("GRANT CREATE") });
			for (const finding of found) await asAdmin(finding.remedy!);
			expect(await errors()).toEqual([]);
			await loads.load([["1", "a"]]);

			await loads.client.query("create schema closed; create table raw.others (id bigint primary key, name text)");
			const closed = loads.target();
			const inClosed = { ...closed, name: { schema: "closed", name: "t" } };
			const noSchema = await errorOf(loads.load([["1", "a"]], { target: inClosed }));
			expect(noSchema).toMatchObject({ code: "E_RIGHTS", hint: expect.stringContaining('ON SCHEMA "closed"') });
			await asAdmin(noSchema.hint!);
			await loads.load([["1", "a"]], { target: inClosed });

			for (const write of ["replace", "merge", "append"] as const)
				expect(await errorOf(loads.load([["1", "a"]], { table: "others", write }))).toMatchObject({
					code: "E_RIGHTS",
					hint: expect.stringContaining(`OWNER TO "${account.user}"`),
				});
			// Without owning it: the rows alone.
			await asAdmin(`grant select, insert, update, delete on raw.others to ${account.user}`);
			for (const write of ["replace", "merge", "append", "replace"] as const)
				await loads.load([[write === "append" ? "2" : "1", "a"]], { table: "others", write });
			expect(await loads.lines("select * from raw.others")).toEqual(["1|a"]);
			await loads.client.query("alter table raw.others enable row level security");
			expect(await errorOf(loads.load([["1", "a"]], { table: "others" }))).toMatchObject({ code: "E_RIGHTS" });
			expect(await loads.lines("select * from raw.others")).toEqual(["1|a"]);
		});

		test("can load with what `grants` prints and nothing else, into schemas and tables that are there and that are not", async () => {
			const few = { user: `few_${process.pid}_${server}`, password: "l" };
			await using database = await Loads.open(server, few);
			const { client, destination } = database;
			await client.query(`create role ${few.user} login password '${few.password}'`);
			try {
				await client.query(`create schema "old ""one"; create table "old ""one".t (id bigint primary key, name text);
					revoke temporary, create on database ${database.database.name} from public`);
				const target = database.target();
				const tables = ['old "one', "new"].map((schema) => ({ schema, name: "t" }));
				const [grant, ...others] = await destination.grants!(tables);
				expect(others).toEqual([]);
				expect(grant!.language).toBe("sql");
				await client.query(grant!.text);
				for (const name of tables)
					for (const write of ["replace", "merge", "append", "replace"] as const)
						await database.load([[write === "append" ? "2" : "1", "a"]], { target: { ...target, name }, write });
				expect(await database.lines('select * from "old ""one".t union all select * from new.t')).toEqual([
					"1|a",
					"1|a",
				]);
				const again = await destination.grants!(tables);
				expect(again[0]!.text).not.toMatch(/CREATE SCHEMA|OWNER TO/);
				await client.query(again[0]!.text);
				const [powerful] = await loads.destination.grants!([]);
				expect(powerful!.text).not.toContain("CREATE ROLE");
			} finally {
				await client.query(`drop owned by ${few.user} cascade; drop role ${few.user}`);
			}
		});

		test("that owns all it needs is warned of nothing; a superuser is", async () => {
			const findings = (await loads.destination.check()).map((finding) => finding.severity);
			expect(findings.filter((severity) => severity !== "ok")).toEqual([]);
			await using powerful = await Loads.open(server);
			const warnings = (await powerful.destination.check()).filter((finding) => finding.severity === "warning");
			expect(warnings.map((finding) => finding.message).join()).toContain("superuser");
		});
	});
});
