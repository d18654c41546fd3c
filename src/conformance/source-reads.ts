import assert from "node:assert/strict";
import { BATCH_HEAP_BYTES_MAX, type Field } from "../core/batch.ts";
import { type ColumnType, typeName } from "../core/column-type.ts";
import { ID, NAME, numberedRows, sameRows, type TextRow } from "./rows.ts";
import { TYPE_SAMPLES, typeCaseName } from "./samples.ts";
import { makeTable, numberedTable, POLICY, readRows, readTable, type SourceCase } from "./source-fixture.ts";

/** One case a type, so that a system without the type skips that one, with its reason. */
const typeCases: readonly SourceCase[] = TYPE_SAMPLES.map(({ type, values }) => [
	typeCaseName(type),
	async (fixture) => {
		const held = values.filter((value) => fixture.cannotHold?.(type, value) !== true);
		const rows: TextRow[] = [...held, null].map((value, i) => [String(i), value]);
		const columns: Field[] = [ID, { name: "v", type, nullable: true }];
		const table = await makeTable(fixture, { name: "typed", columns, primaryKey: ["id"], rows });
		const described = table.columns[1]!;
		assert.equal(typeName(described.type), typeName(fixture.describedType?.(type) ?? type));
		assert.notEqual(described.fidelity, "refused");
		sameRows(await readTable(fixture.source, table), rows);
	},
]);

/** Rows of (id, c) whose cursor column has these values, and NULL in the last. */
async function cursorTable(fixture: Parameters<SourceCase[1]>[0], type: ColumnType, values: readonly string[]) {
	const rows: TextRow[] = [...values, null].map((value, i) => [String(i), value]);
	const columns: Field[] = [ID, { name: "c", type, nullable: true }];
	return makeTable(fixture, { name: "by_cursor", columns, primaryKey: ["id"], rows });
}

const CURSORS: readonly (readonly [type: ColumnType, low: string, middle: string, high: string])[] = [
	[{ kind: "int64" }, "-5", "9", "9007199254740993"],
	[{ kind: "decimal", precision: 12, scale: 3 }, "-0.500", "9.000", "10.125"],
	[{ kind: "date" }, "1999-12-31", "2024-02-29", "2024-03-01"],
	[{ kind: "timestamp" }, "2024-01-01 00:00:00", "2024-01-01 00:00:00.000001", "2024-01-01 00:00:01"],
	[{ kind: "timestamptz" }, "2024-01-01 00:00:00+00", "2024-01-01 00:00:00.000001+00", "2024-01-01 00:00:01+00"],
];

const windowCases: readonly SourceCase[] = CURSORS.map(([type, low, middle, high]) => [
	`window over ${typeName(type)}: from is in, to is out unless included, NULL is in none`,
	async (fixture) => {
		const table = await cursorTable(fixture, type, [middle, high, low]);
		const ids = async (window: { from?: string | null; to?: string | null; toIncluded?: boolean }) => {
			const rows = await readTable(fixture.source, table, { window: { column: "c", ...window } });
			return rows
				.map(([id]) => id)
				.sort()
				.join();
		};
		assert.equal(await ids({ from: middle }), "0,1", "from");
		assert.equal(await ids({ to: middle }), "2", "to, excluded");
		assert.equal(await ids({ to: middle, toIncluded: true }), "0,2", "to, included");
		assert.equal(await ids({ from: low, to: high }), "0,2", "both");
		assert.equal(await ids({ from: high, to: high }), "", "an empty range");
		assert.equal(await ids({ from: middle, to: middle, toIncluded: true }), "0", "one value");
		assert.equal(await ids({ from: null, to: null }), "0,1,2,3", "no bound");
		await using snapshot = await fixture.source.snapshot({ readers: 1 });
		assert.deepEqual(await snapshot.cursorMax(table, "c"), { max: high, nulls: 1 });
	},
]);

