import type { Duplex } from "node:stream";
import { HeadraceError } from "../../../core/index.ts";
import { PieceQueue } from "../../../formats/index.ts";
import { OneBufferSocket } from "../one-buffer-socket.ts";
import type { Session } from "../session.ts";
import { corrupt } from "./bytes.ts";
import { FrameCutter } from "./frames.ts";

/** The server hears from us at least this often. */
const STATUS_MS_MAX = 10_000;
const STATUS_MS_MIN = 100;
/** So often within wal_sender_timeout, after which the server would cut the connection. */
const STATUSES_A_TIMEOUT = 3;
/** Without an answer to our questions for so long the server counts as gone. */
const SILENCE_MS_MAX = 30_000;
/** Bytes that wait to be decoded before the socket is paused. */
const WAITING_BYTES_MAX = 2 << 20;

const COPY_DATA = 0x64;
const COPY_DONE = 0x63;
const COPY_BOTH = 0x57;
const ERROR = 0x45;
const NOTICE = 0x4e;
const PARAMETER = 0x53;
const WAL_DATA = 0x77;
const KEEPALIVE = 0x6b;
const WAL_HEADER_BYTES = 25;
const KEEPALIVE_BYTES = 18;
const STATUS_BYTES = 39;
const MICROS_TO_2000 = 946_684_800_000_000;

/**
 * The log as a walsender sends it, over a connection that is good for nothing else from then on.
 * https://www.postgresql.org/docs/current/protocol-replication.html
 */
export class Sender {
	/** Everything up to here has been sent, whether it concerned us or not. */
	sentLsn: bigint;
	readonly #session: Session;
	readonly #stream: Duplex;
	readonly #cutter = new FrameCutter();
	readonly #timer: NodeJS.Timeout;
	readonly #pieces: PieceQueue;
	#failure: HeadraceError | null = null;
	#wake: (() => void) | null = null;
	#acknowledged: bigint;
	readonly #unansweredMax: number;
	#unanswered = 0;
	#closed = false;

