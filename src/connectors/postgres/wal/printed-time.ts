/** Printed dates, times and intervals, as src/backend/utils/adt/{date,timestamp}.c send them. */
import { digitsAt, printed, putInt64, type Transcode, unprintable } from "./printed.ts";

const DAYS_1970_TO_2000 = 10957;
const MICROS_A_SECOND = 1_000_000;
const MICROS_A_DAY = 86_400 * MICROS_A_SECOND;
/** So many days of microseconds are safe in a JS number. */
const SAFE_DAYS = 104_000;
const INT32_MAX = 0x7fffffff;
const MINUS = 0x2d;
const POINT = 0x2e;
const COLON = 0x3a;
const BLANK = 0x20;
const LETTER_I = 0x69;

/** Days from 2000-01-01 to a day of the Gregorian calendar; years before 1 are 0, -1, … */
function daysTo(year: number, month: number, day: number): number {
	const y = month <= 2 ? year - 1 : year;
	const era = Math.floor(y / 400);
	const yearOfEra = y - era * 400;
	const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
	const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
	return era * 146097 + dayOfEra - 719468 - DAYS_1970_TO_2000;
}

/** Where the date's part ends: at a blank, or at the end. */
function dateEnd(text: Buffer, start: number, end: number): number {
	for (let at = start; at < end; at++) if (text[at] === BLANK) return at;
	return end;
}

function isBeforeChrist(text: Buffer, end: number): boolean {
	return text[end - 1] === 0x43 && text[end - 2] === 0x42;
}

/** `2026-11-21`, years of four digits or more. */
function daysAt(text: Buffer, start: number, end: number, beforeChrist: boolean): number {
	const day = end - 2;
	const month = end - 5;
	if (month - 1 <= start || text[day - 1] !== MINUS || text[month - 1] !== MINUS) throw unprintable();
	const year = digitsAt(text, start, month - 1);
	return daysTo(beforeChrist ? 1 - year : year, digitsAt(text, month, month + 2), digitsAt(text, day, end));
}

/** `23:59:59.999999`; hours may have more digits in an interval. */
function microsAt(text: Buffer, start: number, end: number): number {
	if (end - start < 8 || text[start + 2] !== COLON || text[start + 5] !== COLON) throw unprintable();
	const hours = digitsAt(text, start, start + 2);
	const minutes = digitsAt(text, start + 3, start + 5);
	const seconds = digitsAt(text, start + 6, start + 8);
	let micros = 0;
	if (end > start + 8) {
		if (text[start + 8] !== POINT || end > start + 15) throw unprintable();
		micros = digitsAt(text, start + 9, end) * 10 ** (start + 15 - end);
	}
	return ((hours * 60 + minutes) * 60 + seconds) * MICROS_A_SECOND + micros;
}

/** -1, 1 for -infinity and infinity; 0 for a time. */
function infinityAt(text: Buffer, start: number): number {
	if (text[start] === LETTER_I) return 1;
	return text[start] === MINUS ? -1 : 0;
}

const date = printed.fixed(4, (text, start, end, out, at) => {
	const infinity = infinityAt(text, start);
	const days =
		infinity === 0
			? daysAt(text, start, dateEnd(text, start, end), isBeforeChrist(text, end))
			: infinity > 0
				? INT32_MAX
				: -INT32_MAX - 1;
	out.writeInt32BE(days, at);
});

/** timestamp, timestamptz (printed in UTC: `+00`), and dates as their midnight. */
const timestamp = printed.fixed(8, (text, start, end, out, at) => {
	const infinity = infinityAt(text, start);
	if (infinity !== 0) {
		out.writeBigInt64BE(infinity > 0 ? 0x7fffffffffffffffn : -0x8000000000000000n, at);
		return;
	}
	const beforeChrist = isBeforeChrist(text, end);
	let stop = beforeChrist ? end - 3 : end;
	const day = dateEnd(text, start, stop);
	const days = daysAt(text, start, day, beforeChrist);
	if (text[stop - 3] === 0x2b && stop > day) {
		if (text[stop - 2] !== 0x30 || text[stop - 1] !== 0x30) throw unprintable();
		stop -= 3;
	}
	const micros = day < stop ? microsAt(text, day + 1, stop) : 0;
	if (days > -SAFE_DAYS && days < SAFE_DAYS) putInt64(days * MICROS_A_DAY + micros, out, at);
	else out.writeBigInt64BE(BigInt(days) * BigInt(MICROS_A_DAY) + BigInt(micros), at);
});

const time = printed.fixed(8, (text, start, end, out, at) => putInt64(microsAt(text, start, end), out, at));

/** ISO 8601 with designators, each number with its own sign: `P1Y-2M3DT-4H5M-6.7S`. */
const interval = printed.fixed(16, (text, start, end, out, at) => {
	const infinity = infinityAt(text, start);
	if (infinity !== 0) {
		const [days, micros] = infinity > 0 ? [INT32_MAX, 0x7fffffffffffffffn] : [-INT32_MAX - 1, -0x8000000000000000n];
		out.writeBigInt64BE(micros, at);
		out.writeInt32BE(days, at + 8);
		out.writeInt32BE(days, at + 12);
		return;
	}
	let months = 0;
	let days = 0;
	let micros = 0n;
	let isTime = false;
	let place = start + 1;
	while (place < end) {
		if (text[place] === 0x54) {
			isTime = true;
			place++;
			continue;
		}
		const negative = text[place] === MINUS;
		if (negative) place++;
		const first = place;
		let point = -1;
		while (place < end && (text[place] === POINT || (text[place]! >= 0x30 && text[place]! <= 0x39))) {
			if (text[place] === POINT) point = place;
			place++;
		}
		const whole = digitsAt(text, first, point < 0 ? place : point) * (negative ? -1 : 1);
		const unit = text[place++];
		if (unit === 0x59 && !isTime) months += whole * 12;
		else if (unit === 0x4d && !isTime) months += whole;
		else if (unit === 0x44 && !isTime) days += whole;
		else if (unit === 0x48 && isTime) micros += BigInt(whole) * 3_600_000_000n;
		else if (unit === 0x4d && isTime) micros += BigInt(whole) * 60_000_000n;
		else if (unit === 0x53 && isTime) {
			const fraction = point < 0 ? 0 : digitsAt(text, point + 1, place - 1) * 10 ** (6 - (place - 1 - point - 1));
			micros += BigInt(whole) * 1_000_000n + BigInt(negative ? -fraction : fraction);
		} else throw unprintable();
	}
	out.writeBigInt64BE(micros, at);
	out.writeInt32BE(days, at + 8);
	out.writeInt32BE(months, at + 12);
});

export const printedTimes: Readonly<Record<"date" | "timestamp" | "time" | "interval", Transcode>> = {
	date,
	timestamp,
	time,
	interval,
};
