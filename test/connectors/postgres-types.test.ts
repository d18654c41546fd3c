import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ColumnType, parseColumnType, type Source, type TypePolicy, typeName } from "../../src/core/index.ts";
import { freshDatabase, sharedServer, type TestDatabase } from "../support/shared.ts";
import { missing } from "../support/start.ts";
import { codeOf, describeQuery, policy, readAll, readTable, SERVERS, sourceOf } from "./postgres-support.ts";

/** How the canonical text of exact mode comes from the server's own text. */
const FORMS = {
	same: (text: string) => text,
	hex: (text: string) => text.slice(2),
	float4: (text: string) => (Object.is(Number(text), -0) ? "-0" : String(Math.fround(Number(text)))),
	float8: (text: string) => (Object.is(Number(text), -0) ? "-0" : String(Number(text))),
} as const;

interface TypeCase {
	readonly type: string;
	readonly values: readonly string[];
	readonly becomes: string;
	readonly lenient: string;
	readonly form?: keyof typeof FORMS;
	/** SQL of the server's text where `c::text` is not what its output function prints. */
	readonly text?: string;
	/** SQL of the exact text where it is not the server's text of the column. */
	readonly exact?: string;
	readonly versionMin?: number;
}

const long = "x".repeat(5000);
const CASES: readonly TypeCase[] = [
	{ type: "bool", values: ["true", "false"], becomes: "boolean", lenient: "int64" },
	{ type: "int2", values: ["-32768", "32767", "0"], becomes: "int16", lenient: "int64" },
	{ type: "int4", values: ["-2147483648", "2147483647", "-1"], becomes: "int32", lenient: "int64" },
	{
		type: "int8",
		values: ["-9223372036854775808", "9223372036854775807", "9007199254740993"],
		becomes: "int64",
		lenient: "int64",
	},
	{ type: "oid", values: ["0", "4294967295"], becomes: "uint32", lenient: "int64" },
	{ type: "xid", values: ["0", "4294967295"], becomes: "uint32", lenient: "int64" },
	{ type: "xid8", values: ["0", "18446744073709551615"], becomes: "uint64", lenient: "float64" },
	{
		type: "numeric(4,2)",
		values: ["99.99", "-99.99", "0", "0.01", "-0.10"],
		becomes: "decimal(4,2)",
		lenient: "float64",
	},
	{
		type: "numeric(9,9)",
		values: ["0.999999999", "-0.000000001", "0.00001"],
		becomes: "decimal(9,9)",
		lenient: "float64",
	},
	{
		type: "numeric(15,2)",
		values: ["9999999999999.99", "-9999999999999.99", "10000", "100000000"],
		becomes: "decimal(15,2)",
		lenient: "float64",
	},
	{
		type: "numeric(18,4)",
		values: ["99999999999999.9999", "-99999999999999.9999", "900719925474.0993", "1"],
		becomes: "decimal(18,4)",
		lenient: "float64",
	},
	{
		type: "numeric(18)",
		values: ["999999999999999999", "9007199254740993", "90000000000000000", "89999999999999999"],
		becomes: "decimal(18,0)",
		lenient: "float64",
	},
	{
		type: "numeric(38,10)",
		values: [
			"9999999999999999999999999999.9999999999",
			"-9999999999999999999999999999.9999999999",
			"0.0000000001",
			"12345678.9",
			"-1",
		],
		becomes: "decimal(38,10)",
		lenient: "float64",
	},
	{
		type: "numeric",
		values: ["1.50", "NaN", "Infinity", "-Infinity", `${"9".repeat(60)}.${"1".repeat(60)}`, "0.000"],
		becomes: "text",
		lenient: "float64",
	},
	{
		type: "numeric(60,30)",
		values: ["123456789012345678901234567890.123456789012345678901234567891"],
		becomes: "text",
		lenient: "float64",
	},
	{ type: "numeric(3,-2)", values: ["12300", "-99900"], becomes: "text", lenient: "float64" },
	{ type: "numeric(2,5)", values: ["0.00012"], becomes: "text", lenient: "float64" },
	{
		type: "float4",
		values: ["3.1415927", "-0", "NaN", "Infinity", "-Infinity", "1e-45", "3.4028235e38", "16777216"],
		becomes: "float32",
		lenient: "float64",
		form: "float4",
	},
	{
		type: "float8",
		values: ["0.1", "-0", "NaN", "Infinity", "5e-324", "1.7976931348623157e308"],
		becomes: "float64",
		lenient: "float64",
		form: "float8",
	},
	{
		type: "money",
		values: ["92233720368547758.07", "-92233720368547758.08", "0.1"],
		becomes: "decimal(19,2)",
		lenient: "float64",
		exact: "c::numeric::text",
	},
	{
		type: "text",
		values: [
			"",
			" ",
			"twelve bytes",
			"thirteen byte",
			"NULL",
			"\\N",
			"é😀",
			"tab\tcr\r\nlf",
			"\u2028",
			"  padded  ",
			long,
		],
		becomes: "text",
		lenient: "text",
	},
	{ type: "varchar(5)", values: ["", "ab  "], becomes: "text", lenient: "text" },
	{ type: "char(5)", values: ["ab", ""], becomes: "text", lenient: "text", text: "textin(bpcharout(c))" },
	{ type: `"char"`, values: ["a", ""], becomes: "text", lenient: "text", text: "textin(charout(c))" },
	{ type: "name", values: ["a name"], becomes: "text", lenient: "text" },
	{ type: "ext.citext", values: ["MiXed", ""], becomes: "text", lenient: "text" },
	{
		type: "bytea",
		values: ["\\x", "\\x00ff", `\\x${"ab".repeat(3000)}`],
		becomes: "binary",
		lenient: "text",
		form: "hex",
	},
	{
		type: "date",
		values: [
			"4713-01-01 BC",
			"5874897-12-31",
			"infinity",
			"-infinity",
			"0044-03-15 BC",
			"0001-01-01",
			"2024-02-29",
			"10000-01-01",
		],
		becomes: "date",
		lenient: "date",
	},
	{
		type: "timestamp",
		values: [
			"4713-01-01 00:00:00 BC",
			"294246-12-31 23:59:59.999999",
			"infinity",
			"-infinity",
			"1969-12-31 23:59:59.999999",
			"2000-01-01",
			"0044-03-15 12:00:00.5 BC",
			"1999-12-31 23:59:59.000001",
		],
		becomes: "timestamp",
		lenient: "timestamp",
	},
	{ type: "timestamp(0)", values: ["2024-01-01 00:00:00.6"], becomes: "timestamp", lenient: "timestamp" },
	{
		type: "timestamptz",
		values: ["2024-06-01 12:00:00+05:45", "4713-01-01 00:00:00+00 BC", "infinity", "294246-12-31 23:59:59.999999+00"],
		becomes: "timestamptz",
		lenient: "timestamp",
	},
	{ type: "time", values: ["00:00", "24:00:00", "23:59:59.999999"], becomes: "time", lenient: "text" },
	{ type: "timetz", values: ["12:00:00+05:45", "24:00:00-15:59"], becomes: "text", lenient: "text" },
	{
		type: "interval",
		values: [
			"1 mon -3 days 04:05:06.7",
			"0",
			"-1 year -2 mons +3 days -04:05:06",
			"178000000 years",
			"-178000000 years",
			"1 microsecond",
			"-1 day +23:59:59.999999",
			"2147483647 days",
			"2562047788:00:54.775807",
		],
		becomes: "interval",
		lenient: "text",
	},
	{
		type: "uuid",
		values: [
			"00000000-0000-0000-0000-000000000000",
			"ffffffff-ffff-ffff-ffff-ffffffffffff",
			"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
		],
		becomes: "uuid",
		lenient: "text",
	},
	{
		type: "json",
		values: [`{"a" : 12345678901234567890.123456789012345678, "a":1}`, "null", `"é"`],
		becomes: "json",
		lenient: "text",
	},
	{
		type: "jsonb",
		values: [`{"b":1,"a":12345678901234567890.10}`, "null", `[]`, `"${long}"`],
		becomes: "json",
		lenient: "text",
	},
	{ type: "ext.mood", values: ["sad", 'it\'s "ok"'], becomes: "text", lenient: "text" },
	{ type: "ext.posint", values: ["7"], becomes: "int32", lenient: "int64" },
	{ type: "ext.amount", values: ["7.5"], becomes: "decimal(12,3)", lenient: "float64" },
	{ type: "int4range", values: ["[1,5)", "empty", "(,)"], becomes: "text", lenient: "text" },
	{ type: "int4multirange", values: ["{[1,5),[7,9)}", "{}"], becomes: "text", lenient: "text" },
	{
		type: "inet",
		values: ["1.2.3.4", "1.2.3.4/24", "::1", "::ffff:1.2.3.4/128"],
		becomes: "text",
		lenient: "text",
		text: "textin(inet_out(c))",
	},
	{ type: "cidr", values: ["10.0.0.0/8", "1.2.3.4/32"], becomes: "text", lenient: "text", text: "textin(cidr_out(c))" },
	{ type: "macaddr", values: ["08:00:2b:01:02:03"], becomes: "text", lenient: "text" },
	{ type: "macaddr8", values: ["08:00:2b:01:02:03:04:05"], becomes: "text", lenient: "text" },
	{ type: "bit(3)", values: ["101"], becomes: "text", lenient: "text" },
	{ type: "varbit", values: ["", "1", "0".repeat(70)], becomes: "text", lenient: "text" },
	{
		type: "xml",
		values: [`<?xml version="1.0" encoding="ISO-8859-1"?><a>é</a>`, "<b/>"],
		becomes: "text",
		lenient: "text",
		text: "textin(xml_out(c))",
	},
	{ type: "tsvector", values: ["'a':1A 'b':2"], becomes: "text", lenient: "text" },
	{ type: "tsquery", values: ["'a' & !'b'"], becomes: "text", lenient: "text" },
	{ type: "pg_lsn", values: ["16/B374D848"], becomes: "text", lenient: "text" },
	{ type: "txid_snapshot", values: ["10:20:10,14"], becomes: "text", lenient: "text" },
	{ type: "jsonpath", values: ["$.a[*]"], becomes: "text", lenient: "text" },
	{ type: "regclass", values: ["pg_catalog.pg_class", "ext.secrets"], becomes: "text", lenient: "text" },
	{ type: "regtype", values: ["int4", "ext.mood"], becomes: "text", lenient: "text" },
	{ type: "tid", values: ["(4294967295,65535)"], becomes: "text", lenient: "text" },
	{ type: "oidvector", values: ["1 2 3", ""], becomes: "text", lenient: "text" },
	{ type: "point", values: ["(0.1,-2e300)"], becomes: "text", lenient: "text" },
	{ type: "box", values: ["(3,4),(1,2)"], becomes: "text", lenient: "text" },
	{ type: "path", values: ["[(0,0),(1,1)]"], becomes: "text", lenient: "text" },
	{ type: "polygon", values: ["((0,0),(1,1),(2,0))"], becomes: "text", lenient: "text" },
	{ type: "circle", values: ["<(0,0),1.5>"], becomes: "text", lenient: "text" },
	{ type: "line", values: ["{1,2,3}"], becomes: "text", lenient: "text" },
	{ type: "lseg", values: ["[(0,0),(1,1)]"], becomes: "text", lenient: "text" },
	{
		type: "ext.hstore",
		values: [`"a"=>"1", "b"=>NULL, "q\\"uote"=>"x"`, ""],
		becomes: "json",
		lenient: "text",
		exact: "c::json::text",
	},
	{ type: "ext.ltree", values: ["Top.Science"], becomes: "text", lenient: "text" },
	{
		type: "ext.address",
		values: [`("1 Main St, ""A""",12345678901234567890.10,)`],
		becomes: "json",
		lenient: "text",
		exact: "to_json(c)::text",
	},
	{
		type: "int4[]",
		values: ["{1,NULL,-2}", "{}"],
		becomes: "int32[]",
		lenient: "text",
		exact: "to_json(c::text[])::text",
	},
	{
		type: "int8[]",
		values: ["{9223372036854775807}"],
		becomes: "int64[]",
		lenient: "text",
		exact: "to_json(c::text[])::text",
	},
	{
		type: "numeric(10,2)[]",
		values: ["{1.5,NULL}"],
		becomes: "decimal(10,2)[]",
		lenient: "text",
		exact: "to_json(c::text[])::text",
	},
	{ type: "numeric[]", values: ["{1.50,NaN}"], becomes: "text[]", lenient: "text", exact: "to_json(c::text[])::text" },
	{ type: "bool[]", values: ["{t,f,NULL}"], becomes: "boolean[]", lenient: "text", exact: "to_json(c::text[])::text" },
	{
		type: "float8[]",
		values: ["{0.1,NaN,-0}"],
		becomes: "float64[]",
		lenient: "text",
		exact: "to_json(c::text[])::text",
	},
	{
		type: "text[]",
		values: [`{"a,b","q\\"x",NULL,"NULL",""}`],
		becomes: "text[]",
		lenient: "text",
		exact: "to_json(c)::text",
	},
	{ type: "char(3)[]", values: ["{a,bcd}"], becomes: "text[]", lenient: "text", exact: "to_json(c)::text" },
	{ type: "ext.mood[]", values: ["{sad}"], becomes: "text[]", lenient: "text", exact: "to_json(c)::text" },
	{ type: "ext.posint[]", values: ["{1,2}"], becomes: "int32[]", lenient: "text", exact: "to_json(c::text[])::text" },
	{ type: "ext.posints", values: ["{1,2}"], becomes: "int32[]", lenient: "text", exact: "to_json(c::text[])::text" },
	{
		type: "uuid[]",
		values: ["{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}"],
		becomes: "uuid[]",
		lenient: "text",
		exact: "to_json(c::text[])::text",
	},
	{ type: "inet[]", values: ["{1.2.3.4,::1/64}"], becomes: "text[]", lenient: "text", exact: "to_json(c)::text" },
	{
		type: "timestamptz[]",
		values: [`{"2024-01-01 00:00:00+05"}`],
		becomes: "timestamptz[]",
		lenient: "text",
		exact: "to_json(c::text[])::text",
	},
	{
		type: "bytea[]",
		values: [`{"\\\\x00ff",NULL,"\\\\x"}`],
		becomes: "binary[]",
		lenient: "text",
		exact: `replace(to_json(c::text[])::text, '\\\\x', '')`,
	},
	{
		type: "jsonb[]",
		values: [`{"{\\"a\\": 1}",NULL,"null"}`],
		becomes: "text[]",
		lenient: "text",
		exact: "to_json(c::text[])::text",
	},
	{
		type: "ext.address[]",
		values: [`{"(a,1,2024-01-01)"}`],
		becomes: "json",
		lenient: "text",
		exact: "to_json(c)::text",
	},
	{ type: "int4[][]", values: ["{{1,2},{3,4}}", "{1}"], becomes: "json", lenient: "text", exact: "to_json(c)::text" },
];

