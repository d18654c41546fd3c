import { isUtf8 } from "node:buffer";
import { type Column, HeadraceError } from "../../core/index.ts";
import { type Decode, wrongLength } from "./decode.ts";

/** First byte of what the server sends in place of an array that the reading cannot keep; JSON never begins with it. */
export const UNUSUAL_ARRAY = "!";
const UNUSUAL_BYTE = 0x21;
const JSONB_VERSION = 1;

/** Text, json, enum labels and bytes: the bytes as they are. The server guarantees UTF-8, see `checksText`. */
export function decodeText(
	buffer: Buffer,
	offsets: Int32Array,
	lengths: Int32Array,
	from: number,
	count: number,
	column: Column,
	row: number,
): void {
	for (let i = 0; i < count; i++) {
		const length = lengths[from + i]!;
		if (length < 0) column.setNull(row + i);
		else column.setBytes(row + i, buffer, offsets[from + i]!, offsets[from + i]! + length);
	}
}

/** jsonb: a version byte before the text. jsonb_send in src/backend/utils/adt/jsonb.c */
export function decodeJsonb(
	buffer: Buffer,
	offsets: Int32Array,
	lengths: Int32Array,
	from: number,
	count: number,
	column: Column,
	row: number,
): void {
	for (let i = 0; i < count; i++) {
		const length = lengths[from + i]!;
		if (length < 0) {
			column.setNull(row + i);
			continue;
		}
		const at = offsets[from + i]!;
		if (length === 0 || buffer[at] !== JSONB_VERSION) throw wrongLength(column);
		column.setBytes(row + i, buffer, at + 1, at + length);
	}
}

/** JSON text of an array, or the mark that this one cannot be kept. */
export function decodeArray(name: string, what: string, cures: readonly string[]): Decode {
	const hint = `Map the column by ${cures.map((cure) => `\`columns: { ${name}: { type: ${cure} } }\``).join(" or ")}.`;
	return (buffer, offsets, lengths, from, count, column, row) => {
		for (let i = 0; i < count; i++) {
			const length = lengths[from + i]!;
			const at = offsets[from + i]!;
			if (length < 0) column.setNull(row + i);
			else if (length > 0 && buffer[at] === UNUSUAL_BYTE)
				throw new HeadraceError("E_VALUE", `column ${name} holds ${what}: its shape would be lost`, { hint });
			else column.setBytes(row + i, buffer, at, at + length);
		}
	};
}

/** bytea as text for `types: { mode: lenient }`: as it is when it is UTF-8, else base64, which is counted. */
export function decodeLenientBytes(
	buffer: Buffer,
	offsets: Int32Array,
	lengths: Int32Array,
	from: number,
	count: number,
	column: Column,
	row: number,
): void {
	for (let i = 0; i < count; i++) {
		const length = lengths[from + i]!;
		if (length < 0) {
			column.setNull(row + i);
			continue;
		}
		const at = offsets[from + i]!;
		if (isUtf8(buffer.subarray(at, at + length))) column.setBytes(row + i, buffer, at, at + length);
		else {
			const encoded = Buffer.from(buffer.subarray(at, at + length).toString("base64"), "latin1");
			column.setBytes(row + i, encoded, 0, encoded.length);
			column.changedCount++;
		}
	}
}

/**
 * Mends or refuses text that is not UTF-8. Only a database in SQL_ASCII can send any: every other encoding is checked
 * and converted by the server, so that a look at each byte here would find nothing.
 * @throws E_ENCODING naming the column when the policy is `fail`
 */
export function checkText(column: Column, rowCount: number, policy: "fail" | "replace"): void {
	column.checkText(rowCount, (row) => {
		if (policy === "fail") throw new HeadraceError("E_ENCODING", `column ${column.name} holds text that is not UTF-8`);
		const bytes = column.bytes(row);
		const mended = Buffer.from(new TextDecoder("utf-8").decode(bytes), "utf8");
		column.setBytes(row, mended, 0, mended.length);
		column.changedCount++;
	});
}
