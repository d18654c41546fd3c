import type { Duplex } from "node:stream";
import { HeadraceError } from "../../core/index.ts";
import { OneBufferSocket } from "./one-buffer-socket.ts";

/** Takes the CopyData messages of one COPY, each of which is one row. */
export interface CopySink {
	/** A message's body: the bytes [start, end) of `buffer`, valid until the next `flush`. */
	message(buffer: Buffer, start: number, end: number): void;
	/** The buffer of the messages since the last flush goes away. */
	flush(): void;
	/** `message` or `flush` threw; no more messages will come. */
	failed(error: unknown): void;
}

const COPY_DATA = 0x64;
const HEADER_BYTES = 5;
/** A row is below 1 GiB: PostgreSQL's MaxAllocSize. Anything above is not a PostgreSQL server speaking. */
const COPY_DATA_BYTES_MAX = 0x40000100;
const MESSAGE_BYTES_MAX = 64 << 20;
const PARTIAL_BYTES = 64 << 10;
/** Memory that one huge row took is given back. */
const PARTIAL_BYTES_KEPT_MAX = 4 << 20;

/**
 * Sits between the socket and pg: cuts the stream into messages, gives rows of a COPY to the sink as they lie in the
 * socket's buffer and everything else to pg. pg would copy each row and emit an event for it.
 * A message that spans reads is put together in a buffer that grows with what has come, never with what is claimed.
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
export class WireTap {
	sink: CopySink | null = null;
	readonly #stream: Duplex;
	readonly #forward: (bytes: Buffer) => void;
	#partial: Buffer = Buffer.allocUnsafeSlow(PARTIAL_BYTES);
	#partialLength = 0;

	/** Takes over pg's listener; the stream must be at a message's border, as it is after the login. */
	constructor(stream: Duplex) {
		const listeners = stream.listeners("data");
		if (listeners.length !== 1)
			throw new HeadraceError("E_INTERNAL", "the installed version of pg reads its socket in an unknown way");
		this.#stream = stream;
		// Every message is taken apart or copied before the listener returns.
		if (stream instanceof OneBufferSocket) stream.reuse = true;
		this.#forward = listeners[0] as (bytes: Buffer) => void;
		stream.removeListener("data", this.#forward);
		stream.on("data", (chunk: Buffer) => this.#take(chunk));
	}

	#take(chunk: Buffer): void {
		let offset = 0;
		if (this.#partialLength > 0) {
			offset = this.#complete(chunk);
			if (offset < 0) return;
		}
		const end = chunk.length;
		let forwardFrom = -1;
		while (end - offset >= HEADER_BYTES) {
			const code = chunk[offset]!;
			const length = chunk.readUInt32BE(offset + 1);
			if (!this.#isPlausible(code, length)) return;
			const next = offset + 1 + length;
			if (next > end) break;
			if (code === COPY_DATA) {
				if (forwardFrom >= 0) {
					this.#forward(chunk.subarray(forwardFrom, offset));
					forwardFrom = -1;
				}
				if (this.sink !== null) this.#message(this.sink, chunk, offset + HEADER_BYTES, next);
			} else if (forwardFrom < 0) forwardFrom = offset;
			offset = next;
		}
		// The rows before the end of the COPY must be in before pg hears of it.
		if (this.sink !== null) this.#flush(this.sink);
		const rest = offset;
		if (rest < end) this.#keep(chunk, rest, end);
		if (forwardFrom >= 0) this.#forward(chunk.subarray(forwardFrom, rest));
	}

	#message(sink: CopySink, buffer: Buffer, start: number, end: number): void {
		try {
			sink.message(buffer, start, end);
		} catch (error) {
			this.#fail(sink, error);
		}
	}

	#flush(sink: CopySink): void {
		try {
			sink.flush();
		} catch (error) {
			this.#fail(sink, error);
		}
	}

	#fail(sink: CopySink, error: unknown): void {
		if (this.sink === sink) this.sink = null;
		sink.failed(error);
	}

	#isPlausible(code: number, length: number): boolean {
		if (length >= 4 && length <= (code === COPY_DATA ? COPY_DATA_BYTES_MAX : MESSAGE_BYTES_MAX)) return true;
		this.#stream.destroy(
			new HeadraceError("E_SOURCE", `the server sent a message that claims ${length} bytes: not PostgreSQL's protocol`),
		);
		return false;
	}

	#keep(chunk: Buffer, start: number, end: number): void {
		this.#grow(end - start, end - start);
		chunk.copy(this.#partial, 0, start, end);
		this.#partialLength = end - start;
	}

	/** Adds to the message that was cut; gives where the next one begins, or -1 when the chunk is used up. */
	#complete(chunk: Buffer): number {
		let offset = 0;
		while (this.#partialLength < HEADER_BYTES && offset < chunk.length)
			this.#partial[this.#partialLength++] = chunk[offset++]!;
		if (this.#partialLength < HEADER_BYTES) return -1;
		const code = this.#partial[0]!;
		const length = this.#partial.readUInt32BE(1);
		if (!this.#isPlausible(code, length)) return -1;
		const total = 1 + length;
		const taken = Math.min(total - this.#partialLength, chunk.length - offset);
		this.#grow(this.#partialLength + taken, total);
		chunk.copy(this.#partial, this.#partialLength, offset, offset + taken);
		this.#partialLength += taken;
		if (this.#partialLength < total) return -1;
		this.#partialLength = 0;
		const message = this.#partial;
		if (code !== COPY_DATA) this.#forward(Buffer.from(message.subarray(0, total)));
		else if (this.sink !== null) {
			const { sink } = this;
			this.#message(sink, message, HEADER_BYTES, total);
			if (this.sink === sink) this.#flush(sink);
		}
		if (message.length > PARTIAL_BYTES_KEPT_MAX) this.#partial = Buffer.allocUnsafeSlow(PARTIAL_BYTES);
		return offset + taken;
	}

	/** Doubles, so that a row of many reads is copied a bounded number of times, but never beyond the message. */
	#grow(needed: number, total: number): void {
		if (needed <= this.#partial.length) return;
		const size = Math.max(needed, Math.min(total, this.#partial.length * 2));
		const grown = Buffer.allocUnsafeSlow(size);
		this.#partial.copy(grown, 0, 0, this.#partialLength);
		this.#partial = grown;
	}
}
