import { type Column, type ColumnType, HeadraceError, type TypePolicy, typeName } from "../../core/index.ts";
import { keepsDigits } from "../../formats/index.ts";
import { type Decode, divert, wrongLength } from "./decode.ts";

/**
 * numeric on the wire: digits (count), weight, sign, scale, each 16 bits, then digits of base 10000; the value is the
 * sum of digit[k] * 10000^(weight - k). numeric_send in src/backend/utils/adt/numeric.c.
 */
const HEADER_BYTES = 8;
const POSITIVE = 0;
const NEGATIVE = 0x4000;
const NAN = 0xc000;
const POSITIVE_INFINITY = 0xd000;
const NEGATIVE_INFINITY = 0xf000;
/** Most groups whose value is below 2^53, when the first is below FIRST_GROUP_MAX. */
const FAST_GROUPS = 4;
const FIRST_GROUP_MAX = 9000;
const POWERS = [1, 10, 100, 1000];

/** numeric → decimal(p,s); what does not fit goes by policy, nothing is ever rounded. */
export function decodeDecimal(name: string, type: ColumnType, policy: TypePolicy): Decode {
	if (type.kind !== "decimal") throw new HeadraceError("E_INTERNAL", `column ${name} is no decimal`);
	const { precision, scale } = type;
	const groupsAfterPoint = Math.ceil(scale / 4);
	const surplus = POWERS[groupsAfterPoint * 4 - scale]!;
	const limit = precision < 16 ? 10 ** precision : Number.POSITIVE_INFINITY;
	return (buffer, offsets, lengths, from, count, column, row) => {
		const { i16, i32, width } = column;
		for (let i = 0; i < count; i++) {
			const length = lengths[from + i]!;
			if (length < HEADER_BYTES) {
				if (length !== -1) throw wrongLength(column);
				column.setNull(row + i);
				continue;
			}
			let at = offsets[from + i]!;
			const digits = (buffer[at]! << 8) | buffer[at + 1]!;
			const weight = (((buffer[at + 2]! << 8) | buffer[at + 3]!) << 16) >> 16;
			const sign = (buffer[at + 4]! << 8) | buffer[at + 5]!;
			if (length !== HEADER_BYTES + digits * 2) throw wrongLength(column);
			const groups = weight + 1 + groupsAfterPoint;
			at += HEADER_BYTES;
			if (
				(sign === POSITIVE || sign === NEGATIVE) &&
				digits <= groups &&
				(groups < FAST_GROUPS || (groups === FAST_GROUPS && ((buffer[at]! << 8) | buffer[at + 1]!) < FIRST_GROUP_MAX))
			) {
				let value = 0;
				for (const end = at + digits * 2; at < end; at += 2)
					value = value * 10000 + ((buffer[at]! << 8) | buffer[at + 1]!);
				for (let k = digits; k < groups; k++) value *= 10000;
				if (surplus === 1 || value % surplus === 0) {
					value /= surplus;
					if (value < limit) {
						if (sign === NEGATIVE) value = -value;
						if (width === 8) {
							const word = (row + i) << 1;
							i32[word] = value | 0;
							i32[word + 1] = Math.floor(value / 4294967296);
						} else if (width === 4) i32[row + i] = value;
						else if (width === 2) i16[row + i] = value;
						else {
							const word = (row + i) << 2;
							i32[word] = value | 0;
							i32[word + 1] = Math.floor(value / 4294967296);
							i32[word + 2] = value < 0 ? -1 : 0;
							i32[word + 3] = value < 0 ? -1 : 0;
						}
						continue;
					}
				}
			}
			if (isSpecial(sign, column, row + i, type, policy)) continue;
			const exact = exactValue(buffer, offsets[from + i]!, scale);
			if (exact === null || (exact < 0n ? -exact : exact) >= 10n ** BigInt(precision))
				divert(column, row + i, policy.outOfRange, `a number that ${typeName(type)} cannot hold`, "out_of_range");
			else setUnscaled(column, row + i, exact);
		}
	};
}

const INTEGER_BOUNDS: Readonly<Record<string, readonly [bigint, bigint]>> = {
	int8: [-0x80n, 0x7fn],
	uint8: [0n, 0xffn],
	int16: [-0x8000n, 0x7fffn],
	uint16: [0n, 0xffffn],
	int32: [-0x80000000n, 0x7fffffffn],
	uint32: [0n, 0xffffffffn],
	int64: [-0x8000000000000000n, 0x7fffffffffffffffn],
	uint64: [0n, 0xffffffffffffffffn],
};

/** numeric → an integer type that the pipeline fixed. Not fast: it is for columns whose own type is another. */
export function decodeIntegerOf(name: string, type: ColumnType, policy: TypePolicy): Decode {
	const bounds = INTEGER_BOUNDS[type.kind];
	if (bounds === undefined) throw new HeadraceError("E_INTERNAL", `column ${name} is no integer`);
	const [low, high] = bounds;
	return (buffer, offsets, lengths, from, count, column, row) => {
		for (let i = 0; i < count; i++) {
			const length = lengths[from + i]!;
			if (length === -1) {
				column.setNull(row + i);
				continue;
			}
			const at = offsets[from + i]!;
			if (length < HEADER_BYTES || length !== HEADER_BYTES + buffer.readUInt16BE(at) * 2) throw wrongLength(column);
			if (isSpecial(buffer.readUInt16BE(at + 4), column, row + i, type, policy)) continue;
			const exact = exactValue(buffer, at, 0);
			if (exact === null || exact < low || exact > high)
				divert(column, row + i, policy.outOfRange, `a number that ${typeName(type)} cannot hold`, "out_of_range");
			else setInteger(column, row + i, exact);
		}
	};
}

