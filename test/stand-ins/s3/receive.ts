import { createHash } from "node:crypto";
import { CHECKSUM_ALGORITHMS, type ChecksumAlgorithm, checksumWidth, startChecksum } from "./checksums.ts";
import { ChunkedDecoder } from "./chunked.ts";
import { S3Error } from "./errors.ts";
import { Cut, type Exchange, header } from "./exchange.ts";
import { type ObjectBytes, ObjectWriter } from "./object-bytes.ts";

const PUT_BYTES_MAX = 5 * 1024 ** 3;
const DOCUMENT_BYTES_MAX = 2 << 20;
const PAYLOADS = new Set([
	"UNSIGNED-PAYLOAD",
	"STREAMING-UNSIGNED-PAYLOAD-TRAILER",
	"STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
	"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
]);

export interface Received {
	readonly content: ObjectBytes;
	readonly md5: Buffer;
	/** What the client gave; null when it gave none. */
	readonly checksum: { readonly algorithm: ChecksumAlgorithm; readonly value: string } | null;
	/** CRC64NVME, which S3 computes when the client gives no checksum. */
	readonly ownChecksum: string | null;
}

interface Expected {
	readonly algorithm: ChecksumAlgorithm;
	/** Null: it comes in the trailer. */
	readonly value: string | null;
}

/**
 * Takes a request's body and compares it with every length, digest and checksum that was sent along.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html and
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
 */
export async function receive(
	exchange: Exchange,
	checksums: "of the body" | "ignored" = "of the body",
): Promise<Received> {
	const payload = exchange.signed.payload;
	const streaming = payload.startsWith("STREAMING-");
	if (!PAYLOADS.has(payload) && !/^[0-9a-f]{64}$/.test(payload))
		throw new S3Error(
			"InvalidArgument",
			"x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD or a valid sha256 value.",
		);
	const bytes = lengthOf(exchange, streaming);
	const trailers = (header(exchange, "x-amz-trailer") ?? "").split(",").map((name) => name.trim().toLowerCase());
	const trailerNames = trailers.filter((name) => name !== "");
	if (trailerNames.length > 0 && !payload.endsWith("-TRAILER")) throw new S3Error("MalformedTrailerError");
	const expected = checksums === "ignored" ? null : expectedChecksum(exchange, trailerNames);
	const algorithm = expected?.algorithm ?? "CRC64NVME";
	const decoder = streaming
		? new ChunkedDecoder(payload.includes("AWS4-HMAC") ? exchange.signed : null, trailerNames)
		: null;
	const md5 = createHash("md5");
	const sha256 = /^[0-9a-f]{64}$/.test(payload) ? createHash("sha256") : null;
	const checksum = startChecksum(algorithm);
	const writer = new ObjectWriter(exchange.world.folder);
	try {
		for await (const piece of pieces(exchange)) {
			for (const decoded of decoder === null ? [piece] : decoder.feed(piece)) {
				md5.update(decoded);
				sha256?.update(decoded);
				checksum.update(decoded);
				await writer.write(decoded);
			}
		}
		decoder?.end();
		if (writer.bytes !== bytes) throw new S3Error("IncompleteBody");
		if (sha256 !== null && sha256.digest("hex") !== payload) throw new S3Error("XAmzContentSHA256Mismatch");
		const digest = md5.digest();
		checkMd5(header(exchange, "content-md5"), digest);
		const value = checksum.digest();
		const given = expected === null ? null : (expected.value ?? decoder?.trailers.get(checksumHeader(algorithm)) ?? "");
		if (given !== null) {
			checkForm(algorithm, given);
			if (given !== value)
				throw new S3Error("BadDigest", `The ${algorithm} you specified did not match the calculated checksum.`);
		}
		const content = await writer.finish();
		return expected === null
			? { content, md5: digest, checksum: null, ownChecksum: value }
			: { content, md5: digest, checksum: { algorithm, value }, ownChecksum: null };
	} catch (error) {
		await writer.discard();
		throw error;
	}
}

