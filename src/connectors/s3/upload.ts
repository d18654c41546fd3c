import { createHash } from "node:crypto";
import { createReadStream, type ReadStream } from "node:fs";
import type { CompletedPart } from "@aws-sdk/client-s3";
import { crashPoint, HeadraceError } from "../../core/index.ts";
import type { S3Access } from "./client.ts";
import { errorName, isMissing } from "./errors.ts";

/** Up to here a file goes as one request, whose SHA-256 S3 compares and keeps. */
const SINGLE_BYTES_MAX = 64 << 20;
const PART_BYTES_MIN = 16 << 20;
/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html */
const PARTS_MAX = 10_000;
const OBJECT_BYTES_MAX = 5 * 1024 ** 4;
/** The whole file's SHA-256, for objects of several parts: S3 keeps only one made of the parts'. */
export const DIGEST_METADATA = "headrace-sha256";

export interface LocalFile {
	readonly localPath: string;
	readonly bytes: number;
	/** Hexadecimal. */
	readonly sha256: string;
}

export interface Encryption {
	readonly ServerSideEncryption?: "aws:kms";
	readonly SSEKMSKeyId?: string;
}

/** What asks S3 to encrypt with the connection's key; nothing when the bucket decides. */
export function encryptionOf({ options }: S3Access): Encryption {
	return options.kmsKey === undefined ? {} : { ServerSideEncryption: "aws:kms", SSEKMSKeyId: options.kmsKey };
}

/** Sends a file from the disk; S3 compares SHA-256 of all that arrives. An object of that name is replaced. */
export async function uploadFile(access: S3Access, key: string, file: LocalFile): Promise<void> {
	if (file.bytes > OBJECT_BYTES_MAX)
		throw new HeadraceError("E_TOO_LARGE", `${key} is larger than an object of S3 may be`, {
			hint: "Stage smaller files.",
		});
	if (file.bytes > SINGLE_BYTES_MAX) await uploadParts(access, key, file);
	else
		await access.request({ doing: `writing ${key}`, action: "s3:PutObject", key }, (client, { PutObjectCommand }) =>
			withStream(file.localPath, 0, file.bytes, (Body) =>
				client.send(
					new PutObjectCommand({
						Bucket: access.options.bucket,
						Key: key,
						Body,
						ContentLength: file.bytes,
						ChecksumSHA256: Buffer.from(file.sha256, "hex").toString("base64"),
						Metadata: { [DIGEST_METADATA]: file.sha256 },
						...encryptionOf(access),
					}),
				),
			),
		);
	crashPoint("s3-file-sent");
}

/** Size of the parts: as small as may be, for what is lost with a broken connection, and few enough. */
export function partBytesOf(bytes: number): number {
	return Math.max(PART_BYTES_MIN, Math.ceil(bytes / PARTS_MAX / (1 << 20)) * (1 << 20));
}

