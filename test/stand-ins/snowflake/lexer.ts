import { Refused } from "./errors.ts";

/**
 * Snowflake SQL as tokens. https://docs.snowflake.com/en/sql-reference/identifiers-syntax: in double quotes as written,
 * else upper case. https://docs.snowflake.com/en/sql-reference/data-types-text#string-constants: a backslash escapes in
 * single quotes. Stages are one token: `@"DB"."S"."STAGE"/path/`.
 */
export interface Token {
	readonly kind: "word" | "quoted" | "string" | "number" | "symbol" | "stage" | "column" | "bind";
	/** A word in upper case, a quoted name or a string without its quotes, a symbol, a stage without its `@`. */
	readonly text: string;
}

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", b: "\b", f: "\f", "0": "\0" };
const SYMBOLS = ["::", "||", "<>", "!=", "<=", ">=", "=>"];

export function tokensOf(sql: string): Token[] {
	const tokens: Token[] = [];
	let at = 0;
	const syntaxError = () =>
		new Refused(
			"001003",
			"42000",
			`SQL compilation error:\nsyntax error at position ${at} unexpected '${sql.slice(at, at + 20)}'.`,
		);
	const until = (quote: string, escapes: boolean): string => {
		let text = "";
		for (at++; ; at++) {
			const character = sql[at];
			if (character === undefined) throw syntaxError();
			if (escapes && character === "\\") {
				const next = sql[++at] ?? "";
				text += ESCAPES[next] ?? next;
			} else if (character !== quote) text += character;
			else if (sql[at + 1] === quote) {
				text += quote;
				at++;
			} else {
				at++;
				return text;
			}
		}
	};
	while (at < sql.length) {
		const rest = sql.slice(at, at + 64);
		const character = sql[at]!;
		if (/\s/.test(character)) at++;
		else if (rest.startsWith("--")) {
			const end = sql.indexOf("\n", at);
			at = end < 0 ? sql.length : end;
		} else if (rest.startsWith("/*")) {
			const end = sql.indexOf("*/", at);
			if (end < 0) throw syntaxError();
			at = end + 2;
		} else if (character === "'") tokens.push({ kind: "string", text: until("'", true) });
		else if (character === '"') tokens.push({ kind: "quoted", text: until('"', false) });
		else if (character === "@") {
			const match = /^@(?:"(?:[^"]|"")*"|[^\s")(,;])+/.exec(sql.slice(at));
			if (match === null) throw syntaxError();
			tokens.push({ kind: "stage", text: match[0].slice(1) });
			at += match[0].length;
		} else if (/[A-Za-z_]/.test(character)) {
			const word = /^[A-Za-z_][A-Za-z0-9_$]*/.exec(sql.slice(at))![0];
			tokens.push({ kind: "word", text: word.toUpperCase() });
			at += word.length;
		} else if (/^\$\d/.test(rest)) {
			const column = /^\$\d+/.exec(rest)![0];
			tokens.push({ kind: "column", text: column.slice(1) });
			at += column.length;
		} else if (/^(?:\d|\.\d)/.test(rest)) {
			const number = /^(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?/.exec(sql.slice(at))![0];
			tokens.push({ kind: "number", text: number });
			at += number.length;
		} else if (character === "?") {
			tokens.push({ kind: "bind", text: "?" });
			at++;
		} else {
			const symbol = SYMBOLS.find((text) => rest.startsWith(text)) ?? character;
			tokens.push({ kind: "symbol", text: symbol });
			at += symbol.length;
		}
	}
	while (tokens.at(-1)?.text === ";" && tokens.at(-1)?.kind === "symbol") tokens.pop();
	return tokens;
}

/** A cursor over tokens, for statements that are read and not translated. */
export class Reader {
	readonly #tokens: readonly Token[];
	#at = 0;

	constructor(tokens: readonly Token[]) {
		this.#tokens = tokens;
	}

	get done(): boolean {
		return this.#at >= this.#tokens.length;
	}

	peek(ahead = 0): Token | undefined {
		return this.#tokens[this.#at + ahead];
	}

	next(): Token {
		const token = this.#tokens[this.#at++];
		if (token === undefined) throw unexpected("<EOF>");
		return token;
	}

	/** Whether the next tokens are these words or symbols. */
	at(...words: string[]): boolean {
		return words.every((word, index) => {
			const token = this.peek(index);
			return token !== undefined && (token.kind === "word" || token.kind === "symbol") && token.text === word;
		});
	}

	/** Takes these words when they come. */
	take(...words: string[]): boolean {
		if (!this.at(...words)) return false;
		this.#at += words.length;
		return true;
	}

	expect(...words: string[]): void {
		if (!this.take(...words)) throw unexpected(this.peek()?.text ?? "<EOF>");
	}

	name(): string {
		const token = this.next();
		if (token.kind !== "word" && token.kind !== "quoted") throw unexpected(token.text);
		return token.text;
	}

	/** `a.b.c` */
	path(): string[] {
		const parts = [this.name()];
		while (this.take(".")) parts.push(this.name());
		return parts;
	}

	string(): string {
		const token = this.next();
		if (token.kind !== "string") throw unexpected(token.text);
		return token.text;
	}

	/** What stands in parentheses, which come next. */
	group(): Token[] {
		this.expect("(");
		const inner: Token[] = [];
		for (let depth = 1; ; ) {
			const token = this.next();
			if (token.kind === "symbol" && token.text === "(") depth++;
			if (token.kind === "symbol" && token.text === ")" && --depth === 0) return inner;
			inner.push(token);
		}
	}

	rest(): Token[] {
		const rest = this.#tokens.slice(this.#at);
		this.#at = this.#tokens.length;
		return [...rest];
	}

	/** Tokens up to one of the words at the same depth. */
	upTo(...words: string[]): Token[] {
		const taken: Token[] = [];
		for (let depth = 0; !this.done; ) {
			const token = this.peek()!;
			if (depth === 0 && token.kind === "word" && words.includes(token.text)) break;
			if (token.kind === "symbol" && token.text === "(") depth++;
			if (token.kind === "symbol" && token.text === ")") depth--;
			taken.push(this.next());
		}
		return taken;
	}
}

/** A list at commas of depth 0. */
export function splitList(tokens: readonly Token[]): Token[][] {
	const items: Token[][] = [[]];
	let depth = 0;
	for (const token of tokens) {
		if (token.kind === "symbol" && token.text === "(") depth++;
		if (token.kind === "symbol" && token.text === ")") depth--;
		if (depth === 0 && token.kind === "symbol" && token.text === ",") items.push([]);
		else items.at(-1)!.push(token);
	}
	return items.filter((item) => item.length > 0);
}

export function unexpected(text: string): Refused {
	return new Refused("001003", "42000", `SQL compilation error:\nsyntax error line 1 unexpected '${text}'.`);
}
