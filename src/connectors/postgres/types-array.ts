import type { ColumnType, SimpleKind } from "../../core/index.ts";
import { UNUSUAL_ARRAY } from "./decode-text.ts";
import { builtIn, cast, isText, type NativeType, numericModifier, OID } from "./native-type.ts";
import type { Reading } from "./reading.ts";

/** Element types whose printed form every destination reads back; the rest become lists of text. */
const ELEMENTS: Readonly<Record<string, SimpleKind>> = {
	bool: "boolean",
	int2: "int16",
	int4: "int32",
	int8: "int64",
	oid: "uint32",
	float4: "float32",
	float8: "float64",
	date: "date",
	time: "time",
	timestamp: "timestamp",
	timestamptz: "timestamptz",
	uuid: "uuid",
	bytea: "binary",
};

function elementType(element: NativeType): ColumnType {
	const name = builtIn(element);
	const modifier = name === "numeric" ? numericModifier(element.modifier) : null;
	if (modifier !== null && modifier.precision <= 38 && modifier.scale >= 0 && modifier.scale <= modifier.precision)
		return { kind: "decimal", ...modifier };
	return { kind: (Object.hasOwn(ELEMENTS, name) ? ELEMENTS[name] : undefined) ?? "text" };
}

/**
 * One-dimensional arrays as JSON of strings, made by the server, so that no element is read as a number here. PostgreSQL
 * does not enforce dimensions or where indexes begin: an array that is not plain is marked and stops the read.
 */
export function arrayReading(type: NativeType, array: string): Reading {
	const element = type.element!;
	if (type.dimensions > 1 || element.kind === "composite") return jsonArrayReading(array);
	const to = elementType(element);
	return {
		type: { kind: "list", element: to },
		fidelity: "exact",
		note:
			to.kind === "text" && !isText(element)
				? "elements as the server prints them; arrays of several dimensions stop the read"
				: "arrays of several dimensions stop the read",
		sql: listExpression(element, array, to),
		wire: OID.text,
		decode: "array",
	};
}

export function listExpression(element: NativeType, array: string, to: ColumnType): string {
	const plain = `pg_catalog.array_ndims(${array}) > 1 OR pg_catalog.array_lower(${array}, 1) <> 1`;
	return marked(plain, elementsAsStrings(element, array, to));
}

function elementsAsStrings(element: NativeType, array: string, to: ColumnType): string {
	// to_json prints these as strings by their output function; a cast to text[] would cut blanks of char(n) or add /32.
	if (isText(element) || (element.printer !== undefined && builtIn(element) !== "bool"))
		return cast(`pg_catalog.to_json(${array})`, "text");
	const text = cast(`pg_catalog.to_json(${cast(array, "_text")})`, "text");
	// The digits alone: in JSON text the prefix \x is written \\x, and nothing else in it has a backslash.
	return to.kind === "binary" ? `pg_catalog.replace(${text}, '\\\\x', '')` : text;
}

/** Any number of dimensions as JSON; where indexes begin can't be said in it. */
export function jsonArrayReading(array: string): Reading {
	const lowers = [1, 2, 3, 4, 5, 6].map((dimension) => `pg_catalog.array_lower(${array}, ${dimension})`);
	return {
		type: { kind: "json" },
		fidelity: "exact",
		note: "arrays whose first index is not 1 stop the read",
		sql: marked(`1 <> ANY (ARRAY[${lowers.join(", ")}])`, cast(`pg_catalog.to_json(${array})`, "text")),
		wire: OID.text,
		decode: "arrayBounds",
	};
}

function marked(unusual: string, expression: string): string {
	return `CASE WHEN ${unusual} THEN '${UNUSUAL_ARRAY}' ELSE ${expression} END`;
}
