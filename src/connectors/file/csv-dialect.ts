import { type CsvDialect, type CsvRecord, CsvRecords, fieldText } from "../../formats/index.ts";
import { textHead } from "./text-pieces.ts";
import { TEXT, TypeGuess } from "./text-types.ts";

const QUOTE = 34;
/** Comma, tab, semicolon, bar: the delimiters that are in use. */
const DELIMITERS = [44, 9, 59, 124];
const HEAD_BYTES = 1 << 18;
const RECORDS_MAX = 200;

/** How a CSV file is written, as its beginning shows. */
export interface CsvLayout {
	readonly dialect: CsvDialect;
	readonly hasHeader: boolean;
	/** Names of the columns, each different. */
	readonly columns: readonly string[];
	/** Names that had to be changed. */
	readonly warnings: readonly string[];
}

/** Looks at the first 256 KB: the delimiter that cuts them into the most even records, and whether the first is a header. */
export async function csvLayout(path: string): Promise<CsvLayout> {
	const { head, whole } = await textHead(path, HEAD_BYTES);
	let best: Cut | null = null;
	for (const delimiter of DELIMITERS) {
		const cut = cutHead(head, whole, { delimiter, quote: QUOTE });
		if (cut !== null && (best === null || cut.score > best.score)) best = cut;
	}
	// Text that no delimiter cuts cleanly is read with commas: the error then says file and line.
	const dialect = best?.dialect ?? { delimiter: path.includes(".tsv") ? 9 : 44, quote: QUOTE };
	const records = best?.records ?? [];
	const header = records[0];
	if (header === undefined) return { dialect, hasHeader: true, columns: [], warnings: [] };
	const hasHeader = isHeader(header);
	return { dialect, hasHeader, ...uniqueNames(hasHeader ? header.map((field) => field.text) : header.map(() => "")) };
}

interface HeadField {
	readonly text: string;
	readonly isText: boolean;
}

interface Cut {
	readonly dialect: CsvDialect;
	readonly records: readonly (readonly HeadField[])[];
	/** Larger is better: first how even the records are, then how many columns they have. */
	readonly score: number;
}

function cutHead(head: Buffer, whole: boolean, dialect: CsvDialect): Cut | null {
	const records: HeadField[][] = [];
	const onRecord = (record: CsvRecord): void => {
		const isBlank = record.count === 1 && record.ends[0] === record.starts[0];
		if (records.length >= RECORDS_MAX || (isBlank && (records[0]?.length ?? 2) > 1)) return;
		records.push(Array.from({ length: record.count }, (_, index) => headField(record, index)));
	};
	const cutter = new CsvRecords(dialect, onRecord);
	let failed = false;
	try {
		cutter.push(head);
		if (whole) cutter.end();
	} catch {
		failed = true;
	}
	if (records.length === 0) return null;
	const counts = new Map<number, number>();
	for (const record of records) counts.set(record.length, (counts.get(record.length) ?? 0) + 1);
	const [columns, times] = [...counts].reduce((a, b) => (b[1] > a[1] || (b[1] === a[1] && b[0] > a[0]) ? b : a));
	const evenness = times / records.length;
	// A fault in an otherwise good cut must be told, not hidden by reading each line as one column.
	const score = columns === 1 ? 0.01 : (failed ? 1 : 10) * evenness + Math.min(columns, 1000) / 1000;
	return { dialect, records, score };
}

function headField(record: CsvRecord, index: number): HeadField {
	const text = fieldText(record, index);
	const bytes = Buffer.from(text, "utf8");
	const guess = new TypeGuess();
	if (bytes.length > 0) guess.observe(bytes, 0, bytes.length);
	return { text, isText: guess.bits === TEXT };
}

/** A header has names: no number, time or boolean stands in it, and not all of it is empty. */
function isHeader(record: readonly HeadField[]): boolean {
	return record.some((field) => field.isText) && record.every((field) => field.isText || field.text === "");
}

/** Names as a database needs them: not empty, and different when capitals don't count. */
export function uniqueNames(names: readonly string[]): {
	readonly columns: readonly string[];
	readonly warnings: readonly string[];
} {
	const taken = new Set<string>();
	const warnings: string[] = [];
	const columns = names.map((name, index) => {
		const wanted = name.trim() === "" ? `column${index}` : name;
		let unique = wanted;
		for (let number = 1; taken.has(unique.toLowerCase()); number++) unique = `${wanted}_${number}`;
		taken.add(unique.toLowerCase());
		if (unique !== name && name.trim() !== "")
			warnings.push(`column ${index + 1} is called ${name} like one before it: it is read as ${unique}`);
		return unique;
	});
	return { columns, warnings };
}
