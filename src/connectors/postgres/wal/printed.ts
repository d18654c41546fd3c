/**
 * Values as the server prints them, turned into the binary form that a COPY of the same value has: so that one decoder
 * reads both, and a value of the log is the value of the snapshot whatever the policies say. The settings of the
 * session (ISO dates, ISO 8601 intervals, UTC, hexadecimal bytes) fix what is printed.
 */
import { HeadraceError } from "../../../core/index.ts";

/** Values in binary form, as a decoder takes them. */
export class WireValues {
	bytes: Buffer = Buffer.allocUnsafeSlow(1 << 16);
	offsets: Int32Array = new Int32Array(1024);
	lengths: Int32Array = new Int32Array(1024);
	used = 0;

	begin(count: number, bytes: number): void {
		this.used = 0;
		if (this.offsets.length < count) {
			this.offsets = new Int32Array(count);
			this.lengths = new Int32Array(count);
		}
		this.reserve(bytes);
	}

	reserve(bytes: number): Buffer {
		const needed = this.used + bytes;
		if (needed > this.bytes.length) {
			const grown = Buffer.allocUnsafeSlow(Math.max(this.bytes.length * 2, needed));
			this.bytes.copy(grown, 0, 0, this.used);
			this.bytes = grown;
		}
		return this.bytes;
	}
}

/** Turns `count` printed values into their binary form; a length below 0 is NULL. */
export type Transcode = (
	buffer: Buffer,
	offsets: Int32Array,
	lengths: Int32Array,
	from: number,
	count: number,
	out: WireValues,
) => void;

/** Writes one value at `at` of `out`, from the text [start, end). */
type PutFixed = (text: Buffer, start: number, end: number, out: Buffer, at: number) => void;

/** The printed text is not what the type prints: another type than was described. */
export function unprintable(): HeadraceError {
	return new HeadraceError("E_CORRUPT_EVENT", "a value is not in the form in which its type is printed");
}

function fixed(width: number, put: PutFixed): Transcode {
	return (buffer, offsets, lengths, from, count, out) => {
		out.begin(count, count * width);
		const { bytes } = out;
		for (let i = 0; i < count; i++) {
			const length = lengths[from + i]!;
			out.offsets[i] = i * width;
			if (length < 0) {
				out.lengths[i] = -1;
				continue;
			}
			const start = offsets[from + i]!;
			put(buffer, start, start + length, bytes, i * width);
			out.lengths[i] = width;
		}
	};
}

/** `digits` is how many were wanted at least. */
export function digitsAt(text: Buffer, start: number, end: number): number {
	if (start >= end) throw unprintable();
	let value = 0;
	for (let at = start; at < end; at++) {
		const digit = text[at]! - 0x30;
		if (digit < 0 || digit > 9) throw unprintable();
		value = value * 10 + digit;
	}
	return value;
}

const MINUS = 0x2d;
/** Digits of a number that is surely safe in a JS number. */
const SAFE_DIGITS = 15;

/** A whole number as two words, big-endian two's complement. */
export function putInt64(value: number, out: Buffer, at: number): void {
	const high = Math.floor(value / 4294967296);
	out[at] = high >> 24;
	out[at + 1] = high >> 16;
	out[at + 2] = high >> 8;
	out[at + 3] = high;
	putInt32(value | 0, out, at + 4);
}

function putInt32(value: number, out: Buffer, at: number): void {
	out[at] = value >> 24;
	out[at + 1] = value >> 16;
	out[at + 2] = value >> 8;
	out[at + 3] = value;
}

const int2 = fixed(2, (text, start, end, out, at) => {
	const negative = text[start] === MINUS;
	const value = digitsAt(text, negative ? start + 1 : start, end);
	const signed = negative ? -value : value;
	out[at] = signed >> 8;
	out[at + 1] = signed;
});

const int4 = fixed(4, (text, start, end, out, at) => {
	const negative = text[start] === MINUS;
	const value = digitsAt(text, negative ? start + 1 : start, end);
	putInt32(negative ? -value : value, out, at);
});

const putInt8: PutFixed = (text, start, end, out, at) => {
	const negative = text[start] === MINUS;
	const first = negative ? start + 1 : start;
	if (end - first > SAFE_DIGITS) {
		digitsAt(text, first, end);
		out.writeBigInt64BE(BigInt.asIntN(64, BigInt(text.toString("latin1", start, end))), at);
		return;
	}
	const value = digitsAt(text, first, end);
	putInt64(negative ? -value : value, out, at);
};

const bool: PutFixed = (text, start, end, out, at) => {
	const first = text[start];
	if (end !== start + 1 || (first !== 0x74 && first !== 0x66)) throw unprintable();
	out[at] = first === 0x74 ? 1 : 0;
};

function floatOf(text: Buffer, start: number, end: number): number {
	const printed = text.toString("latin1", start, end);
	const value = Number(printed);
	if (Number.isNaN(value) && printed !== "NaN") throw unprintable();
	return value;
}

