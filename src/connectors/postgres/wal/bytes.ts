import { HeadraceError } from "../../../core/index.ts";

/** The server sent something that is not in the form of pgoutput: a fault of the way or of a server that is not one. */
export function corrupt(what: string): HeadraceError {
	return new HeadraceError("E_CORRUPT_EVENT", `the change log has ${what}`);
}

/** Reads numbers and names of one message, in order. */
export class MessageReader {
	readonly bytes: Buffer;
	at: number;
	readonly end: number;

	constructor(bytes: Buffer, start: number, end: number) {
		this.bytes = bytes;
		this.at = start;
		this.end = end;
	}

	#take(count: number): number {
		const at = this.at;
		if (at + count > this.end) throw corrupt("a message that ends too early");
		this.at = at + count;
		return at;
	}

	uint8(): number {
		return this.bytes[this.#take(1)]!;
	}

	uint16(): number {
		return this.bytes.readUInt16BE(this.#take(2));
	}

	int32(): number {
		return this.bytes.readInt32BE(this.#take(4));
	}

	uint32(): number {
		return this.bytes.readUInt32BE(this.#take(4));
	}

	uint64(): bigint {
		return this.bytes.readBigUInt64BE(this.#take(8));
	}

	int64(): bigint {
		return this.bytes.readBigInt64BE(this.#take(8));
	}

	/** Text that ends with a NUL. */
	text(): string {
		const end = this.bytes.indexOf(0, this.at);
		if (end < 0 || end >= this.end) throw corrupt("a name without an end");
		const text = this.bytes.toString("utf8", this.at, end);
		this.at = end + 1;
		return text;
	}
}
