/** How one engine writes SQL. */
export interface Dialect {
	readonly name: string;
	/** Most bytes (UTF-8) of an identifier that the engine keeps apart; null when it has no limit. */
	readonly identifierBytesMax: number | null;
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
	quoteIdentifier: quoteDouble,
	quoteLiteral: quoteSingle,
};
