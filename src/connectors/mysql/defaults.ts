import type { ColumnType } from "../../core/index.ts";
import type { NativeColumn } from "./native.ts";
import type { ServerInfo } from "./server.ts";

const NUMBER = /^-?\d+(?:\.\d+)?(?:e[+-]?\d+)?$/i;

/**
 * The constant that COLUMN_DEFAULT stands for, as text; null for an expression, NULL or none.
 * MariaDB gives the SQL of the default (`'a''b'`, `NULL`, `current_timestamp()`), MySQL the bare value, with
 * DEFAULT_GENERATED in EXTRA (or CURRENT_TIMESTAMP as the value) for an expression.
 */
function constantDefault(written: string | null, extra: string, server: ServerInfo): string | null {
	if (written === null || /GENERATED/i.test(extra)) return null;
	if (server.flavour === "mysql") return /^CURRENT_TIMESTAMP(?:\(\d*\))?$/i.test(written) ? null : written;
	if (NUMBER.test(written) || /^b'[01]+'$/.test(written)) return written;
	const quoted = /^'((?:[^'\\]|''|\\.)*)'$/s.exec(written);
	if (quoted === null) return null;
	return quoted[1]!.replace(/''|\\(.)/gs, (_pair, escaped: string | undefined) =>
		escaped === undefined ? "'" : (ESCAPES[escaped] ?? escaped),
	);
}

const ESCAPES: Readonly<Record<string, string>> = { "0": "\0", b: "\b", n: "\n", r: "\r", t: "\t", Z: "\x1a" };

function sqlString(text: string): string | undefined {
	// Engines differ in how they read a backslash or a NUL in quotes.
	return /[\\\0]/.test(text) ? undefined : `'${text.replaceAll("'", "''")}'`;
}

/** The default as SQL that every engine reads for the column's type; undefined when there is none that is constant. */
export function portableDefault(
	written: string | null,
	extra: string,
	native: NativeColumn,
	type: ColumnType,
	server: ServerInfo,
): string | undefined {
	const text = constantDefault(written, extra, server);
	if (text === null) return undefined;
	const bit = /^b'([01]+)'$/.exec(text);
	if (bit !== null && native.family === "bit") {
		if (type.kind === "boolean") return bit[1]!.endsWith("1") ? "true" : "false";
		if (type.kind === "text") return `'${bit[1]!.padStart(native.bits ?? 1, "0")}'`;
		return undefined;
	}
	switch (type.kind) {
		case "text":
			return native.family === "binary" || native.family === "geometry" ? undefined : sqlString(text);
		case "boolean":
			return text === "0" ? "false" : text === "1" ? "true" : undefined;
		case "date":
		case "timestamp":
		case "timestamptz":
			if (!/^\d{4}-\d\d-\d\d/.test(text) || /^0000|^\d{4}-00|^\d{4}-\d\d-00/.test(text)) return undefined;
			return sqlString(type.kind === "timestamptz" ? `${text}+00` : text);
		case "interval":
		case "time":
		case "uuid":
		case "json":
		case "binary":
		case "list":
			return undefined;
		default:
			return NUMBER.test(text) ? text : undefined;
	}
}
