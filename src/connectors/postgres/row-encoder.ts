import { type Batch, HeadraceError } from "../../core/index.ts";
import type { CopyWriter } from "./copy-in.ts";
import type { ColumnEncoder, Output } from "./encode.ts";

/** https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.4 (Binary Format) */
const HEADER = Buffer.from("PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", "latin1");
const TRAILER = Buffer.from([0xff, 0xff]);
/** PostgreSQL's MaxAllocSize less a message's header: what a row may take. */
const ROW_BYTES_MAX = 0x3fffff00;

/** One column of the rows as they are sent. */
export interface SentColumn {
	readonly encoder: ColumnEncoder;
	/** Index of the batch's column; -1 when the encoder makes its values itself. */
	readonly index: number;
}

/**
 * Batches → COPY … (FORMAT binary). Where each row of a batch will lie is worked out first, then each column is written
 * in one loop for as many rows as a buffer takes.
 */
export class RowEncoder {
	/** Rows that were sent so far. */
	rowCount = 0;
	readonly #columns: readonly SentColumn[];
	readonly #writer: CopyWriter;
	/** Bytes of a row without NULLs and without what is variable. */
	readonly #rowBytes: number;
	#sizes = new Float64Array(0);
	#cursors = new Int32Array(0);
	#out: Output | null = null;
	#at = 0;

	constructor(columns: readonly SentColumn[], writer: CopyWriter) {
		this.#columns = columns;
		this.#writer = writer;
		this.#rowBytes = columns.reduce((sum, { encoder }) => sum + 4 + encoder.width, 2);
	}

	async begin(): Promise<void> {
		await this.#put(HEADER);
	}

	/** The batch may be released once this resolves. */
	async write(batch: Batch): Promise<void> {
		const { rowCount } = batch;
		this.#measure(batch);
		const sizes = this.#sizes;
		const cursors = this.#cursors;
		for (let from = 0; from < rowCount; ) {
			const out = this.#out ?? (await this.#next(sizes[from]!));
			let at = this.#at;
			let count = 0;
			for (const end = out.bytes.length; from + count < rowCount; count++) {
				const next = at + sizes[from + count]!;
				if (next > end) break;
				cursors[count] = at;
				at = next;
			}
			if (count === 0) {
				this.#flush();
				continue;
			}
			this.#encode(batch, from, count, out);
			this.#at = at;
			this.rowCount += count;
			from += count;
		}
	}

	async end(): Promise<void> {
		await this.#put(TRAILER);
		this.#flush();
	}

	#measure(batch: Batch): void {
		const { rowCount } = batch;
		if (this.#sizes.length < rowCount) {
			this.#sizes = new Float64Array(rowCount);
			this.#cursors = new Int32Array(rowCount);
		}
		const sizes = this.#sizes.fill(this.#rowBytes, 0, rowCount);
		for (const { encoder, index } of this.#columns) {
			const column = batch.columns[index];
			if (column === undefined) continue;
			const { width, variable, prepare } = encoder;
			if (prepare !== undefined) {
				const lengths = prepare(column, rowCount);
				for (let row = 0; row < rowCount; row++) sizes[row]! += lengths[row]!;
			} else if (variable) {
				// The length of a NULL is 0.
				const { i32 } = column;
				for (let row = 0; row < rowCount; row++) sizes[row]! += i32[row << 2]!;
			}
			if (column.nullCount === 0 || width === 0) continue;
			for (let row = 0; row < rowCount; row++) if (column.isNull(row)) sizes[row]! -= width;
		}
	}

	#encode(batch: Batch, from: number, count: number, out: Output): void {
		const cursors = this.#cursors;
		const { view } = out;
		const columns = this.#columns.length;
		for (let i = 0; i < count; i++) {
			view.setInt16(cursors[i]!, columns);
			cursors[i]! += 2;
		}
		for (const { encoder, index } of this.#columns)
			encoder.encode(batch.columns[index === -1 ? 0 : index]!, from, count, out, cursors);
	}

	/** A buffer with room for so many bytes at least. */
	async #next(bytes: number): Promise<Output> {
		if (bytes > ROW_BYTES_MAX)
			throw new HeadraceError("E_TOO_LARGE", "a row is larger than the 1 GiB that PostgreSQL takes", {
				hint: "Drop the largest column by `columns: { …: drop }`.",
			});
		this.#out = await this.#writer.take(bytes);
		this.#at = this.#writer.start;
		return this.#out;
	}

	async #put(bytes: Buffer): Promise<void> {
		let out = this.#out ?? (await this.#next(bytes.length));
		if (this.#at + bytes.length > out.bytes.length) {
			this.#flush();
			out = await this.#next(bytes.length);
		}
		bytes.copy(out.bytes, this.#at);
		this.#at += bytes.length;
	}

	#flush(): void {
		if (this.#out === null) return;
		this.#writer.send(this.#out, this.#at);
		this.#out = null;
	}
}
