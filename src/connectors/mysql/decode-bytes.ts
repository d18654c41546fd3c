/** Text and bytes into views; see `Decode` for the parameters, and Column for the layout of views. */
import { isUtf8 } from "node:buffer";
import { type Column, HeadraceError } from "../../core/index.ts";
import { float32Text } from "../../formats/index.ts";
import type { Decode } from "./decode.ts";

/** Bytes as they are: text of any kind (the connection is utf8mb4), JSON, BLOBs. */
export const raw: Decode = (bytes, offsets, lengths, at, count, column, row) => {
	const { i32, u8 } = column;
	let heap = column.heap;
	let heapLength = column.heapLength;
	let inlineBits = 0;
	let suspect = false;
	for (let i = 0; i < count; i++) {
		const length = lengths[at + i]!;
		if (length < 0) {
			column.setNull(row + i);
			continue;
		}
		const from = offsets[at + i]!;
		const word = (row + i) << 2;
		const byte = (row + i) << 4;
		i32[word] = length;
		if (length <= 12) {
			i32[word + 1] = 0;
			i32[word + 2] = 0;
			i32[word + 3] = 0;
			for (let j = 0; j < length; j++) {
				const b = bytes[from + j]!;
				inlineBits |= b;
				u8[byte + 4 + j] = b;
			}
			continue;
		}
		if (heapLength + length > heap.length) {
			column.heapLength = heapLength;
			heap = column.reserve(length);
		}
		if (length < 48) for (let j = 0; j < length; j++) heap[heapLength + j] = bytes[from + j]!;
		else bytes.copy(heap, heapLength, from, from + length);
		const first = bytes[from]!;
		if ((first & 0xc0) === 0x80) suspect = true;
		u8[byte + 4] = first;
		u8[byte + 5] = bytes[from + 1]!;
		u8[byte + 6] = bytes[from + 2]!;
		u8[byte + 7] = bytes[from + 3]!;
		i32[word + 2] = 0;
		i32[word + 3] = heapLength;
		heapLength += length;
	}
	column.heapLength = heapLength;
	if (suspect) column.heapSuspect = true;
	if (inlineBits > 127) column.inlineNotAscii = true;
};

/** A decoder of one value at a time, for the types that are rare. */
function each(set: (bytes: Buffer, start: number, end: number, column: Column, row: number) => void): Decode {
	return (bytes, offsets, lengths, at, count, column, row) => {
		for (let i = 0; i < count; i++) {
			const length = lengths[at + i]!;
			const from = offsets[at + i]!;
			if (length < 0) column.setNull(row + i);
			else set(bytes, from, from + length, column, row + i);
		}
	};
}

function setAscii(column: Column, row: number, text: string): void {
	const made = Buffer.from(text, "latin1");
	column.setBytes(row, made, 0, made.length);
}

/** BIT(1) as a boolean: one byte, not a digit. */
export const bitBoolean: Decode = (bytes, offsets, lengths, at, count, column, row) => {
	const out = column.u8;
	for (let i = 0; i < count; i++) {
		const length = lengths[at + i]!;
		if (length < 0) column.setNull(row + i);
		else out[row + i] = bytes[offsets[at + i]! + length - 1]! & 1;
	}
};

/** BIT(n) as a 64-bit integer: up to eight bytes, the highest first. */
export const bitInteger: Decode = (bytes, offsets, lengths, at, count, column, row) => {
	const out = column.i32;
	for (let i = 0; i < count; i++) {
		const length = lengths[at + i]!;
		if (length < 0) {
			column.setNull(row + i);
			continue;
		}
		let low = 0;
		let high = 0;
		for (let at2 = offsets[at + i]!, end = at2 + length; at2 < end; at2++) {
			high = (high << 8) | (low >>> 24);
			low = (low << 8) | bytes[at2]!;
		}
		out[(row + i) << 1] = low;
		out[((row + i) << 1) + 1] = high;
	}
};

/** BIT(n) as n characters 0 and 1. */
export function bitText(bits: number): Decode {
	return each((bytes, start, end, column, row) => {
		let text = "";
		for (let at = start; at < end; at++) text += bytes[at]!.toString(2).padStart(8, "0");
		setAscii(column, row, text.padStart(bits, "0").slice(-bits));
	});
}

