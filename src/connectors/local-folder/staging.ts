import { constants } from "node:fs";
import { chmod, link, lstat, open, readdir, readFile, rename, rmdir, stat, statfs, unlink } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import {
	crashPoint,
	type Finding,
	HeadraceError,
	type LocalCopy,
	type StagedEntry,
	type StagedWrite,
	type Staging,
} from "../../core/index.ts";
import {
	digestFile,
	forgetTemporary,
	makeFolders,
	removeStaleTemporaries,
	syncFile,
	syncFolder,
	TEMPORARY_PREFIX,
	temporaryName,
} from "../../formats/index.ts";
import { confinedPath, realRoot } from "./confined-path.ts";
import { folderError } from "./errors.ts";

/** Below this much free space, `check` warns. */
const FREE_BYTES_WARNING = 1 << 30;

/**
 * Staging in a folder of this machine, or one that machines share. A file is written under a hidden temporary name
 * and gets its own name only when it is whole and on disk: fsync, rename, fsync of the folder. Folders are 0700, files
 * 0600. Nothing is touched before the first use.
 */
export function createLocalFolderStaging(root: string, options: LocalFolderOptions = {}): Staging {
	return new LocalFolderStaging(resolve(root), options);
}

export interface LocalFolderOptions {
	/** Others may read what is written, as far as the process's umask lets them: a lake has readers of its own. */
	readonly shared?: true;
	/** See Staging.retentionMs. */
	readonly retentionMs?: number;
}

class LocalFolderStaging implements Staging {
	readonly location: string;
	readonly retentionMs: number;
	readonly #modes: Modes;
	#opening: Promise<string> | null = null;

	constructor(location: string, { shared, retentionMs = 0 }: LocalFolderOptions) {
		this.location = location;
		this.retentionMs = retentionMs;
		this.#modes = shared === true ? { folder: 0o777, file: 0o666 & ~process.umask() } : { folder: 0o700, file: 0o600 };
	}

	/** Makes the folder when it is missing, and clears what dead processes left. */
	#root(): Promise<string> {
		this.#opening ??= (async () => {
			await makeFolders(this.location, this.#modes.folder);
			const root = await realRoot(this.location);
			await removeStaleTemporaries(root);
			return root;
		})();
		return this.#opening;
	}

	async #attempt<T>(doing: string, work: (root: string) => Promise<T>): Promise<T> {
		try {
			return await work(await this.#root());
		} catch (error) {
			throw folderError(error, `${doing} in ${this.location}`);
		}
	}

	create(path: string): Promise<StagedWrite> {
		return this.#attempt(`writing ${path}`, async (root) => {
			await confinedPath(root, path);
			return new FolderWrite(this.location, root, path, this.#modes);
		});
	}

	writeOnce(path: string, content: Uint8Array): Promise<void> {
		return this.#attempt(`writing ${path}`, async (root) => {
			const place = await confinedPath(root, path);
			const name = temporaryName();
			const temporary = join(root, name);
			try {
				const handle = await open(temporary, "wx", this.#modes.file);
				try {
					await handle.writeFile(content);
					await handle.sync();
				} finally {
					await handle.close();
				}
				crashPoint("folder-once-written");
				await retryWithFolder(place, this.#modes, () => linkOnce(temporary, place, content, path));
				crashPoint("folder-once-linked");
				await syncFolder(dirname(place));
			} finally {
				await unlink(temporary).catch(() => {});
				forgetTemporary(name);
			}
		});
	}

	read(path: string): Promise<Uint8Array | null> {
		return this.#attempt(`reading ${path}`, async (root) => {
			const place = await confinedPath(root, path);
			try {
				return await readFile(place, { flag: constants.O_RDONLY | constants.O_NOFOLLOW });
			} catch (error) {
				if (isMissing(error)) return null;
				throw error;
			}
		});
	}

	list(prefix: string): Promise<StagedEntry[]> {
		return this.#attempt("listing", async (root) => {
			const folder = prefix.slice(0, prefix.lastIndexOf("/") + 1);
			if (folder !== "") await confinedPath(root, `${folder}x`);
			const entries: StagedEntry[] = [];
			await listFolder(root, folder, prefix, entries);
			return entries.sort((a, b) => (a.path < b.path ? -1 : 1));
		});
	}

	remove(paths: readonly string[]): Promise<void> {
		return this.#attempt("removing", async (root) => {
			const places = await Promise.all(paths.map((path) => confinedPath(root, path)));
			for (const place of places) {
				await unlink(place).catch((error) => {
					if (!isMissing(error)) throw error;
				});
				await removeEmptyFolders(root, dirname(place));
			}
		});
	}

	fetch(path: string, sha256?: string): Promise<LocalCopy> {
		return this.#attempt(`reading ${path}`, async (root) => {
			const localPath = await confinedPath(root, path);
			if (sha256 === undefined) {
				const found = await lstat(localPath).catch(() => null);
				if (!found?.isFile()) throw missing(path);
			} else {
				const digest = await digestFile(localPath).catch((error) => {
					throw isMissing(error) ? missing(path) : error;
				});
				if (digest.sha256 !== sha256)
					throw new HeadraceError("E_CORRUPT_FILE", `the staged file ${path} is not the one that was written`, {
						file: path,
						hint: "Run again: it is extracted anew.",
					});
			}
			return { localPath, [Symbol.asyncDispose]: async () => {} };
		});
	}

	async check(): Promise<Finding[]> {
		const probe = `headrace-check-${process.pid}`;
		try {
			await this.writeOnce(probe, new Uint8Array([1]));
			await this.remove([probe]);
			const findings: Finding[] = [{ severity: "ok", message: `staging folder ${this.location} can be written` }];
			const root = await this.#root();
			const { bavail, bsize } = await statfs(root);
			if (bavail * bsize < FREE_BYTES_WARNING)
				findings.push({
					severity: "warning",
					message: `staging folder ${this.location} has ${Math.floor((bavail * bsize) / (1 << 20))} MB free`,
				});
			if (this.#modes.folder === 0o700 && ((await stat(root)).mode & 0o077) !== 0)
				findings.push({
					severity: "warning",
					message: `other users of this machine can look into the staging folder ${this.location}`,
					remedy: `chmod 700 '${this.location.replaceAll("'", "'\\''")}'`,
				});
			return findings;
		} catch (error) {
			const { message, hint } = folderError(error, `writing in ${this.location}`);
			return [{ severity: "error", message, remedy: hint }];
		}
	}

	async [Symbol.asyncDispose](): Promise<void> {}
}

