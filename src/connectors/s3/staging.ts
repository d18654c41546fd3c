import { createHash } from "node:crypto";
import { unlink } from "node:fs/promises";
import { join } from "node:path";
import {
	crashPoint,
	type Finding,
	type Grant,
	HeadraceError,
	type LocalCopy,
	type ManifestFile,
	type StagedEntry,
	type StagedWrite,
	type Staging,
	type StagingAddress,
} from "../../core/index.ts";
import { digestFile, forgetTemporary, removeStaleTemporaries, temporaryName } from "../../formats/index.ts";
import { checkAccess } from "./check.ts";
import { S3Access } from "./client.ts";
import { downloadFile, readObject } from "./download.ts";
import { errorName } from "./errors.ts";
import { keyOf, listObjects } from "./keys.ts";
import type { S3Options } from "./options.ts";
import { grantsOf } from "./policy.ts";
import { abortUpload, encryptionOf, lookAt, uploadFile } from "./upload.ts";

/** An upload that began so long ago has no process that goes on with it. */
const STALE_UPLOAD_MS = 24 * 3600 * 1000;
/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html */
const DELETE_KEYS_MAX = 1000;

/**
 * Staging in a part of a bucket. A file is written to the local disk and sent when it is whole: S3 shows an object only
 * when all of it has come and its SHA-256 is right. What is written once goes with `If-None-Match`, so of two runs one
 * wins. Nothing is asked of S3 before the first use.
 */
export function createS3Staging(options: S3Options): Staging {
	return new S3Staging(new S3Access(options));
}

class S3Staging implements Staging {
	readonly location: string;
	readonly address: StagingAddress;
	readonly retentionMs: number;
	readonly #access: S3Access;
	#swept: Promise<void> | null = null;
	#tidied: Promise<void> | null = null;

	constructor(access: S3Access) {
		this.#access = access;
		this.location = access.location;
		const { region, retentionMs = 0 } = access.options;
		this.retentionMs = retentionMs;
		this.address = {
			scheme: "s3",
			...(region === undefined ? {} : { region }),
			uriOf: (path) => `s3://${access.options.bucket}/${keyOf(access, path)}`,
			confirm: (file) => this.#confirm(file),
		};
	}

