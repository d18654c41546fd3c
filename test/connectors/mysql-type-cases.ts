import { float32Text, float64Text, intervalText } from "../../src/formats/index.ts";

/** A type of MySQL with its extremes. */
export interface TypeCase {
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

export const TYPE_CASES: readonly TypeCase[] = [
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
