import { HeadraceError } from "../../core/index.ts";

/**
 * Writes that nobody waits for: in their order, of each key the last one only, and kept until they succeed. Once
 * another server has taken over they are none of this one's business any more.
 */
export class PendingWrites {
	readonly #onError: (thrown: unknown) => void;
	readonly #writes = new Map<string, () => Promise<void>>();
	#flushing: Promise<void> | null = null;

	constructor(onError: (thrown: unknown) => void) {
		this.#onError = onError;
	}

	put(key: string, write: () => Promise<void>): void {
		// The last one takes the place of the first: what was put in between may build on either.
		this.#writes.delete(key);
		this.#writes.set(key, write);
		void this.flush();
	}

	/** Resolves when all that is pending was tried; what failed is tried again with the next write or call. */
	async flush(): Promise<void> {
		this.#flushing ??= this.#work().finally(() => {
			this.#flushing = null;
		});
		await this.#flushing;
	}

	async #work(): Promise<void> {
		for (let next = this.#next(); next !== null; next = this.#next()) {
			const [key, write] = next;
			try {
				await write();
			} catch (thrown) {
				if (!(thrown instanceof HeadraceError) || thrown.code !== "E_FENCED") return this.#onError(thrown);
				this.#writes.clear();
				return;
			}
			// Another one may have come meanwhile.
			if (this.#writes.get(key) === write) this.#writes.delete(key);
		}
	}

	#next(): readonly [string, () => Promise<void>] | null {
		const { value } = this.#writes.entries().next();
		return value ?? null;
	}
}
