import { describe, expect, it } from "vitest";
import { type Batch, type ColumnType, type Field, typeName } from "../core/index.ts";
import { BatchBuilder, buildBatches, inferFields, type RowObject, rowsOf, valueText } from "./index.ts";

const types = (rows: RowObject[]) =>
	Object.fromEntries(inferFields(rows).map(({ name, type }) => [name, typeName(type)]));

async function texts(rows: Iterable<RowObject> | AsyncIterable<RowObject>, fields?: readonly Field[]) {
	const built = await buildBatches(rows, fields === undefined ? {} : { fields });
	const all: (string | null)[][] = [];
	for await (const batch of built.batches) {
		for (let row = 0; row < batch.rowCount; row++) all.push(batch.columns.map((column) => valueText(column, row)));
		batch.release();
	}
	return all;
}

const field = (type: ColumnType): Field[] => [{ name: "v", type, nullable: true }];

describe("types of objects", () => {
	it.each([
		[[1, 2n], "int64"],
		[[1, 2n ** 63n], "decimal(38,0)"],
		[[1, 10n ** 40n], "text"],
		[[1, 1.5], "float64"],
		[[2n ** 53n + 1n, 1.5], "text"],
		[[true], "boolean"],
		[[true, 1], "text"],
		[[new Date(0)], "timestamptz"],
		[["x", 1], "text"],
		[[new Uint8Array(1)], "binary"],
		[[["a", null]], "text[]"],
		[[[1]], "json"],
		[[{ a: 1 }], "json"],
		[[{ a: 1 }, 1], "json"],
		[[null, undefined], "text"],
		[[-0], "float64"],
		[[Number.NaN], "float64"],
	])("%o is %s", (values, type) => {
		expect(types(values.map((v) => ({ v })))).toEqual({ v: type });
	});

	it("takes names in the order in which they come", () => {
		expect(Object.keys(types([{ b: 1 }, { a: 1, b: 2 }]))).toEqual(["b", "a"]);
	});
});

