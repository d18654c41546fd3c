import { type Batch, type ColumnType, type Field, HeadraceError, type TypePolicy, typeName } from "../../core/index.ts";
import { type CsvRecord, CsvRecords, PLAIN, QUOTED, setField } from "../../formats/index.ts";
import { columnSetter, unfitValue } from "./column-setters.ts";
import { csvLayout } from "./csv-dialect.ts";
import { placed, textPieces } from "./text-pieces.ts";
import { TextRows } from "./text-rows.ts";
import { TypeGuess } from "./text-types.ts";

/** What one pass over a whole text file found. */
export interface TextInspection {
	readonly columns: readonly InspectedColumn[];
	readonly rows: number;
	readonly warnings: readonly string[];
}

export interface InspectedColumn {
	readonly name: string;
	readonly guess: TypeGuess;
}

/**
 * Reads a CSV file once, whole: its columns, what types hold every value of them, and how many rows there are. So no
 * value comes as a surprise later, and a damaged file is known before a row of it is loaded.
 * @throws E_CORRUPT_FILE with file and line for rows of another length, a quote that is never closed, compressed data
 * that is cut short; E_BOMB, E_TOO_LARGE, E_ENCODING
 */
export async function inspectCsv(path: string): Promise<TextInspection> {
	const layout = await csvLayout(path);
	const guesses = layout.columns.map(() => new TypeGuess());
	let rows = 0;
	await cut(path, layout.dialect.delimiter, layout.hasHeader, layout.columns.length, (record) => {
		rows++;
		const { bytes, starts, ends } = record;
		for (let index = 0; index < guesses.length; index++)
			if (ends[index]! > starts[index]!) guesses[index]!.observe(bytes, starts[index]!, ends[index]!);
	});
	const columns = layout.columns.map((name, index) => ({ name, guess: guesses[index]! }));
	return { columns, rows, warnings: layout.warnings };
}

async function cut(
	path: string,
	delimiter: number,
	hasHeader: boolean,
	columnCount: number,
	onRow: (record: CsvRecord) => void,
): Promise<void> {
	const records = new CsvRecords({ delimiter, quote: 34 }, rowsOnly(hasHeader, columnCount, onRow));
	try {
		for await (const piece of textPieces(path)) records.push(piece);
		records.end();
	} catch (error) {
		throw placed(error, path);
	}
}

/** Passes rows on: the header and blank lines aside, and only with the right number of values. */
function rowsOnly(
	hasHeader: boolean,
	columnCount: number,
	onRow: (record: CsvRecord) => void,
): (record: CsvRecord) => void {
	let headerSeen = !hasHeader;
	return (record) => {
		if (!headerSeen) {
			headerSeen = true;
			return;
		}
		if (record.count !== columnCount) {
			if (record.count === 1 && record.kinds[0] === PLAIN && record.ends[0] === record.starts[0]) return;
			throw new HeadraceError("E_CORRUPT_FILE", `expected ${columnCount} values, found ${record.count}`, {
				line: record.line,
				hint: "Mend the line: a value with the delimiter or a line end in it must stand in quotes.",
			});
		}
		onRow(record);
	};
}

function mayBeEmpty(type: ColumnType): boolean {
	return type.kind === "text" || type.kind === "binary";
}

/**
 * The rows of a CSV file, `fields` of them; a field that the file lacks is NULL. An empty value without quotes is NULL;
 * with quotes it is the empty text or no bytes in a column of text or binary, and NULL in any other.
 */
export async function* readCsv(
	path: string,
	fields: readonly Field[],
	types: TypePolicy,
	signal?: AbortSignal,
): AsyncGenerator<Batch, void, undefined> {
	const layout = await csvLayout(path);
	const places = fields.map((field) => layout.columns.indexOf(field.name));
	const setters = fields.map((field) => columnSetter(field.type, types.mode === "lenient"));
	const rows = new TextRows(path, fields, types);
	const onRow = (record: CsvRecord): void => {
		const { starts, ends, kinds } = record;
		for (let index = 0; index < fields.length; index++) {
			const column = rows.column(index);
			const place = places[index]!;
			const isEmpty = place < 0 || starts[place] === ends[place];
			if (isEmpty && (place < 0 || !mayBeEmpty(column.type) || kinds[place]! < QUOTED)) column.setNull(rows.row);
			else if (!setField(setters[index]!, record, place, column, rows.row))
				throw unfitValue(path, record.line, fields[index]!, typeName(column.type));
		}
		rows.finishRow(record.line, ends[record.count - 1]! - starts[0]!);
	};
	const { delimiter } = layout.dialect;
	const records = new CsvRecords({ delimiter, quote: 34 }, rowsOnly(layout.hasHeader, layout.columns.length, onRow));
	yield* rows.batches(path, records, signal);
}
