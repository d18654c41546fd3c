import { ByteReader, corrupt } from "./bytes.ts";
import { type FormatDescription, hasShortTableId, type LogEvent } from "./event.ts";

/** Types of fields in the log. https://dev.mysql.com/doc/dev/mysql-server/latest/field__types_8h.html, MariaDB's mysql_com.h */
export const LogType = {
	decimal: 0,
	tiny: 1,
	short: 2,
	long: 3,
	float: 4,
	double: 5,
	null: 6,
	timestamp: 7,
	longlong: 8,
	int24: 9,
	date: 10,
	time: 11,
	datetime: 12,
	year: 13,
	newdate: 14,
	varchar: 15,
	bit: 16,
	timestamp2: 17,
	datetime2: 18,
	time2: 19,
	typedArray: 20,
	blobCompressed: 140,
	varcharCompressed: 141,
	vector: 242,
	json: 245,
	newdecimal: 246,
	enum: 247,
	set: 248,
	tinyBlob: 249,
	mediumBlob: 250,
	longBlob: 251,
	blob: 252,
	varString: 253,
	string: 254,
	geometry: 255,
} as const;

/** A column as the log describes it; what only full metadata tells is undefined without it. */
export interface LogColumn {
	/** One of LogType; ENUM and SET are told from STRING already. */
	readonly type: number;
	/** VARCHAR, STRING: most bytes. BLOB and its kin, ENUM, SET: bytes of the length or value. Times: fraction digits. */
	readonly size: number;
	/** NEWDECIMAL. */
	readonly precision: number;
	/** NEWDECIMAL. */
	readonly scale: number;
	readonly nullable: boolean;
	readonly name?: string;
	readonly unsigned?: boolean;
	/** Collation id; 63 = binary. */
	readonly collation?: number;
	/** Labels of an ENUM or SET, in the column's own character set. */
	readonly labels?: readonly Buffer[];
	readonly visible?: boolean;
}

export interface TableMap {
	readonly tableId: number;
	readonly schema: string;
	readonly table: string;
	readonly columns: readonly LogColumn[];
	/** Column indices of the primary key in key order, when the log tells. */
	readonly primaryKey?: readonly number[];
	/** Whether names and signs are there: binlog_row_metadata = FULL. */
	readonly full: boolean;
}

const COLUMNS_MAX = 4096;

/** The table id of a TABLE_MAP or rows event; its body without the id is the table's description. */
export function readTableId(event: LogEvent, format: FormatDescription): { id: number; next: number } {
	const reader = new ByteReader(event.bytes, event.body, event.bodyEnd, "an event of a table");
	const id = reader.uint(hasShortTableId(format, event.type) ? 4 : 6);
	return { id, next: reader.at };
}

/**
 * @throws E_CORRUPT_EVENT
 * https://dev.mysql.com/doc/dev/mysql-server/latest/classmysql_1_1binlog_1_1event_1_1Table__map__event.html
 */
export function readTableMap(event: LogEvent, format: FormatDescription, flavour: "mariadb" | "mysql"): TableMap {
	const { id, next } = readTableId(event, format);
	const reader = new ByteReader(event.bytes, next, event.bodyEnd, "the description of a table");
	reader.skip(2);
	const schema = reader.text(reader.uint8());
	reader.skip(1);
	const table = reader.text(reader.uint8());
	reader.skip(1);
	const count = reader.lengthEncoded();
	if (count === 0 || count > COLUMNS_MAX) throw corrupt(`a table of ${count} columns`);
	const types = reader.slice(count);
	const parameters = reader.slice(reader.lengthEncoded());
	const nulls = reader.slice((count + 7) >> 3);
	const columns = readTypes(types, parameters, nulls);
	const metadata = readMetadata(reader, columns, flavour);
	const named = metadata.names !== undefined && metadata.names.length === count;
	return {
		tableId: id,
		schema,
		table,
		full: named,
		columns: columns.map((column, index) => ({
			...column,
			...(named ? { name: metadata.names![index]! } : {}),
			...(metadata.unsigned.has(index) ? { unsigned: metadata.unsigned.get(index)! } : {}),
			...(metadata.collations.has(index) ? { collation: metadata.collations.get(index)! } : {}),
			...(metadata.labels.has(index) ? { labels: metadata.labels.get(index)! } : {}),
			...(metadata.visible === undefined ? {} : { visible: metadata.visible[index] ?? true }),
		})),
		...(metadata.primaryKey === undefined ? {} : { primaryKey: metadata.primaryKey }),
	};
}