async function uploadParts(access: S3Access, key: string, file: LocalFile): Promise<void> {
	const { bucket } = access.options;
	const deed = { doing: `writing ${key}`, action: "s3:PutObject", key };
	const partBytes = partBytesOf(file.bytes);
	const begun = await access.request(deed, (client, { CreateMultipartUploadCommand }) =>
		client.send(
			new CreateMultipartUploadCommand({
				Bucket: bucket,
				Key: key,
				ChecksumAlgorithm: "SHA256",
				Metadata: { [DIGEST_METADATA]: file.sha256 },
				...encryptionOf(access),
			}),
		),
	);
	const UploadId = begun.UploadId!;
	const stopped = new AbortController();
	const sendPart = async (index: number): Promise<CompletedPart> => {
		const from = index * partBytes;
		const end = Math.min(from + partBytes, file.bytes);
		const ChecksumSHA256 = await digestRange(file.localPath, from, end);
		const sent = await access.request(deed, (client, { UploadPartCommand }) =>
			withStream(file.localPath, from, end, (Body) =>
				client.send(
					new UploadPartCommand({
						Bucket: bucket,
						Key: key,
						UploadId,
						PartNumber: index + 1,
						Body,
						ContentLength: end - from,
						ChecksumSHA256,
					}),
					{ abortSignal: stopped.signal },
				),
			),
		);
		crashPoint("s3-part-sent");
		return { PartNumber: index + 1, ETag: sent.ETag!, ChecksumSHA256 };
	};
	try {
		const sends = Array.from({ length: Math.ceil(file.bytes / partBytes) }, (_, index) => sendPart(index));
		for (const send of sends) send.catch(() => stopped.abort());
		const ends = await Promise.allSettled(sends);
		const failed = ends.filter((end) => end.status === "rejected").map((end) => end.reason as unknown);
		// Those that were stopped because of another one say nothing.
		if (failed.length > 0) throw failed.find((error) => !isAbort(error)) ?? failed[0];
		const Parts = ends.flatMap((end) => (end.status === "fulfilled" ? [end.value] : []));
		crashPoint("c04");
		await access.request(deed, async (client, { CompleteMultipartUploadCommand }) => {
			try {
				await client.send(
					new CompleteMultipartUploadCommand({ Bucket: bucket, Key: key, UploadId, MultipartUpload: { Parts } }),
				);
			} catch (error) {
				// An earlier try was done and its answer lost, when the object is the file's.
				if (errorName(error) !== "NoSuchUpload" || (await lookAt(access, key, file)) !== "same") throw error;
			}
		});
	} catch (error) {
		await abortUpload(access, key, UploadId).catch(() => {});
		throw error;
	}
}

function isAbort(error: unknown): boolean {
	return errorName(error instanceof HeadraceError ? error.cause : error) === "AbortError";
}

export async function abortUpload(access: S3Access, key: string, UploadId: string): Promise<void> {
	const deed = { doing: `taking back the upload of ${key}`, action: "s3:AbortMultipartUpload", key };
	await access.request(deed, async (client, { AbortMultipartUploadCommand }) => {
		try {
			await client.send(new AbortMultipartUploadCommand({ Bucket: access.options.bucket, Key: key, UploadId }));
		} catch (error) {
			if (errorName(error) !== "NoSuchUpload") throw error;
		}
	});
}

/** Whether the object is the one that was sent: its size and SHA-256, asked of S3 without reading it. */
export async function lookAt(
	access: S3Access,
	key: string,
	file: Omit<LocalFile, "localPath">,
): Promise<"same" | "other" | "gone"> {
	const head = await access.request(
		{ doing: `looking at ${key}`, action: "s3:GetObject", key },
		async (client, { HeadObjectCommand }) => {
			try {
				return await client.send(
					new HeadObjectCommand({ Bucket: access.options.bucket, Key: key, ChecksumMode: "ENABLED" }),
				);
			} catch (error) {
				if (isMissing(error)) return null;
				throw error;
			}
		},
	);
	if (head === null) return "gone";
	const { ContentLength, ChecksumSHA256, Metadata } = head;
	// S3's own is of the whole file when it is not made of its parts': then it ends in their number.
	const isWhole = ChecksumSHA256 !== undefined && !/-\d+$/.test(ChecksumSHA256);
	const sha256 = isWhole ? Buffer.from(ChecksumSHA256, "base64").toString("hex") : Metadata?.[DIGEST_METADATA];
	return ContentLength === file.bytes && sha256 === file.sha256 ? "same" : "other";
}

/** A stream of a part of a file for one request; closed when it fails, so that no descriptor stays. */
async function withStream<T>(
	path: string,
	from: number,
	end: number,
	send: (body: ReadStream | "") => Promise<T>,
): Promise<T> {
	if (from === end) return send("");
	const stream = createReadStream(path, { start: from, end: end - 1, highWaterMark: 256 << 10 });
	try {
		return await send(stream);
	} finally {
		stream.destroy();
	}
}

async function digestRange(path: string, from: number, end: number): Promise<string> {
	const hash = createHash("sha256");
	const stream = createReadStream(path, { start: from, end: end - 1, highWaterMark: 1 << 20 });
	for await (const piece of stream as AsyncIterable<Buffer>) hash.update(piece);
	return hash.digest("base64");
}
