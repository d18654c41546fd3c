import { readFileSync, statSync } from "node:fs";
import { resolve as resolvePath } from "node:path";
import { type ErrorPlace, HeadraceError } from "../core/errors.ts";
import type { ConnectionType } from "./pipeline.ts";
import { nearest } from "./suggest.ts";

export type Env = Readonly<Record<string, string | undefined>>;

/** Where `${env:…}` and `${file:…}` get their values. */
export interface ReferenceScope {
	readonly env: Env;
	/** Relative file paths start here. */
	readonly directory: string;
	/** Types of connections that stand-ins take the place of: how they are reached is not resolved, nor any secret read. */
	readonly standIns?: ReadonlySet<ConnectionType>;
}

export interface Reference {
	readonly kind: "env" | "file";
	readonly name: string;
	/** As written: `${env:X}`. */
	readonly text: string;
}

const FILE_BYTES_MAX = 1_000_000;
const FORM = "references are ${env:NAME} and ${file:path}";

/**
 * Splits text into what stands for itself and references. `$${` is a literal `${`; `${` that is not closed is literal.
 * @throws E_INVALID_VALUE for `${X}`, an unknown kind or a default
 */
export function splitReferences(text: string, place: ErrorPlace = {}): (string | Reference)[] {
	const parts: (string | Reference)[] = [];
	let literal = "";
	let at = 0;
	for (const match of text.matchAll(/\$\$\{|\$\{([^{}\n]*)\}/g)) {
		literal += text.slice(at, match.index);
		at = match.index + match[0].length;
		if (match[0] === "$${") literal += "${";
		else {
			if (literal !== "") parts.push(literal);
			literal = "";
			parts.push(referenceOf(match[0], match[1]!.trim(), place));
		}
	}
	literal += text.slice(at);
	if (literal !== "" || parts.length === 0) parts.push(literal);
	return parts;
}

function referenceOf(text: string, inner: string, place: ErrorPlace): Reference {
	const [, kind, name] = /^(env|file):\s*(.+)$/s.exec(inner) ?? [];
	if (kind === "file" && !name!.includes("\0")) return { kind, name: name!, text };
	if (kind === "env" && /^[A-Za-z_][A-Za-z0-9_]*$/.test(name!)) return { kind, name: name!, text };
	const word = /^(?:env[:.])?\s*([A-Za-z_][A-Za-z0-9_]*)/.exec(inner)?.[1];
	const meant = word === undefined || word === "file" || word === "env" ? "" : `; did you mean \${env:${word}}?`;
	throw new HeadraceError("E_INVALID_VALUE", `${text.slice(0, 80)} is not a reference: ${FORM}${meant}`, {
		...place,
		hint: "References have no default value. Write $${ for a literal ${.",
	});
}

/**
 * The value of a reference, never empty.
 * @throws E_MISSING_VARIABLE that names it
 */
export function referenceValue(reference: Reference, scope: ReferenceScope, place: ErrorPlace = {}): string {
	const missing = (why: string, hint: string, cause?: unknown) =>
		new HeadraceError("E_MISSING_VARIABLE", why, { ...place, hint, cause });
	if (reference.kind === "env") {
		const value: unknown = scope.env[reference.name];
		if (typeof value === "string" && value !== "") return value;
		const state = value === "" ? "is empty" : "is not set";
		const near = value === "" ? undefined : nearest(reference.name, Object.keys(scope.env));
		const meant = near === undefined ? "" : `; did you mean \${env:${near}}?`;
		throw missing(
			`the environment variable ${reference.name} ${state}${meant}`,
			`Set it before the command: \`export ${reference.name}\`, or \`set -a; . ./.env; set +a\` where a file .env has it.`,
		);
	}
	const path = resolvePath(scope.directory, reference.name);
	const hint = `Write the value into ${path}.`;
	let text: string;
	try {
		const stat = statSync(path);
		if (!stat.isFile()) throw missing(`${reference.text} is not a regular file`, hint);
		if (stat.size > FILE_BYTES_MAX) throw missing(`the file of ${reference.text} is larger than 1 MB`, hint);
		text = readFileSync(path, "utf8").replace(/[\r\n]+$/, "");
	} catch (error) {
		if (error instanceof HeadraceError) throw error;
		const code = (error as NodeJS.ErrnoException).code;
		const why = code === "ENOENT" || code === "ENOTDIR" ? "does not exist" : `can't be read (${code})`;
		throw missing(`the file of ${reference.text} ${why}`, hint, error);
	}
	if (text === "") throw missing(`the file of ${reference.text} is empty`, hint);
	return text;
}

export interface ResolvedText {
	readonly text: string;
	/** The references in it, `${env:A}, ${env:B}`; absent when there are none. */
	readonly origin?: string;
}

/** The file's place of a line and column (1-based) inside a text; see Positions.within. */
export type PlaceWithin = (line: number, column: number) => ErrorPlace;

/** Where a reference is written in a text. */
export function placeOfReference(text: string, reference: Reference, placeWithin: PlaceWithin): ErrorPlace {
	const before = text.slice(0, Math.max(0, text.indexOf(reference.text))).split("\n");
	return placeWithin(before.length, before.at(-1)!.length + 1);
}

/**
 * Text with its references replaced.
 * @throws E_MISSING_VARIABLE, E_INVALID_VALUE
 */
export function resolveText(
	text: string,
	scope: ReferenceScope,
	place: ErrorPlace = {},
	placeWithin: PlaceWithin = () => place,
): ResolvedText {
	if (!text.includes("${")) return { text };
	const origins: string[] = [];
	const resolved = splitReferences(text, place).map((part) => {
		if (typeof part === "string") return part;
		origins.push(part.text);
		return referenceValue(part, scope, placeOfReference(text, part, placeWithin));
	});
	return { text: resolved.join(""), ...(origins.length > 0 && { origin: origins.join(", ") }) };
}
