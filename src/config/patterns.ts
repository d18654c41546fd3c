import { HeadraceError } from "../core/errors.ts";
import type { TableName } from "../core/table.ts";

interface PatternPart {
	readonly text: string;
	/** A quoted part has no wildcards. */
	readonly quoted: boolean;
}

/** A table name or pattern of a pipeline file: `prod.orders`, `prod.*`, `orders`, `"a.b".c`. */
export interface TablePattern {
	readonly source: string;
	/** Absent when the pattern has one part: it then stands for any schema. */
	readonly schema?: PatternPart;
	readonly name: PatternPart;
	/** No wildcard in any part. */
	readonly exact: boolean;
}

/** Splits at dots outside double quotes; `""` in quotes is a quote. Undefined when a quote is not closed or misplaced. */
export function splitDotted(text: string): PatternPart[] | undefined {
	const parts: PatternPart[] = [];
	let at = 0;
	for (;;) {
		if (text[at] === '"') {
			const quoted = /"((?:[^"]|"")*)"(?=\.|$)/y;
			quoted.lastIndex = at;
			const match = quoted.exec(text);
			if (!match) return undefined;
			parts.push({ text: match[1]!.replaceAll('""', '"'), quoted: true });
			at = quoted.lastIndex;
		} else {
			const dot = text.indexOf(".", at);
			const end = dot < 0 ? text.length : dot;
			const part = text.slice(at, end);
			if (part.includes('"')) return undefined;
			parts.push({ text: part, quoted: false });
			at = end;
		}
		if (at >= text.length) return parts;
		at++;
		if (at === text.length) return [...parts, { text: "", quoted: false }];
	}
}

/**
 * Reads a table name or pattern. `*` stands for any characters of one part, `?` for one.
 * @throws E_INVALID_VALUE
 */
export function parsePattern(text: string): TablePattern {
	const invalid = (why: string) =>
		new HeadraceError("E_INVALID_VALUE", `${JSON.stringify(text.slice(0, 200))} is not a table name: ${why}`);
	if (text.includes("\0")) throw invalid("it has a NUL character");
	const parts = splitDotted(text);
	if (parts === undefined) throw invalid('a quoted part is written "…", with "" for a quote in it');
	if (parts.length > 2)
		throw invalid('it has more than schema and name; put quotes around a part with a dot: prod."a.b"');
	if (parts.some((part) => part.text === "")) throw invalid("a part of it is empty");
	const name = parts.at(-1)!;
	const schema = parts.length === 2 ? parts[0]! : undefined;
	const exact = !hasWildcard(name) && (schema === undefined || !hasWildcard(schema));
	return { source: text, name, exact, ...(schema && { schema }) };
}

function hasWildcard(part: PatternPart): boolean {
	return !part.quoted && /[*?]/.test(part.text);
}

/** Whether the pattern stands for the table. */
export function matchesPattern(pattern: TablePattern, table: TableName): boolean {
	return (
		matchesPart(pattern.name, table.name) && (pattern.schema === undefined || matchesPart(pattern.schema, table.schema))
	);
}

function matchesPart(part: PatternPart, text: string): boolean {
	return hasWildcard(part) ? matchesGlob(part.text, text) : part.text === text;
}

/** `*` any characters, `?` one; never more than pattern × text steps, whatever the pattern. */
export function matchesGlob(pattern: string, text: string): boolean {
	const wanted = [...pattern];
	const given = [...text];
	let p = 0;
	let t = 0;
	let star = -1;
	let retry = 0;
	while (t < given.length) {
		if (p < wanted.length && wanted[p] === "*") {
			star = p++;
			retry = t;
		} else if (p < wanted.length && (wanted[p] === "?" || wanted[p] === given[t])) {
			p++;
			t++;
		} else if (star >= 0) {
			p = star + 1;
			t = ++retry;
		} else return false;
	}
	while (wanted[p] === "*") p++;
	return p === wanted.length;
}

/** A name as it is written in a pipeline file and after `--table`: quoted where it has dots, commas, wildcards or quotes. */
export function patternOf(table: TableName): string {
	const part = (text: string) => (/^[^".,*?\s]+$/.test(text) ? text : `"${text.replaceAll('"', '""')}"`);
	return table.schema === "" ? part(table.name) : `${part(table.schema)}.${part(table.name)}`;
}
