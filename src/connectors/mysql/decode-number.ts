/**
 * Numbers of the text protocol into a column, one loop a type: field `i` of a chunk is the bytes
 * [offsets[at + i], offsets[at + i] + lengths[at + i]) of `bytes`, a length of -1 is NULL, and goes to row `row + i`.
 * Digits are taken as the server sends them; none becomes a JavaScript string.
 */
import type { Column } from "../../core/index.ts";
import { type Decode, fallback } from "./decode.ts";

const MINUS = 45;
const POINT = 46;
/** Digits that always fit a double exactly. */
const SAFE_DIGITS = 15;

export const integer8: Decode = (bytes, offsets, lengths, at, count, column, row) => {
	const out = column.u8;
	for (let i = 0; i < count; i++) {
		const length = lengths[at + i]!;
		if (length < 0) column.setNull(row + i);
		else out[row + i] = int32At(bytes, offsets[at + i]!, length);
	}
};

export const integer16: Decode = (bytes, offsets, lengths, at, count, column, row) => {
	const out = column.i16;
	for (let i = 0; i < count; i++) {
		const length = lengths[at + i]!;
		if (length < 0) column.setNull(row + i);
		else out[row + i] = int32At(bytes, offsets[at + i]!, length);
	}
};

export const integer32: Decode = (bytes, offsets, lengths, at, count, column, row) => {
	const out = column.i32;
	for (let i = 0; i < count; i++) {
		const length = lengths[at + i]!;
		if (length < 0) column.setNull(row + i);
		else out[row + i] = int32At(bytes, offsets[at + i]!, length);
	}
};

/** The digits modulo 2^32, so that unsigned values keep their bits. */
function int32At(bytes: Buffer, start: number, length: number): number {
	let at = start;
	const end = start + length;
	const negative = bytes[at] === MINUS;
	if (negative) at++;
	let value = 0;
	while (at < end) value = (value * 10 + (bytes[at++]! - 48)) | 0;
	return negative ? -value : value;
}

export const integer64: Decode = (bytes, offsets, lengths, at, count, column, row) => {
	const out = column.i32;
	for (let i = 0; i < count; i++) {
		const length = lengths[at + i]!;
		if (length < 0) {
			column.setNull(row + i);
			continue;
		}
		let from = offsets[at + i]!;
		const end = from + length;
		if (length > SAFE_DIGITS) {
			setWide(bytes, from, end, out, (row + i) << 1, 2);
			continue;
		}
		const negative = bytes[from] === MINUS;
		if (negative) from++;
		let value = 0;
		while (from < end) value = value * 10 + (bytes[from++]! - 48);
		if (negative) value = -value;
		const word = (row + i) << 1;
		out[word] = value | 0;
		out[word + 1] = Math.floor(value / 4294967296);
	}
};

/** Decimals of up to 4, 9, 18 and 38 digits; the text has as many decimals as the column, else `fallback` takes it. */
export const decimal16: Decode = (bytes, offsets, lengths, at, count, column, row, policy) => {
	const out = column.i16;
	const scale = scaleOf(column);
	for (let i = 0; i < count; i++) {
		const length = lengths[at + i]!;
		if (length < 0) {
			column.setNull(row + i);
			continue;
		}
		const from = offsets[at + i]!;
		if (isPlain(bytes, from, from + length, scale)) out[row + i] = safeDigits(bytes, from, from + length);
		else fallback(bytes, from, from + length, column, row + i, policy);
	}
};

export const decimal32: Decode = (bytes, offsets, lengths, at, count, column, row, policy) => {
	const out = column.i32;
	const scale = scaleOf(column);
	for (let i = 0; i < count; i++) {
		const length = lengths[at + i]!;
		if (length < 0) {
			column.setNull(row + i);
			continue;
		}
		const from = offsets[at + i]!;
		if (isPlain(bytes, from, from + length, scale)) out[row + i] = safeDigits(bytes, from, from + length);
		else fallback(bytes, from, from + length, column, row + i, policy);
	}
};

