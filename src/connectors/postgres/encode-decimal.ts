import { type Column, type ColumnType, HeadraceError } from "../../core/index.ts";
import { integer, unscaled } from "../../formats/index.ts";
import { type ColumnEncoder, isNullAt, NULL_LENGTH } from "./encode.ts";

/**
 * numeric on the wire: digits (count), weight, sign, scale, each 16 bits, then digits of base 10000 from the highest.
 * Digits that are zero at either end are allowed: numeric_recv takes them away. So all values of a column have the same
 * length, and none needs to be measured. numeric_recv in src/backend/utils/adt/numeric.c.
 */
const HEADER_BYTES = 8;
const BASE = 10000;
/** Of two digits. */
const BASE_OF_TWO = BASE * BASE;
const NEGATIVE = 0x4000;
const POWERS = [1, 10, 100, 1000];
/** Below it, words of 32 bits give a double that is exact. */
const SAFE = 2 ** 53;

interface Layout {
	readonly groups: number;
	readonly weight: number;
	readonly scale: number;
	/** Brings the unscaled value to whole groups after the point. */
	readonly surplus: number;
}

function layoutOf(integerDigits: number, scale: number): Layout {
	const after = Math.ceil(scale / 4);
	const before = Math.ceil(integerDigits / 4);
	return { groups: before + after, weight: before - 1, scale, surplus: POWERS[after * 4 - scale]! };
}

/** Decimal digits of an integer type's widest value. */
const INTEGER_DIGITS: Readonly<Record<string, number>> = {
	int8: 3,
	uint8: 3,
	int16: 5,
	uint16: 5,
	int32: 10,
	uint32: 10,
	int64: 19,
	uint64: 20,
};

/** Decimals and integers as numeric. */
export function numericEncoder(type: ColumnType): ColumnEncoder {
	const decimal = type.kind === "decimal";
	const digits = decimal ? type.precision - type.scale : INTEGER_DIGITS[type.kind];
	if (digits === undefined) throw new HeadraceError("E_INTERNAL", `${type.kind} is no number`);
	const layout = layoutOf(digits, decimal ? type.scale : 0);
	const width = HEADER_BYTES + layout.groups * 2;
	const small = smallReader(type);
	const big = decimal ? unscaled : integer;
	const limit = SAFE / layout.surplus;
	const { groups, scale, surplus } = layout;
	const groupsAndWeight = (groups << 16) | (layout.weight & 0xffff);
	return {
		width,
		variable: false,
		encode: (column, from, count, { view }, cursors) => {
			const { nullCount } = column;
			for (let i = 0; i < count; i++) {
				const at = cursors[i]!;
				const row = from + i;
				if (nullCount > 0 && isNullAt(column, row)) {
					view.setInt32(at, NULL_LENGTH);
					cursors[i] = at + 4;
					continue;
				}
				let value = small(column, row);
				const negative = value < 0;
				if (negative) value = -value;
				view.setInt32(at, width);
				view.setInt32(at + 4, groupsAndWeight);
				view.setInt32(at + 8, (negative ? NEGATIVE << 16 : 0) | scale);
				const digit = at + 12;
				const end = digit + groups * 2;
				cursors[i] = end;
				if (value < limit) writeSmall(view, digit, end, value * surplus);
				else writeDigits(view, digit, groups, big(column, row) * BigInt(surplus));
			}
		},
	};
}

/** Digits of a value below 2^53, two groups at a time: those are 32 bits, which divide faster than a double. */
function writeSmall(view: DataView, start: number, end: number, value: number): void {
	let at = end;
	let rest = value;
	while (at - start >= 4) {
		at -= 4;
		if (rest === 0) {
			view.setInt32(at, 0);
			continue;
		}
		const above = rest < BASE_OF_TWO ? 0 : Math.floor(rest / BASE_OF_TWO);
		const two = (rest - above * BASE_OF_TWO) | 0;
		const high = (two / BASE) | 0;
		view.setInt32(at, (high << 16) | (two - high * BASE));
		rest = above;
	}
	if (at > start) view.setInt16(start, rest);
}

/** Off the fast path: values of 16 digits and more. */
function writeDigits(view: DataView, at: number, groups: number, signed: bigint): void {
	let value = signed < 0n ? -signed : signed;
	for (let k = groups - 1; k >= 0; k--) {
		view.setInt16(at + k * 2, Number(value % 10000n));
		value /= 10000n;
	}
}

/** The value as a double: exact below 2^53, and beyond it at least that large with the right sign. */
function smallReader(type: ColumnType): (column: Column, row: number) => number {
	switch (type.kind) {
		case "uint64":
			return (column, row) => column.u32[(row << 1) + 1]! * 4294967296 + column.u32[row << 1]!;
		case "int64":
			return readWords;
		case "decimal":
			if (type.precision > 18) return readLongWords;
			if (type.precision > 9) return readWords;
			return type.precision > 4 ? (column, row) => column.i32[row]! : (column, row) => column.i16[row]!;
		default:
			return (column, row) => Number(integer(column, row));
	}
}

function readWords(column: Column, row: number): number {
	return column.i32[(row << 1) + 1]! * 4294967296 + column.u32[row << 1]!;
}

/** 128 bits: the low half where the high one is its sign. */
function readLongWords(column: Column, row: number): number {
	const { i32, u32 } = column;
	const word = row << 2;
	const sign = i32[word + 1]! < 0 ? -1 : 0;
	if (i32[word + 2] === sign && i32[word + 3] === sign) return i32[word + 1]! * 4294967296 + u32[word]!;
	return i32[word + 3]! < 0 ? -SAFE : SAFE;
}
