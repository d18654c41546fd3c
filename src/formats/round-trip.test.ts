import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Batch, BatchPool, type ColumnType, type Field, type FileFormat, typeName } from "../core/index.ts";
import { csvFormat, jsonlFormat, setText, valueText } from "./index.ts";

let folder = "";
beforeAll(async () => {
	folder = await mkdtemp(join(tmpdir(), "headrace-formats-"));
});
afterAll(() => rm(folder, { recursive: true }));

const digits = (min: bigint, max: bigint) => fc.bigInt({ min, max }).map(String);
const pad = (value: number, width: number) => String(value).padStart(width, "0");
const killers = [
	"",
	" ",
	'"',
	'""',
	",",
	"\n",
	"\r",
	"\r\n",
	"\u2028",
	"\\",
	"\\N",
	"NULL",
	"null",
	"\0",
	"a\0b",
	'"\n,"',
	"😀",
	"'",
	"{}",
	"[]",
];
const text = fc.oneof(
	fc.constantFrom(...killers),
	fc.string({ unit: "grapheme", maxLength: 40 }),
	fc.string({ unit: fc.constantFrom('"', ",", "\n", "\r", "a", "\\", "é", "\0", "\t"), maxLength: 90 }),
);
const clock = fc.tuple(fc.nat(23), fc.nat(59), fc.nat(59), fc.nat(999999)).map(([h, m, s, f]) => {
	const fraction = f % 3 === 0 ? "" : `.${pad(f, 6).replace(/0+$/, "")}`;
	return `${pad(h, 2)}:${pad(m, 2)}:${pad(s, 2)}${fraction === "." ? "" : fraction}`;
});
const day = fc
	.tuple(fc.integer({ min: 1, max: 9999 }), fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 28 }))
	.map(([y, m, d]) => `${pad(y, 4)}-${pad(m, 2)}-${pad(d, 2)}`);
const odd = <T>(usual: fc.Arbitrary<T>, ...values: T[]) =>
	fc.oneof({ weight: 5, arbitrary: usual }, fc.constantFrom(...values));
const decimal = (precision: number, scale: number) =>
	fc.bigInt({ min: -(10n ** BigInt(precision)) + 1n, max: 10n ** BigInt(precision) - 1n }).map((value) => {
		const plain = String(value < 0n ? -value : value).padStart(scale + 1, "0");
		const whole = plain.slice(0, plain.length - scale);
		return `${value < 0n ? "-" : ""}${whole}${scale === 0 ? "" : `.${plain.slice(-scale)}`}`;
	});

