import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
	type Batch,
	BatchPool,
	type ColumnType,
	DEFAULT_TYPE_POLICY,
	HeadraceError,
	type TypePolicy,
} from "../../core/index.ts";
import { decimalText, valueText } from "../../formats/index.ts";
import { type DecodeName, decoderOf } from "./decoders.ts";
import { RowDecoder } from "./row-decoder.ts";

const HEADER = Buffer.from("PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", "latin1");
const TRAILER = Buffer.from([0xff, 0xff]);

function row(fields: readonly (Buffer | null)[]): Buffer {
	const parts: Buffer[] = [Buffer.from([fields.length >> 8, fields.length])];
	for (const field of fields) {
		const length = Buffer.alloc(4);
		length.writeInt32BE(field === null ? -1 : field.length);
		parts.push(length, ...(field === null ? [] : [field]));
	}
	return Buffer.concat(parts);
}

interface Setup {
	readonly decode: DecodeName;
	readonly type: ColumnType;
	readonly policy?: Partial<TypePolicy>;
}

/** Decodes messages of one column; the header comes with the first. */
function decodeMessages({ decode, type, policy }: Setup, messages: readonly Buffer[], rows = messages.length - 1) {
	const types = { ...DEFAULT_TYPE_POLICY, ...policy };
	const batches: Batch[] = [];
	const decoder = new RowDecoder({
		pool: new BatchPool([{ name: "c", type, nullable: true }]),
		decoders: [decoderOf(decode, "c", type, types)],
		textUnchecked: false,
		invalidText: "fail",
		onBatch: (batch) => batches.push(batch),
		onFailure: (error) => {
			throw error;
		},
	});
	// One buffer, as a socket gives it.
	const buffer = Buffer.concat(messages);
	let at = 0;
	for (const { length } of messages) {
		decoder.message(buffer, at, at + length);
		at += length;
	}
	decoder.flush();
	decoder.finish(rows);
	return {
		values: batches.flatMap((batch) =>
			Array.from({ length: batch.rowCount }, (_, i) => valueText(batch.columns[0]!, i)),
		),
		changed: batches.reduce((sum, batch) => sum + batch.columns[0]!.changedCount, 0),
	};
}

function decodeValues(setup: Setup, fields: readonly (Buffer | null)[]) {
	const messages = fields.map((field, i) => Buffer.concat([...(i === 0 ? [HEADER] : []), row([field])]));
	return decodeMessages(setup, [...messages, TRAILER], fields.length);
}

/** numeric_send of an unscaled integer with `scale` digits after the point. */
function numericBytes(unscaled: bigint, scale: number): Buffer {
	const negative = unscaled < 0n;
	const text = decimalText(negative ? -unscaled : unscaled, scale);
	const [whole = "", fraction = ""] = text.split(".");
	const left = whole.padStart(Math.ceil(whole.length / 4) * 4, "0");
	const right = fraction.padEnd(Math.ceil(fraction.length / 4) * 4, "0");
	const digits = (left + right).match(/.{4}/g)!.map(Number);
	let weight = left.length / 4 - 1;
	while (digits.length > 0 && digits[0] === 0) {
		digits.shift();
		weight--;
	}
	while (digits.at(-1) === 0) digits.pop();
	if (digits.length === 0) weight = 0;
	const bytes = Buffer.alloc(8 + digits.length * 2);
	bytes.writeUInt16BE(digits.length, 0);
	bytes.writeInt16BE(weight, 2);
	bytes.writeUInt16BE(negative && digits.length > 0 ? 0x4000 : 0, 4);
	bytes.writeUInt16BE(scale, 6);
	for (const [i, digit] of digits.entries()) bytes.writeUInt16BE(digit, 8 + i * 2);
	return bytes;
}

const special = (sign: number) => Buffer.from([0, 0, 0, 0, sign >> 8, sign & 255, 0, 0]);
const int8 = (value: bigint) => {
	const bytes = Buffer.alloc(8);
	bytes.writeBigInt64BE(value);
	return bytes;
};

