/** Numbers as the log has them into a column; see `Decode` for the parameters. */
import type { Column } from "../../../core/index.ts";
import type { Decode } from "../decode.ts";

/**
 * Integers of so many bytes, the lowest first, into an integer column that is as wide or wider.
 * https://dev.mysql.com/doc/dev/mysql-server/latest/field__types_8h.html
 */
export function integer(size: number, unsigned: boolean): Decode {
	return (bytes, offsets, lengths, at, count, column, row) => {
		const { width } = column;
		if (size === 4 && width === 4) {
			copyWords(bytes, offsets, lengths, at, count, column, row);
			return;
		}
		const out = column.u8;
		for (let i = 0; i < count; i++) {
			if (lengths[at + i]! < 0) {
				column.setNull(row + i);
				continue;
			}
			const from = offsets[at + i]!;
			let to = (row + i) * width;
			for (let j = 0; j < size; j++) out[to++] = bytes[from + j]!;
			const fill = !unsigned && bytes[from + size - 1]! > 127 ? 255 : 0;
			for (let j = size; j < width; j++) out[to++] = fill;
		}
	};
}

function copyWords(
	bytes: Buffer,
	offsets: Int32Array,
	lengths: Int32Array,
	at: number,
	count: number,
	column: Column,
	row: number,
): void {
	const out = column.i32;
	for (let i = 0; i < count; i++) {
		const from = offsets[at + i]!;
		if (lengths[at + i]! < 0) column.setNull(row + i);
		else out[row + i] = bytes[from]! | (bytes[from + 1]! << 8) | (bytes[from + 2]! << 16) | (bytes[from + 3]! << 24);
	}
}

/** YEAR: a byte that counts from 1900; 0 is the year 0000. */
export const year: Decode = (bytes, offsets, lengths, at, count, column, row) => {
	const out = column.i16;
	for (let i = 0; i < count; i++) {
		if (lengths[at + i]! < 0) column.setNull(row + i);
		else out[row + i] = yearAt(bytes, offsets[at + i]!);
	}
};

export function yearAt(bytes: Buffer, from: number): number {
	const value = bytes[from]!;
	return value === 0 ? 0 : 1900 + value;
}

export const float32: Decode = (bytes, offsets, lengths, at, count, column, row) => {
	const out = column.f32;
	for (let i = 0; i < count; i++) {
		if (lengths[at + i]! < 0) column.setNull(row + i);
		else out[row + i] = bytes.readFloatLE(offsets[at + i]!);
	}
};

/** A FLOAT as the double of the same value. */
export const float32As64: Decode = (bytes, offsets, lengths, at, count, column, row) => {
	const out = column.f64;
	for (let i = 0; i < count; i++) {
		if (lengths[at + i]! < 0) column.setNull(row + i);
		else out[row + i] = bytes.readFloatLE(offsets[at + i]!);
	}
};

export const float64: Decode = (bytes, offsets, lengths, at, count, column, row) => {
	const out = column.f64;
	for (let i = 0; i < count; i++) {
		if (lengths[at + i]! < 0) column.setNull(row + i);
		else out[row + i] = bytes.readDoubleLE(offsets[at + i]!);
	}
};

/** Bytes that so many digits take: nine in four bytes, what is left in as few as hold it. */
const DIGIT_BYTES = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];
const GROUP_DIGITS = 9;

export function decimalBytes(precision: number, scale: number): number {
	const whole = precision - scale;
	return (
		Math.floor(whole / GROUP_DIGITS) * 4 +
		DIGIT_BYTES[whole % GROUP_DIGITS]! +
		Math.floor(scale / GROUP_DIGITS) * 4 +
		DIGIT_BYTES[scale % GROUP_DIGITS]!
	);
}

/** The groups of digits of a decimal: how many digits each has and in how many bytes. */
interface Groups {
	readonly digits: readonly number[];
	readonly sizes: readonly number[];
}

/**
 * Digits in groups of nine to both sides of the point; the rest of the whole digits comes first, that of the fraction
 * last. https://dev.mysql.com/doc/dev/mysql-server/latest/group__DECIMAL.html decimal2bin
 */
