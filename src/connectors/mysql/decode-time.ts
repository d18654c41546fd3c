/** Dates and times of the text protocol into a column; see `Decode` for the parameters. */
import { type Column, daysInMonth, FIRST_OF_MONTH, HeadraceError, type TypePolicy } from "../../core/index.ts";
import { type Decode, unfit } from "./decode.ts";

const MINUS = 45;
export const SECOND_MICROS = 1_000_000;
export const DAY_SECONDS = 86_400;
/** Seconds within which microseconds are safe integers: from 1684 to 2255. */
const SAFE_SECONDS = 9_007_199_254;
export const NO_DAY = -2147483648;

/**
 * Days since 1970, or NO_DAY when there is no such day: 0000-00-00, a month or day of 00, the 31st of
 * February (ALLOW_INVALID_DATES), and the year 0000, which SQL's calendar does not have.
 */
export function dayOf(year: number, month: number, day: number): number {
	if (day === 0 || year === 0 || (day > 28 && day > daysInMonth(year, month))) return NO_DAY;
	if (month === 0 || month > 12) return NO_DAY;
	return FIRST_OF_MONTH[(year << 4) + month]! + day - 1;
}

/** The day of `YYYY-MM-DD`; see `dayOf`. */
function dayAt(bytes: Buffer, o: number): number {
	const year = (bytes[o]! - 48) * 1000 + (bytes[o + 1]! - 48) * 100 + (bytes[o + 2]! - 48) * 10 + (bytes[o + 3]! - 48);
	const month = (bytes[o + 5]! - 48) * 10 + (bytes[o + 6]! - 48);
	const day = (bytes[o + 8]! - 48) * 10 + (bytes[o + 9]! - 48);
	return dayOf(year, month, day);
}

/** What `zeroDate` says of a day that does not exist; `string` never comes here, since the column is text then. */
export function impossibleDate(column: Column, row: number, policy: TypePolicy): void {
	if (policy.zeroDate !== "fail") {
		column.setChangedNull(row);
		return;
	}
	throw new HeadraceError("E_VALUE", `column ${column.name} has a date that does not exist, such as 0000-00-00`, {
		hint: "types: { zero_date: null } makes such dates NULL and counts them; zero_date: string keeps their text.",
	});
}

export const date: Decode = (bytes, offsets, lengths, at, count, column, row, policy) => {
	const out = column.i32;
	for (let i = 0; i < count; i++) {
		if (lengths[at + i]! < 0) {
			column.setNull(row + i);
			continue;
		}
		const day = dayAt(bytes, offsets[at + i]!);
		if (day === NO_DAY) impossibleDate(column, row + i, policy);
		else out[row + i] = day;
	}
};

/** DATETIME, TIMESTAMP (the session's zone is UTC) and DATE as microseconds since 1970. */
export const timestamp: Decode = (bytes, offsets, lengths, at, count, column, row, policy) => {
	for (let i = 0; i < count; i++) {
		const length = lengths[at + i]!;
		if (length < 0) {
			column.setNull(row + i);
			continue;
		}
		const o = offsets[at + i]!;
		const day = dayAt(bytes, o);
		if (day === NO_DAY) {
			impossibleDate(column, row + i, policy);
			continue;
		}
		let seconds = day * DAY_SECONDS;
		let micros = 0;
		if (length > 10) {
			const hour = (bytes[o + 11]! - 48) * 10 + (bytes[o + 12]! - 48);
			const minute = (bytes[o + 14]! - 48) * 10 + (bytes[o + 15]! - 48);
			seconds += hour * 3600 + minute * 60 + (bytes[o + 17]! - 48) * 10 + (bytes[o + 18]! - 48);
			if (length > 20) micros = fractionAt(bytes, o + 20, o + length);
		}
		setMicros(column, row + i, seconds, micros);
	}
};

/** Sets a time of seconds since 1970 and microseconds. */
export function setMicros(column: Column, row: number, seconds: number, micros: number): void {
	if (seconds > SAFE_SECONDS || seconds < -SAFE_SECONDS) {
		column.i64[row] = BigInt(seconds) * 1000000n + BigInt(micros);
		return;
	}
	const value = seconds * SECOND_MICROS + micros;
	const out = column.i32;
	const word = row << 1;
	out[word] = value | 0;
	out[word + 1] = Math.floor(value / 4294967296);
}

/** Up to six digits as microseconds. */
function fractionAt(bytes: Buffer, start: number, end: number): number {
	let value = 0;
	let unit = 100_000;
	for (let at = start; at < end; at++) {
		value += (bytes[at]! - 48) * unit;
		unit /= 10;
	}
	return value;
}

/** Microseconds of `-838:59:59.000000`: hours have two or three digits. */
function microsAt(bytes: Buffer, start: number, end: number): number {
	let at = start;
	const negative = bytes[at] === MINUS;
	if (negative) at++;
	let hour = 0;
	for (let c = bytes[at++]!; c !== 58; c = bytes[at++]!) {
		if (at > end) return Number.NaN;
		hour = hour * 10 + (c - 48);
	}
	const minute = (bytes[at]! - 48) * 10 + (bytes[at + 1]! - 48);
	const second = (bytes[at + 3]! - 48) * 10 + (bytes[at + 4]! - 48);
	const fraction = at + 6 < end ? fractionAt(bytes, at + 6, end) : 0;
	const value = ((hour * 60 + minute) * 60 + second) * SECOND_MICROS + fraction;
	return negative ? -value : value;
}

/** TIME as an interval of microseconds alone: it counts hours, of which a day may have more or less than 24. */
export const timeInterval: Decode = (bytes, offsets, lengths, at, count, column, row) => {
	for (let i = 0; i < count; i++) {
		const length = lengths[at + i]!;
		if (length < 0) column.setNull(row + i);
		else setMicrosInterval(column, row + i, microsAt(bytes, offsets[at + i]!, offsets[at + i]! + length));
	}
};

/** Sets an interval of microseconds alone. */
export function setMicrosInterval(column: Column, row: number, micros: number): void {
	column.i32[row << 2] = 0;
	column.i32[(row << 2) + 1] = 0;
	column.setSafeInteger((row << 1) + 1, micros);
}

/** TIME as a time of day; what lies outside of it is treated by `outOfRange`. */
export const timeOfDay: Decode = (bytes, offsets, lengths, at, count, column, row, policy) => {
	for (let i = 0; i < count; i++) {
		const length = lengths[at + i]!;
		if (length < 0) {
			column.setNull(row + i);
			continue;
		}
		const from = offsets[at + i]!;
		setTimeOfDay(column, row + i, microsAt(bytes, from, from + length), policy);
	}
};

/** Sets a time of day, or what `outOfRange` says of microseconds that are none. */
export function setTimeOfDay(column: Column, row: number, micros: number, policy: TypePolicy): void {
	if (micros >= 0 && micros <= DAY_SECONDS * SECOND_MICROS) column.setSafeInteger(row, micros);
	else if (policy.outOfRange === "null") column.setChangedNull(row);
	else throw unfit(column, "types: { out_of_range: null } makes such times NULL; type: interval keeps them.");
}
