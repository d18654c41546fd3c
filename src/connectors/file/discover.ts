import { lstat, readdir, readFile, realpath, stat } from "node:fs/promises";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { type FormatName, HeadraceError, qualified, type StoredFile, type TableName } from "../../core/index.ts";
import { COMMIT_FILE } from "./layout.ts";
import type { TableRecord } from "./table-record.ts";

/** One file of a table. */
export interface SourceFile {
	/** Relative to the source's folder, `/` between segments: how positions name it. */
	readonly name: string;
	readonly path: string;
	/** Where it lies when that is not this machine; `path` is its address then. */
	readonly stored?: StoredFile;
}

/** Files that together are one table. */
export interface FileTable {
	readonly name: TableName;
	readonly format: FormatName;
	readonly files: readonly SourceFile[];
	/** For a table that a file destination wrote: its key, and the columns that are never NULL. */
	readonly key: readonly string[];
	readonly required: readonly string[];
}

export interface Discovery {
	/** The folder that every file lies in, without symbolic links. */
	readonly root: string;
	readonly tables: readonly FileTable[];
	/** Files that are of no known format, for `check`. */
	readonly ignored: readonly string[];
}

const ENDINGS: Readonly<Record<string, FormatName>> = {
	csv: "csv",
	tsv: "csv",
	jsonl: "jsonl",
	ndjson: "jsonl",
	json: "jsonl",
	parquet: "parquet",
};

/** Format of a file by its ending, `.gz` and `.zst` aside; null when it is no known one. */
export function formatOf(name: string): FormatName | null {
	const plain = name.replace(/\.(gz|zst)$/, "");
	const ending = plain.slice(plain.lastIndexOf(".") + 1).toLowerCase();
	return plain.includes(".") && Object.hasOwn(ENDINGS, ending) ? ENDINGS[ending]! : null;
}

/** `orders` of `orders.csv.gz`. */
export function stem(name: string): string {
	const plain = name.replace(/\.(gz|zst)$/, "");
	return formatOf(name) === null ? plain.replace(/\.[^.]*$/, "") : plain.slice(0, plain.lastIndexOf("."));
}

/**
 * The tables of a path. A file is one table, named after it. A folder has a table for each of its files, and one for
 * each of its folders, with all files below it. A pattern (`*`, `?`, `[a-z]`, `**`) is one table, named after the last
 * folder before the first wildcard. Names that begin with `.` or `_` are passed over.
 * @throws E_FILE_NOT_FOUND, E_PATH for a symbolic link that leaves the folder, E_NAME_COLLISION when two would be the
 * same table, E_UNSUPPORTED when a table's files are of several formats
 */
