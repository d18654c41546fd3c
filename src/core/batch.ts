import { isUtf8 } from "node:buffer";
import { type ColumnType, isView, widthOf } from "./column-type.ts";
import { HeadraceError } from "./errors.ts";

/** Rows of a batch: the length of DuckDB's vectors, so that a batch goes in with one copy a column. */
export const BATCH_ROWS_MAX = 2048;
/** A batch is cut when its heaps hold this many bytes, however few its rows: wide rows must not multiply memory. */
export const BATCH_HEAP_BYTES_MAX = 1 << 20;
const HEAP_BYTES_MIN = 1 << 12;
/** A batch of a table with very many columns has fewer rows, so that its fixed part stays near this size. */
const FIXED_BYTES_MAX = 2 << 20;
/** A heap that one huge value made is not kept for later batches. */
const HEAP_BYTES_KEPT_MAX = 4 << 20;

export interface Field {
	readonly name: string;
	readonly type: ColumnType;
	readonly nullable: boolean;
}

/**
 * One column of a batch in Arrow's layout: a validity bitmap (1 = valid, least significant bit first) and one data
 * buffer, seen through every view that a decoder may need. Differences from Arrow: booleans take a byte, decimals up
 * to 4 digits two bytes, intervals are (months i32, days i32, microseconds i64), a uuid is a little-endian 128-bit
 * integer with its top bit flipped: each as DuckDB has it.
 * Views (text, json, binary, list): 16 bytes a value: length, then up to 12 bytes inline, or 4 bytes of prefix,
 * buffer index 0 and offset in `heap`. A null's data is not defined, but for views its length is 0.
 * See https://arrow.apache.org/docs/format/Columnar.html#variable-size-binary-view-layout
 */
export class Column {
	readonly name: string;
	readonly type: ColumnType;
	readonly width: number;
	readonly data: ArrayBuffer;
	readonly u8: Uint8Array;
	readonly i16: Int16Array;
	readonly i32: Int32Array;
	readonly u32: Uint32Array;
	readonly i64: BigInt64Array;
	readonly f32: Float32Array;
	readonly f64: Float64Array;
	readonly validity: Uint8Array;
	/** Nulls so far; 0 means that `validity` is all ones. */
	nullCount = 0;
	/** Values that a stated policy altered: counted in the receipt. */
	changedCount = 0;
	heap: Buffer;
	heapLength = 0;
	/** A value in the heap begins inside a character: no whole-heap check can prove it valid. */
	heapSuspect = false;
	/** Some inline value has a byte over 0x7f, so the inline values need checking too. */
	inlineNotAscii = false;

	/** `capacity` is the most rows it can hold, a multiple of 64. */
	constructor(name: string, type: ColumnType, capacity = BATCH_ROWS_MAX) {
		this.name = name;
		this.type = type;
		this.width = widthOf(type);
		this.data = new ArrayBuffer(capacity * this.width);
		this.u8 = new Uint8Array(this.data);
		this.i16 = new Int16Array(this.data);
		this.i32 = new Int32Array(this.data);
		this.u32 = new Uint32Array(this.data);
		this.f32 = new Float32Array(this.data);
		this.i64 = new BigInt64Array(this.data);
		this.f64 = new Float64Array(this.data);
		this.validity = new Uint8Array(capacity / 8).fill(255);
		this.heap = isView(type) ? Buffer.allocUnsafeSlow(HEAP_BYTES_MIN) : Buffer.alloc(0);
	}

	reset(): void {
		if (this.nullCount > 0) this.validity.fill(255);
		this.nullCount = 0;
		this.changedCount = 0;
		this.heapLength = 0;
		this.heapSuspect = false;
		this.inlineNotAscii = false;
		if (this.heap.length > HEAP_BYTES_KEPT_MAX) this.heap = Buffer.allocUnsafeSlow(HEAP_BYTES_MIN);
	}

	isNull(row: number): boolean {
		return ((this.validity[row >> 3]! >> (row & 7)) & 1) === 0;
	}

