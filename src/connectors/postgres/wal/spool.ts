import { randomUUID } from "node:crypto";
import { closeSync, openSync, readSync, unlinkSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { corrupt } from "./bytes.ts";

const CHUNK_BYTES = 256 << 10;
/** Bytes of transactions in progress that are kept in memory, all together, before they go to the disk. */
const MEMORY_BYTES_MAX = 16 << 20;
const LENGTH_BYTES = 4;

interface Chunk {
	/** Null once it is on the disk. */
	bytes: Buffer | null;
	readonly length: number;
	readonly crc: number;
	offset: number;
}

/** The messages of one transaction that is not committed yet, in their order. */
class Spool {
	readonly chunks: Chunk[] = [];
	/** Subtransactions that were rolled back: what they did is left out. */
	readonly aborted = new Set<number>();
	current: Buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
	used = 0;
	file: number | null = null;
	fileBytes = 0;
	memoryBytes = 0;
}

export interface SpoolOptions {
	readonly memoryBytesMax?: number;
	readonly folder?: string;
}

/**
 * Transactions that the server sends while they are in progress. They stay in memory up to a bound, then in a file that
 * has no name any more: a process that dies leaves nothing behind. What is read back is proved by its checksum.
 */
export class Spools {
	readonly #spools = new Map<number, Spool>();
	readonly #memoryBytesMax: number;
	readonly #folder: string;
	#memoryBytes = 0;

	constructor(options: SpoolOptions = {}) {
		this.#memoryBytesMax = options.memoryBytesMax ?? MEMORY_BYTES_MAX;
		this.#folder = options.folder ?? tmpdir();
	}

	/** Bytes of messages on the disk. */
	get fileBytes(): number {
		let bytes = 0;
		for (const spool of this.#spools.values()) bytes += spool.fileBytes;
		return bytes;
	}

	begin(transaction: number): void {
		if (!this.#spools.has(transaction)) this.#spools.set(transaction, new Spool());
	}

	/** Adds a message, [start, end) of `bytes`. */
	append(transaction: number, bytes: Buffer, start: number, end: number): void {
		const spool = this.#spools.get(transaction);
		if (spool === undefined) throw corrupt("a part of a transaction that has not begun");
		const size = LENGTH_BYTES + end - start;
		if (spool.used + size > spool.current.length) {
			this.#seal(spool);
			if (size > CHUNK_BYTES) spool.current = Buffer.allocUnsafeSlow(size);
		}
		spool.current.writeUInt32BE(end - start, spool.used);
		bytes.copy(spool.current, spool.used + LENGTH_BYTES, start, end);
		spool.used += size;
	}

	#seal(spool: Spool): void {
		if (spool.used === 0) return;
		const bytes = spool.current.subarray(0, spool.used);
		spool.chunks.push({ bytes, length: spool.used, crc: crc32(bytes), offset: 0 });
		spool.memoryBytes += spool.used;
		this.#memoryBytes += spool.used;
		spool.current = Buffer.allocUnsafeSlow(CHUNK_BYTES);
		spool.used = 0;
		if (this.#memoryBytes <= this.#memoryBytesMax) return;
		let largest = spool;
		for (const other of this.#spools.values()) if (other.memoryBytes > largest.memoryBytes) largest = other;
		this.#store(largest);
	}

	#store(spool: Spool): void {
		spool.file ??= openUnnamed(this.#folder);
		for (const chunk of spool.chunks) {
			if (chunk.bytes === null) continue;
			chunk.offset = spool.fileBytes;
			for (let done = 0; done < chunk.length; )
				done += writeSync(spool.file, chunk.bytes, done, chunk.length - done, chunk.offset + done);
			spool.fileBytes += chunk.length;
			this.#memoryBytes -= chunk.length;
			chunk.bytes = null;
		}
		spool.memoryBytes = 0;
	}

	abort(transaction: number, subtransaction: number): void {
		if (transaction === subtransaction) this.drop(transaction);
		else this.#spools.get(transaction)?.aborted.add(subtransaction);
	}

	drop(transaction: number): void {
		const spool = this.#spools.get(transaction);
		if (spool === undefined) return;
		this.#spools.delete(transaction);
		this.#memoryBytes -= spool.memoryBytes;
		if (spool.file !== null) closeSync(spool.file);
	}

	close(): void {
		for (const transaction of [...this.#spools.keys()]) this.drop(transaction);
	}

	/**
	 * The messages of a transaction, in pieces of memory that are not used again, and the subtransactions whose rows are
	 * to be left out. Gone afterwards.
	 */
	*take(
		transaction: number,
	): Generator<{ readonly bytes: Buffer; readonly aborted: ReadonlySet<number> }, void, undefined> {
		const spool = this.#spools.get(transaction);
		if (spool === undefined) return;
		try {
			this.#seal(spool);
			for (const chunk of spool.chunks) {
				const bytes = chunk.bytes ?? readChunk(spool.file!, chunk);
				if (crc32(bytes) !== chunk.crc) throw corrupt("a part that did not come back from the disk as it was");
				yield { bytes, aborted: spool.aborted };
			}
		} finally {
			this.drop(transaction);
		}
	}
}

function readChunk(file: number, { length, offset }: Chunk): Buffer {
	const bytes = Buffer.allocUnsafeSlow(length);
	for (let done = 0; done < length; ) {
		const read = readSync(file, bytes, done, length - done, offset + done);
		if (read === 0) throw corrupt("a part that is not on the disk any more");
		done += read;
	}
	return bytes;
}

/** Rows of the source lie in it: nobody else may open it. */
function openUnnamed(folder: string): number {
	const path = join(folder, `headrace-${randomUUID()}.spool`);
	const file = openSync(path, "wx+", 0o600);
	unlinkSync(path);
	return file;
}
