import {
	BATCH_HEAP_BYTES_MAX,
	type Batch,
	BatchPool,
	type BeforeImages,
	type ChangedRows,
	ChangeOperation,
	HeadraceError,
	qualified,
	type TypePolicy,
} from "../../../core/index.ts";
import type { Decode } from "../decode.ts";
import { checkUtf8 } from "../decode-bytes.ts";
import { needsUtf8Check } from "../decoders.ts";
import { decoderOf } from "../row-decoder.ts";
import { corrupt } from "./bytes.ts";
import type { Layout } from "./layout.ts";

/** Images whose field positions are kept before they are decoded, unless the row is very wide. */
const PENDING_ROWS_MAX = 1024;
/** Positions kept: two 4-byte numbers a field. */
const PENDING_FIELDS_MAX = 1 << 18;
/** Bytes of images that wait for being decoded, so that the heap bound of a batch is kept nearly. */
const PENDING_BYTES_MAX = 1 << 18;
const NULL = -1;
/** The image does not tell the column. */
const ABSENT = -2;

/** What an event of rows does. */
export type RowsKind = "insert" | "update" | "delete";

/** A range of an event's bytes with images, and which columns they have: bitmaps, lowest bit first. */
export interface RowImagesEvent {
	readonly kind: RowsKind;
	readonly bytes: Buffer;
	readonly start: number;
	readonly end: number;
	/** Of the image before, or the only one. */
	readonly present: Uint8Array;
	/** Of an update's image after. */
	readonly presentAfter: Uint8Array;
	/** See ChangedRows.transactions. */
	readonly transaction: number;
}

/**
 * The images of one table's rows into batches. As in RowDecoder, positions are noted image by image, and decoded
 * column by column once the buffer that they lie in comes to its end.
 */
export class RowImages {
	readonly layout: Layout;
	readonly #before: BeforeImages;
	readonly #policy: TypePolicy;
	readonly #emit: (rows: ChangedRows) => void;
	readonly #pool: BatchPool;
	readonly #decodes: readonly Decode[];
	readonly #texts: readonly number[];
	readonly #width: number;
	readonly #keys: Int32Array;
	/** Images that fit the position arrays; field c of image r is at c * capacity + r. */
	readonly #capacity: number;
	readonly #offsets: Int32Array;
	readonly #lengths: Int32Array;
	readonly #operations: Uint8Array;
	readonly #transactions: Uint32Array;
	#pending = 0;
	#pendingBytes = 0;
	#buffer: Buffer | null = null;
	#someAbsent = false;
	#batch: Batch | null = null;
	#batchOperations: Uint8Array;
	#batchTransactions: Uint32Array;
	#absent: (Uint8Array | null)[] | null = null;

