import { type FileStore, type FormatName, HeadraceError, type StoredFile } from "../../core/index.ts";
import {
	type Discovery,
	type FileTable,
	formatOf,
	patternMatcher,
	plain,
	type SourceFile,
	stem,
	tableOf,
	usable,
	withoutCollisions,
} from "./discover.ts";

/**
 * The tables of a place in a store, by the rules of `discover`: a file, a folder or a pattern.
 * @throws E_FILE_NOT_FOUND, E_NAME_COLLISION, E_UNSUPPORTED
 */
export async function discoverStored(store: FileStore, path: string, wanted?: FormatName): Promise<Discovery> {
	const wild = /[*?[]/.exec(path)?.index;
	const end = wild === undefined ? path.length : path.lastIndexOf("/", wild) + 1;
	const start = path.slice(0, end).replace(/([^/])$/, "$1/");
	// Only what is named like a file is looked for as one: who may read a folder need not see its neighbours.
	const isFile = wild === undefined && !path.endsWith("/") && formatOf(path) !== null;
	const listed: StoredFile[] = [];
	for await (const file of store.list(isFile ? path : start)) listed.push(file);
	const one = listed.find(({ key }) => key === path);
	if (one !== undefined) return oneFile(store, one, wanted);
	const below = listed.filter(({ key }) => key.startsWith(start));
	const ignored: string[] = [];
	const files = usable(
		below.map((file) => sourceFile(store, file, start)).filter(({ name }) => !/(?:^|\/)[._]/.test(name)),
		wanted,
		ignored,
	);
	const root = store.addressOf(start);
	if (wild === undefined) {
		if (below.length === 0)
			throw new HeadraceError("E_FILE_NOT_FOUND", `there is no file ${store.addressOf(path)}, nor one below it`);
		return { root, tables: tablesOf(files, wanted), ignored };
	}
	const matcher = patternMatcher(path.slice(start.length));
	const matching = files.filter(({ name }) => matcher.test(name));
	if (matching.length === 0) throw new HeadraceError("E_FILE_NOT_FOUND", `no file matches ${store.addressOf(path)}`);
	const name = start.split("/").at(-2) ?? "files";
	return { root, tables: [tableOf(plain(name), matching, wanted)], ignored };
}

function sourceFile(store: FileStore, stored: StoredFile, start: string): SourceFile {
	return { name: stored.key.slice(start.length), path: store.addressOf(stored.key), stored };
}

function oneFile(store: FileStore, stored: StoredFile, wanted: FormatName | undefined): Discovery {
	const format = wanted ?? formatOf(stored.key);
	const path = store.addressOf(stored.key);
	if (format === null)
		throw new HeadraceError("E_UNSUPPORTED", `${path} is of no known format`, {
			hint: "Its name must end in .csv, .jsonl or .parquet, or in .gz or .zst after that.",
		});
	const file = sourceFile(store, stored, stored.key.slice(0, stored.key.lastIndexOf("/") + 1));
	return { root: path, tables: [{ ...plain(stem(file.name)), format, files: [file] }], ignored: [] };
}

/** A table for each file of the folder itself, and one for each folder in it. */
function tablesOf(files: readonly SourceFile[], wanted: FormatName | undefined): readonly FileTable[] {
	const groups = new Map<string, SourceFile[]>();
	for (const file of files) {
		const slash = file.name.indexOf("/");
		const group = slash === -1 ? file.name : file.name.slice(0, slash + 1);
		groups.set(group, [...(groups.get(group) ?? []), file]);
	}
	const tables = Array.from(groups, ([group, members]) =>
		tableOf(plain(group.endsWith("/") ? group.slice(0, -1) : stem(group)), members, wanted),
	);
	return withoutCollisions(tables);
}
