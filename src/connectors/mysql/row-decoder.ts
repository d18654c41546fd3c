import {
	BATCH_HEAP_BYTES_MAX,
	type Batch,
	type BatchPool,
	HeadraceError,
	type SourceColumn,
	type TypePolicy,
} from "../../core/index.ts";
import type { Decode } from "./decode.ts";
import { checkUtf8 } from "./decode-bytes.ts";
import { type ColumnDecoder, decodeOf, needsUtf8Check } from "./decoders.ts";
import { brokenRow } from "./row-text.ts";

/** Rows whose field positions are kept before they are decoded, unless the row is very wide. */
const PENDING_ROWS_MAX = 1024;
/** Positions kept: two 4-byte numbers a field. */
const PENDING_FIELDS_MAX = 1 << 18;
/** Bytes of rows that wait for being decoded, so that the heap bound of a batch is kept nearly. */
const PENDING_BYTES_MAX = 1 << 18;

/**
 * Row packets of the text protocol into batches. The rows of one buffer (a piece of what the socket gave) are decoded
 * together, column by column: one loop a type, over positions that were noted row by row.
 */
export class RowDecoder {
	readonly #pool: BatchPool;
	readonly #policy: TypePolicy;
	readonly #emit: (batch: Batch) => void;
	readonly #decodes: readonly Decode[];
	readonly #texts: readonly number[];
	readonly #width: number;
	/** Rows that fit the position arrays; field c of row r is at c * capacity + r. */
	readonly #capacity: number;
	readonly #offsets: Int32Array;
	readonly #lengths: Int32Array;
	#batch: Batch | null = null;
	#buffer: Buffer | null = null;
	#pendingRows = 0;
	#pendingBytes = 0;

	constructor(columns: readonly SourceColumn[], pool: BatchPool, policy: TypePolicy, emit: (batch: Batch) => void) {
		this.#pool = pool;
		this.#policy = policy;
		this.#emit = emit;
		const decoders = columns.map((column) => decoderOf(column));
		this.#decodes = columns.map((column, index) => decodeOf(column, decoders[index]!));
		this.#texts = [...columns.keys()].filter((index) => needsUtf8Check(decoders[index]!, columns[index]!.type));
		this.#width = columns.length;
		this.#capacity = Math.max(16, Math.min(PENDING_ROWS_MAX, Math.floor(PENDING_FIELDS_MAX / columns.length)));
		this.#offsets = new Int32Array(this.#capacity * columns.length);
		this.#lengths = new Int32Array(this.#capacity * columns.length);
	}

	/**
	 * Takes the row whose payload is [start, end) of `buffer`.
	 * @throws E_VALUE, E_ENCODING by policy; E_CONNECTION_LOST when the packet is no row of this many fields
	 */
	row(buffer: Buffer, start: number, end: number): void {
		if (buffer !== this.#buffer || this.#pendingRows === this.#capacity || this.#pendingBytes >= PENDING_BYTES_MAX) {
			this.#decodePending();
			this.#buffer = buffer;
		}
		const offsets = this.#offsets;
		const lengths = this.#lengths;
		const capacity = this.#capacity;
		let at = start;
		for (let field = 0, slot = this.#pendingRows; field < this.#width; field++, slot += capacity) {
			const first = buffer[at++]!;
			if (first < 251) {
				offsets[slot] = at;
				lengths[slot] = first;
				at += first;
			} else if (first === 251) {
				lengths[slot] = -1;
			} else {
				const size = first === 252 ? 2 : first === 253 ? 3 : 8;
				if (at + size > end) throw brokenRow();
				const length =
					size === 8 ? buffer.readUInt32LE(at) + buffer.readUInt32LE(at + 4) * 4294967296 : buffer.readUIntLE(at, size);
				at += size;
				offsets[slot] = at;
				lengths[slot] = length;
				at += length;
			}
		}
		// Lengths are never negative: one comparison proves that every field lies within the packet.
		if (at !== end) throw brokenRow();
		this.#pendingRows++;
		this.#pendingBytes += end - start;
	}

	/** The buffer of the rows so far goes away. */
	flush(): void {
		this.#decodePending();
		this.#buffer = null;
	}

	/** Decodes what is left and hands over the last batch. */
	finish(): void {
		this.#decodePending();
		if (this.#batch !== null && this.#batch.rowCount > 0) this.#emitBatch(this.#batch);
		this.#batch?.release();
		this.#batch = null;
	}

	/** Gives back what was not handed over. */
	abandon(): void {
		this.#pendingRows = 0;
		this.#buffer = null;
		this.#batch?.release();
		this.#batch = null;
	}

	#decodePending(): void {
		const buffer = this.#buffer;
		const pending = this.#pendingRows;
		if (buffer === null || pending === 0) return;
		this.#pendingRows = 0;
		this.#pendingBytes = 0;
		let from = 0;
		while (from < pending) {
			this.#batch ??= this.#pool.take();
			const batch = this.#batch;
			const count = Math.min(pending - from, this.#pool.capacity - batch.rowCount);
			for (let field = 0; field < this.#width; field++) {
				const at = field * this.#capacity + from;
				const column = batch.columns[field]!;
				this.#decodes[field]!(buffer, this.#offsets, this.#lengths, at, count, column, batch.rowCount, this.#policy);
			}
			batch.rowCount += count;
			from += count;
			if (batch.rowCount === this.#pool.capacity || batch.heapBytes >= BATCH_HEAP_BYTES_MAX) this.#emitBatch(batch);
		}
	}

	#emitBatch(batch: Batch): void {
		for (const index of this.#texts) checkUtf8(batch.columns[index]!, batch.rowCount, this.#policy.invalidText);
		this.#batch = null;
		this.#emit(batch);
	}
}

/** What `describe` noted for reading the column. */
export function decoderOf(column: SourceColumn): ColumnDecoder {
	if (column.decoder === undefined)
		throw new HeadraceError("E_INTERNAL", `column ${column.name} was not described by the MySQL source`);
	return column.decoder as ColumnDecoder;
}
