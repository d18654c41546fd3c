import type { ServerName } from "../support/server.ts";

export const TYPE_MODES = ["exact", "lenient", "string"] as const;
export type TypeMode = (typeof TYPE_MODES)[number];

/** What the plan must say of a column whose values change, and how many of them the receipt must count. */
export interface Loss {
	readonly note: RegExp;
	/** Absent: the plan names the change and says that it alters single values only, by `exact` and a note. */
	readonly fidelity?: "lossy";
	/** `rounded`: as many as have other digits when they are read back from a double. */
	readonly changed: number | "rounded";
}

/** A column of the one wide table that each server copies: a type of the source and its awkward values. */
export interface TypeCase {
	/** As DDL has it; the column's name too, unless `name` says otherwise. */
	readonly type: string;
	readonly name?: string;
	/** SQL of the values; the rows behind the last are NULL. */
	readonly values: readonly string[];
	/** Canonical types; in mode string it is always text. */
	readonly exact: string;
	readonly lenient: string;
	/** The type that the pipeline gives the column, in every mode. */
	readonly fixed?: string;
	/** SQL of the server's own text of `c` where the usual one of the type that arrives is not it. */
	readonly sql?: Partial<Readonly<Record<TypeMode, string>>>;
	readonly loss?: Partial<Readonly<Record<TypeMode, Loss>>>;
	/** Only here; default: on each server of the kind. */
	readonly only?: ServerName;
}

export function nameOf(typeCase: TypeCase): string {
	return typeCase.name ?? typeCase.type;
}

export function arrivesAs(typeCase: TypeCase, mode: TypeMode): string {
	return mode === "string" ? "text" : typeCase[mode];
}

/**
 * SQL of DuckDB that prints a column of a canonical type so that a source can print the same: days and microseconds
 * since 1970 for dates and times, months, days and microseconds for intervals, hex for bytes. Nothing of ours takes part.
 */
export function arrivedSql(type: string, c: string): string {
	const finite = (sql: string) =>
		`CASE WHEN isfinite(${c}) THEN CAST(${sql} AS VARCHAR) ELSE CAST(${c} AS VARCHAR) END`;
	// DuckDB prints a decimal of scale = precision without the zero before its point.
	if (/^decimal\(\d+,\d+\)$/.test(type)) return `regexp_replace(CAST(${c} AS VARCHAR), '^(-?)\\.', '\\10.')`;
	if (type === "date") return finite(`${c} - DATE '1970-01-01'`);
	if (type === "timestamp" || type === "timestamptz") return finite(`epoch_us(${c})`);
	if (type === "binary") return `lower(hex(${c}))`;
	if (type === "binary[]") return `CAST(to_json(list_transform(${c}, lambda v: lower(hex(v)))) AS VARCHAR)`;
	if (type === "timestamptz[]" || type === "timestamp[]")
		return `CAST(to_json(list_transform(${c}, lambda v: CAST(epoch_us(v) AS VARCHAR))) AS VARCHAR)`;
	if (type.endsWith("[]")) return `CAST(to_json(CAST(${c} AS VARCHAR[])) AS VARCHAR)`;
	if (type !== "interval") return `CAST(${c} AS VARCHAR)`;
	const months = `datepart('year', ${c}) * 12 + datepart('month', ${c})`;
	const micros = `datepart('hour', ${c}) * 3600000000 + datepart('minute', ${c}) * 60000000 + datepart('microsecond', ${c})`;
	return `CAST(${months} AS VARCHAR) || ' ' || datepart('day', ${c}) || ' ' || (${micros})`;
}

/** Floats are compared as numbers, of the type's width: servers write the same number in different digits. */
export function comparable(type: string, text: string | null): string | null {
	if (text === null) return null;
	const number = (digits: string, single: boolean): string => {
		const value = /^-?(inf|nan)/i.test(digits)
			? { i: Number.POSITIVE_INFINITY, "-": Number.NEGATIVE_INFINITY, n: Number.NaN }[digits[0]!.toLowerCase()]!
			: Number(digits);
		const rounded = single ? Math.fround(value) : value;
		return Object.is(rounded, -0) ? "-0" : String(rounded);
	};
	if (type === "float32" || type === "float64") return number(text, type === "float32");
	if (type === "float32[]" || type === "float64[]")
		return JSON.stringify(
			(JSON.parse(text) as (string | null)[]).map((each) => each && number(each, type === "float32[]")),
		);
	return text;
}
