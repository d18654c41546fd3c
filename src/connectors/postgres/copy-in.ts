import type { Duplex } from "node:stream";
import type { Connection, Submittable } from "pg";
import { HeadraceError } from "../../core/index.ts";
import type { Output } from "./encode.ts";

const COPY_DATA = 0x64;
const COPY_DONE = Buffer.from("c\0\0\0\x04", "latin1");
const COPY_FAIL = Buffer.from("f\0\0\0\x05\0", "latin1");
/** Code and length before a message's body. */
const HEADER_BYTES = 5;
const BUFFER_BYTES = 128 << 10;
const BUFFERS_MAX = 8;

/**
 * Sends CopyData messages in buffers that are used again once the socket has taken them; with all of them on their way,
 * `take` waits: so a slow server slows the reading down.
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
export class CopyWriter {
	/** Where a message's body begins in a buffer. */
	readonly start = HEADER_BYTES;
	readonly #stream: Duplex;
	readonly #free: Output[] = [];
	readonly #buffersMax: number;
	#made = 0;
	#failure: unknown = null;
	#wake: (() => void) | null = null;

	constructor(stream: Duplex, bytesMax: number) {
		this.#stream = stream;
		this.#buffersMax = Math.max(2, Math.min(BUFFERS_MAX, Math.floor(bytesMax / BUFFER_BYTES)));
	}

	/** The COPY has ended with an error of the server or the connection. */
	get failed(): boolean {
		return this.#failure !== null;
	}

	/** A buffer whose body has room for `bytes`. @throws what the COPY failed with */
	async take(bytes: number): Promise<Output> {
		while (true) {
			if (this.#failure !== null) throw this.#failure;
			if (bytes + HEADER_BYTES > BUFFER_BYTES) {
				// A buffer for one huge row is not kept, and waits until it is the only one.
				if (this.#free.length === this.#made) return outputOf(bytes + HEADER_BYTES);
			} else {
				const free = this.#free.pop();
				if (free !== undefined) return free;
				if (this.#made < this.#buffersMax) {
					this.#made++;
					return outputOf(BUFFER_BYTES);
				}
			}
			await new Promise<void>((resolve) => {
				this.#wake = resolve;
			});
		}
	}

	/** Sends the body [start, end) of a buffer that `take` gave. */
	send(out: Output, end: number): void {
		if (this.#failure !== null) return;
		out.bytes[0] = COPY_DATA;
		out.view.setInt32(1, end - 1);
		const huge = out.bytes.length > BUFFER_BYTES;
		if (huge) this.#made++;
		this.#stream.write(out.bytes.subarray(0, end), (error) => {
			if (error) this.fail(error);
			if (huge) this.#made--;
			else this.#free.push(out);
			this.#wakeUp();
		});
	}

	fail(error: unknown): void {
		this.#failure ??= error;
		this.#wakeUp();
	}

	#wakeUp(): void {
		const wake = this.#wake;
		this.#wake = null;
		wake?.();
	}
}

function outputOf(length: number): Output {
	const bytes = Buffer.allocUnsafeSlow(length);
	return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, length) };
}

/** Writes the rows of a COPY; when it throws, the COPY is cancelled and ends with that error. */
export type Feed = (writer: CopyWriter) => Promise<void>;

/** COPY … FROM STDIN. Resolves with the number of rows that the server says it took. */
export class CopyInStatement implements Submittable {
	readonly done: Promise<number>;
	readonly #sql: string;
	readonly #feed: Feed;
	readonly #bytesMax: number;
	#resolve!: (rows: number) => void;
	#reject!: (error: unknown) => void;
	#writer: CopyWriter | null = null;
	#feeding: Promise<void> = Promise.resolve();
	#own: { readonly error: unknown } | null = null;
	#rows = -1;

	constructor(sql: string, bytesMax: number, feed: Feed) {
		this.#sql = sql;
		this.#feed = feed;
		this.#bytesMax = bytesMax;
		this.done = new Promise<number>((resolve, reject) => {
			this.#resolve = resolve;
			this.#reject = reject;
		});
	}

	submit(connection: Connection): void {
		connection.query(this.#sql);
	}

	handleCopyInResponse(connection: Connection): void {
		const writer = new CopyWriter(connection.stream, this.#bytesMax);
		this.#writer = writer;
		this.#feeding = this.#feed(writer).then(
			() => {
				connection.stream.write(COPY_DONE);
			},
			(error: unknown) => {
				this.#own = { error };
				connection.stream.write(COPY_FAIL);
			},
		);
	}

	handleCommandComplete(message: { readonly text: string }): void {
		const count = /^COPY (\d+)$/.exec(message.text);
		if (count) this.#rows = Number(count[1]);
	}

	/** The server's error ends the feed, or answers the feed's own. */
	handleError(error: unknown): void {
		this.#writer?.fail(error);
		void this.#feeding.then(() => this.#reject(this.#own?.error ?? error));
	}

	handleReadyForQuery(): void {
		if (this.#rows < 0)
			this.#reject(new HeadraceError("E_INTERNAL", "a COPY ended without saying how many rows it took"));
		else this.#resolve(this.#rows);
	}

	handleRowDescription(_message: unknown): void {}
	handleDataRow(): void {}
	handlePortalSuspended(): void {}
	handleEmptyQuery(): void {}
	handleCopyData(): void {}
}
