import { type Column, DATE_INFINITY, daysFromCivil, daysInMonth, TIMESTAMP_INFINITY } from "../core/index.ts";

const INTEGER_RANGES: Record<string, readonly [bigint, bigint]> = {
	int8: [-128n, 127n],
	uint8: [0n, 255n],
	int16: [-32768n, 32767n],
	uint16: [0n, 65535n],
	int32: [-2147483648n, 2147483647n],
	uint32: [0n, 4294967295n],
	int64: [-(1n << 63n), (1n << 63n) - 1n],
	uint64: [0n, (1n << 64n) - 1n],
};

const DAY_MICROS = 86400000000n;

/** Sets an integer column's value; false when the type cannot hold it. */
export function setInteger(column: Column, row: number, value: bigint): boolean {
	const range = INTEGER_RANGES[column.type.kind];
	if (range === undefined || value < range[0] || value > range[1]) return false;
	switch (column.width) {
		case 1:
			column.u8[row] = Number(value);
			break;
		case 2:
			column.i16[row] = Number(value);
			break;
		case 4:
			column.i32[row] = Number(value);
			break;
		default:
			column.i64[row] = BigInt.asIntN(64, value);
	}
	return true;
}

/** Sets a decimal from its digits; false when they are no decimal, too many, or finer than the scale. */
function setDecimal(column: Column, row: number, text: string): boolean {
	if (column.type.kind !== "decimal") return false;
	const { precision, scale } = column.type;
	const match = /^([+-]?)(\d*)(?:\.(\d*))?$/.exec(text);
	if (match === null || (match[2] === "" && (match[3] ?? "") === "")) return false;
	const fraction = (match[3] ?? "").replace(/0+$/, "");
	if (fraction.length > scale) return false;
	const magnitude = BigInt((match[2] ?? "") + fraction.padEnd(scale, "0") || "0");
	if (magnitude >= 10n ** BigInt(precision)) return false;
	const value = match[1] === "-" ? -magnitude : magnitude;
	if (column.width === 2) column.i16[row] = Number(value);
	else if (column.width === 4) column.i32[row] = Number(value);
	else if (column.width === 8) column.i64[row] = value;
	else column.setInt128(row, value);
	return true;
}

const DATE = /^(\d{4,7})-(\d{2})-(\d{2})( BC)?$/;

/** Days since 1970-01-01 of `2024-02-29`, `0044-03-15 BC`, `infinity`; null when it is no date. */
export function parseDate(text: string): number | null {
	if (text === "infinity") return DATE_INFINITY;
	if (text === "-infinity") return -DATE_INFINITY;
	const match = DATE.exec(text);
	if (match === null) return null;
	const written = Number(match[1]);
	const year = match[4] === undefined ? written : 1 - written;
	const month = Number(match[2]);
	const day = Number(match[3]);
	if (written === 0 || day < 1 || day > daysInMonth(year, month)) return null;
	return daysFromCivil(year, month, day);
}

/** Microseconds of `12:00:00.123456`, from 00:00:00 to 24:00:00; null when it is no time. */
export function parseTime(text: string): bigint | null {
	const match = /^(\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,6})0*)?)?$/.exec(text);
	if (match === null) return null;
	const seconds = Number(match[1]) * 3600 + Number(match[2]) * 60 + Number(match[3] ?? 0);
	const micros = BigInt(seconds) * 1000000n + BigInt((match[4] ?? "").padEnd(6, "0"));
	return Number(match[2]) > 59 || Number(match[3] ?? 0) > 59 || micros > DAY_MICROS ? null : micros;
}

/**
 * Microseconds since 1970 of `2024-01-01 00:00:00.5` (a `T` may stand for the space, ` BC` behind it). With `zoned`, a
 * zone (`Z`, `+00`, `+05:30`) must follow, else none may: a time without a zone is never guessed to be of UTC.
 */
export function parseTimestamp(text: string, zoned: boolean): bigint | null {
	if (text === "infinity") return TIMESTAMP_INFINITY;
	if (text === "-infinity") return -TIMESTAMP_INFINITY;
	const match = /^(\d{4,7}-\d{2}-\d{2})(?:[ T](\d{2}:\d{2}[\d:.]*) ?(Z|[+-]\d{2}(?::?\d{2})?)?)?( BC)?$/.exec(text);
	if (match === null) return null;
	const days = parseDate(match[1]! + (match[4] ?? ""));
	const time = match[2] === undefined ? 0n : parseTime(match[2]);
	if (days === null || time === null || (match[3] !== undefined) !== zoned) return null;
	const micros = BigInt(days) * DAY_MICROS + time - zoneMicros(match[3] ?? "Z");
	return micros >= TIMESTAMP_INFINITY || micros <= -TIMESTAMP_INFINITY ? null : micros;
}

