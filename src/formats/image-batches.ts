import {
	BATCH_HEAP_BYTES_MAX,
	type Batch,
	BatchPool,
	type BeforeImages,
	type ChangedRows,
	ChangeOperation,
	type Column,
	HeadraceError,
	qualified,
	type SourceTable,
} from "../core/index.ts";

/** Images whose field positions are kept before they are decoded, unless the row is very wide. */
const PENDING_ROWS_MAX = 1024;
/** Positions kept: two 4-byte numbers a field. */
const PENDING_FIELDS_MAX = 1 << 18;
/** Bytes of images that wait for being decoded, so that the heap bound of a batch is kept nearly. */
const PENDING_BYTES_MAX = 1 << 18;

/** Lengths of fields that have no bytes. */
export const NULL_FIELD = -1;
/** The image does not tell the column. */
export const ABSENT_FIELD = -2;

export interface ImageBatchesOptions {
	/** Its columns are those of the batches. */
	readonly table: SourceTable;
	/** Columns by which a row is known. */
	readonly keys: Int32Array;
	readonly before: BeforeImages;
	/** Decodes `count` fields of a column, whose places begin at `at`, into the rows from `row` on; -1 is NULL. */
	readonly decode: (field: number, bytes: Buffer, at: number, count: number, column: Column, row: number) => void;
	/** Checks the values of a batch that is whole. */
	readonly check: (batch: Batch) => void;
	readonly emit: (rows: ChangedRows) => void;
}

/**
 * Images of one table's rows on their way from a log into batches: the places of their fields are noted image by image,
 * and decoded column by column once the buffer that they lie in comes to its end.
 */
export class ImageBatches {
	/** Images that fit; field c of image r is at c * capacity + r. */
	readonly capacity: number;
	/** Where fields begin in the buffer. */
	readonly offsets: Int32Array;
	/** Their bytes, or why there are none. */
	readonly lengths: Int32Array;
	/** Some image since the last decoding has a field that is absent: whoever notes one says so. */
	someAbsent = false;
	readonly #options: ImageBatchesOptions;
	readonly #pool: BatchPool;
	readonly #width: number;
	readonly #operations: Uint8Array;
	readonly #transactions: Uint32Array;
	#pending = 0;
	#pendingBytes = 0;
	#buffer: Buffer | null = null;
	#batch: Batch | null = null;
	#batchOperations: Uint8Array = new Uint8Array(0);
	#batchTransactions: Uint32Array = new Uint32Array(0);
	#absent: (Uint8Array | null)[] | null = null;

