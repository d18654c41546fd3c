import {
	BATCH_HEAP_BYTES_MAX,
	type Batch,
	BatchPool,
	type Column,
	type Field,
	isView,
	widthOf,
} from "../core/index.ts";
import type { Bindings, DataChunk } from "./bindings.ts";

const INLINE_BYTES_MAX = 12;
const TWO_POW_32 = 4294967296;
/**
 * Strings this near to each other are read with one call, with what lies between. Under the size of a page this
 * touches no page but those of the two strings.
 */
const GAP_BYTES_MAX = 256;

/** Turns result chunks into batches of one pool. Fixed-width vectors are copied as they are. */
export class ChunkReader {
	readonly #duckdb: Bindings;
	readonly #pool: BatchPool;

	constructor(duckdb: Bindings, fields: readonly Field[]) {
		this.#duckdb = duckdb;
		this.#pool = new BatchPool(fields);
	}

	/** The chunk's rows as one batch or several: a batch's rows and heap are bounded. */
	*read(chunk: DataChunk): Generator<Batch, void, undefined> {
		const duckdb = this.#duckdb;
		const rowCount = duckdb.data_chunk_get_size(chunk);
		const sources = this.#pool.fields.map((field, index): Source => {
			const vector = duckdb.data_chunk_get_vector(chunk, index);
			const width = widthOf(field.type);
			// A copy of the vector's memory: the chunk may go while the batch lives.
			const data = duckdb.vector_get_data(vector, rowCount * width);
			const validity: Uint8Array | null = duckdb.vector_get_validity(vector, (rowCount + 7) >> 3);
			return { data, validity, width, words: isView(field.type) ? wordsOf(data) : null };
		});
		let start = 0;
		while (start < rowCount) {
			const end = this.#sliceEnd(sources, start, Math.min(rowCount, start + this.#pool.capacity));
			const batch = this.#pool.take();
			batch.rowCount = end - start;
			for (let index = 0; index < sources.length; index++)
				this.#copy(sources[index]!, batch.columns[index]!, start, end);
			start = end;
			yield batch;
		}
	}

	/** Cuts before the heap of a batch would pass its bound; at least one row. */
	#sliceEnd(sources: readonly Source[], start: number, limit: number): number {
		let end = limit;
		for (const { words, validity } of sources) {
			if (words === null) continue;
			let bytes = 0;
			for (let row = start; row < end; row++) {
				if (!isValid(validity, row)) continue;
				bytes += words[row << 2]!;
				if (bytes > BATCH_HEAP_BYTES_MAX && row > start) {
					end = row;
					break;
				}
			}
		}
		return end;
	}

	#copy(source: Source, column: Column, start: number, end: number): void {
		const { data, validity, width, words } = source;
		column.u8.set(data.subarray(start * width, end * width));
		if (validity !== null)
			for (let row = start; row < end; row++) if (!isValid(validity, row)) column.setNull(row - start);
		if (words !== null) this.#gatherStrings(words, data, column, start, end);
	}

	/** Replaces pointers by offsets into the column's heap, reading neighbouring strings with one call. */
	#gatherStrings(words: Uint32Array, data: Uint8Array, column: Column, start: number, end: number): void {
		const { u32, u8 } = column;
		const { nullCount } = column;
		let notAscii = 0;
		let runFrom = 0;
		let runEnd = 0;
		let runPointerAt = 0;
		// Begins and ends of what lies between the run's strings.
		let gaps: number[] = [];
		const flush = (): void => {
			const length = runEnd - runFrom;
			if (length === 0) return;
			const bytes = this.#duckdb.get_data_from_pointer(data.buffer as ArrayBuffer, runPointerAt, length);
			const heap = column.reserve(length);
			heap.set(bytes, column.heapLength);
			// What lies between may be any bytes; zeros are text, so the heap stays provable as a whole.
			for (let index = 0; index < gaps.length; index += 2)
				heap.fill(0, column.heapLength + gaps[index]!, column.heapLength + gaps[index + 1]!);
			column.heapLength += length;
			gaps = [];
		};
		for (let row = start; row < end; row++) {
			const word = (row - start) << 2;
			if (nullCount > 0 && column.isNull(row - start)) continue;
			const length = words[row << 2]!;
			if (length <= INLINE_BYTES_MAX) {
				const from = (word << 2) + 4;
				for (let index = 0; index < length; index++) notAscii |= u8[from + index]!;
				continue;
			}
			const pointer = words[(row << 2) + 3]! * TWO_POW_32 + words[(row << 2) + 2]!;
			if (runEnd === 0 || pointer < runFrom || pointer > runEnd + GAP_BYTES_MAX) {
				flush();
				runFrom = pointer;
				runEnd = pointer + length;
				runPointerAt = data.byteOffset + (row << 4) + 8;
			} else {
				if (pointer > runEnd) gaps.push(runEnd - runFrom, pointer - runFrom);
				if (pointer + length > runEnd) runEnd = pointer + length;
			}
			u32[word + 2] = 0;
			u32[word + 3] = column.heapLength + (pointer - runFrom);
		}
		flush();
		column.inlineNotAscii = notAscii > 127;
	}
}

interface Source {
	readonly data: Uint8Array;
	readonly validity: Uint8Array | null;
	readonly width: number;
	/** The 16-byte entries of a string vector as words; null for other vectors. */
	readonly words: Uint32Array | null;
}

function wordsOf(data: Uint8Array): Uint32Array {
	if ((data.byteOffset & 3) === 0)
		return new Uint32Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength >> 2);
	return new Uint32Array(data.slice().buffer);
}

function isValid(validity: Uint8Array | null, row: number): boolean {
	return validity === null || ((validity[row >> 3]! >> (row & 7)) & 1) === 1;
}
