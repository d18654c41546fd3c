import { HeadraceError } from "../core/index.ts";

export interface CsvDialect {
	/** One ASCII byte. */
	readonly delimiter: number;
	/** One ASCII byte that stands doubled for itself, or -1 when nothing is quoted. */
	readonly quote: number;
}

/** How a field stood in the file. */
export const PLAIN = 0;
export const QUOTED = 1;
/** Quoted, with doubled quotes inside. */
export const QUOTED_WITH_QUOTES = 2;

/** A record's fields as places in a buffer that is only valid during the call. */
export interface CsvRecord {
	bytes: Buffer;
	/** Fields of this record; the arrays are longer. */
	count: number;
	starts: Int32Array;
	ends: Int32Array;
	kinds: Uint8Array;
	/** Line of the file at which the record begins, from 1. */
	line: number;
}

/** Files whose records are longer than this are refused: one lost quote would make the rest of a file one record. */
export const RECORD_BYTES_MAX = 128 << 20;

const LF = 10;
const CR = 13;

/**
 * Cuts bytes into records by RFC 4180: LF, CRLF or CR ends a record outside quotes, a quote only counts at the
 * beginning of a field. Pieces may end anywhere.
 * @throws E_CORRUPT_FILE with the line for text behind a closing quote and for a quote that is never closed,
 * E_TOO_LARGE for a record over the limit
 */
export class CsvRecords {
	readonly #delimiter: number;
	readonly #quote: number;
	readonly #onRecord: (record: CsvRecord) => void;
	readonly #recordBytesMax: number;
	readonly #record: CsvRecord = {
		bytes: Buffer.alloc(0),
		count: 0,
		starts: new Int32Array(64),
		ends: new Int32Array(64),
		kinds: new Uint8Array(64),
		line: 1,
	};
	/** Bytes that are not cut yet, and the pieces behind them. */
	#rest: Buffer = Buffer.alloc(0);
	#pieces: Buffer[] = [];
	#piecesBytes = 0;
	#line = 1;

	constructor(dialect: CsvDialect, onRecord: (record: CsvRecord) => void, recordBytesMax = RECORD_BYTES_MAX) {
		this.#delimiter = dialect.delimiter;
		this.#quote = dialect.quote;
		this.#onRecord = onRecord;
		this.#recordBytesMax = recordBytesMax;
	}

	push(piece: Buffer): void {
		this.#pieces.push(piece);
		this.#piecesBytes += piece.length;
		// A record that spans many pieces would be scanned again with each: wait until there is as much again.
		if (this.#piecesBytes < this.#rest.length) return;
		this.#cut(false);
	}

	end(): void {
		this.#cut(true);
		if (this.#rest.length > 0)
			throw new HeadraceError("E_CORRUPT_FILE", "a quote is never closed", { line: this.#line });
	}

	#cut(last: boolean): void {
		const bytes =
			this.#rest.length === 0 && this.#pieces.length === 1
				? this.#pieces[0]!
				: Buffer.concat([this.#rest, ...this.#pieces]);
		this.#pieces = [];
		this.#piecesBytes = 0;
		let at = 0;
		while (at < bytes.length) {
			const next = this.#readRecord(bytes, at, last);
			if (next < 0) break;
			at = next;
		}
		this.#rest = at === 0 ? bytes : Buffer.from(bytes.subarray(at));
		if (this.#rest.length > this.#recordBytesMax)
			throw new HeadraceError("E_TOO_LARGE", `a record is longer than ${this.#recordBytesMax >> 20} MB`, {
				line: this.#line,
				hint: "Perhaps a quote is not closed; else split the value.",
			});
	}

	/** Gives the place behind the record's line end; -1 when the bytes end before it. */
	#readRecord(bytes: Buffer, from: number, last: boolean): number {
		const record = this.#record;
		const { length } = bytes;
		const delimiter = this.#delimiter;
		const quote = this.#quote;
		let at = from;
		let count = 0;
		let lines = 1;
		while (true) {
			if (count === record.starts.length) grow(record);
			if (at < length && bytes[at] === quote) {
				const start = ++at;
				let kind = QUOTED;
				while (true) {
					const byte = bytes[at];
					if (byte === undefined) return -1;
					if (byte === LF) lines++;
					at++;
					if (byte !== quote) continue;
					if (at === length && !last) return -1;
					if (bytes[at] !== quote) break;
					kind = QUOTED_WITH_QUOTES;
					at++;
				}
				record.starts[count] = start;
				record.ends[count] = at - 1;
				record.kinds[count] = kind;
			} else {
				const start = at;
				for (let byte = bytes[at]; byte !== undefined; byte = bytes[++at])
					if (byte === delimiter || byte === LF || byte === CR) break;
				record.starts[count] = start;
				record.ends[count] = at;
				record.kinds[count] = PLAIN;
			}
			count++;
			if (at === length && !last) return -1;
			const byte = bytes[at];
			if (byte === delimiter) {
				at++;
				continue;
			}
			if (byte === CR) {
				if (at + 1 === length && !last) return -1;
				if (bytes[++at] === LF) at++;
			} else if (byte === LF) at++;
			else if (byte !== undefined)
				throw new HeadraceError("E_CORRUPT_FILE", "there is text behind a closing quote", {
					line: this.#line + lines - 1,
				});
			break;
		}
		record.bytes = bytes;
		record.count = count;
		record.line = this.#line;
		this.#line += lines;
		this.#onRecord(record);
		return at;
	}
}

function grow(record: CsvRecord): void {
	const size = record.starts.length * 2;
	const { starts, ends, kinds } = record;
	record.starts = new Int32Array(size);
	record.ends = new Int32Array(size);
	record.kinds = new Uint8Array(size);
	record.starts.set(starts);
	record.ends.set(ends);
	record.kinds.set(kinds);
}

let scratch = Buffer.allocUnsafeSlow(1 << 12);

/** The bytes of a field with its quotes undoubled; they are valid until the next call. */
export function undoubled(bytes: Buffer, start: number, end: number, quote: number): Buffer {
	if (scratch.length < end - start) scratch = Buffer.allocUnsafeSlow(Math.max(scratch.length * 2, end - start));
	let to = 0;
	for (let at = start; at < end; at++) {
		const byte = bytes[at]!;
		scratch[to++] = byte;
		if (byte === quote) at++;
	}
	return scratch.subarray(0, to);
}