	private constructor(session: Session, stream: Duplex, from: bigint, statusMs: number) {
		this.#session = session;
		this.#stream = stream;
		const copies = stream instanceof OneBufferSocket;
		if (copies) stream.reuse = true;
		this.#pieces = new PieceQueue(stream, { bytesMax: WAITING_BYTES_MAX, copies });
		this.sentLsn = from;
		this.#acknowledged = from;
		stream.on("data", (piece: Buffer) => this.#take(piece));
		stream.on("error", (error) => this.#fail(session.translate(error)));
		stream.on("close", () => this.#fail(lost(session)));
		this.#unansweredMax = Math.ceil(SILENCE_MS_MAX / statusMs);
		this.#timer = setInterval(() => this.#tick(), statusMs);
	}

	/**
	 * Sends START_REPLICATION and waits for the stream to begin.
	 * @throws what the server answers: E_BUSY for a slot that is in use, E_RIGHTS
	 */
	static async start(session: Session, command: string, from: bigint): Promise<Sender> {
		const statusMs = await statusInterval(session);
		const sender = new Sender(session, session.takeOver(), from, statusMs);
		try {
			const text = Buffer.from(`${command}\0`);
			const query = Buffer.alloc(5 + text.length);
			query[0] = 0x51;
			query.writeUInt32BE(4 + text.length, 1);
			text.copy(query, 5);
			sender.#stream.write(query);
			await sender.#begun();
			sender.#status(false);
			return sender;
		} catch (error) {
			sender.close();
			throw error;
		}
	}

	async #begun(): Promise<void> {
		while (true) {
			while (!this.#nextFrame()) await this.wait(SILENCE_MS_MAX);
			if (this.#cutter.type === COPY_BOTH) return;
			this.#aside();
		}
	}

	/** `settle` has whoever looks into messages of before be done with them: their memory is used again. */
	reuseAfter(settle: () => void): void {
		this.#pieces.settle = () => {
			if (!this.#cutter.isSettled) return false;
			settle();
			return true;
		};
	}

	/** Bytes of the message that `next` found. */
	get bytes(): Buffer {
		return this.#cutter.bytes;
	}

	get start(): number {
		return this.#cutter.start + WAL_HEADER_BYTES;
	}

	get end(): number {
		return this.#cutter.end;
	}

	/**
	 * Whether there is another message of pgoutput in what has come so far; keepalives are answered on the way.
	 * @throws what the server ended the stream with
	 */
	next(): boolean {
		const cutter = this.#cutter;
		while (this.#nextFrame()) {
			if (cutter.type !== COPY_DATA) {
				this.#aside();
				continue;
			}
			const { bytes, start, end } = cutter;
			const kind = bytes[start];
			if (kind === WAL_DATA && end - start > WAL_HEADER_BYTES) return true;
			if (kind !== KEEPALIVE || end - start !== KEEPALIVE_BYTES) throw corrupt("a message of an unknown kind");
			const sent = bytes.readBigUInt64BE(start + 1);
			if (sent > this.sentLsn) this.sentLsn = sent;
			if (bytes[start + 17] === 1) this.#status(false);
		}
		return false;
	}

	#nextFrame(): boolean {
		while (!this.#cutter.next()) {
			const piece = this.#pieces.next();
			if (piece === undefined) return false;
			this.#cutter.feed(piece);
		}
		return true;
	}

	/** A message that is not of the log. */
	#aside(): void {
		const { type, bytes, start, end } = this.#cutter;
		if (type === NOTICE || type === PARAMETER) return;
		if (type === ERROR) throw this.#session.translate(readError(bytes, start, end));
		throw new HeadraceError("E_CONNECTION_LOST", "the server ended the change log");
	}

	/**
	 * Waits until something came; false when nothing did for `ms`.
	 * @throws E_CONNECTION_LOST when the connection broke, or the server has not answered for half a minute
	 */
	async wait(ms: number): Promise<boolean> {
		if (!this.#pieces.isEmpty) return true;
		if (this.#failure !== null) throw this.#failure;
		const { promise, resolve } = Promise.withResolvers<void>();
		this.#wake = resolve;
		const timer = setTimeout(resolve, ms);
		await promise;
		clearTimeout(timer);
		this.#wake = null;
		if (!this.#pieces.isEmpty) return true;
		if (this.#failure !== null) throw this.#failure;
		return false;
	}

	/** Tells the server that the log up to here is not needed again. */
	acknowledge(lsn: bigint): void {
		if (lsn <= this.#acknowledged) return;
		this.#acknowledged = lsn;
		if (!this.#closed) this.#status(false);
	}

	/** Asks the server to say where it is. */
	ask(): void {
		if (!this.#closed) this.#status(true);
	}

	/** Ends a `wait` at once. */
	interrupt(error: HeadraceError): void {
		this.#fail(error);
	}

	/** Says goodbye, so that the slot is free at once, and cuts the connection. */
	close(): void {
		if (this.#closed) return;
		this.#closed = true;
		clearInterval(this.#timer);
		if (this.#failure === null && this.#stream.writable) {
			this.#stream.write(Buffer.from([COPY_DONE, 0, 0, 0, 4]));
			this.#stream.end(Buffer.from([0x58, 0, 0, 0, 4]));
			this.#stream.resume();
			const timer = setTimeout(() => this.#session.destroy(), 2_000);
			timer.unref();
			this.#stream.once("close", () => clearTimeout(timer));
		} else this.#session.destroy();
		this.#fail(lost(this.#session));
	}

	#take(piece: Buffer): void {
		this.#unanswered = 0;
		if (this.#closed) return;
		this.#pieces.push(piece);
		this.#wake?.();
	}

	#fail(error: HeadraceError): void {
		this.#failure ??= error;
		this.#wake?.();
	}

	/** While the socket is paused no answer can be heard; the server must hear from us all the same. */
	#tick(): void {
		if (this.#failure !== null) return;
		if (!this.#pieces.isClosed && ++this.#unanswered > this.#unansweredMax) {
			this.#fail(new HeadraceError("E_CONNECTION_LOST", "the server has not answered for half a minute"));
			this.#session.destroy();
			return;
		}
		this.#status(true);
	}

	/** https://www.postgresql.org/docs/current/protocol-replication.html: Standby status update */
	#status(wantsAnswer: boolean): void {
		const message = Buffer.alloc(STATUS_BYTES);
		message[0] = COPY_DATA;
		message.writeUInt32BE(STATUS_BYTES - 1, 1);
		message[5] = 0x72;
		let written = this.#acknowledged;
		if (this.sentLsn > written) written = this.sentLsn;
		message.writeBigUInt64BE(written, 6);
		message.writeBigUInt64BE(this.#acknowledged, 14);
		message.writeBigUInt64BE(this.#acknowledged, 22);
		message.writeBigInt64BE(BigInt(Date.now() * 1000 - MICROS_TO_2000), 30);
		message[38] = wantsAnswer ? 1 : 0;
		if (this.#stream.writable) this.#stream.write(message);
	}
}

/** Milliseconds between two of our statuses, by what the server waits for them. */
async function statusInterval(session: Session): Promise<number> {
	const [row] = await session.rows("SELECT setting FROM pg_catalog.pg_settings WHERE name = 'wal_sender_timeout'");
	// In milliseconds; 0 is for ever.
	const timeoutMs = Number(row?.[0] ?? 0);
	if (timeoutMs === 0) return STATUS_MS_MAX;
	return Math.max(STATUS_MS_MIN, Math.min(STATUS_MS_MAX, Math.floor(timeoutMs / STATUSES_A_TIMEOUT)));
}

function lost(session: Session): HeadraceError {
	return new HeadraceError("E_CONNECTION_LOST", `the connection of the change log to ${session.where} broke`);
}

/** The fields of an ErrorResponse as pg gives them. https://www.postgresql.org/docs/current/protocol-error-fields.html */
function readError(bytes: Buffer, start: number, end: number): Error {
	const fields: Record<string, string> = {};
	let at = start;
	while (at < end && bytes[at] !== 0) {
		const stop = bytes.indexOf(0, at + 1);
		if (stop < 0 || stop >= end) break;
		fields[String.fromCharCode(bytes[at]!)] = bytes.toString("utf8", at + 1, stop);
		at = stop + 1;
	}
	return Object.assign(new Error(fields["M"] ?? "the server failed"), {
		code: fields["C"] ?? "XX000",
		severity: fields["S"] ?? "ERROR",
	});
}
