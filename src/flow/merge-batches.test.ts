import { expect, test } from "vitest";
import { type Batch, BatchPool } from "../core/index.ts";
import { mergeBatches } from "./merge-batches.ts";

const pool = new BatchPool([{ name: "id", type: { kind: "int32" }, nullable: false }]);

function batchOf(value: number): Batch {
	const batch = pool.take();
	batch.columns[0]!.i32[0] = value;
	batch.rowCount = 1;
	return batch;
}

async function* reading(values: readonly number[], ended: { count: number }): AsyncGenerator<Batch> {
	try {
		for (const value of values) {
			await new Promise((resolve) => setTimeout(resolve, value % 3));
			yield batchOf(value);
		}
	} finally {
		ended.count++;
	}
}

test("every batch of every read comes once", async () => {
	const ended = { count: 0 };
	const seen: number[] = [];
	const reads = [reading([1, 2, 3], ended), reading([], ended), reading([4, 5], ended)];
	for await (const batch of mergeBatches(reads)) seen.push(batch.columns[0]!.i32[0]!);
	expect(seen.toSorted()).toEqual([1, 2, 3, 4, 5]);
	expect(ended.count).toBe(3);
});

test("ending early ends every read", async () => {
	const ended = { count: 0 };
	for await (const _ of mergeBatches([reading([1, 2, 3], ended), reading([4, 5, 6], ended)])) break;
	expect(ended.count).toBe(2);
});

test("an error of one read ends all and is thrown", async () => {
	const ended = { count: 0 };
	async function* failing(): AsyncGenerator<Batch> {
		yield batchOf(9);
		throw new Error("broken");
	}
	const read = async () => {
		for await (const _ of mergeBatches([reading([1, 2, 3, 4, 5, 6, 7, 8], ended), failing()])) {
			// only the error matters
		}
	};
	await expect(read()).rejects.toThrow("broken");
	expect(ended.count).toBe(1);
});
