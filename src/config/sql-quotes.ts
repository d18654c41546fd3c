import { templateEnd } from "./template-names.ts";

/** How a source writes SQL text, as far as templates need to know. */
export interface SqlDialect {
	/** A complete literal: `'it''s'`. */
	readonly quoteString: (text: string) => string;
	/** Whether a backslash escapes inside quotes, as in MySQL and Snowflake. */
	readonly backslashEscapes: boolean;
	/** Whether `[name]` is an identifier, as in SQL Server. */
	readonly bracketQuotes?: boolean;
}

export type SqlContext = "code" | "string" | "double" | "backtick" | "bracket" | "comment" | "dollar";

/** A `{{ … }}` and where it stands in the SQL. */
export interface TemplateSite {
	readonly kind: "template";
	readonly expression: string;
	readonly offset: number;
	readonly context: SqlContext;
	/** A backslash escapes here. */
	readonly backslashes: boolean;
	/** The character before and after it, empty at the ends. */
	readonly before: string;
	readonly after: string;
	/** In code: a literal that has just ended stands before it, with blanks and comments between. */
	readonly afterLiteral: boolean;
}

export type SqlPart = { readonly kind: "sql"; readonly text: string } | TemplateSite;

/** A place of the SQL that can't be read for certain; templates are refused rather than guessed. */
export class SqlQuoteError extends Error {
	readonly offset: number;
	constructor(message: string, offset: number) {
		super(message);
		this.offset = offset;
	}
}

const CLOSERS: Readonly<Record<string, string>> = { string: "'", double: '"', backtick: "`", bracket: "]" };

/**
 * Takes SQL with templates apart and says for each template whether it stands in code, in quotes or in a comment.
 * Reads the lexical rules that PostgreSQL, MySQL, Snowflake and SQL Server share; where they differ in a way that
 * changes what is quoted, it throws.
 * @throws SqlQuoteError
 */
export function splitSql(sql: string, dialect: SqlDialect): SqlPart[] {
	const parts: SqlPart[] = [];
	let context: SqlContext = "code";
	let backslashes = false;
	let closer = "";
	let textFrom = 0;
	let lastCode = "";
	let at = 0;
	while (at < sql.length) {
		const character = sql[at]!;
		if (character === "{" && sql[at + 1] === "{") {
			const end = templateEnd(sql, at);
			if (end === undefined) throw new SqlQuoteError("{{ is not closed by }}", at);
			parts.push({ kind: "sql", text: sql.slice(textFrom, at) });
			parts.push({
				kind: "template",
				expression: sql.slice(at + 2, end),
				offset: at,
				context,
				backslashes,
				before: sql[at - 1] ?? "",
				after: sql[end + 2] ?? "",
				afterLiteral: lastCode === "'",
			});
			at = textFrom = end + 2;
			lastCode = context === "code" ? "'" : lastCode;
			continue;
		}
		if (context === "code") {
			const opened = openerAt(sql, at, dialect);
			if (opened === undefined) {
				if (!/\s/.test(character)) lastCode = character;
				at++;
				continue;
			}
			({ context, backslashes, closer } = opened);
			at += opened.length;
		} else if (context === "comment" || context === "dollar") {
			if (context === "comment" && closer === "*/" && sql.startsWith("/*", at))
				throw new SqlQuoteError("a comment inside a comment: engines disagree on where it ends", at);
			if (sql.startsWith(closer, at)) {
				at += closer.length;
				if (context === "dollar") lastCode = "'";
				context = "code";
			} else at++;
		} else if (backslashes && character === "\\") at += 2;
		else if (character === CLOSERS[context]) {
			if (sql[at + 1] === character) at += 2;
			else {
				lastCode = context === "string" ? "'" : character;
				context = "code";
				at++;
			}
		} else at++;
	}
	parts.push({ kind: "sql", text: sql.slice(textFrom) });
	return parts;
}

interface Opener {
	readonly context: SqlContext;
	readonly backslashes: boolean;
	readonly closer: string;
	readonly length: number;
}

function openerAt(sql: string, at: number, dialect: SqlDialect): Opener | undefined {
	const opener = (context: SqlContext, length: number, closer = "", backslashes = false): Opener => ({
		context,
		backslashes,
		closer,
		length,
	});
	const before = sql[at - 1] ?? "";
	switch (sql[at]) {
		case "'": {
			// PostgreSQL's E'…' has backslashes whatever the setting.
			const escaped = /[eE]/.test(before) && !isWord(sql[at - 2] ?? "");
			return opener("string", 1, "", dialect.backslashEscapes || escaped);
		}
		case '"':
			return opener("double", 1, "", dialect.backslashEscapes);
		case "`":
			return opener("backtick", 1);
		case "[":
			return dialect.bracketQuotes ? opener("bracket", 1) : undefined;
		case "-":
			if (sql[at + 1] !== "-") return undefined;
			if (dialect.backslashEscapes && !/\s|^$/.test(sql[at + 2] ?? ""))
				throw new SqlQuoteError("write a blank after --: engines disagree on whether this is a comment", at);
			return opener("comment", 2, "\n");
		case "#":
			return dialect.backslashEscapes ? opener("comment", 1, "\n") : undefined;
		case "/":
			return sql[at + 1] === "*" ? opener("comment", 2, "*/") : undefined;
		case "$": {
			if (isWord(before)) return undefined;
			const tag = /\$(?:[\p{L}_][\p{L}\p{N}_]*)?\$/uy;
			tag.lastIndex = at;
			const [text] = tag.exec(sql) ?? [];
			return text === undefined ? undefined : opener("dollar", text.length, text);
		}
		default:
			return undefined;
	}
}

/** A character that can be part of a name. */
export function isWord(character: string): boolean {
	return /[\p{L}\p{N}_$\u0080-\uFFFF]/u.test(character);
}
