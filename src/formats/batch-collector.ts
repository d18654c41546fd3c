import { BATCH_HEAP_BYTES_MAX, type Batch, BatchPool, type Column, type Field } from "../core/index.ts";

/** How many rows pass between two looks at the size of the heaps. */
const ROWS_BETWEEN_LOOKS = 16;

/**
 * Rows that a decoder sets value by value in `columns` at `row`, collected into batches. Text that is not UTF-8 is
 * found when a batch is full.
 */
export class BatchCollector {
	readonly #pool: BatchPool;
	readonly #onInvalidText: (column: Column, row: number) => void;
	#batch: Batch;
	/** The row that is being set. */
	row = 0;
	readonly #full: Batch[] = [];
	#rowsToLook = ROWS_BETWEEN_LOOKS;

	constructor(fields: readonly Field[], onInvalidText: (column: Column, row: number) => void) {
		this.#pool = new BatchPool(fields);
		this.#onInvalidText = onInvalidText;
		this.#batch = this.#pool.take();
	}

	get columns(): readonly Column[] {
		return this.#batch.columns;
	}

	/** The row is set. `bytes` of a long record make it look at once whether the batch is full. */
	finishRow(bytes: number): void {
		this.row++;
		const look = --this.#rowsToLook <= 0 || bytes > 4096;
		if (look) this.#rowsToLook = ROWS_BETWEEN_LOOKS;
		if (this.row === this.#pool.capacity || (look && this.#batch.heapBytes >= BATCH_HEAP_BYTES_MAX))
			this.#finishBatch();
	}

	#finishBatch(): void {
		const batch = this.#batch;
		batch.rowCount = this.row;
		for (const column of batch.columns)
			if (column.type.kind === "text" || column.type.kind === "json")
				column.checkText(this.row, (row) => this.#onInvalidText(column, row));
		this.#full.push(batch);
		this.#batch = this.#pool.take();
		this.row = 0;
	}

	/** Gives away the batches that are full; with `last`, the rest too. */
	*take(last = false): Generator<Batch, void, undefined> {
		if (last && this.row > 0) this.#finishBatch();
		for (let batch = this.#full.shift(); batch !== undefined; batch = this.#full.shift()) yield batch;
	}

	/** Releases what nobody took. */
	dispose(): void {
		for (const batch of this.#full.splice(0)) batch.release();
	}
}