	constructor(options: ImageBatchesOptions) {
		const { columns } = options.table;
		this.#options = options;
		this.#pool = new BatchPool(columns);
		this.#width = columns.length;
		const rowsMax = Math.floor(PENDING_FIELDS_MAX / Math.max(1, this.#width));
		this.capacity = Math.max(16, Math.min(PENDING_ROWS_MAX, rowsMax));
		this.offsets = new Int32Array(this.capacity * this.#width);
		this.lengths = new Int32Array(this.capacity * this.#width);
		this.#operations = new Uint8Array(this.capacity);
		this.#transactions = new Uint32Array(this.capacity);
	}

	/** Bytes that the batch which is being filled holds. */
	get heldBytes(): number {
		return this.#batch?.heldBytes ?? 0;
	}

	/** What comes lies in `bytes`; other bytes of before are decoded first. */
	enter(bytes: Buffer): void {
		if (bytes === this.#buffer) return;
		this.#decodePending();
		this.#buffer = bytes;
	}

	/** Where the fields of the next image go, and behind it those of the one after, when it is an update. */
	slot(): number {
		if (this.#pending + 2 > this.capacity || this.#pendingBytes >= PENDING_BYTES_MAX) this.#decodePending();
		return this.#pending;
	}

	/** Bytes that have been noted. */
	count(bytes: number): void {
		this.#pendingBytes += bytes;
	}

	keep(slot: number, operation: ChangeOperation, transaction: number): void {
		this.#operations[slot] = operation;
		this.#transactions[slot] = transaction;
		this.#pending = slot + 1;
	}

	/**
	 * Keeps an update, whose image before is at `slot` and the one after behind it; both when that is wanted. `isKey`: the
	 * image before tells the key alone, which has changed.
	 */
	keepUpdate(bytes: Buffer, slot: number, transaction: number, isKey = false): void {
		const { offsets, lengths, capacity } = this;
		if (this.someAbsent && !isKey)
			for (let field = 0, before = slot; field < this.#width; field++, before += capacity)
				if (lengths[before + 1] === ABSENT_FIELD) {
					// What an update does not tell is as it was.
					lengths[before + 1] = lengths[before]!;
					offsets[before + 1] = offsets[before]!;
				}
		if (isKey || this.#options.before === "all" || this.#keyChanged(bytes, slot)) {
			this.keep(slot, ChangeOperation.before, transaction);
			this.keep(slot + 1, ChangeOperation.update, transaction);
			return;
		}
		for (let field = 0, before = slot; field < this.#width; field++, before += capacity) {
			offsets[before] = offsets[before + 1]!;
			lengths[before] = lengths[before + 1]!;
		}
		this.keep(slot, ChangeOperation.update, transaction);
	}

	/** Whether the bytes of the key differ: also where the source's collation holds them equal. */
	#keyChanged(bytes: Buffer, slot: number): boolean {
		for (const field of this.#options.keys) {
			const before = field * this.capacity + slot;
			const length = this.lengths[before]!;
			if (length !== this.lengths[before + 1]) return true;
			const from = this.offsets[before]!;
			const to = this.offsets[before + 1]!;
			for (let i = 0; i < length; i++) if (bytes[from + i] !== bytes[to + i]) return true;
		}
		return false;
	}

	/** Decodes what was noted: the bytes that it lies in may change from here on. */
	settle(): void {
		this.#decodePending();
		this.#buffer = null;
	}

	/** Hands over what there is, and lets go of memory that was not needed since the last time. */
	flush(): void {
		this.settle();
		const batch = this.#batch;
		if (batch !== null && batch.rowCount > 0) this.#placed(() => this.#emitBatch(batch));
		this.#pool.trim();
	}

	/** Gives back what was not handed over. */
	abandon(): void {
		this.#pending = 0;
		this.#buffer = null;
		this.#batch?.release();
		this.#batch = null;
	}

	#decodePending(): void {
		const bytes = this.#buffer;
		const pending = this.#pending;
		this.#pending = 0;
		this.#pendingBytes = 0;
		if (bytes !== null && pending > 0) this.#placed(() => this.#decode(bytes, pending));
	}

	#placed(work: () => void): void {
		try {
			work();
		} catch (error) {
			throw error instanceof HeadraceError ? error.at({ table: qualified(this.#options.table.name) }) : error;
		}
	}

	#decode(bytes: Buffer, pending: number): void {
		const { decode } = this.#options;
		let from = 0;
		while (from < pending) {
			const batch = this.#batch ?? this.#takeBatch();
			const row = batch.rowCount;
			const count = Math.min(pending - from, this.#pool.capacity - row);
			if (this.someAbsent) this.#markAbsent(from, count, row);
			for (let field = 0; field < this.#width; field++)
				decode(field, bytes, field * this.capacity + from, count, batch.columns[field]!, row);
			this.#batchOperations.set(this.#operations.subarray(from, from + count), row);
			this.#batchTransactions.set(this.#transactions.subarray(from, from + count), row);
			batch.rowCount += count;
			from += count;
			if (batch.rowCount === this.#pool.capacity || batch.heapBytes >= BATCH_HEAP_BYTES_MAX) this.#emitBatch(batch);
		}
		this.someAbsent = false;
	}

	#takeBatch(): Batch {
		this.#batch = this.#pool.take();
		this.#batchOperations = new Uint8Array(this.#pool.capacity);
		this.#batchTransactions = new Uint32Array(this.#pool.capacity);
		this.#absent = null;
		return this.#batch;
	}

	/** Notes what is not told, and makes a NULL of it for the decoders. */
	#markAbsent(from: number, count: number, row: number): void {
		for (let field = 0; field < this.#width; field++) {
			const at = field * this.capacity + from;
			for (let i = 0; i < count; i++) {
				if (this.lengths[at + i] !== ABSENT_FIELD) continue;
				this.lengths[at + i] = NULL_FIELD;
				this.#absent ??= Array.from({ length: this.#width }, () => null);
				const bits = this.#absent[field] ?? new Uint8Array(this.#pool.capacity >> 3);
				this.#absent[field] = bits;
				bits[(row + i) >> 3]! |= 1 << ((row + i) & 7);
			}
		}
	}

	#emitBatch(batch: Batch): void {
		const { table, check, emit } = this.#options;
		check(batch);
		const absent = this.#absent;
		this.#batch = null;
		this.#absent = null;
		emit({
			kind: "rows",
			table,
			batch,
			operations: this.#batchOperations.subarray(0, batch.rowCount),
			transactions: this.#batchTransactions.subarray(0, batch.rowCount),
			...(absent === null ? {} : { absent }),
		});
	}
}
