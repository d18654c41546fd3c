import { type ColumnType, type Field, HeadraceError } from "../../../core/index.ts";
import type { Decode } from "../decode.ts";
import {
	bitBoolean,
	bitInteger,
	bitText,
	geometry,
	geometryHex,
	hexText,
	lenientText,
	raw,
	vector,
} from "../decode-bytes.ts";
import { type ColumnDecoder, decodeOf } from "../decoders.ts";
import { inetText, uuidOf } from "./addresses.ts";
import type { Charsets, Convert } from "./charsets.ts";
import * as numbers from "./decode-numbers.ts";
import * as times from "./decode-times.ts";
import { doubleText } from "./double-text.ts";
import { inflateValue } from "./inflate.ts";
import { jsonText } from "./json-binary.ts";
import { type LogColumn, LogType } from "./table-map.ts";

/** A value of the log as the text, or the bytes, that a SELECT gives. */
type Print = (bytes: Buffer, start: number, end: number) => string | Buffer;

const INTEGER_BYTES: Readonly<Record<number, number>> = {
	[LogType.tiny]: 1,
	[LogType.short]: 2,
	[LogType.int24]: 3,
	[LogType.long]: 4,
	[LogType.longlong]: 8,
};
/** MariaDB's addresses: bytes in the log, text in a SELECT. */
const INET = /^inet[46]$/i;
const INTEGER_KIND = /^u?int(?:8|16|32|64)$/;

/** How many bytes a value takes: so many, or as many as a length of 1 to 4 bytes in front of it says. */
export function extent(column: LogColumn): { readonly bytes: number } | { readonly lengthBytes: number } {
	const { type, size } = column;
	const integer = INTEGER_BYTES[type];
	if (integer !== undefined) return { bytes: integer };
	switch (type) {
		case LogType.float:
		case LogType.timestamp:
			return { bytes: 4 };
		case LogType.double:
		case LogType.datetime:
			return { bytes: 8 };
		case LogType.year:
			return { bytes: 1 };
		case LogType.date:
		case LogType.newdate:
		case LogType.time:
			return { bytes: 3 };
		case LogType.timestamp2:
			return { bytes: 4 + times.fractionBytes(size) };
		case LogType.datetime2:
			return { bytes: 5 + times.fractionBytes(size) };
		case LogType.time2:
			return { bytes: 3 + times.fractionBytes(size) };
		case LogType.newdecimal:
			return { bytes: numbers.decimalBytes(column.precision, column.scale) };
		case LogType.bit:
			return { bytes: (size + 7) >> 3 };
		case LogType.enum:
		case LogType.set:
			return { bytes: size };
		case LogType.null:
			return { bytes: 0 };
		case LogType.varchar:
		case LogType.varString:
		case LogType.varcharCompressed:
		case LogType.string:
			return { lengthBytes: size > 255 ? 2 : 1 };
		case LogType.blob:
		case LogType.tinyBlob:
		case LogType.mediumBlob:
		case LogType.longBlob:
		case LogType.blobCompressed:
		case LogType.geometry:
		case LogType.json:
		case LogType.vector:
			if (size >= 1 && size <= 4) return { lengthBytes: size };
	}
	throw new HeadraceError("E_UNSUPPORTED", `the change log has a column of type ${type}, which is not known`);
}

/** What decoding a column of the log needs beside its own description. */
export interface LogDecoding {
	readonly field: Field;
	readonly decoder: ColumnDecoder;
	readonly log: LogColumn;
	/** Name of the character set of a text, ENUM or SET. */
	readonly charset?: string;
	/** Labels of an ENUM or SET, UTF-8. */
	readonly labels?: readonly Buffer[];
	readonly charsets: Charsets;
}

/**
 * The loop for a column: straight into the column's type where there is one, else by way of the text that a SELECT
 * would give, through the loop that reads the SELECT.
 */
export function logDecode(decoding: LogDecoding): Decode {
	const { field, decoder } = decoding;
	return direct(decoding) ?? printed(printer(decoding), decodeOf(field, decoder));
}

