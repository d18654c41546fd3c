import { Column, type ColumnType, HeadraceError, isView, typeName } from "../../core/index.ts";
import { setText } from "../../formats/index.ts";
import { type ColumnEncoder, isNullAt, NULL_LENGTH, valueError } from "./encode.ts";

const SCRATCH_BYTES = 64 << 10;
const SCRATCH_BYTES_KEPT_MAX = 4 << 20;

/**
 * Lists, which a batch holds as JSON of strings, as arrays of one dimension: dimensions, whether there are NULLs, the
 * element type's oid, length, lower bound, then each element as a field of its own.
 * array_recv in src/backend/utils/adt/arrayfuncs.c
 */
export function listEncoder(element: ColumnType, elementEncoder: ColumnEncoder, elementOid: number): ColumnEncoder {
	let scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
	let view = viewOf(scratch);
	let starts = new Int32Array(0);
	let lengths = new Int32Array(0);
	const cell = new Column("element", element, 64);
	const cursor = new Int32Array(1);

	const grow = (used: number, more: number): void => {
		if (used + more <= scratch.length) return;
		const grown = Buffer.allocUnsafeSlow(Math.max(scratch.length * 2, used + more));
		scratch.copy(grown, 0, 0, used);
		scratch = grown;
		view = viewOf(grown);
	};
	const write = (column: Column, row: number, start: number): number => {
		const values = elementsOf(column, row);
		grow(start, 20);
		view.setInt32(start, values.length === 0 ? 0 : 1);
		view.setInt32(start + 4, values.includes(null) ? 1 : 0);
		view.setInt32(start + 8, elementOid);
		if (values.length === 0) return start + 12;
		view.setInt32(start + 12, values.length);
		view.setInt32(start + 16, 1);
		let at = start + 20;
		for (const value of values) {
			if (value === null) {
				grow(at, 4);
				view.setInt32(at, NULL_LENGTH);
				at += 4;
				continue;
			}
			cell.reset();
			if (!setText(cell, 0, value))
				throw valueError(column, `a list with an element that ${typeName(element)} can't hold`);
			grow(at, 4 + elementEncoder.width + (isView(element) ? cell.i32[0]! : 0));
			cursor[0] = at;
			elementEncoder.encode(cell, 0, 1, { bytes: scratch, view }, cursor);
			at = cursor[0]!;
		}
		return at;
	};
	return {
		width: 0,
		variable: true,
		prepare: (column, rowCount) => {
			if (scratch.length > SCRATCH_BYTES_KEPT_MAX) {
				scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
				view = viewOf(scratch);
			}
			if (lengths.length < rowCount) {
				starts = new Int32Array(rowCount);
				lengths = new Int32Array(rowCount);
			}
			let at = 0;
			for (let row = 0; row < rowCount; row++) {
				starts[row] = at;
				if (!isNullAt(column, row)) at = write(column, row, at);
				lengths[row] = at - starts[row]!;
			}
			return lengths;
		},
		encode: (column, from, count, out, cursors) => {
			for (let i = 0; i < count; i++) {
				const at = cursors[i]!;
				const isNull = isNullAt(column, from + i);
				const length = lengths[from + i]!;
				out.view.setInt32(at, isNull ? NULL_LENGTH : length);
				scratch.copy(out.bytes, at + 4, starts[from + i]!, starts[from + i]! + length);
				cursors[i] = at + 4 + length;
			}
		},
	};
}

function viewOf(buffer: Buffer): DataView {
	return new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
}

function elementsOf(column: Column, row: number): (string | null)[] {
	const bytes = column.bytes(row);
	const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("utf8");
	try {
		const values: unknown = JSON.parse(text);
		if (Array.isArray(values) && values.every((value) => value === null || typeof value === "string")) return values;
	} catch {
		// falls through to the error
	}
	throw new HeadraceError("E_INTERNAL", `column ${column.name}: a list is not JSON of strings`);
}
