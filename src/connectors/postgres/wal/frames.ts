import { corrupt } from "./bytes.ts";

const HEADER_BYTES = 5;
/** A message is below 1 GiB: PostgreSQL's MaxAllocSize. Anything above is not a PostgreSQL server speaking. */
const MESSAGE_BYTES_MAX = 0x40000100;

/**
 * Cuts what came from the socket into the protocol's messages. A message that lies whole in one piece is given where
 * it lies; one that spans pieces is put together in a buffer that grows with what has come, not with what is claimed.
 */
export class FrameCutter {
	/** The message that `next` found: its type, and its body [start, end) of `bytes`. */
	type = 0;
	bytes: Buffer = Buffer.alloc(0);
	start = 0;
	end = 0;
	#piece: Buffer = Buffer.alloc(0);
	#at = 0;
	#partial: Buffer[] = [];
	#partialBytes = 0;

	/** Only when `next` has found no more. */
	feed(piece: Buffer): void {
		if (this.#partialBytes === 0) {
			this.#piece = piece;
			this.#at = 0;
			return;
		}
		this.#partial.push(piece);
		this.#partialBytes += piece.length;
		if (this.#partialBytes < this.#needed()) return;
		this.#piece = Buffer.concat(this.#partial, this.#partialBytes);
		this.#at = 0;
		this.#partial = [];
		this.#partialBytes = 0;
	}

	/** Bytes that the message which was cut has, its header included; the header alone as long as that is not there. */
	#needed(): number {
		const [first] = this.#partial;
		if (first !== undefined && first.length >= HEADER_BYTES) return 1 + lengthOf(first, 0);
		if (this.#partialBytes < HEADER_BYTES) return HEADER_BYTES;
		this.#partial = [Buffer.concat(this.#partial, this.#partialBytes)];
		return 1 + lengthOf(this.#partial[0]!, 0);
	}

	/** Whether another whole message has come. */
	next(): boolean {
		if (this.#partialBytes > 0) return false;
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
		this.#partial = [at === 0 ? piece : piece.subarray(at)];
		this.#partialBytes = left;
		this.#at = piece.length;
		return false;
	}
}

function lengthOf(bytes: Buffer, at: number): number {
	const length = bytes.readUInt32BE(at + 1);
	if (length < 4 || length > MESSAGE_BYTES_MAX) throw corrupt("a message of an impossible length");
	return length;
}