	setNull(row: number): void {
		this.validity[row >> 3]! &= ~(1 << (row & 7));
		this.nullCount++;
		if (this.width === 16) this.i32[row << 2] = 0;
	}

	/** Makes room for a value where NULL was. */
	unsetNull(row: number): void {
		if (!this.isNull(row)) return;
		this.validity[row >> 3]! |= 1 << (row & 7);
		this.nullCount--;
	}

	/** A value that the stated policy turns into NULL: counted. */
	setChangedNull(row: number): void {
		this.setNull(row);
		this.changedCount++;
	}

	/** Sets a 64-bit value from a JS number that is a safe integer. */
	setSafeInteger(row: number, value: number): void {
		const word = row << 1;
		this.i32[word] = value | 0;
		this.i32[word + 1] = Math.floor(value / 4294967296);
	}

	/** Sets a 128-bit value, little-endian two's complement. */
	setInt128(row: number, value: bigint): void {
		const word = row << 1;
		this.i64[word] = BigInt.asIntN(64, value);
		this.i64[word + 1] = BigInt.asIntN(64, value >> 64n);
	}

	getInt128(row: number): bigint {
		const word = row << 1;
		return (this.i64[word + 1]! << 64n) | BigInt.asUintN(64, this.i64[word]!);
	}

	/** Sets a uuid from its 16 bytes in the order of its text, at `start` of `from`. */
	setUuid(row: number, from: Uint8Array, start: number): void {
		const byte = row << 4;
		for (let i = 0; i < 16; i++) this.u8[byte + 15 - i] = from[start + i]!;
		this.u8[byte + 15]! ^= 0x80;
	}

	/** Byte `index` of a uuid, in the order of its text. */
	uuidByte(row: number, index: number): number {
		const byte = this.u8[(row << 4) + 15 - index]!;
		return index === 0 ? byte ^ 0x80 : byte;
	}

	/** Makes room for `bytes` more bytes in the heap and gives it. */
	reserve(bytes: number): Buffer {
		const needed = this.heapLength + bytes;
		if (needed > this.heap.length) {
			if (needed > 0x7fffffff)
				throw new HeadraceError("E_TOO_LARGE", `column ${this.name} has a value of over 2 GiB in one batch`);
			const grown = Buffer.allocUnsafeSlow(Math.max(this.heap.length * 2, needed));
			this.heap.copy(grown, 0, 0, this.heapLength);
			this.heap = grown;
		}
		return this.heap;
	}

	/** Sets a view to the bytes [start, end) of `from`. */
	setBytes(row: number, from: Uint8Array, start: number, end: number): void {
		const length = end - start;
		const byte = row << 4;
		const word = row << 2;
		const { i32, u8 } = this;
		i32[word] = length;
		if (length <= 12) {
			i32[word + 1] = 0;
			i32[word + 2] = 0;
			i32[word + 3] = 0;
			let bits = 0;
			for (let i = 0; i < length; i++) {
				const b = from[start + i]!;
				bits |= b;
				u8[byte + 4 + i] = b;
			}
			if (bits > 127) this.inlineNotAscii = true;
			return;
		}
		const heap = this.reserve(length);
		const at = this.heapLength;
		if (length < 48) for (let i = 0; i < length; i++) heap[at + i] = from[start + i]!;
		else heap.set(start === 0 && end === from.length ? from : from.subarray(start, end), at);
		u8[byte + 4] = heap[at]!;
		u8[byte + 5] = heap[at + 1]!;
		u8[byte + 6] = heap[at + 2]!;
		u8[byte + 7] = heap[at + 3]!;
		if ((heap[at]! & 0xc0) === 0x80) this.heapSuspect = true;
		i32[word + 2] = 0;
		i32[word + 3] = at;
		this.heapLength = at + length;
	}

