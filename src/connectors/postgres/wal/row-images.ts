import {
	BATCH_HEAP_BYTES_MAX,
	type Batch,
	BatchPool,
	type BeforeImages,
	type ChangedRows,
	ChangeOperation,
	isView,
	type TypePolicy,
} from "../../../core/index.ts";
import { checkText } from "../decode-text.ts";
import { corrupt } from "./bytes.ts";
import type { Layout } from "./layout.ts";
import { WireValues } from "./printed.ts";

/** Images whose field positions are kept before they are decoded, unless the row is very wide. */
const PENDING_ROWS_MAX = 1024;
/** Positions kept: two 4-byte numbers a field. */
const PENDING_FIELDS_MAX = 1 << 18;
/** Bytes of images that wait for being decoded, so that the heap bound of a batch is kept nearly. */
const PENDING_BYTES_MAX = 1 << 18;
const NULL = -1;
/** The image does not tell the column: an unchanged TOAST value, or what is not of the replica identity. */
const ABSENT = -2;

const IS_NULL = 0x6e;
const IS_UNCHANGED = 0x75;
const IS_TEXT = 0x74;
const NEW = 0x4e;
const OLD_KEY = 0x4b;
const OLD_ROW = 0x4f;

export interface RowImagesOptions {
	readonly before: BeforeImages;
	readonly policy: TypePolicy;
	/** The database's encoding is SQL_ASCII. */
	readonly textUnchecked: boolean;
	readonly emit: (rows: ChangedRows) => void;
}

/**
 * Tuples of one table into batches. As in RowDecoder, positions are noted tuple by tuple, and decoded column by column
 * once the buffer that they lie in comes to its end.
 */
export class RowImages {
	readonly layout: Layout;
	readonly #options: RowImagesOptions;
	readonly #pool: BatchPool;
	readonly #width: number;
	readonly #texts: readonly number[];
	/** Images that fit the position arrays; field c of image r is at c * capacity + r. */
	readonly #capacity: number;
	readonly #offsets: Int32Array;
	readonly #lengths: Int32Array;
	readonly #operations: Uint8Array;
	readonly #transactions: Uint32Array;
	readonly #wire = new WireValues();
	#pending = 0;
	#pendingBytes = 0;
	#buffer: Buffer | null = null;
	#someAbsent = false;
	#batch: Batch | null = null;
	#batchOperations: Uint8Array;
	#batchTransactions: Uint32Array;
	#absent: (Uint8Array | null)[] | null = null;

