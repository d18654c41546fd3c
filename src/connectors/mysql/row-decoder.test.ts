import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
	BATCH_HEAP_BYTES_MAX,
	BATCH_ROWS_MAX,
	type Batch,
	BatchPool,
	type ColumnType,
	DEFAULT_TYPE_POLICY,
	HeadraceError,
	parseColumnType,
	type SourceColumn,
	type TypePolicy,
} from "../../core/index.ts";
import { float32Text, float64Text, valueText } from "../../formats/index.ts";
import type { Wire } from "./decoders.ts";
import { nativeOfField } from "./native.ts";
import { RowDecoder } from "./row-decoder.ts";
import { sourceColumn } from "./types.ts";

const type = (text: string): ColumnType => parseColumnType(text)!;

function column(wire: Wire, columnType: ColumnType, rest: object = {}, name = "c"): SourceColumn {
	const decoder = { wire, select: name, column: name, ...rest };
	return { name, type: columnType, nullable: true, nativeType: wire, fidelity: "exact", decoder };
}

/** A length-encoded field of the text protocol; null is NULL. */
function field(value: Buffer | string | null): Buffer {
	if (value === null) return Buffer.from([251]);
	const bytes = typeof value === "string" ? Buffer.from(value) : value;
	const { length } = bytes;
	if (length < 251) return Buffer.concat([Buffer.from([length]), bytes]);
	if (length < 65536) return Buffer.concat([Buffer.from([252, length & 255, length >> 8]), bytes]);
	return Buffer.concat([Buffer.from([253, length & 255, (length >> 8) & 255, length >> 16]), bytes]);
}

type Value = Buffer | string | null;

/** Decodes rows that come in buffers of up to `rowsPerBuffer`, each at an odd place of its buffer. */
function decode(
	columns: readonly SourceColumn[],
	rows: readonly (readonly Value[])[],
	policy: TypePolicy = DEFAULT_TYPE_POLICY,
	rowsPerBuffer = 7,
): Batch[] {
	const batches: Batch[] = [];
	const decoder = new RowDecoder(columns, new BatchPool(columns), policy, (batch) => batches.push(batch));
	for (let start = 0; start < rows.length; start += rowsPerBuffer) {
		const packets = rows.slice(start, start + rowsPerBuffer).map((row) => Buffer.concat(row.map(field)));
		const buffer = Buffer.concat(packets.flatMap((packet) => [Buffer.from("head"), packet]));
		let at = 0;
		for (const packet of packets) {
			decoder.row(buffer, at + 4, at + 4 + packet.length);
			at += 4 + packet.length;
		}
	}
	decoder.finish();
	return batches;
}

function texts(batches: readonly Batch[]): (string | null)[] {
	return batches.flatMap((batch) =>
		Array.from({ length: batch.rowCount }, (_, row) => valueText(batch.columns[0]!, row)),
	);
}

const one = (wire: Wire, to: string, values: readonly Value[], policy?: TypePolicy, rest?: object) =>
	texts(
		decode(
			[column(wire, type(to), rest)],
			values.map((value) => [value]),
			policy,
		),
	);

function thrown(work: () => unknown): HeadraceError {
	try {
		work();
	} catch (error) {
		if (error instanceof HeadraceError) return error;
		throw error;
	}
	throw new Error("it did not fail");
}

