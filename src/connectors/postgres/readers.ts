import { HeadraceError } from "../../core/index.ts";
import type { Session } from "./session.ts";
import { stopped } from "./stopped.ts";

/** How often an idle connection is used, so that nothing on the way takes it for dead. */
const KEEP_ALIVE_MS = 20_000;

/** A connection within the snapshot. */
export interface Reader {
	readonly session: Session;
	readonly processId: string;
}

/** The connections of one snapshot: who wants to read waits for a free one, first come, first served. */
export class Readers {
	readonly #all: Reader[];
	readonly #idle: Reader[];
	readonly #waiting: { take(reader: Reader): void; fail(error: unknown): void }[] = [];
	readonly #timer: NodeJS.Timeout;
	#closed = false;

	constructor(readers: readonly Reader[]) {
		this.#all = [...readers];
		this.#idle = [...readers];
		this.#timer = setInterval(() => this.#keepAlive(), KEEP_ALIVE_MS);
		this.#timer.unref();
	}

	get count(): number {
		return this.#all.length;
	}

	#keepAlive(): void {
		// A failure shows when the connection is taken next.
		for (const { session } of this.#idle) session.rows("SELECT 1").catch(() => {});
	}

	/** @throws E_CONNECTION_LOST when none is left; the signal's reason when it aborts */
	async acquire(signal?: AbortSignal): Promise<Reader> {
		if (signal?.aborted) throw stopped(signal);
		if (this.#closed) throw closed();
		for (let reader = this.#idle.pop(); reader !== undefined; reader = this.#idle.pop()) {
			if (!reader.session.broken) return reader;
			this.#drop(reader);
		}
		if (this.#all.length === 0) throw lost();
		return new Promise<Reader>((resolve, reject) => {
			const onAbort = () => {
				this.#waiting.splice(this.#waiting.indexOf(entry), 1);
				reject(stopped(signal!));
			};
			const settle = () => signal?.removeEventListener("abort", onAbort);
			const entry = {
				take: (reader: Reader) => {
					settle();
					resolve(reader);
				},
				fail: (error: unknown) => {
					settle();
					reject(error);
				},
			};
			this.#waiting.push(entry);
			signal?.addEventListener("abort", onAbort, { once: true });
		});
	}

	release(reader: Reader): void {
		if (this.#closed) return;
		if (reader.session.broken) {
			this.#drop(reader);
			return;
		}
		const next = this.#waiting.shift();
		if (next === undefined) this.#idle.push(reader);
		else next.take(reader);
	}

	#drop(reader: Reader): void {
		const index = this.#all.indexOf(reader);
		if (index >= 0) this.#all.splice(index, 1);
		if (this.#all.length === 0) for (const waiting of this.#waiting.splice(0)) waiting.fail(lost());
	}

	async close(): Promise<void> {
		if (this.#closed) return;
		this.#closed = true;
		clearInterval(this.#timer);
		for (const waiting of this.#waiting.splice(0)) waiting.fail(closed());
		await Promise.all(this.#all.splice(0).map(({ session }) => session.end()));
	}
}

function lost(): HeadraceError {
	return new HeadraceError("E_CONNECTION_LOST", "every connection of the snapshot broke");
}

function closed(): HeadraceError {
	return new HeadraceError("E_STOPPED", "the snapshot is closed");
}
