import type { ChangeEvent, ChangeStream, HeadraceError } from "../../../core/index.ts";
import { stopped } from "../stopped.ts";
import type { LogReader } from "./log-reader.ts";
import { decodeWalPosition } from "./position.ts";

/** How long a wait lasts when nothing is due: answers to our status come in between. */
const WAIT_MS = 3_600_000;
/** How often the server is asked where it is while the end is awaited. */
const ASK_MS = 100;

/** Where messages of pgoutput come from: a walsender, or a look into a slot. */
export interface LogFeed {
	/** Everything up to here has been given by `next`. */
	readonly sentLsn: bigint;
	readonly bytes: Buffer;
	readonly start: number;
	readonly end: number;
	next(): boolean;
	/** `settle` has whoever looks into messages of before be done with them: their memory is used again. */
	reuseAfter?(settle: () => void): void;
	/** True when something came, false when nothing did for `ms`. */
	wait(ms: number): Promise<boolean>;
	acknowledge(lsn: bigint): void;
	/** Asks the server to say where it is. */
	ask(): void;
	interrupt(error: HeadraceError): void;
	close(): void;
}

export interface LogStreamOptions {
	readonly feed: LogFeed;
	readonly reader: LogReader;
	/** What the reader emits; the stream takes it from here. */
	readonly emitted: ChangeEvent[];
	/** Gives back what was not handed over. */
	readonly abandon: () => void;
	readonly until?: string;
	readonly signal?: AbortSignal;
}

/**
 * Pulls messages through the reader as fast as its events are taken: nothing is decoded ahead, and the socket waits when
 * its bytes are not fetched.
 */
export class LogStream implements ChangeStream {
	readonly #options: LogStreamOptions;
	readonly #until: bigint | null;
	#closed = false;

	constructor(options: LogStreamOptions) {
		this.#options = options;
		this.#until = options.until === undefined ? null : decodeWalPosition(options.until).lsn;
	}

	async acknowledge(position: string): Promise<void> {
		this.#options.feed.acknowledge(decodeWalPosition(position).lsn);
	}

	async *[Symbol.asyncIterator](): AsyncGenerator<ChangeEvent, void, undefined> {
		const { feed, reader, emitted, signal } = this.#options;
		const abort = () => feed.interrupt(stopped(signal!));
		signal?.addEventListener("abort", abort, { once: true });
		try {
			if (signal?.aborted) throw stopped(signal);
			while (true) {
				yield* this.#readMessages();
				reader.sentTo(feed.sentLsn);
				if (this.#isReached()) break;
				const dueInMs = reader.dueInMs;
				if (dueInMs === 0 && reader.isBetween) {
					reader.boundary();
					yield* taken(emitted);
					continue;
				}
				const waitMs = dueInMs === null || dueInMs === 0 ? WAIT_MS : dueInMs;
				// The end may lie inside a record; the server completes it within the 15 s of its bgwriter's own records.
				if (!(await feed.wait(this.#until === null ? waitMs : Math.min(ASK_MS, waitMs))) && this.#until !== null)
					feed.ask();
			}
			reader.boundary();
			yield* taken(emitted);
		} finally {
			signal?.removeEventListener("abort", abort);
			await this[Symbol.asyncDispose]();
		}
	}

	/** Reads what has come so far. */
	async *#readMessages(): AsyncGenerator<ChangeEvent, void, undefined> {
		const { feed, reader, emitted, signal } = this.#options;
		while (feed.next()) {
			const steps = reader.handle(feed.bytes, feed.start, feed.end);
			if (steps !== undefined)
				for await (const _step of steps) {
					if (signal?.aborted) throw stopped(signal);
					yield* taken(emitted);
				}
			if (emitted.length > 0) {
				if (signal?.aborted) throw stopped(signal);
				yield* taken(emitted);
			}
			if (this.#isReached()) return;
		}
	}

	#isReached(): boolean {
		return this.#until !== null && this.#options.reader.isBetween && this.#options.reader.lsn >= this.#until;
	}

	async [Symbol.asyncDispose](): Promise<void> {
		if (this.#closed) return;
		this.#closed = true;
		this.#options.feed.close();
		this.#options.abandon();
		for (const event of this.#options.emitted.splice(0)) if (event.kind === "rows") event.batch.release();
	}
}

function* taken(emitted: ChangeEvent[]): Generator<ChangeEvent, void, undefined> {
	while (emitted.length > 0) yield emitted.shift()!;
}
