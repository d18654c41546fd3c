import { type Column, type ColumnType, daysInMonth, FIRST_OF_MONTH } from "../core/index.ts";
import { setText } from "./value-parse.ts";

/** Sets a value from the bytes [start, end) of its canonical text; false, and nothing set, when it is none of the type. */
export type ByteSetter = (column: Column, row: number, bytes: Buffer, start: number, end: number) => boolean;

const ZERO = 48;
const MINUS = 45;
const POINT = 46;

/** The slow way for values off the fast paths; text that could be a number or a time is ASCII. */
const setSlowly: ByteSetter = (column, row, bytes, start, end) =>
	end - start <= 128 && setText(column, row, bytes.toString("latin1", start, end));

const setInt64: ByteSetter = (column, row, bytes, start, end) => {
	const negative = bytes[start] === MINUS;
	const first = negative ? start + 1 : start;
	if (end - first > 15 || end === first) return setSlowly(column, row, bytes, start, end);
	let value = 0;
	for (let at = first; at < end; at++) {
		const digit = bytes[at]! - ZERO;
		if (digit < 0 || digit > 9) return setSlowly(column, row, bytes, start, end);
		value = value * 10 + digit;
	}
	if (negative) {
		if (column.type.kind === "uint64" && value !== 0) return false;
		value = -value;
	}
	column.setSafeInteger(row, value);
	return true;
};

/** Integers of up to 32 bits, with their least and greatest. */
function smallIntegerSetter(
	least: number,
	greatest: number,
	store: (column: Column, row: number, value: number) => void,
): ByteSetter {
	return (column, row, bytes, start, end) => {
		const negative = bytes[start] === MINUS;
		const first = negative ? start + 1 : start;
		if (end - first > 10 || end === first) return setSlowly(column, row, bytes, start, end);
		let value = 0;
		for (let at = first; at < end; at++) {
			const digit = bytes[at]! - ZERO;
			if (digit < 0 || digit > 9) return setSlowly(column, row, bytes, start, end);
			value = value * 10 + digit;
		}
		if (negative) value = -value;
		if (value < least || value > greatest) return false;
		store(column, row, value);
		return true;
	};
}

const store8 = (column: Column, row: number, value: number) => {
	column.u8[row] = value;
};
const store16 = (column: Column, row: number, value: number) => {
	column.i16[row] = value;
};
const store32 = (column: Column, row: number, value: number) => {
	column.i32[row] = value;
};
const SMALL_INTEGERS: Readonly<Record<string, ByteSetter>> = {
	int8: smallIntegerSetter(-128, 127, store8),
	uint8: smallIntegerSetter(0, 255, store8),
	int16: smallIntegerSetter(-32768, 32767, store16),
	uint16: smallIntegerSetter(0, 65535, store16),
	int32: smallIntegerSetter(-2147483648, 2147483647, store32),
	uint32: smallIntegerSetter(0, 4294967295, store32),
};

const POWERS = Array.from({ length: 16 }, (_, exponent) => 10 ** exponent);

function decimalSetter(precision: number, scale: number): ByteSetter {
	const limit = precision <= 15 ? POWERS[precision]! : Number.POSITIVE_INFINITY;
	return (column, row, bytes, start, end) => {
		const negative = bytes[start] === MINUS;
		let value = 0;
		let digits = 0;
		let decimals = -1;
		for (let at = negative ? start + 1 : start; at < end; at++) {
			const byte = bytes[at]!;
			if (byte === POINT && decimals < 0) decimals = 0;
			else {
				const digit = byte - ZERO;
				if (digit < 0 || digit > 9) return setSlowly(column, row, bytes, start, end);
				value = value * 10 + digit;
				digits++;
				if (decimals >= 0) decimals++;
			}
		}
		const missing = scale - Math.max(0, decimals);
		if (digits === 0 || missing < 0 || digits + missing > 15) return setSlowly(column, row, bytes, start, end);
		value *= POWERS[missing]!;
		if (value >= limit) return false;
		if (negative) value = -value;
		if (column.width === 2) column.i16[row] = value;
		else if (column.width === 4) column.i32[row] = value;
		else if (column.width === 8) column.setSafeInteger(row, value);
		else {
			column.setSafeInteger(row << 1, value);
			column.i64[(row << 1) + 1] = value < 0 ? -1n : 0n;
		}
		return true;
	};
}

