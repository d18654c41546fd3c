export type SqlValue = string | number | null;

/** A row as a driver gives it: SQLite's numbers are numbers, PostgreSQL's are text. */
export type Row = Readonly<Record<string, SqlValue>>;

/** One statement in SQL that SQLite and PostgreSQL understand alike; its values are `$1`, `$2`, … */
export interface Statement {
	readonly text: string;
	readonly values: readonly SqlValue[];
	/** Whether it gives rows; else only how many it changed. */
	readonly gives: "rows" | "count";
}

export interface Answer {
	readonly rows: readonly Row[];
	readonly changed: number;
}

/**
 * What is done in a state database: each statement is yielded to whoever runs it. SQLite runs all of them in one turn,
 * so that nothing else of the process comes in between, PostgreSQL waits for its server.
 */
export type Work<Result> = Generator<Statement, Result, Answer>;

/** Every row of a statement. */
export function* all(text: string, ...values: SqlValue[]): Work<readonly Row[]> {
	return (yield { text, values, gives: "rows" }).rows;
}

/** Its first row; null when it gives none. */
export function* first(text: string, ...values: SqlValue[]): Work<Row | null> {
	return (yield { text, values, gives: "rows" }).rows[0] ?? null;
}

/** How many rows it changed. */
export function* run(text: string, ...values: SqlValue[]): Work<number> {
	return (yield { text, values, gives: "count" }).changed;
}

/** Rows inserted by one statement: well below the values that either database takes at once. */
const INSERTED_AT_ONCE = 200;

/** Inserts rows; `more` comes behind the values: `ON CONFLICT …`. */
export function* insert(
	table: string,
	columns: readonly string[],
	rows: readonly (readonly SqlValue[])[],
	more = "",
): Work<void> {
	for (let begin = 0; begin < rows.length; begin += INSERTED_AT_ONCE) {
		const part = rows.slice(begin, begin + INSERTED_AT_ONCE);
		const places = part.map(
			(_row, index) => `(${columns.map((_column, at) => `$${index * columns.length + at + 1}`).join(", ")})`,
		);
		yield* run(
			`INSERT INTO ${table} (${columns.join(", ")}) VALUES ${places.join(", ")} ${more}`.trimEnd(),
			...part.flat(),
		);
	}
}

/** `$1, $2, $3` for so many values. */
export function places(count: number, from = 1): string {
	return Array.from({ length: count }, (_, index) => `$${from + index}`).join(", ");
}

/** A text as both databases can keep it and look into it: without NUL, and without halves of characters. */
export function storable(value: SqlValue): SqlValue {
	return typeof value === "string" ? value.toWellFormed().replaceAll("\0", "\ufffd") : value;
}

/** JSON that both databases can look into; see `storable`. */
export function jsonText(value: unknown): string {
	// An escape is either of the two or stands for itself; whole characters beyond U+FFFF are never escaped.
	return JSON.stringify(value).replace(/\\(?:u(0000|d[89a-f][0-9a-f]{2})|.)/g, (whole, code) =>
		code === undefined ? whole : "\\ufffd",
	);
}

export function textOf(row: Row, column: string): string {
	return String(row[column]);
}

export function textOrNull(row: Row, column: string): string | null {
	const value = row[column] ?? null;
	return value === null ? null : String(value);
}

export function numberOf(row: Row, column: string): number {
	return Number(row[column]);
}

export function numberOrNull(row: Row, column: string): number | null {
	const value = row[column] ?? null;
	return value === null ? null : Number(value);
}
