import { type ColumnType, daysInMonth } from "../../core/index.ts";

/** What a text could be. A column's bits are those of all its values. */
export const INTEGER = 1;
export const DECIMAL = 2;
export const FLOAT = 4;
export const BOOLEAN = 8;
export const DATE = 16;
export const TIMESTAMP = 32;
export const TIMESTAMPTZ = 64;
export const TIME = 128;
export const TEXT = 256;
export const JSON_VALUE = 512;
export const TEXT_LIST = 1024;
export const INTEGER_LIST = 2048;
/** JSON only: the value stood in quotes, or did not. Both in one column need JSON to tell 1 from "1". */
export const STRING = 4096;
export const BARE = 8192;

const KINDS = 4095;
/** Significant digits that a double always gives back. */
const DOUBLE_DIGITS = 15;

/** What is known of a column's values so far. */
export class TypeGuess {
	bits = 0;
	/** Most digits before and behind the point of any number. */
	wholeDigits = 0;
	scale = 0;
	/** Every integer fits int64. */
	fitsInt64 = true;
	/** Every number comes back from a double with the same value. */
	fitsDouble = true;
	/** An empty array counts as a list of text, but may stand among lists of integers. */
	textListsEmpty = true;

	/** A number, boolean or time if it is written in the one way that loses nothing, else text. */
	observe(bytes: Buffer, start: number, end: number): void {
		// Nothing makes a column that is text already anything else.
		if ((this.bits & TEXT) === 0) this.bits |= this.#classify(bytes, start, end);
	}

	/** A JSON string: a time if it looks like one, but never a number or boolean. */
	observeString(bytes: Buffer, start: number, end: number): void {
		const bits = (this.bits & TEXT) !== 0 ? TEXT : this.#classify(bytes, start, end);
		this.bits |= STRING | (bits & (DATE | TIMESTAMP | TIMESTAMPTZ | TIME) || TEXT);
	}

	/** A JSON number. */
	observeNumber(bytes: Buffer, start: number, end: number): void {
		const bits = this.#classify(bytes, start, end);
		// JSON has -0 as a number like any other; only a double keeps its sign.
		this.bits |= BARE | (bits === TEXT ? FLOAT : bits);
	}

	add(other: TypeGuess): void {
		this.bits |= other.bits;
		this.wholeDigits = Math.max(this.wholeDigits, other.wholeDigits);
		this.scale = Math.max(this.scale, other.scale);
		this.fitsInt64 &&= other.fitsInt64;
		this.fitsDouble &&= other.fitsDouble;
		this.textListsEmpty &&= other.textListsEmpty;
	}

	#classify(bytes: Buffer, start: number, end: number): number {
		const length = end - start;
		const first = bytes[start]!;
		if (first === 45 || (first >= 48 && first <= 57)) {
			if (bytes[start + 4] === 45 && length >= 10) return dateOrTimestamp(bytes, start, end);
			if (bytes[start + 2] === 58) return isTime(bytes, start, end) ? TIME : TEXT;
			return this.#number(bytes, start, end);
		}
		if (length === 4 || length === 5) {
			const word = bytes.toString("latin1", start, end);
			if (/^(true|false|True|False|TRUE|FALSE)$/.test(word)) return BOOLEAN;
		}
		return TEXT;
	}

	/** Leading zeros, a plus, a bare point, -0 and the like stay text: a number would print otherwise. */
	#number(bytes: Buffer, start: number, end: number): number {
		const negative = bytes[start] === 45;
		let at = negative ? start + 1 : start;
		const whole = at;
		let nonZero = false;
		let digit = -1;
		for (; at < end; at++) {
			digit = bytes[at]! - 48;
			if (digit < 0 || digit > 9) break;
			if (digit > 0) nonZero = true;
		}
		const wholeDigits = at - whole;
		if (wholeDigits === 0 || (wholeDigits > 1 && bytes[whole] === 48)) return TEXT;
		let scale = 0;
		if (at < end && bytes[at] === 46) {
			const from = ++at;
			for (; at < end; at++) {
				digit = bytes[at]! - 48;
				if (digit < 0 || digit > 9) break;
				if (digit > 0) nonZero = true;
			}
			scale = at - from;
			if (scale === 0) return TEXT;
		}
		let kind = scale === 0 ? INTEGER : DECIMAL;
		if (at < end && (bytes[at] === 101 || bytes[at] === 69)) {
			at++;
			if (bytes[at] === 43 || bytes[at] === 45) at++;
			const from = at;
			while (at < end && bytes[at]! >= 48 && bytes[at]! <= 57) at++;
			if (at === from) return TEXT;
			kind = FLOAT;
		}
		if (at !== end || (negative && !nonZero && kind !== FLOAT)) return TEXT;
		const tooLong = wholeDigits + scale > DOUBLE_DIGITS;
		if (kind === FLOAT ? !floatIsExact(bytes, start, end, tooLong) : tooLong) this.fitsDouble = false;
		if (kind === INTEGER && wholeDigits > 18 && this.fitsInt64) {
			const value = BigInt(bytes.toString("latin1", start, end));
			if (BigInt.asIntN(64, value) !== value) this.fitsInt64 = false;
		}
		if (kind !== FLOAT) {
			if (wholeDigits > this.wholeDigits) this.wholeDigits = wholeDigits;
			if (scale > this.scale) this.scale = scale;
		}
		return kind;
	}

	/** The type that holds every value as it stands. Roomier than needed, so that the next file seldom changes it. */
	get type(): ColumnType {
		const kinds = this.bits & KINDS;
		if ((this.bits & STRING) !== 0 && (this.bits & BARE) !== 0) return { kind: "json" };
		switch (kinds) {
			case INTEGER:
				return this.fitsInt64 ? { kind: "int64" } : decimalType(this.wholeDigits, 0);
			case DECIMAL:
			case DECIMAL | INTEGER:
				return decimalType(this.wholeDigits, this.scale);
			case FLOAT:
			case FLOAT | INTEGER:
			case FLOAT | DECIMAL:
			case FLOAT | DECIMAL | INTEGER:
				return this.fitsDouble ? { kind: "float64" } : { kind: "text" };
			case BOOLEAN:
				return { kind: "boolean" };
			case DATE:
				return { kind: "date" };
			case TIMESTAMP:
				return { kind: "timestamp" };
			case TIMESTAMPTZ:
				return { kind: "timestamptz" };
			case TIME:
				return { kind: "time" };
			case TEXT_LIST:
				return { kind: "list", element: { kind: "text" } };
			case INTEGER_LIST:
			case INTEGER_LIST | TEXT_LIST:
				return this.#listType();
			default:
				return (this.bits & BARE) !== 0 && kinds !== 0 ? { kind: "json" } : { kind: "text" };
		}
	}

	#listType(): ColumnType {
		const textElements = (this.bits & TEXT_LIST) !== 0 && !this.textListsEmpty;
		return textElements ? { kind: "json" } : { kind: "list", element: { kind: "int64" } };
	}
}

