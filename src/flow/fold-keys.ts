import { BATCH_ROWS_MAX, type Batch, type Column, type ColumnType, isView } from "../core/index.ts";

/** Values of these kinds are equal for SQL exactly when their bytes are. */
const EXACT: ReadonlySet<ColumnType["kind"]> = new Set([
	...["boolean", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "decimal"],
	...["date", "time", "timestamp", "timestamptz", "uuid", "text", "binary"],
] as ColumnType["kind"][]);

/** Whether rows can be told apart by the bytes of such a key. */
export function canFold(key: readonly ColumnType[]): boolean {
	return key.length > 0 && key.every(({ kind }) => EXACT.has(kind));
}

const ROW_BITS = Math.log2(BATCH_ROWS_MAX);
const EMPTY = -1;
/** Places of rows by the hash of their key, kept for the next time: work is never interrupted. */
let places = new Int32Array(0);

/**
 * Leaves the last row of each key. `kept` has the rows of each batch that count, `key` the places of the key's columns. A
 * row with NULL in its key stays as it is: that is for the destination to refuse.
 */
export function foldKeys(
	batches: readonly (Batch | undefined)[],
	kept: readonly Uint32Array[],
	key: readonly number[],
): readonly Uint32Array[] {
	const count = kept.reduce((sum, rows) => sum + rows.length, 0);
	const size = 2 ** Math.ceil(Math.log2(Math.max(16, 2 * count)));
	if (places.length < size) places = new Int32Array(size);
	const table = places.subarray(0, size).fill(EMPTY);
	// Of a batch without rows that count nothing need be there.
	const columns = Array.from(kept, (rows, index) =>
		rows.length === 0 ? [] : key.map((place) => batches[index]!.columns[place]!),
	);
	const last = new Array<Uint32Array>(kept.length);
	for (let batch = kept.length - 1; batch >= 0; batch--) {
		const rows = kept[batch]!;
		const own = columns[batch]!;
		if (rows.length === 0) {
			last[batch] = rows;
			continue;
		}
		const hasNulls = own.some((column) => column.nullCount > 0);
		let from = rows.length;
		const left = new Uint32Array(rows.length);
		for (let index = rows.length - 1; index >= 0; index--) {
			const row = rows[index]!;
			const isNull = hasNulls && own.some((column) => column.isNull(row));
			if (isNull || isFirst(table, columns, batch, row)) left[--from] = row;
		}
		last[batch] = from === 0 ? rows : left.subarray(from);
	}
	return last;
}

/** Notes the key of a row; whether it was not there. */
function isFirst(table: Int32Array, columns: readonly (readonly Column[])[], batch: number, row: number): boolean {
	const own = columns[batch]!;
	const mask = table.length - 1;
	let hash = 0;
	for (let index = 0; index < own.length; index++) hash = hashOf(own[index]!, row, hash);
	for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
		const place = table[slot]!;
		if (place === EMPTY) {
			table[slot] = (batch << ROW_BITS) | row;
			return true;
		}
		const others = columns[place >>> ROW_BITS]!;
		const other = place & (BATCH_ROWS_MAX - 1);
		let index = 0;
		while (index < own.length && isSame(own[index]!, row, others[index]!, other)) index++;
		if (index === own.length) return false;
	}
}

function hashOf(column: Column, row: number, seed: number): number {
	const { width, i32, u8 } = column;
	let hash = seed;
	if (isView(column.type) && i32[row << 2]! > 12) {
		const { heap } = column;
		const from = i32[(row << 2) + 3]!;
		const end = from + i32[row << 2]!;
		for (let at = from; at < end; at++) hash = mixed(hash, heap[at]!);
	} else if (width >= 4) {
		const end = ((row + 1) * width) >> 2;
		for (let word = (row * width) >> 2; word < end; word++) hash = mixed(hash, i32[word]!);
	} else for (let byte = row * width, end = byte + width; byte < end; byte++) hash = mixed(hash, u8[byte]!);
	return hash;
}

function mixed(hash: number, word: number): number {
	const product = Math.imul(hash ^ word, 0x9e3779b1);
	return product ^ (product >>> 16);
}

function isSame(a: Column, row: number, b: Column, other: number): boolean {
	const { width } = a;
	if (isView(a.type) && a.i32[row << 2]! > 12) {
		const length = a.i32[row << 2]!;
		if (length !== b.i32[other << 2]) return false;
		const from = a.i32[(row << 2) + 3]!;
		const to = b.i32[(other << 2) + 3]!;
		for (let index = 0; index < length; index++) if (a.heap[from + index] !== b.heap[to + index]) return false;
		return true;
	}
	if (width >= 4) {
		const words = width >> 2;
		for (let word = 0; word < words; word++)
			if (a.i32[row * words + word] !== b.i32[other * words + word]) return false;
		return true;
	}
	for (let byte = 0; byte < width; byte++) if (a.u8[row * width + byte] !== b.u8[other * width + byte]) return false;
	return true;
}
