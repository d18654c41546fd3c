/**
 * Printed arrays, rows and maps as the JSON that the server's to_json makes of them. Bytes are copied, never read as
 * numbers. src/backend/utils/adt/{arrayfuncs,rowtypes,json}.c
 */
import { HeadraceError } from "../../../core/index.ts";
import { UNUSUAL_ARRAY } from "../decode-text.ts";
import { type Transcode, unprintable, type WireValues } from "./printed.ts";

/** How to_json treats a value; what its text is, is the type's output. */
export type JsonShape =
	| { readonly kind: "string" | "number" | "boolean" | "json" | "time" | "hstore" }
	| { readonly kind: "array"; readonly element: JsonShape; readonly delimiter: number }
	| { readonly kind: "row"; readonly names: readonly string[]; readonly fields: readonly JsonShape[] };

/** How the elements of a list are printed by what the snapshot selects. */
export type ListElement = "text" | "boolean" | "bytes";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const BLANK = 0x20;
const OPEN_ARRAY = 0x7b;
const CLOSE_ARRAY = 0x7d;
const OPEN_ROW = 0x28;
const CLOSE_ROW = 0x29;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;

/** One pass over each value, which writes its JSON. */
function written(put: (text: Buffer, start: number, end: number, out: WireValues) => void): Transcode {
	return (buffer, offsets, lengths, from, count, out) => {
		out.begin(count, 0);
		for (let i = 0; i < count; i++) {
			const length = lengths[from + i]!;
			const before = out.used;
			out.offsets[i] = before;
			if (length >= 0) put(buffer, offsets[from + i]!, offsets[from + i]! + length, out);
			out.lengths[i] = length < 0 ? -1 : out.used - before;
		}
	};
}

function putByte(out: WireValues, byte: number): void {
	out.reserve(1)[out.used++] = byte;
}

function putAscii(out: WireValues, text: string): void {
	out.reserve(text.length).write(text, out.used, "latin1");
	out.used += text.length;
}

const ESCAPES: readonly (string | undefined)[] = Array.from({ length: 128 }, (_, byte) => {
	const short: Readonly<Record<number, string>> = {
		8: "\\b",
		9: "\\t",
		10: "\\n",
		12: "\\f",
		13: "\\r",
		34: '\\"',
		92: "\\\\",
	};
	return short[byte] ?? (byte < 32 ? `\\u${byte.toString(16).padStart(4, "0")}` : undefined);
});

/** As escape_json of json.c. */
function putString(out: WireValues, text: Uint8Array, start: number, end: number): void {
	out.reserve((end - start) * 6 + 2);
	const { bytes } = out;
	let at = out.used;
	bytes[at++] = QUOTE;
	for (let i = start; i < end; i++) {
		const byte = text[i]!;
		const escaped = byte < 128 ? ESCAPES[byte] : undefined;
		if (escaped === undefined) bytes[at++] = byte;
		else at += bytes.write(escaped, at, "latin1");
	}
	bytes[at++] = QUOTE;
	out.used = at;
}

/** An item of a printed array, row or map, without its quotes and escapes. */
class Item {
	bytes = Buffer.allocUnsafe(256);
	length = 0;
	quoted = false;
	/** Where the text goes on. */
	next = 0;

	/**
	 * Reads the item at `at`, up to one of the two marks. In a row a quote is doubled, in arrays and maps there is a
	 * backslash before it.
	 */
	read(text: Buffer, at: number, end: number, mark: number, close: number): void {
		if (this.bytes.length < end - at) this.bytes = Buffer.allocUnsafe((end - at) * 2);
		const { bytes } = this;
		let length = 0;
		let i = at;
		this.quoted = false;
		let inside = false;
		for (; i < end; i++) {
			const byte = text[i]!;
			if (byte === BACKSLASH) {
				i++;
				if (i >= end) throw unprintable();
				bytes[length++] = text[i]!;
			} else if (byte === QUOTE) {
				if (inside && text[i + 1] === QUOTE && i + 1 < end) {
					bytes[length++] = QUOTE;
					i++;
				} else inside = !inside;
				this.quoted = true;
			} else if (!inside && (byte === mark || byte === close)) break;
			else bytes[length++] = byte;
		}
		this.length = length;
		this.next = i;
	}

