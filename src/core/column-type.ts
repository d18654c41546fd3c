/**
 * The canonical types: one for each kind of value, whatever database it comes from.
 * `list` holds one-dimensional arrays; on the wire and in a batch it is JSON text whose elements are strings or null,
 * so that no element passes through a number.
 */
export type ColumnType =
	| { readonly kind: SimpleKind }
	| { readonly kind: "decimal"; readonly precision: number; readonly scale: number }
	| { readonly kind: "list"; readonly element: ColumnType };

export type SimpleKind =
	| "boolean"
	| "int8"
	| "int16"
	| "int32"
	| "int64"
	| "uint8"
	| "uint16"
	| "uint32"
	| "uint64"
	| "float32"
	| "float64"
	| "date"
	| "time"
	| "timestamp"
	| "timestamptz"
	| "interval"
	| "uuid"
	| "text"
	| "json"
	| "binary";

/** Most digits of a decimal that keeps its own type; wider ones travel as text. */
export const DECIMAL_PRECISION_MAX = 38;

const SIMPLE_WIDTHS: Record<SimpleKind, number> = {
	boolean: 1,
	int8: 1,
	uint8: 1,
	int16: 2,
	uint16: 2,
	int32: 4,
	uint32: 4,
	float32: 4,
	date: 4,
	int64: 8,
	uint64: 8,
	float64: 8,
	time: 8,
	timestamp: 8,
	timestamptz: 8,
	interval: 16,
	uuid: 16,
	text: 16,
	json: 16,
	binary: 16,
};

/** Bytes a value takes in a column's data buffer; variable-length types take a 16-byte view. */
export function widthOf(type: ColumnType): number {
	if (type.kind === "list") return 16;
	if (type.kind !== "decimal") return SIMPLE_WIDTHS[type.kind];
	if (type.precision <= 4) return 2;
	if (type.precision <= 9) return 4;
	return type.precision <= 18 ? 8 : 16;
}

/** Whether values are 16-byte views with their bytes inline or in the column's heap. */
export function isView(type: ColumnType): boolean {
	return type.kind === "text" || type.kind === "json" || type.kind === "binary" || type.kind === "list";
}

/** The canonical name, as written in `columns: { c: { type: … } }`: `decimal(10,2)`, `text`, `int64[]`. */
export function typeName(type: ColumnType): string {
	if (type.kind === "decimal") return `decimal(${type.precision},${type.scale})`;
	if (type.kind === "list") return `${typeName(type.element)}[]`;
	return type.kind;
}

const ALIASES: Record<string, SimpleKind> = {
	bool: "boolean",
	tinyint: "int8",
	smallint: "int16",
	int: "int32",
	integer: "int32",
	bigint: "int64",
	float: "float32",
	real: "float32",
	double: "float64",
	string: "text",
	varchar: "text",
	bytes: "binary",
	blob: "binary",
	bytea: "binary",
	datetime: "timestamp",
};

/** Reads a canonical type name or a usual alias (`bigint`, `double`, `string`); null when it is none. */
export function parseColumnType(text: string): ColumnType | null {
	const name = text.trim().toLowerCase();
	if (name.endsWith("[]")) {
		const element = parseColumnType(name.slice(0, -2));
		return element === null || element.kind === "list" ? null : { kind: "list", element };
	}
	const decimal = /^(?:decimal|numeric)\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)$/.exec(name);
	if (decimal) {
		const precision = Number(decimal[1]);
		const scale = Number(decimal[2] ?? 0);
		if (precision < 1 || precision > DECIMAL_PRECISION_MAX || scale > precision) return null;
		return { kind: "decimal", precision, scale };
	}
	if (Object.hasOwn(SIMPLE_WIDTHS, name)) return { kind: name as SimpleKind };
	const alias = Object.hasOwn(ALIASES, name) ? ALIASES[name] : undefined;
	return alias === undefined ? null : { kind: alias };
}

export function sameType(a: ColumnType, b: ColumnType): boolean {
	return typeName(a) === typeName(b);
}

const INTEGERS = new Set<string>(["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"]);

/** The few wide types of `types: { mode: lenient }`: int → int64, decimal and float → float64, bytes and lists → text. */
export function lenientType(type: ColumnType): ColumnType {
	if (INTEGERS.has(type.kind) || type.kind === "boolean") return { kind: "int64" };
	if (type.kind === "decimal" || type.kind === "float32" || type.kind === "uint64") return { kind: "float64" };
	if (type.kind === "timestamptz") return { kind: "timestamp" };
	if (["binary", "list", "json", "uuid", "interval", "time"].includes(type.kind)) return { kind: "text" };
	return type;
}

/** Bits and sign of the integer types. */
const INTEGER_FORMS: Readonly<Record<string, readonly [bits: number, signed: boolean]>> = {
	int8: [8, true],
	int16: [16, true],
	int32: [32, true],
	int64: [64, true],
	uint8: [8, false],
	uint16: [16, false],
	uint32: [32, false],
	uint64: [64, false],
};

/** Most digits of an integer of so many bits, by sign. */
const INTEGER_DIGITS: Readonly<Record<number, readonly [signed: number, unsigned: number]>> = {
	8: [3, 3],
	16: [5, 5],
	32: [10, 10],
	64: [19, 20],
};

/** Whether every value of type `narrow` is a value of type `wide`, equal as a number, a time or a text. */
export function holdsType(wide: ColumnType, narrow: ColumnType): boolean {
	if (sameType(wide, narrow)) return true;
	const wideInteger = INTEGER_FORMS[wide.kind];
	const narrowInteger = INTEGER_FORMS[narrow.kind];
	if (wideInteger !== undefined && narrowInteger !== undefined) {
		const [wideBits, wideSigned] = wideInteger;
		const [narrowBits, narrowSigned] = narrowInteger;
		return wideSigned === narrowSigned ? wideBits >= narrowBits : wideSigned && wideBits > narrowBits;
	}
	if (wide.kind === "decimal") {
		if (narrow.kind === "decimal")
			return wide.scale >= narrow.scale && wide.precision - wide.scale >= narrow.precision - narrow.scale;
		if (narrowInteger === undefined) return false;
		const [signed, unsigned] = INTEGER_DIGITS[narrowInteger[0]]!;
		return wide.precision - wide.scale >= (narrowInteger[1] ? signed : unsigned);
	}
	// One digit less than the type's most: 999 is more than 127.
	if (wideInteger !== undefined && narrow.kind === "decimal" && narrow.scale === 0) {
		return wideInteger[1] && narrow.precision < INTEGER_DIGITS[wideInteger[0]]![0];
	}
	// A float holds integers of as many bits as its mantissa has.
	if (wide.kind === "float64")
		return narrow.kind === "float32" || (narrowInteger !== undefined && narrowInteger[0] <= 32);
	if (wide.kind === "float32") return narrowInteger !== undefined && narrowInteger[0] <= 16;
	if (wide.kind === "timestamp") return narrow.kind === "date";
	return wide.kind === "text" && narrow.kind === "json";
}
