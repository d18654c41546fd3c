import type { ColumnType } from "../../core/index.ts";

const NUMBER = /^-?\d+(?:\.\d+)?$/;
const NUMERIC_KINDS = new Set("int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64 decimal".split(" "));
const QUOTED_KINDS = new Set(["text", "json", "uuid", "date", "time", "timestamp", "timestamptz"]);

/**
 * A default as pg_get_expr prints it, when it is a constant that every engine reads the same: `0`, `'new'`, `true`,
 * `NULL`. Undefined for expressions, and for constants whose form is PostgreSQL's own (arrays, intervals, bytes).
 */
export function portableDefault(expression: string, type: ColumnType): string | undefined {
	const constant =
		/^\(?(-?[\d.]+|true|false|NULL|'(?:[^']|'')*')\)?(?:::(?:[a-z_ ]+|"[^"]+"|[\w."]+)(?:\(\d+(?:,-?\d+)?\))?)?$/;
	const match = constant.exec(expression);
	if (match === null) return undefined;
	const literal = match[1]!;
	if (literal === "NULL") return "NULL";
	if (literal === "true" || literal === "false") return type.kind === "boolean" ? literal : undefined;
	const quoted = literal.startsWith("'");
	const content = quoted ? literal.slice(1, -1).replaceAll("''", "'") : literal;
	if (NUMERIC_KINDS.has(type.kind)) return NUMBER.test(content) ? content : undefined;
	if (type.kind === "boolean") return /^(?:true|false)$/.test(content) ? content : undefined;
	if (!QUOTED_KINDS.has(type.kind)) return undefined;
	// A number as the default of a text column is written without quotes when the column was altered.
	if (!quoted) return type.kind === "text" && NUMBER.test(content) ? `'${content}'` : undefined;
	if (type.kind !== "text" && type.kind !== "json" && !/^[0-9a-f:.+ -]+$/i.test(content)) return undefined;
	// MySQL reads a backslash as an escape.
	return content.includes("\\") ? undefined : literal;
}
