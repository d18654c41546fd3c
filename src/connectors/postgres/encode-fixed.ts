/** Values of a fixed number of bytes, big-endian: the `…recv` functions of PostgreSQL's src/backend/utils/adt. */
import type { Column } from "../../core/index.ts";
import { type Encode, isNullAt, NULL_LENGTH, type Output } from "./encode.ts";

export function encodeBoolean(column: Column, from: number, count: number, out: Output, cursors: Int32Array): void {
	const { u8, nullCount } = column;
	const { bytes, view } = out;
	for (let i = 0; i < count; i++) {
		const at = cursors[i]!;
		const row = from + i;
		if (nullCount > 0 && isNullAt(column, row)) {
			view.setInt32(at, NULL_LENGTH);
			cursors[i] = at + 4;
			continue;
		}
		view.setInt32(at, 1);
		bytes[at + 4] = u8[row] === 0 ? 0 : 1;
		cursors[i] = at + 5;
	}
}

/** How an integer of up to 32 bits lies in a batch. */
export type SmallInteger = "int8" | "uint8" | "int16" | "uint16" | "int32" | "uint32";

function reader(kind: SmallInteger): (column: Column, row: number) => number {
	switch (kind) {
		case "int8":
			return (column, row) => (column.u8[row]! << 24) >> 24;
		case "uint8":
			return (column, row) => column.u8[row]!;
		case "int16":
			return (column, row) => column.i16[row]!;
		case "uint16":
			return (column, row) => column.i16[row]! & 0xffff;
		case "int32":
			return (column, row) => column.i32[row]!;
		case "uint32":
			return (column, row) => column.u32[row]!;
	}
}

/** Integers of up to 32 bits into int2, int4 or int8. */
export function encodeInteger(kind: SmallInteger, bytes: 2 | 4 | 8): Encode {
	if (kind === "int32" && bytes === 4) return encodeInt4;
	const read = reader(kind);
	return (column, from, count, { view }, cursors) => {
		const { nullCount } = column;
		for (let i = 0; i < count; i++) {
			const at = cursors[i]!;
			const row = from + i;
			if (nullCount > 0 && isNullAt(column, row)) {
				view.setInt32(at, NULL_LENGTH);
				cursors[i] = at + 4;
				continue;
			}
			const value = read(column, row);
			view.setInt32(at, bytes);
			if (bytes === 2) view.setInt16(at + 4, value);
			else if (bytes === 4) view.setInt32(at + 4, value);
			else {
				view.setInt32(at + 4, value < 0 ? -1 : 0);
				view.setInt32(at + 8, value);
			}
			cursors[i] = at + 4 + bytes;
		}
	};
}

function encodeInt4(column: Column, from: number, count: number, out: Output, cursors: Int32Array): void {
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
		view.setInt32(at, 4);
		view.setInt32(at + 4, i32[row]!);
		cursors[i] = at + 8;
	}
}

/** 64 bits as two words, so that no bigint is made: int8, and float8 with NaN's payload and the sign of zero. */
export function encodeInt8(column: Column, from: number, count: number, out: Output, cursors: Int32Array): void {
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
		view.setInt32(at, 8);
		view.setInt32(at + 4, i32[(row << 1) + 1]!);
		view.setInt32(at + 8, i32[row << 1]!);
		cursors[i] = at + 12;
	}
}

/** The bits as they are. */
export const encodeFloat4: Encode = encodeInt4;
export const encodeFloat8: Encode = encodeInt8;

/** A 32-bit float as float8, which holds all of them. */
export function encodeWidened(column: Column, from: number, count: number, out: Output, cursors: Int32Array): void {
	const { f32, nullCount } = column;
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
		view.setFloat64(at + 4, f32[row]!);
		cursors[i] = at + 12;
	}
}

export function encodeUuid(column: Column, from: number, count: number, out: Output, cursors: Int32Array): void {
	const { u8, nullCount } = column;
	const { bytes, view } = out;
	for (let i = 0; i < count; i++) {
		const at = cursors[i]!;
		const row = from + i;
		if (nullCount > 0 && isNullAt(column, row)) {
			view.setInt32(at, NULL_LENGTH);
			cursors[i] = at + 4;
			continue;
		}
		view.setInt32(at, 16);
		const last = (row << 4) + 15;
		for (let k = 0; k < 16; k++) bytes[at + 4 + k] = u8[last - k]!;
		bytes[at + 4]! ^= 0x80;
		cursors[i] = at + 20;
	}
}