function zoneMicros(zone: string): bigint {
	if (zone === "Z") return 0n;
	const digits = zone.slice(1).replace(":", "").padEnd(4, "0");
	const minutes = BigInt(digits.slice(0, 2)) * 60n + BigInt(digits.slice(2));
	return (zone[0] === "-" ? -minutes : minutes) * 60000000n;
}

const INTERVAL =
	/^P(?:(-?\d+)Y)?(?:(-?\d+)M)?(?:(-?\d+)W)?(?:(-?\d+)D)?(?:T(?=.)(?:(-?\d+)H)?(?:(-?\d+)M)?(?:(-?)(\d+)(?:\.(\d{1,6}))?S)?)?$/;

/** Months, days and microseconds of an ISO 8601 duration; null when it is none or does not fit. */
export function parseInterval(text: string): { months: number; days: number; micros: bigint } | null {
	const match = INTERVAL.exec(text);
	if (match === null || text === "P") return null;
	const months = BigInt(match[1] ?? 0) * 12n + BigInt(match[2] ?? 0);
	const days = BigInt(match[3] ?? 0) * 7n + BigInt(match[4] ?? 0);
	const seconds = BigInt(match[8] ?? 0) * 1000000n + BigInt((match[9] ?? "").padEnd(6, "0"));
	const micros =
		BigInt(match[5] ?? 0) * 3600000000n + BigInt(match[6] ?? 0) * 60000000n + (match[7] === "-" ? -seconds : seconds);
	if (BigInt.asIntN(32, months) !== months || BigInt.asIntN(32, days) !== days) return null;
	return BigInt.asIntN(64, micros) === micros ? { months: Number(months), days: Number(days), micros } : null;
}

function setInterval(column: Column, row: number, text: string): boolean {
	const value = parseInterval(text);
	if (value === null) return false;
	column.i32[row * 4] = value.months;
	column.i32[row * 4 + 1] = value.days;
	column.i64[row * 2 + 1] = value.micros;
	return true;
}

function setUuid(column: Column, row: number, text: string): boolean {
	if (!/^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i.test(text)) return false;
	column.setUuid(row, Buffer.from(text.replaceAll("-", ""), "hex"), 0);
	return true;
}

/** Digits, exponent, `NaN`, `Infinity` (or `inf`): what a float's text may be; JS `Number("")` being 0 must not pass. */
function setFloat(column: Column, row: number, text: string): boolean {
	if (!/^[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf(?:inity)?)$|^nan$/i.test(text)) return false;
	const value = /nan/i.test(text) ? Number.NaN : Number(text.replace(/inf(?:inity)?/i, "Infinity"));
	if (column.type.kind === "float32") column.f32[row] = value;
	else column.f64[row] = value;
	return true;
}

function setMicros(column: Column, row: number, micros: bigint | null): boolean {
	if (micros === null) return false;
	column.i64[row] = micros;
	return true;
}

/** Sets a value from its canonical text (see `valueText`); false, and nothing set, when it is none of the type. */
export function setText(column: Column, row: number, text: string): boolean {
	switch (column.type.kind) {
		case "boolean":
			if (text !== "true" && text !== "false") return false;
			column.u8[row] = text === "true" ? 1 : 0;
			return true;
		case "float32":
		case "float64":
			return setFloat(column, row, text);
		case "decimal":
			return setDecimal(column, row, text);
		case "date": {
			const days = parseDate(text);
			if (days === null) return false;
			column.i32[row] = days;
			return true;
		}
		case "time":
			return setMicros(column, row, parseTime(text));
		case "timestamp":
			return setMicros(column, row, parseTimestamp(text, false));
		case "timestamptz":
			return setMicros(column, row, parseTimestamp(text, true));
		case "interval":
			return setInterval(column, row, text);
		case "uuid":
			return setUuid(column, row, text);
		case "binary": {
			const bytes = Buffer.from(text, "hex");
			if (bytes.length * 2 !== text.length) return false;
			column.setBytes(row, bytes, 0, bytes.length);
			return true;
		}
		case "text":
		case "json":
		case "list": {
			const bytes = Buffer.from(text, "utf8");
			column.setBytes(row, bytes, 0, bytes.length);
			return true;
		}
		default:
			return /^[+-]?\d+$/.test(text) && setInteger(column, row, BigInt(text));
	}
}
