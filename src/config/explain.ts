import { relative } from "node:path";
import { ERRORS, type HeadraceError } from "../core/errors.ts";
import { sortByPlace } from "./positions.ts";

/** Marks text for a terminal; each role gets the plain text back when there is no colour. */
export type Paint = (role: "place" | "code" | "caret" | "dim" | "hint", text: string) => string;

export interface ExplainOptions {
	/** The text of a file that an error is in; undefined when it can't be read. */
	readonly textOf: (file: string) => string | undefined;
	/** Files are shown relative to this folder when they are inside it. */
	readonly directory?: string;
	readonly paint?: Paint;
	/** Last line; default `2 errors. Nothing ran.` */
	readonly summary?: string;
}

/** Errors for people: place, code and message, the line with a caret, what to do, and how many there were. */
export function explainErrors(errors: readonly HeadraceError[], options: ExplainOptions): string {
	const blocks = sortByPlace(errors).map((error) => explainError(error, options));
	const count = errors.length === 1 ? "1 error" : `${errors.length} errors`;
	return `${blocks.join("\n")}\n${options.summary ?? `${count}. Nothing ran.`}\n`;
}

/** One error, without a line break at its end. */
export function explainError(error: HeadraceError, options: ExplainOptions): string {
	const paint: Paint = options.paint ?? ((_, text) => text);
	const { file, line, column } = error.place;
	const lines: string[] = [];
	const shown = file === undefined ? undefined : shownFile(file, options.directory);
	const place = [shown, line, line === undefined ? undefined : column].filter((part) => part !== undefined).join(":");
	lines.push(
		[place && paint("place", place), paint("code", error.code), printable(error.message)].filter(Boolean).join("  "),
	);
	const text = file === undefined || line === undefined ? undefined : options.textOf(file);
	if (text !== undefined) lines.push(...excerpt(text, line!, column ?? 1, paint));
	if (error.hint !== ERRORS[error.code].remedy || text === undefined)
		lines.push(paint("hint", `     ${printable(error.hint)}`));
	return lines.join("\n");
}

function shownFile(file: string, directory: string | undefined): string {
	if (directory === undefined) return file;
	const inside = relative(directory, file);
	return inside.startsWith("..") || inside === "" ? file : inside;
}

/** The line before, the line, and a caret under the word that is meant. */
function excerpt(text: string, line: number, column: number, paint: Paint): string[] {
	const rows = text.split(/\r\n|\r|\n/);
	const row = rows[line - 1];
	if (row === undefined) return [];
	const width = Math.max(4, String(line).length + 1);
	const numbered = (number: number) =>
		`${paint("dim", `${String(number).padStart(width)} |`)} ${printable(cut(redactLine(rows[number - 1]!)))}`;
	const lines = line > 1 && rows[line - 2]!.trim() !== "" ? [numbered(line - 1)] : [];
	lines.push(numbered(line));
	const shown = redactLine(row);
	// A secret before the word is shown as ***: the caret moves with the word.
	const start = row.slice(0, column - 1);
	const before = shown === row ? start : redactLine(start);
	if (before.length < Math.min(shown.length + 1, LINE_LENGTH_MAX)) {
		const word = wordAt(shown, before.length);
		const caret = "^".repeat(Math.max(1, Math.min(word, LINE_LENGTH_MAX - before.length)));
		const gap = [...before].map((character) => (isWide(character) ? "  " : " ")).join("");
		lines.push(`${paint("dim", `${" ".repeat(width)} |`)} ${gap}${paint("caret", caret)}`);
	}
	return lines;
}

const LINE_LENGTH_MAX = 160;

function cut(row: string): string {
	return row.length > LINE_LENGTH_MAX ? `${row.slice(0, LINE_LENGTH_MAX - 1)}…` : row;
}

/** Length of the quoted text or word at an offset. */
function wordAt(row: string, offset: number): number {
	const word = /\$\{[^{}]*\}|"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|\{\{[^}]*\}\}|[^\s:,[\]{}#]+(?:\{\w*\}[^\s:,[\]{}#]*)*/y;
	word.lastIndex = offset;
	return [...(word.exec(row)?.[0] ?? " ")].length;
}

/** East Asian characters and emoji take two places. */
function isWide(character: string): boolean {
	return /[\u1100-\u115F\u2E80-\uA4CF\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE6F\uFF00-\uFF60]|\p{Extended_Pictographic}/u.test(
		character,
	);
}

/** Tabs as one blank, so that the caret stays under its word; control characters can't move a terminal's cursor. */
function printable(text: string): string {
	return text.replaceAll("\t", " ").replace(/(?!\n)\p{Cc}|[\u200E\u200F\u202A-\u202E\u2066-\u2069]/gu, "?");
}

/** A line of a file without the secrets that someone wrote into it; references stay, they are no secret. */
export function redactLine(row: string): string {
	return (
		row
			.replace(/[A-Za-z0-9+/]{40,}={0,2}/g, "***")
			// Whoever knows the path of a webhook can post there.
			.replace(/(\burl["']?\s*:\s*["']?https?:\/\/[^\s/"',}]+\/)(?!\$\{)[^\s"',}]+/gi, "$1***")
			.replace(/(:\/\/[^\s:/@"']*:)((?:(?!\$\{)[^\s"'])*)(@)/g, "$1***$3")
			.replace(
				/((?:password|passwd|pass|pwd|secret|private_key|access_key|access_key_id|secret_access_key|token)["']?\s*[:=]\s*)(?!["']?\$\{)("(?:[^"\\]|\\.)*"?|'(?:[^']|'')*'?|[^\s,}&{[][^,}&]*)/gi,
				"$1***",
			)
	);
}