describe("numbers", () => {
	const ranges: readonly (readonly [string, bigint, bigint])[] = [
		["int8", -128n, 127n],
		["uint8", 0n, 255n],
		["int16", -32768n, 32767n],
		["uint16", 0n, 65535n],
		["int32", -(1n << 31n), (1n << 31n) - 1n],
		["uint32", 0n, (1n << 32n) - 1n],
		["int64", -(1n << 63n), (1n << 63n) - 1n],
		["uint64", 0n, (1n << 64n) - 1n],
	];
	test.each(ranges)("every %s arrives equal", (kind, min, max) => {
		fc.assert(
			fc.property(fc.array(fc.option(fc.bigInt({ min, max })), { maxLength: 30 }), (values) => {
				const written = [...values, min, max].map((value) => (value === null ? null : String(value)));
				expect(one("integer", kind, written)).toEqual(written);
			}),
		);
	});

	test("zeros in front change nothing", () => {
		expect(one("integer", "uint32", ["0000000042", "0000000000"])).toEqual(["42", "0"]);
		expect(one("decimal", "decimal(18,2)", ["0000000000000042.50"])).toEqual(["42.50"]);
	});

	test("every decimal of every precision and scale arrives with all its digits", () => {
		const decimals = fc.integer({ min: 1, max: 38 }).chain((precision) =>
			fc.tuple(
				fc.constant(precision),
				fc.integer({ min: 0, max: precision }),
				fc.array(fc.bigInt({ min: -(10n ** BigInt(precision)) + 1n, max: 10n ** BigInt(precision) - 1n }), {
					maxLength: 20,
				}),
			),
		);
		fc.assert(
			fc.property(decimals, ([precision, scale, values]) => {
				const largest = 10n ** BigInt(precision) - 1n;
				const written = [...values, largest, -largest, 0n].map((value) => {
					const digits = String(value < 0n ? -value : value).padStart(scale + 1, "0");
					const point = digits.length - scale;
					return `${value < 0n ? "-" : ""}${digits.slice(0, point)}${scale > 0 ? `.${digits.slice(point)}` : ""}`;
				});
				expect(one("decimal", `decimal(${precision},${scale})`, written)).toEqual(written);
			}),
			{ numRuns: 300 },
		);
	});

	test("a decimal with fewer or more decimals than its column is scaled, or follows the policy", () => {
		const policy: TypePolicy = { ...DEFAULT_TYPE_POLICY, outOfRange: "null" };
		for (const to of ["decimal(4,2)", "decimal(9,2)", "decimal(18,2)", "decimal(38,2)"]) {
			expect(one("decimal", to, ["1", "1.5", "-0.500"])).toEqual(["1.00", "1.50", "-0.50"]);
			expect(one("decimal", to, ["1.555"], policy)).toEqual([null]);
			expect(thrown(() => one("decimal", to, ["1.555"]))).toMatchObject({ code: "E_VALUE" });
		}
	});

	test("every double arrives with all its bits", () => {
		fc.assert(
			fc.property(fc.array(fc.double({ noNaN: true, noDefaultInfinity: true })), (values) => {
				const plain = values.filter((value) => Math.abs(value) < 1e20 && Math.abs(value) > 1e-6);
				const written = [
					...values.map(float64Text),
					...plain.map((value) => value.toFixed(4)),
					"1e22",
					"123456.75",
					"-0",
				];
				expect(one("real", "float64", written)).toEqual(written.map((text) => float64Text(Number(text))));
			}),
		);
	});

	test("every float that was selected as a double arrives with all its bits", () => {
		fc.assert(
			fc.property(fc.array(fc.float({ noNaN: true, noDefaultInfinity: true })), (values) => {
				const written = values.map(float64Text);
				expect(one("real", "float32", written)).toEqual(values.map(float32Text));
				expect(one("real", "text", written, undefined, { single: true })).toEqual(values.map(float32Text));
			}),
		);
	});

	test("bits are bytes, the highest first", () => {
		const bytes = [Buffer.from([0x80, 0x01]), Buffer.from([0x00, 0x05])];
		expect(one("bit", "int64", bytes)).toEqual(["32769", "5"]);
		expect(one("bit", "text", bytes, undefined, { bits: 12 })).toEqual(["000000000001", "000000000101"]);
		expect(one("bit", "boolean", [Buffer.from([1]), Buffer.from([0]), null])).toEqual(["true", "false", null]);
		expect(one("bit", "uint64", [Buffer.alloc(8, 255)])).toEqual(["18446744073709551615"]);
	});
});