/** Every type with a generator of canonical texts. */
const TYPES: readonly (readonly [ColumnType, fc.Arbitrary<string>])[] = [
	[{ kind: "boolean" }, fc.constantFrom("true", "false")],
	[{ kind: "int8" }, digits(-128n, 127n)],
	[{ kind: "uint8" }, digits(0n, 255n)],
	[{ kind: "int16" }, digits(-32768n, 32767n)],
	[{ kind: "uint16" }, digits(0n, 65535n)],
	[{ kind: "int32" }, digits(-2147483648n, 2147483647n)],
	[{ kind: "uint32" }, digits(0n, 4294967295n)],
	[{ kind: "int64" }, odd(digits(-(1n << 63n), (1n << 63n) - 1n), "-9007199254740992", "9007199254740993", "0")],
	[{ kind: "uint64" }, odd(digits(0n, (1n << 64n) - 1n), "18446744073709551615", "9223372036854775808")],
	[{ kind: "float32" }, fc.float().map((value) => (Object.is(value, -0) ? "-0" : null) ?? float32(value))],
	[{ kind: "float64" }, fc.double().map((value) => (Object.is(value, -0) ? "-0" : String(value)))],
	[{ kind: "decimal", precision: 4, scale: 2 }, decimal(4, 2)],
	[{ kind: "decimal", precision: 9, scale: 0 }, decimal(9, 0)],
	[{ kind: "decimal", precision: 15, scale: 12 }, decimal(15, 12)],
	[{ kind: "decimal", precision: 18, scale: 6 }, decimal(18, 6)],
	[{ kind: "decimal", precision: 38, scale: 10 }, fc.oneof(decimal(38, 10), decimal(14, 10), decimal(11, 10))],
	[{ kind: "decimal", precision: 38, scale: 38 }, decimal(38, 38)],
	[
		{ kind: "date" },
		odd(day, "infinity", "-infinity", "0044-03-15 BC", "10000-01-01", "2024-02-29", "0001-01-01", "9999-12-31"),
	],
	[{ kind: "time" }, odd(clock, "24:00:00", "00:00:00")],
	[
		{ kind: "timestamp" },
		odd(
			fc.tuple(day, clock).map(([d, c]) => `${d} ${c}`),
			"infinity",
			"-infinity",
			"0044-03-15 01:02:03.5 BC",
			"294246-12-31 23:59:59.999999",
			"1969-12-31 23:59:59.999999",
		),
	],
	[
		{ kind: "timestamptz" },
		odd(
			fc.tuple(day, clock).map(([d, c]) => `${d} ${c}+00`),
			"infinity",
			"-infinity",
			"0044-03-15 01:02:03+00 BC",
		),
	],
	[
		{ kind: "interval" },
		fc.constantFrom(
			"PT0S",
			"P1Y2M-3DT4H5M6.7S",
			"P-1M",
			"PT-0.000001S",
			"PT838H59M59S",
			"P-178956970Y-8M-2147483648DT-2562047788H-54.775808S",
		),
	],
	[{ kind: "uuid" }, fc.uuid()],
	[{ kind: "text" }, text],
	[
		{ kind: "json" },
		fc.constantFrom(
			'{"a": 12345678901234567890123456789}',
			"[]",
			"null",
			'"\\u00e9"',
			'{ "x" : [1, "\\""] }',
			"\n{}\n",
		),
	],
	[{ kind: "binary" }, fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString("hex"))],
	[
		{ kind: "list", element: { kind: "text" } },
		fc.array(fc.option(text), { maxLength: 4 }).map((list) => JSON.stringify(list)),
	],
];

function float32(value: number): string {
	const pool = new BatchPool([{ name: "f", type: { kind: "float32" }, nullable: true }]);
	const column = pool.take().columns[0]!;
	column.f32[0] = value;
	return valueText(column, 0)!;
}

function batchesOf(
	fields: readonly Field[],
	rows: readonly (readonly (string | null)[])[],
	batchRows: number,
): Batch[] {
	const pool = new BatchPool(fields);
	const batches: Batch[] = [];
	for (let from = 0; from < rows.length; from += batchRows) {
		const batch = pool.take();
		for (const row of rows.slice(from, from + batchRows)) {
			row.forEach((value, index) => {
				const column = batch.columns[index]!;
				if (value === null) column.setNull(batch.rowCount);
				else if (!setText(column, batch.rowCount, value)) throw new Error(`${typeName(column.type)}: ${value}`);
			});
			batch.rowCount++;
		}
		batches.push(batch);
	}
	return batches;
}

async function* each<T>(items: readonly T[]) {
	yield* items;
}

/** Writes rows with a format, reads the files back, and gives the rows' texts and the files. */
async function roundTrip(format: FileFormat, fields: readonly Field[], batches: readonly Batch[]) {
	const paths: string[] = [];
	let count = 0;
	await format.write({
		fields,
		batches: each(batches),
		nextPath: async () => join(folder, `part-${paths.length}.${format.extension}`),
		written: async (path, rows) => {
			paths.push(path);
			count += rows;
		},
		bufferBytesMax: 1 << 20,
	});
	const rows: (string | null)[][] = [];
	for (const path of paths)
		for await (const batch of format.read(path, fields)) {
			for (let row = 0; row < batch.rowCount; row++) rows.push(batch.columns.map((column) => valueText(column, row)));
			batch.release();
		}
	return { rows, paths, count };
}

const FORMATS: readonly (readonly [string, FileFormat])[] = [
	["csv", csvFormat({ compression: "none" })],
	["csv.gz", csvFormat()],
	["csv.zst with a text for NULL", csvFormat({ compression: "zstd", nullText: "\\Nd3adb33f", header: false })],
	["jsonl", jsonlFormat({ compression: "none" })],
	["jsonl.zst", jsonlFormat({ compression: "zstd" })],
];

