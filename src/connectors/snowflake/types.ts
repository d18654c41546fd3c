import {
	type ColumnType,
	type Field,
	ROW_NUMBER_COLUMN,
	type TargetTable,
	type TypeMapping,
} from "../../core/index.ts";
import { quoteDouble, type SnowflakeComparison } from "../../sql/index.ts";

/** Digits after the point: https://docs.snowflake.com/en/sql-reference/data-types-numeric#number */
const SCALE_MAX = 37;

const SIMPLE: Readonly<Record<string, string>> = {
	boolean: "BOOLEAN",
	int8: "NUMBER(10,0)",
	int16: "NUMBER(10,0)",
	int32: "NUMBER(10,0)",
	int64: "NUMBER(19,0)",
	uint8: "NUMBER(10,0)",
	uint16: "NUMBER(10,0)",
	uint32: "NUMBER(10,0)",
	uint64: "NUMBER(20,0)",
	float32: "FLOAT",
	float64: "FLOAT",
	date: "DATE",
	time: "TIME(6)",
	timestamp: "TIMESTAMP_NTZ(6)",
	timestamptz: "TIMESTAMP_TZ(6)",
	interval: "VARCHAR",
	uuid: "VARCHAR(36)",
	text: "VARCHAR",
	json: "VARIANT",
	binary: "BINARY",
};

const OUTSIDE = "a year before 1 or after 9999, or infinity, stops the load";

/** What a type can't hold is refused by COPY, never changed: the note says what that is. */
const NOTES: Readonly<Record<string, string>> = {
	float32: "-0.0 may be stored as 0.0",
	float64: "-0.0 may be stored as 0.0",
	date: OUTSIDE,
	time: "24:00:00 stops the load",
	timestamp: OUTSIDE,
	timestamptz: `kept in UTC; ${OUTSIDE}`,
	interval: "ISO 8601 text: Snowflake has no column of intervals",
	text: "a text of more than 16 MB stops the load",
	binary: "more than 8 MB in a value stops the load",
	list: "elements are text in the array, so that none passes through a number",
};

/**
 * Types by https://docs.snowflake.com/en/sql-reference/intro-summary-data-types. A JSON value in VARIANT is equal as
 * JSON, not as text.
 */
export function mapType(type: ColumnType): TypeMapping {
	if (type.kind === "json")
		return {
			destinationType: "VARIANT",
			fidelity: "lossy",
			note: "equal as JSON: blanks, the order of keys, a key's first of two values and digits beyond 38 are not kept; `type: text` keeps the text",
		};
	const note = NOTES[type.kind];
	return { destinationType: typeDdl(type), fidelity: "exact", ...(note === undefined ? {} : { note }) };
}

function typeDdl(type: ColumnType): string {
	if (type.kind === "list") return "ARRAY";
	if (type.kind !== "decimal") return SIMPLE[type.kind]!;
	return type.scale <= SCALE_MAX ? `NUMBER(${type.precision},${type.scale})` : "VARCHAR";
}

/** Types whose values lie in staged Parquet as numbers or bytes; all others are text there, which CAST reads exactly. */
function fileType(type: ColumnType): ColumnType {
	switch (type.kind) {
		case "boolean":
		case "binary":
			return type;
		case "int8":
		case "int16":
		case "int32":
		case "uint8":
		case "uint16":
			return { kind: "int32" };
		case "int64":
		case "uint32":
			return { kind: "int64" };
		case "uint64":
			return { kind: "decimal", precision: 20, scale: 0 };
		case "decimal":
			return type.scale <= SCALE_MAX ? type : { kind: "text" };
		default:
			return { kind: "text" };
	}
}

/**
 * How values lie in staged files. Which logical types of Parquet Snowflake reads, and how, depends on options and the
 * scanner; what it documents without such conditions are integers, decimals, booleans, UTF-8 and bytes. Points in time
 * and floats are canonical text, whose reading by CAST is documented value by value, NaN and infinities too.
 * https://docs.snowflake.com/en/sql-reference/date-time-input-output#supported-formats-for-auto-detection
 * https://docs.snowflake.com/en/sql-reference/data-types-numeric#special-values
 */
