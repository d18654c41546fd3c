/** Values of a fixed number of bytes, big-endian: the `…send` functions of PostgreSQL's src/backend/utils/adt. */
import type { Column } from "../../core/index.ts";
import { wrongLength } from "./decode.ts";

function nullOrWrong(length: number, column: Column, row: number): void {
	if (length !== -1) throw wrongLength(column);
	column.setNull(row);
}

export function decodeBoolean(
	buffer: Buffer,
	offsets: Int32Array,
	lengths: Int32Array,
	from: number,
	count: number,
	column: Column,
	row: number,
): void {
	const { u8 } = column;
	for (let i = 0; i < count; i++)
		if (lengths[from + i] === 1) u8[row + i] = buffer[offsets[from + i]!]!;
		else nullOrWrong(lengths[from + i]!, column, row + i);
}

export function decodeInt2(
	buffer: Buffer,
	offsets: Int32Array,
	lengths: Int32Array,
	from: number,
	count: number,
	column: Column,
	row: number,
): void {
	const { i16 } = column;
	for (let i = 0; i < count; i++)
		if (lengths[from + i] === 2) {
			const at = offsets[from + i]!;
			i16[row + i] = (buffer[at]! << 8) | buffer[at + 1]!;
		} else nullOrWrong(lengths[from + i]!, column, row + i);
}

/** int4, oid and xid: 32 bits, with or without sign. */
export function decodeInt4(
	buffer: Buffer,
	offsets: Int32Array,
	lengths: Int32Array,
	from: number,
	count: number,
	column: Column,
	row: number,
): void {
	const { i32 } = column;
	for (let i = 0; i < count; i++)
		if (lengths[from + i] === 4) {
			const at = offsets[from + i]!;
			i32[row + i] = (buffer[at]! << 24) | (buffer[at + 1]! << 16) | (buffer[at + 2]! << 8) | buffer[at + 3]!;
		} else nullOrWrong(lengths[from + i]!, column, row + i);
}

/** int8 and xid8: 64 bits as two words, so that no bigint is made. */
export function decodeInt8(
	buffer: Buffer,
	offsets: Int32Array,
	lengths: Int32Array,
	from: number,
	count: number,
	column: Column,
	row: number,
): void {
	const { i32 } = column;
	for (let i = 0; i < count; i++)
		if (lengths[from + i] === 8) {
			const at = offsets[from + i]!;
			const word = (row + i) << 1;
			i32[word + 1] = (buffer[at]! << 24) | (buffer[at + 1]! << 16) | (buffer[at + 2]! << 8) | buffer[at + 3]!;
			i32[word] = (buffer[at + 4]! << 24) | (buffer[at + 5]! << 16) | (buffer[at + 6]! << 8) | buffer[at + 7]!;
		} else nullOrWrong(lengths[from + i]!, column, row + i);
}

/** The bits as they are: NaN's payload and -0 stay. */
export const decodeFloat4 = decodeInt4;
export const decodeFloat8 = decodeInt8;

export function decodeUuid(
	buffer: Buffer,
	offsets: Int32Array,
	lengths: Int32Array,
	from: number,
	count: number,
	column: Column,
	row: number,
): void {
	for (let i = 0; i < count; i++)
		if (lengths[from + i] === 16) column.setUuid(row + i, buffer, offsets[from + i]!);
		else nullOrWrong(lengths[from + i]!, column, row + i);
}
