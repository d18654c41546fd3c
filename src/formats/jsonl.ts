import type { ColumnType, Field } from "../core/index.ts";
import { digitWriter, writeAscii, writeHex } from "./digits.ts";
import { type ColumnWriter, RowEncoder, type ValueWriter } from "./encoder.ts";

const QUOTE = 34;
const BACKSLASH = 92;
/** For each byte: 0 when it stands for itself, else the letter behind the backslash (`u` for `\u00xx`). */
const ESCAPES = new Uint8Array(128);
for (let byte = 0; byte < 32; byte++) ESCAPES[byte] = 117;
for (const [byte, letter] of [
	[8, "b"],
	[9, "t"],
	[10, "n"],
	[12, "f"],
	[13, "r"],
	[QUOTE, '"'],
	[BACKSLASH, "\\"],
] as const)
	ESCAPES[byte] = letter.charCodeAt(0);

function writeString(bytes: Uint8Array, out: Uint8Array, start: number): number {
	let at = start;
	out[at++] = QUOTE;
	for (let i = 0; i < bytes.length; i++) {
		const byte = bytes[i]!;
		const letter = byte < 128 ? ESCAPES[byte]! : 0;
		if (letter === 0) out[at++] = byte;
		else {
			out[at++] = BACKSLASH;
			out[at++] = letter;
			if (letter === 117) {
				out[at++] = 48;
				out[at++] = 48;
				at = writeHex(bytes.subarray(i, i + 1), out, at);
			}
		}
	}
	out[at++] = QUOTE;
	return at;
}

/** Whether a type's canonical text is a JSON token by itself that every reader takes exactly. */
function bare(type: ColumnType): boolean {
	return type.kind === "boolean" || /^u?int\d/.test(type.kind);
}

function notNullWriter(type: ColumnType): ValueWriter {
	const digits = digitWriter(type);
	if (digits !== null && bare(type)) return digits;
	if (type.kind === "float32" || type.kind === "float64") {
		const write = digits!;
		return (column, row, out, at) => {
			const value = column.type.kind === "float32" ? column.f32[row]! : column.f64[row]!;
			// JSON has no NaN and no infinity, and readers take a bare -0 as the integer 0.
			if (Number.isFinite(value))
				return Object.is(value, -0) ? writeAscii("-0.0", out, at) : write(column, row, out, at);
			out[at] = QUOTE;
			const end = write(column, row, out, at + 1);
			out[end] = QUOTE;
			return end + 1;
		};
	}
	if (digits !== null)
		return (column, row, out, at) => {
			out[at] = QUOTE;
			const end = digits(column, row, out, at + 1);
			out[end] = QUOTE;
			return end + 1;
		};
	if (type.kind === "binary")
		return (column, row, out, at) => {
			out[at] = QUOTE;
			const end = writeHex(column.bytes(row), out, at + 1);
			out[end] = QUOTE;
			return end + 1;
		};
	// A list's bytes are JSON already, made by a decoder, without line ends.
	if (type.kind === "list")
		return (column, row, out, at) => {
			const bytes = column.bytes(row);
			out.set(bytes, at);
			return at + bytes.length;
		};
	return (column, row, out, at) => writeString(column.bytes(row), out, at);
}

function valueWriter(type: ColumnType): ValueWriter {
	const write = notNullWriter(type);
	return (column, row, out, at) =>
		column.nullCount > 0 && column.isNull(row) ? writeAscii("null", out, at) : write(column, row, out, at);
}

/**
 * Encodes batches as JSON lines (UTF-8, LF). Integers are number tokens with all their digits, up to 64 bits; floats
 * number tokens in the shortest digits, but NaN and infinities strings. Decimals are strings, since readers take a
 * number token with decimals as a double. Booleans are true and false, lists arrays of strings and null; everything else
 * is its canonical text as a string: json too, so that its text, its spaces and its digits stay as they are.
 */
export function jsonlEncoder(fields: readonly Field[]): RowEncoder {
	const columns: ColumnWriter[] = fields.map((field, index) => ({
		before: Buffer.from(`${index === 0 ? "{" : ","}${JSON.stringify(field.name)}:`, "utf8"),
		write: valueWriter(field.type),
	}));
	return new RowEncoder(columns, Buffer.from("}\n"), 6);
}
