import {
	type Column,
	type ColumnType,
	DATE_INFINITY,
	dateText,
	FIRST_OF_MONTH,
	timestampText,
	timeText,
} from "../core/index.ts";
import {
	decimalText,
	float32Text,
	float64Text,
	integer,
	intervalText,
	timestamptzText,
	unscaled,
	uuidText,
} from "./value-text.ts";

/** Writes one value's canonical text at `at` of `out`, which has room for it, and gives the place behind it. */
export type DigitWriter = (column: Column, row: number, out: Uint8Array, at: number) => number;

/** Most bytes that a writer of `digitWriter` puts out for one value of fixed width. */
export const DIGITS_BYTES_MAX = 64;

/** Writes ASCII text; only for values that are off the fast paths. */
export function writeAscii(text: string, out: Uint8Array, at: number): number {
	for (let i = 0; i < text.length; i++) out[at + i] = text.charCodeAt(i);
	return at + text.length;
}

/** Writes an integer from 0 to 2^53 - 1. */
function writeDigits(value: number, out: Uint8Array, at: number): number {
	let rest = value;
	if (rest < 10) {
		out[at] = 48 + rest;
		return at + 1;
	}
	let length = 2;
	for (let bound = 100; rest >= bound; bound *= 10) length++;
	let to = at + length;
	// Division of doubles is slow; below 2^31 it becomes an integer multiplication.
	while (rest > 0x7fffffff) {
		const high = Math.floor(rest / 1e9);
		let low = (rest - high * 1e9) | 0;
		for (let i = 0; i < 9; i++) {
			const next = (low / 10) | 0;
			out[--to] = 48 + low - next * 10;
			low = next;
		}
		rest = high;
	}
	let low = rest | 0;
	while (to > at) {
		const next = (low / 10) | 0;
		out[--to] = 48 + low - next * 10;
		low = next;
	}
	return at + length;
}

function writePadded(value: number, width: number, out: Uint8Array, at: number): number {
	let rest = value;
	for (let to = at + width - 1; to >= at; to--) {
		const next = (rest / 10) | 0;
		out[to] = 48 + rest - next * 10;
		rest = next;
	}
	return at + width;
}

/** A 64-bit word pair as a number when that is exact, else NaN. */
function safeNumber(column: Column, row: number): number {
	const high = column.i32[row * 2 + 1]!;
	return high >= -0x200000 && high < 0x200000 ? high * 4294967296 + column.u32[row * 2]! : Number.NaN;
}

function writeSmall(value: number, out: Uint8Array, at: number): number {
	if (value >= 0) return writeDigits(value, out, at);
	out[at] = 45;
	return writeDigits(-value, out, at + 1);
}

const writeInt64: DigitWriter = (column, row, out, at) => {
	const value = safeNumber(column, row);
	// -2^53 is the one value of the range that is one past the safe integers; its digits are exact all the same.
	return Number.isNaN(value) ? writeAscii(String(column.i64[row]), out, at) : writeSmall(value, out, at);
};

const writeInteger: Readonly<Record<string, DigitWriter>> = {
	int8: (column, row, out, at) => writeSmall((column.u8[row]! << 24) >> 24, out, at),
	uint8: (column, row, out, at) => writeDigits(column.u8[row]!, out, at),
	int16: (column, row, out, at) => writeSmall(column.i16[row]!, out, at),
	uint16: (column, row, out, at) => writeDigits(column.i16[row]! & 0xffff, out, at),
	int32: (column, row, out, at) => writeSmall(column.i32[row]!, out, at),
	uint32: (column, row, out, at) => writeDigits(column.u32[row]!, out, at),
	int64: writeInt64,
	uint64: (column, row, out, at) =>
		column.i32[row * 2 + 1]! >= 0
			? writeInt64(column, row, out, at)
			: writeAscii(String(integer(column, row)), out, at),
};

const POWERS = Array.from({ length: 16 }, (_, exponent) => 10 ** exponent);

function writeDecimal(scale: number): DigitWriter {
	const divisor = POWERS[scale];
	return (column, row, out, start) => {
		const { width } = column;
		let value: number;
		if (width === 2) value = column.i16[row]!;
		else if (width === 4) value = column.i32[row]!;
		else if (width === 8) value = safeNumber(column, row);
		else {
			// The upper 64 bits of a small number are all its sign.
			const sign = column.i32[row * 4 + 1]! >> 31;
			value = column.i32[row * 4 + 2] === sign && column.i32[row * 4 + 3] === sign ? safeNumber(column, row * 2) : NaN;
		}
		if (divisor === undefined || Number.isNaN(value))
			return writeAscii(decimalText(unscaled(column, row), scale), out, start);
		let at = start;
		if (value < 0) {
			out[at++] = 45;
			value = -value;
		}
		if (scale === 0) return writeDigits(value, out, at);
		const whole = Math.floor(value / divisor);
		at = writeDigits(whole, out, at);
		out[at++] = 46;
		let rest = value - whole * divisor;
		if (scale <= 9) return writePadded(rest | 0, scale, out, at);
		const high = Math.floor(rest / 1e9);
		rest -= high * 1e9;
		return writePadded(rest | 0, 9, out, writePadded(high | 0, scale - 9, out, at));
	};
}