export const sourceReadCases: readonly SourceCase[] = [
	...typeCases,
	...windowCases,
	[
		"an empty table has no rows, no highest cursor, and its types",
		async (fixture) => {
			const table = await numberedTable(fixture, "empty", 0);
			await using snapshot = await fixture.source.snapshot({ readers: 1 });
			assert.deepEqual(await readRows(snapshot, table), []);
			assert.deepEqual(await snapshot.cursorMax(table, "id"), { max: null, nulls: 0 });
			const chunks = await snapshot.split(table, { rows: 10 });
			for (const chunk of chunks) assert.deepEqual(await readRows(snapshot, table, { chunk }), []);
			assert.equal(typeName(table.columns[0]!.type), "int64");
		},
	],
	[
		"only NULLs in a cursor column: no highest value, all counted",
		async (fixture) => {
			const table = await cursorTable(fixture, { kind: "timestamp" }, []);
			await using snapshot = await fixture.source.snapshot({ readers: 1 });
			assert.deepEqual(await snapshot.cursorMax(table, "c"), { max: null, nulls: 1 });
		},
	],
	[
		"the columns that were asked for come in the order that was asked",
		async (fixture) => {
			const columns: Field[] = [ID, NAME, { name: "n", type: { kind: "int32" }, nullable: true }];
			const rows = [["1", "one", "11"]];
			const table = await makeTable(fixture, { name: "asked", columns, primaryKey: ["id"], rows });
			const [id, name, n] = table.columns;
			await using snapshot = await fixture.source.snapshot({ readers: 1 });
			assert.deepEqual(await readRows(snapshot, table, { columns: [n!, id!] }), [["11", "1"]]);
			assert.deepEqual(await readRows(snapshot, table, { columns: [name!] }), [["one"]]);
		},
	],
	[
		"a table without a key gives every row, equal ones too",
		async (fixture) => {
			const rows = [
				["1", "same"],
				["1", "same"],
				["2", null],
			];
			const table = await makeTable(fixture, { name: "keyless", columns: [ID, NAME], primaryKey: [], rows });
			assert.deepEqual(table.primaryKey, []);
			sameRows(await readTable(fixture.source, table), rows);
		},
	],
	[
		"batches are bounded: at most 2048 rows, and cut when their heap is full",
		async (fixture) => {
			const many = await numberedTable(fixture, "many", 5000);
			sameRows(await readTable(fixture.source, many), numberedRows(5000));
			const wide = "w".repeat(400_000);
			const rows = Array.from({ length: 12 }, (_, i) => [String(i), wide]);
			const table = await makeTable(fixture, { name: "wide", columns: [ID, NAME], primaryKey: ["id"], rows });
			await using snapshot = await fixture.source.snapshot({ readers: 1 });
			let count = 0;
			for await (const batch of snapshot.read({ table, columns: table.columns, types: POLICY })) {
				assert.ok(batch.heapBytes <= BATCH_HEAP_BYTES_MAX + wide.length, `a heap of ${batch.heapBytes} bytes`);
				count += batch.rowCount;
				batch.release();
			}
			assert.equal(count, rows.length);
		},
	],
	[
		"split covers every row exactly once, with a window too",
		async (fixture) => {
			const table = await numberedTable(fixture, "split", 2500);
			await using snapshot = await fixture.source.snapshot({ readers: 1 });
			const chunks = await snapshot.split(table, { rows: 700 });
			assert.deepEqual(
				chunks.map((chunk) => chunk.index),
				chunks.map((_, i) => i),
			);
			const all: TextRow[] = [];
			const some: TextRow[] = [];
			for (const chunk of chunks) {
				all.push(...(await readRows(snapshot, table, { chunk })));
				some.push(...(await readRows(snapshot, table, { chunk, window: { column: "id", from: "600", to: "1500" } })));
			}
			sameRows(all, numberedRows(2500));
			sameRows(some, numberedRows(900, 600));
		},
	],
	[
		"split of a composite key and of no key covers every row exactly once",
		async (fixture) => {
			const columns: Field[] = ["a", "b"].map((name) => ({ name, type: { kind: "int32" }, nullable: false }));
			const rows = Array.from({ length: 300 }, (_, i) => [String(i % 7), String(i)]);
			for (const [name, primaryKey] of [
				["split_composite", ["a", "b"]],
				["split_keyless", []],
			] as const) {
				const table = await makeTable(fixture, { name, columns, primaryKey, rows });
				await using snapshot = await fixture.source.snapshot({ readers: 1 });
				const found: TextRow[] = [];
				for (const chunk of await snapshot.split(table, { rows: 40 }))
					found.push(...(await readRows(snapshot, table, { chunk })));
				sameRows(found, rows, name);
			}
		},
	],
];
