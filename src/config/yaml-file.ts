import {
	type Document,
	isAlias,
	isMap,
	isPair,
	isScalar,
	isSeq,
	LineCounter,
	type Node,
	type Pair,
	parseDocument,
	type Scalar,
	type YAMLError,
	type YAMLMap,
} from "yaml";
import { type ErrorPlace, HeadraceError, HeadraceErrors } from "../core/errors.ts";
import type { Path, Positions } from "./positions.ts";

export const YAML_BYTES_MAX = 1_000_000;
/** Brackets that may be open at once; more would only exhaust the stack. */
const DEPTH_MAX = 200;
/** Values a file may have, those that aliases repeat included. */
const VALUES_MAX = 50_000;

export interface YamlFile {
	/** Plain objects, lists and scalars; references are not resolved yet. */
	readonly value: unknown;
	readonly positions: Positions;
	/** Faults that leave the rest readable, such as a key that is written twice. */
	readonly faults: readonly HeadraceError[];
}

/**
 * Reads one YAML 1.2 document whose root is a map.
 * @throws HeadraceErrors with E_YAML when the text can't be read at all
 */
export function parseYaml(text: string, file: string): YamlFile {
	const fault = (message: string, place: ErrorPlace = {}) => new HeadraceError("E_YAML", message, { file, ...place });
	if (text.length > YAML_BYTES_MAX) throw new HeadraceErrors([fault("the file is larger than 1 MB")]);
	const lines = new LineCounter();
	const deep = tooDeep(text);
	if (deep !== undefined) throw new HeadraceErrors([fault("brackets are nested too deeply", placeOf(text, deep))]);
	const document = parseDocument(text, {
		version: "1.2",
		uniqueKeys: true,
		prettyErrors: false,
		merge: true,
		lineCounter: lines,
	});
	const place = (offset: number): ErrorPlace => {
		const { line, col } = lines.linePos(offset);
		return { file, line: Math.max(line, 1), column: Math.max(col, 1) };
	};
	const seen = new Set<number | undefined>();
	const syntax = [...document.errors, ...document.warnings]
		.map((error) => ({ error, fault: fault(messageOf(error, text), place(error.pos[0])) }))
		// One mistake often makes several errors on its line; the first says most.
		.filter(({ fault: { place: at } }) => !seen.has(at.line) && seen.add(at.line));
	const fatal = syntax.filter(({ error }) => error.code !== "DUPLICATE_KEY").map((each) => each.fault);
	if (syntax.some(({ error }) => error.code === "RESOURCE_EXHAUSTION"))
		throw new HeadraceErrors([fault("the file is nested too deeply", fatal.at(-1)?.place)]);
	if (document.directives?.yaml.version === "1.1")
		fatal.push(fault("Headrace reads YAML 1.2; remove the line %YAML 1.1", { line: 1, column: 1 }));
	if (fatal.length > 0) throw new HeadraceErrors(fatal);
	if (!isMap(document.contents))
		throw new HeadraceErrors([
			fault(document.contents === null ? "the file is empty" : "the file must be a map of keys and values", {
				line: 1,
				column: 1,
			}),
		]);
	const reader = new NodeReader(document, text, place);
	const value = reader.read(document.contents, [], 0);
	return { value, positions: reader.positions(file), faults: [...syntax.map((each) => each.fault), ...reader.faults] };
}

function placeOf(text: string, offset: number): ErrorPlace {
	const before = text.slice(0, offset);
	return { line: before.split("\n").length, column: offset - before.lastIndexOf("\n") };
}

/** Where more brackets are open than a sane file has, quotes and comments aside; undefined when nowhere. */
function tooDeep(text: string): number | undefined {
	let depth = 0;
	for (let at = 0; at < text.length; at++) {
		const character = text[at];
		if (character === "[" || character === "{") depth++;
		else if ((character === "]" || character === "}") && depth > 0) depth--;
		if (depth > DEPTH_MAX) return at;
	}
	return undefined;
}

function messageOf(error: YAMLError, text: string): string {
	const line = text.slice(text.lastIndexOf("\n", error.pos[0] - 1) + 1).split("\n", 1)[0]!;
	switch (error.code) {
		case "TAB_AS_INDENT":
			return "a tab can't indent in YAML; use spaces";
		case "DUPLICATE_KEY":
			return `the key ${JSON.stringify(keyAt(text, error.pos[0]))} is written twice`;
		case "MULTIPLE_DOCS":
			return "the file holds a second YAML document (---); write one a file";
		case "BAD_SCALAR_START":
			return `a value that begins with ${text[error.pos[0]]} needs quotes`;
		case "TAG_RESOLVE_FAILED":
			return "a tag (!…) has no meaning here; remove it";
		case "BLOCK_AS_IMPLICIT_KEY":
			return "a value that contains `: ` needs quotes, or a key is indented wrongly";
	}
	if (/(?:^|[\s{,[])\*(?![\w-]+\s*(?:[,}\]]|$))/.test(line))
		return 'a name that begins with * needs quotes in YAML: "*…"';
	if (/^\s*\t/.test(line)) return "a tab can't indent in YAML; use spaces";
	return error.message;
}

function keyAt(text: string, offset: number): string {
	return (/^"((?:[^"\\\n]|\\.)*)"|^'([^'\n]*)'|^[^:\n]+/.exec(text.slice(offset, offset + 200)) ?? [""])
		.filter((part) => part !== undefined)
		.at(-1)!
		.trim();
}

interface Spot {
	readonly key?: Node;
	readonly value: Node;
}