/** Powers of ten that a double holds exactly, by 10000: one division or product with them is rounded once. */
const EXACT_POWERS = [1, 1e4, 1e8, 1e12, 1e16, 1e20];

/** numeric → a float; counts the values whose digits it does not keep. NaN and the infinities are floats, too. */
export function decodeRounded(type: ColumnType, policy: TypePolicy): Decode {
	const single = type.kind === "float32";
	const safe = single ? 1e6 : 1e15;
	return (buffer, offsets, lengths, from, count, column, row) => {
		const out = single ? column.f32 : column.f64;
		for (let i = 0; i < count; i++) {
			const length = lengths[from + i]!;
			if (length < HEADER_BYTES) {
				if (length !== -1) throw wrongLength(column);
				column.setNull(row + i);
				continue;
			}
			const at = offsets[from + i]!;
			const groups = buffer.readUInt16BE(at);
			const sign = buffer.readUInt16BE(at + 4);
			if (length !== HEADER_BYTES + groups * 2) throw wrongLength(column);
			if (sign !== POSITIVE && sign !== NEGATIVE) {
				out[row + i] = specialFloat(sign, column);
				continue;
			}
			const power = buffer.readInt16BE(at + 2) + 1 - groups;
			const scale = EXACT_POWERS[Math.abs(power)];
			let value = Number.POSITIVE_INFINITY;
			if (groups <= FAST_GROUPS && scale !== undefined) {
				value = 0;
				for (let k = 0; k < groups; k++) value = value * 10000 + buffer.readUInt16BE(at + HEADER_BYTES + k * 2);
			}
			if (value < safe) {
				value = power < 0 ? value / scale! : value * scale!;
				out[row + i] = sign === NEGATIVE ? -value : value;
				continue;
			}
			const text = numericText(buffer, at);
			out[row + i] = Number(text);
			if (!Number.isFinite(out[row + i]!))
				divert(column, row + i, policy.outOfRange, `a number that ${typeName(type)} cannot hold`, "out_of_range");
			else if (!keepsDigits(text, out[row + i]!, single)) column.changedCount++;
		}
	};
}

function specialFloat(sign: number, column: Column): number {
	if (sign === NAN) return Number.NaN;
	if (sign === POSITIVE_INFINITY) return Number.POSITIVE_INFINITY;
	if (sign === NEGATIVE_INFINITY) return Number.NEGATIVE_INFINITY;
	throw wrongLength(column);
}

/** All digits and an exponent: up to 147,455 of them, so that no integer is made of them. */
function numericText(buffer: Buffer, at: number): string {
	const groups = buffer.readUInt16BE(at);
	const digits = Array.from({ length: groups }, (_, k) =>
		String(buffer.readUInt16BE(at + HEADER_BYTES + k * 2)).padStart(4, "0"),
	).join("");
	const exponent = (buffer.readInt16BE(at + 2) + 1 - groups) * 4;
	return `${buffer.readUInt16BE(at + 4) === NEGATIVE ? "-" : ""}${digits}e${exponent}`;
}

function isSpecial(sign: number, column: Column, row: number, type: ColumnType, policy: TypePolicy): boolean {
	if (sign === POSITIVE || sign === NEGATIVE) return false;
	if (sign === NAN) divert(column, row, policy.nan, `NaN, which ${typeName(type)} cannot hold`, "nan");
	else if (sign === POSITIVE_INFINITY || sign === NEGATIVE_INFINITY)
		divert(column, row, policy.infinity, `an infinity, which ${typeName(type)} cannot hold`, "infinity");
	else throw wrongLength(column);
	return true;
}

/** The value times 10^scale; null when it has digits below that. */
function exactValue(buffer: Buffer, at: number, scale: number): bigint | null {
	const digits = buffer.readUInt16BE(at);
	const weight = buffer.readInt16BE(at + 2);
	let value = 0n;
	for (let k = 0; k < digits; k++) value = value * 10000n + BigInt(buffer.readUInt16BE(at + HEADER_BYTES + k * 2));
	if (buffer.readUInt16BE(at + 4) === NEGATIVE) value = -value;
	const exponent = (weight + 1 - digits) * 4 + scale;
	if (exponent >= 0) return value * 10n ** BigInt(exponent);
	const divisor = 10n ** BigInt(-exponent);
	return value % divisor === 0n ? value / divisor : null;
}

function setUnscaled(column: Column, row: number, value: bigint): void {
	if (column.width === 16) column.setInt128(row, value);
	else setInteger(column, row, value);
}

function setInteger(column: Column, row: number, value: bigint): void {
	if (column.width === 8) column.i64[row] = value;
	else if (column.width === 4) column.i32[row] = Number(value);
	else if (column.width === 2) column.i16[row] = Number(value);
	else column.u8[row] = Number(value);
}
