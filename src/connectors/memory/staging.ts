import { createHash, randomUUID } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HeadraceError } from "../../core/errors.ts";
import type { StagedEntry, Staging } from "../../core/staging.ts";

/** The files of a staging place in memory. It outlives the ports over it, as a bucket outlives its clients. */
export class MemoryFolder {
	readonly #files = new Map<string, { readonly content: Uint8Array; readonly modifiedAt: Date }>();

	get(path: string): Uint8Array | null {
		return this.#files.get(path)?.content ?? null;
	}

	put(path: string, content: Uint8Array): void {
		this.#files.set(path, { content: Uint8Array.from(content), modifiedAt: new Date() });
	}

	remove(path: string): void {
		this.#files.delete(path);
	}

	list(prefix: string): StagedEntry[] {
		return [...this.#files]
			.filter(([path]) => path.startsWith(prefix))
			.map(([path, { content, modifiedAt }]) => ({ path, bytes: content.length, modifiedAt }))
			.sort((a, b) => (a.path < b.path ? -1 : 1));
	}
}

export interface MemoryStagingOptions {
	/** An existing folder for files while they are written or read; by default one of its own that goes with the port. */
	readonly temporaryFolder?: string;
}

/**
 * Stages into a `MemoryFolder`. Formats write and read files, so those lie on the local disk for as long as they are
 * open; what is committed is in memory.
 */
export function memoryStaging(folder: MemoryFolder, options: MemoryStagingOptions = {}): Staging {
	let ownFolder: string | null = null;
	let count = 0;
	const localPath = (): string => {
		if (options.temporaryFolder !== undefined) return join(options.temporaryFolder, `${process.pid}-${randomUUID()}`);
		ownFolder ??= mkdtempSync(join(tmpdir(), "headrace-memory-"));
		return join(ownFolder, String(count++));
	};
	const discard = (path: string): void => {
		try {
			unlinkSync(path);
		} catch (error) {
			if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
		}
	};
	return {
		location: "memory",
		check: async () => [{ severity: "ok", message: "files are in this process's memory" }],
		create: async (path) => {
			checkPath(path);
			const local = localPath();
			let open = true;
			return {
				localPath: local,
				commit: async () => {
					if (!open) throw new HeadraceError("E_INTERNAL", `the staged file ${path} was closed already`);
					const content = readFileSync(local);
					folder.put(path, content);
					open = false;
					discard(local);
					return { bytes: content.length, sha256: sha256Of(content) };
				},
				abort: async () => {
					open = false;
					discard(local);
				},
			};
		},
		writeOnce: async (path, content) => {
			checkPath(path);
			const existing = folder.get(path);
			if (existing === null) folder.put(path, content);
			else if (Buffer.compare(existing, content) !== 0)
				throw new HeadraceError("E_FENCED", `${path} exists with other content`);
		},
		read: async (path) => {
			checkPath(path);
			const content = folder.get(path);
			return content === null ? null : Uint8Array.from(content);
		},
		list: async (prefix) => folder.list(prefix),
		remove: async (paths) => {
			for (const path of paths) checkPath(path);
			for (const path of paths) folder.remove(path);
		},
		fetch: async (path, sha256) => {
			checkPath(path);
			const content = folder.get(path);
			if (content === null) throw new HeadraceError("E_FILE_NOT_FOUND", `the staged file ${path} is not there`);
			if (sha256 !== undefined && sha256Of(content) !== sha256)
				throw new HeadraceError("E_CORRUPT_FILE", `the staged file ${path} is not the one its manifest names`);
			const local = localPath();
			writeFileSync(local, content);
			return { localPath: local, [Symbol.asyncDispose]: async () => discard(local) };
		},
		[Symbol.asyncDispose]: async () => {
			if (ownFolder !== null) rmSync(ownFolder, { recursive: true, force: true });
			ownFolder = null;
		},
	};
}

function sha256Of(content: Uint8Array): string {
	return createHash("sha256").update(content).digest("hex");
}

/** @throws E_PATH when the path is absolute, climbs, or could mean another one on some system */
function checkPath(path: string): void {
	const segments = path.split("/");
	const strange = /[\\\0]/.test(path) || segments.some((segment) => ["", ".", ".."].includes(segment));
	if (strange) throw new HeadraceError("E_PATH", "a staged path must be relative and stay inside its folder");
}
