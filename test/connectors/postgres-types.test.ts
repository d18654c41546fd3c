import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ColumnType, parseColumnType, type Source, type TypePolicy, typeName } from "../../src/core/index.ts";
import { freshDatabase, sharedServer, type TestDatabase } from "../support/shared.ts";
import { missing } from "../support/start.ts";
import { codeOf, describeQuery, policy, readAll, readTable, SERVERS, sourceOf } from "./postgres-support.ts";
import { CASES, FORMS, SCHEMA } from "./postgres-type-cases.ts";

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
