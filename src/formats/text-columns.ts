import { Batch, Column } from "../core/index.ts";
import { setText } from "./value-parse.ts";
import { valueText } from "./value-text.ts";

/** Rows whose columns at these places are replaced by the canonical text of their values. */
export async function* withText(
	batches: AsyncIterable<Batch>,
	places: readonly number[],
): AsyncGenerator<Batch, void, undefined> {
	if (places.length === 0) {
		yield* batches;
		return;
	}
	for await (const batch of batches) yield new BatchWithText(batch, places);
}

/** A batch some of whose columns are replaced by their canonical text; it releases the batch that it is made from. */
class BatchWithText extends Batch {
	readonly #origin: Batch;

	constructor(origin: Batch, replaced: readonly number[]) {
		super(
			origin.columns.map((column, index) => (replaced.includes(index) ? textColumn(column, origin.rowCount) : column)),
			null,
		);
		this.#origin = origin;
		this.rowCount = origin.rowCount;
	}

	override release(): void {
		this.#origin.release();
	}
}

function textColumn(from: Column, rowCount: number): Column {
	const column = new Column(from.name, { kind: "text" }, Math.ceil(Math.max(1, rowCount) / 64) * 64);
	column.changedCount = from.changedCount;
	for (let row = 0; row < rowCount; row++) {
		const text = valueText(from, row);
		if (text === null) column.setNull(row);
		else setText(column, row, text);
	}
	return column;
}
