import { type Column, HeadraceError } from "../../core/index.ts";

/**
 * Writes one column of `count` rows, from row `from` on, into the rows' places: the field of row `from + i` goes to
 * `cursors[i]`, which it moves behind it. A field is its length (int32, -1: NULL) and its bytes, all big-endian. One loop
 * a column keeps each loop's types fixed, which is what makes it fast.
 * https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.4 (Binary Format)
 */
export type Encode = (column: Column, from: number, count: number, out: Output, cursors: Int32Array) => void;

/** A buffer with the view that numbers are written by. */
export interface Output {
	readonly bytes: Buffer;
	readonly view: DataView;
}

/** How a column's values are written. */
export interface ColumnEncoder {
	/** Bytes of a value that is not NULL, without its length; of variable ones the bytes beside the batch's own. */
	readonly width: number;
	/** Values are the batch's views, as long as they are. */
	readonly variable: boolean;
	readonly encode: Encode;
	/** Values that have no bytes of their length in the batch: made first, for all rows; gives each one's length. */
	readonly prepare?: (column: Column, rowCount: number) => Int32Array;
}

export const NULL_LENGTH = -1;

export function isNullAt(column: Column, row: number): boolean {
	return ((column.validity[row >> 3]! >> (row & 7)) & 1) === 0;
}

/** A value that the column's type at PostgreSQL can't hold. Where the server finds it, it says so itself. */
export function valueError(column: Column, what: string): HeadraceError {
	return new HeadraceError("E_VALUE", `column ${column.name} holds ${what}`, {
		hint: `Map the column by \`columns: { ${column.name}: { type: text } }\`, or drop it.`,
	});
}
