import { type FileStore, HeadraceError, type LocalCopy } from "../../core/index.ts";
import type { SourceFile } from "./discover.ts";
import { fileStamp, sameStamp, sinceListed } from "./stamps.ts";

/** Bytes of copies that are kept from the look at a file to its read. */
const KEPT_BYTES_MAX = 256 << 20;

/** A file that can be read on this machine. */
export interface OpenFile extends AsyncDisposable {
	readonly localPath: string;
	/** @throws E_CONFLICT when it is no longer what it was opened as */
	confirm(): Promise<void>;
}

/** Brings files here: those of this machine are here already, those of a store are copied as they were listed. */
export class FileCopies implements AsyncDisposable {
	readonly #store: FileStore | null;
	/** Copies that were looked at and are not read yet; by address and stamp. */
	readonly #kept = new Map<string, { readonly copy: LocalCopy; readonly bytes: number }>();
	#keptBytes = 0;

	constructor(store: FileStore | null) {
		this.#store = store;
	}

	/** What the file is now; of a stored one what it was when it was listed. */
	async stamp(file: SourceFile): Promise<string> {
		return file.stored?.stamp ?? fileStamp(file.path);
	}

	/** `look` when it will be read again soon. @throws E_CONFLICT when it is another by now */
	async open(file: SourceFile, stamp: string, use: "look" | "read"): Promise<OpenFile> {
		const { stored, path } = file;
		if (stored === undefined || this.#store === null)
			return {
				localPath: path,
				confirm: async () => sameStamp(path, stamp, await fileStamp(path)),
				[Symbol.asyncDispose]: async () => {},
			};
		sameStamp(path, stamp, stored.stamp);
		const key = `${path} ${stamp}`;
		const kept = this.#kept.get(key);
		if (kept !== undefined) this.#take(key);
		const copy =
			kept?.copy ??
			(await this.#store.fetch(stored).catch((error: unknown) => {
				throw sinceListed(error, path);
			}));
		return {
			localPath: copy.localPath,
			confirm: async () => {},
			[Symbol.asyncDispose]: async () => {
				if (use === "look" && this.#keptBytes + stored.bytes <= KEPT_BYTES_MAX && !this.#kept.has(key)) {
					this.#kept.set(key, { copy, bytes: stored.bytes });
					this.#keptBytes += stored.bytes;
				} else await copy[Symbol.asyncDispose]();
			},
		};
	}

	#take(key: string): void {
		this.#keptBytes -= this.#kept.get(key)?.bytes ?? 0;
		this.#kept.delete(key);
	}

	async [Symbol.asyncDispose](): Promise<void> {
		for (const [key, { copy }] of [...this.#kept]) {
			this.#take(key);
			await copy[Symbol.asyncDispose]();
		}
		await this.#store?.[Symbol.asyncDispose]();
	}
}

/** The error with the file's own address in place of its copy's. */
export function aboutFile(error: unknown, localPath: string, file: SourceFile): unknown {
	if (!(error instanceof HeadraceError) || localPath === file.path) return error;
	const { code, message, hint, place, cause } = error;
	return new HeadraceError(code, message.replaceAll(localPath, file.path), { ...place, file: file.path, hint, cause });
}
