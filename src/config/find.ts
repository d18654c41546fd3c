import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { HeadraceError } from "../core/errors.ts";
import { nearest } from "./suggest.ts";

export interface FoundPipeline {
	/** The file's name without its ending. */
	readonly name: string;
	/** Absolute. */
	readonly file: string;
}

const ENDING = /\.ya?ml$/;

/** The pipelines of a project by name: files of `pipelines/`, and files of the folder itself that look like one. */
export function listPipelines(directory: string): FoundPipeline[] {
	const root = resolve(directory);
	const own = yamlFiles(root).filter((file) => !isShared(file) && looksLikePipeline(file));
	const found = new Map<string, FoundPipeline>();
	for (const file of [...yamlFiles(join(root, "pipelines")), ...own]) {
		const name = basename(file).replace(ENDING, "");
		if (!found.has(name) && !isShared(file)) found.set(name, { name, file });
	}
	return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Files that pipelines share are none themselves. */
function isShared(file: string): boolean {
	return /^(?:connections|alerts)\.ya?ml$/.test(basename(file));
}

function yamlFiles(folder: string): string[] {
	try {
		return readdirSync(folder, { withFileTypes: true })
			.filter((entry) => ENDING.test(entry.name) && !entry.name.startsWith(".") && !entry.isDirectory())
			.map((entry) => join(folder, entry.name));
	} catch {
		return [];
	}
}

/** A folder has other YAML too, such as docker-compose.yaml. */
function looksLikePipeline(file: string): boolean {
	try {
		if (statSync(file).size > 1_000_000) return false;
		const text = readFileSync(file, "utf8");
		return /^from\s*:/m.test(text) && /^to\s*:/m.test(text) && /^tables\s*:/m.test(text);
	} catch {
		return false;
	}
}

/** Whether a pipeline's name is the path of a file. */
function isPath(nameOrPath: string): boolean {
	return /[/\\]/.test(nameOrPath) || ENDING.test(nameOrPath);
}

/**
 * The file of a pipeline: `<dir>/pipelines/<name>.yaml`, `<dir>/<name>.yaml`, or the path itself with or without
 * its ending, which starts at `dir` when it is relative.
 * @throws E_FILE_NOT_FOUND
 */
export function findPipeline(directory: string, nameOrPath: string): string {
	const root = resolve(directory);
	const shown = JSON.stringify(nameOrPath.slice(0, 200));
	if (nameOrPath === "" || nameOrPath.includes("\0"))
		throw new HeadraceError("E_FILE_NOT_FOUND", `${shown} is not the name of a pipeline`);
	const candidates = isPath(nameOrPath)
		? (ENDING.test(nameOrPath) ? [""] : [".yaml", ".yml"]).map((ending) => resolve(root, nameOrPath + ending))
		: ["pipelines", "."].flatMap((folder) =>
				["yaml", "yml"].map((ending) => join(root, folder, `${nameOrPath}.${ending}`)),
			);
	const found = candidates.find((file) => existsSync(file));
	if (found !== undefined) return found;
	const names = listPipelines(root).map((each) => each.name);
	const near = nearest(basename(nameOrPath).replace(ENDING, ""), names);
	const known =
		names.length === 0
			? "there is none here"
			: `its pipelines are ${names.slice(0, NAMES_MAX).join(", ")}${names.length > NAMES_MAX ? ", …" : ""}`;
	const meant = near === undefined ? `; ${known}` : `; did you mean ${near}?`;
	const where = isPath(nameOrPath) ? "" : ` in ${join(root, "pipelines")} or ${root}`;
	throw new HeadraceError("E_FILE_NOT_FOUND", `there is no pipeline ${shown}${where}${meant}`, {
		hint: names.length === 0 ? "Run `headrace init`, or give the project's folder by -C." : "Check the name.",
	});
}

/** Names that an error lists. */
const NAMES_MAX = 20;

/**
 * The folder that relative paths of a pipeline start at: the project's (`-C`) when the file is inside it, else the
 * folder of the file, or the one above when that is called `pipelines`.
 */
export function projectDirectory(directory: string, file: string): string {
	const root = resolve(directory);
	const inside = relative(root, file);
	if (inside !== "" && inside !== ".." && !inside.startsWith(`..${sep}`) && resolve(inside) !== inside) return root;
	const folder = dirname(file);
	return basename(folder) === "pipelines" ? dirname(folder) : folder;
}