	constructor(layout: Layout, options: RowImagesOptions) {
		const { columns } = layout.table;
		this.layout = layout;
		this.#options = options;
		this.#pool = new BatchPool(columns);
		this.#width = columns.length;
		this.#texts = options.textUnchecked
			? [...columns.keys()].filter((index) => isView(columns[index]!.type) && columns[index]!.type.kind !== "binary")
			: [];
		this.#capacity = Math.max(
			16,
			Math.min(PENDING_ROWS_MAX, Math.floor(PENDING_FIELDS_MAX / Math.max(1, this.#width))),
		);
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
	 * Takes the tuples of an INSERT, UPDATE or DELETE: [start, end) behind the table's oid.
	 * @throws E_CORRUPT_EVENT; E_VALUE, E_ENCODING by policy
	 */
	take(bytes: Buffer, start: number, end: number, operation: ChangeOperation, transaction: number): void {
		if (bytes !== this.#buffer) {
			this.#decodePending();
			this.#buffer = bytes;
		}
		// An update takes two.
		if (this.#pending + 2 > this.#capacity || this.#pendingBytes >= PENDING_BYTES_MAX) this.#decodePending();
		const slot = this.#pending;
		const mark = bytes[start];
		let at: number;
		if (mark === NEW) {
			at = this.#scan(bytes, start + 1, end, slot, false);
			this.#keep(slot, operation, transaction);
		} else if (mark === OLD_KEY || mark === OLD_ROW) {
			at = this.#scan(bytes, start + 1, end, slot, mark === OLD_KEY);
			if (operation === ChangeOperation.update) {
				if (bytes[at] !== NEW) throw corrupt("an UPDATE without its new row");
				at = this.#scan(bytes, at + 1, end, slot + 1, false);
				this.#keepUpdate(bytes, slot, transaction, mark === OLD_KEY);
			} else this.#keep(slot, operation, transaction);
		} else throw corrupt("a row of an unknown kind");
		if (at !== end) throw corrupt("a row that does not end with its message");
		this.#pendingBytes += end - start;
	}

	#keep(slot: number, operation: ChangeOperation, transaction: number): void {
		this.#operations[slot] = operation;
		this.#transactions[slot] = transaction;
		this.#pending = slot + 1;
	}

	/** The row after comes with the one before it when that is wanted. The old key alone comes only when it changed. */
	#keepUpdate(bytes: Buffer, slot: number, transaction: number, isKey: boolean): void {
		const offsets = this.#offsets;
		const lengths = this.#lengths;
		const capacity = this.#capacity;
		if (!isKey && this.#someAbsent)
			for (let field = 0, before = slot; field < this.#width; field++, before += capacity)
				if (lengths[before + 1] === ABSENT) {
					// What is unchanged is as the whole old row has it.
					lengths[before + 1] = lengths[before]!;
					offsets[before + 1] = offsets[before]!;
				}
		if (isKey || this.#options.before === "all" || this.#keyChanged(bytes, slot)) {
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

	/** Whether the printed key differs: also where the source's collation holds both equal. */
	#keyChanged(bytes: Buffer, slot: number): boolean {
		for (const field of this.layout.keys) {
			const before = field * this.#capacity + slot;
			const length = this.#lengths[before]!;
			if (length !== this.#lengths[before + 1]) return true;
			const from = this.#offsets[before]!;
			const to = this.#offsets[before + 1]!;
			for (let i = 0; i < length; i++) if (bytes[from + i] !== bytes[to + i]) return true;
		}
		return false;
	}

	/** Notes where the fields of a tuple lie; gives where it ends. Of an old key the other columns are not told. */
	#scan(bytes: Buffer, start: number, end: number, slot: number, keyOnly: boolean): number {
		const { targets, identity } = this.layout;
		const offsets = this.#offsets;
		const lengths = this.#lengths;
		const capacity = this.#capacity;
		const count = targets.length;
		if (((bytes[start]! << 8) | bytes[start + 1]!) !== count) throw corrupt("a row with other columns than its table");
		let at = start + 2;
		for (let index = 0; index < count; index++) {
			const field = targets[index]! * capacity + slot;
			const kind = bytes[at++];
			if (kind === IS_TEXT) {
				const length = (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
				at += 4;
				offsets[field] = at;
				lengths[field] = length;
				if (length < 0) throw corrupt("a value of a negative length");
				at += length;
			} else if (kind === IS_NULL && (!keyOnly || identity[index] === 1)) lengths[field] = NULL;
			else if (kind === IS_NULL || kind === IS_UNCHANGED) {
				lengths[field] = ABSENT;
				this.#someAbsent = true;
			} else throw corrupt("a value of an unknown kind");
			if (at > end) throw corrupt("a row that ends too early");
		}
		return at;
	}

	#decodePending(): void {
		const bytes = this.#buffer;
		const pending = this.#pending;
		this.#pending = 0;
		this.#pendingBytes = 0;
		if (bytes === null || pending === 0) return;
		const { values } = this.layout;
		const wire = this.#wire;
		let from = 0;
		while (from < pending) {
			const batch = this.#batch ?? this.#takeBatch();
			const row = batch.rowCount;
			const count = Math.min(pending - from, this.#pool.capacity - row);
			if (this.#someAbsent) this.#markAbsent(from, count, row);
			for (let field = 0; field < this.#width; field++) {
				const at = field * this.#capacity + from;
				const column = batch.columns[field]!;
				const { transcode, decode } = values[field]!;
				if (transcode === null) decode(bytes, this.#offsets, this.#lengths, at, count, column, row);
				else {
					transcode(bytes, this.#offsets, this.#lengths, at, count, wire);
					decode(wire.bytes, wire.offsets, wire.lengths, 0, count, column, row);
				}
			}
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

	/** Notes what is not told, and makes a NULL of it for the decoders. */
	#markAbsent(from: number, count: number, row: number): void {
		for (let field = 0; field < this.#width; field++) {
			const at = field * this.#capacity + from;
			for (let i = 0; i < count; i++) {
				if (this.#lengths[at + i] !== ABSENT) continue;
				this.#lengths[at + i] = NULL;
				this.#absent ??= Array.from({ length: this.#width }, () => null);
				this.#absent[field] ??= new Uint8Array(this.#pool.capacity >> 3);
				this.#absent[field]![(row + i) >> 3]! |= 1 << ((row + i) & 7);
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
		if (this.#batch !== null && this.#batch.rowCount > 0) this.#emitBatch(this.#batch);
	}

	/** Gives back what was not handed over. */
	abandon(): void {
		this.#pending = 0;
		this.#buffer = null;
		this.#batch?.release();
		this.#batch = null;
	}

	#emitBatch(batch: Batch): void {
		for (const index of this.#texts) checkText(batch.columns[index]!, batch.rowCount, this.#options.policy.invalidText);
		const absent = this.#absent;
		this.#batch = null;
		this.#absent = null;
		this.#options.emit({
			kind: "rows",
			table: this.layout.table,
			batch,
			operations: this.#batchOperations.subarray(0, batch.rowCount),
			transactions: this.#batchTransactions.subarray(0, batch.rowCount),
			...(absent === null ? {} : { absent }),
		});
	}
}
