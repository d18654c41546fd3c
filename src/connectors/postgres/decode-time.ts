/** Dates and times: days or microseconds since 2000-01-01, as src/backend/utils/adt/{date,timestamp}.c send them. */
import { type Column, DATE_INFINITY, TIMESTAMP_INFINITY, type TypePolicy } from "../../core/index.ts";
import { type Decode, divert, wrongLength } from "./decode.ts";

const DAYS_TO_2000 = 10957;
const MICROS_TO_2000 = 946684800000000n;
const EPOCH_LOW = Number(MICROS_TO_2000 & 0xffffffffn);
const EPOCH_HIGH = Number(MICROS_TO_2000 >> 32n);
/** High words from here on may overflow an int64 of microseconds since 1970: year 294247. */
const CAREFUL_HIGH = 0x7fffffff - EPOCH_HIGH - 1;
const INT32_MAX = 0x7fffffff;
const INT32_MIN = -0x80000000;

export function decodeDate(
	buffer: Buffer,
	offsets: Int32Array,
	lengths: Int32Array,
	from: number,
	count: number,
	column: Column,
	row: number,
): void {
	const { i32 } = column;
	for (let i = 0; i < count; i++) {
		if (lengths[from + i] !== 4) {
			if (lengths[from + i] !== -1) throw wrongLength(column);
			column.setNull(row + i);
			continue;
		}
		const at = offsets[from + i]!;
		const days = (buffer[at]! << 24) | (buffer[at + 1]! << 16) | (buffer[at + 2]! << 8) | buffer[at + 3]!;
		if (days === INT32_MAX) i32[row + i] = DATE_INFINITY;
		else if (days === INT32_MIN) i32[row + i] = -DATE_INFINITY;
		else i32[row + i] = days + DAYS_TO_2000;
	}
}

/** timestamp and timestamptz; the last 30 years of PostgreSQL's range do not fit microseconds since 1970. */
export function decodeTimestamp(_name: string, policy: TypePolicy): Decode {
	return (buffer, offsets, lengths, from, count, column, row) => {
		const { i32, i64 } = column;
		for (let i = 0; i < count; i++) {
			if (lengths[from + i] !== 8) {
				if (lengths[from + i] !== -1) throw wrongLength(column);
				column.setNull(row + i);
				continue;
			}
			const at = offsets[from + i]!;
			const high = (buffer[at]! << 24) | (buffer[at + 1]! << 16) | (buffer[at + 2]! << 8) | buffer[at + 3]!;
			if (high >= CAREFUL_HIGH || high === INT32_MIN) {
				const micros = buffer.readBigInt64BE(at);
				if (micros === 0x7fffffffffffffffn) i64[row + i] = TIMESTAMP_INFINITY;
				else if (micros === -0x8000000000000000n) i64[row + i] = -TIMESTAMP_INFINITY;
				else if (micros + MICROS_TO_2000 >= TIMESTAMP_INFINITY)
					divert(column, row + i, policy.outOfRange, "a time after 294247-01-10 04:00:54 UTC", "out_of_range");
				else i64[row + i] = micros + MICROS_TO_2000;
				continue;
			}
			const low =
				(((buffer[at + 4]! << 24) | (buffer[at + 5]! << 16) | (buffer[at + 6]! << 8) | buffer[at + 7]!) >>> 0) +
				EPOCH_LOW;
			const word = (row + i) << 1;
			i32[word] = low | 0;
			i32[word + 1] = high + EPOCH_HIGH + (low >= 4294967296 ? 1 : 0);
		}
	};
}

/** Microseconds since midnight; 24:00:00 is a value of its own. */
export function decodeTime(
	buffer: Buffer,
	offsets: Int32Array,
	lengths: Int32Array,
	from: number,
	count: number,
	column: Column,
	row: number,
): void {
	const { i32 } = column;
	for (let i = 0; i < count; i++) {
		if (lengths[from + i] !== 8) {
			if (lengths[from + i] !== -1) throw wrongLength(column);
			column.setNull(row + i);
			continue;
		}
		const at = offsets[from + i]!;
		const word = (row + i) << 1;
		i32[word] = buffer.readInt32BE(at + 4);
		i32[word + 1] = buffer.readInt32BE(at);
	}
}

/** Microseconds, days, months on the wire; months, days, microseconds in the batch. PostgreSQL 17 has infinities. */
export function decodeInterval(_name: string, policy: TypePolicy): Decode {
	return (buffer, offsets, lengths, from, count, column, row) => {
		const { i32 } = column;
		for (let i = 0; i < count; i++) {
			if (lengths[from + i] !== 16) {
				if (lengths[from + i] !== -1) throw wrongLength(column);
				column.setNull(row + i);
				continue;
			}
			const at = offsets[from + i]!;
			const days = buffer.readInt32BE(at + 8);
			const months = buffer.readInt32BE(at + 12);
			if ((months === INT32_MAX && days === INT32_MAX) || (months === INT32_MIN && days === INT32_MIN)) {
				const micros = buffer.readBigInt64BE(at);
				if (micros === 0x7fffffffffffffffn || micros === -0x8000000000000000n) {
					divert(column, row + i, policy.infinity, "an infinite interval", "infinity");
					continue;
				}
			}
			const word = (row + i) << 2;
			i32[word] = months;
			i32[word + 1] = days;
			i32[word + 2] = buffer.readInt32BE(at + 4);
			i32[word + 3] = buffer.readInt32BE(at);
		}
	};
}
