import fc from "fast-check";
import { expect, test } from "vitest";
import { Batch, Column, type ColumnType } from "../core/index.ts";
import { canFold, foldKeys } from "./fold-keys.ts";

const TYPES: readonly ColumnType[] = [
	{ kind: "int64" },
	{ kind: "text" },
	{ kind: "boolean" },
	{ kind: "int16" },
	{ kind: "uuid" },
	{ kind: "decimal", precision: 38, scale: 2 },
];

/** A value by its number, long and short texts among them. */
function put(column: Column, row: number, value: number | null): void {
	if (value === null) column.setNull(row);
	else if (column.type.kind === "text") {
		const bytes = Buffer.from("x".repeat(value * 5) + value);
		column.setBytes(row, bytes, 0, bytes.length);
	} else if (column.type.kind === "uuid" || column.type.kind === "decimal") column.setInt128(row, BigInt(value) << 63n);
	else if (column.type.kind === "int64") column.i64[row] = BigInt(value) << 31n;
	else if (column.type.kind === "int16") column.i16[row] = value << 6;
	else column.u8[row] = value & 1;
}

test("law: of each key the last row stays, in its place, whatever its types and however the rows are cut into batches", () => {
	const value = fc.option(fc.nat(6), { freq: 8 });
	const rows = fc.array(fc.tuple(value, value), { maxLength: 120 });
	const types = fc.tuple(fc.constantFrom(...TYPES), fc.constantFrom(...TYPES));
	fc.assert(
		fc.property(rows, types, fc.integer({ min: 1, max: 40 }), fc.nat(5), (made, pair, perBatch, leaveOut) => {
			const batches: Batch[] = [];
			const kept: Uint32Array[] = [];
			const wanted = new Map<string, string>();
			for (let from = 0; from < made.length; from += perBatch) {
				const some = made.slice(from, from + perBatch);
				const columns = pair.map((type, index) => new Column(`k${index}`, type, 64));
				for (const [row, values] of some.entries())
					for (const [index, column] of columns.entries()) put(column, row, values[index]!);
				const batch = new Batch(columns, null);
				batch.rowCount = some.length;
				const counted = [...some.keys()].filter((row) => row % 6 !== leaveOut);
				for (const row of counted) {
					const place = `${batches.length}:${row}`;
					const key = some[row]!.map((one, index) => (one !== null && pair[index]!.kind === "boolean" ? one & 1 : one));
					wanted.set(key.includes(null) ? place : JSON.stringify(key), place);
				}
				batches.push(batch);
				kept.push(Uint32Array.from(counted));
			}
			// Batches of which no row counts are not there.
			const there: Batch[] = [];
			for (const [index, batch] of batches.entries()) if (kept[index]!.length > 0) there[index] = batch;
			const left = foldKeys(there, kept, [0, 1]);
			const found = left.flatMap((some, batch) => [...some].map((row) => `${batch}:${row}`));
			expect([...found].sort()).toEqual([...wanted.values()].sort());
			for (const some of left) expect([...some]).toEqual([...some].sort((a, b) => a - b));
		}),
	);
});

test("keys whose equal values may have other bytes are not folded", () => {
	expect(canFold([])).toBe(false);
	expect(canFold([{ kind: "int32" }, { kind: "float64" }])).toBe(false);
	expect(canFold([{ kind: "interval" }])).toBe(false);
	expect(canFold([{ kind: "json" }])).toBe(false);
	expect(canFold(TYPES)).toBe(true);
});