describe("values", () => {
	it("keeps them exactly", async () => {
		expect(await texts([{ v: 2n ** 63n - 1n }], field({ kind: "int64" }))).toEqual([["9223372036854775807"]]);
		expect(
			await texts([{ v: "1.10" }, { v: 0.1 }, { v: 7n }], field({ kind: "decimal", precision: 5, scale: 2 })),
		).toEqual([["1.10"], ["0.10"], ["7.00"]]);
		expect(await texts([{ v: new Date("2024-02-29T12:00:00.123Z") }])).toEqual([["2024-02-29 12:00:00.123+00"]]);
		expect(await texts([{ v: { a: 12345678901234567890n, b: "x" } }])).toEqual([
			['{"a":12345678901234567890,"b":"x"}'],
		]);
		expect(await texts([{ v: ["a", null] }])).toEqual([['["a",null]']]);
		expect(await texts([{ v: [1, 2n] }], field({ kind: "list", element: { kind: "int64" } }))).toEqual([['["1","2"]']]);
		expect(await texts([{ v: Uint8Array.of(0, 255) }])).toEqual([["00ff"]]);
		expect(await texts([{ v: "P1Y2M-3DT4H5M6.7S" }], field({ kind: "interval" }))).toEqual([["P1Y2M-3DT4H5M6.7S"]]);
		expect(await texts([{ v: "2024-01-01T10:00:00+02:00" }], field({ kind: "timestamptz" }))).toEqual([
			["2024-01-01 08:00:00+00"],
		]);
		expect(await texts([{ v: undefined }, {}, { v: null }], field({ kind: "date" }))).toEqual([[null], [null], [null]]);
	});

	it.each<[ColumnType, unknown]>([
		[{ kind: "int8" }, 128],
		[{ kind: "int64" }, 2 ** 53],
		[{ kind: "int64" }, 1.5],
		[{ kind: "int64" }, ""],
		[{ kind: "uint64" }, -1n],
		[{ kind: "float64" }, ""],
		[{ kind: "decimal", precision: 4, scale: 2 }, "100.00"],
		[{ kind: "decimal", precision: 4, scale: 2 }, "1.005"],
		[{ kind: "decimal", precision: 38, scale: 2 }, 1e300],
		[{ kind: "date" }, "2023-02-29"],
		[{ kind: "date" }, "0000-01-01"],
		[{ kind: "time" }, "25:00:00"],
		[{ kind: "timestamp" }, "2024-01-01 00:00:00Z"],
		[{ kind: "timestamptz" }, "2024-01-01 00:00:00"],
		[{ kind: "timestamp" }, new Date(0)],
		[{ kind: "timestamptz" }, new Date(Number.NaN)],
		[{ kind: "text" }, "half \ud800"],
		[{ kind: "text" }, {}],
		[{ kind: "binary" }, "ff"],
		[{ kind: "uuid" }, "not-a-uuid"],
		[{ kind: "json" }, { a: Number.NaN }],
		[{ kind: "json" }, { a: new Map() }],
		[{ kind: "list", element: { kind: "int64" } }, ["x"]],
		[{ kind: "boolean" }, 1],
		[{ kind: "interval" }, "P"],
		[{ kind: "interval" }, "1 day"],
	])("refuses for %o: %o, naming column and row, never the value", async (type, value) => {
		const rows = [{ v: null }, { v: value }];
		await expect(texts(rows, field(type))).rejects.toMatchObject({
			code: "E_VALUE",
			message: expect.stringMatching(/^column v, row 2: /),
		});
	});

	it("refuses NULL where there may be none, and a column that comes late", async () => {
		const fields: Field[] = [{ name: "v", type: { kind: "int64" }, nullable: false }];
		await expect(texts([{ v: null }], fields)).rejects.toMatchObject({ code: "E_VALUE" });
		async function* late() {
			for (let index = 0; index < 1000; index++) yield { v: 1 };
			yield { v: 1, w: 2 };
		}
		await expect(texts(late())).rejects.toMatchObject({ message: expect.stringContaining("row 1001 has a column w") });
	});

	it("ends the generator when the reader ends early", async () => {
		let ended = false;
		async function* rows() {
			try {
				for (let v = 0; ; v++) yield { v };
			} finally {
				ended = true;
			}
		}
		for await (const batch of (await buildBatches(rows())).batches) {
			batch.release();
			break;
		}
		expect(ended).toBe(true);
	});

	it("cuts batches by rows and by bytes", async () => {
		const sizes = async (rows: Iterable<RowObject>) => {
			const counts: number[] = [];
			for await (const batch of (await buildBatches(rows)).batches as AsyncIterable<Batch>) {
				counts.push(batch.rowCount);
				batch.release();
			}
			return counts;
		};
		expect(await sizes(Array.from({ length: 5000 }, (_, v) => ({ v })))).toEqual([2048, 2048, 904]);
		expect(await sizes(Array.from({ length: 4 }, () => ({ v: "x".repeat(700_000) })))).toEqual([2, 2]);
	});

	it("gives rows as objects of what JavaScript holds without loss", () => {
		const fields: Field[] = [
			{ name: "a", type: { kind: "int64" }, nullable: true },
			{ name: "b", type: { kind: "int32" }, nullable: true },
			{ name: "c", type: { kind: "decimal", precision: 5, scale: 2 }, nullable: true },
			{ name: "d", type: { kind: "binary" }, nullable: true },
			{ name: "e", type: { kind: "list", element: { kind: "text" } }, nullable: true },
			{ name: "__proto__", type: { kind: "boolean" }, nullable: true },
		];
		const builder = new BatchBuilder(fields);
		const row = { a: 2n ** 60n, b: -5, c: "1.50", d: Uint8Array.of(1), e: ["x", null], ["__proto__"]: true };
		builder.append(row);
		builder.append({});
		const batch = builder.flush()!;
		const [first, second] = [...rowsOf(batch)];
		expect(Object.entries(first!)).toEqual([
			["a", 2n ** 60n],
			["b", -5],
			["c", "1.50"],
			["d", Uint8Array.of(1)],
			["e", ["x", null]],
			["__proto__", true],
		]);
		expect(Object.values(second!)).toEqual([null, null, null, null, null, null]);
	});
});
