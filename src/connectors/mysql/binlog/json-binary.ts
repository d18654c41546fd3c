import { corrupt } from "./bytes.ts";
import { decimalBytes, decimalText } from "./decode-numbers.ts";
import { momentText, timeText } from "./decode-times.ts";
import { doubleText } from "./double-text.ts";
import { LogType } from "./table-map.ts";

/** The server itself allows no deeper documents. */
const DEPTH_MAX = 100;

const OBJECT_SMALL = 0;
const OBJECT_LARGE = 1;
const ARRAY_SMALL = 2;
const ARRAY_LARGE = 3;
const LITERAL = 4;
const INT16 = 5;
const UINT16 = 6;
const INT32 = 7;
const UINT32 = 8;
const INT64 = 9;
const UINT64 = 10;
const DOUBLE = 11;
const STRING = 12;
const OPAQUE = 15;

const LITERALS = ["null", "true", "false"];

/**
 * MySQL's binary JSON as the text that a SELECT prints, with its blanks behind colons and commas.
 * @throws E_CORRUPT_EVENT
 * https://dev.mysql.com/doc/dev/mysql-server/latest/json__binary_8h.html
 */
export function jsonText(bytes: Buffer, start: number, end: number): string {
	// A value of no bytes is what a NOT NULL column holds where a non-strict mode let NULL in.
	if (start === end) return "null";
	return new JsonPrinter(bytes.subarray(start, end)).print();
}

class JsonPrinter {
	readonly #bytes: Buffer;
	readonly #parts: string[] = [];
	/** Values and bytes of text so far: no honest document has more than bytes, whose parts may not overlap. */
	#spent = 0;

	constructor(bytes: Buffer) {
		this.#bytes = bytes;
	}

	print(): string {
		this.#value(this.#bytes[0]!, 1, this.#bytes.length, 0);
		return this.#parts.join("");
	}

	#spend(amount: number): void {
		this.#spent += amount;
		if (this.#spent > this.#bytes.length) throw corrupt("a JSON document whose parts overlap");
	}

