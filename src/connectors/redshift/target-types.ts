import type { ColumnType, Field, TargetTable, TypeMapping } from "../../core/index.ts";

/** https://docs.aws.amazon.com/redshift/latest/dg/r_Character_types.html: bytes, not characters. */
export const VARCHAR_BYTES_MAX = 65_535;
/** https://docs.aws.amazon.com/redshift/latest/dg/r_VARBYTE_type.html */
const VARBYTE_BYTES_MAX = 16_777_216;
/** Bytes of UTF-8 that one character may take: https://docs.aws.amazon.com/redshift/latest/dg/multi-byte-character-load-considerations.html */
const CHARACTER_BYTES_MAX = 4;
/** https://docs.aws.amazon.com/redshift/latest/dg/r_Numeric_types201.html: a precision of 38, a scale of 37. */
const SCALE_MAX = 37;
const PRECISION_MAX = 38;

const SIMPLE: Readonly<Record<string, string>> = {
	boolean: "BOOLEAN",
	int8: "SMALLINT",
	int16: "SMALLINT",
	int32: "INTEGER",
	int64: "BIGINT",
	uint8: "SMALLINT",
	uint16: "INTEGER",
	uint32: "BIGINT",
	uint64: "NUMERIC(20,0)",
	float32: "REAL",
	float64: "DOUBLE PRECISION",
	date: "DATE",
	time: "TIME",
	timestamp: "TIMESTAMP",
	timestamptz: "TIMESTAMPTZ",
	interval: "VARCHAR(64)",
	uuid: "VARCHAR(36)",
	json: "SUPER",
};

const NOTES: Readonly<Record<string, string>> = {
	text: "a text over the column's bytes stops the load",
	interval: "as ISO 8601 text",
	uuid: "as text in lower case",
	binary: "a value over the column's bytes stops the load",
	timestamp: "an infinite time stops the load",
	timestamptz: "an infinite time stops the load",
	date: "an infinite date stops the load",
};

const DOCUMENT =
	"kept as a document: blanks, repeated names and the spelling of numbers are not; a text over 65535 bytes stops the load; map it to text to keep it as it is";
const LIST = "kept as a document whose elements are text or null; over 65535 bytes stop the load";

/**
 * How a type is kept. `declared` is the source's DDL of it: a length in it makes the column as long, in bytes: so many
 * characters times four, or so many bytes of a binary type.
 */
export function mapType(type: ColumnType, _native?: string, declared?: string): TypeMapping {
	if (type.kind === "decimal") {
		if (type.scale > SCALE_MAX)
			return {
				destinationType: `VARCHAR(${VARCHAR_BYTES_MAX})`,
				fidelity: "refused",
				note: `a scale over ${SCALE_MAX}`,
			};
		return { destinationType: `NUMERIC(${type.precision},${type.scale})`, fidelity: "exact" };
	}
	if (type.kind === "list") return { destinationType: "SUPER", fidelity: "lossy", note: LIST };
	if (type.kind === "json") return { destinationType: "SUPER", fidelity: "lossy", note: DOCUMENT };
	const note = NOTES[type.kind];
	const destinationType =
		type.kind === "text"
			? `VARCHAR(${textBytes(declared)})`
			: type.kind === "binary"
				? `VARBYTE(${binaryBytes(declared)})`
				: SIMPLE[type.kind]!;
	return { destinationType, fidelity: "exact", ...(note === undefined ? {} : { note }) };
}

/** Bytes that a text of the source's type can have. Only types of characters say it: not a number that is kept as text. */
function textBytes(declared = ""): number {
	const native = declared.trim().toLowerCase();
	const length = /^(?:national )?(?:var)?(?:char|character)(?: varying)?\s*\((\d+)\)|^n(?:var)?char\s*\((\d+)\)/.exec(
		native,
	);
	if (length !== null) {
		const characters = Number(length[1] ?? length[2]);
		return Math.min(VARCHAR_BYTES_MAX, Math.max(1, characters * CHARACTER_BYTES_MAX));
	}
	if (/^tinytext\b/.test(native)) return 255;
	return VARCHAR_BYTES_MAX;
}

function binaryBytes(declared = ""): number {
	const native = declared.trim().toLowerCase();
	const length = /^(?:var)?binary\s*\((\d+)\)/.exec(native);
	if (length !== null) return Math.min(VARBYTE_BYTES_MAX, Math.max(1, Number(length[1])));
	if (/^tinyblob\b/.test(native)) return 255;
	return /^blob\b/.test(native) ? 65_535 : VARBYTE_BYTES_MAX;
}

