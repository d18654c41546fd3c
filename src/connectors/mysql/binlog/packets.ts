import { HeadraceError } from "../../../core/index.ts";
import { INFLATED_BYTES_MAX } from "./inflate.ts";

const HEADER_BYTES = 4;
/** A packet of this length is a part, and another one follows. */
const PART_BYTES = 0xffffff;
/** The most that a server may send as one event, and the packets' own bytes. */
const PAYLOAD_BYTES_MAX = INFLATED_BYTES_MAX + (1 << 20);

/**
 * Cuts what a socket gave, in pieces of any length, into the payloads of packets. A payload is a range of the piece that
 * it came in, or of a new buffer when it came in several.
 * https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_packets.html
 */
export class PacketCutter {
	/** The payload that `next` found is [start, end) of these bytes. */
	bytes: Buffer = Buffer.alloc(0);
	start = 0;
	end = 0;
	#piece: Buffer = Buffer.alloc(0);
	#at = 0;
	#held: Buffer[] = [];
	#heldBytes = 0;
	#wantedBytes = 0;
	#parts: Buffer[] = [];
	#partsBytes = 0;

	/** Takes the next piece; the one before must have been used up. */
	feed(piece: Buffer): void {
		if (this.#heldBytes === 0) {
			this.#piece = piece;
			this.#at = 0;
			return;
		}
		this.#held.push(piece);
		this.#heldBytes += piece.length;
		if (this.#heldBytes < this.#wantedBytes) return;
		this.#piece = Buffer.concat(this.#held, this.#heldBytes);
		this.#at = 0;
		this.#held = [];
		this.#heldBytes = 0;
	}

	/**
	 * Whether there is another whole payload in what was fed.
	 * @throws E_TOO_LARGE
	 */
	next(): boolean {
		if (this.#heldBytes > 0) return false;
		while (true) {
			const piece = this.#piece;
			const at = this.#at;
			const left = piece.length - at;
			if (left < HEADER_BYTES) return this.#hold(HEADER_BYTES);
			const length = piece[at]! | (piece[at + 1]! << 8) | (piece[at + 2]! << 16);
			if (left < HEADER_BYTES + length) return this.#hold(HEADER_BYTES + length);
			const start = at + HEADER_BYTES;
			const end = start + length;
			this.#at = end;
			if (length < PART_BYTES && this.#parts.length === 0) {
				this.bytes = piece;
				this.start = start;
				this.end = end;
				return true;
			}
			this.#parts.push(piece.subarray(start, end));
			this.#partsBytes += length;
			if (this.#partsBytes > PAYLOAD_BYTES_MAX)
				throw new HeadraceError("E_TOO_LARGE", "the server sends an event of over 1 GiB");
			if (length === PART_BYTES) continue;
			this.bytes = Buffer.concat(this.#parts, this.#partsBytes);
			this.start = 0;
			this.end = this.#partsBytes;
			this.#parts = [];
			this.#partsBytes = 0;
			return true;
		}
	}

	#hold(wantedBytes: number): false {
		const rest = this.#piece.subarray(this.#at);
		this.#held = rest.length === 0 ? [] : [rest];
		this.#heldBytes = rest.length;
		this.#wantedBytes = wantedBytes;
		this.#piece = Buffer.alloc(0);
		this.#at = 0;
		return false;
	}
}