const SCHEMA = `
	create schema ext;
	create extension hstore schema ext; create extension citext schema ext; create extension ltree schema ext;
	create type ext.mood as enum ('sad', 'it''s "ok"');
	create domain ext.posint as int4 check (value > 0);
	create domain ext.amount_base as numeric(12,3); create domain ext.amount as ext.amount_base not null;
	create domain ext.posints as int4[];
	create type ext.address as (street text, zip numeric, since date);
	create table ext.secrets (id int);`;

describe.each(SERVERS)("%s", (name) => {
	describe.skipIf(missing(name))("types", () => {
		let database: TestDatabase;
		let source: Source;
		const tableOf = (index: number) => `t${index}`;

		beforeAll(async () => {
			const server = await sharedServer(name);
			database = await freshDatabase(server);
			await database.query(SCHEMA);
			for (const [index, { type, values }] of CASES.entries()) {
				const notNull = type === "ext.amount";
				await database.query(`create table ${tableOf(index)} (id int primary key, c ${type})`);
				const rows = [...values.map((value) => `$v$${value}$v$`), ...(notNull ? [] : ["null"])];
				await database.query(
					`insert into ${tableOf(index)} values ${rows.map((row, i) => `(${i}, ${row}${row === "null" ? "" : `::${type}`})`).join(", ")}`,
				);
			}
			source = await sourceOf(server, database.name);
		});
		afterAll(async () => {
			await source?.[Symbol.asyncDispose]();
			await database?.drop();
		});

		/** The server's own text of column c, in our settings, in order of id. */
		async function serverText(table: string, expression: string): Promise<(string | null)[]> {
			await using client = await database.connect();
			await client.query("set intervalstyle = 'iso_8601'; set extra_float_digits = 1; set search_path = ''");
			return (await client.arrays(`select ${expression} from public.${table} order by id`)).map(
				([text]) => text ?? null,
			);
		}

		async function columnTexts(index: number, types: TypePolicy) {
			const read = await readTable(source, tableOf(index), types);
			const rows = [...read.rows].sort((a, b) => Number(a[0]) - Number(b[0]));
			return { column: read.table.columns[1]!, texts: rows.map((row) => row[1] ?? null), changed: read.changed };
		}

		test.each(CASES.map((c, index) => [c.type, index] as const))("%s arrives exact", async (_type, index) => {
			const { becomes, exact, text, form } = CASES[index]!;
			const { column, texts } = await columnTexts(index, policy());
			expect(typeName(column.type)).toBe(becomes);
			expect(column.fidelity).toBe("exact");
			const server = await serverText(tableOf(index), exact ?? text ?? "c::text");
			const expected = server.map((value) => (value === null ? null : FORMS[form ?? "same"](value)));
			// Different digits may name the same 32 bits.
			expect(form === "float4" ? texts.map((value) => (value === null ? null : FORMS.float4(value))) : texts).toEqual(
				expected,
			);
			expect(texts.length).toBeGreaterThan(0);
		});

		test.each(CASES.map((c, index) => [c.type, index] as const))(
			"%s as text is what the server prints",
			async (_type, index) => {
				const { column, texts } = await columnTexts(index, policy({ mode: "string" }));
				expect(typeName(column.type)).toBe("text");
				expect(column.fidelity).toBe("exact");
				expect(texts).toEqual(await serverText(tableOf(index), CASES[index]!.text ?? "c::text"));
			},
		);

		test.each(CASES.map((c, index) => [c.type, index] as const))("%s in lenient mode", async (type, index) => {
			const { column, texts } = await columnTexts(index, policy({ mode: "lenient" }));
			const { lenient, text } = CASES[index]!;
			expect(typeName(column.type)).toBe(lenient);
			if (lenient === "int64") {
				const number = type === "bool" ? "c::int::text" : "c::text";
				expect(texts).toEqual(await serverText(tableOf(index), number));
			} else if (lenient === "float64") {
				const server = await serverText(
					tableOf(index),
					type === "float4" ? "c::float8" : type === "money" ? "c::numeric::float8" : "c::text::float8",
				);
				expect(texts.map((t) => (t === null ? null : Number(t)))).toEqual(
					server.map((t) => (t === null ? null : Number(t))),
				);
			} else if (type.endsWith("]") || ["ext.posints", "ext.address"].includes(type)) {
				expect(texts).toEqual(await serverText(tableOf(index), "to_json(c)::text"));
			} else if (type === "ext.hstore") expect(texts).toEqual(await serverText(tableOf(index), "c::json::text"));
			else if (type === "timestamptz")
				expect(texts).toEqual(await serverText(tableOf(index), "(c at time zone 'UTC')::text"));
			else if (type !== "bytea") expect(texts).toEqual(await serverText(tableOf(index), text ?? "c::text"));
		});

		test("lenient bytes are text when they are UTF-8, else base64 and counted", async () => {
			await database.query(
				"create table lenient_bytes (id int, c bytea); insert into lenient_bytes values (1, 'h\\303\\251'), (2, '\\xff')",
			);
			const read = await readTable(source, "lenient_bytes", policy({ mode: "lenient" }));
			expect(read.rows).toEqual([
				["1", "hé"],
				["2", "/w=="],
			]);
			expect(read.changed).toEqual({ c: 1 });
			expect(read.table.columns[1]!.fidelity).toBe("lossy");
		});

		test("every type of a query is known without a table", async () => {
			const table = await describeQuery(
				source,
				"select c as posints, (select c from t0 limit 1) as b, 1.50::numeric(5,2) as n, 'x' as literal, row(1, 'a') as r from t69 -- and a comment",
			);
			expect(table.columns.map((c) => [c.name, typeName(c.type), c.nativeType])).toContainEqual([
				"n",
				"decimal(5,2)",
				"numeric(5,2)",
			]);
			await using snapshot = await source.snapshot({ readers: 1 });
			const { rows } = await readAll(snapshot, table);
			expect(rows[0]!.slice(1)).toEqual(["true", "1.50", "x", '{"f1":1,"f2":"a"}']);
		});

		test("a domain over an array is read through a query", async () => {
			const index = CASES.findIndex((c) => c.type === "ext.posints");
			const table = await describeQuery(source, `select c from ${tableOf(index)} where c is not null`);
			await using snapshot = await source.snapshot({ readers: 1 });
			expect((await readAll(snapshot, table)).rows).toEqual([['["1","2"]']]);
		});

		describe("values without a counterpart", () => {
			const make = async (sql: string) =>
				database.query(`drop table if exists odd; create table odd (id serial, c ${sql}`);

			test("NaN in a decimal stops the read and names column and policy, or becomes NULL and counts", async () => {
				await make("numeric(10,2)); insert into odd (c) values (1), ('NaN'), ('NaN'), (2)");
				await expect(readTable(source, "odd")).rejects.toMatchObject({
					code: "E_VALUE",
					message: expect.stringMatching(/column c holds NaN/),
					hint: expect.stringMatching(/nan: null/),
					place: { table: "public.odd" },
				});
				const read = await readTable(source, "odd", policy({ nan: "null" }));
				expect(read.rows.map((row) => row[1])).toEqual(["1.00", null, null, "2.00"]);
				expect(read.changed).toEqual({ c: 2 });
				expect(read.table.columns[1]!.fidelity).toBe("lossy");
			});

			test("times after 294247 go by out_of_range", async () => {
				await make(
					"timestamp); insert into odd (c) values ('294276-12-31 23:59:59.999999'), ('294247-01-10 04:00:54.775807'), ('294247-01-10 04:00:54.775806')",
				);
				expect(await codeOf(readTable(source, "odd"))).toBe("E_VALUE");
				const read = await readTable(source, "odd", policy({ outOfRange: "null" }));
				expect(read.rows.map((row) => row[1])).toEqual([null, null, "294247-01-10 04:00:54.775806"]);
				expect(read.changed).toEqual({ c: 2 });
				const text = await readTable(source, "odd", policy({ mode: "string" }));
				expect(text.rows[0]![1]).toBe("294276-12-31 23:59:59.999999");
			});

			test.skipIf(name === "postgres15")(
				"infinite intervals, which PostgreSQL 17 brought, go by infinity",
				async () => {
					await make("interval); insert into odd (c) values ('infinity'), ('-infinity'), ('1 day')");
					expect(await codeOf(readTable(source, "odd"))).toBe("E_VALUE");
					const read = await readTable(source, "odd", policy({ infinity: "null" }));
					expect(read.rows.map((row) => row[1])).toEqual([null, null, "P1D"]);
					expect(read.changed).toEqual({ c: 2 });
				},
			);

			test.each([
				["{{1,2},{3,4}}", "[[1,2],[3,4]]"],
				["[0:1]={7,8}", null],
			])("array %s stops the read unless the column is json or text", async (value, json) => {
				await make(`int4[]); insert into odd (c) values ('${value}')`);
				await expect(readTable(source, "odd")).rejects.toMatchObject({
					code: "E_VALUE",
					message: expect.stringContaining("column c"),
					hint: expect.stringMatching(/type: json.*type: text/),
				});
				const asJson = readTable(source, "odd", policy({ overrides: { c: { kind: "json" } } }));
				if (json === null)
					await expect(asJson).rejects.toMatchObject({ code: "E_VALUE", hint: expect.stringMatching(/type: text/) });
				else expect((await asJson).rows[0]![1]).toBe(json);
				const asText = await readTable(source, "odd", policy({ overrides: { c: { kind: "text" } } }));
				expect(asText.rows[0]![1]).toBe(value);
			});
		});

		test.each([
			["numeric", "1234.5678", "decimal(12,4)", "1234.5678", "exact"],
			["numeric", "1234.56789", "decimal(12,4)", "E_VALUE", "exact"],
			["numeric", "99999.5", "decimal(4,1)", "E_VALUE", "exact"],
			["numeric", "Infinity", "decimal(12,4)", "E_VALUE", "exact"],
			["numeric", "42", "int32", "42", "exact"],
			["numeric", "1.5", "int64", "E_VALUE", "exact"],
			["numeric", "18446744073709551615", "uint64", "18446744073709551615", "exact"],
			["int8", "-129", "int8", "E_VALUE", "exact"],
			["int8", "-128", "int8", "-128", "exact"],
			["int4", "255", "uint8", "255", "exact"],
			["int2", "-5", "int64", "-5", "exact"],
			["int2", "-5", "int32", "-5", "exact"],
			["int4", "7", "decimal(10,2)", "7.00", "exact"],
			["float8", "0.1", "decimal(10,2)", "0.10", "lossy"],
			["float8", "1e39", "float32", "E_VALUE", "lossy"],
			["float4", "0.1", "float64", "0.10000000149011612", "exact"],
			["float4", "0.5", "float32", "0.5", "exact"],
			["float8", "0.1", "float64", "0.1", "exact"],
			["text", "12.5", "decimal(10,1)", "12.5", "exact"],
			["text", "not a number", "decimal(10,1)", "E_VALUE", "exact"],
			["text", "2024-02-30", "date", "E_VALUE", "lossy"],
			["text", "2024-02-29", "date", "2024-02-29", "lossy"],
			["text", `{"a":1}`, "json", `{"a":1}`, "exact"],
			["text", "{broken", "json", "E_VALUE", "exact"],
			["text", "é", "binary", "c3a9", "exact"],
			["text", "true", "boolean", "true", "lossy"],
			["int4", "0", "boolean", "false", "lossy"],
			["uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "binary", "a0eebc999c0b4ef8bb6d6bb9bd380a11", "exact"],
			["timestamptz", "2024-01-01 05:00:00+05", "timestamp", "2024-01-01 00:00:00", "exact"],
			["timestamp", "2024-01-01", "timestamptz", "2024-01-01 00:00:00+00", "exact"],
			["timestamp", "2024-01-01 23:00", "date", "2024-01-01", "lossy"],
			["date", "2024-01-01", "timestamp", "2024-01-01 00:00:00", "exact"],
			["numeric(10,2)", "1.10", "float64", "1.1", "lossy"],
			["jsonb", `{"a": 1}`, "text", `{"a": 1}`, "exact"],
			["int4[]", "{1,2}", "text[]", `["1","2"]`, "exact"],
			["point", "(1,2)", "int32", "E_TYPE_REFUSED", "refused"],
			["date", "2024-01-01", "time", "E_TYPE_REFUSED", "refused"],
		] as const)("%s %s fixed to %s gives %s", async (native, value, to, expected, fidelity) => {
			await database.query(
				`drop table if exists fixed; create table fixed (c ${native}); insert into fixed values ($v$${value}$v$), (null)`,
			);
			const types = policy({ overrides: { c: parseColumnType(to) as ColumnType } });
			const read = readTable(source, "fixed", types);
			if (expected.startsWith("E_")) {
				const error = (await read.catch((e: unknown) => e)) as Error & { code: string };
				expect(error.code).toBe(expected);
				expect(`${error.message}${String(error.cause ?? "")}`).not.toContain(value);
			} else {
				const { rows, table } = await read;
				expect(rows).toEqual([[expected], [null]]);
				expect([typeName(table.columns[0]!.type), table.columns[0]!.fidelity]).toEqual([to, fidelity]);
			}
		});

		test.each([
			["float8", ["0.5", "0.1", "NaN", "-Infinity", "-0"], "float32", ["0.5", "0.1", "NaN", "-Infinity", "-0"], 1],
			["int4", ["0", "1", "2", "-1"], "boolean", ["false", "true", "true", "true"], 2],
			[
				"timestamp",
				["2024-01-01", "1969-12-31 23:00", "infinity"],
				"date",
				["2024-01-01", "1969-12-31", "infinity"],
				1,
			],
			["timestamptz", ["2024-01-01 00:30+01", "0044-03-15 00:00+00 BC"], "date", ["2023-12-31", "0044-03-15 BC"], 1],
		] as const)("%s fixed to a type of less: what is lost is counted", async (native, values, to, expected, lost) => {
			const rows = values.map((value, i) => `(${i}, $v$${value}$v$)`).join(", ");
			await database.query(
				`drop table if exists less; create table less (i int, c ${native}); insert into less values ${rows}, (99, null)`,
			);
			const types = policy({ overrides: { c: parseColumnType(to) as ColumnType } });
			const read = await readTable(source, "less", types);
			expect(read.rows.map(([, value]) => value)).toEqual([...expected, null]);
			expect(read.changed).toEqual({ c: lost });
		});

		test("what the role or the database sets changes no value", async () => {
			const role = `odd_${database.name}`;
			const values = [
				"timestamptz '2024-03-31 01:30:00+00'",
				"date '2024-01-02'",
				"interval '1 mon -3 days 04:05:06'",
				"bytea '\\x5c00ff'",
				"0.1::float8 / 3",
				"'pg_class'::regclass",
				"array[timestamptz '2024-01-01 00:00:00+00']",
				"time '12:00'",
				"row(date '2024-01-02', bytea '\\xff')",
			];
			await database.query(`create role ${role} login password 'x';
				${["timezone = 'Asia/Kolkata'", "datestyle = 'German, DMY'", "intervalstyle = 'postgres_verbose'", "bytea_output = 'escape'", "extra_float_digits = -5", "search_path = 'ext, pg_catalog'", "statement_timeout = '400ms'", "client_encoding = 'LATIN1'"].map((setting) => `alter role ${role} set ${setting};`).join(" ")}`);
			try {
				for (const mode of ["exact", "string", "lenient"] as const) {
					const [plain, odd] = await Promise.all(
						[database.server, { user: role, password: "x" }].map(async (account) => {
							await using each = await sourceOf(database.server, database.name, account);
							const types = policy({ mode });
							const table = await describeQuery(
								each,
								`select ${values.map((value, i) => `${value} as c${i}`).join(", ")}, 'é' as text, pg_sleep(0.6)::text as slow`,
								types,
							);
							await using snapshot = await each.snapshot({ readers: 2 });
							return {
								rows: (await readAll(snapshot, table, types)).rows,
								types: table.columns.map((c) => [c.nativeType, typeName(c.type)]),
							};
						}),
					);
					expect(odd).toEqual(plain);
				}
			} finally {
				await database.query(`drop role ${role}`);
			}
		});

		test("PostGIS and pgvector types are known by name, wherever their schema is", async () => {
			// Stand-ins with the extensions' names and binary forms: the packages are not installed with the server.
			await database.query(`
				create schema gis; create type gis.geometry;
				create function gis.i(cstring) returns gis.geometry language internal immutable strict as 'byteain';
				create function gis.o(gis.geometry) returns cstring language internal immutable strict as 'byteaout';
				create function gis.s(gis.geometry) returns bytea language internal immutable strict as 'byteasend';
				create type gis.geometry (input = gis.i, output = gis.o, send = gis.s, like = bytea);
				create type gis.vector;
				create function gis.vi(cstring) returns gis.vector language internal immutable strict as 'textin';
				create function gis.vo(gis.vector) returns cstring language internal immutable strict as 'textout';
				create type gis.vector (input = gis.vi, output = gis.vo, like = text);
				create function gis.vf(gis.vector) returns float4[] language sql immutable strict as $$ select translate(textin(gis.vo($1)), '[]', '{}')::float4[] $$;
				create cast (gis.vector as float4[]) with function gis.vf(gis.vector);
				create table shapes (g gis.geometry, v gis.vector); insert into shapes values ('\\x0101000000', '[0.1,-2]'), (null, null)`);
			const { rows, table } = await readTable(source, "shapes");
			expect(table.columns.map((c) => typeName(c.type))).toEqual(["binary", "float32[]"]);
			expect(rows).toEqual([
				["0101000000", '["0.1","-2"]'],
				[null, null],
			]);
		});
	});
});
