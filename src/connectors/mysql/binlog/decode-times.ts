/** Dates and times as the log has them into a column; see `Decode` for the parameters. */
import { type Column, type TypePolicy, timestampText } from "../../../core/index.ts";
import type { Decode } from "../decode.ts";
import {
	DAY_SECONDS,
	dayOf,
	impossibleDate,
	NO_DAY,
	SECOND_MICROS,
	setMicros,
	setMicrosInterval,
	setTimeOfDay,
} from "../decode-time.ts";

/** A date and time of the calendar; one buffer for all, since a value is used at once. */
export interface Moment {
	year: number;
	month: number;
	day: number;
	hour: number;
	minute: number;
	second: number;
	micros: number;
}

const moment: Moment = { year: 0, month: 0, day: 0, hour: 0, minute: 0, second: 0, micros: 0 };

/** Reads a value at an offset into `into`. */
export type ReadMoment = (bytes: Buffer, from: number, into: Moment) => void;

/** Bytes of a fraction of so many digits. */
export function fractionBytes(digits: number): number {
	return (digits + 1) >> 1;
}

const FRACTION_UNITS = [0, 10_000, 100, 1];

/** Microseconds of a fraction in 0 to 3 bytes, the highest first. */
function fractionAt(bytes: Buffer, from: number, size: number): number {
	let value = 0;
	for (let i = 0; i < size; i++) value = value * 256 + bytes[from + i]!;
	return value * FRACTION_UNITS[size]!;
}

/** DATE: 5 bits of the day, 4 of the month, 15 of the year. */
export const readDate: ReadMoment = (bytes, from, into) => {
	const bits = bytes[from]! | (bytes[from + 1]! << 8) | (bytes[from + 2]! << 16);
	into.day = bits & 31;
	into.month = (bits >> 5) & 15;
	into.year = bits >> 9;
	into.hour = 0;
	into.minute = 0;
	into.second = 0;
	into.micros = 0;
};

/**
 * DATETIME2: the sign's bit, 17 of year * 13 + month, 5 of the day, 5 of the hour, 6, 6, then the fraction.
 * https://dev.mysql.com/doc/dev/mysql-server/latest/my__time_8cc.html my_datetime_packed_from_binary
 */
export function readDatetime2(digits: number): ReadMoment {
	const size = fractionBytes(digits);
	return (bytes, from, into) => {
		const b2 = bytes[from + 2]!;
		const b3 = bytes[from + 3]!;
		const b4 = bytes[from + 4]!;
		const yearMonth = ((bytes[from]! & 127) << 10) | (bytes[from + 1]! << 2) | (b2 >> 6);
		into.year = Math.floor(yearMonth / 13);
		into.month = yearMonth - into.year * 13;
		into.day = (b2 >> 1) & 31;
		into.hour = ((b2 & 1) << 4) | (b3 >> 4);
		into.minute = ((b3 & 15) << 2) | (b4 >> 6);
		into.second = b4 & 63;
		into.micros = size === 0 ? 0 : fractionAt(bytes, from + 5, size);
	};
}

/** DATETIME of MySQL 5.5 and earlier: the digits YYYYMMDDHHMMSS as a number. */
export const readOldDatetime: ReadMoment = (bytes, from, into) => {
	const value = bytes.readUInt32LE(from) + bytes.readUInt32LE(from + 4) * 4294967296;
	const days = Math.floor(value / 1_000_000);
	const time = value - days * 1_000_000;
	into.year = Math.floor(days / 10_000);
	into.month = Math.floor(days / 100) % 100;
	into.day = days % 100;
	into.hour = Math.floor(time / 10_000);
	into.minute = Math.floor(time / 100) % 100;
	into.second = time % 100;
	into.micros = 0;
};

export const date: Decode = (bytes, offsets, lengths, at, count, column, row, policy) => {
	const out = column.i32;
	for (let i = 0; i < count; i++) {
		if (lengths[at + i]! < 0) {
			column.setNull(row + i);
			continue;
		}
		readDate(bytes, offsets[at + i]!, moment);
		const day = dayOf(moment.year, moment.month, moment.day);
		if (day === NO_DAY) impossibleDate(column, row + i, policy);
		else out[row + i] = day;
	}
};

/** A date and time as microseconds since 1970. */
export function datetime(read: ReadMoment): Decode {
	return (bytes, offsets, lengths, at, count, column, row, policy) => {
		for (let i = 0; i < count; i++) {
			if (lengths[at + i]! < 0) {
				column.setNull(row + i);
				continue;
			}
			read(bytes, offsets[at + i]!, moment);
			const day = dayOf(moment.year, moment.month, moment.day);
			if (day === NO_DAY) impossibleDate(column, row + i, policy);
			else {
				const seconds = day * DAY_SECONDS + moment.hour * 3600 + moment.minute * 60 + moment.second;
				setMicros(column, row + i, seconds, moment.micros);
			}
		}
	};
}

