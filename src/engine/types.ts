import { type ColumnType, type Field, parseColumnType, type SimpleKind } from "../core/index.ts";
import { duckdbDialect } from "../sql/index.ts";
import type { Bindings, LogicalType } from "./bindings.ts";

const NAMES: Record<SimpleKind, string> = {
	boolean: "BOOLEAN",
	int8: "TINYINT",
	int16: "SMALLINT",
	int32: "INTEGER",
	int64: "BIGINT",
	uint8: "UTINYINT",
	uint16: "USMALLINT",
	uint32: "UINTEGER",
	uint64: "UBIGINT",
	float32: "FLOAT",
	float64: "DOUBLE",
	date: "DATE",
	time: "TIME",
	timestamp: "TIMESTAMP",
	timestamptz: "TIMESTAMP WITH TIME ZONE",
	interval: "INTERVAL",
	uuid: "UUID",
	text: "VARCHAR",
	json: "JSON",
	binary: "BLOB",
};

const KINDS = new Map<string, SimpleKind>(
	Object.entries(NAMES).map(([kind, name]) => [name, kind as SimpleKind] as const),
);

/** The DuckDB type that keeps every value of a canonical type, as DuckDB itself prints it. */
export function duckdbType(type: ColumnType): string {
	if (type.kind === "decimal") return `DECIMAL(${type.precision},${type.scale})`;
	// An interval's text in a list is ISO 8601, which DuckDB does not read.
	if (type.kind === "list") return type.element.kind === "interval" ? "VARCHAR[]" : `${duckdbType(type.element)}[]`;
	return NAMES[type.kind];
}

/** The canonical type of a DuckDB type as `DESCRIBE` prints it; null when it has none and must be cast (HUGEINT, STRUCT …). */
export function columnTypeOf(duckdbTypeName: string): ColumnType | null {
	const name = duckdbTypeName.trim();
	if (name.endsWith("[]")) {
		const element = columnTypeOf(name.slice(0, -2));
		return element === null || element.kind === "list" ? null : { kind: "list", element };
	}
	const kind = KINDS.get(name.toUpperCase());
	if (kind !== undefined) return { kind };
	return name.toUpperCase().startsWith("DECIMAL(") ? parseColumnType(name) : null;
}

/** Fields of a pulled relation as SELECT items with their real types: JSON is checked, lists are made from JSON text. */
export function selectList(fields: readonly Field[]): string {
	return fields.map((field) => selectItem(field)).join(", ");
}

export function selectItem(field: Field): string {
	const name = duckdbDialect.quoteIdentifier(field.name);
	if (field.type.kind === "json") return `CAST(${name} AS JSON) AS ${name}`;
	if (field.type.kind === "list") return `${listFromText(name, field.type.element)} AS ${name}`;
	return name;
}

/**
 * A list from JSON text whose elements are strings or null. By way of VARCHAR[]: a direct cast of JSON would read the
 * elements as numbers. The bytes of a blob travel as hexadecimal digits.
 */
function listFromText(expression: string, element: ColumnType): string {
	const texts = `CAST(CAST(${expression} AS JSON) AS VARCHAR[])`;
	if (element.kind === "text" || element.kind === "interval") return texts;
	if (element.kind === "binary") return `list_transform(${texts}, lambda value: unhex(value))`;
	return `CAST(${texts} AS ${duckdbType({ kind: "list", element })})`;
}

/** The JSON text of a list column's values, elements as strings or null: the inverse of what `selectList` does. */
export function listText(expression: string, element: ColumnType): string {
	if (element.kind === "binary")
		return `CAST(to_json(list_transform(${expression}, lambda value: lower(hex(value)))) AS VARCHAR)`;
	return `CAST(to_json(CAST(${expression} AS VARCHAR[])) AS VARCHAR)`;
}

/** The physical type of a pulled column. Lists and JSON are text until SQL makes them what they are. */
export function logicalTypeOf(duckdb: Bindings, type: ColumnType): LogicalType {
	if (type.kind === "decimal") return duckdb.create_decimal_type(type.precision, type.scale);
	return duckdb.create_logical_type(typeIdOf(duckdb, type));
}

function typeIdOf(duckdb: Bindings, type: Exclude<ColumnType, { kind: "decimal" }>): number {
	const { Type } = duckdb;
	switch (type.kind) {
		case "boolean":
			return Type.BOOLEAN;
		case "int8":
			return Type.TINYINT;
		case "int16":
			return Type.SMALLINT;
		case "int32":
			return Type.INTEGER;
		case "int64":
			return Type.BIGINT;
		case "uint8":
			return Type.UTINYINT;
		case "uint16":
			return Type.USMALLINT;
		case "uint32":
			return Type.UINTEGER;
		case "uint64":
			return Type.UBIGINT;
		case "float32":
			return Type.FLOAT;
		case "float64":
			return Type.DOUBLE;
		case "date":
			return Type.DATE;
		case "time":
			return Type.TIME;
		case "timestamp":
			return Type.TIMESTAMP;
		case "timestamptz":
			return Type.TIMESTAMP_TZ;
		case "interval":
			return Type.INTERVAL;
		case "uuid":
			return Type.UUID;
		case "binary":
			return Type.BLOB;
		case "text":
		case "json":
		case "list":
			return Type.VARCHAR;
	}
}

/** The canonical type of a result column; null when SQL must cast it first. */
export function columnTypeOfResult(duckdb: Bindings, type: LogicalType): ColumnType | null {
	const id = duckdb.get_type_id(type);
	if (id === duckdb.Type.DECIMAL)
		return { kind: "decimal", precision: duckdb.decimal_width(type), scale: duckdb.decimal_scale(type) };
	if (id === duckdb.Type.VARCHAR) return { kind: duckdb.logical_type_get_alias(type) === "JSON" ? "json" : "text" };
	// The bindings' numbers are DuckDB's; their names are those that it prints, but for the time zone.
	const name = id === duckdb.Type.TIMESTAMP_TZ ? NAMES.timestamptz : duckdb.Type[id];
	const kind = KINDS.get(name ?? "");
	return kind === undefined ? null : { kind };
}

/** How a result column without a canonical type is cast to one; `list` when the text it becomes is a list's. */
export function castOfResult(
	duckdb: Bindings,
	type: LogicalType,
	expression: string,
): { readonly sql: string; readonly list?: ColumnType } {
	const { Type } = duckdb;
	const id = duckdb.get_type_id(type);
	// Seconds and milliseconds fit microseconds; nanoseconds do not, so they become text.
	if (id === Type.TIMESTAMP_S || id === Type.TIMESTAMP_MS) return { sql: `CAST(${expression} AS TIMESTAMP)` };
	if (id === Type.LIST || id === Type.ARRAY) {
		const child = id === Type.LIST ? duckdb.list_type_child_type(type) : duckdb.array_type_child_type(type);
		const element = columnTypeOfResult(duckdb, child);
		if (element !== null && element.kind !== "json" && element.kind !== "list")
			return { sql: listText(expression, element), list: { kind: "list", element } };
		return { sql: `to_json(${expression})` };
	}
	if (id === Type.STRUCT || id === Type.MAP || id === Type.UNION || id === Type.VARIANT)
		return { sql: `to_json(${expression})` };
	return { sql: `CAST(${expression} AS VARCHAR)` };
}
