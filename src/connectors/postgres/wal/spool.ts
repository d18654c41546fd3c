import { MessageSpools, type MessageSpoolsOptions } from "../../../formats/index.ts";

/** Transactions that the server sends while they are in progress. */
export class Spools {
	readonly #messages: MessageSpools<number>;
	/** Subtransactions that were rolled back, by their transaction: what they did is left out. */
	readonly #aborted = new Map<number, Set<number>>();

	constructor(options: MessageSpoolsOptions = {}) {
		this.#messages = new MessageSpools(options);
	}

	/** Bytes of messages on the disk. */
	get fileBytes(): number {
		return this.#messages.fileBytes;
	}

	begin(transaction: number): void {
		this.#messages.begin(transaction);
	}

	/** Adds a message, [start, end) of `bytes`. @throws E_CORRUPT_EVENT, E_NO_SPACE */
	append(transaction: number, bytes: Buffer, start: number, end: number): void {
		this.#messages.append(transaction, bytes, start, end);
	}

	abort(transaction: number, subtransaction: number): void {
		if (transaction === subtransaction) {
			this.#messages.drop(transaction);
			this.#aborted.delete(transaction);
			return;
		}
		const aborted = this.#aborted.get(transaction);
		if (aborted !== undefined) aborted.add(subtransaction);
		else if (this.#messages.has(transaction)) this.#aborted.set(transaction, new Set([subtransaction]));
	}

	close(): void {
		this.#messages.close();
		this.#aborted.clear();
	}

	/**
	 * The messages of a transaction, in pieces of memory that are not used again, and the subtransactions whose rows are
	 * to be left out. Gone afterwards.
	 * @throws E_CORRUPT_FILE
	 */
	*take(
		transaction: number,
	): Generator<{ readonly bytes: Buffer; readonly aborted: ReadonlySet<number> }, void, undefined> {
		const aborted = this.#aborted.get(transaction) ?? new Set<number>();
		try {
			for (const bytes of this.#messages.take(transaction)) yield { bytes, aborted };
		} finally {
			this.#aborted.delete(transaction);
		}
	}
}
