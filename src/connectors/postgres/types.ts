import {
	type ColumnType,
	DECIMAL_PRECISION_MAX,
	type Fidelity,
	type SimpleKind,
	sameType,
	type TypePolicy,
} from "../../core/index.ts";
import type { DecodeName } from "./decoders.ts";
import { builtIn, cast, extensionType, isText, type NativeType, numericModifier, OID, operand } from "./native-type.ts";
import { type Reading, textReading } from "./reading.ts";
import { arrayReading } from "./types-array.ts";
import { lenientReading } from "./types-lenient.ts";
import { overrideReading } from "./types-override.ts";

/** Facts about the server that decide types. */
export interface TypeFacts {
	/** Digits after the point of `money`. */
	readonly moneyScale: number;
}

/** The reading of a column under the pipeline's policy; `column` is the quoted name. */
export function readingOf(
	type: NativeType,
	column: string,
	policy: TypePolicy,
	facts: TypeFacts,
	override: ColumnType | undefined,
): Reading {
	const exact = exactReading(type, column, policy, facts);
	if (override !== undefined)
		return sameType(override, exact.type) ? exact : overrideReading(type, column, override, exact);
	if (policy.mode === "string") return textReading(type, column);
	if (policy.mode === "lenient") return lenientReading(type, column, exact);
	return exact;
}

/** Types whose binary form is decoded as it is. */
const PLAIN: Readonly<Record<string, readonly [SimpleKind, DecodeName]>> = {
	bool: ["boolean", "boolean"],
	int2: ["int16", "int2"],
	int4: ["int32", "int4"],
	int8: ["int64", "int8"],
	oid: ["uint32", "int4"],
	xid: ["uint32", "int4"],
	cid: ["uint32", "int4"],
	xid8: ["uint64", "int8"],
	float4: ["float32", "float4"],
	float8: ["float64", "float8"],
	bytea: ["binary", "text"],
	date: ["date", "date"],
	time: ["time", "time"],
	timestamp: ["timestamp", "timestamp"],
	timestamptz: ["timestamptz", "timestamp"],
	interval: ["interval", "interval"],
	uuid: ["uuid", "uuid"],
	json: ["json", "text"],
	jsonb: ["json", "jsonb"],
};

function exactReading(type: NativeType, column: string, policy: TypePolicy, facts: TypeFacts): Reading {
	if (isText(type)) return textReading(type, column);
	const name = builtIn(type);
	const plain = Object.hasOwn(PLAIN, name) ? PLAIN[name] : undefined;
	if (plain !== undefined) {
		const [kind, decode] = plain;
		return { type: { kind }, ...limits(kind, policy), sql: column, wire: type.oid, decode };
	}
	if (name === "numeric") return numericReading(type, column, policy);
	if (name === "money") {
		const decimal: ColumnType = { kind: "decimal", precision: 19, scale: facts.moneyScale };
		return { type: decimal, fidelity: "exact", sql: cast(column, "numeric"), wire: OID.numeric, decode: "decimal" };
	}
	if (type.kind === "array") return arrayReading(type, operand(type, column));
	if (type.kind === "composite") return jsonReading(`pg_catalog.to_json(${operand(type, column)})`);
	switch (extensionType(type)) {
		case "hstore":
			return jsonReading(cast(operand(type, column), "json"));
		case "geometry":
		case "geography":
			return {
				type: { kind: "binary" },
				fidelity: "exact",
				note: "as EWKB",
				sql: column,
				wire: type.oid,
				decode: "text",
			};
		case "vector":
		case "halfvec": {
			const elements = cast(cast(operand(type, column), "_float4"), "_text");
			return {
				type: { kind: "list", element: { kind: "float32" } },
				fidelity: "exact",
				sql: cast(`pg_catalog.to_json(${elements})`, "text"),
				wire: OID.text,
				decode: "text",
			};
		}
		default:
			return { ...textReading(type, column), note: "as the server prints it" };
	}
}

/** What a policy that alters values means for a column. */
function limits(kind: SimpleKind, policy: TypePolicy): { fidelity: Fidelity; note?: string } {
	if ((kind === "timestamp" || kind === "timestamptz") && policy.outOfRange === "null")
		return { fidelity: "lossy", note: "times after the year 294246 become NULL, counted" };
	if (kind === "interval" && policy.infinity === "null")
		return { fidelity: "lossy", note: "infinite intervals become NULL, counted" };
	return { fidelity: "exact" };
}

function numericReading(type: NativeType, column: string, policy: TypePolicy): Reading {
	const modifier = numericModifier(type.modifier);
	if (
		modifier === null ||
		modifier.precision > DECIMAL_PRECISION_MAX ||
		modifier.scale < 0 ||
		modifier.scale > modifier.precision
	) {
		const why =
			modifier === null
				? "no precision is declared: as text, every digit kept; fix it by `type: decimal(p,s)`"
				: "does not fit decimal(38,s): as text, every digit kept";
		return { ...textReading(type, column), note: why };
	}
	const reading = {
		type: { kind: "decimal", ...modifier },
		sql: column,
		wire: OID.numeric,
		decode: "decimal",
	} as const;
	if (policy.nan === "null") return { ...reading, fidelity: "lossy", note: "NaN becomes NULL, counted" };
	return { ...reading, fidelity: "exact", note: "NaN stops the read (types.nan)" };
}

function jsonReading(json: string): Reading {
	return { type: { kind: "json" }, fidelity: "exact", sql: cast(json, "text"), wire: OID.text, decode: "text" };
}
