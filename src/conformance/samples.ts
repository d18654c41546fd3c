import { type ColumnType, typeName } from "../core/column-type.ts";

/** Values at the edges of a type, as canonical text. */
export interface TypeSample {
	readonly type: ColumnType;
	readonly values: readonly string[];
}

const decimal = (precision: number, scale: number): ColumnType => ({ kind: "decimal", precision, scale });

/** Text that breaks what quotes, escapes, splits or shortens it. */
export const AWKWARD_TEXTS: readonly string[] = [
	"",
	" ",
	"'",
	'"',
	"\\",
	"\\N",
	"\\.",
	"a,b\t|;",
	"line\nfeed\r\nreturn\r",
	"NULL",
	"exactly 12 b",
	"thirteen byte",
	"a trailing blank ",
	"Größe ☃ 日本語 😀",
	"e\u0301 is not é",
	"{{ ds }} ${env:HOME} %s $1 ?",
	"x".repeat(70_000),
];

/** Every canonical type with its extremes; a value is one that the type's own systems can hold. */
export const TYPE_SAMPLES: readonly TypeSample[] = [
	{ type: { kind: "boolean" }, values: ["true", "false"] },
	{ type: { kind: "int8" }, values: ["-128", "0", "127"] },
	{ type: { kind: "int16" }, values: ["-32768", "0", "32767"] },
	{ type: { kind: "int32" }, values: ["-2147483648", "0", "2147483647"] },
	{ type: { kind: "int64" }, values: ["-9223372036854775808", "9007199254740993", "9223372036854775807"] },
	{ type: { kind: "uint8" }, values: ["0", "255"] },
	{ type: { kind: "uint16" }, values: ["0", "65535"] },
	{ type: { kind: "uint32" }, values: ["0", "4294967295"] },
	{ type: { kind: "uint64" }, values: ["0", "9223372036854775808", "18446744073709551615"] },
	{ type: { kind: "float32" }, values: ["0", "-0", "0.1", "3.4028235e+38", "1.1754944e-38", "NaN", "-Infinity"] },
	{
		type: { kind: "float64" },
		values: ["0", "-0", "0.1", "1.7976931348623157e+308", "2.2250738585072014e-308", "NaN", "Infinity", "-Infinity"],
	},
	{ type: decimal(4, 2), values: ["-99.99", "0.00", "99.99"] },
	{ type: decimal(9, 0), values: ["-999999999", "999999999"] },
	{ type: decimal(18, 6), values: ["-999999999999.999999", "0.000001"] },
	{
		type: decimal(38, 10),
		values: ["-9999999999999999999999999999.9999999999", "0.0000000001", "9999999999999999999999999999.9999999999"],
	},
	{ type: { kind: "date" }, values: ["0001-01-01", "1582-10-10", "1969-12-31", "2024-02-29", "9999-12-31"] },
	{ type: { kind: "time" }, values: ["00:00:00", "12:34:56.789012", "23:59:59.999999"] },
	{
		type: { kind: "timestamp" },
		values: [
			"0001-01-01 00:00:00",
			"1969-12-31 23:59:59.999999",
			"2024-02-29 12:00:00.000001",
			"9999-12-31 23:59:59.999999",
		],
	},
	{
		type: { kind: "timestamptz" },
		values: ["1970-01-01 00:00:01+00", "2024-03-31 01:30:00.123456+00", "2037-12-31 23:59:59.999999+00"],
	},
	{ type: { kind: "interval" }, values: ["PT0S", "P1Y2M-3DT4H5M6.7S", "P-1MT-0.000001S"] },
	{ type: { kind: "uuid" }, values: ["00000000-0000-0000-0000-000000000000", "f47ac10b-58cc-4372-a567-0e02b2c3d479"] },
	{ type: { kind: "text" }, values: AWKWARD_TEXTS },
	{ type: { kind: "json" }, values: ['{"a": 12345678901234567890123456789}', "[]", "null", '"\\u00e9"'] },
	{ type: { kind: "binary" }, values: ["", "00", "ff00ff", "00".repeat(13), "5c4e27220a"] },
	{ type: { kind: "list", element: { kind: "int64" } }, values: ["[]", '["1",null,"9223372036854775807"]'] },
];

/** The name of the case about a type, as a gap writes it. */
export function typeCaseName(type: ColumnType): string {
	return `type ${typeName(type)}: the extremes and NULL arrive equal`;
}

/** Names that must be quoted, and quoted well. */
export const ODD_NAMES: readonly string[] = [
	"select",
	"with space",
	"MiXed",
	'dou"ble',
	"sin'gle",
	"back`tick",
	"brack]et",
	"do.t",
	"semi;colon--",
	"naïve_名前",
	"$dollar",
	"__proto__",
];
