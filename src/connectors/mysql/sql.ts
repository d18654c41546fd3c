import type { TableName } from "../../core/index.ts";

/** A name in backticks; any character a server allows in a name is safe in it. */
export function identifier(name: string): string {
	return `\`${name.replaceAll("`", "``")}\``;
}

export function tableSql({ schema, name }: TableName): string {
	return schema === "" ? identifier(name) : `${identifier(schema)}.${identifier(name)}`;
}

/** A string in single quotes, for a session whose sql_mode has neither NO_BACKSLASH_ESCAPES nor EMPTY_STRING_IS_NULL. */
export function quoteString(text: string): string {
	return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`;
}

/** Text as a literal in which no character means anything: `_utf8mb4 x'61'`. */
export function textLiteral(text: string): string {
	return `_utf8mb4 x'${Buffer.from(text, "utf8").toString("hex")}'`;
}

/** A query as a derived table. The line ends keep a comment at the query's end from swallowing what follows. */
export function derived(query: string): string {
	return `(\n${query.trim().replace(/(?:;\s*)+$/, "")}\n) AS headrace_query`;
}

export function all(conditions: readonly (string | undefined)[]): string {
	const present = conditions.filter((condition) => condition !== undefined);
	return present.length === 0 ? "" : ` WHERE ${present.map((condition) => `(${condition})`).join(" AND ")}`;
}
