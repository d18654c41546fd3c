/** An identifier in double quotes, as PostgreSQL and DuckDB take it. */
export function quoteDouble(name: string): string {
	return `"${name.replaceAll('"', '""')}"`;
}

/** An identifier in MySQL's backticks. */
export function quoteBacktick(name: string): string {
	return `\`${name.replaceAll("`", "``")}\``;
}
