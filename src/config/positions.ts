import type { ErrorPlace, HeadraceError } from "../core/errors.ts";

export type Path = readonly (string | number)[];

/** Where the parts of a checked value are written. Paths lead from the root of the file. */
export interface Positions {
	/** The root's file, without line and column. */
	readonly file: ErrorPlace;
	key(path: Path): ErrorPlace;
	value(path: Path): ErrorPlace;
	/** The scalar as it is written, before numbers and references are read; undefined for maps and lists. */
	source(path: Path): string | undefined;
	/** The file's place of a line and column (1-based) inside a text value; the value's own place when it can't be told. */
	within(path: Path, line: number, column: number): ErrorPlace;
}

/** For values that were not read from a file. */
export const NO_POSITIONS: Positions = {
	file: {},
	key: () => ({}),
	value: () => ({}),
	source: () => undefined,
	within: () => ({}),
};

/** `tables."shop.orders".cursor`, `checks[0].rows`. */
export function pathText(path: Path): string {
	return path
		.map((part, index) => {
			if (typeof part === "number") return `[${part}]`;
			const text = /^[\p{L}_][\p{L}\p{N}_-]*$/u.test(part) ? part : JSON.stringify(part.slice(0, 120));
			return index === 0 ? text : `.${text}`;
		})
		.join("");
}

/** By file, line and column; faults without a place come last. */
export function sortByPlace(errors: readonly HeadraceError[]): HeadraceError[] {
	const last = Number.MAX_SAFE_INTEGER;
	const files = [...new Set(errors.map((error) => error.place.file))].sort();
	return [...errors].sort(
		(a, b) =>
			// sort() puts undefined last.
			files.indexOf(a.place.file) - files.indexOf(b.place.file) ||
			(a.place.line ?? last) - (b.place.line ?? last) ||
			(a.place.column ?? last) - (b.place.column ?? last),
	);
}
