import type { ColumnType, TextCasts } from "../../core/index.ts";
import { duckdbDialect, FLOAT_DIGITS, textPattern } from "../../sql/index.ts";
import { mapType } from "./types.ts";

const { quoteIdentifier, quoteLiteral } = duckdbDialect;

/** DuckDB's own casts round, trim and read hex: the form of a text is tried before. */
export const duckdbTexts: TextCasts = {
	fails(column, type) {
		const text = quoteIdentifier(column);
		const pattern = textPattern(type);
		// DuckDB takes NaN and Infinity for JSON.
		if (type.kind === "json")
			return `coalesce(NOT json_valid(${text}) OR regexp_matches(${text}, '(^|[\\[,:[:space:]])-?([nN][aA][nN]|[iI][nN][fF])'), false)`;
		if (pattern === null) return null;
		const isFloat = type.kind === "float32" || type.kind === "float64";
		const parts = [
			`NOT regexp_matches(${text}, ${quoteLiteral(pattern)})`,
			`TRY_CAST(${plain(text, type)} AS ${mapType(type).destinationType}) IS NULL`,
			...(isFloat ? [losesDigits(text, type)] : []),
		];
		return `(${text} IS NOT NULL AND coalesce(${parts.join(" OR ")}, false))`;
	},
	value: (column, type) => `CAST(${plain(quoteIdentifier(column), type)} AS ${mapType(type).destinationType})`,
	checksum: (expression) => `CAST(sum(hash(${expression})) AS VARCHAR)`,
};

/** A number as DuckDB reads it: integers without a point, no plus sign, no zeros behind what the scale holds. */
function plain(text: string, type: ColumnType): string {
	const unsigned = `regexp_replace(${text}, '^[+]', '')`;
	if (/^u?int/.test(type.kind)) return `regexp_replace(${unsigned}, '[.]0*$', '')`;
	if (type.kind === "decimal")
		return `regexp_replace(regexp_replace(${unsigned}, '([.][0-9]*?)0+$', '\\1'), '[.]$', '')`;
	return text;
}

/** More digits than a float surely keeps, and its own text is another. */
function losesDigits(text: string, type: ColumnType): string {
	const digits = `ltrim(regexp_replace(regexp_replace(${text}, '[eE].*$', ''), '[^0-9]', '', 'g'), '0')`;
	const most = type.kind === "float32" ? FLOAT_DIGITS.float32 : FLOAT_DIGITS.float64;
	return `(length(${digits}) > ${most} AND CAST(TRY_CAST(${text} AS ${mapType(type).destinationType}) AS VARCHAR) <> ${text})`;
}
