import { HeadraceError, type SourceColumn, type TypePolicy, typeName } from "../../../core/index.ts";
import type { Decode } from "../decode.ts";
import { decodeText } from "../decode-text.ts";
import { decoderOf } from "../decoders.ts";
import {
	builtIn,
	cast,
	extensionType,
	isInteger,
	isText,
	type NativeType,
	OID,
	operand,
	printed as printedSql,
} from "../native-type.ts";
import { decoderPlan } from "../select-sql.ts";
import { quoteIdentifier } from "../sql-text.ts";
import { jsonArrayReading, listExpression } from "../types-array.ts";
import { printed, type Transcode } from "./printed.ts";
import { hstoreTranscode, type JsonShape, jsonTranscode, listTranscode, vectorTranscode } from "./printed-json.ts";
import { numericTranscode } from "./printed-numeric.ts";
import { printedTimes } from "./printed-time.ts";

/** How a column's values in the log become what a snapshot reads of it. */
export interface LogValues {
	/** Null: what is printed is what the decoder takes. */
	readonly transcode: Transcode | null;
	readonly decode: Decode;
}

/** Shapes of types that to_json takes apart, by oid; null for one that it prints by a function that is not ours. */
export type JsonShapes = (oid: number) => JsonShape | null;

/** What the values of a column go through before its own decoder; null when there is no such way. */
interface Way {
	readonly transcode: Transcode | null;
	/** In place of the column's own. */
	readonly decode?: Decode;
}

/** Types whose JSON needs to be known before: those that `logValuesOf` asks `shapes` for. */
export function needsShape({ native, decode, wire }: ReturnType<typeof decoderPlan>): boolean {
	return wire === OID.text && (native.kind === "composite" || native.kind === "array" || decode === "text");
}

/**
 * The way of a column's values from the log.
 * @throws E_TYPE_REFUSED when the pipeline asks for a conversion that only the server's SELECT can do
 */
export function logValuesOf(
	column: SourceColumn,
	policy: TypePolicy,
	facts: { readonly moneyScale: number; readonly shapes: JsonShapes },
): LogValues {
	const plan = decoderPlan(column);
	const way = plan.sql === quoteIdentifier(column.name) ? plainWay(column) : convertedWay(column, facts);
	if (column.fidelity === "refused" || way === null)
		throw new HeadraceError(
			"E_TYPE_REFUSED",
			`column ${column.name}: ${column.nativeType} can't be read from the change log as ${typeName(column.type)}`,
			{
				hint: "In the change log only the server's own text of a value is at hand: map the column to text, or leave its type.",
			},
		);
	return {
		transcode: way.transcode,
		decode: way.decode ?? decoderOf(plan.decode, column.name, column.type, policy),
	};
}

const PLAIN: Readonly<Record<string, Transcode | null>> = {
	bool: printed.bool,
	int2: printed.int2,
	int4: printed.int4,
	int8: printed.int8,
	oid: printed.int4,
	xid: printed.int4,
	cid: printed.int4,
	xid8: printed.int8,
	float4: printed.float4,
	float8: printed.float8,
	numeric: numericTranscode(),
	bytea: printed.hex,
	date: printedTimes.date,
	time: printedTimes.time,
	timestamp: printedTimes.timestamp,
	timestamptz: printedTimes.timestamp,
	interval: printedTimes.interval,
	uuid: printed.uuid,
	json: null,
};

/** The snapshot reads the binary form of the type itself. */
function plainWay(column: SourceColumn): Way | null {
	const { native } = decoderPlan(column);
	if (isText(native)) return { transcode: null };
	const name = builtIn(native);
	// The version before the text is of the binary form only.
	if (name === "jsonb") return { transcode: null, decode: decodeText };
	if (Object.hasOwn(PLAIN, name)) return { transcode: PLAIN[name]! };
	const extension = extensionType(native);
	return extension === "geometry" || extension === "geography" ? { transcode: printed.hex } : null;
}

const NUMBERS = new Set(["int2", "int4", "int8", "oid", "xid", "cid", "xid8", "float4", "float8"]);
const DAYS = new Set(["date", "timestamp", "timestamptz"]);

/** The snapshot's SELECT converts: what the conversion comes to, where it is one that is known. */
function convertedWay(
	column: SourceColumn,
	facts: { readonly moneyScale: number; readonly shapes: JsonShapes },
): Way | null {
	const { native, wire } = decoderPlan(column);
	const name = builtIn(native);
	switch (wire) {
		case OID.text:
			return textWay(column, facts.shapes);
		case OID.numeric:
			if (name === "money") return { transcode: numericTranscode({ moneyScale: facts.moneyScale }) };
			return NUMBERS.has(name) ? { transcode: numericTranscode() } : null;
		case OID.int8:
			if (name === "bool") return { transcode: printed.boolAs8 };
			return NUMBERS.has(name) && !name.startsWith("float") ? { transcode: printed.int8 } : null;
		case OID.int4:
			return isInteger(native) ? { transcode: printed.int4 } : null;
		case OID.float8:
			return name === "float4" ? { transcode: printed.float4as8 } : null;
		case OID.timestamp:
		case OID.timestamptz:
			return DAYS.has(name) ? { transcode: printedTimes.timestamp } : null;
		case OID.bytea:
			return name === "uuid" ? { transcode: printed.uuid } : null;
		default:
			return null;
	}
}

function textWay(column: SourceColumn, shapes: JsonShapes): Way | null {
	const { native, sql } = decoderPlan(column);
	const name = quoteIdentifier(column.name);
	const value = operand(native, name);
	if (sql === printedSql(native, value)) return { transcode: builtIn(native) === "bool" ? printed.truth : null };
	if (native.kind === "array") return arrayWay(column, native, value, shapes);
	const extension = extensionType(native);
	if (extension === "hstore" && sql === cast(cast(value, "json"), "text")) return { transcode: hstoreTranscode };
	if (extension === "vector" || extension === "halfvec") return { transcode: vectorTranscode };
	if (sql !== cast(`pg_catalog.to_json(${value})`, "text")) return null;
	const shape = shapes(native.oid);
	return shape === null ? null : { transcode: jsonTranscode(shape) };
}

function arrayWay(column: SourceColumn, native: NativeType, value: string, shapes: JsonShapes): Way | null {
	const element = native.element!;
	const { sql } = decoderPlan(column);
	const shape = shapes(native.oid);
	if (sql === jsonArrayReading(value).sql || sql === cast(`pg_catalog.to_json(${value})`, "text"))
		return shape === null ? null : { transcode: jsonTranscode(shape) };
	if (column.type.kind !== "list" || sql !== listExpression(element, value, column.type.element)) return null;
	const delimiter = shape?.kind === "array" ? shape.delimiter : undefined;
	const isBytes = column.type.element.kind === "binary";
	if (isBytes && builtIn(element) !== "bytea") return null;
	return {
		transcode: listTranscode(builtIn(element) === "bool" ? "boolean" : isBytes ? "bytes" : "text", delimiter),
	};
}