describe.each(FORMATS)("%s", (_name, format) => {
	it("reads back every value of every type as it was written", async () => {
		const fields: Field[] = TYPES.map(([type], index) => ({
			name: `c${index} "${typeName(type)}", ä`,
			type,
			nullable: true,
		}));
		await fc.assert(
			fc.asyncProperty(
				fc.array(fc.tuple(...TYPES.map(([, values]) => fc.option(values, { freq: 8 }))), { maxLength: 30 }),
				fc.integer({ min: 1, max: 12 }),
				async (rows, batchRows) => {
					const result = await roundTrip(format, fields, batchesOf(fields, rows, batchRows));
					expect(result.rows).toEqual(rows);
					expect(result.count).toBe(rows.length);
				},
			),
			{ numRuns: 40 },
		);
	});

	it("keeps NULL and the empty text apart when there is one column only", async () => {
		for (const type of [{ kind: "text" }, { kind: "int64" }] as const) {
			const fields: Field[] = [{ name: "only", type, nullable: true }];
			const rows = [[null], [type.kind === "text" ? "" : "0"], [null], [type.kind === "text" ? "\n" : "1"], [null]];
			expect((await roundTrip(format, fields, batchesOf(fields, rows, 2))).rows).toEqual(rows);
		}
	});

	it("reads values that are longer than any piece", async () => {
		const fields: Field[] = [
			{ name: "a", type: { kind: "text" }, nullable: true },
			{ name: "b", type: { kind: "binary" }, nullable: true },
		];
		const rows = [
			['x"\n'.repeat(2_000_000), "ab".repeat(1_500_000)],
			["short", null],
		];
		const result = await roundTrip(format, fields, batchesOf(fields, rows, 5));
		expect(result.rows.map((row) => row.map((value) => value?.length))).toEqual([
			[6_000_000, 3_000_000],
			[5, undefined],
		]);
		expect(result.rows[0]![0] === rows[0]![0] && result.rows[0]![1] === rows[0]![1]).toBe(true);
	});
});

describe("files", () => {
	const fields: Field[] = [
		{ name: "id", type: { kind: "int64" }, nullable: false },
		{ name: "t", type: { kind: "text" }, nullable: true },
	];
	const rows = (count: number) => Array.from({ length: count }, (_, index) => [String(index), `value ${index * 7919}`]);

	it("begins the next file when one is large enough, and loses no row between them", async () => {
		const format = csvFormat({ compression: "none", fileBytesTarget: 1 << 18 });
		const result = await roundTrip(format, fields, batchesOf(fields, rows(60_000), 500));
		expect(result.paths.length).toBeGreaterThan(2);
		expect(result.rows).toEqual(rows(60_000));
		expect((await readFile(result.paths[1]!, "utf8")).startsWith('"id","t"\n')).toBe(true);
	});

	it("writes no file when there is no row", async () => {
		expect((await roundTrip(csvFormat(), fields, [])).paths).toEqual([]);
	});

	it("refuses a value that would be taken for NULL", async () => {
		const format = csvFormat({ nullText: "\\Nd3adb33f" });
		await expect(roundTrip(format, fields, batchesOf(fields, [["1", "\\Nd3adb33f"]], 1))).rejects.toMatchObject({
			code: "E_VALUE",
		});
	});

	it("names file and line of a damaged file", async () => {
		const format = csvFormat({ compression: "none" });
		const { paths } = await roundTrip(format, fields, batchesOf(fields, rows(3), 5));
		const read = async (content: string) => {
			await writeFile(paths[0]!, content);
			for await (const batch of format.read(paths[0]!, fields)) batch.release();
		};
		for (const [content, line] of [
			['"id","t"\n1,"a"\n2\n', 3],
			['"id","t"\n1,"a"\nx,"b"\n', 3],
			['"id","t"\n1,"a"b\n', 2],
			['"id","t"\n1,"a"\n2,"b\n', 3],
			['"id","u"\n1,"a"\n', 1],
		] as const)
			await expect(read(content)).rejects.toMatchObject({ code: "E_CORRUPT_FILE", place: { file: paths[0], line } });
		await expect(read("")).rejects.toMatchObject({ code: "E_CORRUPT_FILE", place: { file: paths[0] } });
	});
});
