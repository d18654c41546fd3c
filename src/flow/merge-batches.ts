import type { Batch } from "../core/index.ts";

/**
 * Batches of several reads as they come, in no order among the reads. An error of one ends all; ending early ends
 * every read.
 */
export async function* mergeBatches(reads: readonly AsyncIterable<Batch>[]): AsyncGenerator<Batch, void, undefined> {
	const iterators = reads.map((read) => read[Symbol.asyncIterator]());
	type Step = { readonly index: number; readonly result: IteratorResult<Batch> };
	const step = (index: number): Promise<Step> =>
		(iterators[index] as AsyncIterator<Batch>).next().then((result) => ({ index, result }));
	const pending = new Map(iterators.map((_, index) => [index, step(index)]));
	try {
		while (pending.size > 0) {
			const { index, result } = await Promise.race(pending.values());
			if (result.done === true) pending.delete(index);
			else {
				pending.set(index, step(index));
				yield result.value;
			}
		}
	} finally {
		await Promise.allSettled(
			[...pending.entries()].map(async ([index, promise]) => {
				const [left] = await Promise.allSettled([promise, iterators[index]?.return?.()]);
				if (left.status === "fulfilled" && left.value.result.done !== true) left.value.result.value.release();
			}),
		);
	}
}