const SCALES = [0, 2, 4, 6, 9, 18, 38];

function decimalType(wholeDigits: number, scale: number): ColumnType {
	const roomy = SCALES.find((step) => step >= scale) ?? scale;
	if (wholeDigits + roomy <= 18) return { kind: "decimal", precision: 18, scale: roomy };
	if (wholeDigits + roomy <= 38) return { kind: "decimal", precision: 38, scale: roomy };
	return wholeDigits + scale <= 38 ? { kind: "decimal", precision: 38, scale } : { kind: "text" };
}

/** Whether a number with an exponent comes back from a double: by its digits, or because it is the shortest text. */
function floatIsExact(bytes: Buffer, start: number, end: number, tooLong: boolean): boolean {
	const text = bytes.toString("latin1", start, end);
	const value = Number(text);
	if (!Number.isFinite(value)) return false;
	// Below the normal range a double has fewer digits than it prints for others.
	const size = Math.abs(value);
	if (!tooLong && (size >= 1e-290 || /^-?[0.]+[eE]/.test(text))) return true;
	return normalForm(text) === normalForm(String(value));
}

/** Digits and exponent of a number's text, without zeros that say nothing. */
function normalForm(text: string): string {
	const [mantissa = "", exponent = "0"] = text.toLowerCase().split("e");
	const [whole = "", fraction = ""] = mantissa.replace("-", "").split(".");
	const digits = (whole + fraction).replace(/^0+/, "");
	const leading = whole.length - (whole + fraction).length + digits.length;
	return `${digits.replace(/0+$/, "")}e${Number(exponent) + leading}`;
}

function two(bytes: Buffer, at: number): number {
	const tens = bytes[at]! - 48;
	const ones = bytes[at + 1]! - 48;
	return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : 1000;
}

function isDate(bytes: Buffer, start: number): boolean {
	const year = two(bytes, start) * 100 + two(bytes, start + 2);
	const month = two(bytes, start + 5);
	const day = two(bytes, start + 8);
	if (bytes[start + 4] !== 45 || bytes[start + 7] !== 45) return false;
	return year >= 1 && year <= 9999 && month <= 12 && day >= 1 && day <= daysInMonth(year, month);
}

/** `12:34:56` with up to six decimals, to 23:59:59.999999. */
function isTime(bytes: Buffer, start: number, end: number): boolean {
	if (end - start < 8 || bytes[start + 2] !== 58 || bytes[start + 5] !== 58) return false;
	if (two(bytes, start) > 23 || two(bytes, start + 3) > 59 || two(bytes, start + 6) > 59) return false;
	if (end - start === 8) return true;
	if (bytes[start + 8] !== 46 || end - start > 15 || end - start < 10) return false;
	for (let at = start + 9; at < end; at++) if (bytes[at]! < 48 || bytes[at]! > 57) return false;
	return true;
}

/** Bytes of a zone at the end (`Z`, `+00`, `+0530`, `+05:30`); 0 when there is none. */
function zoneBytes(bytes: Buffer, start: number, end: number): number {
	if (bytes[end - 1] === 90) return 1;
	const text = bytes.toString("latin1", Math.max(start, end - 6), end);
	return /[+-](?:0\d|1[0-5])(?::?[0-5]\d)?$/.exec(text)?.[0].length ?? 0;
}

function dateOrTimestamp(bytes: Buffer, start: number, end: number): number {
	if (!isDate(bytes, start)) return TEXT;
	if (end - start === 10) return DATE;
	const between = bytes[start + 10];
	if ((between !== 32 && between !== 84) || end - start < 19) return TEXT;
	if (isTime(bytes, start + 11, end)) return TIMESTAMP;
	const zone = zoneBytes(bytes, start + 19, end);
	return zone > 0 && isTime(bytes, start + 11, end - zone) ? TIMESTAMPTZ : TEXT;
}