interface Modes {
	readonly folder: number;
	readonly file: number;
}

class FolderWrite implements StagedWrite {
	readonly localPath: string;
	readonly #location: string;
	readonly #root: string;
	readonly #path: string;
	readonly #modes: Modes;
	readonly #name = temporaryName();

	constructor(location: string, root: string, path: string, modes: Modes) {
		this.#modes = modes;
		this.#location = location;
		this.#root = root;
		this.#path = path;
		this.localPath = join(root, this.#name);
	}

	async commit(): Promise<{ readonly bytes: number; readonly sha256: string }> {
		try {
			await chmod(this.localPath, this.#modes.file);
			await syncFile(this.localPath);
			const digest = await digestFile(this.localPath);
			crashPoint("folder-file-synced");
			const place = await confinedPath(this.#root, this.#path);
			await retryWithFolder(place, this.#modes, () => rename(this.localPath, place));
			forgetTemporary(this.#name);
			crashPoint("folder-file-renamed");
			await syncFolder(dirname(place));
			return digest;
		} catch (error) {
			await this.abort();
			throw folderError(error, `writing ${this.#path} in ${this.#location}`);
		}
	}

	async abort(): Promise<void> {
		await unlink(this.localPath).catch(() => {});
		forgetTemporary(this.#name);
	}
}

/** Gives a whole file its final name, which nothing may have yet: link(2) is atomic and never replaces. */
async function linkOnce(temporary: string, place: string, content: Uint8Array, path: string): Promise<void> {
	try {
		await link(temporary, place);
	} catch (error) {
		const { code } = error as NodeJS.ErrnoException;
		if (code === "EPERM" || code === "ENOTSUP" || code === "EOPNOTSUPP" || code === "ENOSYS")
			throw new HeadraceError("E_UNSUPPORTED", "the file system of the staging folder has no hard links", {
				hint: "Put the staging folder on a local disk.",
				cause: error,
			});
		if (code !== "EEXIST") throw error;
		const found = await readFile(place, { flag: constants.O_RDONLY | constants.O_NOFOLLOW });
		if (!found.equals(content))
			throw new HeadraceError("E_FENCED", `${path} was written by another run with other content`);
	}
}

/** `remove` may take an empty folder away between its making and its use. */
async function retryWithFolder(place: string, modes: Modes, work: () => Promise<void>): Promise<void> {
	for (let attempt = 1; ; attempt++) {
		await makeFolders(dirname(place), modes.folder);
		try {
			return await work();
		} catch (error) {
			if (attempt === 5 || !isMissing(error)) throw error;
		}
	}
}

async function listFolder(root: string, folder: string, prefix: string, entries: StagedEntry[]): Promise<void> {
	const found = await readdir(join(root, folder), { withFileTypes: true }).catch((error) => {
		if (isMissing(error)) return [];
		throw error;
	});
	for (const entry of found) {
		const path = folder + entry.name;
		if (entry.name.startsWith(TEMPORARY_PREFIX)) continue;
		if (entry.isDirectory()) {
			if (`${path}/`.startsWith(prefix) || prefix.startsWith(`${path}/`))
				await listFolder(root, `${path}/`, prefix, entries);
		} else if (entry.isFile() && path.startsWith(prefix)) {
			const status = await stat(join(root, path)).catch(() => null);
			if (status !== null) entries.push({ path, bytes: status.size, modifiedAt: status.mtime });
		}
	}
}

async function removeEmptyFolders(root: string, folder: string): Promise<void> {
	for (let empty = folder; empty !== root; empty = dirname(empty)) {
		try {
			await rmdir(empty);
		} catch {
			return;
		}
	}
}

function isMissing(error: unknown): boolean {
	const { code } = error as NodeJS.ErrnoException;
	return code === "ENOENT" || code === "ENOTDIR";
}

function missing(path: string): HeadraceError {
	return new HeadraceError("E_CORRUPT_FILE", `the staged file ${path} is gone`, {
		file: path,
		hint: "Run again: it is extracted anew.",
	});
}
