import { type Column, HeadraceError, type TypePolicy } from "../../core/index.ts";
import { setText } from "../../formats/index.ts";

/**
 * Decodes one column of a chunk of rows: field `i` is the bytes [offsets[at + i], offsets[at + i] + lengths[at + i])
 * of `bytes`; a length of -1 is NULL. It goes to row `row + i`.
 */
export type Decode = (
	bytes: Buffer,
	offsets: Int32Array,
	lengths: Int32Array,
	at: number,
	count: number,
	column: Column,
	row: number,
	policy: TypePolicy,
) => void;

const INTEGER = /^u?int/;

/**
 * A value whose text no fast path takes, by way of its canonical text. One that the type can't hold is treated by
 * `outOfRange`.
 * @throws E_VALUE
 */
export function fallback(
	bytes: Buffer,
	start: number,
	end: number,
	column: Column,
	row: number,
	policy: TypePolicy,
): void {
	const text = bytes.toString("utf8", start, end);
	// `12.00` is an integer; `12.50` is not.
	if (setText(column, row, text) || (INTEGER.test(column.type.kind) && setText(column, row, text.replace(/\.0+$/, ""))))
		return;
	if (policy.outOfRange === "null") column.setChangedNull(row);
	else
		throw unfit(column, "types: { out_of_range: null } makes such values NULL; columns: { … type: text } keeps them");
}

export function unfit(column: Column, hint: string): HeadraceError {
	return new HeadraceError("E_VALUE", `column ${column.name} has a value that ${column.type.kind} can't hold`, {
		hint,
	});
}

/** Any text that is the canonical text of the column's type, or what `outOfRange` says. */
export const viaText: Decode = (bytes, offsets, lengths, at, count, column, row, policy) => {
	for (let i = 0; i < count; i++) {
		const length = lengths[at + i]!;
		const from = offsets[at + i]!;
		if (length < 0) column.setNull(row + i);
		else fallback(bytes, from, from + length, column, row + i, policy);
	}
};
