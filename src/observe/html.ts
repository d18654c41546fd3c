import { printable } from "./terminal.ts";

/** Text of a page that may be printed as it is: whatever was put into it has been escaped. */
export class Markup {
	readonly text: string;
	constructor(text: string) {
		this.text = text;
	}
}

export type MarkupPart = string | number | null | Markup | readonly MarkupPart[];

/**
 * A piece of HTML. What stands between its parts is escaped, for text and for attributes in double quotes, which are the
 * only places where it may stand; null is nothing.
 */
export function html(parts: TemplateStringsArray, ...values: readonly MarkupPart[]): Markup {
	return new Markup(parts.map((part, index) => part + (index < values.length ? textOf(values[index]!) : "")).join(""));
}

function textOf(part: MarkupPart): string {
	if (part === null) return "";
	if (part instanceof Markup) return part.text;
	return typeof part === "object" ? part.map(textOf).join("") : escaped(String(part));
}

const ENTITIES: Readonly<Record<string, string>> = {
	"&": "&amp;",
	"<": "&lt;",
	">": "&gt;",
	'"': "&quot;",
	"'": "&#39;",
};

/** Names come from outside: neither markup nor characters that turn the direction of a line may pass. */
function escaped(text: string): string {
	return text
		.split("\n")
		.map((line) => printable(line).replace(/[&<>"']/g, (char) => ENTITIES[char]!))
		.join("\n");
}
