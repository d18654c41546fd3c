import { createHash } from "node:crypto";
import { HeadraceError } from "../../core/errors.ts";
import type { Chunk } from "../../core/source.ts";
import { qualified } from "../../core/table.ts";
import type { MemoryTable } from "./database.ts";
import { compareValues, type Row, type Value } from "./values.ts";

export function columnIndex(table: MemoryTable, name: string): number {
	const index = table.columns.findIndex((column) => column.name === name);
	if (index < 0) throw new HeadraceError("E_UNKNOWN_COLUMN", `${qualified(table.name)} has no column ${name}`);
	return index;
}

/** The bounds of a chunk as values of the primary key: `from` included, `before` excluded. */
interface KeyRange {
	readonly from: readonly string[] | null;
	readonly before: readonly string[] | null;
}

function keyOf(table: MemoryTable): (row: Row) => Value[] {
	const indexes = table.primaryKey.map((name) => columnIndex(table, name));
	return (row) => indexes.map((index) => row[index]!);
}

function compareKeys(table: MemoryTable, a: readonly Value[], b: readonly Value[]): number {
	for (const [at, name] of table.primaryKey.entries()) {
		const order = compareValues(table.columns[columnIndex(table, name)]!.type, a[at]!, b[at]!);
		if (order !== 0) return order;
	}
	return 0;
}

/** Ranges of the primary key; one chunk when there is none. */
export function splitByKey(table: MemoryTable, rowsPerChunk: number): Chunk[] {
	const key = keyOf(table);
	const keys = table.rows.map(key).sort((a, b) => compareKeys(table, a, b));
	const bounds =
		table.primaryKey.length === 0 ? [] : keys.filter((_, i) => i > 0 && i % Math.max(1, rowsPerChunk) === 0);
	if (bounds.length === 0) return [{ index: 0 }];
	return [null, ...bounds].map((from, index) => ({
		index,
		condition: JSON.stringify({ from, before: bounds[index] ?? null }),
		byKey: true,
	}));
}

/** Where a row "lies": an update may move it to any other place, as in a heap of blocks. */
export function splitByPlace(table: MemoryTable, rowsPerChunk: number): Chunk[] {
	const places = Math.max(1, Math.ceil(table.rows.length / Math.max(1, rowsPerChunk)));
	return Array.from({ length: places }, (_, place) => ({ index: place, condition: JSON.stringify({ place, places }) }));
}

/** Whether a row is in the chunk. */
export function chunkCondition(table: MemoryTable, condition: string): (row: Row) => boolean {
	const chunk = JSON.parse(condition) as KeyRange | { readonly place: number; readonly places: number };
	if ("place" in chunk) return (row) => placeOf(row) % chunk.places === chunk.place;
	const { from, before } = chunk;
	const key = keyOf(table);
	return (row) =>
		(from === null || compareKeys(table, key(row), from) >= 0) &&
		(before === null || compareKeys(table, key(row), before) < 0);
}

function placeOf(row: Row): number {
	return createHash("sha1").update(JSON.stringify(row)).digest().readUInt32LE(0);
}
