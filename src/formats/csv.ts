import { type Column, type ColumnType, type Field, HeadraceError } from "../core/index.ts";
import { digitWriter, writeHex } from "./digits.ts";
import { type ColumnWriter, RowEncoder, type ValueWriter } from "./encoder.ts";

export interface CsvOptions {
	/**
	 * What stands for NULL, never in quotes; default nothing at all, which a reader tells from the empty string by the
	 * quotes that strings always have. For readers that ignore quotes give text that no value has, such as `\N` and
	 * eight random hex digits: a value that equals it stops the write.
	 */
	readonly nullText?: string;
	/** Default true: the first row has the columns' names. */
	readonly header?: boolean;
}

const QUOTE = 34;
/** Up to here a loop is quicker than a call that copies. */
const SHORT_BYTES = 64;

/** Whether values of a type stand in quotes: everything that is not a number, boolean or point in time. */
function quoted(type: ColumnType): boolean {
	return ["text", "json", "list", "binary", "interval", "uuid"].includes(type.kind);
}

function writeQuoted(bytes: Uint8Array, out: Uint8Array, start: number): number {
	let at = start;
	out[at++] = QUOTE;
	if (bytes.length <= SHORT_BYTES) {
		for (let i = 0; i < bytes.length; i++) {
			const byte = bytes[i]!;
			out[at++] = byte;
			if (byte === QUOTE) out[at++] = QUOTE;
		}
	} else {
		let from = 0;
		for (let quote = bytes.indexOf(QUOTE); quote !== -1; quote = bytes.indexOf(QUOTE, from)) {
			out.set(bytes.subarray(from, quote + 1), at);
			at += quote + 1 - from;
			out[at++] = QUOTE;
			from = quote + 1;
		}
		out.set(from === 0 ? bytes : bytes.subarray(from), at);
		at += bytes.length - from;
	}
	out[at++] = QUOTE;
	return at;
}

function valueWriter(field: Field, nullBytes: Uint8Array): ValueWriter {
	const write = notNullWriter(field, nullBytes);
	return (column, row, out, at) => {
		if (column.nullCount === 0 || !column.isNull(row)) return write(column, row, out, at);
		for (let i = 0; i < nullBytes.length; i++) out[at + i] = nullBytes[i]!;
		return at + nullBytes.length;
	};
}

function notNullWriter(field: Field, nullBytes: Uint8Array): ValueWriter {
	const digits = digitWriter(field.type);
	if (digits !== null && !quoted(field.type)) return digits;
	if (digits !== null)
		return (column, row, out, at) => {
			out[at] = QUOTE;
			const end = digits(column, row, out, at + 1);
			out[end] = QUOTE;
			return end + 1;
		};
	if (field.type.kind === "binary")
		return (column, row, out, at) => {
			out[at] = QUOTE;
			const end = writeHex(column.bytes(row), out, at + 1);
			out[end] = QUOTE;
			return end + 1;
		};
	if (nullBytes.length === 0) return (column, row, out, at) => writeQuoted(column.bytes(row), out, at);
	return (column, row, out, at) => {
		const bytes = column.bytes(row);
		if (sameBytes(bytes, nullBytes)) throw mistakable(column);
		return writeQuoted(bytes, out, at);
	};
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
	if (a.length !== b.length) return false;
	for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
	return true;
}

function mistakable(column: Column): HeadraceError {
	return new HeadraceError("E_VALUE", `column ${column.name} has the text that stands for NULL in this file`, {
		hint: "Run again: another text is drawn for each load.",
	});
}

/**
 * Encodes batches as CSV by RFC 4180 with LF as line end: values as canonical text, `"` doubled; text, json, lists,
 * binary (hex), uuid and intervals always in quotes, numbers, booleans and times never.
 * @throws E_VALUE from `encode` when a text equals `nullText`
 */
export function csvEncoder(fields: readonly Field[], options: CsvOptions = {}): RowEncoder {
	const nullBytes = Buffer.from(options.nullText ?? "", "utf8");
	if (/["\r\n,]/.test(options.nullText ?? ""))
		throw new HeadraceError("E_INTERNAL", "the text for NULL must not need quotes");
	const columns: ColumnWriter[] = fields.map((field, index) => ({
		before: Buffer.from(index === 0 ? "" : ","),
		write: valueWriter(field, nullBytes),
	}));
	return new RowEncoder(columns, Buffer.from("\n"), 2);
}

/** The header row: the columns' names, each in quotes. */
export function csvHeader(fields: readonly Field[]): Buffer {
	return Buffer.from(`${fields.map((field) => `"${field.name.replaceAll('"', '""')}"`).join(",")}\n`, "utf8");
}
