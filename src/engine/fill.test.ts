import { expect, test } from "vitest";
import { BatchPool, type Field } from "../core/index.ts";
import { loadBindings } from "./bindings.ts";
import { fillChunk, stringLayoutIsKnown } from "./fill.ts";
import { ChunkReader } from "./stream.ts";
import { logicalTypeOf } from "./types.ts";
import { readValue } from "./value.ts";

const FIELDS: Field[] = [
	{ name: "text", type: { kind: "text" }, nullable: true },
	{ name: "bytes", type: { kind: "binary" }, nullable: true },
	{ name: "number", type: { kind: "int32" }, nullable: true },
];
const TEXTS = ["", "short", "exactly 12 b", "thirteen byte", null, "a much longer text with ümläuts", "é".repeat(500)];

test("DuckDB's strings lie as we know them", async () => {
	expect(stringLayoutIsKnown(await loadBindings())).toBe(true);
});

test.each([true, false])("a chunk holds what the batch held; one call for the heap: %s", async (oneHeapCall) => {
	const duckdb = await loadBindings();
	const batch = new BatchPool(FIELDS).take();
	TEXTS.forEach((text, row) => {
		batch.columns[2]!.i32[row] = row;
		for (const column of batch.columns.slice(0, 2)) {
			if (text === null) column.setNull(row);
			else {
				const bytes = Buffer.from(text);
				column.setBytes(row, bytes, 0, bytes.length);
			}
		}
	});
	batch.rowCount = TEXTS.length;
	const chunk = duckdb.create_data_chunk(FIELDS.map((field) => logicalTypeOf(duckdb, field.type)));
	fillChunk(duckdb, chunk, batch, oneHeapCall);
	const [read, ...more] = new ChunkReader(duckdb, FIELDS).read(chunk);
	expect(more).toEqual([]);
	const column = (index: number) => TEXTS.map((_, row) => readValue(read!.columns[index]!, row));
	expect(column(0)).toEqual(TEXTS);
	expect(column(1)).toEqual(TEXTS.map((text) => (text === null ? null : Buffer.from(text).toString("hex"))));
	expect(column(2)).toEqual(TEXTS.map((_, row) => row));
	// Neighbouring strings were read together; what lies between them must not spoil the heap.
	let invalid = 0;
	read!.columns[0]!.checkText(read!.rowCount, () => invalid++);
	expect(invalid).toBe(0);
});