describe("decimals", () => {
	test("every decimal(p,s) is exact, on the fast path and off it", () => {
		const decimal = fc.integer({ min: 1, max: 38 }).chain((precision) =>
			fc.record({
				precision: fc.constant(precision),
				scale: fc.integer({ min: 0, max: precision }),
				values: fc.array(fc.bigInt({ min: -(10n ** BigInt(precision)) + 1n, max: 10n ** BigInt(precision) - 1n }), {
					minLength: 1,
				}),
				// Short values in wide columns, and values just around the limits of a double.
				shift: fc.integer({ min: 0, max: 38 }),
			}),
		);
		fc.assert(
			fc.property(decimal, ({ precision, scale, values, shift }) => {
				const near = 10n ** BigInt(Math.min(precision, 15)) - 1n;
				const all = [...values, ...values.map((v) => v / 10n ** BigInt(shift)), 0n, near, -near];
				const type: ColumnType = { kind: "decimal", precision, scale };
				const { values: decoded } = decodeValues(
					{ decode: "decimal", type },
					all.map((v) => numericBytes(v, scale)),
				);
				expect(decoded).toEqual(all.map((v) => decimalText(v, scale)));
			}),
			{ numRuns: 400 },
		);
	});

	test.each([
		["9007199254740993", 18, 0],
		["9000000000000000", 18, 0],
		["8999999999999999", 18, 0],
		["99999999.99999999", 18, 8],
	])("%s is exact around 2^53", (text, precision, scale) => {
		const unscaled = BigInt(text.replace(".", ""));
		const type: ColumnType = { kind: "decimal", precision, scale };
		expect(
			decodeValues({ decode: "decimal", type }, [numericBytes(unscaled, scale), numericBytes(-unscaled, scale)]).values,
		).toEqual([text, `-${text}`]);
	});

	test("more digits than the type has are never rounded", () => {
		const type: ColumnType = { kind: "decimal", precision: 5, scale: 2 };
		for (const bytes of [
			numericBytes(1001n, 3),
			numericBytes(100000n, 2),
			numericBytes(1n, 9),
			numericBytes(10n ** 20n, 0),
		]) {
			expect(() => decodeValues({ decode: "decimal", type }, [bytes])).toThrow(
				/column c holds a number that decimal\(5,2\) cannot hold/,
			);
			expect(decodeValues({ decode: "decimal", type, policy: { outOfRange: "null" } }, [bytes])).toEqual({
				values: [null],
				changed: 1,
			});
		}
		expect(decodeValues({ decode: "decimal", type }, [numericBytes(1000n, 3)]).values).toEqual(["1.00"]);
	});

	test("NaN and the infinities go by their policies", () => {
		const type: ColumnType = { kind: "decimal", precision: 5, scale: 2 };
		for (const [sign, option] of [
			[0xc000, "nan"],
			[0xd000, "infinity"],
			[0xf000, "infinity"],
		] as const) {
			expect(() => decodeValues({ decode: "decimal", type }, [special(sign)])).toThrow(HeadraceError);
			expect(decodeValues({ decode: "decimal", type, policy: { [option]: "null" } }, [special(sign)])).toEqual({
				values: [null],
				changed: 1,
			});
			expect(() => decodeValues({ decode: "integer", type: { kind: "int32" } }, [special(sign)])).toThrow(
				HeadraceError,
			);
		}
		expect(() => decodeValues({ decode: "decimal", type }, [special(0x1234)])).toThrow(/unknown form/);
	});

	test("integers: bounds of every width", () => {
		const bounds = {
			int8: [-128n, 127n],
			uint8: [0n, 255n],
			int16: [-32768n, 32767n],
			uint16: [0n, 65535n],
			int32: [-(2n ** 31n), 2n ** 31n - 1n],
			uint32: [0n, 2n ** 32n - 1n],
			int64: [-(2n ** 63n), 2n ** 63n - 1n],
			uint64: [0n, 2n ** 64n - 1n],
		} as const;
		for (const [kind, [low, high]] of Object.entries(bounds)) {
			const setup: Setup = { decode: "integer", type: { kind: kind as "int8" } };
			expect(decodeValues(setup, [numericBytes(low, 0), numericBytes(high, 0), null]).values).toEqual([
				String(low),
				String(high),
				null,
			]);
			for (const beyond of [low - 1n, high + 1n])
				expect(() => decodeValues(setup, [numericBytes(beyond, 0)])).toThrow(/cannot hold/);
		}
	});
});