export function fileFields(target: TargetTable): Field[] {
	return target.columns.map(({ name, type, nullable }) => ({ name, type: fileType(type), nullable }));
}

/** The item of COPY's SELECT that reads a column of a file as a type of the table's. */
export function copyItem(
	field: { readonly name: string; readonly index: number },
	destinationType: string,
	format: "parquet" | "csv",
): string {
	const value = format === "csv" ? `$${field.index + 1}` : `$1:${quoteDouble(field.name)}`;
	const type = field.name === ROW_NUMBER_COLUMN ? "NUMBER(19,0)" : destinationType;
	if (type === "VARIANT" || type === "OBJECT") return `PARSE_JSON(${text(value, format)})`;
	if (type === "ARRAY") return `CAST(PARSE_JSON(${text(value, format)}) AS ARRAY)`;
	if (format === "csv" && type.startsWith("BINARY")) return `TO_BINARY(${value}, 'HEX')`;
	// A variant is first what the file says it is: text, which the type then reads.
	return /^(?:FLOAT|DATE|TIME)/.test(type) ? `CAST(${text(value, format)} AS ${type})` : `CAST(${value} AS ${type})`;
}

function text(value: string, format: "parquet" | "csv"): string {
	return format === "csv" ? value : `CAST(${value} AS VARCHAR)`;
}

export function comparisonOf(destinationType: string): SnowflakeComparison {
	return ["VARIANT", "OBJECT", "ARRAY"].includes(destinationType) ? "json" : "value";
}

/** Lengths that a type has when none is written, by the documents of 2024 and of 2025. */
const DEFAULT_LENGTHS = /^(VARCHAR)\((?:16777216|134217728)\)$|^(BINARY)\((?:8388608|67108864)\)$/;

/** A type as DESCRIBE TABLE tells it, spelled as `mapType` does. */
export function typeName(described: string): string {
	const name = described.toUpperCase().replace(/^(?:TEXT|STRING)\b/, "VARCHAR");
	const length = DEFAULT_LENGTHS.exec(name);
	return length === null ? name : (length[1] ?? length[2])!;
}

function numberOf(type: string): { readonly before: number; readonly after: number } | null {
	const match = /^NUMBER\((\d+),(\d+)\)$/.exec(type);
	return match === null ? null : { before: Number(match[1]) - Number(match[2]), after: Number(match[2]) };
}

function lengthOf(type: string, name: string): number | null {
	if (type === name) return Number.POSITIVE_INFINITY;
	const match = new RegExp(`^${name}\\((\\d+)\\)$`).exec(type);
	return match === null ? null : Number(match[1]);
}

/** Whether a column of type `there` keeps every value of type `wanted`. */
export function holds(there: string, wanted: string): boolean {
	if (there === wanted) return true;
	const room = numberOf(there);
	const needed = numberOf(wanted);
	if (room !== null && needed !== null) return room.before >= needed.before && room.after >= needed.after;
	for (const name of ["VARCHAR", "BINARY", "TIME", "TIMESTAMP_NTZ", "TIMESTAMP_TZ", "TIMESTAMP_LTZ"]) {
		const [length, least] = [lengthOf(there, name), lengthOf(wanted, name)];
		if (length !== null && least !== null) return length >= least;
	}
	if (there === "VARIANT") return wanted === "ARRAY" || wanted === "OBJECT";
	return false;
}

/**
 * Whether ALTER COLUMN … SET DATA TYPE can make `there` a `wanted`: more digits before the point with the same after
 * it, or a longer text. https://docs.snowflake.com/en/sql-reference/sql/alter-table-column
 */
export function widens(there: string, wanted: string): boolean {
	const [room, needed] = [numberOf(there), numberOf(wanted)];
	if (room !== null && needed !== null) return room.after === needed.after && needed.before >= room.before;
	const [length, least] = [lengthOf(there, "VARCHAR"), lengthOf(wanted, "VARCHAR")];
	return length !== null && least !== null && least >= length;
}
