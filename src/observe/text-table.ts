import { displayWidth, padEnd, padStart } from "./terminal.ts";

export interface TextColumn {
	readonly title: string;
	readonly align?: "left" | "right";
}

/**
 * Rows as columns of equal width, two blanks between, under a line of titles; cells may be coloured already.
 * Trailing blanks are cut, so that the text can be compared and copied.
 */
export function textTable(
	columns: readonly TextColumn[],
	rows: readonly (readonly string[])[],
	options: { readonly indent?: number; readonly titles?: boolean } = {},
): string[] {
	const titles = columns.map((column) => column.title);
	const lines = options.titles === false ? [...rows] : [titles, ...rows];
	const widths = columns.map((_column, i) =>
		lines.reduce((width, cells) => Math.max(width, displayWidth(cells[i] ?? "")), 0),
	);
	const indent = " ".repeat(options.indent ?? 0);
	return lines.map((cells) => {
		const padded = columns.map((column, i) =>
			(column.align === "right" ? padStart : padEnd)(cells[i] ?? "", widths[i]!),
		);
		return (indent + padded.filter((_cell, i) => widths[i]! > 0).join("  ")).trimEnd();
	});
}
