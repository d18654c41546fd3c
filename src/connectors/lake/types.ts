import { type ColumnType, HeadraceError, type TypeMapping } from "../../core/index.ts";

const TEXT: ColumnType = { kind: "text" };

/**
 * The type that a column has in the files: one of those that Athena reads, which holds every value. Unsigned integers
 * get a wider type, a time of day is microseconds since midnight, what Hive has no type for is its canonical text.
 */
export function storedType(type: ColumnType): ColumnType {
	switch (type.kind) {
		case "int8":
		case "int16":
			return { kind: "int32" };
		case "uint8":
		case "uint16":
		case "uint32":
		case "time":
			return { kind: "int64" };
		case "uint64":
			return { kind: "decimal", precision: 20, scale: 0 };
		case "interval":
		case "uuid":
		case "json":
			return TEXT;
		case "list":
			return { kind: "list", element: type.element.kind === "time" ? TEXT : storedType(type.element) };
		default:
			return type;
	}
}

/**
 * The Hive type of a stored type.
 * See https://docs.aws.amazon.com/athena/latest/ug/data-types.html
 */
export function hiveType(type: ColumnType): string {
	switch (type.kind) {
		case "boolean":
		case "date":
		case "binary":
			return type.kind;
		case "int32":
			return "int";
		case "int64":
			return "bigint";
		case "float32":
			return "float";
		case "float64":
			return "double";
		case "decimal":
			return `decimal(${type.precision},${type.scale})`;
		case "timestamp":
		case "timestamptz":
			return "timestamp";
		case "text":
			return "string";
		case "list":
			return `array<${hiveType(type.element)}>`;
		default:
			throw new HeadraceError("E_INTERNAL", `${type.kind} is no type of the lake's files`);
	}
}

const NOTES: Readonly<Record<string, string>> = {
	time: "microseconds since midnight: Athena has no time of day",
	interval: "ISO 8601 text: Athena has no such type",
	timestamp: "microseconds; Athena shows milliseconds",
	timestamptz: "UTC, microseconds; Athena shows milliseconds",
	uint64: "decimal: Athena has no unsigned integers",
};

/** Every canonical type is kept exactly. */
export function mapType(type: ColumnType): TypeMapping {
	const note = NOTES[type.kind];
	const mapping = { destinationType: hiveType(storedType(type)), fidelity: "exact" } as const;
	return note === undefined ? mapping : { ...mapping, note };
}

/**
 * Whether files whose column has type `from` may stay when the table's is `to`: what Athena reads under a wider type.
 * See https://docs.aws.amazon.com/athena/latest/ug/types-of-updates.html#updates-changing-column-type
 */
export function readsAs(from: ColumnType, to: ColumnType): boolean {
	if (hiveType(from) === hiveType(to)) return from.kind === to.kind;
	return (from.kind === "int32" && to.kind === "int64") || (from.kind === "float32" && to.kind === "float64");
}
