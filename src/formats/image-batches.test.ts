import { expect, test } from "vitest";
import { settledBytes } from "../../test/support/held-memory.ts";
import { type ChangedRows, ChangeOperation, type SourceTable } from "../core/index.ts";
import { ImageBatches } from "./image-batches.ts";

test("what a burst of rows took is let go once fewer come", async () => {
	const table: SourceTable = {
		name: { schema: "s", name: "t" },
		kind: "table",
		columns: [{ name: "id", type: { kind: "int64" }, nullable: false, nativeType: "bigint", fidelity: "exact" }],
		primaryKey: ["id"],
		warnings: [],
	};
	const emitted: ChangedRows[] = [];
	const images: ImageBatches = new ImageBatches({
		table,
		keys: Int32Array.of(0),
		before: "key-changes",
		decode: (_field, bytes, at, count, column, row) => {
			for (let i = 0; i < count; i++) column.i64[row + i] = BigInt(bytes[images.offsets[at + i]!]!);
		},
		check: () => {},
		emit: (rows) => emitted.push(rows),
	});
	const bytes = Buffer.of(7);
	const insert = (rows: number) => {
		images.enter(bytes);
		for (let row = 0; row < rows; row++) {
			const slot = images.slot();
			images.offsets[slot] = 0;
			images.lengths[slot] = 1;
			images.keep(slot, ChangeOperation.insert, 0);
			images.count(1);
		}
		images.flush();
	};
	const release = () => {
		for (const { batch } of emitted.splice(0)) {
			expect(batch.columns[0]!.i64[batch.rowCount - 1]).toBe(7n);
			batch.release();
		}
	};
	insert(1);
	release();
	const base = await settledBytes();
	insert(1_000_000);
	expect(emitted.reduce((sum, { batch }) => sum + batch.rowCount, 0)).toBe(1_000_000);
	release();
	// As many may come again.
	expect((await settledBytes()) - base).toBeGreaterThan(4e6);
	insert(1);
	release();
	insert(1);
	release();
	expect((await settledBytes()) - base).toBeLessThan(1e6);
});