describe("times", () => {
	/** From 0001-01-01 to 9999-12-31. */
	const moment = fc.tuple(
		fc.integer({ min: -62_135_596_800, max: 253_402_300_799 }),
		fc.integer({ min: 0, max: 999_999 }),
	);

	test("every datetime from the year 1 to 9999 arrives equal", () => {
		fc.assert(
			fc.property(fc.array(moment, { minLength: 1 }), fc.integer({ min: 0, max: 6 }), (moments, digits) => {
				const written = moments.map(([seconds, micros]) => {
					const text = new Date(seconds * 1000).toISOString().slice(0, 19).replace("T", " ");
					const fraction = String(micros).padStart(6, "0").slice(0, digits);
					return digits === 0 ? text : `${text}.${fraction}`;
				});
				const short = written.map((text) => (text.includes(".") ? text.replace(/\.?0+$/, "") : text));
				expect(one("datetime", "timestamp", written)).toEqual(short);
				expect(one("datetime", "timestamptz", written)).toEqual(short.map((text) => `${text}+00`));
				expect(
					one(
						"date",
						"date",
						written.map((text) => text.slice(0, 10)),
					),
				).toEqual(written.map((text) => text.slice(0, 10)));
			}),
		);
	});

	const impossible = [
		"0000-00-00",
		"2024-00-10",
		"2024-10-00",
		"2024-02-30",
		"2023-02-29",
		"1900-02-29",
		"2024-04-31",
		"2024-13-01",
		"0000-01-01",
	];
	test("days that do not exist follow the policy, in dates and in datetimes", () => {
		expect(one("date", "date", impossible)).toEqual(impossible.map(() => null));
		expect(
			one(
				"datetime",
				"timestamp",
				impossible.map((day) => `${day} 01:02:03`),
			),
		).toEqual(impossible.map(() => null));
		const [batch] = decode([column("date", type("date"))], [["0000-00-00"], [null], ["2000-02-29"]]);
		expect([batch!.columns[0]!.changedCount, batch!.columns[0]!.nullCount]).toEqual([1, 2]);
		for (const day of impossible) {
			const error = thrown(() => one("date", "date", [day], { ...DEFAULT_TYPE_POLICY, zeroDate: "fail" }));
			expect(error).toMatchObject({ code: "E_VALUE", reaction: "divert" });
			expect(error.message).toContain("column c");
		}
	});

	test("TIME is an interval of any sign and length, or a time of day when it is one", () => {
		const times = ["-838:59:59.000001", "838:59:59", "-00:00:00.5", "00:00:00", "24:00:00"];
		expect(one("time", "interval", times)).toEqual([
			"PT-838H-59M-59.000001S",
			"PT838H59M59S",
			"PT-0.5S",
			"PT0S",
			"PT24H",
		]);
		const policy: TypePolicy = { ...DEFAULT_TYPE_POLICY, outOfRange: "null" };
		expect(one("time", "time", ["23:59:59.999999", "24:00:00", "-00:00:01", "24:00:01"], policy)).toEqual([
			"23:59:59.999999",
			"24:00:00",
			null,
			null,
		]);
		expect(thrown(() => one("time", "time", ["838:00:00"]))).toMatchObject({ code: "E_VALUE" });
	});
});

describe("bytes", () => {
	test("text of every length and every character arrives equal, whatever buffer it came in", () => {
		const text = fc.oneof(fc.string({ unit: "grapheme", maxLength: 80 }), fc.string({ unit: "binary", maxLength: 14 }));
		fc.assert(
			fc.property(
				fc.array(fc.option(text), { maxLength: 40 }),
				fc.integer({ min: 1, max: 9 }),
				(values, rowsPerBuffer) => {
					const whole = values.map((value) => (value === null ? null : value.toWellFormed()));
					const batches = decode(
						[column("text", type("text"))],
						whole.map((value) => [value]),
						DEFAULT_TYPE_POLICY,
						rowsPerBuffer,
					);
					expect(texts(batches)).toEqual(whole);
				},
			),
		);
	});

	test("bytes that are no text arrive equal as binary and as hex", () => {
		const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
		const values = [all, all.subarray(0, 12), Buffer.alloc(0), Buffer.alloc(70_000, 0x80)];
		expect(one("bytes", "binary", values)).toEqual(values.map((value) => value.toString("hex")));
		expect(one("bytes", "text", values, undefined, { bytesAs: "hex" })).toEqual(
			values.map((value) => value.toString("hex")),
		);
	});

	const bad = [Buffer.from([0x41, 0xff]), Buffer.concat([Buffer.alloc(20, 0x41), Buffer.from([0xc3])])];
	test("text that is not UTF-8 is refused, or replaced and counted", () => {
		for (const value of bad) {
			const error = thrown(() => one("text", "text", ["good", value]));
			expect(error).toMatchObject({ code: "E_ENCODING" });
			expect(error.message).not.toContain("AAAA");
		}
		// Two halves of a character in two values are two faults, though their bytes together are valid.
		const halves = [
			Buffer.concat([Buffer.alloc(20, 0x41), Buffer.from([0xc3])]),
			Buffer.concat([Buffer.from([0xa9]), Buffer.alloc(20, 0x42)]),
		];
		const policy: TypePolicy = { ...DEFAULT_TYPE_POLICY, invalidText: "replace" };
		const batches = decode(
			[column("text", type("text"))],
			[...bad, ...halves, "\ufeffmarked, and longer than inline"].map((value) => [value]),
			policy,
		);
		expect(texts(batches)).toEqual([
			"A\ufffd",
			`${"A".repeat(20)}\ufffd`,
			`${"A".repeat(20)}\ufffd`,
			`\ufffd${"B".repeat(20)}`,
			"\ufeffmarked, and longer than inline",
		]);
		expect(batches[0]!.columns[0]!.changedCount).toBe(4);
		// What the heap holds besides the values must not fail whoever checks it as a whole.
		const heap = batches[0]!.columns[0]!;
		expect(new TextDecoder("utf-8", { fatal: true }).decode(heap.heap.subarray(0, heap.heapLength))).toBeTruthy();
		expect(thrown(() => one("text", "json", [Buffer.from([0x22, 0xff, 0x22])]))).toMatchObject({ code: "E_ENCODING" });
	});

	test("a vector is a list of the shortest digits of its floats", () => {
		const floats = Buffer.alloc(16);
		for (const [i, value] of [0.1, -2, 3.4028234663852886e38, 1.5].entries()) floats.writeFloatLE(value, i * 4);
		const native = nativeOfField({
			name: "v",
			columnType: 242,
			characterSet: 63,
			columnLength: 16,
			flags: 0,
			decimals: 0,
		});
		const described = sourceColumn(native, DEFAULT_TYPE_POLICY);
		expect(described.type).toEqual({ kind: "list", element: { kind: "float32" } });
		const batches = decode([described], [[floats], [Buffer.alloc(0)], [null]]);
		expect(texts(batches)).toEqual(['["0.1","-2","3.4028235e+38","1.5"]', "[]", null]);
	});

	test("a geometry's SRID is kept in EWKB, of either byte order", () => {
		const wkb = Buffer.from("0101000000000000000000f03f0000000000000040", "hex");
		const bigEndian = Buffer.from("00000000013ff00000000000004000000000000000", "hex");
		const srid = Buffer.from("e6100000", "hex");
		expect(
			one("geometry", "binary", [
				Buffer.concat([Buffer.alloc(4), wkb]),
				Buffer.concat([srid, wkb]),
				Buffer.concat([srid, bigEndian]),
			]),
		).toEqual([
			wkb.toString("hex"),
			"0101000020e6100000000000000000f03f0000000000000040",
			"0020000001000010e63ff00000000000004000000000000000",
		]);
		expect(thrown(() => one("geometry", "binary", [Buffer.alloc(5)]))).toMatchObject({ code: "E_VALUE" });
	});

	test("a UUID in any case", () => {
		expect(one("uuid", "uuid", ["F47AC10B-58cc-4372-a567-0e02b2c3d479"])).toEqual([
			"f47ac10b-58cc-4372-a567-0e02b2c3d479",
		]);
	});
});