/** What is left of a double behind a float's 24 bits. */
const TIE = 0x10000000;
const TIE_MASK = 0x1fffffff;
const words = new DataView(new ArrayBuffer(8));

/**
 * Nearest to what is printed, not to the double that is nearest to it: where that double lies just between two floats,
 * the digits decide.
 */
function float4Of(text: Buffer, start: number, end: number): number {
	const value = floatOf(text, start, end);
	words.setFloat64(0, value);
	if ((words.getUint32(4) & TIE_MASK) !== TIE || !Number.isFinite(value)) return value;
	const beyond = comparedExactly(text.toString("latin1", start, end), value);
	if (beyond === 0) return value;
	const low = words.getUint32(4) + (beyond > 0 === value > 0 ? 1 : -1);
	words.setUint32(4, low);
	return words.getFloat64(0);
}

/** Whether a decimal number is more than a double: both as whole numbers. */
function comparedExactly(printed: string, value: number): number {
	const [, sign, whole = "", fraction = "", exponent = "0"] =
		/^(-?)(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(printed) ?? [];
	const digits = BigInt(`${whole}${fraction}`) * (sign === "-" ? -1n : 1n);
	const power = Number(exponent) - fraction.length;
	words.setFloat64(0, value);
	const bits = words.getBigUint64(0);
	const mantissa = ((bits & 0xfffffffffffffn) | 0x10000000000000n) * (value < 0 ? -1n : 1n);
	const scale = Number((bits >> 52n) & 0x7ffn) - 1075;
	const left = digits * (power > 0 ? 10n ** BigInt(power) : 1n) * (scale < 0 ? 2n ** BigInt(-scale) : 1n);
	const right = mantissa * (scale > 0 ? 2n ** BigInt(scale) : 1n) * (power < 0 ? 10n ** BigInt(-power) : 1n);
	return left > right ? 1 : left < right ? -1 : 0;
}

const float4 = fixed(4, (text, start, end, out, at) => out.writeFloatBE(float4Of(text, start, end), at));
const float8 = fixed(8, (text, start, end, out, at) => out.writeDoubleBE(floatOf(text, start, end), at));
const float4as8 = fixed(8, (text, start, end, out, at) =>
	out.writeDoubleBE(Math.fround(float4Of(text, start, end)), at),
);

const hexDigit = (byte: number): number =>
	byte >= 0x30 && byte <= 0x39 ? byte - 0x30 : byte >= 0x61 && byte <= 0x66 ? byte - 0x57 : -1;

const uuid = fixed(16, (text, start, end, out, at) => {
	let digits = 0;
	for (let i = start; i < end; i++) {
		if (text[i] === MINUS) continue;
		const digit = hexDigit(text[i]!);
		if (digit < 0 || digits === 32) throw unprintable();
		const byte = at + (digits >> 1);
		out[byte] = (digits & 1) === 0 ? digit << 4 : out[byte]! | digit;
		digits++;
	}
	if (digits !== 32) throw unprintable();
});

/** `\x00ff`, and the same without the prefix, as PostGIS prints. */
const hex: Transcode = (buffer, offsets, lengths, from, count, out) => {
	let total = 0;
	for (let i = 0; i < count; i++) total += Math.max(0, lengths[from + i]!);
	out.begin(count, total >> 1);
	const { bytes } = out;
	for (let i = 0; i < count; i++) {
		const length = lengths[from + i]!;
		out.offsets[i] = out.used;
		out.lengths[i] = -1;
		if (length < 0) continue;
		let at = offsets[from + i]!;
		const end = at + length;
		if (buffer[at] === 0x5c && buffer[at + 1] === 0x78) at += 2;
		if (((end - at) & 1) === 1) throw unprintable();
		let used = out.used;
		for (; at < end; at += 2) {
			const high = hexDigit(buffer[at]! | 0x20);
			const low = hexDigit(buffer[at + 1]! | 0x20);
			if (high < 0 || low < 0) throw unprintable();
			bytes[used++] = (high << 4) | low;
		}
		out.lengths[i] = used - out.used;
		out.used = used;
	}
};

/** `t` and `f` as a cast to text prints them. */
const truth: Transcode = (buffer, offsets, lengths, from, count, out) => {
	out.begin(count, count * 5);
	for (let i = 0; i < count; i++) {
		const length = lengths[from + i]!;
		const word = length < 0 ? "" : buffer[offsets[from + i]!] === 0x74 ? "true" : "false";
		out.offsets[i] = i * 5;
		out.lengths[i] = length < 0 ? -1 : word.length;
		out.bytes.write(word, i * 5, "latin1");
	}
};

/** Numbers as 8 bytes whatever they were, and flags as 1 and 0. */
const boolAs8 = fixed(8, (text, start, _end, out, at) => putInt64(text[start] === 0x74 ? 1 : 0, out, at));

export const printed = {
	bool: fixed(1, bool),
	boolAs8,
	truth,
	int2,
	int4,
	int8: fixed(8, putInt8),
	float4,
	float8,
	float4as8,
	uuid,
	hex,
	fixed,
} as const;