function direct({ field, decoder, log, charset, charsets }: LogDecoding): Decode | null {
	const { type } = field;
	const { kind } = type;
	const { native } = decoder;
	switch (decoder.wire) {
		case "integer": {
			const bytes = INTEGER_BYTES[log.type];
			if (decoder.checked || !INTEGER_KIND.test(kind)) return null;
			if (log.type === LogType.year) return kind === "int16" ? numbers.year : null;
			return bytes === undefined ? null : numbers.integer(bytes, native.unsigned ?? false);
		}
		case "decimal":
			if (type.kind !== "decimal" || decoder.checked || log.type !== LogType.newdecimal) return null;
			return numbers.decimal(log.precision, log.scale);
		case "real":
			if (log.type === LogType.float)
				return kind === "float32" ? numbers.float32 : kind === "float64" ? numbers.float32As64 : null;
			return kind === "float64" ? numbers.float64 : null;
		case "bit":
			if (kind === "boolean") return bitBoolean;
			if (kind === "int64" || kind === "uint64") return bitInteger;
			return kind === "binary" ? raw : isText(type) ? bitText(decoder.bits ?? 64) : null;
		case "date":
			return kind === "date" ? times.date : kind === "timestamp" ? times.datetime(times.readDate) : null;
		case "datetime":
			if (kind !== "timestamp" && kind !== "timestamptz") return null;
			return datetimeDecode(log);
		case "time": {
			const read = readTimeOf(log);
			return kind === "interval" ? times.timeInterval(read) : kind === "time" ? times.timeOfDay(read) : null;
		}
		case "text":
			if ((!isText(type) && kind !== "binary") || decoder.checked || native.family !== "text") return null;
			if (INET.test(native.nativeType)) return null;
			return isPlainText(log) && charset !== undefined && charsets.converter(charset) === null ? raw : null;
		case "bytes":
			if (!isPlainBytes(log)) return null;
			return kind === "binary" ? raw : decoder.bytesAs === "text" ? lenientText : hexText;
		case "geometry":
			return kind === "binary" ? geometry : geometryHex;
		case "vector":
			return kind === "binary" ? raw : vector;
		default:
			return null;
	}
}

function isText(type: ColumnType): boolean {
	return type.kind === "text" || type.kind === "json";
}

function isCompressed(log: LogColumn): boolean {
	return log.type === LogType.blobCompressed || log.type === LogType.varcharCompressed;
}

/** The bytes in the log are the bytes of the text. */
function isPlainText(log: LogColumn): boolean {
	return !isCompressed(log) && log.type !== LogType.json;
}

/** BINARY(n) comes without its last zeros. */
function isPlainBytes(log: LogColumn): boolean {
	return !isCompressed(log) && log.type !== LogType.string;
}

function datetimeDecode(log: LogColumn): Decode {
	switch (log.type) {
		case LogType.timestamp2:
			return times.timestamp(times.readTimestamp2(log.size));
		case LogType.timestamp:
			return times.timestamp(times.readOldTimestamp);
		case LogType.datetime:
			return times.datetime(times.readOldDatetime);
		default:
			return times.datetime(times.readDatetime2(log.size));
	}
}

function readTimeOf(log: LogColumn): times.ReadTime {
	return log.type === LogType.time ? times.readOldTime : times.readTime2(log.size);
}

/** How a SELECT would print a value. */
function printer(decoding: LogDecoding): Print {
	const { decoder, log, labels } = decoding;
	const { native } = decoder;
	const nativeType = native.nativeType.toLowerCase();
	switch (native.family) {
		case "integer": {
			const size = INTEGER_BYTES[log.type]!;
			const width = zerofillWidth(nativeType);
			const print = (bytes: Buffer, start: number) =>
				(native.unsigned ? unsignedText(bytes, start, size) : signedText(bytes, start, size)).padStart(width, "0");
			// An override to boolean selects these words.
			if (decoder.wire !== "text") return print;
			return (bytes, start) => ({ "0": "false", "1": "true" })[print(bytes, start)] ?? print(bytes, start);
		}
		case "year":
			return (bytes, start) => String(numbers.yearAt(bytes, start)).padStart(4, "0");
		case "decimal": {
			const print = numbers.decimalText(log.precision, log.scale);
			if (!/\bzerofill\b/.test(nativeType)) return print;
			const width = log.precision + (log.scale > 0 ? 1 : 0);
			return (bytes, start) => print(bytes, start).padStart(width, "0");
		}
		case "float":
			return (bytes, start) => doubleText(bytes.readFloatLE(start));
		case "double":
			return (bytes, start) => doubleText(bytes.readDoubleLE(start));
		case "bit":
			return (bytes, start, end) => bytes.subarray(start, end);
		case "date":
		case "datetime":
		case "timestamp":
			return momentPrinter(log);
		case "time": {
			const read = readTimeOf(log);
			const digits = log.type === LogType.time ? 0 : log.size;
			return (bytes, start) => times.timeText(read(bytes, start), digits);
		}
		case "label":
			return labelPrinter(log, labels ?? []);
		case "json":
			return log.type === LogType.json ? jsonText : textPrinter(decoding);
		case "uuid":
			return (bytes, start, end) => uuidOf(padded(bytes, start, end, 16));
		case "text":
			if (INET.test(nativeType)) {
				const size = nativeType === "inet4" ? 4 : 16;
				return (bytes, start, end) => inetText(padded(bytes, start, end, size));
			}
			return decoder.wire === "bytes" ? bytePrinter(log) : textPrinter(decoding);
		default:
			return bytePrinter(log);
	}
}

function zerofillWidth(nativeType: string): number {
	return Number(/\((\d+)\).*\bzerofill\b/.exec(nativeType)?.[1] ?? 0);
}

function unsignedText(bytes: Buffer, start: number, size: number): string {
	return size === 8 ? String(bytes.readBigUInt64LE(start)) : String(bytes.readUIntLE(start, size));
}