function groupsOf(precision: number, scale: number): Groups {
	const whole = precision - scale;
	const digits = [
		...(whole % GROUP_DIGITS > 0 ? [whole % GROUP_DIGITS] : []),
		...Array.from({ length: Math.floor(whole / GROUP_DIGITS) }, () => GROUP_DIGITS),
		...Array.from({ length: Math.floor(scale / GROUP_DIGITS) }, () => GROUP_DIGITS),
		...(scale % GROUP_DIGITS > 0 ? [scale % GROUP_DIGITS] : []),
	];
	return { digits, sizes: digits.map((count) => DIGIT_BYTES[count]!) };
}

const values = new Float64Array(16);

/** Reads the groups into `values`; whether the number is negative. The highest bit is set for those that are not. */
function readGroups(bytes: Buffer, from: number, { sizes }: Groups): boolean {
	const negative = bytes[from]! < 128;
	const mask = negative ? 255 : 0;
	let at = from;
	// The first bit is the sign's: as the mask leaves it, it is set.
	let first = 0x80;
	for (let group = 0; group < sizes.length; group++) {
		let value = 0;
		for (let n = sizes[group]!; n > 0; n--) {
			value = value * 256 + ((bytes[at++]! ^ mask ^ first) & 255);
			first = 0;
		}
		values[group] = value;
	}
	return negative;
}

const POWERS = [1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];
/** Digits that a double holds exactly. */
const SAFE_DIGITS = 15;
const WORD = 4294967296;
const words = new Float64Array(4);

/** A NEWDECIMAL as the unscaled integer of a decimal column of the same scale. */
export function decimal(precision: number, scale: number): Decode {
	const groups = groupsOf(precision, scale);
	const { digits } = groups;
	const count9 = digits.length;
	const safe = precision <= SAFE_DIGITS;
	return (bytes, offsets, lengths, at, count, column, row) => {
		const { width, i16, i32 } = column;
		for (let i = 0; i < count; i++) {
			if (lengths[at + i]! < 0) {
				column.setNull(row + i);
				continue;
			}
			const negative = readGroups(bytes, offsets[at + i]!, groups);
			if (!safe) {
				setWide(digits, negative, i32, ((row + i) * width) >> 2, width >> 2);
				continue;
			}
			let value = 0;
			for (let group = 0; group < count9; group++) value = value * POWERS[digits[group]!]! + values[group]!;
			if (negative) value = -value;
			if (width === 8) column.setSafeInteger(row + i, value);
			else if (width === 4) i32[row + i] = value;
			else if (width === 2) i16[row + i] = value;
			else column.setInt128(row + i, BigInt(value));
		}
	};
}

/** Words, little-endian two's complement; a group goes in by at most six digits, so that all stays below 2^53. */
function setWide(digits: readonly number[], negative: boolean, out: Int32Array, word: number, wordCount: number): void {
	words.fill(0);
	for (let group = 0; group < digits.length; group++) {
		const count = digits[group]!;
		const value = values[group]!;
		if (count > 6) {
			const high = Math.floor(value / 1e6);
			addDigits(POWERS[count - 6]!, high, wordCount);
			addDigits(1e6, value - high * 1e6, wordCount);
		} else addDigits(POWERS[count]!, value, wordCount);
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

function addDigits(power: number, digits: number, wordCount: number): void {
	let carry = digits;
	for (let w = 0; w < wordCount; w++) {
		const product = words[w]! * power + carry;
		carry = Math.floor(product / WORD);
		words[w] = product - carry * WORD;
	}
}

/** A NEWDECIMAL as the server prints it. */
export function decimalText(precision: number, scale: number): (bytes: Buffer, start: number) => string {
	const groups = groupsOf(precision, scale);
	return (bytes, start) => {
		const negative = readGroups(bytes, start, groups);
		let text = "";
		for (const [group, count] of groups.digits.entries()) text += String(values[group]).padStart(count, "0");
		const point = precision - scale;
		const whole = text.slice(0, point).replace(/^0+(?=\d)/, "") || "0";
		const shown = scale === 0 ? whole : `${whole}.${text.slice(point)}`;
		return negative && /[1-9]/.test(text) ? `-${shown}` : shown;
	};
}
