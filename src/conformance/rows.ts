import assert from "node:assert/strict";
import { BATCH_HEAP_BYTES_MAX, BATCH_ROWS_MAX, type Batch, BatchPool, type Field } from "../core/batch.ts";
import { readText, writeText } from "./values.ts";

/** A row as canonical text (`2024-02-29 12:00:00`, `1.50`, `true`), null for NULL. */
export type TextRow = readonly (string | null)[];

/** A pool that counts: every batch that was taken must come back once. */
export class CountingPool extends BatchPool {
	taken = 0;
	given = 0;

	override take(): Batch {
		this.taken++;
		return super.take();
	}

	override give(batch: Batch): void {
		this.given++;
		assert.ok(this.given <= this.taken, "a batch was released twice");
		super.give(batch);
	}
}

/** Rows as batches of at most `rowsPerBatch`. */
export async function* batchesOf(
	fields: readonly Field[],
	rows: readonly TextRow[],
	rowsPerBatch = BATCH_ROWS_MAX,
	pool: BatchPool = new BatchPool(fields),
): AsyncGenerator<Batch, void, undefined> {
	let batch: Batch | null = null;
	for (const row of rows) {
		batch ??= pool.take();
		for (const [at, value] of row.entries()) {
			const column = batch.columns[at]!;
			if (value === null) column.setNull(batch.rowCount);
			else writeText(column, batch.rowCount, value);
		}
		batch.rowCount++;
		if (batch.rowCount === Math.min(rowsPerBatch, pool.capacity) || batch.heapBytes >= BATCH_HEAP_BYTES_MAX) {
			yield batch;
			batch = null;
		}
	}
	if (batch !== null) yield batch;
}

/** One row of a batch as canonical text. */
export function rowText(batch: Batch, row: number): TextRow {
	return batch.columns.map((column) => readText(column, row));
}

/** All rows of batches as text; releases the batches. Asserts that none is over the bound of rows. */
export async function collect(batches: AsyncIterable<Batch>): Promise<TextRow[]> {
	const rows: TextRow[] = [];
	for await (const batch of batches) {
		assert.ok(batch.rowCount <= BATCH_ROWS_MAX, `a batch has ${batch.rowCount} rows`);
		for (let row = 0; row < batch.rowCount; row++) rows.push(rowText(batch, row));
		batch.release();
	}
	return rows;
}

/** Asserts that both have the same rows, each as often, in any order. */
export function sameRows(found: readonly TextRow[] | null, wanted: readonly TextRow[], what = "rows"): void {
	const sorted = (rows: readonly TextRow[]) => rows.map((row) => JSON.stringify(row)).sort();
	assert.ok(found !== null, `${what}: there is no table`);
	assert.deepEqual(sorted(found), sorted(wanted), what);
}

/** `count` rows of (id, name): `0, row 0` and so on. */
export function numberedRows(count: number, first = 0): TextRow[] {
	return Array.from({ length: count }, (_, i) => [String(first + i), `row ${first + i}`]);
}

export const ID: Field = { name: "id", type: { kind: "int64" }, nullable: false };
export const NAME: Field = { name: "name", type: { kind: "text" }, nullable: true };
