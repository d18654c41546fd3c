import type { ColumnType, TypeMapping } from "../../core/index.ts";
import { extensionType, type NativeType, numericModifier } from "./native-type.ts";

const SIMPLE: Readonly<Record<string, string>> = {
	boolean: "boolean",
	int8: "smallint",
	int16: "smallint",
	int32: "integer",
	int64: "bigint",
	uint8: "smallint",
	uint16: "integer",
	uint32: "bigint",
	uint64: "numeric(20,0)",
	float32: "real",
	float64: "double precision",
	date: "date",
	time: "time",
	timestamp: "timestamp",
	timestamptz: "timestamptz",
	interval: "interval",
	uuid: "uuid",
	text: "text",
	json: "json",
	binary: "bytea",
};

/** What a type can't hold is refused by the server or before it, never changed: the note says what that is. */
const NOTES: Readonly<Record<string, string>> = {
	text: "a NUL character stops the load",
	json: "kept byte for byte; in a column that is jsonb, \\u0000 stops the load",
	date: "a date before 4713 BC stops the load",
	timestamp: "a time before 4713 BC stops the load",
	timestamptz: "a time before 4713 BC stops the load",
};

/** Types that a copy from PostgreSQL keeps, of values that come as text or JSON; as format_type spells them. */
const KEPT = /^(numeric|bit|bit varying|inet|cidr|macaddr|macaddr8|time with time zone|jsonb)(\([\d,]+\))?(\[\])?$/;

/** A type that the source has as well: its values come as the text of it. */
function keptType(type: ColumnType, native: string): string | undefined {
	const match = KEPT.exec(native.replace(/^time\(\d\) with/, "time with"));
	if (match === null) return undefined;
	const [, name, modifier = "", list] = match;
	const element = list === undefined ? type : type.kind === "list" ? type.element : undefined;
	if (element?.kind !== (name === "jsonb" && list === undefined ? "json" : "text")) return undefined;
	return `${name === "time with time zone" ? "timetz" : name}${modifier}${list ?? ""}`;
}

export function mapType(type: ColumnType, native?: string): TypeMapping {
	const kept = native === undefined ? undefined : keptType(type, native);
	if (kept !== undefined) return { destinationType: kept, fidelity: "exact" };
	const note = NOTES[type.kind === "list" ? type.element.kind : type.kind];
	return { destinationType: typeDdl(type), fidelity: "exact", ...(note === undefined ? {} : { note }) };
}

function typeDdl(type: ColumnType): string {
	if (type.kind === "decimal") return `numeric(${type.precision},${type.scale})`;
	return type.kind === "list" ? `${typeDdl(type.element)}[]` : SIMPLE[type.kind]!;
}

/** Short names of pg_catalog's types, as `mapType` spells them. */
const NAMES: Readonly<Record<string, string>> = {
	bool: "boolean",
	int2: "smallint",
	int4: "integer",
	int8: "bigint",
	float4: "real",
	float8: "double precision",
	varbit: "bit varying",
};

/** The name of a type as `mapType` spells it; `enum` and `citext` whatever they are called; else the catalog's name. */
export function pgTypeName(type: NativeType): string {
	if (type.kind === "array") return `${pgTypeName(type.element!)}[]`;
	if (type.kind === "enum") return "enum";
	if (extensionType(type) === "citext") return "citext";
	if (type.schema !== "pg_catalog" || type.kind !== "base") return `${type.schema}.${type.name}`;
	const name = NAMES[type.name] ?? type.name;
	if (type.modifier < 0) return name;
	switch (name) {
		case "numeric": {
			const modifier = numericModifier(type.modifier);
			return modifier === null ? name : `numeric(${modifier.precision},${modifier.scale})`;
		}
		case "varchar":
		case "bpchar":
			return `${name}(${type.modifier - 4})`;
		case "time":
		case "timetz":
		case "timestamp":
		case "timestamptz":
			return type.modifier >= 6 ? name : `${name}(${type.modifier})`;
		default:
			return `${name}(${type.modifier})`;
	}
}

/** Digits before and after the point that a numeric type has room for; null when it is none. */
export function numericOf(pgType: string): { readonly before: number; readonly after: number } | null {
	if (pgType === "numeric") return { before: Number.POSITIVE_INFINITY, after: Number.POSITIVE_INFINITY };
	const match = /^numeric\((\d+),(-?\d+)\)$/.exec(pgType);
	if (match === null) return null;
	const scale = Number(match[2]);
	return { before: Number(match[1]) - scale, after: scale };
}

const INTEGER_BITS: Readonly<Record<string, number>> = { smallint: 16, integer: 32, bigint: 64 };
const INTEGER_DIGITS: Readonly<Record<string, number>> = { smallint: 5, integer: 10, bigint: 19 };

/** Whether ALTER … TYPE from `narrow` to `wide` leaves every value what it is. */
export function widens(wide: string, narrow: string): boolean {
	if (wide === narrow) return true;
	const bits = INTEGER_BITS[narrow];
	if (bits !== undefined && INTEGER_BITS[wide] !== undefined) return INTEGER_BITS[wide] >= bits;
	const room = numericOf(wide);
	if (room !== null) {
		const needed = numericOf(narrow);
		if (needed !== null) return room.before >= needed.before && room.after >= needed.after;
		return INTEGER_DIGITS[narrow] !== undefined && room.before >= INTEGER_DIGITS[narrow];
	}
	if (wide === "double precision") return narrow === "real" || narrow === "smallint" || narrow === "integer";
	if (wide === "real") return narrow === "smallint";
	if (wide === "timestamp") return narrow === "date" || narrow.startsWith("timestamp(");
	if (wide === "timestamptz" || wide === "time") return narrow.startsWith(`${wide}(`);
	return wide === "text" && (narrow === "json" || narrow === "varchar" || narrow.startsWith("varchar("));
}
