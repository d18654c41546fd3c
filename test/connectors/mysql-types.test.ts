import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DEFAULT_TYPE_POLICY, parseColumnType, type Source, type TypePolicy, typeName } from "../../src/core/index.ts";
import { float32Text, float64Text, intervalText } from "../../src/formats/index.ts";
import { freshDatabase, sharedServer, type TestDatabase } from "../support/shared.ts";
import { missing } from "../support/start.ts";
import { describeOne, MYSQL_SERVERS, openSource, readTable } from "./mysql-support.ts";

interface TypeCase {
	readonly ddl: string;
	/** SQL of the values. */
	readonly values: readonly string[];
	/** Canonical type in modes exact and lenient. */
	readonly exact: string;
	readonly lenient: string;
	/** The server's own text of the column `c`; default: CAST(c AS CHAR). */
	readonly oracle?: string;
	/** From the server's text to the canonical text of the exact type. */
	readonly canonical?: (text: string) => string;
	/** From the server's text to what mode string gives. */
	readonly asString?: (text: string) => string;
	readonly only?: "mariadb";
}

/** `-838:59:59.000001` as ISO 8601. */
function isoOfTime(text: string): string {
	const [, sign, hours, minutes, seconds, fraction = ""] = /^(-?)(\d+):(\d\d):(\d\d)(?:\.(\d+))?$/.exec(text)!;
	const whole = (BigInt(hours!) * 60n + BigInt(minutes!)) * 60n + BigInt(seconds!);
	const micros = whole * 1000000n + BigInt(fraction.padEnd(6, "0"));
	return intervalText(0, 0, sign === "-" ? -micros : micros);
}

const trimmed = (text: string) => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);
const hex = "lower(hex(c))";
const nines = (digits: number, scale: number) =>
	`${"9".repeat(digits - scale)}${scale > 0 ? `.${"9".repeat(scale)}` : ""}`;
const decimals = (precision: number, scale: number) => [
	nines(precision, scale),
	`-${nines(precision, scale)}`,
	"0",
	`${scale > 0 ? `0.${"0".repeat(scale - 1)}1` : "1"}`,
	"-1",
];
const EMOJI = "convert(0xF09F9880 using utf8mb4)";

