import {
	BATCH_HEAP_BYTES_MAX,
	type Batch,
	type BatchPool,
	HeadraceError,
	isView,
	type TypePolicy,
} from "../../core/index.ts";
import type { Decode } from "./decode.ts";
import { checkText } from "./decode-text.ts";
import type { CopySink } from "./wire-tap.ts";

/** https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.4 (Binary Format) */
const SIGNATURE = Buffer.from("PGCOPY\n\xff\r\n\0", "latin1");
const HEADER_BYTES = SIGNATURE.length + 8;
const TRAILER = 0xffff;
/** Keeps columns of a segment from falling on the same cache lines. */
const PADDING = 16;

export interface RowDecoderOptions {
	readonly pool: BatchPool;
	/** One a column, in the order of the pool's fields. */
	readonly decoders: readonly Decode[];
	/** The server did not check text: its encoding is SQL_ASCII. */
	readonly textUnchecked: boolean;
	readonly invalidText: TypePolicy["invalidText"];
	readonly onBatch: (batch: Batch) => void;
	readonly onFailure: (error: unknown) => void;
}

/**
 * Rows of COPY … (FORMAT binary) → batches. Where the fields of a buffer's rows lie is noted first, then each column
 * is decoded in one loop. A batch is full at 2048 rows (fewer for very wide tables) or when its long values hold 1 MiB.
 */
export class RowDecoder implements CopySink {
	/** Rows that have come so far. */
	rowCount = 0;
	readonly #options: RowDecoderOptions;
	readonly #columns: number;
	readonly #capacity: number;
	readonly #stride: number;
	readonly #offsets: Int32Array;
	readonly #lengths: Int32Array;
	#buffer: Buffer = Buffer.alloc(0);
	#segmentRows = 0;
	#batch: Batch | null = null;
	#batchRows = 0;
	#started = false;
	#ended = false;

	constructor(options: RowDecoderOptions) {
		this.#options = options;
		this.#columns = options.decoders.length;
		this.#capacity = options.pool.capacity;
		this.#stride = this.#capacity + PADDING;
		this.#offsets = new Int32Array(this.#columns * this.#stride);
		this.#lengths = new Int32Array(this.#columns * this.#stride);
	}

	message(buffer: Buffer, start: number, end: number): void {
		let at = start;
		if (!this.#started) {
			at = this.#header(buffer, start, end);
			if (at === end) return;
		}
		const fields = (buffer[at]! << 8) | buffer[at + 1]!;
		at += 2;
		if (fields !== this.#columns || this.#ended) {
			if (fields !== TRAILER || at !== end || this.#ended) throw malformed();
			this.#ended = true;
			return;
		}
		this.#buffer = buffer;
		const offsets = this.#offsets;
		const lengths = this.#lengths;
		const stride = this.#stride;
		let slot = this.#segmentRows;
		for (let column = 0; column < fields; column++) {
			const length = (buffer[at]! << 24) | (buffer[at + 1]! << 16) | (buffer[at + 2]! << 8) | buffer[at + 3]!;
			at += 4;
			offsets[slot] = at;
			lengths[slot] = length;
			slot += stride;
			if (length > 0) at += length;
		}
		// A length that lies leads past the message or ends before it; nothing was read through it yet.
		if (at !== end) throw malformed();
		this.#segmentRows++;
		if (this.#segmentRows + this.#batchRows === this.#capacity) this.flush();
	}

	#header(buffer: Buffer, start: number, end: number): number {
		if (end - start < HEADER_BYTES || SIGNATURE.compare(buffer, start, start + SIGNATURE.length) !== 0)
			throw malformed();
		const flags = buffer.readUInt32BE(start + SIGNATURE.length);
		const extension = buffer.readUInt32BE(start + SIGNATURE.length + 4);
		// The high half of the flags marks what a reader must know; none is defined.
		if (flags > 0xffff || extension > end - start - HEADER_BYTES) throw malformed();
		this.#started = true;
		return start + HEADER_BYTES + extension;
	}

	flush(): void {
		const rows = this.#segmentRows;
		if (rows === 0) return;
		this.#segmentRows = 0;
		this.#batch ??= this.#options.pool.take();
		const batch = this.#batch;
		const { decoders } = this.#options;
		for (let column = 0; column < this.#columns; column++)
			decoders[column]!(
				this.#buffer,
				this.#offsets,
				this.#lengths,
				column * this.#stride,
				rows,
				batch.columns[column]!,
				this.#batchRows,
			);
		this.#batchRows += rows;
		this.rowCount += rows;
		batch.rowCount = this.#batchRows;
		if (this.#batchRows === this.#capacity || batch.heapBytes >= BATCH_HEAP_BYTES_MAX) this.#emit();
	}

	#emit(): void {
		const batch = this.#batch;
		if (batch === null) return;
		if (this.#options.textUnchecked)
			for (const column of batch.columns)
				if (isView(column.type) && column.type.kind !== "binary")
					checkText(column, batch.rowCount, this.#options.invalidText);
		this.#batch = null;
		this.#batchRows = 0;
		this.#options.onBatch(batch);
	}

	/**
	 * The last batch; `rows` is what the server says it sent.
	 * @throws E_SOURCE when fewer or more came
	 */
	finish(rows: number): void {
		this.flush();
		this.#emit();
		if (!this.#ended || rows !== this.rowCount)
			throw new HeadraceError("E_SOURCE", `the server says it sent ${rows} rows, but ${this.rowCount} came`);
	}

	/** Gives an unfinished batch back. */
	discard(): void {
		this.#batch?.release();
		this.#batch = null;
		this.#segmentRows = 0;
		this.#batchRows = 0;
	}

	failed(error: unknown): void {
		this.#options.onFailure(error);
	}
}

function malformed(): HeadraceError {
	return new HeadraceError("E_SOURCE", "the server sent COPY data that is not in the binary format");
}
