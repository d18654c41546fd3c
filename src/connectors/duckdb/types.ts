import type { ColumnType, TypeMapping } from "../../core/index.ts";
import { duckdbType } from "../../engine/index.ts";
import type { Comparison } from "../../sql/index.ts";

/** Every canonical type has a DuckDB type that keeps all its values, but for the sign of zero. */
export function mapType(type: ColumnType): TypeMapping {
	const mapping = { destinationType: duckdbType(type), fidelity: "exact" } as const;
	const element = type.kind === "list" ? type.element : type;
	// Its compression of runs and of constant columns compares by value, for which -0.0 and 0.0 are equal.
	return element.kind === "float32" || element.kind === "float64"
		? { ...mapping, note: "-0.0 may be stored as 0.0" }
		: mapping;
}

/** DuckDB keeps a name's case but compares names without it, for ASCII letters only. */
export function foldName(name: string): string {
	return name.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

export function comparisonOf(type: ColumnType): Comparison {
	if (type.kind === "float32" || type.kind === "float64") return "float";
	if (type.kind === "interval") return "text";
	if (type.kind === "list") return comparisonOf(type.element) === "value" ? "value" : "text";
	return "value";
}

/** Integer types by their bits. */
const INTEGER_BITS: Readonly<Record<string, readonly [bits: number, signed: boolean]>> = {
	TINYINT: [8, true],
	SMALLINT: [16, true],
	INTEGER: [32, true],
	BIGINT: [64, true],
	HUGEINT: [128, true],
	UTINYINT: [8, false],
	USMALLINT: [16, false],
	UINTEGER: [32, false],
	UBIGINT: [64, false],
};

/** Integer digits that a decimal needs to hold every value of an integer type. */
const INTEGER_DIGITS: Readonly<Record<string, number>> = {
	TINYINT: 3,
	SMALLINT: 5,
	INTEGER: 10,
	BIGINT: 19,
	UTINYINT: 3,
	USMALLINT: 5,
	UINTEGER: 10,
	UBIGINT: 20,
};

/** Whether every value of type `narrow` is a value of type `wide` and reads the same; both as DuckDB prints them. */
export function holds(wide: string, narrow: string): boolean {
	if (wide === narrow) return true;
	const wideInteger = INTEGER_BITS[wide];
	const narrowInteger = INTEGER_BITS[narrow];
	if (wideInteger !== undefined && narrowInteger !== undefined) {
		const [wideBits, wideSigned] = wideInteger;
		const [narrowBits, narrowSigned] = narrowInteger;
		return wideSigned === narrowSigned ? wideBits >= narrowBits : wideSigned && wideBits > narrowBits;
	}
	const wideDecimal = decimalOf(wide);
	if (wideDecimal !== null) {
		const narrowDecimal = decimalOf(narrow);
		const scale = narrowDecimal?.scale ?? 0;
		const digits = narrowDecimal === null ? INTEGER_DIGITS[narrow] : narrowDecimal.precision - scale;
		return digits !== undefined && wideDecimal.scale >= scale && wideDecimal.precision - wideDecimal.scale >= digits;
	}
	if (wide === "DOUBLE") return narrow === "FLOAT" || (narrowInteger !== undefined && narrowInteger[0] <= 32);
	if (wide === "FLOAT") return narrowInteger !== undefined && narrowInteger[0] <= 16;
	if (wide === "TIMESTAMP") return narrow === "DATE";
	return wide === "VARCHAR" && narrow === "JSON";
}

function decimalOf(type: string): { readonly precision: number; readonly scale: number } | null {
	const match = /^DECIMAL\((\d+),(\d+)\)$/.exec(type);
	return match === null ? null : { precision: Number(match[1]), scale: Number(match[2]) };
}