export async function discover(path: string, format?: FormatName): Promise<Discovery> {
	const absolute = resolve(path);
	const found = await stat(absolute).catch(() => null);
	if (found?.isFile()) return oneFile(absolute, format);
	if (found?.isDirectory()) return wholeFolder(absolute, format);
	if (found === null && /[*?[]/.test(path)) return pattern(absolute, format);
	throw new HeadraceError("E_FILE_NOT_FOUND", `there is no file or folder ${path}`, { hint: "Check the path." });
}

async function oneFile(path: string, wanted: FormatName | undefined): Promise<Discovery> {
	const format = wanted ?? formatOf(path);
	if (format === null)
		throw new HeadraceError("E_UNSUPPORTED", `${path} is of no known format`, {
			hint: "Write `format: csv`, `jsonl` or `parquet` for the connection.",
		});
	const real = await realpath(path);
	const name = basename(path);
	return {
		root: dirname(real),
		tables: [{ ...plain(stem(name)), format, files: [{ name, path: real }] }],
		ignored: [],
	};
}

async function wholeFolder(path: string, wanted: FormatName | undefined): Promise<Discovery> {
	const root = await realpath(path);
	const ignored: string[] = [];
	const own = await ownTable(root);
	if (own !== null) {
		const files = usable(await walk(root, root, "", []), wanted, ignored);
		return { root, tables: files.length === 0 ? [] : [tableOf(own, files, wanted)], ignored };
	}
	const tables: FileTable[] = [];
	for (const entry of await visibleEntries(root)) {
		const real = await insideRoot(root, join(root, entry));
		const found = await stat(real);
		if (found.isDirectory()) {
			const files = usable(await walk(root, real, entry, [root]), wanted, ignored);
			if (files.length > 0) tables.push(tableOf((await ownTable(real)) ?? plain(entry), files, wanted));
		} else if (found.isFile()) {
			const files = usable([{ name: entry, path: real }], wanted, ignored);
			if (files.length > 0) tables.push(tableOf(plain(stem(entry)), files, wanted));
		}
	}
	return { root, tables: withoutCollisions(tables), ignored };
}

async function pattern(path: string, wanted: FormatName | undefined): Promise<Discovery> {
	const segments = path.split(sep);
	const firstWild = segments.findIndex((segment) => /[*?[]/.test(segment));
	const folder = segments.slice(0, firstWild).join(sep) || sep;
	const found = await stat(folder).catch(() => null);
	if (!found?.isDirectory()) throw new HeadraceError("E_FILE_NOT_FOUND", `there is no folder ${folder}`);
	const root = await realpath(folder);
	const matcher = patternMatcher(segments.slice(firstWild).join("/"));
	const ignored: string[] = [];
	const files = usable(
		(await walk(root, root, "", [])).filter((file) => matcher.test(file.name)),
		wanted,
		ignored,
	);
	if (files.length === 0) throw new HeadraceError("E_FILE_NOT_FOUND", `no file matches ${path}`);
	const name = (await ownTable(root)) ?? plain(basename(folder) || "files");
	return { root, tables: [tableOf(name, files, wanted)], ignored };
}

/** A pattern of a path as a regular expression. */
export function patternMatcher(text: string): RegExp {
	let source = "";
	for (let at = 0; at < text.length; at++) {
		const char = text[at]!;
		const set = char === "[" ? text.indexOf("]", at + 2) : -1;
		if (text.startsWith("**/", at)) {
			source += "(?:[^/]+/)*";
			at += 2;
		} else if (text.startsWith("**", at)) {
			source += ".*";
			at++;
		} else if (char === "*") source += "[^/]*";
		else if (char === "?") source += "[^/]";
		else if (set !== -1) {
			const body = text.slice(at + 1, set).replace(/[\\\]]/g, "\\$&");
			source += `[${body.startsWith("!") ? `^${body.slice(1)}` : body}]`;
			at = set;
		} else source += char.replace(/[.+^${}()|[\]\\]/g, "\\$&");
	}
	return new RegExp(`^${source}$`, "u");
}

async function visibleEntries(folder: string): Promise<string[]> {
	return (await readdir(folder)).filter((name) => !/^[._]/.test(name)).sort();
}

/** All files below a folder, in the order of their names. `above` are the folders that lead here. */
async function walk(root: string, folder: string, prefix: string, above: readonly string[]): Promise<SourceFile[]> {
	if (above.includes(folder)) return [];
	const files: SourceFile[] = [];
	for (const entry of await visibleEntries(folder)) {
		const name = prefix === "" ? entry : `${prefix}/${entry}`;
		const path = await insideRoot(root, join(folder, entry));
		const found = await stat(path);
		if (found.isDirectory()) files.push(...(await walk(root, path, name, [...above, folder])));
		else if (found.isFile()) files.push({ name, path });
	}
	return files;
}

/** The real place of an entry. @throws E_PATH when a symbolic link leads out of the folder */
async function insideRoot(root: string, path: string): Promise<string> {
	if (!(await lstat(path)).isSymbolicLink()) return path;
	const real = await realpath(path).catch(() => {
		throw new HeadraceError("E_FILE_NOT_FOUND", `the symbolic link ${path} leads nowhere`);
	});
	const way = relative(root, real);
	if (way === ".." || way.startsWith(`..${sep}`) || resolve(way) === way)
		throw new HeadraceError("E_PATH", `the symbolic link ${path} leaves the folder`, {
			hint: "Copy the file into the folder, or name its own folder.",
		});
	return real;
}

/** Files of the wanted format, or of any known one; the others are told. */
export function usable(files: readonly SourceFile[], wanted: FormatName | undefined, ignored: string[]): SourceFile[] {
	return files.filter((file) => {
		const format = formatOf(file.name);
		const use = wanted === undefined ? format !== null : format === null || format === wanted;
		if (!use) ignored.push(file.name);
		return use;
	});
}

type TableIdentity = Pick<FileTable, "name" | "key" | "required">;

export function plain(name: string): TableIdentity {
	return { name: { schema: "", name }, key: [], required: [] };
}

export function tableOf(
	identity: TableIdentity,
	files: readonly SourceFile[],
	wanted: FormatName | undefined,
): FileTable {
	const formats = new Set(files.map((file) => wanted ?? formatOf(file.name)!));
	if (formats.size > 1)
		throw new HeadraceError(
			"E_UNSUPPORTED",
			`the files of ${identity.name.name} are of several formats: ${[...formats].join(", ")}`,
			{
				hint: "Keep one format a folder, or name the one to read by `format:`.",
			},
		);
	return { ...identity, format: [...formats][0]!, files };
}

export function withoutCollisions(tables: readonly FileTable[]): readonly FileTable[] {
	const seen = new Map<string, FileTable>();
	for (const table of tables) {
		const key = JSON.stringify([table.name.schema, table.name.name]);
		const other = seen.get(key);
		if (other !== undefined)
			throw new HeadraceError(
				"E_NAME_COLLISION",
				`${other.files[0]!.name} and ${table.files[0]!.name} would both be the table ${table.name.name}`,
				{ hint: "Rename one, or put them into one folder of that name." },
			);
		seen.set(key, table);
	}
	return tables;
}

/** What a table is that a file destination wrote: its record lies beside the folder of its files. */
async function ownTable(folder: string): Promise<TableIdentity | null> {
	const text = await readFile(join(dirname(folder), COMMIT_FILE), "utf8").catch(() => null);
	if (text === null) return null;
	try {
		const { table, key, columns } = JSON.parse(text) as Partial<TableRecord>;
		if (table !== undefined && key !== undefined && columns !== undefined)
			return { name: table, key, required: columns.filter((column) => !column.nullable).map((column) => column.name) };
	} catch {
		// Not one of ours.
	}
	return null;
}

/** @throws E_UNKNOWN_TABLE */
export function tableNamed(tables: readonly FileTable[], name: TableName): FileTable {
	const table = tables.find((other) => other.name.schema === name.schema && other.name.name === name.name);
	if (table === undefined)
		throw new HeadraceError("E_UNKNOWN_TABLE", `there is no file or folder for the table ${qualified(name)}`, {
			hint: `There are: ${tables
				.slice(0, 10)
				.map((other) => qualified(other.name))
				.join(", ")}${tables.length > 10 ? ", …" : ""}.`,
		});
	return table;
}