const CASES: readonly TypeCase[] = [
	{ ddl: "tinyint", values: ["-128", "127", "0"], exact: "int8", lenient: "int64" },
	{ ddl: "tinyint(1)", values: ["-128", "1", "2"], exact: "int8", lenient: "int64" },
	{ ddl: "tinyint unsigned", values: ["0", "255"], exact: "uint8", lenient: "int64" },
	{ ddl: "smallint", values: ["-32768", "32767"], exact: "int16", lenient: "int64" },
	{ ddl: "smallint unsigned", values: ["0", "65535"], exact: "uint16", lenient: "int64" },
	{ ddl: "mediumint", values: ["-8388608", "8388607"], exact: "int32", lenient: "int64" },
	{ ddl: "mediumint unsigned", values: ["0", "16777215"], exact: "uint32", lenient: "int64" },
	{ ddl: "int", values: ["-2147483648", "2147483647", "-1"], exact: "int32", lenient: "int64" },
	{ ddl: "int unsigned", values: ["0", "4294967295", "2147483648"], exact: "uint32", lenient: "int64" },
	{
		ddl: "int(8) unsigned zerofill",
		values: ["0", "42", "4294967295"],
		exact: "uint32",
		lenient: "int64",
		canonical: (text) => String(Number(text)),
	},
	{
		ddl: "bigint",
		values: ["-9223372036854775808", "9223372036854775807", "-1", "999999999999999", "1000000000000000", "-4294967296"],
		exact: "int64",
		lenient: "int64",
	},
	{
		ddl: "bigint unsigned",
		values: ["0", "18446744073709551615", "9223372036854775808", "4294967296"],
		exact: "uint64",
		lenient: "float64",
	},
	{ ddl: "decimal(4,2)", values: decimals(4, 2), exact: "decimal(4,2)", lenient: "float64" },
	{ ddl: "decimal(9,0)", values: decimals(9, 0), exact: "decimal(9,0)", lenient: "float64" },
	{ ddl: "decimal(9,9)", values: ["0.999999999", "-0.000000001"], exact: "decimal(9,9)", lenient: "float64" },
	{ ddl: "decimal(15,2)", values: decimals(15, 2), exact: "decimal(15,2)", lenient: "float64" },
	{
		ddl: "decimal(18,6) unsigned",
		values: ["999999999999.999999", "0.000001"],
		exact: "decimal(18,6)",
		lenient: "float64",
	},
	{ ddl: "decimal(18,0)", values: decimals(18, 0), exact: "decimal(18,0)", lenient: "float64" },
	{
		ddl: "decimal(19,4)",
		values: [...decimals(19, 4), "9007199254740993.1234"],
		exact: "decimal(19,4)",
		lenient: "float64",
	},
	{ ddl: "decimal(38,10)", values: decimals(38, 10), exact: "decimal(38,10)", lenient: "float64" },
	{ ddl: "decimal(38,30)", values: decimals(38, 30), exact: "decimal(38,30)", lenient: "float64" },
	{
		ddl: "decimal(38,0)",
		values: [...decimals(38, 0), "-18446744073709551616"],
		exact: "decimal(38,0)",
		lenient: "float64",
	},
	{ ddl: "decimal(39,0)", values: decimals(39, 0), exact: "text", lenient: "text" },
	{ ddl: "decimal(65,30)", values: decimals(65, 30), exact: "text", lenient: "text" },
	{
		ddl: "float",
		values: ["3.14159265", "16777217", "1.17549435e-38", "-3.4e38", "0.1", "1e-45"],
		exact: "float32",
		lenient: "float64",
		oracle: "cast(c * 1e0 as char)",
		canonical: (text) => float32Text(Math.fround(Number(text))),
		asString: (text) => float32Text(Math.fround(Number(text))),
	},
	{
		ddl: "float(7,4)",
		values: ["999.9999", "0.1"],
		exact: "float32",
		lenient: "float64",
		oracle: "cast(c * 1e0 as char)",
		canonical: (text) => float32Text(Math.fround(Number(text))),
		asString: (text) => float32Text(Math.fround(Number(text))),
	},
	{
		ddl: "double",
		values: [
			"1.7976931348623157e308",
			"2.2250738585072014e-308",
			"5e-324",
			"0.1",
			"123456789012345680",
			"-1.5e-7",
			"1e22",
		],
		exact: "float64",
		lenient: "float64",
		canonical: (text) => float64Text(Number(text)),
	},
	{
		ddl: "double(12,3)",
		values: ["123456789.123", "-0.001"],
		exact: "float64",
		lenient: "float64",
		oracle: "cast(c * 1e0 as char)",
		canonical: (text) => float64Text(Number(text)),
	},
	{
		ddl: "bit(1)",
		values: ["b'0'", "b'1'"],
		exact: "boolean",
		lenient: "int64",
		oracle: "cast(c + 0 as char)",
		canonical: (text) => (text === "1" ? "true" : "false"),
	},
	{ ddl: "bit(5)", values: ["b'0'", "b'10101'"], exact: "text", lenient: "text", oracle: "lpad(bin(c + 0), 5, '0')" },
	{
		ddl: "bit(64)",
		values: ["b'0'", `b'${"1".repeat(64)}'`, `b'1${"0".repeat(63)}'`],
		exact: "text",
		lenient: "text",
		oracle: "lpad(bin(c + 0), 64, '0')",
	},
	{
		ddl: "year",
		values: ["0", "1901", "2155"],
		exact: "int16",
		lenient: "int64",
		canonical: (text) => String(Number(text)),
	},
	{
		ddl: "date",
		values: ["'1000-01-01'", "'9999-12-31'", "'2024-02-29'", "'1969-12-31'", "'1582-10-10'"],
		exact: "date",
		lenient: "date",
	},
	{
		ddl: "datetime(6)",
		values: [
			"'1000-01-01 00:00:00'",
			"'9999-12-31 23:59:59.999999'",
			"'1969-12-31 23:59:59.999999'",
			"'2024-02-29 12:34:56.000001'",
			"'2300-01-01 00:00:00.1'",
			"'1600-06-15 01:02:03'",
		],
		exact: "timestamp",
		lenient: "timestamp",
		canonical: trimmed,
	},
	{ ddl: "datetime", values: ["'2024-03-31 02:30:00'"], exact: "timestamp", lenient: "timestamp" },
	{
		ddl: "datetime(3)",
		values: ["'2024-03-31 02:30:00.120'"],
		exact: "timestamp",
		lenient: "timestamp",
		canonical: trimmed,
	},
	{
		ddl: "timestamp(6) null",
		values: ["'1970-01-01 00:00:01'", "'2038-01-19 03:14:07.999999'", "'2024-10-27 00:59:59.5'"],
		exact: "timestamptz",
		lenient: "timestamp",
		canonical: (text) => `${trimmed(text)}+00`,
	},
	{
		ddl: "time(6)",
		values: ["'-838:59:59'", "'838:59:59'", "'-00:00:00.000001'", "'00:00:00'", "'23:59:59.999999'", "'-12:00:00.5'"],
		exact: "interval",
		lenient: "text",
		canonical: isoOfTime,
	},
	{ ddl: "time", values: ["'-838:59:59'", "'100:00:00'"], exact: "interval", lenient: "text", canonical: isoOfTime },
	{ ddl: "char(10) character set utf8mb4", values: ["''", "'a  '", "'x\\0y'", EMOJI], exact: "text", lenient: "text" },
	{
		ddl: "varchar(300) character set utf8mb4",
		values: [
			"''",
			"'trailing  '",
			"'\\\\N'",
			"'NULL'",
			"'a\\0b'",
			EMOJI,
			`concat(${EMOJI}, repeat('é', 200))`,
			"'\\r\\n\\t\"'",
		],
		exact: "text",
		lenient: "text",
	},
	{
		ddl: "varchar(100) character set latin1",
		values: ["'é€ÿ'", "repeat('ü', 60)", "_latin1 0x80"],
		exact: "text",
		lenient: "text",
	},
	{ ddl: "varchar(100) character set utf8", values: ["'é€漢字'", "repeat('漢', 60)"], exact: "text", lenient: "text" },
	{
		ddl: "varchar(100) character set gbk",
		values: ["'漢字é'", "_gbk 0xBF5C", "repeat('漢', 40)"],
		exact: "text",
		lenient: "text",
	},
	{ ddl: "varchar(40) character set utf16", values: [EMOJI, "'a\\0b'"], exact: "text", lenient: "text" },
	{
		ddl: "longtext character set utf8mb4",
		values: ["''", "repeat('0123456789', 20000)"],
		exact: "text",
		lenient: "text",
	},
	{
		ddl: "enum('', 'a', 'b''c', 'é') character set utf8mb4",
		values: ["''", "'a'", "'b''c'", "'é'"],
		exact: "text",
		lenient: "text",
	},
	{ ddl: "set('a', 'b', 'c')", values: ["''", "'a'", "'a,c'"], exact: "text", lenient: "text" },
	{ ddl: "binary(5)", values: ["''", "'ab'", "0x0001FF"], exact: "binary", lenient: "text", oracle: hex },
	{
		ddl: "varbinary(100)",
		values: ["''", "'ab'", "0x00FF80", "repeat(0xC3, 50)"],
		exact: "binary",
		lenient: "text",
		oracle: hex,
	},
	{ ddl: "longblob", values: ["''", "repeat(0x00FF, 30000)"], exact: "binary", lenient: "text", oracle: hex },
	{
		ddl: "json",
		values: [`'{"a": 12345678901234567890123456789, "b": "é"}'`, "'null'", "'[1, 2.50]'"],
		exact: "json",
		lenient: "text",
		only: "mariadb",
	},
	{
		ddl: "uuid",
		values: ["'F47AC10B-58CC-4372-A567-0E02B2C3D479'", "'00000000-0000-0000-0000-000000000000'"],
		exact: "uuid",
		lenient: "text",
		only: "mariadb",
	},
	{
		ddl: "inet6",
		values: ["'2001:DB8::ff00:42:8329'", "'::ffff:10.0.0.1'"],
		exact: "text",
		lenient: "text",
		only: "mariadb",
	},
	{ ddl: "inet4", values: ["'10.0.0.255'"], exact: "text", lenient: "text", only: "mariadb" },
];

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
			source = await openSource(shared);
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

		const cases = CASES.filter(({ only }) => only === undefined || only === server);
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
