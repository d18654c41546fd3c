import type { ColumnType, TextCasts } from "../../core/index.ts";
import { FLOAT_DIGITS, textPattern } from "../../sql/index.ts";
import { quoteIdentifier, quoteLiteral } from "./sql-text.ts";
import { foldName } from "./target-names.ts";
import { mapType } from "./target-types.ts";

/** Lowest and highest value by bits, and by bits without a sign. */
const RANGES: Readonly<Record<string, readonly [string, string]>> = {
	int8: ["-128", "127"],
	int16: ["-32768", "32767"],
	int32: ["-2147483648", "2147483647"],
	int64: ["-9223372036854775808", "9223372036854775807"],
	uint8: ["0", "255"],
	uint16: ["0", "65535"],
	uint32: ["0", "4294967295"],
	uint64: ["0", "18446744073709551615"],
};

/**
 * Before version 16 the server can't try a cast: it fails as a whole on the first text that is none. So the form is
 * tried, then the parts; CASE keeps a cast from texts of another form.
 */
export const postgresTexts: TextCasts = {
	fails(column, type) {
		const text = quoteIdentifier(foldName(column));
		const pattern = textPattern(type);
		const refused = pattern === null ? null : refusedOf(text, type);
		if (refused === null) return null;
		return `CASE WHEN ${text} IS NULL THEN false WHEN ${text} !~ ${quoteLiteral(pattern!)} THEN true ELSE ${refused} END`;
	},
	value(column, type) {
		const text = quoteIdentifier(foldName(column));
		const { destinationType } = mapType(type);
		return RANGES[type.kind] === undefined ? `${text}::${destinationType}` : `${text}::numeric::${destinationType}`;
	},
	checksum: (expression) => `sum(('x' || substr(md5((${expression})::text), 1, 15))::bit(60)::bigint)::text`,
};

/** Condition that a text of the right form is no value; null when that can't be told. */
function refusedOf(text: string, type: ColumnType): string | null {
	const range = RANGES[type.kind];
	if (range !== undefined) return `${text}::numeric NOT BETWEEN ${range[0]} AND ${range[1]}`;
	switch (type.kind) {
		case "decimal":
			return `abs(${text}::numeric) >= 1${"0".repeat(type.precision - type.scale)}::numeric`;
		case "float32":
			return floatRefused(text, "float4", FLOAT_DIGITS.float32, "1e-37", "3.4e38");
		case "float64":
			return floatRefused(text, "float8", FLOAT_DIGITS.float64, "1e-307", "1.7e308");
		case "date":
			return `NOT ${isDay(text)}`;
		case "timestamp":
		case "timestamptz":
			return `NOT (${isDay(text)} AND ${isTime(text)} AND ${isZone(text, type.kind === "timestamptz")})`;
		case "boolean":
		case "uuid":
			return "false";
		default:
			return null;
	}
}

/** Its digits may be more than the type keeps; outside of the bounds a cast may fail. */
function floatRefused(text: string, type: string, digitsMax: number, least: string, most: string): string {
	const digits = `ltrim(regexp_replace(split_part(lower(${text}), 'e', 1), '[^0-9]', '', 'g'), '0')`;
	return `CASE WHEN ${text} IN ('NaN', 'Infinity', '-Infinity') THEN false
		WHEN ${text} ~ '[eE][+-]?[0-9]{4,}$' THEN true
		WHEN ${text}::numeric <> 0 AND abs(${text}::numeric) NOT BETWEEN ${least} AND ${most} THEN true
		ELSE length(${digits}) > ${digitsMax} AND ${text}::${type}::text <> ${text} END`;
}

/** Year, month and day of `2024-02-29…` are a day of the calendar. */
function isDay(text: string): string {
	const [year, month, day] = [`substr(${text}, 1, 4)::int`, `substr(${text}, 6, 2)::int`, `substr(${text}, 9, 2)::int`];
	const last = `extract(day FROM make_date(${year}, ${month}, 1) + interval '1 month' - interval '1 day')`;
	return `CASE WHEN ${year} < 1 OR ${month} NOT BETWEEN 1 AND 12 THEN false ELSE ${day} BETWEEN 1 AND ${last} END`;
}

/** The time behind a day, when there is one. */
function isTime(text: string): string {
	const part = (at: number) => `coalesce(nullif(substr(${text}, ${at}, 2), ''), '0')::int`;
	// `12:00` may be followed by a zone where seconds could be.
	const seconds = `coalesce(substring(${text} FROM '^.{16}:([0-9]{2})'), '0')::int`;
	return `(${part(12)} < 24 AND ${part(15)} < 60 AND ${seconds} < 60)`;
}

/** The server knows zones up to 15:59 from UTC. */
function isZone(text: string, zoned: boolean): string {
	if (!zoned) return "true";
	return `coalesce(substring(${text} FROM '[+-]([0-9]{2}):?[0-9]{0,2}$'), '0')::int < 15
		AND coalesce(nullif(substring(${text} FROM '[+-][0-9]{2}:?([0-9]{2})$'), ''), '0')::int < 60`;
}
