import { styleText } from "node:util";

export type Style = "bold" | "dim" | "red" | "green" | "yellow" | "cyan";
export type Paint = (style: Style | readonly Style[], text: string) => string;

/** Where text goes, as far as drawing needs to know; process.stdout and process.stderr are such. */
export interface Terminal {
	write(text: string): unknown;
	readonly isTTY?: boolean;
	readonly columns?: number;
	readonly rows?: number;
}

/** Colours text for this stream, or leaves it plain: NO_COLOR, FORCE_COLOR, and no terminal are obeyed. */
export function painter(stream: Terminal, env: NodeJS.ProcessEnv = process.env): Paint {
	if (!wantsColour(stream, env)) return (_style, text) => text;
	return (style, text) => styleText(style as Style, text, { validateStream: false });
}

/** https://no-color.org: any value but an empty one switches colour off. */
export function wantsColour(stream: Terminal, env: NodeJS.ProcessEnv): boolean {
	if (env["NO_COLOR"] !== undefined && env["NO_COLOR"] !== "") return false;
	if (env["FORCE_COLOR"] !== undefined && env["FORCE_COLOR"] !== "") return env["FORCE_COLOR"] !== "0";
	return stream.isTTY === true && env["TERM"] !== "dumb";
}

/** Names of tables come from outside: control characters in them must not steer the terminal. */
export function printable(text: string): string {
	return text.replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, (char) => {
		const code = char.codePointAt(0)!;
		return code < 256 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16)}`;
	});
}

/** Like `printable`, but lines stay lines and tabs tabs. */
export function printableLines(text: string): string {
	return text
		.split("\n")
		.map((line) => line.split("\t").map(printable).join("\t"))
		.join("\n");
}

const WIDE =
	/[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;

/** Columns that a text takes on a terminal; its colours take none. */
export function displayWidth(text: string): number {
	let width = 0;
	for (const char of withoutStyle(text)) if (!/\p{M}/u.test(char)) width += WIDE.test(char) ? 2 : 1;
	return width;
}

/** What `painter` writes: SGR sequences, ECMA-48 8.3.117. */
export const STYLE: RegExp = new RegExp(`${String.fromCharCode(27)}\\[[\\d;]*m`, "g");

function withoutStyle(text: string): string {
	// Only what `painter` writes: other control characters were made printable before.
	return text.replace(STYLE, "");
}

export function padEnd(text: string, width: number): string {
	return text + " ".repeat(Math.max(0, width - displayWidth(text)));
}

export function padStart(text: string, width: number): string {
	return " ".repeat(Math.max(0, width - displayWidth(text))) + text;
}

/** Cuts a plain text to so many columns, marking the cut. */
export function cut(text: string, width: number): string {
	if (displayWidth(text) <= width) return text;
	let kept = "";
	let used = 0;
	for (const char of text) {
		const next = displayWidth(char);
		if (used + next > width - 1) break;
		kept += char;
		used += next;
	}
	return width <= 0 ? "" : `${kept}…`;
}
