/** Floats of the text protocol into a column; see `Decode` for the parameters. */
import { keepsDigits } from "../../formats/index.ts";
import { type Decode, unfit } from "./decode.ts";

const MINUS = 45;
const POINT = 46;
/** Digits that always fit a double exactly. */
const SAFE_DIGITS = 15;

export const real32: Decode = (bytes, offsets, lengths, at, count, column, row) => {
	const out = column.f32;
	for (let i = 0; i < count; i++) {
		const length = lengths[at + i]!;
		if (length < 0) column.setNull(row + i);
		else out[row + i] = realAt(bytes, offsets[at + i]!, length);
	}
};

export const real64: Decode = (bytes, offsets, lengths, at, count, column, row) => {
	const out = column.f64;
	for (let i = 0; i < count; i++) {
		const length = lengths[at + i]!;
		if (length < 0) column.setNull(row + i);
		else out[row + i] = realAt(bytes, offsets[at + i]!, length);
	}
};

/** A decimal or integer as a float; counts the values whose digits it does not keep. `safeDigits` are always kept. */
function rounded(single: boolean, safeDigits: number): Decode {
	return (bytes, offsets, lengths, at, count, column, row, policy) => {
		const out = single ? column.f32 : column.f64;
		for (let i = 0; i < count; i++) {
			const length = lengths[at + i]!;
			if (length < 0) {
				column.setNull(row + i);
				continue;
			}
			const from = offsets[at + i]!;
			out[row + i] = realAt(bytes, from, length);
			if (length <= safeDigits) continue;
			const value = out[row + i]!;
			if (Number.isFinite(value)) {
				if (!keepsDigits(bytes.toString("latin1", from, from + length), value, single)) column.changedCount++;
			} else if (policy.outOfRange === "null") column.setChangedNull(row + i);
			else
				throw unfit(
					column,
					"types: { out_of_range: null } makes such values NULL; columns: { … type: text } keeps them",
				);
		}
	};
}

export const rounded32: Decode = rounded(true, 6);
export const rounded64: Decode = rounded(false, SAFE_DIGITS);

const EXACT_POWERS_OF_TEN = Float64Array.from({ length: 23 }, (_, exponent) => Number(`1e${exponent}`));

/**
 * The nearest double. Up to 15 digits over an exact power of ten are one correctly rounded division (W. Clinger, "How
 * to read floating point numbers accurately", 1990); the rest goes through Number().
 */
function realAt(bytes: Buffer, start: number, length: number): number {
	const end = start + length;
	if (length <= SAFE_DIGITS + 2) {
		let at = start;
		const negative = bytes[at] === MINUS;
		if (negative) at++;
		let mantissa = 0;
		let digits = 0;
		let point = -1;
		for (; at < end; at++) {
			const c = bytes[at]!;
			if (c === POINT) point = at;
			else if (c < 48 || c > 57) break;
			else {
				mantissa = mantissa * 10 + (c - 48);
				digits++;
			}
		}
		if (at === end && digits <= SAFE_DIGITS) {
			const value = point < 0 ? mantissa : mantissa / EXACT_POWERS_OF_TEN[end - point - 1]!;
			return negative ? -value : value;
		}
	}
	return Number(bytes.toString("latin1", start, end));
}
