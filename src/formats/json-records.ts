import { HeadraceError } from "../core/index.ts";
import { RECORD_BYTES_MAX } from "./csv-records.ts";
import { ABSENT, ARRAY, bareKind, ESCAPED_STRING, OBJECT, STRING, unescaped } from "./json-tokens.ts";

/** One line's values by column, as places in a buffer that is only valid during the call; strings without quotes. */
export interface JsonRecord {
	bytes: Buffer;
	kinds: Uint8Array;
	starts: Int32Array;
	ends: Int32Array;
	/** Line of the file, from 1. */
	line: number;
}

const LF = 10;
const QUOTE = 34;
const COMMA = 44;
const COLON = 58;
const BACKSLASH = 92;

/**
 * Cuts JSON lines into the values of known columns, without making JavaScript values: numbers keep all their digits.
 * A key that comes twice counts the last time, as JSON.parse has it. Empty lines are passed over.
 * @throws E_CORRUPT_FILE with the line for what is not an object a line, E_TOO_LARGE for a line over the limit
 */
export class JsonRecords {
	/** Names of the columns so far; `newKey` may add some. */
	readonly columns: string[];
	readonly #places = new Map<string, number>();
	readonly #keys: Buffer[] = [];
	readonly #onRecord: (record: JsonRecord) => void;
	readonly #newKey: (name: string) => boolean;
	readonly #lineBytesMax: number;
	readonly #record: JsonRecord;
	#pieces: Buffer[] = [];
	#piecesBytes = 0;
	#line = 0;