function signedText(bytes: Buffer, start: number, size: number): string {
	return size === 8 ? String(bytes.readBigInt64LE(start)) : String(bytes.readIntLE(start, size));
}

function momentPrinter(log: LogColumn): Print {
	const moment = { year: 0, month: 0, day: 0, hour: 0, minute: 0, second: 0, micros: 0 };
	switch (log.type) {
		case LogType.timestamp2:
		case LogType.timestamp: {
			const old = log.type === LogType.timestamp;
			const read = old ? times.readOldTimestamp : times.readTimestamp2(log.size);
			return (bytes, start) => {
				const { seconds, micros } = read(bytes, start);
				return times.instantText(seconds, micros, old ? 0 : log.size);
			};
		}
		case LogType.date:
		case LogType.newdate:
			return (bytes, start) => {
				times.readDate(bytes, start, moment);
				return times.dateText(moment);
			};
		default: {
			const old = log.type === LogType.datetime;
			const read = old ? times.readOldDatetime : times.readDatetime2(log.size);
			return (bytes, start) => {
				read(bytes, start, moment);
				return times.momentText(moment, old ? 0 : log.size);
			};
		}
	}
}

const COMMA = Buffer.from(",");
const EMPTY = Buffer.alloc(0);

/** ENUM: an index from 1, 0 for the empty text that an error leaves. SET: a bit a label. */
function labelPrinter(log: LogColumn, labels: readonly Buffer[]): Print {
	if (log.type === LogType.enum)
		return (bytes, start, end) => {
			const index = bytes.readUIntLE(start, end - start);
			const label = index === 0 ? EMPTY : labels[index - 1];
			if (label === undefined) throw unknownLabel();
			return label;
		};
	return (bytes, start, end) => {
		const parts: Buffer[] = [];
		for (let bit = 0; bit < (end - start) * 8; bit++) {
			if (((bytes[start + (bit >> 3)]! >> (bit & 7)) & 1) === 0) continue;
			const label = labels[bit];
			if (label === undefined) throw unknownLabel();
			if (parts.length > 0) parts.push(COMMA);
			parts.push(label);
		}
		return Buffer.concat(parts);
	};
}

function unknownLabel(): HeadraceError {
	return new HeadraceError("E_SCHEMA_AMBIGUOUS", "a column has a label that its table's description does not know");
}

function textPrinter({ log, charset, charsets }: LogDecoding): Print {
	const convert: Convert | null = charset === undefined ? null : charsets.converter(charset);
	const bytesOf = bytePrinter(log) as (bytes: Buffer, start: number, end: number) => Buffer;
	const isPadded = log.type === LogType.string;
	return (bytes, start, end) => {
		// Text is not padded: CHAR comes without its blanks, as a SELECT gives it.
		const value = isPadded ? bytes.subarray(start, end) : bytesOf(bytes, start, end);
		return convert === null ? value : convert(value, 0, value.length);
	};
}

function bytePrinter(log: LogColumn): (bytes: Buffer, start: number, end: number) => Buffer {
	if (isCompressed(log)) return inflateValue;
	if (log.type === LogType.string) return (bytes, start, end) => padded(bytes, start, end, log.size);
	return (bytes, start, end) => bytes.subarray(start, end);
}

/** With the zeros at its end that the log leaves out. */
function padded(bytes: Buffer, start: number, end: number, size: number): Buffer {
	if (end - start >= size) return bytes.subarray(start, end);
	const made = Buffer.alloc(size);
	bytes.copy(made, 0, start, end);
	return made;
}

/** Prints the values into a buffer of their own and decodes them from there. */
function printed(print: Print, decode: Decode): Decode {
	let scratch = Buffer.allocUnsafeSlow(1 << 12);
	let from = new Int32Array(256);
	let sizes = new Int32Array(256);
	return (bytes, offsets, lengths, at, count, column, row, policy) => {
		if (from.length < count) {
			from = new Int32Array(count);
			sizes = new Int32Array(count);
		}
		let used = 0;
		for (let i = 0; i < count; i++) {
			const length = lengths[at + i]!;
			if (length < 0) {
				sizes[i] = -1;
				continue;
			}
			const start = offsets[at + i]!;
			const value = print(bytes, start, start + length);
			const size = typeof value === "string" ? Buffer.byteLength(value) : value.length;
			if (used + size > scratch.length) {
				const grown = Buffer.allocUnsafeSlow(Math.max(scratch.length * 2, used + size));
				scratch.copy(grown, 0, 0, used);
				scratch = grown;
			}
			from[i] = used;
			sizes[i] = size;
			if (typeof value === "string") scratch.write(value, used);
			else value.copy(scratch, used);
			used += size;
		}
		decode(scratch, from, sizes, 0, count, column, row, policy);
		// One huge value does not keep its memory.
		if (scratch.length > SCRATCH_BYTES_KEPT_MAX) scratch = Buffer.allocUnsafeSlow(1 << 12);
	};
}

const SCRATCH_BYTES_KEPT_MAX = 4 << 20;
