import type { Snapshot, Source } from "../core/index.ts";

/** The one snapshot of a run: opened when the first table reads, shared by all, renewed after a lost connection. */
export class SharedSnapshot implements AsyncDisposable {
	readonly #source: Source;
	readonly #readers: number;
	readonly #signal: AbortSignal;
	#current: Promise<Snapshot> | null = null;
	/** Replaced snapshots that other tables may still read. */
	readonly #old: Promise<Snapshot>[] = [];

	constructor(source: Source, readers: number, signal: AbortSignal) {
		this.#source = source;
		this.#readers = readers;
		this.#signal = signal;
	}

	open(): Promise<Snapshot> {
		this.#current ??= this.#source.snapshot({ readers: this.#readers, signal: this.#signal });
		return this.#current;
	}

	/** Later reads get a new cut; reads that go on keep the old one. */
	async renew(): Promise<void> {
		if (this.#current !== null) this.#old.push(this.#current);
		this.#current = null;
	}

	async [Symbol.asyncDispose](): Promise<void> {
		const all = this.#current === null ? this.#old : [...this.#old, this.#current];
		await Promise.allSettled(all.map(async (snapshot) => (await snapshot)[Symbol.asyncDispose]()));
	}
}
