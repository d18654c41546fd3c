import type { Column } from "../../core/index.ts";
import { type ColumnEncoder, isNullAt, NULL_LENGTH } from "./encode.ts";
import { Scratch } from "./scratch.ts";

/** An encoder whose values are made by `write`, one after the other, since their length does not follow from the batch. */
export function preparedEncoder(write: (column: Column, row: number, scratch: Scratch) => void): ColumnEncoder {
	const scratch = new Scratch();
	let starts = new Int32Array(0);
	let lengths = new Int32Array(0);
	return {
		width: 0,
		variable: true,
		prepare: (column, rowCount) => {
			scratch.reset();
			if (lengths.length < rowCount) {
				starts = new Int32Array(rowCount);
				lengths = new Int32Array(rowCount);
			}
			for (let row = 0; row < rowCount; row++) {
				starts[row] = scratch.length;
				if (!isNullAt(column, row)) write(column, row, scratch);
				lengths[row] = scratch.length - starts[row]!;
			}
			return lengths;
		},
		encode: (column, from, count, out, cursors) => {
			for (let i = 0; i < count; i++) {
				const at = cursors[i]!;
				const isNull = isNullAt(column, from + i);
				const length = lengths[from + i]!;
				out.view.setInt32(at, isNull ? NULL_LENGTH : length);
				scratch.bytes.copy(out.bytes, at + 4, starts[from + i]!, starts[from + i]! + length);
				cursors[i] = at + 4 + length;
			}
		},
	};
}

export function textAt(column: Column, row: number): string {
	const bytes = column.bytes(row);
	return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("utf8");
}
