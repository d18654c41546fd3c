import { type ColumnType, sameType } from "./column-type.ts";

const INTEGERS = ["int8", "int16", "int32", "int64"];
const UNSIGNED = ["uint8", "uint16", "uint32", "uint64"];

/** Most digits of an integer type. */
const INTEGER_DIGITS: Readonly<Record<string, number>> = {
	int8: 3,
	uint8: 3,
	int16: 5,
	uint16: 5,
	int32: 10,
	uint32: 10,
	int64: 19,
	uint64: 20,
};

/** A type that holds every value of both; null when there is none but text. */
export function widerType(a: ColumnType, b: ColumnType): ColumnType | null {
	if (sameType(a, b)) return a;
	if (a.kind === "decimal" && b.kind === "decimal") {
		const scale = Math.max(a.scale, b.scale);
		const precision = Math.max(a.precision - a.scale, b.precision - b.scale) + scale;
		return precision <= 38 ? { kind: "decimal", precision, scale } : null;
	}
	const decimal = a.kind === "decimal" ? a : b.kind === "decimal" ? b : null;
	const digits = INTEGER_DIGITS[decimal === a ? b.kind : a.kind];
	if (decimal !== null) {
		const precision = Math.max(decimal.precision - decimal.scale, digits ?? 39) + decimal.scale;
		return precision <= 38 ? { kind: "decimal", precision, scale: decimal.scale } : null;
	}
	const signs = [a, b].map(({ kind }) => ({ signed: INTEGERS.indexOf(kind), unsigned: UNSIGNED.indexOf(kind) }));
	const [first, second] = [signs[0]!, signs[1]!];
	if (first.signed >= 0 && second.signed >= 0) return first.signed > second.signed ? a : b;
	if (first.unsigned >= 0 && second.unsigned >= 0) return first.unsigned > second.unsigned ? a : b;
	const signed = Math.max(first.signed, second.signed);
	const unsigned = Math.max(first.unsigned, second.unsigned);
	if (signed >= 0 && unsigned >= 0)
		return unsigned === 3
			? { kind: "decimal", precision: 20, scale: 0 }
			: ({ kind: INTEGERS[Math.max(signed, unsigned + 1)]! } as ColumnType);
	const kinds = new Set([a.kind, b.kind]);
	if (kinds.has("float32") && kinds.has("float64")) return { kind: "float64" };
	return kinds.has("json") && kinds.has("text") ? { kind: "text" } : null;
}
