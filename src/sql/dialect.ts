/** How one engine writes SQL. */
export interface Dialect {
	readonly name: string;
	/** Most bytes (UTF-8) of an identifier that the engine keeps apart; null when it has no limit. */
	readonly identifierBytesMax: number | null;
	/** The pseudo column that names a row while its transaction lasts. */
	readonly rowIdentifier: string;
	quoteIdentifier(name: string): string;
	/** A text literal. */
	quoteLiteral(text: string): string;
}

/** `a"b` → `"a""b"`: what standard SQL says; also right for reserved words, dots and any Unicode. */
export function quoteDouble(name: string): string {
	return `"${name.replaceAll('"', '""')}"`;
}

/** `it's` → `'it''s'`: right where a backslash is an ordinary character. */
export function quoteSingle(text: string): string {
	return `'${text.replaceAll("'", "''")}'`;
}

export const duckdbDialect: Dialect = {
	name: "duckdb",
	identifierBytesMax: null,
	rowIdentifier: "rowid",
	quoteIdentifier: quoteDouble,
	quoteLiteral: quoteSingle,
};

/** Stages number their rows themselves: the order of a table's physical rows is no promise. */
export const postgresDialect: Dialect = {
	name: "postgres",
	identifierBytesMax: 63,
	rowIdentifier: "_headrace_row",
	quoteIdentifier: quoteDouble,
	quoteLiteral: quoteSingle,
};

/**
 * A backslash escapes within a literal of Redshift, or does not, by a setting that nobody documents: so none is ever
 * inside the quotes, and the text is right either way.
 */
export function quoteWithoutBackslash(text: string): string {
	if (!text.includes("\\")) return quoteSingle(text);
	return `(${text.split("\\").map(quoteSingle).join(" || chr(92) || ")})`;
}

/** https://docs.aws.amazon.com/redshift/latest/dg/r_names.html */
export const redshiftDialect: Dialect = {
	name: "redshift",
	identifierBytesMax: 127,
	rowIdentifier: "_headrace_row",
	quoteIdentifier: quoteDouble,
	quoteLiteral: quoteWithoutBackslash,
};

/**
 * `it's \\` → `'it''s \\\\'`: a backslash begins an escape in Snowflake's literals.
 * https://docs.snowflake.com/en/sql-reference/data-types-text#escape-sequences-in-single-quoted-string-constants
 */
export function quoteEscaped(text: string): string {
	return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`;
}

/** https://docs.snowflake.com/en/sql-reference/identifiers-syntax: 255 characters, which are at most four bytes each. */
export const snowflakeDialect: Dialect = {
	name: "snowflake",
	identifierBytesMax: 255,
	rowIdentifier: "_headrace_row",
	quoteIdentifier: quoteDouble,
	quoteLiteral: quoteEscaped,
};

/** `"a"."b"`: a name of several parts. */
export function quotedPath(dialect: Dialect, parts: readonly string[]): string {
	return parts.map((part) => dialect.quoteIdentifier(part)).join(".");
}

/** `"a", "b"`, each with a prefix when given: `s."a", s."b"`. */
export function quotedList(dialect: Dialect, names: readonly string[], alias?: string): string {
	const prefix = alias === undefined ? "" : `${alias}.`;
	return names.map((name) => `${prefix}${dialect.quoteIdentifier(name)}`).join(", ");
}
