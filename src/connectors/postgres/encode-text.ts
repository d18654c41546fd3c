/** Values of their own length: text, json, bytes, enum labels. */
import type { Column } from "../../core/index.ts";
import { type ColumnEncoder, isNullAt, NULL_LENGTH, type Output, valueError } from "./encode.ts";

const JSONB_VERSION = 1;
/** Up to here a loop copies faster than a call. */
const LOOP_BYTES_MAX = 40;

export function encodeBytes(column: Column, from: number, count: number, out: Output, cursors: Int32Array): void {
	const { i32, u8, heap, nullCount } = column;
	const { bytes, view } = out;
	for (let i = 0; i < count; i++) {
		const at = cursors[i]!;
		const row = from + i;
		if (nullCount > 0 && isNullAt(column, row)) {
			view.setInt32(at, NULL_LENGTH);
			cursors[i] = at + 4;
			continue;
		}
		const word = row << 2;
		const length = i32[word]!;
		view.setInt32(at, length);
		const to = at + 4;
		if (length <= 12) {
			const start = (row << 4) + 4;
			for (let k = 0; k < length; k++) bytes[to + k] = u8[start + k]!;
		} else {
			const start = i32[word + 3]!;
			if (length <= LOOP_BYTES_MAX) for (let k = 0; k < length; k++) bytes[to + k] = heap[start + k]!;
			else heap.copy(bytes, to, start, start + length);
		}
		cursors[i] = to + length;
	}
}

export const bytesEncoder: ColumnEncoder = { width: 0, variable: true, encode: encodeBytes };

/** jsonb: a version byte before the text. jsonb_recv in src/backend/utils/adt/jsonb.c */
export const jsonbEncoder: ColumnEncoder = {
	width: 1,
	variable: true,
	encode: (column, from, count, out, cursors) => {
		const { bytes, view } = out;
		const starts = cursors.slice(0, count);
		// Behind the place of the version byte, where the length is written too; then both are put right.
		for (let i = 0; i < count; i++) if (!isNullAt(column, from + i)) cursors[i]!++;
		encodeBytes(column, from, count, out, cursors);
		for (let i = 0; i < count; i++) {
			if (isNullAt(column, from + i)) continue;
			const at = starts[i]!;
			view.setInt32(at, view.getInt32(at + 1) + 1);
			bytes[at + 4] = JSONB_VERSION;
		}
	},
};

/**
 * Text for a column of at most `charactersMax` characters. The server refuses what is too long, but it would silently
 * cut blanks at its end (SQL's rule for varchar): so it is looked at here.
 */
export function limitedTextEncoder(charactersMax: number): ColumnEncoder {
	return {
		width: 0,
		variable: true,
		encode: (column, from, count, out, cursors) => {
			for (let row = from; row < from + count; row++) {
				if (column.i32[row << 2]! <= charactersMax || isNullAt(column, row)) continue;
				if (characters(column.bytes(row)) > charactersMax)
					throw valueError(column, `a text of more than the ${charactersMax} characters that it may have`);
			}
			encodeBytes(column, from, count, out, cursors);
		},
	};
}

function characters(bytes: Uint8Array): number {
	let count = 0;
	for (const byte of bytes) if ((byte & 0xc0) !== 0x80) count++;
	return count;
}
