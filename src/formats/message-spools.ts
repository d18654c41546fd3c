import { randomUUID } from "node:crypto";
import { closeSync, openSync, readSync, unlinkSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { HeadraceError } from "../core/index.ts";

const CHUNK_BYTES = 256 << 10;
/** Bytes of transactions in progress that are kept in memory, all together, before they go to the disk. */
const MEMORY_BYTES_MAX = 16 << 20;
const LENGTH_BYTES = 4;
const SPACE = new Set(["ENOSPC", "EFBIG", "EDQUOT"]);

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
	current: Buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
	used = 0;
	file: number | null = null;
	fileBytes = 0;
	memoryBytes = 0;
}

export interface MessageSpoolsOptions {
	readonly memoryBytesMax?: number;
	readonly folder?: string;
}

/**
 * Messages of a log whose transactions are not committed yet, by a key of each transaction. They stay in memory up to a
 * bound, then in a file that has no name any more: a process that dies leaves nothing behind. What is read back is proved
 * by its checksum.
 */
export class MessageSpools<Key> {
	readonly #spools = new Map<Key, Spool>();
	readonly #memoryBytesMax: number;
	readonly #folder: string;
	#memoryBytes = 0;

	constructor(options: MessageSpoolsOptions = {}) {
		this.#memoryBytesMax = options.memoryBytesMax ?? MEMORY_BYTES_MAX;
		this.#folder = options.folder ?? tmpdir();
	}

	/** Bytes of messages on the disk. */
	get fileBytes(): number {
		let bytes = 0;
		for (const spool of this.#spools.values()) bytes += spool.fileBytes;
		return bytes;
	}

	has(key: Key): boolean {
		return this.#spools.has(key);
	}

	begin(key: Key): void {
		if (!this.#spools.has(key)) this.#spools.set(key, new Spool());
	}

	/**
	 * Adds a message, [start, end) of `bytes`.
	 * @throws E_CORRUPT_EVENT for a transaction that has not begun, E_NO_SPACE
	 */
	append(key: Key, bytes: Buffer, start: number, end: number): void {
		const spool = this.#spools.get(key);
		if (spool === undefined)
			throw new HeadraceError("E_CORRUPT_EVENT", "the change log has a part of a transaction that has not begun");
		const size = LENGTH_BYTES + end - start;
		if (spool.used + size > spool.current.length) {
			this.#seal(spool);
			if (size > CHUNK_BYTES) spool.current = Buffer.allocUnsafeSlow(size);
		}
		spool.current.writeUInt32BE(end - start, spool.used);
		bytes.copy(spool.current, spool.used + LENGTH_BYTES, start, end);
		spool.used += size;
		// A large one need not wait in memory for the next.
		if (spool.used >= CHUNK_BYTES) this.#seal(spool);
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
		try {
			this.#store(largest);
		} catch (error) {
			const { code = "", message } = error as NodeJS.ErrnoException;
			const about = `a transaction that is not committed yet can't be kept in ${this.#folder}`;
			if (SPACE.has(code)) throw new HeadraceError("E_NO_SPACE", `no space left: ${about}`, { cause: error });
			throw new HeadraceError("E_STATE", `${about}: ${message}`, { cause: error });
		}
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

	drop(key: Key): void {
		const spool = this.#spools.get(key);
		if (spool === undefined) return;
		this.#spools.delete(key);
		this.#memoryBytes -= spool.memoryBytes;
		if (spool.file !== null) closeSync(spool.file);
	}

	close(): void {
		for (const key of [...this.#spools.keys()]) this.drop(key);
	}

	/**
	 * The messages of a transaction, each behind its length in 4 bytes, highest first; in pieces of memory that are not
	 * used again. Gone afterwards.
	 * @throws E_CORRUPT_FILE
	 */
	*take(key: Key): Generator<Buffer, void, undefined> {
		const spool = this.#spools.get(key);
		if (spool === undefined) return;
		try {
			this.#seal(spool);
			for (const chunk of spool.chunks) {
				const bytes = chunk.bytes ?? readChunk(spool.file!, chunk);
				if (crc32(bytes) !== chunk.crc) throw otherwise();
				yield bytes;
			}
		} finally {
			this.drop(key);
		}
	}
}

/** What a disk gave back is not what it was given. */
export function otherwise(): HeadraceError {
	return new HeadraceError("E_CORRUPT_FILE", "changes that were kept on the disk came back otherwise", {
		hint: "Run again; if it happens again, the disk or its memory is not to be trusted.",
	});
}

function readChunk(file: number, { length, offset }: Chunk): Buffer {
	const bytes = Buffer.allocUnsafeSlow(length);
	for (let done = 0; done < length; ) {
		const read = readSync(file, bytes, done, length - done, offset + done);
		if (read === 0) throw otherwise();
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
