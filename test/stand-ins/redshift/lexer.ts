import { RedshiftError } from "./errors.ts";

export interface Token {
	readonly kind: "word" | "quoted" | "string" | "number" | "symbol" | "space";
	/** As it stood; a `quoted` or `string` with its quotes. */
	readonly text: string;
	/** Words and symbols in lower case; names and strings without quotes. */
	readonly value: string;
}

/**
 * SQL as tokens. In the quotes of a string a backslash escapes, as the examples of REGEXP_REPLACE have it:
 * https://docs.aws.amazon.com/redshift/latest/dg/REGEXP_REPLACE.html
 */
export function tokensOf(sql: string): Token[] {
	const tokens: Token[] = [];
	const push = (kind: Token["kind"], text: string, value = text.toLowerCase()) => tokens.push({ kind, text, value });
	let at = 0;
	while (at < sql.length) {
		const rest = sql.slice(at, at + 200);
		const space = /^(?:\s+|--[^\n]*(?:\n|$))/.exec(rest);
		if (space !== null) {
			push("space", space[0]);
			at += space[0].length;
		} else if (rest.startsWith("/*")) {
			const end = sql.indexOf("*/", at + 2);
			if (end < 0) throw new RedshiftError("42601", "unterminated comment");
			push("space", " ");
			at = end + 2;
		} else if (rest.startsWith("'") || rest.startsWith('"')) {
			const { end, value } = quotedEnd(sql, at);
			push(rest[0] === "'" ? "string" : "quoted", sql.slice(at, end), value);
			at = end;
		} else {
			const word = /^[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*/.exec(rest);
			const number = /^(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?/.exec(rest);
			const text = word?.[0] ?? number?.[0] ?? (rest.startsWith("::") ? "::" : rest.startsWith("||") ? "||" : rest[0]!);
			push(word !== null ? "word" : number !== null ? "number" : "symbol", text);
			at += text.length;
		}
	}
	return tokens;
}

function quotedEnd(sql: string, start: number): { end: number; value: string } {
	const quote = sql[start]!;
	let value = "";
	for (let at = start + 1; at < sql.length; at++) {
		const character = sql[at]!;
		if (character === "\\" && quote === "'") {
			value += sql[++at] ?? "";
		} else if (character !== quote) value += character;
		else if (sql[at + 1] === quote) {
			value += quote;
			at++;
		} else return { end: at + 1, value };
	}
	throw new RedshiftError("42601", "unterminated quoted string");
}

/** The statements of a text, each without spaces at its ends. */
export function statementsOf(sql: string): Token[][] {
	const statements: Token[][] = [[]];
	for (const token of tokensOf(sql)) {
		if (token.kind === "symbol" && token.text === ";") statements.push([]);
		else statements.at(-1)!.push(token);
	}
	return statements.map(trimmed).filter((tokens) => tokens.length > 0);
}

function trimmed(tokens: Token[]): Token[] {
	const first = tokens.findIndex(({ kind }) => kind !== "space");
	if (first < 0) return [];
	const last = tokens.findLastIndex(({ kind }) => kind !== "space");
	return tokens.slice(first, last + 1);
}

/** Without spaces and comments. */
export function significant(tokens: readonly Token[]): Token[] {
	return tokens.filter(({ kind }) => kind !== "space");
}

export function textOf(tokens: readonly Token[]): string {
	return tokens.map(({ text }) => text).join("");
}

/** Parts between commas that are in no brackets. */
export function splitByComma(tokens: readonly Token[]): Token[][] {
	const parts: Token[][] = [[]];
	let depth = 0;
	for (const token of tokens) {
		if (token.text === "(") depth++;
		if (token.text === ")") depth--;
		if (token.text === "," && depth === 0) parts.push([]);
		else parts.at(-1)!.push(token);
	}
	return parts.map(trimmed);
}

/** Index of the bracket that closes the one at `open`. */
export function closing(tokens: readonly Token[], open: number): number {
	let depth = 0;
	for (let at = open; at < tokens.length; at++) {
		if (tokens[at]!.text === "(") depth++;
		if (tokens[at]!.text === ")" && --depth === 0) return at;
	}
	throw new RedshiftError("42601", "syntax error: a bracket is not closed");
}
