/** Printed numbers as numeric_send writes them: src/backend/utils/adt/numeric.c of PostgreSQL. */
import { type Transcode, unprintable, type WireValues } from "./printed.ts";

const HEADER_BYTES = 8;
const NEGATIVE = 0x4000;
const NAN = 0xc000;
const POSITIVE_INFINITY = 0xd000;
const NEGATIVE_INFINITY = 0xf000;
const MINUS = 0x2d;
const PLUS = 0x2b;
const POINT = 0x2e;

/** How a number is printed. */
export interface NumericForm {
	/** `$1,234.50`: only the digits count, so many of them behind the point. */
	readonly moneyScale?: number;
}

export function numericTranscode(form: NumericForm = {}): Transcode {
	const { moneyScale } = form;
	return (buffer, offsets, lengths, from, count, out) => {
		let total = 0;
		for (let i = 0; i < count; i++) total += HEADER_BYTES + 8 + Math.max(0, lengths[from + i]!) * 2;
		out.begin(count, total);
		for (let i = 0; i < count; i++) {
			const length = lengths[from + i]!;
			out.offsets[i] = out.used;
			if (length < 0) {
				out.lengths[i] = -1;
				continue;
			}
			const start = offsets[from + i]!;
			const before = out.used;
			if (moneyScale === undefined) putNumber(buffer, start, start + length, out);
			else putMoney(buffer, start, start + length, moneyScale, out);
			out.lengths[i] = out.used - before;
		}
	};
}

function putHeader(out: WireValues, digits: number, weight: number, sign: number, scale: number): void {
	const { bytes, used } = out;
	bytes[used] = digits >> 8;
	bytes[used + 1] = digits;
	bytes[used + 2] = weight >> 8;
	bytes[used + 3] = weight;
	bytes[used + 4] = sign >> 8;
	bytes[used + 5] = sign;
	bytes[used + 6] = scale >> 8;
	bytes[used + 7] = scale;
	out.used = used + HEADER_BYTES + digits * 2;
}

function putNumber(text: Buffer, start: number, end: number, out: WireValues): void {
	let at = start;
	const negative = text[at] === MINUS;
	if (negative || text[at] === PLUS) at++;
	const first = text[at]! | 0x20;
	if (first === 0x6e || first === 0x69) {
		putHeader(out, 0, 0, first === 0x6e ? NAN : negative ? NEGATIVE_INFINITY : POSITIVE_INFINITY, 0);
		return;
	}
	let point = -1;
	let stop = end;
	let exponent = 0;
	for (let i = at; i < end; i++) {
		const byte = text[i]!;
		if (byte === POINT && point < 0) point = i;
		else if ((byte | 0x20) === 0x65) {
			stop = i;
			exponent = Number(text.toString("latin1", i + 1, end));
			break;
		} else if (byte < 0x30 || byte > 0x39) throw unprintable();
	}
	if (exponent !== 0) {
		const digits = text.toString("latin1", at, stop).replace(".", "");
		const plain = Buffer.from(shifted(digits, (point < 0 ? stop : point) - at + exponent), "latin1");
		const place = plain.indexOf(POINT);
		putDigits(plain, 0, place < 0 ? plain.length : place, plain.length, negative, out);
		return;
	}
	putDigits(text, at, point < 0 ? stop : point, stop, negative, out);
}

/** The digits with the point after so many of them. */
function shifted(digits: string, point: number): string {
	if (point <= 0) return `0.${"0".repeat(-point)}${digits}`;
	if (point >= digits.length) return digits + "0".repeat(point - digits.length);
	return `${digits.slice(0, point)}.${digits.slice(point)}`;
}

/** Digits [start, point) and (point, end) in groups of four from the point on, without groups of zeros at the ends. */
function putDigits(text: Buffer, start: number, point: number, end: number, negative: boolean, out: WireValues): void {
	let from = start;
	while (from < point && text[from] === 0x30) from++;
	const whole = point - from;
	const scale = end > point ? end - point - 1 : 0;
	const { bytes } = out;
	const first = out.used + HEADER_BYTES;
	let used = first;
	let weight = whole > 0 ? ((whole + 3) >> 2) - 1 : -1;
	let groups = 0;
	let kept = 0;
	const put = (group: number): void => {
		if (groups === 0 && group === 0) {
			weight--;
			return;
		}
		bytes[used++] = group >> 8;
		bytes[used++] = group;
		groups++;
		if (group !== 0) kept = groups;
	};
	for (let at = from; at < point; ) {
		let size = (point - at) & 3;
		if (size === 0) size = 4;
		let group = 0;
		for (const stop = at + size; at < stop; at++) group = group * 10 + text[at]! - 0x30;
		put(group);
	}
	for (let at = point + 1; at < end; at += 4) {
		let group = 0;
		for (let i = 0; i < 4; i++) group = group * 10 + (at + i < end ? text[at + i]! - 0x30 : 0);
		put(group);
	}
	putHeader(out, kept, kept === 0 ? 0 : weight, negative && kept > 0 ? NEGATIVE : 0, scale);
}

/** As lc_monetary has it: a sign or brackets, a currency, groups; which bytes are the digits is the same everywhere. */
function putMoney(text: Buffer, start: number, end: number, scale: number, out: WireValues): void {
	const digits: number[] = [];
	let negative = false;
	for (let at = start; at < end; at++) {
		const byte = text[at]!;
		if (byte === MINUS || byte === 0x28) negative = true;
		else if (byte >= 0x30 && byte <= 0x39) digits.push(byte);
	}
	if (digits.length <= scale) throw unprintable();
	const point = digits.length - scale;
	const plain = Buffer.from([...digits.slice(0, point), POINT, ...digits.slice(point)]);
	putDigits(plain, 0, point, plain.length, negative, out);
}
