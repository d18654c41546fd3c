import { type Column, HeadraceError } from "../../core/index.ts";

/**
 * Decodes one column of the rows of one buffer: field i lies at `offsets[from + i]` with `lengths[from + i]` bytes (-1:
 * NULL) and becomes row `row + i` of `column`. One loop a column keeps each loop's types fixed, which is what makes
 * it fast.
 */
export type Decode = (
	buffer: Buffer,
	offsets: Int32Array,
	lengths: Int32Array,
	from: number,
	count: number,
	column: Column,
	row: number,
) => void;

/** The server sent another number of bytes than the type has: the column's type changed, or it is no PostgreSQL. */
export function wrongLength(column: Column): HeadraceError {
	return new HeadraceError("E_SOURCE", `column ${column.name}: the server sent a value in an unknown form`);
}

/** A value that its column's type cannot hold: NULL and counted when the policy says so, else an error that names it. */
export function divert(
	column: Column,
	row: number,
	policy: "null" | "fail",
	value: string,
	option: "nan" | "infinity" | "out_of_range",
): void {
	if (policy === "null") {
		column.setChangedNull(row);
		return;
	}
	throw new HeadraceError("E_VALUE", `column ${column.name} holds ${value}`, {
		hint: `Set \`types: { ${option}: null }\`, or map the column by \`columns: { ${column.name}: { type: text } }\`.`,
	});
}
