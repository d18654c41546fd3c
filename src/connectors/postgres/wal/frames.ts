import { corrupt } from "./bytes.ts";

const HEADER_BYTES = 5;
/** A message is below 1 GiB: PostgreSQL's MaxAllocSize. Anything above is not a PostgreSQL server speaking. */
const MESSAGE_BYTES_MAX = 0x40000100;

const EMPTY = Buffer.alloc(0);

/**
 * Cuts what came from the socket into the protocol's messages. A message that lies whole in one piece is given where
 * it lies; one that spans pieces is put together in a buffer that grows with what has come, not with what is claimed.
 */
export class FrameCutter {
	/** The message that `next` found: its type, and its body [start, end) of `bytes`. */
	type = 0;
	bytes: Buffer = EMPTY;
	start = 0;
	end = 0;
	#piece: Buffer = EMPTY;
	#at = 0;
	/** The begin of a message that was cut, in pieces. */
	#cut: Buffer[] = [];
	#cutBytes = 0;
	/** What follows such a message in the piece that completed it. */
	#rest: Buffer | null = null;

	/** Whether nothing but the last piece is looked into. */
	get isSettled(): boolean {
		return this.#cut.length <= 1;
	}

	/** Only when `next` has found no more. */
	feed(piece: Buffer): void {
		if (this.#cutBytes === 0) {
			this.#piece = piece;
			this.#at = 0;
			return;
		}
		let from = 0;
		const take = (wanted: number): boolean => {
			const end = Math.min(piece.length, from + wanted - this.#cutBytes);
			this.#cut.push(piece.subarray(from, end));
			this.#cutBytes += end - from;
			from = end;
			return this.#cutBytes === wanted;
		};
		if (this.#cutBytes < HEADER_BYTES) {
			if (!take(HEADER_BYTES)) return;
			this.#cut = [Buffer.concat(this.#cut)];
		}
		if (!take(1 + lengthOf(this.#cut[0]!, 0))) return;
		this.#piece = Buffer.concat(this.#cut);
		this.#at = 0;
		this.#rest = piece.subarray(from);
		this.#cut = [];
		this.#cutBytes = 0;
	}

	/** Whether another whole message has come. */
	next(): boolean {
		if (this.#cutBytes > 0) return false;
		if (this.#at === this.#piece.length && this.#rest !== null) {
			this.#piece = this.#rest;
			this.#at = 0;
			this.#rest = null;
		}
		const piece = this.#piece;
		const at = this.#at;
		const left = piece.length - at;
		if (left === 0) return false;
		if (left >= HEADER_BYTES) {
			const length = lengthOf(piece, at);
			if (left > length) {
				this.type = piece[at]!;
				this.bytes = piece;
				this.start = at + HEADER_BYTES;
				this.end = at + 1 + length;
				this.#at = this.end;
				return true;
			}
		}
		this.#cut = [piece.subarray(at)];
		this.#cutBytes = left;
		this.#at = piece.length;
		return false;
	}
}

function lengthOf(bytes: Buffer, at: number): number {
	const length = bytes.readUInt32BE(at + 1);
	if (length < 4 || length > MESSAGE_BYTES_MAX) throw corrupt("a message of an impossible length");
	return length;
}
