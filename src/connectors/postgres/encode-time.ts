/** Dates and times: days or microseconds since 2000-01-01, as src/backend/utils/adt/{date,timestamp}.c take them. */
import { type Column, DATE_INFINITY, TIMESTAMP_INFINITY } from "../../core/index.ts";
import { isNullAt, NULL_LENGTH, type Output, valueError } from "./encode.ts";

const DAYS_TO_2000 = 10957;
const MICROS_TO_2000 = 946684800000000n;
const DAY_MICROS = 86400000000n;
const EPOCH_LOW = Number(MICROS_TO_2000 & 0xffffffffn);
const EPOCH_HIGH = Number(MICROS_TO_2000 >> 32n);
const INT32_MAX = 0x7fffffff;
const INT32_MIN = -0x80000000;
const INT64_MAX = 0x7fffffffffffffffn;
const INT64_MIN = -0x8000000000000000n;

/** What lies outside PostgreSQL's range but fits the wire is refused by the server: 4713 BC to 5874897 AD. */
export function encodeDate(column: Column, from: number, count: number, out: Output, cursors: Int32Array): void {
	const { i32, nullCount } = column;
	const { view } = out;
	for (let i = 0; i < count; i++) {
		const at = cursors[i]!;
		const row = from + i;
		if (nullCount > 0 && isNullAt(column, row)) {
			view.setInt32(at, NULL_LENGTH);
			cursors[i] = at + 4;
			continue;
		}
		const days = i32[row]!;
		view.setInt32(at, 4);
		if (days === DATE_INFINITY) view.setInt32(at + 4, INT32_MAX);
		else if (days === -DATE_INFINITY) view.setInt32(at + 4, INT32_MIN);
		else if (days <= INT32_MIN + DAYS_TO_2000) throw valueError(column, "a date before 4713 BC");
		else view.setInt32(at + 4, days - DAYS_TO_2000);
		cursors[i] = at + 8;
	}
}

/** timestamp and timestamptz. */
export function encodeTimestamp(column: Column, from: number, count: number, out: Output, cursors: Int32Array): void {
	const { i32, u32, nullCount } = column;
	const { view } = out;
	for (let i = 0; i < count; i++) {
		const at = cursors[i]!;
		const row = from + i;
		if (nullCount > 0 && isNullAt(column, row)) {
			view.setInt32(at, NULL_LENGTH);
			cursors[i] = at + 4;
			continue;
		}
		view.setInt32(at, 8);
		const high = i32[(row << 1) + 1]!;
		if (high === INT32_MAX || high < INT32_MIN + EPOCH_HIGH + 2)
			view.setBigInt64(at + 4, carefully(column, column.i64[row]!));
		else {
			const low = u32[row << 1]! - EPOCH_LOW;
			view.setInt32(at + 4, high - EPOCH_HIGH - (low < 0 ? 1 : 0));
			view.setInt32(at + 8, low);
		}
		cursors[i] = at + 12;
	}
}

function carefully(column: Column, micros: bigint): bigint {
	if (micros === TIMESTAMP_INFINITY) return INT64_MAX;
	if (micros === -TIMESTAMP_INFINITY) return INT64_MIN;
	const value = micros - MICROS_TO_2000;
	if (value <= INT64_MIN) throw valueError(column, "a time before 4713 BC");
	return value;
}

/** A date as the timestamp of its midnight, for a table whose column is one. */
export function encodeMidnight(column: Column, from: number, count: number, out: Output, cursors: Int32Array): void {
	const { i32, nullCount } = column;
	const { view } = out;
	for (let i = 0; i < count; i++) {
		const at = cursors[i]!;
		const row = from + i;
		if (nullCount > 0 && isNullAt(column, row)) {
			view.setInt32(at, NULL_LENGTH);
			cursors[i] = at + 4;
			continue;
		}
		const days = i32[row]!;
		view.setInt32(at, 8);
		if (days === DATE_INFINITY) view.setBigInt64(at + 4, INT64_MAX);
		else if (days === -DATE_INFINITY) view.setBigInt64(at + 4, INT64_MIN);
		else {
			const micros = BigInt(days - DAYS_TO_2000) * DAY_MICROS;
			if (BigInt.asIntN(64, micros) !== micros) throw valueError(column, "a date that a timestamp can't hold");
			view.setBigInt64(at + 4, micros);
		}
		cursors[i] = at + 12;
	}
}

/** Microseconds, days and months on the wire; months, days and microseconds in the batch. */
export function encodeInterval(column: Column, from: number, count: number, out: Output, cursors: Int32Array): void {
	const { i32, i64, nullCount } = column;
	const { view } = out;
	for (let i = 0; i < count; i++) {
		const at = cursors[i]!;
		const row = from + i;
		if (nullCount > 0 && isNullAt(column, row)) {
			view.setInt32(at, NULL_LENGTH);
			cursors[i] = at + 4;
			continue;
		}
		const word = row << 2;
		const months = i32[word]!;
		const days = i32[word + 1]!;
		// PostgreSQL 17 and later take these for the infinities.
		if ((months === INT32_MAX && days === INT32_MAX) || (months === INT32_MIN && days === INT32_MIN)) {
			const micros = i64[(row << 1) + 1]!;
			if (micros === INT64_MAX || micros === INT64_MIN)
				throw valueError(column, "an interval that PostgreSQL takes for an infinite one");
		}
		view.setInt32(at, 16);
		view.setInt32(at + 4, i32[word + 3]!);
		view.setInt32(at + 8, i32[word + 2]!);
		view.setInt32(at + 12, days);
		view.setInt32(at + 16, months);
		cursors[i] = at + 20;
	}
}
