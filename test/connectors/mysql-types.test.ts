import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DEFAULT_TYPE_POLICY, parseColumnType, type Source, type TypePolicy, typeName } from "../../src/core/index.ts";
import { float64Text } from "../../src/formats/index.ts";
import { freshDatabase, sharedServer, type TestDatabase } from "../support/shared.ts";
import { missing } from "../support/start.ts";
import { describeOne, MYSQL_SERVERS, openSource, readTable } from "./mysql-support.ts";
import { TYPE_CASES } from "./mysql-type-cases.ts";

const LENIENT: TypePolicy = { ...DEFAULT_TYPE_POLICY, mode: "lenient" };
const STRING: TypePolicy = { ...DEFAULT_TYPE_POLICY, mode: "string" };

describe.each(MYSQL_SERVERS)("types of %s", (server) => {
	describe.skipIf(missing(server))("against the server's own text", () => {
		let database: TestDatabase;
		let source: Source;
		let serial = 0;
		beforeAll(async () => {
			const shared = await sharedServer(server);
			database = await freshDatabase(shared);
			// Who may not see transactions does not wait for the server's list of them, at each snapshot.
			source = await openSource(shared, shared.reader);
			await database.query("set names utf8mb4, sql_mode = 'ALLOW_INVALID_DATES'");
		});
		afterAll(async () => {
			await source?.[Symbol.asyncDispose]();
			await database?.drop();
		});

		/** A table of (id, c) with the values, NULL last. */
		async function table(ddl: string, values: readonly string[]): Promise<string> {
			const made = `t${serial++}`;
			await database.query(`create table ${made} (id int primary key, c ${ddl}) engine=innodb`);
			for (const [id, value] of [...values, "null"].entries())
				await database.query(`insert into ${made} values (${id}, ${value})`);
			return made;
		}

		async function texts(made: string, sql = "cast(c as char)"): Promise<(string | null)[]> {
			const expression = sql === "cast(c as char)" ? "cast(c as char character set utf8mb4)" : sql;
			const rows = await database.query(`select ${expression} v from ${made} order by id`);
			return rows.map(({ v }) => v ?? null);
		}

		async function read(made: string, types: TypePolicy) {
			const { table: described, rows } = await readTable(source, database.name, made, types);
			const values = rows.toSorted(([a], [b]) => Number(a) - Number(b)).map(([, value]) => value);
			return { column: described.columns[1]!, values };
		}

		const cases = TYPE_CASES.filter(({ only }) => only === undefined || only === server);
		test.each(cases.map((c) => [c.ddl, c] as const))("%s", async (_ddl, c) => {
			const made = await table(c.ddl, c.values);
			const theirs = await texts(made, c.oracle);
			const nullable = (map: (text: string) => string) => theirs.map((text) => (text === null ? null : map(text)));
			const same = (text: string) => text;

			const exact = await read(made, DEFAULT_TYPE_POLICY);
			expect(typeName(exact.column.type)).toBe(c.exact);
			expect(exact.column.fidelity).toBe("exact");
			expect(exact.values).toEqual(nullable(c.canonical ?? same));

			const string = await read(made, STRING);
			expect(typeName(string.column.type)).toBe("text");
			expect(string.column.fidelity).toBe("exact");
			expect(string.values).toEqual(nullable(c.asString ?? same));

			const lenient = await read(made, LENIENT);
			expect(typeName(lenient.column.type)).toBe(c.lenient);
			expect(lenient.values.map((value) => value === null)).toEqual(theirs.map((value) => value === null));
			if (c.lenient === "float64" && c.oracle === undefined)
				expect(lenient.values).toEqual(nullable((text) => float64Text(Number(text))));
			if (c.lenient === "int64") expect(lenient.values).toEqual(nullable((text) => String(BigInt(text))));
		});

		test("lenient bytes are text when they are UTF-8, else base64, counted", async () => {
			const made = await table("varbinary(40)", ["'héllo, a longer text'", "0x00FF80", "0xC3"]);
			const types = LENIENT;
			const described = await describeOne(source, database.name, made, types);
			expect(described.columns[1]).toMatchObject({ fidelity: "lossy" });
			await using snapshot = await source.snapshot({ readers: 1 });
			let changed = 0;
			const values: string[] = [];
			for await (const batch of snapshot.read({ table: described, columns: described.columns, types })) {
				changed += batch.columns[1]!.changedCount;
				for (let row = 0; row < batch.rowCount; row++)
					values.push(Buffer.from(batch.columns[1]!.bytes(row)).toString("utf8"));
				batch.release();
			}
			expect(values).toEqual(["héllo, a longer text", "AP+A", "ww==", ""]);
			expect(changed).toBe(2);
		});

		test("geometry arrives as EWKB, with and without an SRID", async () => {
			// MySQL 5.6 and MariaDB name the functions alike in this form.
			const points = ["GeomFromText('POINT(1 2)')", "GeomFromText('LINESTRING(0 0,1 1,2 5)', 4326)"];
			const made = await table("geometry", points);
			const wkb = await texts(made, "lower(hex(AsWKB(c)))");
			const exact = await read(made, DEFAULT_TYPE_POLICY);
			expect(typeName(exact.column.type)).toBe("binary");
			// Little-endian 4326 = e6100000, and the flag 0x20000000 in the type.
			const line = wkb[1]!;
			const ewkb = `${line.slice(0, 2)}02000020e6100000${line.slice(10)}`;
			expect(exact.values).toEqual([wkb[0], ewkb, null]);
			expect((await read(made, STRING)).values).toEqual([wkb[0], ewkb, null]);
		});

		test("zero and impossible dates follow the policy", async () => {
			const dates = ["'0000-00-00'", "'2024-00-10'", "'2024-02-31'", "'2024-02-29'"];
			const made = await table("date", dates);
			const moments = await table("datetime", [
				"'0000-00-00 00:00:00'",
				"'2023-02-29 10:00:00'",
				"'2024-02-29 10:00:00'",
			]);
			const stamps = await table("timestamp null", ["'0000-00-00 00:00:00'", "'2024-02-29 10:00:00'"]);
			const nulled = await read(made, DEFAULT_TYPE_POLICY);
			expect(nulled.column.note).toMatch(/zero_date: null/);
			expect(nulled.values).toEqual([null, null, null, "2024-02-29", null]);
			expect((await read(moments, DEFAULT_TYPE_POLICY)).values).toEqual([null, null, "2024-02-29 10:00:00", null]);
			expect((await read(stamps, DEFAULT_TYPE_POLICY)).values).toEqual([null, "2024-02-29 10:00:00+00", null]);

			const text = await read(made, { ...DEFAULT_TYPE_POLICY, zeroDate: "string" });
			expect(typeName(text.column.type)).toBe("text");
			expect(text.values).toEqual(["0000-00-00", "2024-00-10", "2024-02-31", "2024-02-29", null]);

			for (const one of [made, moments, stamps])
				await expect(read(one, { ...DEFAULT_TYPE_POLICY, zeroDate: "fail" })).rejects.toMatchObject({
					code: "E_VALUE",
				});
		});

		test("a policy's changed values are counted in the batch", async () => {
			const made = await table("date", ["'0000-00-00'", "'2024-02-31'", "'2024-02-29'"]);
			const described = await describeOne(source, database.name, made);
			await using snapshot = await source.snapshot({ readers: 1 });
			for await (const batch of snapshot.read({
				table: described,
				columns: described.columns,
				types: DEFAULT_TYPE_POLICY,
			})) {
				expect(batch.columns[1]!.changedCount).toBe(2);
				expect(batch.columns[1]!.nullCount).toBe(3);
				batch.release();
			}
		});

		type Override = readonly [ddl: string, values: string[], to: string, fidelity: string, read: (string | null)[]];
		const overrides: readonly Override[] = [
			["int", ["5", "-7"], "int64", "exact", ["5", "-7", null]],
			["int unsigned", ["4294967295"], "int64", "exact", ["4294967295", null]],
			["int", ["5", "300", "-1"], "uint8", "lossy", ["5", null, null, null]],
			["tinyint(1)", ["0", "1", "2"], "boolean", "lossy", ["false", "true", null, null]],
			["bigint", ["9007199254740993"], "decimal(20,1)", "exact", ["9007199254740993.0", null]],
			["bigint", ["12", "123"], "decimal(2,0)", "lossy", ["12", null, null]],
			["decimal(10,2)", ["1.50", "99999999.99"], "decimal(12,4)", "exact", ["1.5000", "99999999.9900", null]],
			["decimal(10,2)", ["1.50", "1.55"], "decimal(10,1)", "lossy", ["1.5", null, null]],
			["decimal(10,2)", ["12.00", "12.50"], "int32", "lossy", ["12", null, null]],
			["decimal(10,2)", ["12.34"], "float64", "lossy", ["12.34", null]],
			["decimal(10,2)", ["12.30"], "text", "exact", ["12.30", null]],
			[
				"time",
				["'10:00:00'", "'24:00:00'", "'25:00:00'", "'-01:00:00'"],
				"time",
				"lossy",
				["10:00:00", "24:00:00", null, null, null],
			],
			["date", ["'2024-02-29'"], "timestamp", "exact", ["2024-02-29 00:00:00", null]],
			["datetime", ["'2024-02-29 10:00:00'"], "timestamptz", "exact", ["2024-02-29 10:00:00+00", null]],
			["bit(16)", ["b'1000000000000001'"], "int64", "exact", ["32769", null]],
			["bit(64)", [`b'${"1".repeat(64)}'`], "uint64", "exact", ["18446744073709551615", null]],
			["varchar(40)", ["'12'", "'x'"], "int32", "lossy", ["12", null, null]],
			["varchar(40)", ["'2024-02-29'", "'soon'"], "date", "lossy", ["2024-02-29", null, null]],
			["varchar(40)", ["'1.5'", "'1.555'"], "decimal(5,2)", "lossy", ["1.50", null, null]],
			["varchar(40) character set latin1", ["'é'"], "binary", "exact", ["e9", null]],
			["varbinary(4)", ["0x00FF"], "text", "exact", ["00ff", null]],
		];
		test.each(overrides)("override %s %j to %s", async (ddl, values, to, fidelity, wanted) => {
			const made = await table(ddl, values);
			const types: TypePolicy = { ...DEFAULT_TYPE_POLICY, outOfRange: "null", overrides: { c: parseColumnType(to)! } };
			const found = await read(made, types);
			expect(typeName(found.column.type)).toBe(to);
			expect(found.column.fidelity).toBe(fidelity);
			expect(found.values).toEqual(wanted);
			const failing = read(made, { ...types, outOfRange: "fail" });
			if (wanted.filter((value) => value === null).length > 1)
				await expect(failing).rejects.toMatchObject({
					code: "E_VALUE",
					message: expect.not.stringMatching(/300|soon|1\.55/),
				});
			else expect((await failing).values).toEqual(wanted);
		});

		test.each([
			["date", "int32"],
			["varbinary(4)", "int32"],
			["double", "int64"],
			["bit(5)", "boolean"],
			["bit(64)", "int64"],
			["int", "json"],
			["varchar(3)", "int64[]"],
		])("override %s to %s is refused", async (ddl, to) => {
			const made = await table(ddl, []);
			const described = await describeOne(source, database.name, made, {
				...DEFAULT_TYPE_POLICY,
				overrides: { c: parseColumnType(to)! },
			});
			expect(described.columns[1]!.fidelity).toBe("refused");
		});
	});
});