	/** Proves that `size` bytes from `at` on lie before `end`. */
	#need(at: number, size: number, end: number): number {
		if (!(at >= 0 && size >= 0 && at + size <= end)) throw corrupt("a JSON document that ends too early");
		return at;
	}

	#value(type: number, at: number, end: number, depth: number): void {
		if (depth > DEPTH_MAX) throw corrupt("a JSON document that is too deep");
		const bytes = this.#bytes;
		this.#spend(1);
		switch (type) {
			case OBJECT_SMALL:
			case OBJECT_LARGE:
			case ARRAY_SMALL:
			case ARRAY_LARGE:
				this.#container(type, at, end, depth);
				return;
			case LITERAL: {
				const literal = LITERALS[bytes[this.#need(at, 1, end)]!];
				if (literal === undefined) throw corrupt("a JSON document with an unknown word");
				this.#parts.push(literal);
				return;
			}
			case INT16:
				this.#parts.push(String(bytes.readInt16LE(this.#need(at, 2, end))));
				return;
			case UINT16:
				this.#parts.push(String(bytes.readUInt16LE(this.#need(at, 2, end))));
				return;
			case INT32:
				this.#parts.push(String(bytes.readInt32LE(this.#need(at, 4, end))));
				return;
			case UINT32:
				this.#parts.push(String(bytes.readUInt32LE(this.#need(at, 4, end))));
				return;
			case INT64:
				this.#parts.push(String(bytes.readBigInt64LE(this.#need(at, 8, end))));
				return;
			case UINT64:
				this.#parts.push(String(bytes.readBigUInt64LE(this.#need(at, 8, end))));
				return;
			case DOUBLE: {
				const text = doubleText(bytes.readDoubleLE(this.#need(at, 8, end)));
				this.#parts.push(/[.e]/.test(text) ? text : `${text}.0`);
				return;
			}
			case STRING: {
				const { length, next } = this.#length(at, end);
				this.#string(next, length, end);
				return;
			}
			case OPAQUE:
				this.#opaque(at, end);
				return;
			default:
				throw corrupt(`a JSON document with a value of kind ${type}`);
		}
	}

	#string(at: number, length: number, end: number): void {
		this.#need(at, length, end);
		this.#spend(length);
		this.#parts.push(quoted(this.#bytes.toString("utf8", at, at + length)));
	}

	/** Seven bits a byte, the lowest first; the highest bit says that another one follows. */
	#length(at: number, end: number): { length: number; next: number } {
		let length = 0;
		for (let i = 0; i < 5; i++) {
			const byte = this.#bytes[this.#need(at + i, 1, end)]!;
			length += (byte & 127) * 128 ** i;
			if (byte < 128) return { length, next: at + i + 1 };
		}
		throw corrupt("a JSON document with a broken length");
	}

	#container(type: number, at: number, outerEnd: number, depth: number): void {
		const bytes = this.#bytes;
		const isLarge = type === OBJECT_LARGE || type === ARRAY_LARGE;
		const isObject = type === OBJECT_SMALL || type === OBJECT_LARGE;
		const word = isLarge ? 4 : 2;
		const read = (from: number): number => (isLarge ? bytes.readUInt32LE(from) : bytes.readUInt16LE(from));
		this.#need(at, 2 * word, outerEnd);
		const count = read(at);
		const size = read(at + word);
		const end = at + size;
		this.#need(at, size, outerEnd);
		const keys = at + 2 * word;
		const values = keys + (isObject ? count * (word + 2) : 0);
		this.#need(values, count * (word + 1), end);
		this.#parts.push(isObject ? "{" : "[");
		for (let index = 0; index < count; index++) {
			if (index > 0) this.#parts.push(", ");
			if (isObject) {
				const entry = keys + index * (word + 2);
				this.#string(at + read(entry), bytes.readUInt16LE(entry + word), end);
				this.#parts.push(": ");
			}
			const entry = values + index * (word + 1);
			const kind = bytes[entry]!;
			const isInlined =
				kind === LITERAL || kind === INT16 || kind === UINT16 || (isLarge && (kind === INT32 || kind === UINT32));
			if (isInlined) this.#value(kind, entry + 1, end, depth + 1);
			else this.#value(kind, at + read(entry + 1), end, depth + 1);
		}
		this.#parts.push(isObject ? "}" : "]");
	}

	/** A value of SQL: decimals as numbers, times as strings, everything else as base64 with its type. */
	#opaque(at: number, end: number): void {
		const bytes = this.#bytes;
		const type = bytes[this.#need(at, 1, end)]!;
		const { length, next } = this.#length(at + 1, end);
		this.#need(next, length, end);
		this.#spend(length);
		if (type === LogType.newdecimal) {
			this.#need(next, 2, next + length);
			const precision = bytes[next]!;
			const scale = bytes[next + 1]!;
			if (precision > 65 || scale > precision || length < 2 + decimalBytes(precision, scale))
				throw corrupt("a JSON document with a broken decimal");
			this.#parts.push(decimalText(precision, scale)(bytes, next + 2));
		} else if (PACKED_TIMES.has(type) && length === 8) this.#parts.push(`"${packedTime(type, bytes, next)}"`);
		else this.#parts.push(`"base64:type${type}:${bytes.toString("base64", next, next + length)}"`);
	}
}

const PACKED_TIMES = new Set<number>([LogType.date, LogType.time, LogType.datetime, LogType.timestamp]);

/** Times in JSON: the microseconds in 24 bits, above them what TIME2 and DATETIME2 have. */
function packedTime(type: number, bytes: Buffer, at: number): string {
	const packed = bytes.readBigInt64LE(at);
	const magnitude = packed < 0n ? -packed : packed;
	const micros = Number(magnitude & 0xffffffn);
	const whole = Number(magnitude >> 24n);
	const second = whole % 64;
	const minute = Math.floor(whole / 64) % 64;
	if (type === LogType.time) {
		const hour = Math.floor(whole / 4096) % 1024;
		const total = ((hour * 60 + minute) * 60 + second) * 1_000_000 + micros;
		return timeText(packed < 0n ? -total : total, 6);
	}
	const days = Math.floor(whole / 131_072);
	const yearMonth = Math.floor(days / 32);
	const moment = {
		year: Math.floor(yearMonth / 13),
		month: yearMonth % 13,
		day: days % 32,
		hour: Math.floor(whole / 4096) % 32,
		minute,
		second,
		micros,
	};
	const text = momentText(moment, 6);
	return type === LogType.date ? text.slice(0, 10) : text;
}

const SHORT_ESCAPES: Readonly<Record<string, string>> = {
	'"': '\\"',
	"\\": "\\\\",
	"\b": "\\b",
	"\f": "\\f",
	"\n": "\\n",
	"\r": "\\r",
	"\t": "\\t",
};

/** As the server quotes: only what JSON demands, in its short form where there is one. */
function quoted(text: string): string {
	const escaped = text.replace(
		// biome-ignore lint/suspicious/noControlCharactersInRegex: those are what has to be escaped
		/["\\\u0000-\u001f]/g,
		(character) => SHORT_ESCAPES[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
	);
	return `"${escaped}"`;
}
