import { displayWidth, STYLE, type Terminal } from "./terminal.ts";

/** Lines at the bottom of a terminal that are drawn anew in place. */
export class LiveBlock {
	readonly #terminal: Terminal;
	#widths: number[] = [];
	#text = "";

	constructor(terminal: Terminal) {
		this.#terminal = terminal;
	}

	/** Replaces what is there; nothing is written when nothing changed. */
	draw(lines: readonly string[]): void {
		const width = this.#columns;
		const shown = lines.map((line) => cutStyled(line, width - 1));
		const text = shown.map((line) => `${line}\n`).join("");
		if (text === this.#text) return;
		this.#terminal.write(this.#erase() + text);
		this.#text = text;
		this.#widths = shown.map(displayWidth);
	}

	clear(): void {
		const erase = this.#erase();
		if (erase !== "") this.#terminal.write(erase);
		this.#text = "";
		this.#widths = [];
	}

	get #columns(): number {
		return Math.max(20, this.#terminal.columns ?? 80);
	}

	#erase(): string {
		// A terminal that was made narrower since has wrapped the lines: each then takes several of its rows.
		const rows = this.#widths.reduce((sum, width) => sum + Math.max(1, Math.ceil(width / this.#columns)), 0);
		return rows === 0 ? "" : `\u001b[${rows}A\r\u001b[0J`;
	}
}

/** Cuts a line that may hold colours: they take no room, and what they began is ended. */
function cutStyled(line: string, width: number): string {
	if (displayWidth(line) <= width) return line;
	let kept = "";
	let used = 0;
	let styled = false;
	for (const part of line.split(new RegExp(`(${STYLE.source})`))) {
		if (part.startsWith("\u001b[")) {
			kept += part;
			styled = true;
			continue;
		}
		for (const char of part) {
			const next = displayWidth(char);
			if (used + next > width - 1) return `${kept}…${styled ? "\u001b[0m" : ""}`;
			kept += char;
			used += next;
		}
	}
	return kept;
}
