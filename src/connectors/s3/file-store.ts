import type { FileStore, Finding, Grant, LocalCopy, StoredFile } from "../../core/index.ts";
import { removeStaleTemporaries } from "../../formats/index.ts";
import { checkReading } from "./check.ts";
import { S3Access } from "./client.ts";
import { downloadFile } from "./download.ts";
import { listObjects } from "./keys.ts";
import type { S3Options } from "./options.ts";
import { grantsOf } from "./policy.ts";

/**
 * The objects of a bucket as files to read. A file is fetched as the version that was listed (`If-Match`), so a stamp
 * is its ETag. Keys are whole: the prefix of `options` is where `check` looks.
 */
export function createS3FileStore(options: S3Options): FileStore {
	return new S3FileStore(new S3Access(options));
}

class S3FileStore implements FileStore {
	readonly #access: S3Access;
	#tidied: Promise<void> | null = null;

	constructor(access: S3Access) {
		this.#access = access;
	}

	addressOf(key: string): string {
		return `s3://${this.#access.options.bucket}/${key}`;
	}

	async *list(prefix: string): AsyncGenerator<StoredFile, void, undefined> {
		// Consoles make empty objects that stand for folders.
		for await (const { key, bytes, etag } of listObjects(this.#access, prefix))
			if (!key.endsWith("/")) yield { key, bytes, stamp: `${bytes}-${etag.replaceAll('"', "")}` };
	}

	async fetch({ key, stamp }: StoredFile): Promise<LocalCopy> {
		this.#tidied ??= removeStaleTemporaries(this.#access.options.temporaryDirectory);
		await this.#tidied;
		return downloadFile(this.#access, key, { etag: `"${stamp.slice(stamp.indexOf("-") + 1)}"` });
	}

	check(): Promise<Finding[]> {
		return checkReading(this.#access);
	}

	async grants(): Promise<Grant[]> {
		return grantsOf(this.#access.options, "read");
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.#access.close();
	}
}