/** Whether a column of that type keeps the canonical type: sizes differ with what sources declare. */
export function keeps(destinationType: string, type: ColumnType): boolean {
	const wanted = mapType(type).destinationType;
	const family = familyOf(destinationType);
	if (type.kind === "text") return family === "VARCHAR";
	if (type.kind === "binary") return family === "VARBYTE";
	return destinationType.toUpperCase() === wanted;
}

/** `VARCHAR` of `VARCHAR(200)`. */
export function familyOf(type: string): string {
	return type.toUpperCase().replace(/\(.*$/, "").trim();
}

/** Length in bytes of a VARCHAR or VARBYTE; 0 when the type has none. */
export function lengthOf(type: string): number {
	return Number(/\((\d+)\)$/.exec(type)?.[1] ?? 0);
}

/**
 * The type of a column's values in files: one that Parquet has without annotations that COPY does not know, and that
 * holds every value. Decimals have 38 digits, so that they are a FIXED_LEN_BYTE_ARRAY for every writer.
 * https://docs.aws.amazon.com/redshift/latest/dg/copy-usage_notes-copy-from-columnar.html
 */
export function fileType(type: ColumnType): ColumnType {
	switch (type.kind) {
		case "int8":
		case "uint8":
		case "int16":
		case "uint16":
			return { kind: "int32" };
		case "uint32":
			return { kind: "int64" };
		case "uint64":
			return { kind: "decimal", precision: PRECISION_MAX, scale: 0 };
		case "decimal":
			return { kind: "decimal", precision: PRECISION_MAX, scale: type.scale };
		case "time":
		case "interval":
		case "uuid":
		case "json":
		case "list":
			return { kind: "text" };
		default:
			return type;
	}
}

export function fileFields(target: TargetTable): Field[] {
	return target.columns.map(({ name, type, nullable }) => ({ name, type: fileType(type), nullable }));
}

/** Type of a stage's column: that of the file, and as long as the table's where it is text. */
export function stageType(type: ColumnType, tableType: string): string {
	const inFile = fileType(type);
	if (inFile.kind === "text") return familyOf(tableType) === "VARCHAR" ? tableType : `VARCHAR(${VARCHAR_BYTES_MAX})`;
	if (inFile.kind === "binary") return familyOf(tableType) === "VARBYTE" ? tableType : `VARBYTE(${VARBYTE_BYTES_MAX})`;
	return mapType(inFile).destinationType;
}

/** The staged value as one of the table's type. A text is never cast to a VARCHAR: a cast would cut it. */
export function conversionOf(type: ColumnType, tableType: string): (staged: string) => string {
	const family = familyOf(tableType);
	if (family === "SUPER") return (staged) => `JSON_PARSE(${staged})`;
	if (family === "VARCHAR" || family === "VARBYTE" || stageType(type, tableType) === tableType)
		return (staged) => staged;
	return (staged) => `CAST(${staged} AS ${tableType})`;
}

const INTEGER_BITS: Readonly<Record<string, number>> = { SMALLINT: 16, INTEGER: 32, BIGINT: 64 };
const INTEGER_DIGITS: Readonly<Record<string, number>> = { SMALLINT: 5, INTEGER: 10, BIGINT: 19 };

/** Whether every value of type `narrow` is one of `wide`: a column that is there takes them. */
export function holds(wide: string, narrow: string): boolean {
	const [outer, inner] = [familyOf(wide), familyOf(narrow)];
	if (wide.toUpperCase() === narrow.toUpperCase()) return true;
	if (outer === inner && (outer === "VARCHAR" || outer === "VARBYTE")) return lengthOf(wide) >= lengthOf(narrow);
	const bits = INTEGER_BITS[inner];
	if (bits !== undefined && INTEGER_BITS[outer] !== undefined) return INTEGER_BITS[outer] >= bits;
	const room = numericOf(wide);
	if (room !== null) {
		const needed = numericOf(narrow);
		if (needed !== null) return room.before >= needed.before && room.after >= needed.after;
		return INTEGER_DIGITS[inner] !== undefined && room.before >= INTEGER_DIGITS[inner];
	}
	if (outer === "DOUBLE PRECISION") return inner === "REAL" || inner === "SMALLINT" || inner === "INTEGER";
	if (outer === "REAL") return inner === "SMALLINT";
	return outer === "TIMESTAMP" && inner === "DATE";
}

function numericOf(type: string): { readonly before: number; readonly after: number } | null {
	const match = /^NUMERIC\((\d+),(\d+)\)$/i.exec(type);
	if (match === null) return null;
	const after = Number(match[2]);
	return { before: Number(match[1]) - after, after };
}
