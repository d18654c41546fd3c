import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { Document, isMap, parseDocument } from "yaml";
import { HeadraceError } from "../core/errors.ts";
import { findConnectionsFile } from "./connections.ts";
import { type ImportedIni, importIni } from "./import-ini.ts";
import { readText } from "./read-text.ts";

export interface Imported extends ImportedIni {
	/** connections.yaml that the connections are in now. */
	readonly file: string;
	/** Files that hold a secret each, relative to the project. */
	readonly secretFiles: readonly string[];
}

/**
 * Adds the connections of an ini file to the project's connections.yaml, whose other lines stay as they are. Each
 * secret goes into a file of its own in `.headrace/secrets/`, which only its owner can read, and is referred to.
 * @throws HeadraceErrors when the ini file can't be read; E_USAGE when a name is taken. Nothing is written then.
 */
export function importConnections(directory: string, iniFile: string): Imported {
	const ini = importIni(readText(iniFile), basename(iniFile));
	const file = findConnectionsFile([directory]) ?? join(directory, "connections.yaml");
	const before = existsSync(file) ? readText(file) : "";
	const document = parseDocument(before);
	if (document.errors.length > 0)
		throw new HeadraceError("E_YAML", `${file} is not valid YAML: ${document.errors[0]!.message.split("\n")[0]}`);
	if (document.contents !== null && (!isMap(document.contents) || document.contents.flow === true))
		throw new HeadraceError("E_USAGE", `${file} is no list of \`name: connection\` lines that more can be added to`);
	const names = ini.connections.map(({ name }) => name);
	const taken = names.filter((name) => document.has(name));
	if (taken.length > 0)
		throw new HeadraceError("E_USAGE", `${file} has ${taken.join(", ")} already`, {
			hint: "Rename the section, or remove the connection. Nothing was written.",
		});
	const added = new Document({});
	const secrets: { readonly path: string; readonly value: string }[] = [];
	for (const { name, type, values, secrets: own } of ini.connections) {
		const references: Record<string, string> = {};
		for (const [key, value] of Object.entries(own)) {
			const path = join(".headrace", "secrets", `${name}_${key}`);
			secrets.push({ path, value });
			references[key] = `\${file:${path}}`;
		}
		const plain = Object.entries(values).map(([key, value]) => [key, literal(value)] as const);
		added.set(name, added.createNode({ type, ...Object.fromEntries(plain), ...references }, { flow: true }));
	}
	for (const { path, value } of secrets) {
		const target = join(directory, path);
		mkdirSync(dirname(target), { recursive: true, mode: 0o700 });
		writeFileSync(target, `${value}\n`, { mode: 0o600 });
	}
	if (names.length > 0) {
		const gap = before === "" || before.endsWith("\n") ? "" : "\n";
		writeFileSync(file, `${before}${gap}${added.toString({ lineWidth: 0 })}`);
	}
	return { ...ini, file: relative(directory, file) || file, secretFiles: secrets.map(({ path }) => path) };
}

/** `${` in a value of the ini file stands for itself. */
function literal(value: string | number): string | number {
	return typeof value === "string" ? value.replaceAll("${", "$${") : value;
}
