import { Socket } from "node:net";

const READ_BYTES = 128 << 10;
const HEADER_BYTES = 4;
const PARTIAL_BYTES = 64 << 10;
/** Memory that one huge row took is given back. */
const PARTIAL_BYTES_KEPT_MAX = 4 << 20;
/** A packet of this length is a part: mysql2 keeps it until the last part has come. */
const PART_BYTES = 0xffffff;

/**
 * A socket that reads into one buffer again and again and tells `data` in whole packets. Node allocates 64 KiB for each
 * read otherwise, which for a big table costs a tenth of all CPU in garbage collection. TLS does not read by it.
 * https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_packets.html
 */
export class PacketSocket extends Socket {
	/** Whether listeners are done with packets when they return; until then each `data` is a copy. */
	reuse = false;
	#partial: Buffer = Buffer.allocUnsafeSlow(PARTIAL_BYTES);
	#partialLength = 0;

	constructor() {
		const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
		let take = (_bytes: number): void => {};
		super({
			onread: {
				buffer,
				callback: (bytes) => {
					take(bytes);
					return true;
				},
			},
		});
		take = (bytes) => this.#take(buffer.subarray(0, bytes));
	}

	#take(chunk: Buffer): void {
		const start = this.#partialLength > 0 ? this.#complete(chunk) : 0;
		if (start < 0) return;
		const end = chunk.length;
		let offset = start;
		while (end - offset >= HEADER_BYTES) {
			const next = offset + HEADER_BYTES + lengthAt(chunk, offset);
			if (next > end) break;
			offset = next;
		}
		// What comes last is kept first: a listener may cut the connection.
		if (offset < end) {
			this.#grow(end - offset, end - offset);
			chunk.copy(this.#partial, 0, offset, end);
			this.#partialLength = end - offset;
		}
		if (offset > start) this.#tell(chunk.subarray(start, offset), this.reuse);
	}

	/** Adds to the packet that was cut; gives where the next one begins, or -1 when the chunk is used up. */
	#complete(chunk: Buffer): number {
		let offset = 0;
		while (this.#partialLength < HEADER_BYTES && offset < chunk.length)
			this.#partial[this.#partialLength++] = chunk[offset++]!;
		if (this.#partialLength < HEADER_BYTES) return -1;
		const length = lengthAt(this.#partial, 0);
		const total = HEADER_BYTES + length;
		const taken = Math.min(total - this.#partialLength, chunk.length - offset);
		this.#grow(this.#partialLength + taken, total);
		chunk.copy(this.#partial, this.#partialLength, offset, offset + taken);
		this.#partialLength += taken;
		if (this.#partialLength < total) return -1;
		const packet = this.#partial.subarray(0, total);
		this.#partialLength = 0;
		if (length === PART_BYTES || this.#partial.length > PARTIAL_BYTES_KEPT_MAX) {
			this.#partial = Buffer.allocUnsafeSlow(PARTIAL_BYTES);
			this.#tell(packet, true);
		} else this.#tell(packet, this.reuse);
		return offset + taken;
	}

	#tell(packets: Buffer, asItIs: boolean): void {
		this.emit("data", asItIs ? packets : Buffer.from(packets));
	}

	/** Doubles, so that a packet of many reads is copied a bounded number of times, but never beyond the packet. */
	#grow(needed: number, total: number): void {
		if (needed <= this.#partial.length) return;
		const size = Math.max(needed, Math.min(total, this.#partial.length * 2));
		const grown = Buffer.allocUnsafeSlow(size);
		this.#partial.copy(grown, 0, 0, this.#partialLength);
		this.#partial = grown;
	}
}

function lengthAt(buffer: Buffer, offset: number): number {
	return buffer[offset]! | (buffer[offset + 1]! << 8) | (buffer[offset + 2]! << 16);
}
