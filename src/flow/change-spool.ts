import { randomUUID } from "node:crypto";
import { type FileHandle, open, unlink } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { Batch, BatchPool, type ChangedRows, Column, type Field, HeadraceError } from "../core/index.ts";

/** Where changes lie that were written to the disk. */
export interface Spooled {
	readonly table: ChangedRows["table"];
	readonly fields: readonly Field[];
	readonly rowCount: number;
	/** Whether some rows don't tell some columns, by the column's place; absent when all tell all. */
	readonly absent?: readonly boolean[];
	readonly offset: number;
	readonly length: number;
	readonly crc32: number;
}

const SPACE = new Set(["ENOSPC", "EFBIG", "EDQUOT"]);

/**
 * Changes of transactions that are larger than memory, in a file that has no name any more: a process that dies leaves
 * nothing behind. What is read back is proved by its checksum.
 */
export class ChangeSpool implements AsyncDisposable {
	readonly #folder: string;
	/** Batches that were read back and released are used again, whichever part of a table they are of. */
	readonly #pools = new Map<ChangedRows["table"], BatchPool>();
	#file: FileHandle | null = null;
	#length = 0;
	/** What is being written: used again each time, since garbage of this size outgrows what is held. */
	#room: Buffer = Buffer.alloc(0);

	constructor(folder: string) {
		this.#folder = folder;
	}

	get isEmpty(): boolean {
		return this.#length === 0;
	}

	/** Writes changes and releases their batch. @throws E_NO_SPACE */
	async write(rows: ChangedRows): Promise<Spooled> {
		const { batch, table, operations, transactions, absent } = rows;
		const { rowCount } = batch;
		const parts: Uint8Array[] = [operations.subarray(0, rowCount), bytesOf(transactions.subarray(0, rowCount))];
		for (const column of batch.columns) {
			parts.push(bytesOf(Uint32Array.of(column.nullCount, column.heapLength, flagsOf(column), column.changedCount)));
			parts.push(column.validity.subarray(0, bitmapLength(rowCount)));
			parts.push(column.u8.subarray(0, rowCount * column.width));
			parts.push(column.heap.subarray(0, column.heapLength));
		}
		for (const bits of absent ?? []) if (bits !== null) parts.push(bits.subarray(0, bitmapLength(rowCount)));
		const bytes = this.#joined(parts);
		const spooled: Spooled = {
			table,
			fields: batch.columns.map(({ name, type }) => ({ name, type, nullable: true })),
			rowCount,
			...(absent === undefined ? {} : { absent: absent.map((bits) => bits !== null) }),
			offset: this.#length,
			length: bytes.length,
			crc32: crc32(bytes),
		};
		batch.release();
		try {
			this.#file ??= await this.#open();
			await this.#file.write(bytes, 0, bytes.length, this.#length);
		} catch (error) {
			const { code = "", message } = error as NodeJS.ErrnoException;
			const about = `a large transaction can't be kept in ${this.#folder}`;
			if (SPACE.has(code)) throw new HeadraceError("E_NO_SPACE", `no space left: ${about}`, { cause: error });
			throw new HeadraceError("E_STATE", `${about}: ${message}`, { cause: error });
		}
		this.#length += bytes.length;
		return spooled;
	}

	#joined(parts: readonly Uint8Array[]): Buffer {
		const length = parts.reduce((sum, part) => sum + part.length, 0);
		if (this.#room.length < length) this.#room = Buffer.allocUnsafeSlow(2 * length);
		let at = 0;
		for (const part of parts) {
			this.#room.set(part, at);
			at += part.length;
		}
		return this.#room.subarray(0, length);
	}

	/** Reads changes back, one after the other, by way of memory that is used again. */
	async *read(all: readonly Spooled[]): AsyncGenerator<ChangedRows, void, undefined> {
		const room = Buffer.allocUnsafeSlow(Math.max(0, ...all.map(({ length }) => length)));
		for (const spooled of all) yield await this.#readOne(spooled, room.subarray(0, spooled.length));
	}

	#batch({ table, fields, rowCount }: Spooled): Batch {
		let pool = this.#pools.get(table);
		if (pool === undefined) {
			pool = new BatchPool(fields);
			this.#pools.set(table, pool);
		}
		if (rowCount <= pool.capacity) return pool.take();
		const capacity = Math.ceil(rowCount / 64) * 64;
		return new Batch(
			fields.map(({ name, type }) => new Column(name, type, capacity)),
			null,
		);
	}

	async #readOne(spooled: Spooled, bytes: Buffer): Promise<ChangedRows> {
		const { rowCount, offset, length, table } = spooled;
		const { bytesRead } = await this.#file!.read(bytes, 0, length, offset);
		if (bytesRead !== length || crc32(bytes) !== spooled.crc32)
			throw new HeadraceError("E_CORRUPT_FILE", "changes that were kept on the disk came back otherwise", {
				hint: "Run again; if it happens again, the disk or its memory is not to be trusted.",
			});
		let at = 0;
		const next = (size: number) => {
			at += size;
			return bytes.subarray(at - size, at);
		};
		const operations = new Uint8Array(next(rowCount));
		const transactions = wordsOf(next(4 * rowCount));
		const batch = this.#batch(spooled);
		for (const column of batch.columns) {
			const [nullCount, heapLength, flags, changedCount] = wordsOf(next(16));
			column.nullCount = nullCount!;
			column.changedCount = changedCount!;
			column.validity.set(next(bitmapLength(rowCount)));
			column.u8.set(next(rowCount * column.width));
			if (heapLength! > 0) column.reserve(heapLength!).set(next(heapLength!));
			column.heapLength = heapLength!;
			column.heapSuspect = (flags! & 1) === 1;
			column.inlineNotAscii = (flags! & 2) === 2;
		}
		batch.rowCount = rowCount;
		const absent = spooled.absent?.map((has) => (has ? new Uint8Array(next(bitmapLength(rowCount))) : null));
		const rows = { kind: "rows" as const, table, batch, operations, transactions };
		return absent === undefined ? rows : { ...rows, absent };
	}

	async #open(): Promise<FileHandle> {
		const path = join(this.#folder, `changes-${randomUUID()}`);
		const file = await open(path, "wx+", 0o600);
		await unlink(path);
		return file;
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.#file?.close();
		this.#file = null;
	}
}

function bitmapLength(rowCount: number): number {
	return Math.ceil(rowCount / 8);
}

function flagsOf(column: Column): number {
	return (column.heapSuspect ? 1 : 0) | (column.inlineNotAscii ? 2 : 0);
}

function bytesOf(words: Uint32Array): Uint8Array {
	return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
}

function wordsOf(bytes: Buffer): Uint32Array {
	return new Uint32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
}
