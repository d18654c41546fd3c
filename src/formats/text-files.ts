import { type Batch, type Field, HeadraceError } from "../core/index.ts";
import { BatchCollector } from "./batch-collector.ts";
import { type ByteSetter, byteSetter } from "./byte-values.ts";
import { type CsvOptions, csvHeader } from "./csv.ts";
import { type CsvRecord, CsvRecords, PLAIN, QUOTED_WITH_QUOTES, undoubled } from "./csv-records.ts";
import { compressionOf, filePieces } from "./file-pieces.ts";
import { type JsonRecord, JsonRecords } from "./json-records.ts";
import { ABSENT, ESCAPED_STRING, FALSE, NULL, TRUE, unescaped } from "./json-tokens.ts";

const QUOTE = 34;
const COMMA = 44;

/**
 * Reads a CSV file that `csvEncoder` wrote: every value equals what was written.
 * @throws E_CORRUPT_FILE with file and line when it is not such a file
 */
export async function* readCsvFile(
	path: string,
	fields: readonly Field[],
	options: CsvOptions = {},
): AsyncGenerator<Batch, void, undefined> {
	const header = (options.header ?? true) ? csvHeader(fields) : null;
	const nullBytes = Buffer.from(options.nullText ?? "", "utf8");
	const setters = fields.map((field) => byteSetter(field.type));
	const rows = new BatchCollector(fields, () => {
		throw damaged(path, undefined, "text is not UTF-8");
	});
	let headerSeen = header === null;
	const onRecord = (record: CsvRecord): void => {
		if (!headerSeen) {
			headerSeen = true;
			if (!isHeader(record, fields)) throw damaged(path, record.line, "the header has other columns");
			return;
		}
		if (record.count !== fields.length)
			throw damaged(path, record.line, `expected ${fields.length} values, found ${record.count}`);
		const { bytes, starts, ends, kinds } = record;
		for (let index = 0; index < fields.length; index++) {
			const column = rows.columns[index]!;
			const start = starts[index]!;
			const end = ends[index]!;
			if (kinds[index] === PLAIN && isNullText(bytes, start, end, nullBytes)) column.setNull(rows.row);
			else if (!setField(setters[index]!, record, index, column, rows.row))
				throw damaged(path, record.line, `column ${fields[index]!.name} has a value that is none of its type`);
		}
		rows.finishRow(ends[fields.length - 1]! - starts[0]!);
	};
	const records = new CsvRecords({ delimiter: COMMA, quote: QUOTE }, onRecord);
	yield* batchesFrom(path, records, rows);
	if (!headerSeen) throw damaged(path, undefined, "the header is missing");
}

/** Sets a column's value from a field of a record. */
export function setField(
	setter: ByteSetter,
	record: CsvRecord,
	index: number,
	column: Parameters<ByteSetter>[0],
	row: number,
): boolean {
	const { bytes, starts, ends, kinds } = record;
	if (kinds[index] !== QUOTED_WITH_QUOTES) return setter(column, row, bytes, starts[index]!, ends[index]!);
	const plain = undoubled(bytes, starts[index]!, ends[index]!, QUOTE);
	return setter(column, row, plain, 0, plain.length);
}

function isNullText(bytes: Buffer, start: number, end: number, nullBytes: Buffer): boolean {
	if (end - start !== nullBytes.length) return false;
	for (let i = 0; i < nullBytes.length; i++) if (bytes[start + i] !== nullBytes[i]) return false;
	return true;
}

/** The text of a field of a record. */
export function fieldText(record: CsvRecord, index: number): string {
	const { bytes, starts, ends, kinds } = record;
	if (kinds[index] !== QUOTED_WITH_QUOTES) return bytes.toString("utf8", starts[index]!, ends[index]!);
	return undoubled(bytes, starts[index]!, ends[index]!, QUOTE).toString("utf8");
}

function isHeader(record: CsvRecord, fields: readonly Field[]): boolean {
	return record.count === fields.length && fields.every((field, index) => fieldText(record, index) === field.name);
}

/**
 * Reads a file that `jsonlEncoder` wrote: every value equals what was written.
 * @throws E_CORRUPT_FILE with file and line when it is not such a file
 */
export async function* readJsonlFile(path: string, fields: readonly Field[]): AsyncGenerator<Batch, void, undefined> {
	const setters = fields.map((field) => byteSetter(field.type));
	const rows = new BatchCollector(fields, () => {
		throw damaged(path, undefined, "text is not UTF-8");
	});
	const onRecord = (record: JsonRecord): void => {
		let bytes = 0;
		for (let index = 0; index < fields.length; index++) {
			const kind = record.kinds[index]!;
			if (kind === ABSENT) throw damaged(path, record.line, `column ${fields[index]!.name} is missing`);
			bytes += record.ends[index]! - record.starts[index]!;
			const column = rows.columns[index]!;
			if (kind === NULL) column.setNull(rows.row);
			else if (!setJsonValue(setters[index]!, record, index, column, rows.row))
				throw damaged(path, record.line, `column ${fields[index]!.name} has a value that is none of its type`);
		}
		rows.finishRow(bytes);
	};
	const records = new JsonRecords(
		fields.map((field) => field.name),
		onRecord,
		() => false,
	);
	yield* batchesFrom(path, records, rows);
}

/** Sets a column's value from a value of a record that is neither absent nor null: strings unescaped, others as they stand. */
export function setJsonValue(
	setter: ByteSetter,
	record: JsonRecord,
	index: number,
	column: Parameters<ByteSetter>[0],
	row: number,
): boolean {
	const { bytes, kinds, starts, ends } = record;
	const kind = kinds[index]!;
	if (column.type.kind === "boolean" && (kind === TRUE || kind === FALSE)) {
		column.u8[row] = kind === TRUE ? 1 : 0;
		return true;
	}
	if (kind !== ESCAPED_STRING) return setter(column, row, bytes, starts[index]!, ends[index]!);
	const plain = unescaped(bytes, starts[index]!, ends[index]!);
	return plain !== null && setter(column, row, plain, 0, plain.length);
}

/** A file of our own may well be one row over and over. */
const OWN_FILE_LIMITS = { ratioMax: Number.POSITIVE_INFINITY };

/** Drives a cutter over a file's pieces and gives the batches as they fill up. */
async function* batchesFrom(
	path: string,
	records: { push(piece: Buffer): void; end(): void },
	rows: BatchCollector,
): AsyncGenerator<Batch, void, undefined> {
	try {
		for await (const piece of filePieces(path, await compressionOf(path), OWN_FILE_LIMITS)) {
			records.push(piece);
			yield* rows.take();
		}
		records.end();
		yield* rows.take(true);
	} catch (error) {
		throw error instanceof HeadraceError ? error.at({ file: path }) : error;
	} finally {
		rows.dispose();
	}
}

function damaged(path: string, line: number | undefined, what: string): HeadraceError {
	const where = line === undefined ? path : `${path}:${line}`;
	return new HeadraceError("E_CORRUPT_FILE", `${where}: ${what}`, {
		file: path,
		...(line === undefined ? {} : { line }),
	});
}
