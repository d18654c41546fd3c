import type { TypeCase } from "./type-case.ts";

const nines = (digits: number, scale: number): string =>
	`${"9".repeat(digits - scale)}${scale > 0 ? `.${"9".repeat(scale)}` : ""}`;
/** Both ends, zero, the smallest step, and a zero with a sign. */
const decimals = (precision: number, scale: number): string[] => [
	nines(precision, scale),
	`-${nines(precision, scale)}`,
	"0",
	scale > 0 ? `0.${"0".repeat(scale - 1)}1` : "1",
	"-0.0",
];
const EMOJI = "convert(0xF09F9880 using utf8mb4)";
const DOES_NOT_EXIST = /dates that do not exist become NULL and are counted/;
const ROUNDED = { note: /nearest binary number/, fidelity: "lossy" } as const;
const HEX = "lower(hex(c))";
/** TIME as months, days and microseconds. */
const TIME_PARTS = `concat('0 0 ', if(c < cast('00:00:00' as time(6)), '-', ''),
	(hour(c) * 3600 + minute(c) * 60 + second(c)) * 1000000 + microsecond(c))`;
/** Little-endian WKB with a flag in its type and the SRID (4326 or none) behind it. */
const EWKB = `concat('01', lower(hex(substr(aswkb(c), 2, 3))), if(srid(c) = 0, '00', '20e6100000'), lower(hex(substr(aswkb(c), 6))))`;
/** NULL for the dates that no calendar has; ALLOW_INVALID_DATES let them in. */
const existing = (sql: string): string => `if(cast(c as char) regexp '^0000|-00|-02-3', null, ${sql})`;
const DAYS = "cast(datediff(c, '1970-01-01') as char)";
const MICROS = "cast(timestampdiff(microsecond, '1970-01-01', c) as char)";
/** A FLOAT prints six digits, as a double all that it has. */
const DOUBLE = "cast(c * 1e0 as char)";
const DIGITS = "cast(c + 0 as char)";
const bits = (count: number): string => `lpad(bin(c + 0), ${count}, '0')`;
const bit = (count: number): TypeCase => ({
	type: `bit(${count})`,
	values: ["b'0'", `b'${"1".repeat(count)}'`, `b'1${"0".repeat(count - 1)}'`],
	exact: "text",
	lenient: "text",
	sql: { exact: bits(count), lenient: bits(count), string: bits(count) },
});
const decimal = (precision: number, scale: number): TypeCase => ({
	type: `decimal(${precision},${scale})`,
	values: decimals(precision, scale),
	exact: `decimal(${precision},${scale})`,
	lenient: "float64",
	loss: { lenient: { ...ROUNDED, changed: "rounded" } },
});
const text = (type: string, values: readonly string[], name?: string): TypeCase => ({
	type,
	...(name === undefined ? {} : { name }),
	values,
	exact: "text",
	lenient: "text",
});
/** Bytes: those that are UTF-8 come first, `base64` is how many come after them. */
const bytes = (type: string, utf8: readonly string[], other: readonly string[]): TypeCase => ({
	type,
	values: [...utf8, ...other],
	exact: "binary",
	lenient: "text",
	sql: {
		exact: HEX,
		lenient: `if(id < ${utf8.length}, convert(c using utf8mb4), replace(to_base64(c), '\\n', ''))`,
		string: HEX,
	},
	loss: { lenient: { note: /base64/, fidelity: "lossy", changed: other.length } },
});
const MEMBERS = Array.from({ length: 64 }, (_, index) => `m${index + 1}`);