	async create(path: string): Promise<StagedWrite> {
		const key = keyOf(this.#access, path);
		await this.#sweep();
		return new S3Write(this.#access, key);
	}

	async writeOnce(path: string, content: Uint8Array): Promise<void> {
		const key = keyOf(this.#access, path);
		const ChecksumSHA256 = createHash("sha256").update(content).digest("base64");
		const deed = { doing: `writing ${key}`, action: "s3:PutObject", key };
		const isOurs = await this.#access.request(deed, async (client, { PutObjectCommand }) => {
			try {
				await client.send(
					new PutObjectCommand({
						Bucket: this.#access.options.bucket,
						Key: key,
						Body: content,
						ContentType: "application/json",
						IfNoneMatch: "*",
						ChecksumSHA256,
						...encryptionOf(this.#access),
					}),
				);
				return true;
			} catch (error) {
				if (errorName(error) === "PreconditionFailed") return false;
				throw error;
			}
		});
		crashPoint("s3-once-sent");
		// It is there: another run's, or ours, the answer to which was lost.
		if (isOurs) return;
		const found = await readObject(this.#access, key);
		if (found === null)
			throw new HeadraceError("E_CONFLICT", `${key} was there and is gone: another run works in ${this.location}`);
		if (!found.equals(content))
			throw new HeadraceError("E_FENCED", `${path} was written by another run with other content`);
	}

	async read(path: string): Promise<Uint8Array | null> {
		return readObject(this.#access, keyOf(this.#access, path));
	}

	async list(prefix: string): Promise<StagedEntry[]> {
		const entries: StagedEntry[] = [];
		for await (const { key, bytes, modifiedAt } of listObjects(this.#access, this.#access.prefix + prefix))
			entries.push({ path: key.slice(this.#access.prefix.length), bytes, modifiedAt });
		return entries.sort((a, b) => (a.path < b.path ? -1 : 1));
	}

	async remove(paths: readonly string[]): Promise<void> {
		const keys = paths.map((path) => keyOf(this.#access, path));
		for (let at = 0; at < keys.length; at += DELETE_KEYS_MAX) await this.#delete(keys.slice(at, at + DELETE_KEYS_MAX));
	}

	async #delete(keys: readonly string[]): Promise<void> {
		const deed = { doing: `removing ${keys[0]}`, action: "s3:DeleteObject", key: `${this.#access.prefix}*` };
		await this.#access.request(deed, async (client, { DeleteObjectsCommand }) => {
			const { Errors = [] } = await client.send(
				new DeleteObjectsCommand({
					Bucket: this.#access.options.bucket,
					Delete: { Objects: keys.map((Key) => ({ Key })), Quiet: true },
				}),
			);
			const [first] = Errors.filter(({ Code }) => Code !== "NoSuchKey");
			if (first !== undefined) throw Object.assign(new Error(first.Message), { name: first.Code });
		});
	}

	async fetch(path: string, sha256?: string): Promise<LocalCopy> {
		const key = keyOf(this.#access, path);
		await this.#tidy();
		return downloadFile(this.#access, key, sha256 === undefined ? {} : { sha256 });
	}

	async #confirm(file: ManifestFile): Promise<void> {
		const key = keyOf(this.#access, file.path);
		const found = await lookAt(this.#access, key, file);
		if (found === "same") return;
		const where = `${key} in s3://${this.#access.options.bucket}`;
		const options = { file: key, hint: "Nothing was loaded. Run again: it is extracted anew." };
		if (found === "gone") throw new HeadraceError("E_CONFLICT", `${where} was taken away`, options);
		throw new HeadraceError("E_CORRUPT_FILE", `${where} is not the file that was written`, options);
	}

	/** Takes back, once, what runs that were killed long ago had begun to send: it costs money and is seen by nobody. */
	#sweep(): Promise<void> {
		this.#swept ??= (async () => {
			await this.#tidy();
			const { bucket } = this.#access.options;
			const deed = { doing: "listing unfinished uploads", action: "s3:ListBucketMultipartUploads" };
			const listed = await this.#access
				.request(deed, (client, { ListMultipartUploadsCommand }) =>
					client.send(new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: this.#access.prefix })),
				)
				.catch((error) => {
					// Not needed for a run; a lifecycle rule of the bucket does the same.
					if (error instanceof HeadraceError && error.code === "E_RIGHTS") return null;
					throw error;
				});
			for (const { Key, UploadId, Initiated } of listed?.Uploads ?? [])
				if (Date.now() - Number(Initiated) > STALE_UPLOAD_MS)
					await abortUpload(this.#access, Key!, UploadId!).catch(() => {});
		})();
		return this.#swept;
	}

	/** Removes, once, files on their way whose process is dead. */
	#tidy(): Promise<void> {
		this.#tidied ??= removeStaleTemporaries(this.#access.options.temporaryDirectory);
		return this.#tidied;
	}

	check(): Promise<Finding[]> {
		return checkAccess(this.#access);
	}

	async grants(): Promise<Grant[]> {
		return grantsOf(this.#access.options, "stage");
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.#access.close();
	}
}

class S3Write implements StagedWrite {
	readonly localPath: string;
	readonly #access: S3Access;
	readonly #key: string;
	readonly #name = temporaryName();

	constructor(access: S3Access, key: string) {
		this.#access = access;
		this.#key = key;
		this.localPath = join(access.options.temporaryDirectory, this.#name);
	}

	async commit(): Promise<{ readonly bytes: number; readonly sha256: string }> {
		try {
			const digest = await digestFile(this.localPath);
			await uploadFile(this.#access, this.#key, { ...digest, localPath: this.localPath });
			return digest;
		} finally {
			await this.abort();
		}
	}

	async abort(): Promise<void> {
		await unlink(this.localPath).catch(() => {});
		forgetTemporary(this.#name);
	}
}
