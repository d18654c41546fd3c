import { type Batch, type Column, isView } from "../core/index.ts";
import { DIGITS_BYTES_MAX } from "./digits.ts";

/** Writes one value, NULL included, at `at` of `out`, which has room for it, and gives the place behind it. */
export type ValueWriter = (column: Column, row: number, out: Uint8Array, at: number) => number;

/** Bytes of one piece of output: large enough that a write to a file or a compressor costs little a row. */
const PIECE_BYTES = 1 << 18;

/** One column's part of a row: what stands before the value, and the value. */
export interface ColumnWriter {
	readonly before: Uint8Array;
	readonly write: ValueWriter;
}

/**
 * Batches as rows of text bytes, without a JS string a value on the common types. Pieces are the encoder's to give
 * away: it allocates a new one for each.
 */
export class RowEncoder {
	readonly #columns: readonly ColumnWriter[];
	readonly #rowEnd: Uint8Array;
	/** Most bytes that one byte of a text value can become. */
	readonly #growth: number;
	#out: Buffer = Buffer.allocUnsafeSlow(PIECE_BYTES);
	#at = 0;

	constructor(columns: readonly ColumnWriter[], rowEnd: Uint8Array, growth: number) {
		this.#columns = columns;
		this.#rowEnd = rowEnd;
		this.#growth = growth;
	}

	/** Encodes rows from `fromRow` on until a piece is full or the batch ends; gives the row to go on with. */
	encode(batch: Batch, fromRow: number): { readonly nextRow: number; readonly piece: Buffer | null } {
		const writers = this.#columns;
		const columns = batch.columns;
		const rowEnd = this.#rowEnd;
		let fixedBytes = rowEnd.length;
		const views: Column[] = [];
		for (let i = 0; i < writers.length; i++) {
			fixedBytes += writers[i]!.before.length + DIGITS_BYTES_MAX;
			if (isView(columns[i]!.type)) views.push(columns[i]!);
		}
		let out: Buffer = this.#out;
		let at = this.#at;
		for (let row = fromRow; row < batch.rowCount; row++) {
			let needed = fixedBytes;
			for (const column of views) needed += column.i32[row << 2]! * this.#growth;
			if (at + needed > out.length) {
				if (at > 0) {
					this.#out = Buffer.allocUnsafeSlow(Math.max(PIECE_BYTES, needed));
					this.#at = 0;
					return { nextRow: row, piece: out.subarray(0, at) };
				}
				out = Buffer.allocUnsafeSlow(needed);
				this.#out = out;
			}
			for (let i = 0; i < writers.length; i++) {
				const { before, write } = writers[i]!;
				for (let k = 0; k < before.length; k++) out[at++] = before[k]!;
				at = write(columns[i]!, row, out, at);
			}
			for (let k = 0; k < rowEnd.length; k++) out[at++] = rowEnd[k]!;
		}
		this.#at = at;
		return { nextRow: batch.rowCount, piece: null };
	}

	/** What is encoded and not given away yet. */
	flush(): Buffer | null {
		if (this.#at === 0) return null;
		const piece = this.#out.subarray(0, this.#at);
		this.#out = Buffer.allocUnsafeSlow(PIECE_BYTES);
		this.#at = 0;
		return piece;
	}
}
