import { Batch, Column, ROW_NUMBER_COLUMN } from "../core/index.ts";

/** A batch with the numbers of its rows as one more column; releasing it releases the batch. */
class NumberedBatch extends Batch {
	readonly #inner: Batch;
	readonly #released: () => void;

	constructor(inner: Batch, numbers: Column, released: () => void) {
		super([...inner.columns, numbers], null);
		this.rowCount = inner.rowCount;
		this.#inner = inner;
		this.#released = released;
	}

	override release(): void {
		this.#inner.release();
		this.#released();
	}
}

/** The same rows, numbered in the order that they come: files that a warehouse reads keep no order. */
export async function* withRowNumbers(
	batches: AsyncIterable<Batch>,
	first = 0,
): AsyncGenerator<Batch, void, undefined> {
	const free: Column[] = [];
	let next = first;
	for await (const batch of batches) {
		const numbers = free.pop() ?? new Column(ROW_NUMBER_COLUMN, { kind: "int64" });
		for (let row = 0; row < batch.rowCount; row++) numbers.setSafeInteger(row, next + row);
		next += batch.rowCount;
		yield new NumberedBatch(batch, numbers, () => free.push(numbers));
	}
}
