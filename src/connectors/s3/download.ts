import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { unlink } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { HeadraceError, type LocalCopy } from "../../core/index.ts";
import { forgetTemporary, temporaryName } from "../../formats/index.ts";
import type { S3Access } from "./client.ts";
import { errorName, isMissing } from "./errors.ts";

export interface Wanted {
	/** Hexadecimal; a file that has another is read again, and then refused. */
	readonly sha256?: string;
	/** Only this version of the object: it must not have been replaced. */
	readonly etag?: string;
}

/** Reads of a file whose bytes are not those that were written, before it is called damaged. */
const READS_MAX = 3;

/**
 * Brings an object to the local disk. Its length, S3's checksum and `sha256` are compared.
 * @throws E_FILE_NOT_FOUND, E_CORRUPT_FILE, E_CONFLICT when it is not the version that was wanted
 */
export async function downloadFile(access: S3Access, key: string, wanted: Wanted): Promise<LocalCopy> {
	const name = temporaryName();
	const localPath = join(access.options.temporaryDirectory, name);
	const discard = async () => {
		await unlink(localPath).catch(() => {});
		forgetTemporary(name);
	};
	try {
		for (let read = 1; ; read++) {
			const sha256 = await downloadOnce(access, key, wanted.etag, localPath).catch((error: unknown) => {
				if (error instanceof HeadraceError && error.code === "E_CORRUPT_FILE") return null;
				throw error;
			});
			if (sha256 !== null && (wanted.sha256 === undefined || wanted.sha256 === sha256)) break;
			if (read === READS_MAX) throw corrupt(access, key);
		}
	} catch (error) {
		await discard();
		throw error;
	}
	return { localPath, [Symbol.asyncDispose]: discard };
}

async function downloadOnce(
	access: S3Access,
	key: string,
	etag: string | undefined,
	localPath: string,
): Promise<string> {
	const deed = { doing: `reading ${key}`, action: "s3:GetObject", key };
	return access.request(deed, async (client, { GetObjectCommand }) => {
		try {
			const { Body, ContentLength } = await client.send(
				new GetObjectCommand({
					Bucket: access.options.bucket,
					Key: key,
					...(etag === undefined ? {} : { IfMatch: etag }),
				}),
			);
			const hash = createHash("sha256");
			let bytes = 0;
			const measured = async function* (pieces: AsyncIterable<Buffer>) {
				for await (const piece of pieces) {
					hash.update(piece);
					bytes += piece.length;
					yield piece;
				}
			};
			const target = createWriteStream(localPath, { mode: 0o600, highWaterMark: 1 << 20 });
			await unlessIdle(Body as Readable, access.patience.idleTimeoutMs, (body) => pipeline(body, measured, target));
			if (bytes !== ContentLength) throw shortBody(key);
			return hash.digest("hex");
		} catch (error) {
			throw translated(error, access, key);
		}
	});
}

/** The whole of a small object; null when there is none. */
export async function readObject(access: S3Access, key: string): Promise<Buffer | null> {
	const deed = { doing: `reading ${key}`, action: "s3:GetObject", key };
	return access.request(deed, async (client, { GetObjectCommand }) => {
		try {
			const { Body, ContentLength } = await client.send(
				new GetObjectCommand({ Bucket: access.options.bucket, Key: key }),
			);
			const pieces: Buffer[] = [];
			await unlessIdle(Body as Readable, access.patience.idleTimeoutMs, async (body) => {
				for await (const piece of body as AsyncIterable<Buffer>) pieces.push(piece);
			});
			const content = Buffer.concat(pieces);
			if (content.length !== ContentLength) throw shortBody(key);
			return content;
		} catch (error) {
			if (isMissing(error)) return null;
			throw error;
		}
	});
}

function corrupt(access: S3Access, key: string, cause?: unknown): HeadraceError {
	return new HeadraceError("E_CORRUPT_FILE", `${key} in s3://${access.options.bucket} is not what was written`, {
		file: key,
		hint: "Run again: what was staged is extracted anew.",
		cause,
	});
}

function shortBody(key: string): HeadraceError {
	return new HeadraceError("E_CONNECTION_LOST", `the answer ended before all of ${key} had come`);
}

function translated(error: unknown, access: S3Access, key: string): unknown {
	if (isMissing(error))
		return new HeadraceError("E_FILE_NOT_FOUND", `${key} is not in s3://${access.options.bucket}`, {
			file: key,
			hint: "It was removed by another run or by hand; run again.",
		});
	if (errorName(error) === "PreconditionFailed")
		return new HeadraceError("E_CONFLICT", `${key} in s3://${access.options.bucket} was replaced while it was read`, {
			file: key,
		});
	// The SDK compares what came with the checksum that S3 keeps.
	if (/checksum mismatch/i.test((error as Error).message)) return corrupt(access, key, error);
	const { code } = error as NodeJS.ErrnoException;
	if (code === "ENOSPC" || code === "EDQUOT")
		return new HeadraceError("E_NO_SPACE", `no space left for ${key} in ${access.options.temporaryDirectory}`, {
			cause: error,
		});
	return error;
}

/** Ends a body that stalls: the SDK's own timeout ends with the head of the answer. */
async function unlessIdle<T>(body: Readable, idleMs: number, use: (body: Readable) => Promise<T>): Promise<T> {
	let last = Date.now();
	const push = body.push;
	body.push = function (this: Readable, ...given: Parameters<Readable["push"]>) {
		last = Date.now();
		return push.apply(this, given);
	};
	const watch = setInterval(
		() => {
			// A reader that takes nothing is no stalled server.
			if (body.readableFlowing === false || body.readableLength > 0) last = Date.now();
			if (Date.now() - last > idleMs)
				body.destroy(new HeadraceError("E_TIMEOUT", `nothing came for ${idleMs / 1000} seconds`));
		},
		Math.max(20, Math.min(1000, idleMs / 4)),
	);
	try {
		return await use(body);
	} finally {
		clearInterval(watch);
	}
}