describe("times", () => {
	const timestamp: Setup = { decode: "timestamp", type: { kind: "timestamp" } };

	test("a timestamp is its microseconds since 2000, moved to 1970, for all that fit", () => {
		fc.assert(
			fc.property(
				fc.array(fc.bigInt({ min: -211813488000000000n, max: 9222425352054775806n }), { minLength: 1 }),
				(micros) => {
					const pool = new BatchPool([{ name: "c", type: timestamp.type, nullable: true }]);
					const column = pool.take().columns[0]!;
					const buffer = Buffer.concat(micros.slice(0, 64).map(int8));
					const count = buffer.length / 8;
					const offsets = Int32Array.from({ length: count }, (_, i) => i * 8);
					decoderOf("timestamp", "c", timestamp.type, DEFAULT_TYPE_POLICY)(
						buffer,
						offsets,
						new Int32Array(count).fill(8),
						0,
						count,
						column,
						0,
					);
					for (let i = 0; i < count; i++) expect(column.i64[i]).toBe(micros[i]! + 946684800000000n);
				},
			),
		);
	});

	test("infinities and the end of the range", () => {
		const max = 2n ** 63n - 1n;
		expect(decodeValues(timestamp, [int8(max), int8(-(2n ** 63n))]).values).toEqual(["infinity", "-infinity"]);
		// The value that would be infinity in microseconds since 1970 is none.
		expect(() => decodeValues(timestamp, [int8(max - 946684800000000n)])).toThrow(/after 294247/);
		expect(decodeValues(timestamp, [int8(max - 946684800000000n - 1n)]).values).toEqual([
			"294247-01-10 04:00:54.775806",
		]);
	});

	test("an infinite interval is told from a long one", () => {
		const interval = (micros: bigint, days: number, months: number) => {
			const bytes = Buffer.alloc(16);
			bytes.writeBigInt64BE(micros);
			bytes.writeInt32BE(days, 8);
			bytes.writeInt32BE(months, 12);
			return bytes;
		};
		const setup: Setup = { decode: "interval", type: { kind: "interval" } };
		expect(() => decodeValues(setup, [interval(2n ** 63n - 1n, 0x7fffffff, 0x7fffffff)])).toThrow(/infinite interval/);
		expect(() => decodeValues(setup, [interval(-(2n ** 63n), -0x80000000, -0x80000000)])).toThrow(/infinite interval/);
		expect(decodeValues(setup, [interval(5n, 0x7fffffff, 0x7fffffff)]).values).toEqual([
			"P178956970Y7M2147483647DT0.000005S",
		]);
	});
});

describe("the format", () => {
	const text: Setup = { decode: "text", type: { kind: "text" } };
	const int: Setup = { decode: "int4", type: { kind: "int32" } };

	test("the header may come alone, with the first row, with the end, and with an extension", () => {
		expect(decodeMessages(text, [HEADER, row([Buffer.from("a")]), TRAILER], 1).values).toEqual(["a"]);
		expect(decodeMessages(text, [Buffer.concat([HEADER, TRAILER])], 0).values).toEqual([]);
		const extended = Buffer.from(HEADER);
		extended.writeUInt32BE(3, 15);
		expect(
			decodeMessages(text, [Buffer.concat([extended, Buffer.from("ext"), row([null])]), TRAILER], 1).values,
		).toEqual([null]);
	});

	test("more rows than a batch holds", () => {
		const fields = Array.from({ length: 5000 }, (_, i) => (i % 3 === 0 ? null : Buffer.from(`value number ${i}`)));
		expect(decodeValues(text, fields).values).toEqual(fields.map((field) => field?.toString() ?? null));
	});

	const lying = (length: number) => {
		const bytes = row([Buffer.from("abcd")]);
		bytes.writeInt32BE(length, 2);
		return bytes;
	};
	test.each([
		["no signature", text, [Buffer.from("PGCOPX\n\xff\r\n\0\0\0\0\0\0\0\0\0", "latin1")]],
		["half a header", text, [HEADER.subarray(0, 12)]],
		[
			"a flag that must be understood",
			text,
			[Buffer.concat([HEADER.subarray(0, 11), Buffer.from([0, 1, 0, 0, 0, 0, 0, 0])])],
		],
		[
			"an extension beyond the message",
			text,
			[Buffer.concat([HEADER.subarray(0, 15), Buffer.from([0xff, 0xff, 0xff, 0xff])])],
		],
		["too many fields", text, [HEADER, row([Buffer.from("a"), null])]],
		["too few fields", text, [HEADER, row([])]],
		["a field beyond the row", text, [HEADER, lying(5)]],
		["a field of two gigabytes", text, [HEADER, lying(0x7fffffff)]],
		["a field shorter than the row", text, [HEADER, lying(3)]],
		["an empty message", text, [HEADER, Buffer.alloc(0)]],
		["a row after the end", text, [HEADER, TRAILER, row([null])]],
		["an int4 of three bytes", int, [HEADER, row([Buffer.alloc(3)])]],
		[
			"a decimal that ends early",
			{ decode: "decimal", type: { kind: "decimal", precision: 5, scale: 2 } },
			[HEADER, row([Buffer.from([0, 9, 0, 0, 0, 0, 0, 0])])],
		],
		["jsonb of another version", { decode: "jsonb", type: { kind: "json" } }, [HEADER, row([Buffer.from("\x02{}")])]],
	] as readonly [string, Setup, Buffer[]][])("%s is refused", (_what, setup, messages) => {
		expect(() => decodeMessages(setup, messages)).toThrow(HeadraceError);
	});

	test("rows that went missing are found by the server's count and by the end mark", () => {
		expect(() => decodeMessages(text, [HEADER, row([null]), TRAILER], 2)).toThrow(/says it sent 2 rows, but 1 came/);
		expect(() => decodeMessages(text, [HEADER, row([null])], 1)).toThrow(HeadraceError);
	});
});