	constructor(layout: Layout, before: BeforeImages, policy: TypePolicy, emit: (rows: ChangedRows) => void) {
		const { columns } = layout.table;
		this.layout = layout;
		this.#before = before;
		this.#policy = policy;
		this.#emit = emit;
		this.#pool = new BatchPool(columns);
		this.#decodes = layout.decodes;
		this.#width = columns.length;
		this.#texts = [...columns.keys()].filter((index) =>
			needsUtf8Check(decoderOf(columns[index]!), columns[index]!.type),
		);
		// Without a key a row is known by all that it holds.
		const key = layout.table.primaryKey.length > 0 ? layout.table.primaryKey : columns.map((column) => column.name);
		this.#keys = Int32Array.from(key, (name) => columns.findIndex((column) => column.name === name)).filter(
			(index) => index >= 0,
		);
		this.#capacity = Math.max(16, Math.min(PENDING_ROWS_MAX, Math.floor(PENDING_FIELDS_MAX / this.#width)));
		this.#offsets = new Int32Array(this.#capacity * this.#width);
		this.#lengths = new Int32Array(this.#capacity * this.#width);
		this.#operations = new Uint8Array(this.#capacity);
		this.#transactions = new Uint32Array(this.#capacity);
		this.#batchOperations = new Uint8Array(0);
		this.#batchTransactions = new Uint32Array(0);
	}

	/** Bytes that the batch which is being filled holds. */
	get heldBytes(): number {
		return this.#batch?.heldBytes ?? 0;
	}

	/**
	 * Takes the rows of an event; gives how many.
	 * @throws E_CORRUPT_EVENT; E_VALUE, E_ENCODING by policy
	 */
	take(event: RowImagesEvent): number {
		const { bytes, kind, start, end, transaction } = event;
		if (bytes !== this.#buffer) {
			this.#decodePending();
			this.#buffer = bytes;
		}
		let at = start;
		let count = 0;
		while (at < end) {
			// An update takes two.
			if (this.#pending + 2 > this.#capacity || this.#pendingBytes >= PENDING_BYTES_MAX) this.#decodePending();
			const from = at;
			const slot = this.#pending;
			at = this.#scan(bytes, at, end, event.present, slot);
			if (kind === "update") {
				at = this.#scan(bytes, at, end, event.presentAfter, slot + 1);
				this.#keepUpdate(bytes, slot, transaction);
			} else this.#keep(slot, kind === "insert" ? ChangeOperation.insert : ChangeOperation.delete, transaction);
			// Images of no columns would go on for ever.
			if (at === from) throw corrupt("a row without columns");
			this.#pendingBytes += at - from;
			count++;
		}
		return count;
	}

	#keep(slot: number, operation: ChangeOperation, transaction: number): void {
		this.#operations[slot] = operation;
		this.#transactions[slot] = transaction;
		this.#pending = slot + 1;
	}

	/** The image after comes with the one before it when that is wanted. */
	#keepUpdate(bytes: Buffer, slot: number, transaction: number): void {
		const offsets = this.#offsets;
		const lengths = this.#lengths;
		const capacity = this.#capacity;
		if (this.#someAbsent)
			for (let field = 0, before = slot; field < this.#width; field++, before += capacity)
				if (lengths[before + 1] === ABSENT) {
					// What an update does not tell is as it was.
					lengths[before + 1] = lengths[before]!;
					offsets[before + 1] = offsets[before]!;
				}
		if (this.#before === "all" || this.#keyChanged(bytes, slot)) {
			this.#keep(slot, ChangeOperation.before, transaction);
			this.#keep(slot + 1, ChangeOperation.update, transaction);
			return;
		}
		for (let field = 0, before = slot; field < this.#width; field++, before += capacity) {
			offsets[before] = offsets[before + 1]!;
			lengths[before] = lengths[before + 1]!;
		}
		this.#keep(slot, ChangeOperation.update, transaction);
	}

	/** Whether the bytes of the key differ: also where the source's collation holds them equal. */
	#keyChanged(bytes: Buffer, slot: number): boolean {
		for (const field of this.#keys) {
			const before = field * this.#capacity + slot;
			const length = this.#lengths[before]!;
			if (length !== this.#lengths[before + 1]) return true;
			const from = this.#offsets[before]!;
			const to = this.#offsets[before + 1]!;
			for (let i = 0; i < length; i++) if (bytes[from + i] !== bytes[to + i]) return true;
		}
		return false;
	}

	/** Notes where the fields of an image lie; gives where the next image begins. */
	#scan(bytes: Buffer, start: number, end: number, present: Uint8Array, slot: number): number {
		const { targets, fixedBytes, lengthBytes } = this.layout;
		const offsets = this.#offsets;
		const lengths = this.#lengths;
		const capacity = this.#capacity;
		const count = targets.length;
		let told = 0;
		for (let index = 0; index < count; index++) told += (present[index >> 3]! >> (index & 7)) & 1;
		const nulls = start;
		let at = start + ((told + 7) >> 3);
		let place = 0;
		for (let index = 0; index < count; index++) {
			const target = targets[index]!;
			const field = target * capacity + slot;
			if (((present[index >> 3]! >> (index & 7)) & 1) === 0) {
				if (target >= 0) {
					lengths[field] = ABSENT;
					this.#someAbsent = true;
				}
				continue;
			}
			const isNull = (bytes[nulls + (place >> 3)]! >> (place & 7)) & 1;
			place++;
			if (isNull === 1) {
				if (target >= 0) lengths[field] = NULL;
				continue;
			}
			let length = fixedBytes[index]!;
			if (length < 0) {
				const size = lengthBytes[index]!;
				if (at + size > end) throw corrupt("a row that ends too early");
				length = bytes[at]!;
				if (size > 1) length += bytes[at + 1]! * 256;
				if (size > 2) length += bytes[at + 2]! * 65_536;
				if (size > 3) length += bytes[at + 3]! * 16_777_216;
				at += size;
			}
			if (target >= 0) {
				offsets[field] = at;
				lengths[field] = length;
			}
			at += length;
			if (at > end) throw corrupt("a row that ends too early");
		}
		if (at > end) throw corrupt("a row that ends too early");
		return at;
	}

	#decodePending(): void {
		try {
			this.#decodeAll();
		} catch (error) {
			throw this.#placed(error);
		}
	}

	#placed(error: unknown): unknown {
		return error instanceof HeadraceError ? error.at({ table: qualified(this.layout.table.name) }) : error;
	}

	#decodeAll(): void {
		const bytes = this.#buffer;
		const pending = this.#pending;
		this.#pending = 0;
		this.#pendingBytes = 0;
		if (bytes === null || pending === 0) return;
		let from = 0;
		while (from < pending) {
			const batch = this.#batch ?? this.#takeBatch();
			const row = batch.rowCount;
			const count = Math.min(pending - from, this.#pool.capacity - row);
			for (let field = 0; field < this.#width; field++) {
				const at = field * this.#capacity + from;
				const column = batch.columns[field]!;
				this.#decodes[field]!(bytes, this.#offsets, this.#lengths, at, count, column, row, this.#policy);
			}
			if (this.#someAbsent) this.#markAbsent(from, count, row);
			this.#batchOperations.set(this.#operations.subarray(from, from + count), row);
			this.#batchTransactions.set(this.#transactions.subarray(from, from + count), row);
			batch.rowCount += count;
			from += count;
			if (batch.rowCount === this.#pool.capacity || batch.heapBytes >= BATCH_HEAP_BYTES_MAX) this.#emitBatch(batch);
		}
		this.#someAbsent = false;
	}

	#takeBatch(): Batch {
		this.#batch = this.#pool.take();
		this.#batchOperations = new Uint8Array(this.#pool.capacity);
		this.#batchTransactions = new Uint32Array(this.#pool.capacity);
		this.#absent = null;
		return this.#batch;
	}

	#markAbsent(from: number, count: number, row: number): void {
		for (let field = 0; field < this.#width; field++) {
			const at = field * this.#capacity + from;
			for (let i = 0; i < count; i++) {
				if (this.#lengths[at + i] !== ABSENT) continue;
				this.#absent ??= Array.from({ length: this.#width }, () => null);
				const bits = this.#absent[field] ?? new Uint8Array(this.#pool.capacity >> 3);
				this.#absent[field] = bits;
				bits[(row + i) >> 3]! |= 1 << ((row + i) & 7);
			}
		}
	}

	/** Decodes what was taken: the bytes that it lies in may change from here on. */
	settle(): void {
		this.#decodePending();
		this.#buffer = null;
	}

	/** Hands over what there is. */
	flush(): void {
		this.settle();
		if (this.#batch === null || this.#batch.rowCount === 0) return;
		try {
			this.#emitBatch(this.#batch);
		} catch (error) {
			throw this.#placed(error);
		}
	}

	/** Gives back what was not handed over. */
	abandon(): void {
		this.#pending = 0;
		this.#buffer = null;
		this.#batch?.release();
		this.#batch = null;
	}

	#emitBatch(batch: Batch): void {
		for (const index of this.#texts) checkUtf8(batch.columns[index]!, batch.rowCount, this.#policy.invalidText);
		const absent = this.#absent;
		this.#batch = null;
		this.#absent = null;
		this.#emit({
			kind: "rows",
			table: this.layout.table,
			batch,
			operations: this.#batchOperations.subarray(0, batch.rowCount),
			transactions: this.#batchTransactions.subarray(0, batch.rowCount),
			...(absent === null ? {} : { absent }),
		});
	}
}