/** Turns nodes into plain values and remembers where each came from. */
class NodeReader {
	readonly faults: HeadraceError[] = [];
	readonly #spots = new Map<string, Spot>();
	readonly #document: Document;
	readonly #text: string;

	readonly #place: (offset: number) => ErrorPlace;
	#values = 0;

	constructor(document: Document, text: string, place: (offset: number) => ErrorPlace) {
		this.#document = document;
		this.#text = text;

		this.#place = place;
	}

	read(node: unknown, path: Path, depth: number, key?: Node): unknown {
		const target = this.#target(node);
		if (target === undefined) {
			if (isAlias(node)) this.#fault(node, `the alias *${node.source} has no anchor${aliasHint(node.source)}`);
			return null;
		}
		if (++this.#values > VALUES_MAX)
			throw new HeadraceErrors([this.#error(target, "aliases repeat too many values, or the file is too large")]);
		if (depth > DEPTH_MAX) throw new HeadraceErrors([this.#error(target, "values are nested too deeply")]);
		this.#spots.set(JSON.stringify(path), { value: target, ...(key && { key }) });
		if (isMap(target)) {
			const object: Record<string, unknown> = {};
			for (const [name, pair] of this.#pairs(target, depth))
				object[name] = this.read(pair.value, [...path, name], depth + 1, pair.key as Node);
			return object;
		}
		if (isSeq(target)) return target.items.map((item, index) => this.read(item, [...path, index], depth + 1));
		return isScalar(target) ? target.value : null;
	}

	/** Own keys first, then what `<<` merges in. */
	#pairs(map: YAMLMap, depth: number): Map<string, Pair> {
		if (depth > DEPTH_MAX) throw new HeadraceErrors([this.#error(map, "values are nested too deeply")]);
		const pairs = new Map<string, Pair>();
		const merged: Pair[] = [];
		for (const pair of map.items) {
			const name = isPair(pair) ? this.#keyName(pair.key) : undefined;
			if (name === "<<") merged.push(pair);
			else if (name !== undefined && !pairs.has(name)) pairs.set(name, pair);
		}
		for (const pair of merged) {
			const value = this.#target(pair.value);
			for (const source of isSeq(value) ? value.items : [value]) {
				const from = this.#target(source);
				if (!isMap(from)) this.#fault(pair.key as Node, "`<<` merges maps only");
				else for (const [name, each] of this.#pairs(from, depth + 1)) if (!pairs.has(name)) pairs.set(name, each);
			}
		}
		return pairs;
	}

	#keyName(key: unknown): string | undefined {
		const target = this.#target(key);
		if (!isScalar(target) || target.value === null) {
			this.#fault(target, "a key must be plain text");
			return undefined;
		}
		if (typeof target.value === "symbol") return "<<";
		// A key 007 stays 007: the text counts, not the number.
		const name = typeof target.value === "string" ? target.value : (target.source ?? String(target.value));
		if (name === "__proto__") {
			this.#fault(target, "the key __proto__ can't be used");
			return undefined;
		}
		return name;
	}

	#target(node: unknown): Node | undefined {
		if (isAlias(node)) return node.resolve(this.#document);
		return isMap(node) || isSeq(node) || isScalar(node) ? node : undefined;
	}

	#error(node: unknown, message: string): HeadraceError {
		const offset = (node as Node | undefined)?.range?.[0] ?? 0;
		return new HeadraceError("E_YAML", message, this.#place(offset));
	}

	#fault(node: unknown, message: string): void {
		this.faults.push(this.#error(node, message));
	}

	positions(file: string): Positions {
		const spot = (path: Path) => this.#spots.get(JSON.stringify(path));
		const at = (node: Node | undefined): ErrorPlace => (node?.range ? this.#place(node.range[0]) : { file });
		const value = (path: Path): ErrorPlace => {
			for (let length = path.length; length >= 0; length--) {
				const found = spot(path.slice(0, length));
				// A value that is left out has no extent of its own: its key is the place.
				if (found) return at(isEmpty(found.value) ? (found.key ?? found.value) : found.value);
			}
			return { file };
		};
		return {
			file: { file },
			value,
			key: (path) => at(spot(path)?.key ?? spot(path)?.value),
			source: (path) => {
				const node = spot(path)?.value;
				return isScalar(node) ? (node.source ?? undefined) : undefined;
			},
			within: (path, line, column) => {
				const node = spot(path)?.value;
				return (isScalar(node) && this.#within(node, line, column)) || value(path);
			},
		};
	}

	#within(node: Scalar, line: number, column: number): ErrorPlace | undefined {
		const start = this.#place(node.range![0]);
		const raw = this.#text.slice(node.range![0], node.range![1]);
		if (node.type !== "BLOCK_LITERAL") {
			const quoted = node.type !== "PLAIN";
			if (raw.includes("\n") || (quoted && /\\|''/.test(raw))) return undefined;
			return { ...start, column: start.column! + column - 1 + (quoted ? 1 : 0) };
		}
		const rows = raw.split("\n").slice(1);
		const first = rows.findIndex((row) => row.trim() !== "");
		const valueRow = String(node.value).split("\n")[first] ?? "";
		const indent = (rows[first]?.search(/\S/) ?? 0) - Math.max(valueRow.search(/\S/), 0);
		return { ...start, line: start.line! + line, column: column + indent };
	}
}

function isEmpty(node: Node): boolean {
	return isScalar(node) && node.value === null && (node.source ?? "") === "";
}

function aliasHint(source: string): string {
	return /[.*?:]|^$/.test(source) ? '; a name that begins with * needs quotes: "*…"' : "";
}