/** Bytes as lower-case hex. */
export const hexText: Decode = each((bytes, start, end, column, row) =>
	setAscii(column, row, bytes.toString("hex", start, end)),
);

/** Bytes as text when they are UTF-8, else as base64, counted. */
export const lenientText: Decode = each((bytes, start, end, column, row) => {
	if (isUtf8(bytes.subarray(start, end))) {
		column.setBytes(row, bytes, start, end);
		return;
	}
	setAscii(column, row, bytes.toString("base64", start, end));
	column.changedCount++;
});

/** The double that a FLOAT was selected as, in the shortest digits of the FLOAT. */
export const float32AsText: Decode = each((bytes, start, end, column, row) =>
	setAscii(column, row, float32Text(Math.fround(Number(bytes.toString("latin1", start, end))))),
);

/** `f47ac10b-58cc-4372-a567-0e02b2c3d479`. */
export const uuid: Decode = each((bytes, start, end, column, row) => {
	const hex = bytes.toString("latin1", start, end).replaceAll("-", "");
	column.setUuid(row, Buffer.from(hex, "hex"), 0);
});

const EWKB_SRID_FLAG = 0x20000000;

/**
 * MySQL's geometry (SRID as 4 little-endian bytes, then WKB, which it keeps little-endian) as EWKB, PostGIS's form of
 * the same: byte order, type with a flag when there is an SRID, the SRID, the rest.
 * https://dev.mysql.com/doc/refman/8.4/en/gis-data-formats.html#gis-internal-format
 */
function ewkb(bytes: Buffer, start: number, end: number, column: Column): Buffer {
	if (end - start < 9)
		throw new HeadraceError("E_VALUE", `column ${column.name} has a geometry of under 9 bytes`, {
			hint: "Leave the column out by `columns:`.",
		});
	const srid = bytes.readUInt32LE(start);
	const wkb = bytes.subarray(start + 4, end);
	if (srid === 0) return wkb;
	const made = Buffer.allocUnsafe(wkb.length + 4);
	made[0] = wkb[0]!;
	const littleEndian = wkb[0] === 1;
	if (littleEndian) {
		made.writeUInt32LE((wkb.readUInt32LE(1) | EWKB_SRID_FLAG) >>> 0, 1);
		made.writeUInt32LE(srid, 5);
	} else {
		made.writeUInt32BE((wkb.readUInt32BE(1) | EWKB_SRID_FLAG) >>> 0, 1);
		made.writeUInt32BE(srid, 5);
	}
	wkb.copy(made, 9, 5);
	return made;
}

export const geometry: Decode = each((bytes, start, end, column, row) => {
	const made = ewkb(bytes, start, end, column);
	column.setBytes(row, made, 0, made.length);
});

export const geometryHex: Decode = each((bytes, start, end, column, row) =>
	setAscii(column, row, ewkb(bytes, start, end, column).toString("hex")),
);

/** VECTOR, little-endian floats, as a list: JSON text of strings. */
export const vector: Decode = each((bytes, start, end, column, row) => {
	let text = "";
	for (let at = start; at + 4 <= end; at += 4)
		text += `${text === "" ? "" : ","}"${float32Text(bytes.readFloatLE(at))}"`;
	setAscii(column, row, `[${text}]`);
});

// A byte order mark is a character of the value like any other.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * Checks a finished column of text. A value that is not UTF-8 is refused, or gets U+FFFD for what is not, counted.
 * @throws E_ENCODING
 */
export function checkUtf8(column: Column, rowCount: number, invalidText: "fail" | "replace"): void {
	column.checkText(rowCount, (row) => {
		if (invalidText === "fail")
			throw new HeadraceError("E_ENCODING", `column ${column.name} has text that is not valid UTF-8`);
		const invalid = column.bytes(row);
		const mended = Buffer.from(decoder.decode(invalid), "utf8");
		// Whoever checks the heap as a whole must not meet the old bytes.
		invalid.fill(63);
		column.setBytes(row, mended, 0, mended.length);
		column.changedCount++;
	});
}