	is(word: string): boolean {
		return this.length === word.length && this.bytes.toString("latin1", 0, this.length) === word;
	}
}

/**
 * One-dimensional arrays as lists: JSON of strings. An array of several dimensions, or whose indexes do not begin with
 * 1, is marked as the snapshot's SELECT marks it.
 */
export function listTranscode(element: ListElement, delimiter = COMMA): Transcode {
	const item = new Item();
	return written((text, start, end, out) => {
		if (text[start] === OPEN_LIST || (text[start + 1] === OPEN_ARRAY && text[start] === OPEN_ARRAY)) {
			putAscii(out, UNUSUAL_ARRAY);
			return;
		}
		if (text[start] !== OPEN_ARRAY || text[end - 1] !== CLOSE_ARRAY) throw unprintable();
		putByte(out, OPEN_LIST);
		let at = start + 1;
		while (at < end - 1) {
			item.read(text, at, end, delimiter, CLOSE_ARRAY);
			at = item.next + 1;
			if (out.bytes[out.used - 1] !== OPEN_LIST) putByte(out, COMMA);
			if (!item.quoted && item.is("NULL")) putAscii(out, "null");
			else if (element === "boolean") putAscii(out, item.is("t") ? '"true"' : '"false"');
			else putString(out, item.bytes, element === "bytes" ? 2 : 0, item.length);
		}
		putByte(out, CLOSE_LIST);
	});
}

/** `[1,2,3]` of pgvector as a list. */
export const vectorTranscode = written((text, start, end, out) => {
	if (text[start] !== OPEN_LIST || text[end - 1] !== CLOSE_LIST) throw unprintable();
	putByte(out, OPEN_LIST);
	let at = start + 1;
	while (at < end - 1) {
		let stop = text.indexOf(COMMA, at);
		if (stop < 0 || stop > end - 1) stop = end - 1;
		if (at > start + 1) putByte(out, COMMA);
		putString(out, text, at, stop);
		at = stop + 1;
	}
	putByte(out, CLOSE_LIST);
});

/** Any value as to_json prints it. An array whose indexes do not begin with 1 is marked, as in the snapshot. */
export function jsonTranscode(shape: JsonShape): Transcode {
	return written((text, start, end, out) => {
		if (shape.kind === "array" && text[start] === OPEN_LIST) putAscii(out, UNUSUAL_ARRAY);
		else putJson(shape, text, start, end, out);
	});
}

/** Numbers that JSON has; the rest, such as NaN, is quoted. */
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

function putJson(shape: JsonShape, text: Buffer, start: number, end: number, out: WireValues): void {
	switch (shape.kind) {
		case "boolean":
			putAscii(out, text[start] === 0x74 ? "true" : "false");
			return;
		case "json":
			text.copy(out.reserve(end - start), out.used, start, end);
			out.used += end - start;
			return;
		case "number": {
			const isNumber = NUMBER.test(text.toString("latin1", start, end));
			if (!isNumber) putString(out, text, start, end);
			else putJson({ kind: "json" }, text, start, end, out);
			return;
		}
		case "time":
			putTime(text, start, end, out);
			return;
		case "hstore":
			putMap(text, start, end, out);
			return;
		case "array":
			putArray(shape, text, start, end, out);
			return;
		case "row":
			putRow(shape, text, start, end, out);
			return;
		default:
			putString(out, text, start, end);
	}
}