describe("batches", () => {
	test("are cut at their rows, in order", () => {
		const rows = Array.from({ length: 5000 }, (_, i) => [String(i)]);
		const batches = decode([column("integer", type("int32"))], rows, DEFAULT_TYPE_POLICY, 611);
		expect(batches.map((batch) => batch.rowCount)).toEqual([BATCH_ROWS_MAX, BATCH_ROWS_MAX, 5000 - 2 * BATCH_ROWS_MAX]);
		expect(texts(batches)).toEqual(rows.flat());
	});

	test("are cut when their heap is full", () => {
		const value = "v".repeat(100_000);
		const batches = decode(
			[column("text", type("text"))],
			Array.from({ length: 40 }, () => [value]),
			DEFAULT_TYPE_POLICY,
			1,
		);
		expect(batches.length).toBe(4);
		for (const batch of batches) expect(batch.heapBytes).toBeLessThan(BATCH_HEAP_BYTES_MAX + 2 * value.length);
	});

	test("no rows, no batch", () => {
		expect(decode([column("integer", type("int32"))], [])).toEqual([]);
	});

	const broken: readonly (readonly [string, number[]])[] = [
		["a field longer than its packet", [5, 65, 65]],
		["a field of 4 GiB", [254, 0, 0, 0, 0, 1, 0, 0, 0]],
		["a length that is cut off", [252, 1]],
		["a field too many", [1, 65, 1, 65, 1, 65]],
		["a field too few", [1, 65]],
		["no field", []],
		["the mark of an error", [255, 1, 65]],
	];
	test.each(broken)("a packet with %s is refused", (_name, bytes) => {
		const columns = [column("text", type("text"), {}, "a"), column("text", type("text"), {}, "b")];
		const decoder = new RowDecoder(columns, new BatchPool(columns), DEFAULT_TYPE_POLICY, () => {});
		const buffer = Buffer.concat([Buffer.from(bytes), Buffer.alloc(64, 1)]);
		expect(thrown(() => decoder.row(buffer, 0, bytes.length))).toMatchObject({ code: "E_CONNECTION_LOST" });
	});
});
