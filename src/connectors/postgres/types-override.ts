import { type ColumnType, typeName } from "../../core/index.ts";
import type { DecodeName } from "./decoders.ts";
import { builtIn, cast, extensionType, isInteger, isText, type NativeType, OID, operand } from "./native-type.ts";
import { type Reading, textReading } from "./reading.ts";
import { jsonArrayReading, listExpression } from "./types-array.ts";

/** A column as the type that the pipeline fixed for it; `refused` when no way keeps its values or says what is lost. */
export function overrideReading(type: NativeType, column: string, to: ColumnType, exact: Reading): Reading {
	const value = operand(type, column);
	switch (to.kind) {
		case "text":
			return textReading(type, column);
		case "json":
			return asJson(type, column, exact);
		case "list":
			if (type.kind !== "array" || to.element.kind === "list") return refused(type, to, exact);
			return {
				...exact,
				type: to,
				sql: listExpression(type.element!, value, to.element),
				wire: OID.text,
				decode: "array",
			};
		case "binary":
			if (isText(type)) return { ...exact, type: to, fidelity: "exact", note: "the bytes of the text in UTF-8" };
			if (builtIn(type) === "uuid")
				return { type: to, fidelity: "exact", sql: `pg_catalog.uuid_send(${column})`, wire: OID.bytea, decode: "text" };
			return refused(type, to, exact);
		case "decimal":
		case "int8":
		case "uint8":
		case "int16":
		case "uint16":
		case "int32":
		case "uint32":
		case "int64":
		case "uint64":
			return asNumber(type, column, to, exact);
		case "float32":
		case "float64":
			return asFloat(type, column, to, exact);
		case "boolean":
			if (isInteger(type)) return narrowed(cast(column, "int8"), to, "int8", "truth", "0 is false, all else true");
			return isText(type) ? castReading(cast(column, "bool"), to) : refused(type, to, exact);
		default:
			return asTime(type, column, to, exact);
	}
}

function refused(type: NativeType, to: ColumnType, exact: Reading): Reading {
	return { ...exact, type: to, fidelity: "refused", note: `${type.name} cannot be read as ${typeName(to)}` };
}

/** What the server's cast gives. */
const CASTS: Readonly<Record<string, readonly [string, number, DecodeName]>> = {
	boolean: ["bool", OID.bool, "boolean"],
	date: ["date", OID.date, "date"],
	time: ["time", OID.time, "time"],
	timestamp: ["timestamp", OID.timestamp, "timestamp"],
	timestamptz: ["timestamptz", OID.timestamptz, "timestamp"],
	interval: ["interval", OID.interval, "interval"],
	uuid: ["uuid", OID.uuid, "uuid"],
};

function castReading(
	sql: string,
	to: ColumnType,
	note = "cast by the server; what it cannot cast stops the read",
): Reading {
	const [, wire, decode] = CASTS[to.kind]!;
	return { type: to, fidelity: "lossy", note, sql, wire, decode };
}

function asJson(type: NativeType, column: string, exact: Reading): Reading {
	const value = operand(type, column);
	if (type.kind === "array") return jsonArrayReading(value);
	const json = isText(type) ? cast(cast(column, "text"), "json") : `pg_catalog.to_json(${value})`;
	if (extensionType(type) !== "" && !isText(type)) return refused(type, { kind: "json" }, exact);
	const note = isText(type) ? "text that is not JSON stops the read" : "as to_json prints it";
	return { type: { kind: "json" }, fidelity: "exact", note, sql: cast(json, "text"), wire: OID.text, decode: "text" };
}

/** The expression as numeric, null when the type has no number. Floats by their shortest digits. */
function asNumeric(type: NativeType, column: string): string | null {
	const name = builtIn(type);
	if (name === "numeric") return column;
	if (isText(type)) return cast(cast(column, "text"), "numeric");
	if (name === "int2" || name === "int4" || name === "int8" || name === "money") return cast(column, "numeric");
	if (name === "bool") return cast(cast(column, "int4"), "numeric");
	if (["oid", "xid", "cid", "xid8", "float4", "float8"].includes(name)) return cast(cast(column, "text"), "numeric");
	return null;
}

function asNumber(type: NativeType, column: string, to: ColumnType, exact: Reading): Reading {
	const name = builtIn(type);
	const sql = asNumeric(type, column);
	if (sql === null) return refused(type, to, exact);
	const widened = (wide: "int4" | "int8"): Reading => ({
		type: to,
		fidelity: "exact",
		sql: cast(column, wide),
		wire: OID[wide],
		decode: wide,
	});
	if (to.kind === "int64" && isInteger(type)) return widened("int8");
	if (to.kind === "int32" && name === "int2") return widened("int4");
	return {
		type: to,
		fidelity: name.startsWith("float") ? "lossy" : "exact",
		note: "what does not fit goes by types.out_of_range; nothing is rounded",
		sql,
		wire: OID.numeric,
		decode: to.kind === "decimal" ? "decimal" : "integer",
	};
}

function asFloat(type: NativeType, column: string, to: ColumnType, exact: Reading): Reading {
	const name = builtIn(type);
	const note = `rounded to the digits of ${typeName(to)}`;
	if (name === "float4" || name === "float8") {
		if (to.kind === "float64")
			return { type: to, fidelity: "exact", sql: cast(column, "float8"), wire: OID.float8, decode: "float8" };
		return name === "float4" ? { ...exact, type: to } : narrowed(column, to, "float8", "narrowFloat", note);
	}
	const number = asNumeric(type, column);
	if (number === null) return refused(type, to, exact);
	return { type: to, fidelity: "lossy", note, sql: number, wire: OID.numeric, decode: "rounded" };
}

/** A type of less than the value has: the decoder counts what it does not keep. */
function narrowed(
	sql: string,
	to: ColumnType,
	wire: "int8" | "float8" | "timestamp",
	decode: DecodeName,
	note: string,
): Reading {
	return { type: to, fidelity: "lossy", note, sql, wire: OID[wire], decode };
}

const TIMES = new Set(["date", "timestamp", "timestamptz"]);

function asTime(type: NativeType, column: string, to: ColumnType, exact: Reading): Reading {
	const name = builtIn(type);
	const [target] = CASTS[to.kind]!;
	if ((to.kind === "timestamp" && name === "timestamptz") || (to.kind === "timestamptz" && name === "timestamp"))
		return { ...exact, type: to, note: "the same time, taken as UTC" };
	if (isText(type)) return castReading(cast(cast(column, "text"), target), to);
	if (TIMES.has(to.kind) && TIMES.has(name)) {
		return to.kind === "date"
			? narrowed(cast(column, "timestamp"), to, "timestamp", "day", "the day in UTC")
			: { ...castReading(cast(column, target), to), fidelity: "exact", note: "midnight UTC of the day" };
	}
	return refused(type, to, exact);
}