export const checksumHeader = (algorithm: ChecksumAlgorithm): string => `x-amz-checksum-${algorithm.toLowerCase()}`;

/**
 * A small XML document; `digestNeeded` when S3 takes it only with a Content-MD5 or a checksum. Of
 * CompleteMultipartUpload the checksum headers speak of the object: there they are ignored.
 */
export async function receiveDocument(
	exchange: Exchange,
	digestNeeded: boolean,
	checksums: "of the body" | "ignored" = "of the body",
): Promise<string> {
	const length = Number(header(exchange, "content-length") ?? 0);
	if (length > DOCUMENT_BYTES_MAX) throw new S3Error("MalformedXML");
	const { content, checksum } = await receive(exchange, checksums);
	const text = (await content.all()).toString("utf8");
	await content.release();
	if (digestNeeded && checksum === null && header(exchange, "content-md5") === undefined)
		throw new S3Error("InvalidRequest", "Missing required header for this request: Content-MD5");
	return text;
}

async function* pieces(exchange: Exchange): AsyncGenerator<Buffer, void, undefined> {
	const { message, cutAfterBytes } = exchange;
	let seen = 0;
	const socket = message.socket;
	// An error ends the loop, and its answer still needs the connection.
	for await (const piece of message.iterator({ destroyOnReturn: false })) {
		seen += piece.length;
		if (cutAfterBytes !== null && seen >= cutAfterBytes) break;
		yield piece;
	}
	if (cutAfterBytes !== null) {
		socket.destroy();
		throw new Cut();
	}
}

function lengthOf(exchange: Exchange, streaming: boolean): number {
	const encoding = header(exchange, "transfer-encoding");
	// Only with aws-chunked: there the decoded length is what counts.
	if (encoding !== undefined && !streaming)
		throw new S3Error("NotImplemented", undefined, { Header: "Transfer-Encoding" });
	const text = header(exchange, streaming ? "x-amz-decoded-content-length" : "content-length");
	if (text === undefined) throw new S3Error("MissingContentLength");
	const bytes = Number(text);
	if (!Number.isInteger(bytes) || bytes < 0) throw new S3Error("InvalidArgument");
	if (bytes > PUT_BYTES_MAX) throw new S3Error("EntityTooLarge");
	return bytes;
}

function expectedChecksum(exchange: Exchange, trailerNames: readonly string[]): Expected | null {
	const given = CHECKSUM_ALGORITHMS.flatMap((algorithm): Expected[] => {
		const value = header(exchange, checksumHeader(algorithm));
		if (value !== undefined) return [{ algorithm, value }];
		return trailerNames.includes(checksumHeader(algorithm)) ? [{ algorithm, value: null }] : [];
	});
	if (given.length > 1)
		throw new S3Error(
			"InvalidRequest",
			"Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
		);
	const [expected = null] = given;
	if (expected?.value != null) checkForm(expected.algorithm, expected.value);
	const announced = header(exchange, "x-amz-sdk-checksum-algorithm");
	if (announced !== undefined && announced !== expected?.algorithm)
		throw new S3Error(
			"InvalidRequest",
			"x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.",
		);
	return expected;
}

function checkForm(algorithm: ChecksumAlgorithm, value: string): void {
	const bytes = Buffer.from(value, "base64");
	if (bytes.length !== checksumWidth(algorithm) || bytes.toString("base64") !== value)
		throw new S3Error("InvalidRequest", `Value for ${checksumHeader(algorithm)} header is invalid.`);
}

function checkMd5(given: string | undefined, digest: Buffer): void {
	if (given === undefined) return;
	const bytes = Buffer.from(given, "base64");
	if (bytes.length !== 16 || bytes.toString("base64") !== given) throw new S3Error("InvalidDigest");
	if (!bytes.equals(digest))
		throw new S3Error("BadDigest", "The Content-MD5 you specified did not match what we received.");
}