function readTypes(types: Buffer, parameters: Buffer, nulls: Buffer): LogColumn[] {
	const reader = new ByteReader(parameters, 0, parameters.length, "the description of a table");
	return Array.from(types, (written, index): LogColumn => {
		const nullable = ((nulls[index >> 3]! >> (index & 7)) & 1) === 1;
		const column = (type: number, size = 0, precision = 0, scale = 0) => ({ type, size, precision, scale, nullable });
		switch (written) {
			case LogType.float:
			case LogType.double:
			case LogType.blob:
			case LogType.tinyBlob:
			case LogType.mediumBlob:
			case LogType.longBlob:
			case LogType.geometry:
			case LogType.json:
			case LogType.vector:
			case LogType.blobCompressed:
			case LogType.timestamp2:
			case LogType.datetime2:
			case LogType.time2:
				return column(written, reader.uint8());
			case LogType.varchar:
			case LogType.varString:
			case LogType.varcharCompressed:
				return column(written, reader.uint(2));
			case LogType.bit: {
				const bits = reader.uint8();
				return column(written, reader.uint8() * 8 + bits);
			}
			case LogType.newdecimal:
				return column(written, 0, reader.uint8(), reader.uint8());
			case LogType.string:
			case LogType.enum:
			case LogType.set: {
				// Two bits of a length over 255 are kept, inverted, in the byte of the real type.
				const first = reader.uint8();
				const second = reader.uint8();
				const real = first | 0x30;
				if (real === LogType.enum || real === LogType.set) return column(real, second);
				return column(LogType.string, second | (((first & 0x30) ^ 0x30) << 4));
			}
			default:
				return column(written);
		}
	});
}

interface Metadata {
	names?: string[];
	readonly unsigned: Map<number, boolean>;
	readonly collations: Map<number, number>;
	readonly labels: Map<number, Buffer[]>;
	visible?: boolean[];
	primaryKey?: number[];
}

const NUMERIC = new Set<number>([
	LogType.tiny,
	LogType.short,
	LogType.int24,
	LogType.long,
	LogType.longlong,
	LogType.newdecimal,
	LogType.float,
	LogType.double,
]);
const CHARACTER = new Set<number>([
	LogType.string,
	LogType.varString,
	LogType.varchar,
	LogType.tinyBlob,
	LogType.mediumBlob,
	LogType.longBlob,
	LogType.blob,
	LogType.blobCompressed,
	LogType.varcharCompressed,
]);

function readMetadata(reader: ByteReader, columns: readonly LogColumn[], flavour: "mariadb" | "mysql"): Metadata {
	const found: Metadata = { unsigned: new Map(), collations: new Map(), labels: new Map() };
	const indices = (wanted: (type: number) => boolean) =>
		[...columns.keys()].filter((index) => wanted(columns[index]!.type));
	// MariaDB counts YEAR among the columns that have a sign.
	const numeric = indices((type) => NUMERIC.has(type) || (type === LogType.year && flavour === "mariadb"));
	const character = indices((type) => CHARACTER.has(type));
	const labelled = indices((type) => type === LogType.enum || type === LogType.set);
	while (reader.left > 0) {
		const kind = reader.uint8();
		const length = reader.lengthEncoded();
		const field = new ByteReader(reader.bytes, reader.skip(length), reader.at, "the description of a table");
		switch (kind) {
			case 1:
				readSigns(field, numeric, found);
				break;
			case 2:
				readDefaultCollation(field, character, found);
				break;
			case 3:
				readCollations(field, character, found);
				break;
			case 4:
				found.names = [];
				while (field.left > 0) found.names.push(field.text(field.lengthEncoded()));
				break;
			case 5:
				readLabels(
					field,
					indices((type) => type === LogType.set),
					found,
				);
				break;
			case 6:
				readLabels(
					field,
					indices((type) => type === LogType.enum),
					found,
				);
				break;
			case 8:
				found.primaryKey = [];
				while (field.left > 0) found.primaryKey.push(field.lengthEncoded());
				break;
			case 9:
				// With the length of each key part's prefix, 0 for all of it.
				found.primaryKey = [];
				while (field.left > 0) {
					found.primaryKey.push(field.lengthEncoded());
					field.lengthEncoded();
				}
				break;
			case 10:
				readDefaultCollation(field, labelled, found);
				break;
			case 11:
				readCollations(field, labelled, found);
				break;
			case 12:
				found.visible = bitsOf(field.slice(field.left), columns.length);
				break;
		}
	}
	if (found.primaryKey?.some((index) => index >= columns.length)) throw corrupt("a key of columns that do not exist");
	return found;
}

/** A bit a column, the highest of each byte first. */
function bitsOf(bytes: Buffer, count: number): boolean[] {
	return Array.from({ length: count }, (_, index) => ((bytes[index >> 3] ?? 0) & (0x80 >> (index & 7))) !== 0);
}

function readSigns(field: ByteReader, numeric: readonly number[], found: Metadata): void {
	const bits = bitsOf(field.slice(field.left), numeric.length);
	for (const [place, index] of numeric.entries()) found.unsigned.set(index, bits[place]!);
}

function readDefaultCollation(field: ByteReader, character: readonly number[], found: Metadata): void {
	const fallback = field.lengthEncoded();
	for (const index of character) found.collations.set(index, fallback);
	while (field.left > 0) {
		const index = character[field.lengthEncoded()];
		const collation = field.lengthEncoded();
		if (index !== undefined) found.collations.set(index, collation);
	}
}

function readCollations(field: ByteReader, character: readonly number[], found: Metadata): void {
	for (const index of character) if (field.left > 0) found.collations.set(index, field.lengthEncoded());
}

function readLabels(field: ByteReader, columns: readonly number[], found: Metadata): void {
	for (const index of columns) {
		if (field.left === 0) return;
		const count = field.lengthEncoded();
		if (count > 65_535) throw corrupt("a column of too many labels");
		found.labels.set(
			index,
			Array.from({ length: count }, () => Buffer.from(field.slice(field.lengthEncoded()))),
		);
	}
}
