import { Batch } from "../../core/index.ts";

/** Some columns of a batch, which is released with it. */
export class PartOfBatch extends Batch {
	readonly #of: Batch;

	constructor(of: Batch, places: readonly number[]) {
		super(
			places.map((place) => of.columns[place]!),
			null,
		);
		this.rowCount = of.rowCount;
		this.#of = of;
	}

	override release(): void {
		this.#of.release();
	}
}