/** ISO 8601 with a T, and the zone in full: JsonEncodeDateTime. */
function putTime(text: Buffer, start: number, end: number, out: WireValues): void {
	let printed = text.toString("latin1", start, end);
	if (/^\d/.test(printed)) {
		printed = printed.replace(/^([\d-]+) (?=\d)/, "$1T");
		printed = printed.replace(/([+-]\d\d)(?= BC$|$)/, (zone, _hours: string, at: number) =>
			printed.includes("T") && at > printed.indexOf("T") ? `${zone}:00` : zone,
		);
	}
	const bytes = Buffer.from(printed, "latin1");
	putString(out, bytes, 0, bytes.length);
}

function putArray(
	shape: Extract<JsonShape, { kind: "array" }>,
	text: Buffer,
	start: number,
	end: number,
	out: WireValues,
): void {
	let at = start;
	// Bounds such as [0:1]={…}: JSON can't say them.
	if (text[at] === OPEN_LIST) at = text.indexOf(0x3d, at) + 1;
	const item = new Item();
	const list = (from: number): number => {
		if (text[from] !== OPEN_ARRAY) throw unprintable();
		putByte(out, OPEN_LIST);
		let place = from + 1;
		let isFirst = true;
		while (place < end && text[place] !== CLOSE_ARRAY) {
			if (!isFirst) putByte(out, COMMA);
			isFirst = false;
			if (text[place] === OPEN_ARRAY) place = list(place);
			else {
				item.read(text, place, end, shape.delimiter, CLOSE_ARRAY);
				place = item.next;
				if (!item.quoted && item.is("NULL")) putAscii(out, "null");
				else putJson(shape.element, Buffer.from(item.bytes.subarray(0, item.length)), 0, item.length, out);
			}
			if (text[place] === shape.delimiter) place++;
		}
		if (place >= end) throw unprintable();
		putByte(out, CLOSE_LIST);
		return place + 1;
	};
	list(at);
}

function putRow(
	shape: Extract<JsonShape, { kind: "row" }>,
	text: Buffer,
	start: number,
	end: number,
	out: WireValues,
): void {
	if (text[start] !== OPEN_ROW || text[end - 1] !== CLOSE_ROW) throw unprintable();
	const item = new Item();
	putByte(out, OPEN_ARRAY);
	let at = start + 1;
	for (const [index, name] of shape.names.entries()) {
		if (at > end - 1) throw changedRow();
		if (index > 0) putByte(out, COMMA);
		const key = Buffer.from(name);
		putString(out, key, 0, key.length);
		putByte(out, 0x3a);
		item.read(text, at, end, COMMA, CLOSE_ROW);
		if (item.length === 0 && !item.quoted) putAscii(out, "null");
		else putJson(shape.fields[index]!, Buffer.from(item.bytes.subarray(0, item.length)), 0, item.length, out);
		at = item.next + 1;
	}
	if (at !== end && !(shape.names.length === 0 && at === end - 1)) throw changedRow();
	putByte(out, CLOSE_ARRAY);
}

function changedRow(): HeadraceError {
	return new HeadraceError("E_SCHEMA_AMBIGUOUS", "a composite type had other fields when the row was written", {
		hint: "Read the table anew, or map the column by `type: text`.",
	});
}

/** hstore as its cast to json prints it: keys in the map's own order, values as strings. */
function putMap(text: Buffer, start: number, end: number, out: WireValues): void {
	const item = new Item();
	putByte(out, OPEN_ARRAY);
	let at = start;
	while (at < end) {
		if (at > start) putAscii(out, ", ");
		item.read(text, at, end, 0x3d, 0x3d);
		if (text[item.next + 1] !== 0x3e) throw unprintable();
		putString(out, item.bytes, 0, item.length);
		putAscii(out, ": ");
		item.read(text, item.next + 2, end, COMMA, COMMA);
		if (!item.quoted && item.is("NULL")) putAscii(out, "null");
		else putString(out, item.bytes, 0, item.length);
		at = item.next + 1;
		while (text[at] === BLANK) at++;
	}
	putByte(out, CLOSE_ARRAY);
}

export const hstoreTranscode = written(putMap);
