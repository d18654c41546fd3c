/** A word of a statement: an identifier without its quotes, a string, or one character of punctuation. */
export interface SqlWord {
	readonly kind: "word" | "name" | "string" | "mark";
	/** Words in upper case; names and strings as they are. */
	readonly text: string;
	/** A word as it was written. */
	readonly written: string;
}

const BACKTICK = "`";
/** Statements are as long as max_allowed_packet; what tells their kind stands in front. */
export const WORDS_MAX = 20_000;

/**
 * Cuts a statement into words, with comments left out; what stands in `/*!50000 … *\/` and `/*M! … *\/` counts, since
 * the server runs it. Enough to tell what a statement does, not to understand it.
 * https://dev.mysql.com/doc/refman/8.4/en/comments.html
 */
export function sqlWords(sql: string, ansiQuotes: boolean): SqlWord[] {
	const words: SqlWord[] = [];
	let at = 0;
	const push = (kind: SqlWord["kind"], written: string) =>
		words.push({ kind, written, text: kind === "word" ? written.toUpperCase() : written });
	while (at < sql.length && words.length < WORDS_MAX) {
		const rest = sql.slice(at, at + 8);
		const character = sql[at]!;
		const executed = /^\/\*M?!(\d{5,6})?/.exec(rest);
		if (/\s/.test(character)) at++;
		else if (executed !== null) at += executed[0].length;
		else if (rest.startsWith("*/")) at += 2;
		else if (rest.startsWith("/*")) at = after(sql, "*/", at + 2);
		else if (character === "#" || /^--(?:\s|$)/.test(rest)) at = after(sql, "\n", at);
		else if (character === BACKTICK || (character === '"' && ansiQuotes)) {
			const { text, next } = quotedAt(sql, at, character, false);
			push("name", text);
			at = next;
		} else if (character === "'" || character === '"') {
			const { text, next } = quotedAt(sql, at, character, true);
			push("string", text);
			at = next;
		} else {
			const word = wordAt(sql, at);
			if (word === "") push("mark", character);
			else push("word", word);
			at += word === "" ? 1 : word.length;
		}
	}
	return words;
}

const WORD = /[\p{L}\p{N}_$@\u0080-\uffff]+/uy;

function wordAt(sql: string, at: number): string {
	WORD.lastIndex = at;
	return WORD.exec(sql)?.[0] ?? "";
}

function after(sql: string, mark: string, from: number): number {
	const found = sql.indexOf(mark, from);
	return found < 0 ? sql.length : found + mark.length;
}

/** A doubled quote stands for one; a backslash escapes in strings. */
function quotedAt(sql: string, start: number, quote: string, escapes: boolean): { text: string; next: number } {
	let text = "";
	let at = start + 1;
	while (at < sql.length) {
		const character = sql[at]!;
		if (escapes && character === "\\") {
			text += sql[at + 1] ?? "";
			at += 2;
		} else if (character !== quote) {
			text += character;
			at++;
		} else if (sql[at + 1] === quote) {
			text += quote;
			at += 2;
		} else return { text, next: at + 1 };
	}
	return { text, next: sql.length };
}
