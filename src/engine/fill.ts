import { isUtf8 } from "node:buffer";
import { type Batch, type Column, HeadraceError, isView } from "../core/index.ts";
import type { Bindings, DataChunk } from "./bindings.ts";

const INLINE_BYTES_MAX = 12;
const TWO_POW_32 = 4294967296;
const inlineBytes = new Uint8Array(2048 * INLINE_BYTES_MAX);

/**
 * Copies a batch into a chunk of DuckDB's: one memcpy a column, and for long strings one call a column that hands over
 * the whole heap, after which the views' offsets become pointers into DuckDB's copy of it. The batch's views are
 * changed in place, so it can only be released afterwards.
 * @throws E_ENCODING naming the column when text is not UTF-8; the chunk is then unusable
 */
export function fillChunk(duckdb: Bindings, chunk: DataChunk, batch: Batch, oneHeapCall: boolean): void {
	const { rowCount } = batch;
	duckdb.data_chunk_set_size(chunk, rowCount);
	for (let index = 0; index < batch.columns.length; index++) {
		const column = batch.columns[index]!;
		const vector = duckdb.data_chunk_get_vector(chunk, index);
		const view = isView(column.type);
		if (view && column.type.kind !== "binary" && column.inlineNotAscii && !inlineTextIsValid(column, rowCount))
			throw invalidText(column);
		let pending = false;
		if (view && column.heapLength > INLINE_BYTES_MAX) {
			const pointer = oneHeapCall ? giveHeap(duckdb, vector, column) : null;
			if (pointer === null) pending = true;
			else pointInto(column, rowCount, pointer);
		}
		duckdb.copy_data_to_vector(vector, 0, column.data, 0, rowCount * column.width);
		// A refused heap has left its first row NULL, so the validity is set whenever the heap went in, too.
		if (column.nullCount > 0 || pending) {
			duckdb.vector_ensure_validity_writable(vector);
			const { validity } = column;
			duckdb.copy_data_to_vector_validity(
				vector,
				0,
				validity.buffer as ArrayBuffer,
				validity.byteOffset,
				validity.byteLength,
			);
		}
		if (pending) giveEach(duckdb, vector, column, rowCount);
	}
}

type Vector = ReturnType<Bindings["data_chunk_get_vector"]>;

/** Address of DuckDB's copy of the heap; null when DuckDB refused it, which it does to text that is not UTF-8. */
function giveHeap(duckdb: Bindings, vector: Vector, column: Column): number | null {
	duckdb.vector_assign_string_element_len(vector, 0, column.heap.subarray(0, column.heapLength));
	const entry = duckdb.vector_get_data(vector, 16);
	const view = new DataView(entry.buffer, entry.byteOffset, 16);
	if (view.getUint32(0, true) !== column.heapLength) return null;
	// User-space addresses have 48 bits: exact in a double.
	return view.getUint32(12, true) * TWO_POW_32 + view.getUint32(8, true);
}

function pointInto(column: Column, rowCount: number, pointer: number): void {
	const { u32 } = column;
	const high = Math.floor(pointer / TWO_POW_32);
	const low = pointer - high * TWO_POW_32;
	for (let word = 0, end = rowCount << 2; word < end; word += 4) {
		if (u32[word]! <= INLINE_BYTES_MAX) continue;
		const address = low + u32[word + 3]!;
		u32[word + 2] = address;
		u32[word + 3] = address >= TWO_POW_32 ? high + 1 : high;
	}
}

/** One call per long string: for a heap that is not valid as a whole, and where DuckDB's layout is not as we know it. */
function giveEach(duckdb: Bindings, vector: Vector, column: Column, rowCount: number): void {
	for (let row = 0; row < rowCount; row++) {
		const length = column.i32[row << 2]!;
		if (length <= INLINE_BYTES_MAX || (column.nullCount > 0 && column.isNull(row))) continue;
		const bytes = column.bytes(row);
		if (column.type.kind !== "binary" && !isUtf8(bytes)) throw invalidText(column);
		duckdb.vector_assign_string_element_len(vector, row, bytes);
	}
}

/** Whether the values of up to 12 bytes are UTF-8, by one check of them all: each must begin at a character. */
function inlineTextIsValid(column: Column, rowCount: number): boolean {
	const { u8, i32 } = column;
	let used = 0;
	for (let row = 0; row < rowCount; row++) {
		const length = i32[row << 2]!;
		if (length === 0 || length > INLINE_BYTES_MAX) continue;
		const start = (row << 4) + 4;
		if ((u8[start]! & 0xc0) === 0x80) return false;
		for (let index = 0; index < length; index++) inlineBytes[used++] = u8[start + index]!;
	}
	return isUtf8(inlineBytes.subarray(0, used));
}

function invalidText(column: Column): HeadraceError {
	return new HeadraceError("E_ENCODING", `column ${column.name} holds text that is not UTF-8`);
}

/**
 * Whether strings of DuckDB's vectors lie as we know them: length, then 12 bytes inline, or a prefix and a pointer.
 * The library's version is pinned; this looks all the same, since a wrong guess would write through wild pointers.
 */
export function stringLayoutIsKnown(duckdb: Bindings): boolean {
	const chunk = duckdb.create_data_chunk([duckdb.create_logical_type(duckdb.Type.VARCHAR)]);
	duckdb.data_chunk_set_size(chunk, 2);
	const vector = duckdb.data_chunk_get_vector(chunk, 0);
	const long = Buffer.from("a string of more than twelve bytes");
	const short = Buffer.from("twelve bytes");
	duckdb.vector_assign_string_element_len(vector, 0, long);
	duckdb.vector_assign_string_element_len(vector, 1, short);
	const entries = Buffer.from(duckdb.vector_get_data(vector, 32));
	if (entries.readUInt32LE(0) !== long.length || !entries.subarray(4, 8).equals(long.subarray(0, 4))) return false;
	if (entries.readUInt32LE(16) !== short.length || !entries.subarray(20, 32).equals(short)) return false;
	if (entries.readUInt32LE(12) >= 1 << 16) return false;
	const copy = new ArrayBuffer(32);
	new Uint8Array(copy).set(entries);
	return Buffer.from(duckdb.get_data_from_pointer(copy, 8, long.length)).equals(long);
}