export const MYSQL_CASES: readonly TypeCase[] = [
	{ type: "tinyint", values: ["-128", "127", "0"], exact: "int8", lenient: "int64" },
	{ type: "tinyint(1)", values: ["-128", "1", "2"], exact: "int8", lenient: "int64" },
	{ type: "tinyint unsigned", values: ["0", "255"], exact: "uint8", lenient: "int64" },
	{ type: "smallint", values: ["-32768", "32767", "0"], exact: "int16", lenient: "int64" },
	{ type: "smallint unsigned", values: ["0", "65535"], exact: "uint16", lenient: "int64" },
	{ type: "mediumint", values: ["-8388608", "8388607", "0"], exact: "int32", lenient: "int64" },
	{ type: "mediumint unsigned", values: ["0", "16777215"], exact: "uint32", lenient: "int64" },
	{ type: "int", values: ["-2147483648", "2147483647", "0"], exact: "int32", lenient: "int64" },
	{ type: "int unsigned", values: ["0", "4294967295"], exact: "uint32", lenient: "int64" },
	{
		type: "int(8) unsigned zerofill",
		values: ["0", "42", "4294967295"],
		exact: "uint32",
		lenient: "int64",
		sql: { exact: DIGITS, lenient: DIGITS },
	},
	{
		type: "bigint",
		values: ["-9223372036854775808", "9223372036854775807", "0", "9007199254740993"],
		exact: "int64",
		lenient: "int64",
	},
	{
		type: "bigint unsigned",
		values: ["0", "18446744073709551615", "9007199254740993", "9007199254740992"],
		exact: "uint64",
		lenient: "float64",
		loss: { lenient: { note: /above 2\^53 are rounded/, fidelity: "lossy", changed: "rounded" } },
	},
	decimal(4, 2),
	decimal(9, 9),
	decimal(15, 2),
	decimal(18, 0),
	decimal(19, 4),
	decimal(38, 0),
	decimal(38, 30),
	{ type: "decimal(39,0)", values: decimals(39, 0), exact: "text", lenient: "text" },
	{ type: "decimal(65,30)", values: decimals(65, 30), exact: "text", lenient: "text" },
	{
		type: "float",
		values: ["3.4028234e38", "-3.4028234e38", "1.17549435e-38", "0", "16777217", "0.1", "3.14159265"],
		exact: "float32",
		lenient: "float64",
		sql: { string: DOUBLE },
	},
	{
		type: "float(7,4)",
		values: ["999.9999", "-0.0001"],
		exact: "float32",
		lenient: "float64",
		sql: { string: DOUBLE },
	},
	{
		type: "double",
		values: ["1.7976931348623157e308", "-1.7976931348623157e308", "5e-324", "0", "0.1", "123456789012345680"],
		exact: "float64",
		lenient: "float64",
		sql: { string: DOUBLE },
	},
	{
		type: "double(12,3)",
		values: ["123456789.123", "-0.001"],
		exact: "float64",
		lenient: "float64",
		sql: { string: DOUBLE },
	},
	{
		type: "bit(1)",
		values: ["b'0'", "b'1'"],
		exact: "boolean",
		lenient: "int64",
		sql: { lenient: DIGITS, string: DIGITS },
	},
	bit(2),
	bit(8),
	bit(9),
	bit(63),
	bit(64),
	{
		type: "year",
		values: ["0", "1901", "2155"],
		exact: "int16",
		lenient: "int64",
		sql: { exact: DIGITS, lenient: DIGITS },
	},
	{
		type: "date",
		values: ["'1000-01-01'", "'9999-12-31'", "'2024-02-29'", "'1582-10-10'"],
		exact: "date",
		lenient: "date",
	},
	{
		type: "date",
		name: "date, impossible",
		values: ["'0000-00-00'", "'2024-00-10'", "'2024-02-31'", "'2024-02-29'"],
		exact: "date",
		lenient: "date",
		sql: { exact: existing(DAYS), lenient: existing(DAYS) },
		loss: { exact: { note: DOES_NOT_EXIST, changed: 3 }, lenient: { note: DOES_NOT_EXIST, changed: 3 } },
	},
	{
		type: "datetime",
		values: ["'1000-01-01'", "'9999-12-31 23:59:59'", "'2024-03-31 02:30:00'"],
		exact: "timestamp",
		lenient: "timestamp",
	},
	{
		type: "datetime(6)",
		values: [
			"'1000-01-01 00:00:00.000001'",
			"'9999-12-31 23:59:59.999999'",
			"'1969-12-31 23:59:59.999999'",
			"'2024-02-29 12:34:56.123456'",
			"'2300-01-01 00:00:00.1'",
		],
		exact: "timestamp",
		lenient: "timestamp",
	},
	{ type: "datetime(3)", values: ["'2024-03-31 02:30:00.120'"], exact: "timestamp", lenient: "timestamp" },
	{
		type: "datetime",
		name: "datetime, impossible",
		values: ["'0000-00-00 00:00:00'", "'2024-00-10 10:00:00'", "'2024-02-31 10:00:00'", "'2024-10-10 10:00:00'"],
		exact: "timestamp",
		lenient: "timestamp",
		sql: { exact: existing(MICROS), lenient: existing(MICROS) },
		loss: { exact: { note: DOES_NOT_EXIST, changed: 3 }, lenient: { note: DOES_NOT_EXIST, changed: 3 } },
	},
	{
		// 00:30 and 01:30 in UTC are one wall clock in Berlin that night.
		type: "timestamp(6) null",
		values: [
			"'1970-01-01 00:00:01'",
			"'2038-01-19 03:14:07.999999'",
			"'2024-10-27 00:30:00'",
			"'2024-10-27 01:30:00'",
			"'2024-10-27 00:59:59.5'",
		],
		exact: "timestamptz",
		lenient: "timestamp",
	},
	{
		type: "timestamp null",
		name: "timestamp, zero",
		values: ["'0000-00-00 00:00:00'", "'2024-10-27 00:59:59'"],
		exact: "timestamptz",
		lenient: "timestamp",
		sql: { exact: existing(MICROS), lenient: existing(MICROS) },
		loss: { exact: { note: DOES_NOT_EXIST, changed: 1 }, lenient: { note: DOES_NOT_EXIST, changed: 1 } },
	},
	{
		type: "time(6)",
		values: [
			"'-838:59:59.000000'",
			"'838:59:59'",
			"'-838:59:58.999999'",
			"'-00:00:00.000001'",
			"'00:00:00'",
			"'23:59:59.999999'",
		],
		exact: "interval",
		lenient: "text",
		sql: { exact: TIME_PARTS },
	},
	{
		type: "time",
		values: ["'-838:59:59'", "'100:00:00'"],
		exact: "interval",
		lenient: "text",
		sql: { exact: TIME_PARTS },
	},
	text("char(10) character set utf8mb4", ["''", "'a  '", "'x\\0y'", EMOJI]),
	text("varchar(300) character set utf8mb4", [
		"''",
		"'trailing  '",
		"'\\\\N'",
		"'NULL'",
		"'a\\0b'",
		"repeat('\\0', 13)",
		`concat(${EMOJI}, repeat('é', 200))`,
		"'\\r\\n\\t\"\"'",
		"'e\u0301'",
		"'é'",
	]),
	text("varchar(100) character set latin1", ["'é€ÿ'", "_latin1 0x80", "_latin1 0x81", "repeat('ü', 60)"]),
	text("varchar(100) character set utf8", ["'é€漢字'", "repeat('漢', 60)"]),
	text("varchar(100) character set gbk", ["'漢字é'", "_gbk 0xBF5C", "repeat('漢', 40)"]),
	text("varchar(40) character set ucs2", ["'é漢'", "'a\\0b'", "''"]),
	text("varchar(40) character set utf16", [EMOJI, "'a\\0b'"]),
	text("varchar(40) character set utf32", [EMOJI, "'z'"]),
	text("tinytext", ["''", "'0123456789012'"]),
	text("longtext character set utf8mb4", ["''", "repeat('0123456789', 20000)", "'{\"a\":1}'"]),
	text("enum('', 'a', 'b''c', 'é') character set utf8mb4", ["''", "'no such label'", "'b''c'", "'é'"]),
	text("set('a', 'b', 'c')", ["''", "'a'", "'a,c'"]),
	text(
		`set(${MEMBERS.map((member) => `'${member}'`).join(",")})`,
		["18446744073709551615", "9223372036854775808", "0"],
		"set of 64",
	),
	bytes("binary(5)", ["''", "'ab'", "0x0001"], ["0x0001FF"]),
	bytes("varbinary(100)", ["''", "'ab'", "0x00", "repeat('é', 20)"], ["0x00FF80", "repeat(0xC3, 50)"]),
	bytes("longblob", ["''"], ["repeat(0x00FF, 30000)"]),
	{
		type: "geometry",
		values: ["GeomFromText('POINT(1 2)')", "GeomFromText('LINESTRING(0 0,1 1,2 5)', 4326)"],
		exact: "binary",
		lenient: "text",
		sql: { exact: EWKB, lenient: EWKB, string: EWKB },
	},
	{
		type: "json",
		values: [
			`'{"a": 12345678901234567890123456789, "a": 1.50e400}'`,
			`'{"u": "\\\\u0041\\\\u0000\\\\ud83d\\\\ude00", "é": [ ]}'`,
			"'null'",
			"'\"\"'",
			"'[1, 2.50, -0.0]'",
		],
		exact: "json",
		lenient: "text",
		only: "mariadb",
	},
	{
		type: "uuid",
		values: [
			"'F47AC10B-58CC-4372-A567-0E02B2C3D479'",
			"'00000000-0000-0000-0000-000000000000'",
			"'ffffffff-ffff-ffff-ffff-ffffffffffff'",
		],
		exact: "uuid",
		lenient: "text",
		only: "mariadb",
	},
	{ ...text("inet6", ["'2001:DB8::ff00:42:8329'", "'::ffff:10.0.0.1'", "'::'"]), only: "mariadb" },
	{ ...text("inet4", ["'10.0.0.255'", "'0.0.0.0'"]), only: "mariadb" },
];

/** The server's own text of a column, for the canonical type that it arrives as. */
export function mysqlSql(type: string, column: string): string {
	const of = (sql: string): string => sql.replace(/\bc\b/g, () => column);
	switch (type) {
		case "date":
			return of(DAYS);
		case "timestamp":
		case "timestamptz":
			return of(MICROS);
		case "float32":
		case "float64":
			return of(DOUBLE);
		case "boolean":
			return of("elt(c + 1, 'false', 'true')");
		default:
			return of("cast(c as char character set utf8mb4)");
	}
}