/** Two digits as a number; something over 99 when they are none. */
function twoDigits(bytes: Buffer, at: number): number {
	const tens = bytes[at]! - ZERO;
	const ones = bytes[at + 1]! - ZERO;
	return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : 1000;
}

/** Days of `2024-02-29` at `start`; NaN when it is no date of the years 1 to 9999. */
function daysAt(bytes: Buffer, start: number): number {
	const year = twoDigits(bytes, start) * 100 + twoDigits(bytes, start + 2);
	const month = twoDigits(bytes, start + 5);
	const day = twoDigits(bytes, start + 8);
	const formed = bytes[start + 4] === MINUS && bytes[start + 7] === MINUS && year > 0 && year < 10000 && month <= 12;
	if (!formed || day < 1 || day > daysInMonth(year, month)) return Number.NaN;
	return FIRST_OF_MONTH[year * 16 + month]! + day - 1;
}

const setDate: ByteSetter = (column, row, bytes, start, end) => {
	const days = end - start === 10 ? daysAt(bytes, start) : Number.NaN;
	if (Number.isNaN(days)) return setSlowly(column, row, bytes, start, end);
	column.i32[row] = days;
	return true;
};

/** Microseconds of `2024-01-01 00:00:00[.ffffff]`; NaN when they do not fit a double or it is something else. */
function microsAt(bytes: Buffer, start: number, end: number): number {
	const length = end - start;
	if (length < 19 || length > 26 || length === 20) return Number.NaN;
	const days = daysAt(bytes, start);
	const hours = twoDigits(bytes, start + 11);
	const minutes = twoDigits(bytes, start + 14);
	const seconds = twoDigits(bytes, start + 17);
	const between = bytes[start + 10];
	if ((between !== 32 && between !== 84) || bytes[start + 13] !== 58 || bytes[start + 16] !== 58) return Number.NaN;
	if (hours > 23 || minutes > 59 || seconds > 59) return Number.NaN;
	let fraction = 0;
	if (length > 19) {
		if (bytes[start + 19] !== POINT) return Number.NaN;
		for (let at = start + 20; at < start + 26; at++) {
			const digit = at < end ? bytes[at]! - ZERO : 0;
			if (digit < 0 || digit > 9) return Number.NaN;
			fraction = fraction * 10 + digit;
		}
	}
	const micros = (days * 86400 + hours * 3600 + minutes * 60 + seconds) * 1e6 + fraction;
	return Number.isSafeInteger(micros) ? micros : Number.NaN;
}

const setTimestamp: ByteSetter = (column, row, bytes, start, end) => {
	const micros = microsAt(bytes, start, end);
	if (Number.isNaN(micros)) return setSlowly(column, row, bytes, start, end);
	column.setSafeInteger(row, micros);
	return true;
};

const setTimestamptz: ByteSetter = (column, row, bytes, start, end) => {
	const utc = bytes[end - 1] === 90 ? 1 : bytes[end - 3] === 43 && twoDigits(bytes, end - 2) === 0 ? 3 : 0;
	const micros = utc === 0 ? Number.NaN : microsAt(bytes, start, end - utc);
	if (Number.isNaN(micros)) return setSlowly(column, row, bytes, start, end);
	column.setSafeInteger(row, micros);
	return true;
};

const setView: ByteSetter = (column, row, bytes, start, end) => {
	column.setBytes(row, bytes, start, end);
	return true;
};

const setBinary: ByteSetter = (column, row, bytes, start, end) => {
	const decoded = Buffer.from(bytes.toString("latin1", start, end), "hex");
	if (decoded.length * 2 !== end - start) return false;
	column.setBytes(row, decoded, 0, decoded.length);
	return true;
};

/** The setter of a type; it reads what `valueText` writes, and a `T` between date and time. */
export function byteSetter(type: ColumnType): ByteSetter {
	switch (type.kind) {
		case "int64":
		case "uint64":
			return setInt64;
		case "decimal":
			return decimalSetter(type.precision, type.scale);
		case "date":
			return setDate;
		case "timestamp":
			return setTimestamp;
		case "timestamptz":
			return setTimestamptz;
		case "text":
		case "json":
		case "list":
			return setView;
		case "binary":
			return setBinary;
		default:
			return SMALL_INTEGERS[type.kind] ?? setSlowly;
	}
}