/** Days of years 1 to 9999, the ones whose text has four digits and no era. */
const DAY_MIN = FIRST_OF_MONTH[16 + 1]!;
const DAY_MAX = FIRST_OF_MONTH[9999 * 16 + 12]! + 30;

function writeDays(days: number, out: Uint8Array, at: number): number {
	let year = Math.floor(1970 + days / 365.2425);
	if (days < FIRST_OF_MONTH[year * 16 + 1]!) year--;
	else if (year < 9999 && days >= FIRST_OF_MONTH[(year + 1) * 16 + 1]!) year++;
	const first = year * 16;
	let month = (((days - FIRST_OF_MONTH[first + 1]!) / 31) | 0) + 1;
	if (month < 12 && days >= FIRST_OF_MONTH[first + month + 1]!) month++;
	writePadded(year, 4, out, at);
	out[at + 4] = 45;
	writePadded(month, 2, out, at + 5);
	out[at + 7] = 45;
	return writePadded(days - FIRST_OF_MONTH[first + month]! + 1, 2, out, at + 8);
}

const writeDate: DigitWriter = (column, row, out, at) => {
	const days = column.i32[row]!;
	if (days >= DAY_MIN && days <= DAY_MAX) return writeDays(days, out, at);
	return writeAscii(days === DATE_INFINITY ? "infinity" : dateText(days), out, at);
};

/** Microseconds of a day, or up to 24:00:00. */
function writeTimeOfDay(micros: number, out: Uint8Array, start: number): number {
	let at = start;
	const seconds = Math.floor(micros / 1e6);
	const fraction = micros - seconds * 1e6;
	const minutes = (seconds / 60) | 0;
	const hours = (minutes / 60) | 0;
	writePadded(hours, 2, out, at);
	out[at + 2] = 58;
	writePadded(minutes - hours * 60, 2, out, at + 3);
	out[at + 5] = 58;
	at = writePadded(seconds - minutes * 60, 2, out, at + 6);
	if (fraction === 0) return at;
	out[at] = 46;
	at = writePadded(fraction, 6, out, at + 1);
	while (out[at - 1] === 48) at--;
	return at;
}

const writeTime: DigitWriter = (column, row, out, at) => {
	const micros = safeNumber(column, row);
	if (micros >= 0 && micros <= 86400e6) return writeTimeOfDay(micros, out, at);
	return writeAscii(timeText(column.i64[row]!), out, at);
};

function writeTimestamp(zone: string): DigitWriter {
	const slow = zone === "" ? timestampText : timestamptzText;
	return (column, row, out, start) => {
		const micros = safeNumber(column, row);
		// Years 1684 to 2255 are exact in a double; the rest is rare enough for text.
		if (Number.isNaN(micros)) return writeAscii(slow(column.i64[row]!), out, start);
		const days = Math.floor(micros / 86400e6);
		let at = writeDays(days, out, start);
		out[at++] = 32;
		at = writeTimeOfDay(micros - days * 86400e6, out, at);
		return zone === "" ? at : writeAscii(zone, out, at);
	};
}

/** The writer of a fixed-width type's canonical text; null for text, json, list and binary. */
export function digitWriter(type: ColumnType): DigitWriter | null {
	switch (type.kind) {
		case "boolean":
			return (from, row, out, at) => writeAscii(from.u8[row] === 0 ? "false" : "true", out, at);
		case "float32":
			return (from, row, out, at) => writeAscii(float32Text(from.f32[row]!), out, at);
		case "float64":
			return (from, row, out, at) => writeAscii(float64Text(from.f64[row]!), out, at);
		case "decimal":
			return writeDecimal(type.scale);
		case "date":
			return writeDate;
		case "time":
			return writeTime;
		case "timestamp":
			return writeTimestamp("");
		case "timestamptz":
			return writeTimestamp("+00");
		case "interval":
			return (from, row, out, at) =>
				writeAscii(intervalText(from.i32[row * 4]!, from.i32[row * 4 + 1]!, from.i64[row * 2 + 1]!), out, at);
		case "uuid":
			return (from, row, out, at) => writeAscii(uuidText(from, row), out, at);
		case "text":
		case "json":
		case "list":
		case "binary":
			return null;
		default:
			return writeInteger[type.kind]!;
	}
}

const HEX_DIGITS = Buffer.from("0123456789abcdef");

/** Writes bytes as lower-case hex, two a byte. */
export function writeHex(bytes: Uint8Array, out: Uint8Array, start: number): number {
	let at = start;
	for (let i = 0; i < bytes.length; i++) {
		const byte = bytes[i]!;
		out[at++] = HEX_DIGITS[byte >> 4]!;
		out[at++] = HEX_DIGITS[byte & 15]!;
	}
	return at;
}
