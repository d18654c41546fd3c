import type { Batch } from "./batch.ts";

/**
 * Batches on their way from a decoder that can't wait (it is called by a socket) to whoever takes them, bounded by
 * bytes: over the bound the decoder's socket is paused. Ending the iteration early cancels the read.
 */
export class BatchQueue implements AsyncIterable<Batch> {
	readonly #bytesMax: number;
	readonly #valve: QueueValve;
	#batches: Batch[] = [];
	#bytes = 0;
	#paused = false;
	#done = false;
	#error: unknown = null;
	#wake: (() => void) | null = null;

	constructor(bytesMax: number, valve: QueueValve) {
		this.#bytesMax = bytesMax;
		this.#valve = valve;
	}

	push(batch: Batch): void {
		if (this.#done) {
			batch.release();
			return;
		}
		this.#batches.push(batch);
		this.#bytes += batch.heldBytes;
		if (this.#bytes >= this.#bytesMax && !this.#paused) {
			this.#paused = true;
			this.#valve.pause();
		}
		this.#wakeUp();
	}

	end(): void {
		this.#done = true;
		this.#wakeUp();
	}

	fail(error: unknown): void {
		if (this.#done) return;
		this.#error = error;
		this.#done = true;
		this.#wakeUp();
	}

	#wakeUp(): void {
		const wake = this.#wake;
		this.#wake = null;
		wake?.();
	}

	async *[Symbol.asyncIterator](): AsyncGenerator<Batch, void, undefined> {
		let finished = false;
		try {
			while (true) {
				const batch = this.#batches.shift();
				if (batch !== undefined) {
					this.#bytes -= batch.heldBytes;
					if (this.#paused && this.#bytes < this.#bytesMax / 2) {
						this.#paused = false;
						this.#valve.resume();
					}
					yield batch;
					continue;
				}
				if (this.#error !== null) {
					finished = true;
					throw this.#error;
				}
				if (this.#done) {
					finished = true;
					return;
				}
				await new Promise<void>((resolve) => {
					this.#wake = resolve;
				});
			}
		} finally {
			for (const batch of this.#batches) batch.release();
			this.#batches = [];
			if (!finished) {
				this.#done = true;
				await this.#valve.cancel();
			}
		}
	}
}

/** How a queue governs what feeds it. `cancel` resolves once no more batches will be pushed. */
export interface QueueValve {
	pause(): void;
	resume(): void;
	cancel(): void | Promise<void>;
}
