import { type ChangeEvent, type ChangeStream, HeadraceError } from "../../../core/index.ts";
import type { Dump } from "./dump.ts";
import { parseGtids } from "./gtid.ts";
import type { LogReader } from "./log-reader.ts";
import { comparePlaces, decodeLogPosition, type LogPosition } from "./position.ts";

const PACKET_EVENT = 0;
const PACKET_ERROR = 0xff;
/** How long a wait lasts when nothing is due: heartbeats come in between. */
const WAIT_MS = 3_600_000;

export interface LogStreamOptions {
	readonly dump: Dump;
	readonly reader: LogReader;
	/** What the reader emits; the stream takes it from here. */
	readonly emitted: ChangeEvent[];
	readonly abandon: () => void;
	/** Ends the session of the dump at the server, which would notice its end only with the next event. */
	readonly kill: (threadId: number) => Promise<void>;
	readonly flavour: "mariadb" | "mysql";
	readonly until?: string;
	readonly signal?: AbortSignal;
}

/**
 * Pulls packets through the reader as fast as its events are taken: nothing is decoded ahead, and the socket waits when
 * its bytes are not fetched.
 */
export class LogStream implements ChangeStream {
	readonly #options: LogStreamOptions;
	readonly #until: LogPosition | null;
	#closed = false;

	constructor(options: LogStreamOptions) {
		this.#options = options;
		this.#until = options.until === undefined ? null : decodeLogPosition(options.until);
	}

	/** The log is kept by its own settings, whoever reads it. */
	async acknowledge(_position: string): Promise<void> {}

	async *[Symbol.asyncIterator](): AsyncGenerator<ChangeEvent, void, undefined> {
		const { dump, reader, emitted, signal } = this.#options;
		const abort = () => dump.interrupt(stopped(signal));
		signal?.addEventListener("abort", abort, { once: true });
		try {
			if (signal?.aborted) throw stopped(signal);
			while (!(yield* this.#readPackets())) {
				if (this.#hasAll()) {
					reader.boundary();
					break;
				}
				const dueInMs = reader.dueInMs;
				if (dueInMs === 0 && reader.isBetween) {
					reader.boundary();
					yield* taken(emitted);
				}
				await dump.wait(dueInMs === null || dueInMs === 0 ? WAIT_MS : dueInMs);
			}
			yield* taken(emitted);
		} finally {
			signal?.removeEventListener("abort", abort);
			await this[Symbol.asyncDispose]();
		}
	}

	/** Reads what has come so far; whether the end that was asked for is reached. */
	async *#readPackets(): AsyncGenerator<ChangeEvent, boolean, undefined> {
		const { dump, reader, emitted, signal } = this.#options;
		while (dump.next()) {
			const { bytes, start, end } = dump;
			const first = bytes[start];
			if (first === PACKET_ERROR) throw dump.refusal();
			if (first !== PACKET_EVENT || end === start)
				throw new HeadraceError("E_CONNECTION_LOST", "the server ended the change log");
			const steps = reader.handle(bytes, start + 1, end);
			if (steps !== undefined)
				for await (const _step of steps) {
					if (signal?.aborted) throw stopped(signal);
					yield* taken(emitted);
				}
			if (emitted.length > 0) {
				if (signal?.aborted) throw stopped(signal);
				yield* taken(emitted);
			}
			if (this.#isReached()) {
				reader.boundary();
				return true;
			}
		}
		return false;
	}

	#isReached(): boolean {
		const until = this.#until;
		const { reader, flavour } = this.#options;
		if (until === null || !reader.isBetween || !reader.knowsFile) return false;
		if (until.file !== "") return comparePlaces(reader.place, until) >= 0;
		return reader.gtids?.contains(parseGtids(until.gtid ?? "", flavour)) ?? false;
	}

	/**
	 * Whether all transactions before the end have come, though no event lies there: a server that is asked by GTIDs passes
	 * over what the reader has without a word.
	 */
	#hasAll(): boolean {
		const { reader, flavour } = this.#options;
		const gtid = this.#until?.gtid;
		if (gtid === undefined || !reader.isBetween || !reader.knowsFile) return false;
		return reader.gtids?.contains(parseGtids(gtid, flavour)) ?? false;
	}

	async [Symbol.asyncDispose](): Promise<void> {
		if (this.#closed) return;
		this.#closed = true;
		this.#options.dump.close();
		this.#options.abandon();
		for (const event of this.#options.emitted.splice(0)) if (event.kind === "rows") event.batch.release();
		// It is over for us either way: a server that is gone needs no word.
		await this.#options.kill(this.#options.dump.threadId).catch(() => undefined);
	}
}

function* taken(emitted: ChangeEvent[]): Generator<ChangeEvent, void, undefined> {
	while (emitted.length > 0) yield emitted.shift()!;
}

export function stopped(signal: AbortSignal | undefined): HeadraceError {
	const reason: unknown = signal?.reason;
	return reason instanceof HeadraceError ? reason : new HeadraceError("E_STOPPED", "the change log was stopped");
}
