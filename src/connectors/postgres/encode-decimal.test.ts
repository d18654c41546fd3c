import { expect, test } from "vitest";
import { writeText } from "../../conformance/index.ts";
import { BatchPool } from "../../core/index.ts";
import { numericEncoder } from "./encode-decimal.ts";

const TYPES = [
	[1, 0],
	[4, 0],
	[4, 4],
	[5, 1],
	[9, 4],
	[10, 5],
	[15, 2],
	[16, 0],
	[17, 1],
	[18, 0],
	[18, 18],
	[19, 2],
	[38, 0],
	[38, 10],
	[38, 38],
] as const;

/** Numbers from 0 to 1, the same in each run. */
function* dice(): Generator<number, never> {
	for (let state = 1; ; ) {
		state = Math.imul(state, 1664525) + 1013904223;
		yield (state >>> 0) / 2 ** 32;
	}
}

function textOf(unscaled: bigint, scale: number): string {
	const digits = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(scale + 1, "0");
	const point = digits.length - scale;
	return `${unscaled < 0n ? "-" : ""}${digits.slice(0, point)}${scale === 0 ? "" : `.${digits.slice(point)}`}`;
}

/** A numeric's digits, as numeric_recv takes them, as an integer of the scale. */
function readNumeric(bytes: Buffer, at: number): bigint {
	const [groups, weight, scale] = [at, at + 2, at + 6].map((place) => bytes.readInt16BE(place)) as [
		number,
		number,
		number,
	];
	let value = 0n;
	for (let group = 0; group < groups; group++) {
		const digit = bytes.readInt16BE(at + 8 + group * 2);
		if (digit < 0 || digit > 9999) throw new Error(`${digit} is no digit`);
		value = value * 10000n + BigInt(digit);
	}
	const surplus = 10n ** BigInt((groups - 1 - weight) * 4 - scale);
	if (value % surplus !== 0n) throw new Error("there are digits behind the scale");
	return bytes.readUInt16BE(at + 4) === 0x4000 ? -(value / surplus) : value / surplus;
}

test.each(TYPES)("decimal(%i,%i): what is written reads back as what it was", (precision, scale) => {
	const random = dice();
	const next = (below: number) => Math.floor(random.next().value * below);
	const most = 10n ** BigInt(precision) - 1n;
	const values = [0n, 1n, -1n, most, -most];
	while (values.length < 500) {
		let value = 0n;
		for (let digits = 1 + next(precision); digits > 0; digits--) value = value * 10n + BigInt(next(10));
		if (next(3) === 0) value -= value % 10n ** BigInt(next(precision));
		values.push(next(2) === 0 ? value : -value);
	}
	const type = { kind: "decimal", precision, scale } as const;
	const { encode, width } = numericEncoder(type);
	const batch = new BatchPool([{ name: "c", type, nullable: true }]).take();
	for (const value of values) writeText(batch.columns[0]!, batch.rowCount++, textOf(value, scale));
	// Whatever the buffer held before must not show through.
	const bytes = Buffer.alloc((4 + width) * values.length, 0xee);
	const cursors = Int32Array.from(values, (_, row) => row * (4 + width));
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
	encode(batch.columns[0]!, 0, values.length, { bytes, view }, cursors);
	expect(values.map((_, row) => readNumeric(bytes, row * (4 + width) + 4))).toEqual(values);
	expect([...cursors]).toEqual(values.map((_, row) => (row + 1) * (4 + width)));
});