/** Reads seconds since 1970 and microseconds. */
export type ReadInstant = (bytes: Buffer, from: number) => { readonly seconds: number; readonly micros: number };

const instant = { seconds: 0, micros: 0 };

/** TIMESTAMP2: seconds, the highest byte first, then the fraction. */
export function readTimestamp2(digits: number): ReadInstant {
	const size = fractionBytes(digits);
	return (bytes, from) => {
		instant.seconds = bytes.readUInt32BE(from);
		instant.micros = size === 0 ? 0 : fractionAt(bytes, from + 4, size);
		return instant;
	};
}

export const readOldTimestamp: ReadInstant = (bytes, from) => {
	instant.seconds = bytes.readUInt32LE(from);
	instant.micros = 0;
	return instant;
};

/** TIMESTAMP in UTC; second 0 stands for 0000-00-00. */
export function timestamp(read: ReadInstant): Decode {
	return (bytes, offsets, lengths, at, count, column, row, policy) => {
		for (let i = 0; i < count; i++) {
			if (lengths[at + i]! < 0) {
				column.setNull(row + i);
				continue;
			}
			const { seconds, micros } = read(bytes, offsets[at + i]!);
			if (seconds === 0 && micros === 0) impossibleDate(column, row + i, policy);
			else setMicros(column, row + i, seconds, micros);
		}
	};
}

/** Reads a TIME as microseconds, with its sign. */
export type ReadTime = (bytes: Buffer, from: number) => number;

/**
 * TIME2: a number of 3 bytes and those of the fraction, half of its range added: sign, a bit, 10 of the hour, 6, 6.
 * https://dev.mysql.com/doc/dev/mysql-server/latest/my__time_8cc.html my_time_packed_from_binary
 */
export function readTime2(digits: number): ReadTime {
	const size = fractionBytes(digits);
	const scale = 256 ** size;
	const middle = 0x800000 * scale;
	const unit = size === 0 ? 0 : FRACTION_UNITS[size]!;
	return (bytes, from) => {
		const packed = bytes.readUIntBE(from, 3 + size) - middle;
		const magnitude = Math.abs(packed);
		const whole = Math.floor(magnitude / scale);
		const seconds = ((whole >> 12) & 1023) * 3600 + ((whole >> 6) & 63) * 60 + (whole & 63);
		const micros = seconds * SECOND_MICROS + (magnitude - whole * scale) * unit;
		return packed < 0 ? -micros : micros;
	};
}

/** TIME of MySQL 5.5 and earlier: the digits HHMMSS as a signed number. */
export const readOldTime: ReadTime = (bytes, from) => {
	const value = bytes.readIntLE(from, 3);
	const magnitude = Math.abs(value);
	const seconds = Math.floor(magnitude / 10_000) * 3600 + (Math.floor(magnitude / 100) % 100) * 60 + (magnitude % 100);
	return (value < 0 ? -seconds : seconds) * SECOND_MICROS;
};

function times(read: ReadTime, set: (column: Column, row: number, micros: number, policy: TypePolicy) => void): Decode {
	return (bytes, offsets, lengths, at, count, column, row, policy) => {
		for (let i = 0; i < count; i++) {
			if (lengths[at + i]! < 0) column.setNull(row + i);
			else set(column, row + i, read(bytes, offsets[at + i]!), policy);
		}
	};
}

export const timeInterval = (read: ReadTime): Decode => times(read, setMicrosInterval);
export const timeOfDay = (read: ReadTime): Decode => times(read, setTimeOfDay);

const two = (value: number) => String(value).padStart(2, "0");

function fractionText(micros: number, digits: number): string {
	return digits === 0 ? "" : `.${String(micros).padStart(6, "0").slice(0, digits)}`;
}

export function dateText({ year, month, day }: Moment): string {
	return `${String(year).padStart(4, "0")}-${two(month)}-${two(day)}`;
}

/** As the server prints a DATETIME of so many fraction digits. */
export function momentText(value: Moment, digits: number): string {
	const { hour, minute, second, micros } = value;
	return `${dateText(value)} ${two(hour)}:${two(minute)}:${two(second)}${fractionText(micros, digits)}`;
}

/** As the server prints a TIME of so many fraction digits: `-838:59:59.000001`. */
export function timeText(micros: number, digits: number): string {
	const magnitude = Math.abs(micros);
	const seconds = Math.floor(magnitude / SECOND_MICROS);
	const clock = `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
	return `${micros < 0 ? "-" : ""}${clock}${fractionText(magnitude % SECOND_MICROS, digits)}`;
}

/** As the server prints a TIMESTAMP in UTC. */
export function instantText(seconds: number, micros: number, digits: number): string {
	if (seconds === 0 && micros === 0) return `0000-00-00 00:00:00${fractionText(0, digits)}`;
	return timestampText(BigInt(seconds) * 1000000n) + fractionText(micros, digits);
}
