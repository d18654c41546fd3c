import type { Port } from "./port.ts";
import type { LocalCopy } from "./staging.ts";

/** Files that lie elsewhere: a source of files lists them and brings them here one by one. */
export interface FileStore extends Port {
	/** All whose keys begin so, in the order of their keys. */
	list(prefix: string): AsyncIterable<StoredFile>;
	/**
	 * A copy on the local disk of exactly the version that was listed.
	 * @throws E_CONFLICT when there is another by now, E_FILE_NOT_FOUND when there is none
	 */
	fetch(file: StoredFile): Promise<LocalCopy>;
	/** For people: `s3://bucket/key`. */
	addressOf(key: string): string;
}

export interface StoredFile {
	/** `/` between segments. */
	readonly key: string;
	readonly bytes: number;
	/** Changes when the file does. */
	readonly stamp: string;
}
