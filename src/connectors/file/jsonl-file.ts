import { isUtf8 } from "node:buffer";
import { type Batch, type Column, type Field, HeadraceError, type TypePolicy, typeName } from "../../core/index.ts";
import {
	ABSENT,
	ARRAY,
	ESCAPED_STRING,
	FALSE,
	STRING as JSON_STRING,
	type JsonRecord,
	JsonRecords,
	NULL,
	NUMBER,
	OBJECT,
	setJsonValue,
	TRUE,
} from "../../formats/index.ts";
import { columnSetter, invalidText, unfitValue } from "./column-setters.ts";
import type { TextInspection } from "./csv-file.ts";
import { placed, textPieces } from "./text-pieces.ts";
import { TextRows } from "./text-rows.ts";
import { BARE, BOOLEAN, INTEGER_LIST, JSON_VALUE, STRING, TEXT, TEXT_LIST, TypeGuess } from "./text-types.ts";

/**
 * Reads a file of JSON lines once, whole: its keys in the order in which they first come, what types hold every value,
 * and how many rows there are. Numbers keep all their digits; objects and mixed arrays stay the JSON text that they are.
 * @throws E_CORRUPT_FILE with file and line for a line that is no object; E_BOMB, E_TOO_LARGE, E_ENCODING
 */
export async function inspectJsonl(path: string): Promise<TextInspection> {
	const guesses: TypeGuess[] = [];
	let rows = 0;
	const records = new JsonRecords(
		[],
		(record) => {
			rows++;
			for (let index = 0; index < guesses.length; index++) observe(guesses[index]!, record, index);
		},
		() => guesses.push(new TypeGuess()) > 0,
	);
	try {
		for await (const piece of textPieces(path)) records.push(piece);
		records.end();
	} catch (error) {
		throw placed(error, path);
	}
	if (records.columns.includes(""))
		throw new HeadraceError("E_SCHEMA", `${path} has a key without a name`, { file: path });
	return { columns: records.columns.map((name, index) => ({ name, guess: guesses[index]! })), rows, warnings: [] };
}

function observe(guess: TypeGuess, record: JsonRecord, index: number): void {
	const { bytes, kinds, starts, ends } = record;
	switch (kinds[index]) {
		case ABSENT:
		case NULL:
			return;
		case JSON_STRING:
			guess.observeString(bytes, starts[index]!, ends[index]!);
			return;
		case ESCAPED_STRING:
			guess.bits |= STRING | TEXT;
			return;
		case NUMBER:
			guess.observeNumber(bytes, starts[index]!, ends[index]!);
			return;
		case TRUE:
		case FALSE:
			guess.bits |= BARE | BOOLEAN;
			return;
		case OBJECT:
			guess.bits |= BARE | JSON_VALUE;
			return;
		case ARRAY:
			guess.bits |= BARE | arrayBits(guess, bytes.toString("utf8", starts[index]!, ends[index]!));
	}
}

function arrayBits(guess: TypeGuess, text: string): number {
	const elements = JSON.parse(text) as unknown[];
	if (elements.length === 0) return TEXT_LIST;
	if (elements.every((element) => element === null || Number.isInteger(element))) {
		// Only elements written as plain digits within int64 are integers: 1.0 and 1e5 would print otherwise.
		const isPlain = !/[.eE]|-0|\d{19}/.test(text);
		return isPlain ? INTEGER_LIST : JSON_VALUE;
	}
	if (!elements.every((element) => element === null || typeof element === "string")) return JSON_VALUE;
	guess.textListsEmpty = false;
	return TEXT_LIST;
}

/** The rows of a file of JSON lines, `fields` of them; a key that is absent is NULL. */
export async function* readJsonl(
	path: string,
	fields: readonly Field[],
	types: TypePolicy,
	signal?: AbortSignal,
): AsyncGenerator<Batch, void, undefined> {
	const setters = fields.map((field) => columnSetter(field.type, types.mode === "lenient"));
	const rows = new TextRows(path, fields, types);
	const onRecord = (record: JsonRecord): void => {
		let bytes = 0;
		for (let index = 0; index < fields.length; index++) {
			const column = rows.column(index);
			const kind = record.kinds[index]!;
			bytes += record.ends[index]! - record.starts[index]!;
			if (kind === ABSENT || kind === NULL) column.setNull(rows.row);
			else if (column.type.kind === "json") setRaw(record, index, column, rows.row);
			else if (column.type.kind === "list") {
				if (!setList(path, record, index, column, rows.row, types))
					throw unfitValue(path, record.line, fields[index]!, typeName(column.type));
			} else if (!setJsonValue(setters[index]!, record, index, column, rows.row))
				throw unfitValue(path, record.line, fields[index]!, typeName(column.type));
		}
		rows.finishRow(record.line, bytes);
	};
	const names = fields.map((field) => field.name);
	yield* rows.batches(path, new JsonRecords(names, onRecord, () => false), signal);
}

/** The value as it stands in the file, quotes included. */
function setRaw(record: JsonRecord, index: number, column: Column, row: number): void {
	const kind = record.kinds[index]!;
	const quotes = kind === JSON_STRING || kind === ESCAPED_STRING ? 1 : 0;
	column.setBytes(row, record.bytes, record.starts[index]! - quotes, record.ends[index]! + quotes);
}

/** An array as a batch has lists: JSON whose elements are strings or null. */
function setList(
	path: string,
	record: JsonRecord,
	index: number,
	column: Column,
	row: number,
	types: TypePolicy,
): boolean {
	if (record.kinds[index] !== ARRAY) return false;
	const raw = record.bytes.subarray(record.starts[index]!, record.ends[index]!);
	if (!isUtf8(raw)) {
		if (types.invalidText === "fail") throw invalidText(path, record.line, column.name);
		column.changedCount++;
	}
	const text = raw.toString("utf8");
	const isNumbers = !text.includes('"');
	const list = isNumbers
		? text.replace(/\s+/g, "").replace(/-?\d[\d.eE+-]*/g, '"$&"')
		: JSON.stringify(JSON.parse(text));
	const bytes = Buffer.from(list, "utf8");
	column.setBytes(row, bytes, 0, bytes.length);
	return true;
}