	/** `newKey` says whether a key that is no column becomes one; otherwise its values are passed over. */
	constructor(
		columns: readonly string[],
		onRecord: (record: JsonRecord) => void,
		newKey: (name: string) => boolean,
		lineBytesMax = RECORD_BYTES_MAX,
	) {
		this.columns = [];
		this.#onRecord = onRecord;
		this.#newKey = newKey;
		this.#lineBytesMax = lineBytesMax;
		const size = Math.max(64, columns.length);
		this.#record = {
			bytes: Buffer.alloc(0),
			kinds: new Uint8Array(size),
			starts: new Int32Array(size),
			ends: new Int32Array(size),
			line: 0,
		};
		for (const name of columns) this.#addColumn(name);
	}

	push(piece: Buffer): void {
		let from = 0;
		for (let end = piece.indexOf(LF); end !== -1; end = piece.indexOf(LF, from)) {
			if (this.#pieces.length === 0) this.#readLine(piece, from, end);
			else {
				const whole = Buffer.concat([...this.#pieces, piece.subarray(from, end)]);
				this.#pieces = [];
				this.#piecesBytes = 0;
				this.#readLine(whole, 0, whole.length);
			}
			from = end + 1;
		}
		if (from === piece.length) return;
		this.#pieces.push(piece.subarray(from));
		this.#piecesBytes += piece.length - from;
		if (this.#piecesBytes > this.#lineBytesMax)
			throw new HeadraceError("E_TOO_LARGE", `a line is longer than ${this.#lineBytesMax >> 20} MB`, {
				line: this.#line + 1,
				hint: "Write one object a line; else split the value.",
			});
	}

	end(): void {
		const whole = Buffer.concat(this.#pieces);
		this.#pieces = [];
		if (whole.length > 0) this.#readLine(whole, 0, whole.length);
	}

	#addColumn(name: string): number {
		const place = this.columns.length;
		this.columns.push(name);
		this.#places.set(name, place);
		this.#keys.push(Buffer.from(name, "utf8"));
		const record = this.#record;
		if (place === record.kinds.length) {
			const { kinds, starts, ends } = record;
			record.kinds = new Uint8Array(place * 2);
			record.starts = new Int32Array(place * 2);
			record.ends = new Int32Array(place * 2);
			record.kinds.set(kinds);
			record.starts.set(starts);
			record.ends.set(ends);
		}
		return place;
	}

	/** The column of a key at [start, end), which is most often the one behind the last. */
	#placeOf(bytes: Buffer, start: number, end: number, isEscaped: boolean, expected: number): number {
		const key = this.#keys[expected];
		if (!isEscaped && key !== undefined && key.length === end - start) {
			let same = 0;
			while (same < key.length && key[same] === bytes[start + same]) same++;
			if (same === key.length) return expected;
		}
		const plain = isEscaped ? unescaped(bytes, start, end) : bytes.subarray(start, end);
		if (plain === null) throw this.#malformed();
		const name = plain.toString("utf8");
		const place = this.#places.get(name);
		if (place !== undefined) return place;
		return this.#newKey(name) ? this.#addColumn(name) : -1;
	}

	#readLine(bytes: Buffer, start: number, end: number): void {
		this.#line++;
		let at = skipSpace(bytes, start, end);
		if (at === end) return;
		const record = this.#record;
		record.kinds.fill(ABSENT, 0, this.columns.length);
		if (bytes[at] !== 123) throw this.#malformed(bytes[at] === 91 ? ARRAY_HINT : undefined);
		at = skipSpace(bytes, at + 1, end);
		let expected = 0;
		if (bytes[at] === 125 && at < end) at++;
		else
			while (true) {
				if (bytes[at] !== QUOTE || at >= end) throw this.#malformed();
				const keyEnd = this.#stringEnd(bytes, at + 1, end);
				const isEscaped = this.#hasEscape;
				const place = this.#placeOf(bytes, at + 1, keyEnd, isEscaped, expected);
				at = skipSpace(bytes, keyEnd + 1, end);
				if (bytes[at] !== COLON || at >= end) throw this.#malformed();
				at = this.#readValue(bytes, skipSpace(bytes, at + 1, end), end, place);
				if (place >= 0) expected = place + 1;
				at = skipSpace(bytes, at, end);
				if (at >= end) throw this.#malformed();
				const byte = bytes[at++];
				if (byte === 125) break;
				if (byte !== COMMA) throw this.#malformed();
				at = skipSpace(bytes, at, end);
			}
		if (skipSpace(bytes, at, end) !== end) throw this.#malformed();
		record.bytes = bytes;
		record.line = this.#line;
		this.#onRecord(record);
	}

	#hasEscape = false;

	/** The closing quote of a string whose content begins at `from`. */
	#stringEnd(bytes: Buffer, from: number, end: number): number {
		this.#hasEscape = false;
		for (let at = from; at < end; at++) {
			const byte = bytes[at]!;
			if (byte === QUOTE) return at;
			if (byte < 32) break;
			if (byte === BACKSLASH) {
				this.#hasEscape = true;
				at++;
			}
		}
		throw this.#malformed();
	}

	/** Gives the place behind the value. */
	#readValue(bytes: Buffer, start: number, end: number, place: number): number {
		const byte = start < end ? bytes[start]! : 0;
		let kind: number;
		let from = start;
		let to: number;
		let next: number;
		if (byte === QUOTE) {
			from = start + 1;
			to = this.#stringEnd(bytes, from, end);
			kind = this.#hasEscape ? ESCAPED_STRING : STRING;
			next = to + 1;
		} else if (byte === 123 || byte === 91) {
			kind = byte === 123 ? OBJECT : ARRAY;
			to = this.#nestedEnd(bytes, start, end);
			next = to;
		} else {
			to = start;
			while (to < end && !isDelimiter(bytes[to]!)) to++;
			kind = bareKind(bytes, start, to);
			if (kind === ABSENT) throw this.#malformed();
			next = to;
		}
		if (place >= 0) {
			const record = this.#record;
			record.kinds[place] = kind;
			record.starts[place] = from;
			record.ends[place] = to;
		}
		return next;
	}

	/** The place behind a nested value, which is checked as a whole. */
	#nestedEnd(bytes: Buffer, start: number, end: number): number {
		let depth = 0;
		for (let at = start; at < end; at++) {
			const byte = bytes[at]!;
			if (byte === QUOTE) at = this.#stringEnd(bytes, at + 1, end);
			else if (byte === 123 || byte === 91) depth++;
			else if ((byte === 125 || byte === 93) && --depth === 0) {
				try {
					JSON.parse(bytes.toString("utf8", start, at + 1));
				} catch {
					throw this.#malformed();
				}
				return at + 1;
			}
		}
		throw this.#malformed();
	}

	#malformed(hint?: string): HeadraceError {
		return new HeadraceError("E_CORRUPT_FILE", `line ${this.#line} is not a JSON object`, {
			line: this.#line,
			...(hint === undefined ? {} : { hint }),
		});
	}
}

const ARRAY_HINT = "Write one object a line: jq -c '.[]' file.json > file.jsonl";

function skipSpace(bytes: Buffer, from: number, end: number): number {
	let at = from;
	while (at < end && (bytes[at] === 32 || bytes[at] === 9 || bytes[at] === 13)) at++;
	return at;
}

function isDelimiter(byte: number): boolean {
	return byte === COMMA || byte === 125 || byte === 93 || byte === 32 || byte === 9 || byte === 13;
}
