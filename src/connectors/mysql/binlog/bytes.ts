import { HeadraceError } from "../../../core/index.ts";

/** A piece of the log whose lengths don't add up: never guessed at. */
export function corrupt(what: string): HeadraceError {
	return new HeadraceError("E_CORRUPT_EVENT", `the change log has ${what}`);
}

/**
 * Reads forward through the bytes [at, end) of a packet; every step is checked against its end.
 * @throws E_CORRUPT_EVENT
 */
export class ByteReader {
	readonly bytes: Buffer;
	at: number;
	readonly end: number;
	readonly #what: string;

	constructor(bytes: Buffer, start: number, end: number, what: string) {
		this.bytes = bytes;
		this.at = start;
		this.end = end;
		this.#what = what;
	}

	get left(): number {
		return this.end - this.at;
	}

	/** Moves over `count` bytes and gives where they began. */
	skip(count: number): number {
		const from = this.at;
		if (!(count >= 0 && count <= this.end - from)) throw corrupt(`${this.#what} that ends too early`);
		this.at = from + count;
		return from;
	}

	uint8(): number {
		return this.bytes[this.skip(1)]!;
	}

	/** Little-endian, up to 6 bytes. */
	uint(size: number): number {
		return this.bytes.readUIntLE(this.skip(size), size);
	}

	uint64(): bigint {
		return this.bytes.readBigUInt64LE(this.skip(8));
	}

	/** https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_dt_integers.html#sect_protocol_basic_dt_int_le */
	lengthEncoded(): number {
		const first = this.uint8();
		if (first < 251) return first;
		if (first === 252) return this.uint(2);
		if (first === 253) return this.uint(3);
		if (first !== 254) throw corrupt(`${this.#what} with a broken length`);
		const value = this.uint64();
		if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw corrupt(`${this.#what} with a length beyond all memory`);
		return Number(value);
	}

	slice(count: number): Buffer {
		const from = this.skip(count);
		return this.bytes.subarray(from, from + count);
	}

	text(count: number): string {
		const from = this.skip(count);
		return this.bytes.toString("utf8", from, from + count);
	}
}
