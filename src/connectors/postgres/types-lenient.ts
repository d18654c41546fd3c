import { lenientType, sameType, typeName } from "../../core/index.ts";
import { builtIn, cast, extensionType, isInteger, type NativeType, OID, operand } from "./native-type.ts";
import { type Reading, textReading } from "./reading.ts";

/** The few wide types of `types: { mode: lenient }`; each note says what is lost. */
export function lenientReading(type: NativeType, column: string, exact: Reading): Reading {
	const name = builtIn(type);
	if (name === "numeric" && exact.type.kind === "text") return asDouble(column, "numeric", 0);
	const to = lenientType(exact.type);
	if (sameType(to, exact.type)) return exact;
	switch (to.kind) {
		case "int64": {
			const value = isInteger(type) || name === "bool" ? column : cast(column, "text");
			const sql = cast(name === "bool" ? cast(value, "int4") : value, "int8");
			const reading = { type: to, fidelity: "exact", sql, wire: OID.int8, decode: "int8" } as const;
			return name === "bool" ? { ...reading, note: "true is 1, false is 0" } : reading;
		}
		case "float64": {
			if (name === "float4")
				return { type: to, fidelity: "exact", sql: cast(column, "float8"), wire: OID.float8, decode: "float8" };
			if (name === "xid8") return asDouble(cast(cast(column, "text"), "numeric"), "xid8", 20);
			const { precision, scale } = exact.type as { precision: number; scale: number };
			const digits = scale === 0 && precision <= 15 ? 0 : precision;
			return asDouble(name === "money" ? cast(column, "numeric") : column, typeName(exact.type), digits);
		}
		case "timestamp":
			return { ...exact, type: to, note: "the time in UTC, without its zone" };
		case "text":
			return asText(type, column, exact);
		default:
			return exact;
	}
}

/** Read as numeric, so that the values that lose digits are counted. `digits` 0: nothing can be lost, unless the type has no bound. */
function asDouble(value: string, from: string, digits: number): Reading {
	const reading = {
		type: { kind: "float64" },
		sql: value,
		wire: OID.numeric,
		decode: "rounded",
	} as const;
	if (digits === 0 && from !== "numeric") return { ...reading, fidelity: "exact" };
	return { ...reading, fidelity: "lossy", note: `${from} → float64: 15 digits are kept` };
}

function asText(type: NativeType, column: string, exact: Reading): Reading {
	const text = { kind: "text" } as const;
	if (exact.type.kind === "json" && type.kind !== "array") return { ...exact, type: text };
	if (type.kind === "array") {
		const sql = cast(`pg_catalog.to_json(${operand(type, column)})`, "text");
		const note = "as JSON; where indexes begin is lost";
		return { type: text, fidelity: "lossy", note, sql, wire: OID.text, decode: "text" };
	}
	if (builtIn(type) === "bytea") {
		const note = "bytes that are UTF-8 as text, else in base64, counted";
		return { ...exact, type: text, fidelity: "lossy", note, decode: "lenientBytes" };
	}
	return extensionType(type) === ""
		? textReading(type, column)
		: { ...textReading(type, column), note: "as the server prints it" };
}
