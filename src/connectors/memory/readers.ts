import { HeadraceError } from "../../core/errors.ts";

/** Lets a number of reads go on at once; more wait for their turn. */
export class ReaderSlots {
	#free: number;
	#waiting: (() => void)[] = [];

	constructor(count: number) {
		this.#free = count;
	}

	/** @throws E_STOPPED when the signal aborts first */
	async take(signal: AbortSignal | undefined): Promise<void> {
		if (signal?.aborted === true) throw stopped();
		if (this.#free > 0) {
			this.#free--;
			return;
		}
		await new Promise<void>((resolve, reject) => {
			const turn = (): void => {
				signal?.removeEventListener("abort", abort);
				resolve();
			};
			const abort = (): void => {
				this.#waiting = this.#waiting.filter((other) => other !== turn);
				reject(stopped());
			};
			signal?.addEventListener("abort", abort, { once: true });
			this.#waiting.push(turn);
		});
	}

	give(): void {
		const next = this.#waiting.shift();
		if (next === undefined) this.#free++;
		else next();
	}
}

export function stopped(): HeadraceError {
	return new HeadraceError("E_STOPPED", "the work was stopped by its signal");
}
