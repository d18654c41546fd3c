import { expect, test } from "vitest";
import { batchesOf, CountingPool } from "../conformance/rows.ts";
import { type Field, HeadraceError, parseColumnType, type SourceColumn, type TargetColumn } from "../core/index.ts";
import { valueText } from "../formats/index.ts";
import { type RowShape, RowShaper } from "./shape-rows.ts";

const field = (text: string): Field => {
	const [name, type] = text.split(" ") as [string, string];
	return { name, type: parseColumnType(type)!, nullable: !text.endsWith("not null") };
};
const source = (text: string): SourceColumn => ({ ...field(text), nativeType: "", fidelity: "exact" });
const target = (text: string): TargetColumn => ({ ...field(text), destinationType: "" });

type Rows = readonly (readonly (string | null)[])[];

/** Rows as they come out, what was counted, and whether every batch came back. */
async function shaped(
	columns: readonly string[],
	targets: readonly string[],
	rows: Rows,
	more: Partial<RowShape> = {},
) {
	const fields = columns.map(source);
	const counts: Record<string, number> = {};
	const shape = { discarded: new Set<string>(), misfitsToNull: new Set<string>(), kept: [], ...more };
	const shaper = new RowShaper(fields, targets.map(target), shape, counts);
	const pool = new CountingPool(fields);
	const out: (string | null)[][] = [];
	const changed: number[] = [];
	try {
		for await (const raw of batchesOf(fields, rows, 2, pool)) {
			const batch = shaper.apply(raw);
			for (let row = 0; row < batch.rowCount; row++) out.push(batch.columns.map((column) => valueText(column, row)));
			changed.push(batch.columns.reduce((sum, column) => sum + column.changedCount, 0));
			batch.release();
		}
	} finally {
		expect(pool.given).toBe(pool.taken);
	}
	return { out, counts, changed };
}

test("batches that fit pass as they are", async () => {
	const fields = [source("a int32")];
	const shaper = new RowShaper(
		fields,
		[target("b int32")],
		{ discarded: new Set(), misfitsToNull: new Set(), kept: [] },
		{},
	);
	for await (const batch of batchesOf(fields, [["1"]])) expect(shaper.apply(batch)).toBe(batch);
});

test("columns are cast, left out with their values counted, and added empty, batch after batch", async () => {
	const rows: Rows = [
		["1", "10", "x", null],
		["2", null, null, "5"],
		["3", "30", "", "6"],
	];
	const { out, counts } = await shaped(
		["id int32", "n int32", "gone text", "left int32"],
		["id int32", "n int64", "old text"],
		rows,
		{ discarded: new Set(["gone", "left"]) },
	);
	expect(out).toEqual([
		["1", "10", null],
		["2", null, null],
		["3", "30", null],
	]);
	expect(counts).toEqual({ gone: 2, left: 2 });
});

test("a value that does not fit becomes NULL and is counted where that is the policy, in every batch anew", async () => {
	const rows: Rows = [["1"], ["300"], ["2"], ["-1"], ["400"]];
	const { out, changed } = await shaped(["n int32"], ["n uint8"], rows, { misfitsToNull: new Set(["n"]) });
	expect(out.flat()).toEqual(["1", null, "2", null, null]);
	expect(changed).toEqual([1, 1, 1]);
});

test.each([
	["elsewhere", "n uint8", new Set<string>()],
	["where the column is NOT NULL", "n uint8 not null", new Set(["n"])],
])("%s it stops, without the value, and gives the batch back", async (_name, to, misfitsToNull) => {
	const failed = shaped(["n int32"], [to], [["1"], ["31337"]], { misfitsToNull });
	await expect(failed).rejects.toThrow(HeadraceError);
	await expect(failed).rejects.toMatchObject({ code: "E_VALUE", message: expect.not.stringContaining("31337") });
});
