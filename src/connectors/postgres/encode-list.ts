import { Column, type ColumnType, HeadraceError, isView, typeName } from "../../core/index.ts";
import { setText } from "../../formats/index.ts";
import { type ColumnEncoder, NULL_LENGTH, valueError } from "./encode.ts";
import { preparedEncoder, textAt } from "./encode-prepared.ts";

/**
 * Lists, which a batch holds as JSON of strings, as arrays of one dimension: dimensions, whether there are NULLs, the
 * element type's oid, length, lower bound, then each element as a field of its own.
 * array_recv in src/backend/utils/adt/arrayfuncs.c
 */
export function listEncoder(element: ColumnType, elementEncoder: ColumnEncoder, elementOid: number): ColumnEncoder {
	const cell = new Column("element", element, 64);
	const cursor = new Int32Array(1);
	return preparedEncoder((column, row, scratch) => {
		const values = elementsOf(column, row);
		const empty = values.length === 0;
		const start = scratch.take(empty ? 12 : 20);
		scratch.view.setInt32(start, empty ? 0 : 1);
		scratch.view.setInt32(start + 4, values.includes(null) ? 1 : 0);
		scratch.view.setInt32(start + 8, elementOid);
		if (empty) return;
		scratch.view.setInt32(start + 12, values.length);
		scratch.view.setInt32(start + 16, 1);
		for (const value of values) {
			if (value === null) {
				const at = scratch.take(4);
				scratch.view.setInt32(at, NULL_LENGTH);
				continue;
			}
			cell.reset();
			if (!setText(cell, 0, value))
				throw valueError(column, `a list with an element that ${typeName(element)} can't hold`);
			const own = elementEncoder.prepare?.(cell, 1)[0] ?? (isView(element) ? cell.i32[0]! : 0);
			cursor[0] = scratch.take(4 + elementEncoder.width + own);
			elementEncoder.encode(cell, 0, 1, scratch, cursor);
		}
	});
}

function elementsOf(column: Column, row: number): (string | null)[] {
	try {
		const values: unknown = JSON.parse(textAt(column, row));
		if (Array.isArray(values) && values.every((value) => value === null || typeof value === "string")) return values;
	} catch {
		// falls through to the error
	}
	throw new HeadraceError("E_INTERNAL", `column ${column.name}: a list is not JSON of strings`);
}