export const decimal64: Decode = (bytes, offsets, lengths, at, count, column, row, policy) => {
	const out = column.i32;
	const scale = scaleOf(column);
	for (let i = 0; i < count; i++) {
		const length = lengths[at + i]!;
		if (length < 0) {
			column.setNull(row + i);
			continue;
		}
		const from = offsets[at + i]!;
		const end = from + length;
		const word = (row + i) << 1;
		if (!isPlain(bytes, from, end, scale)) fallback(bytes, from, end, column, row + i, policy);
		else if (length > SAFE_DIGITS) setWide(bytes, from, end, out, word, 2);
		else {
			const value = safeDigits(bytes, from, end);
			out[word] = value | 0;
			out[word + 1] = Math.floor(value / 4294967296);
		}
	}
};

export const decimal128: Decode = (bytes, offsets, lengths, at, count, column, row, policy) => {
	const out = column.i32;
	const scale = scaleOf(column);
	for (let i = 0; i < count; i++) {
		const length = lengths[at + i]!;
		if (length < 0) {
			column.setNull(row + i);
			continue;
		}
		const from = offsets[at + i]!;
		const end = from + length;
		const word = (row + i) << 2;
		if (!isPlain(bytes, from, end, scale)) fallback(bytes, from, end, column, row + i, policy);
		else if (length > SAFE_DIGITS) setWide(bytes, from, end, out, word, 4);
		else {
			const value = safeDigits(bytes, from, end);
			const sign = value < 0 ? -1 : 0;
			out[word] = value | 0;
			out[word + 1] = Math.floor(value / 4294967296);
			out[word + 2] = sign;
			out[word + 3] = sign;
		}
	}
};

function scaleOf(column: Column): number {
	return column.type.kind === "decimal" ? column.type.scale : 0;
}

/** Whether the digits behind the point are exactly `scale`; a decimal of scale 0 has no point. */
function isPlain(bytes: Buffer, from: number, end: number, scale: number): boolean {
	if (scale > 0) return bytes[end - scale - 1] === POINT;
	for (let at = from; at < end; at++) if (bytes[at] === POINT) return false;
	return true;
}

/** Up to 15 digits, the point left out. */
function safeDigits(bytes: Buffer, start: number, end: number): number {
	let at = start;
	const negative = bytes[at] === MINUS;
	if (negative) at++;
	let value = 0;
	while (at < end) {
		const c = bytes[at++]!;
		if (c !== POINT) value = value * 10 + (c - 48);
	}
	return negative ? -value : value;
}

const WORD = 4294967296;
const words = new Float64Array(4);
const POWERS_OF_TEN = [1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6];

/**
 * Sets `wordCount` 32-bit words, little-endian two's complement, from digits of any number, the point left out.
 * Six digits are taken at a time: a word times 10^6 and a carry stay below 2^53.
 */
function setWide(bytes: Buffer, start: number, end: number, out: Int32Array, word: number, wordCount: number): void {
	let at = start;
	const negative = bytes[at] === MINUS;
	if (negative) at++;
	words.fill(0);
	let group = 0;
	let groupDigits = 0;
	while (at < end) {
		const c = bytes[at++]!;
		if (c !== POINT) {
			group = group * 10 + (c - 48);
			groupDigits++;
		}
		if (groupDigits === 6 || at === end) {
			const power = POWERS_OF_TEN[groupDigits]!;
			let carry = group;
			for (let w = 0; w < wordCount; w++) {
				const product = words[w]! * power + carry;
				carry = Math.floor(product / WORD);
				words[w] = product - carry * WORD;
			}
			group = 0;
			groupDigits = 0;
		}
	}
	let borrow = 1;
	for (let w = 0; w < wordCount; w++) {
		let value = words[w]!;
		if (negative) {
			value = WORD - 1 - value + borrow;
			borrow = value >= WORD ? 1 : 0;
		}
		out[word + w] = (value % WORD) | 0;
	}
}