	/** Sets a value that another column of the same type has, whatever was here before. */
	copyValue(row: number, from: Column, fromRow: number): void {
		if (from.isNull(fromRow)) {
			if (!this.isNull(row)) this.setNull(row);
			return;
		}
		this.unsetNull(row);
		const start = fromRow * this.width;
		if (isView(this.type) && from.i32[fromRow << 2]! > 12) {
			const at = from.i32[(fromRow << 2) + 3]!;
			this.setBytes(row, from.heap, at, at + from.i32[fromRow << 2]!);
			return;
		}
		this.u8.set(from.u8.subarray(start, start + this.width), row * this.width);
		if (from.inlineNotAscii) this.inlineNotAscii = true;
	}

	/** The bytes of a view; they are the batch's own memory until it is released. */
	bytes(row: number): Uint8Array {
		const length = this.i32[row << 2]!;
		if (length <= 12) return this.u8.subarray((row << 4) + 4, (row << 4) + 4 + length);
		const at = this.i32[(row << 2) + 3]!;
		return this.heap.subarray(at, at + length);
	}

	/**
	 * Checks that the text values of the first `rowCount` rows are UTF-8; calls `onInvalid` for each that is not.
	 * One pass over the heap proves all long values at once when each begins at a character.
	 */
	checkText(rowCount: number, onInvalid: (row: number) => void): void {
		const heapValid = !this.heapSuspect && isUtf8(this.heap.subarray(0, this.heapLength));
		if (heapValid && !this.inlineNotAscii) return;
		for (let row = 0; row < rowCount; row++) {
			const inline = this.i32[row << 2]! <= 12;
			if ((inline ? this.inlineNotAscii : !heapValid) && !isUtf8(this.bytes(row))) onInvalid(row);
		}
	}
}

/** Up to 2048 rows as columns. Whoever takes a batch last releases it, which gives its memory to the next. */
export class Batch {
	readonly columns: readonly Column[];
	rowCount = 0;
	readonly #pool: BatchPool | null;

	constructor(columns: readonly Column[], pool: BatchPool | null) {
		this.columns = columns;
		this.#pool = pool;
	}

	/** Bytes of memory that the batch's values take. */
	get byteLength(): number {
		let bytes = 0;
		for (const column of this.columns) bytes += column.heapLength + this.rowCount * column.width;
		return bytes;
	}

	/** Bytes held while the batch lives, however few rows it has: what a memory bound must count. */
	get heldBytes(): number {
		let bytes = 0;
		for (const column of this.columns) bytes += column.heap.length + column.data.byteLength;
		return bytes;
	}

	get heapBytes(): number {
		let bytes = 0;
		for (const column of this.columns) bytes += column.heapLength;
		return bytes;
	}

	release(): void {
		this.#pool?.give(this);
	}
}

/** Batches of one shape, reused: allocation of fresh buffers costs more than filling them. */
export class BatchPool {
	readonly fields: readonly Field[];
	/** Most rows a batch of this shape holds: 2048, fewer for very wide tables. */
	readonly capacity: number;
	readonly #free: Batch[] = [];
	#takenSinceTrim = 0;

	constructor(fields: readonly Field[]) {
		this.fields = fields;
		let width = 1;
		for (const field of fields) width += widthOf(field.type);
		this.capacity = Math.min(BATCH_ROWS_MAX, Math.max(64, Math.floor(FIXED_BYTES_MAX / width / 64) * 64));
	}

	take(): Batch {
		this.#takenSinceTrim++;
		const batch = this.#free.pop();
		if (batch === undefined)
			return new Batch(
				this.fields.map((field) => new Column(field.name, field.type, this.capacity)),
				this,
			);
		for (const column of batch.columns) column.reset();
		batch.rowCount = 0;
		return batch;
	}

	give(batch: Batch): void {
		this.#free.push(batch);
	}

	/** Lets go of free batches beyond as many as were taken since the last call: what a burst took is not kept for ever. */
	trim(): void {
		if (this.#free.length > this.#takenSinceTrim) this.#free.length = this.#takenSinceTrim;
		this.#takenSinceTrim = 0;
	}
}
