import { randomBytes } from "node:crypto";
import { S3Error } from "./errors.ts";
import {
	type Answer,
	authorizeKey,
	authorizeObject,
	type Exchange,
	header,
	mayOnBucket,
	parameter,
	theBucket,
} from "./exchange.ts";
import { ObjectBytes } from "./object-bytes.ts";
import { checksumHeader, receive, receiveDocument } from "./receive.ts";
import { type Bucket, bucketOf, type Encryption, type ObjectVersion } from "./world.ts";
import { childText, document, element, parseXml } from "./xml.ts";

const KEY_BYTES_MAX = 1024;
const METADATA_BYTES_MAX = 2048;
const DELETE_KEYS_MAX = 1000;
const COPY_BYTES_MAX = 5 * 1024 ** 3;
const KEPT_HEADERS = ["content-type", "content-disposition", "content-language", "cache-control", "expires"];

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html */
export async function putObject(exchange: Exchange): Promise<Answer> {
	authorizeObject(exchange, "s3:PutObject");
	const bucket = theBucket(exchange);
	const { key } = exchange;
	checkKey(key);
	const headers = keptHeaders(exchange);
	const encryption = encryptionOf(exchange);
	checkWriteConditions(exchange, bucket);
	const { content, md5, checksum, ownChecksum } = await receive(exchange);
	try {
		// Decided when the write ends: of two at once the one that ends first wins.
		checkWriteConditions(exchange, bucket);
	} catch (error) {
		await content.release();
		throw error;
	}
	const version: ObjectVersion = {
		key,
		versionId: bucket.newVersionId(),
		deleteMarker: false,
		content,
		etag: etagOf(md5, encryption),
		modifiedAtMs: exchange.world.nowMs(),
		checksum:
			checksum === null
				? { algorithm: "CRC64NVME", value: ownChecksum!, type: "FULL_OBJECT" }
				: { ...checksum, type: "FULL_OBJECT" },
		headers,
		encryption,
	};
	await bucket.add(version);
	return {
		status: 200,
		headers: {
			ETag: version.etag,
			...versionHeaders(version),
			...encryptionHeaders(encryption),
			...checksumHeaders(version),
		},
	};
}

/** Objects encrypted with KMS have an ETag that is no MD5: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html */
export function etagOf(md5: Buffer, encryption: Encryption, suffix = ""): string {
	return `"${(encryption.algorithm === "aws:kms" ? randomBytes(16) : md5).toString("hex")}${suffix}"`;
}

export function checkKey(key: string): void {
	if (Buffer.byteLength(key) > KEY_BYTES_MAX) throw new S3Error("KeyTooLongError");
}

export function keptHeaders(exchange: Exchange): Record<string, string> {
	const kept: Record<string, string> = {};
	for (const name of KEPT_HEADERS) {
		const value = header(exchange, name);
		if (value !== undefined) kept[name] = value;
	}
	kept["content-type"] ??= "binary/octet-stream";
	// `aws-chunked` is how the request was sent, not how the object is encoded.
	const encoding = (header(exchange, "content-encoding") ?? "").split(",").map((part) => part.trim());
	const rest = encoding.filter((part) => part !== "" && part !== "aws-chunked");
	if (rest.length > 0) kept["content-encoding"] = rest.join(",");
	let metadataBytes = 0;
	for (const name of Object.keys(exchange.message.headers)) {
		if (!name.startsWith("x-amz-meta-")) continue;
		kept[name] = header(exchange, name)!;
		metadataBytes += name.length - "x-amz-meta-".length + Buffer.byteLength(kept[name]);
	}
	if (metadataBytes > METADATA_BYTES_MAX) throw new S3Error("MetadataTooLarge");
	return kept;
}

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/specifying-kms-encryption.html */
export function encryptionOf(exchange: Exchange): Encryption {
	const algorithm = header(exchange, "x-amz-server-side-encryption") ?? "AES256";
	const keyId = header(exchange, "x-amz-server-side-encryption-aws-kms-key-id");
	if (algorithm !== "AES256" && algorithm !== "aws:kms")
		throw new S3Error("InvalidArgument", "The encryption method specified is not supported");
	if (algorithm === "AES256") {
		if (keyId !== undefined)
			throw new S3Error(
				"InvalidArgument",
				"Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms",
			);
		return { algorithm, bucketKey: false };
	}
	const key = keyId ?? `arn:aws:kms:${exchange.world.region}:000000000000:alias/aws/s3`;
	if (keyId !== undefined && !exchange.world.kmsKeys.has(keyId))
		throw new S3Error("KMS.NotFoundException", `Key '${keyId}' does not exist`);
	authorizeKey(exchange, "kms:GenerateDataKey", key);
	return {
		algorithm,
		keyId: key,
		bucketKey: header(exchange, "x-amz-server-side-encryption-bucket-key-enabled") === "true",
	};
}

export function encryptionHeaders(encryption: Encryption): Record<string, string> {
	if (encryption.algorithm === "AES256") return { "x-amz-server-side-encryption": "AES256" };
	return {
		"x-amz-server-side-encryption": "aws:kms",
		"x-amz-server-side-encryption-aws-kms-key-id": encryption.keyId!,
		...(encryption.bucketKey ? { "x-amz-server-side-encryption-bucket-key-enabled": "true" } : {}),
	};
}

export function versionHeaders(version: ObjectVersion): Record<string, string> {
	return version.versionId === "null" ? {} : { "x-amz-version-id": version.versionId };
}

export function checksumHeaders({ checksum }: ObjectVersion): Record<string, string> {
	if (checksum === null) return {};
	return { [checksumHeader(checksum.algorithm)]: checksum.value, "x-amz-checksum-type": checksum.type };
}

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html */
export function checkWriteConditions(exchange: Exchange, bucket: Bucket): void {
	const noneMatch = header(exchange, "if-none-match");
	const match = header(exchange, "if-match");
	const current = bucket.current(exchange.key);
	if (noneMatch !== undefined) {
		if (noneMatch !== "*") throw new S3Error("NotImplemented", undefined, { Header: "If-None-Match" });
		if (current !== null) throw new S3Error("PreconditionFailed", undefined, { Condition: "If-None-Match" });
	}
	if (match !== undefined) {
		if (current === null) throw new S3Error("NoSuchKey", undefined, { Key: exchange.key });
		if (unquoted(current.etag) !== unquoted(match))
			throw new S3Error("PreconditionFailed", undefined, { Condition: "If-Match" });
	}
}

export const unquoted = (etag: string): string => etag.replaceAll('"', "");

function findVersion(exchange: Exchange): ObjectVersion {
	const bucket = theBucket(exchange);
	const versionId = parameter(exchange, "versionId");
	authorizeObject(exchange, versionId === undefined ? "s3:GetObject" : "s3:GetObjectVersion");
	if (versionId !== undefined) {
		const found = bucket.objects.get(exchange.key)?.find((version) => version.versionId === versionId);
		if (found === undefined) throw new S3Error("NoSuchVersion", undefined, { Key: exchange.key, VersionId: versionId });
		if (found.deleteMarker) throw new S3Error("MethodNotAllowed");
		return found;
	}
	const found = bucket.current(exchange.key);
	if (found !== null) return found;
	// Who may not list must not learn what is not there: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
	const why = mayOnBucket(exchange, "s3:ListBucket", { "s3:prefix": exchange.key });
	if (why !== null) throw new S3Error("AccessDenied", why);
	throw new S3Error("NoSuchKey", undefined, { Key: exchange.key });
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html; HeadObject is the same without the body. */
export async function getObject(exchange: Exchange): Promise<Answer> {
	const version = findVersion(exchange);
	if (version.encryption.keyId !== undefined) authorizeKey(exchange, "kms:Decrypt", version.encryption.keyId);
	const modifiedAt = new Date(Math.floor(version.modifiedAtMs / 1000) * 1000);
	const headers: Record<string, string | number> = {
		"Last-Modified": modifiedAt.toUTCString(),
		ETag: version.etag,
		"Accept-Ranges": "bytes",
		...versionHeaders(version),
		...version.headers,
		...encryptionHeaders(version.encryption),
	};
	if (unmodified(exchange, version, modifiedAt)) return { status: 304, headers };
	for (const [name, value] of exchange.query)
		if (name.startsWith("response-")) headers[name.slice("response-".length)] = value;
	const range = rangeOf(header(exchange, "range"), version.content.bytes);
	const { from, end } = range ?? { from: 0, end: version.content.bytes };
	if (range !== null) headers["Content-Range"] = `bytes ${from}-${end - 1}/${version.content.bytes}`;
	else if (header(exchange, "x-amz-checksum-mode") === "ENABLED") Object.assign(headers, checksumHeaders(version));
	return {
		status: range === null ? 200 : 206,
		headers,
		body: { bytes: end - from, content: version.content.read(from, end) },
	};
}

/** The order of RFC 7232 §6, as the GetObject page states it. */
function unmodified(exchange: Exchange, version: ObjectVersion, modifiedAt: Date): boolean {
	const match = header(exchange, "if-match");
	const noneMatch = header(exchange, "if-none-match");
	const since = header(exchange, "if-modified-since");
	const until = header(exchange, "if-unmodified-since");
	const has = (list: string) =>
		list.split(",").some((etag) => ["*", unquoted(version.etag)].includes(unquoted(etag.trim())));
	if (match !== undefined) {
		if (!has(match)) throw new S3Error("PreconditionFailed", undefined, { Condition: "If-Match" });
	} else if (until !== undefined && modifiedAt.getTime() > Date.parse(until))
		throw new S3Error("PreconditionFailed", undefined, { Condition: "If-Unmodified-Since" });
	if (noneMatch !== undefined) return has(noneMatch);
	return since !== undefined && modifiedAt.getTime() <= Date.parse(since);
}

/** One range only, as S3 has it; a range that is not understood is ignored (RFC 7233 §3.1). */
function rangeOf(text: string | undefined, bytes: number): { from: number; end: number } | null {
	const match = /^bytes=(\d*)-(\d*)$/.exec(text ?? "");
	if (match === null || (match[1] === "" && match[2] === "")) return null;
	const from = match[1] === "" ? Math.max(bytes - Number(match[2]), 0) : Number(match[1]);
	const end = match[1] === "" || match[2] === "" ? bytes : Math.min(Number(match[2]) + 1, bytes);
	if (match[1] !== "" && match[2] !== "" && Number(match[2]) < from) return null;
	if (from >= bytes || from >= end)
		throw new S3Error("InvalidRange", undefined, { RangeRequested: text!, ActualObjectSize: String(bytes) });
	return { from, end };
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html: what is not there is deleted too. */
export async function deleteObject(exchange: Exchange): Promise<Answer> {
	const versionId = parameter(exchange, "versionId");
	authorizeObject(exchange, versionId === undefined ? "s3:DeleteObject" : "s3:DeleteObjectVersion");
	const done = await remove(exchange, exchange.key, versionId);
	return { status: 204, headers: done };
}

async function remove(exchange: Exchange, key: string, versionId: string | undefined): Promise<Record<string, string>> {
	const bucket = theBucket(exchange);
	if (versionId !== undefined) {
		const removed = await bucket.removeVersion(key, versionId);
		return {
			"x-amz-version-id": versionId,
			...(removed?.deleteMarker === true ? { "x-amz-delete-marker": "true" } : {}),
		};
	}
	if (bucket.versioning === null) {
		await bucket.removeVersion(key, "null");
		return {};
	}
	const marker: ObjectVersion = {
		key,
		versionId: bucket.newVersionId(),
		deleteMarker: true,
		content: ObjectBytes.of(new Uint8Array()),
		etag: "",
		modifiedAtMs: exchange.world.nowMs(),
		checksum: null,
		headers: {},
		encryption: { algorithm: "AES256", bucketKey: false },
	};
	await bucket.add(marker);
	return { "x-amz-delete-marker": "true", "x-amz-version-id": marker.versionId };
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html */
export async function deleteObjects(exchange: Exchange): Promise<Answer> {
	theBucket(exchange);
	const request = parseXml(await receiveDocument(exchange, true));
	const objects = request.children.filter(({ name }) => name === "Object");
	if (request.name !== "Delete" || objects.length === 0 || objects.length > DELETE_KEYS_MAX)
		throw new S3Error("MalformedXML");
	const quiet = childText(request, "Quiet") === "true";
	const results: string[] = [];
	for (const object of objects) {
		const key = childText(object, "Key");
		const versionId = childText(object, "VersionId");
		if (key === undefined || key === "") throw new S3Error("MalformedXML");
		try {
			authorizeObject(exchange, versionId === undefined ? "s3:DeleteObject" : "s3:DeleteObjectVersion", key);
			await remove(exchange, key, versionId);
			if (!quiet) results.push(element("Deleted", [element("Key", key)]));
		} catch (error) {
			if (!(error instanceof S3Error)) throw error;
			results.push(
				element("Error", [element("Key", key), element("Code", error.code), element("Message", error.message)]),
			);
		}
	}
	return { status: 200, body: document("DeleteResult", results) };
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html */
export async function copyObject(exchange: Exchange): Promise<Answer> {
	const text = header(exchange, "x-amz-copy-source")!;
	const match = /^\/?([^/]+)\/([^?]+)$/.exec(text);
	if (match === null)
		throw new S3Error("InvalidArgument", "Copy Source must mention the source bucket and key: sourcebucket/sourcekey");
	const [fromBucket, fromKey] = [match[1]!, decodeURIComponent(match[2]!)];
	authorizeObject(exchange, "s3:GetObject", fromKey, fromBucket);
	authorizeObject(exchange, "s3:PutObject");
	checkKey(exchange.key);
	const bucket = theBucket(exchange);
	const source = bucketOf(exchange.world, fromBucket).current(fromKey);
	if (source === null) throw new S3Error("NoSuchKey", undefined, { Key: fromKey });
	const replaces = header(exchange, "x-amz-metadata-directive") === "REPLACE";
	const encryption = encryptionOf(exchange);
	if (
		fromBucket === exchange.bucketName &&
		fromKey === exchange.key &&
		!replaces &&
		encryption.algorithm === source.encryption.algorithm
	)
		throw new S3Error(
			"InvalidRequest",
			"This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
		);
	if (source.content.bytes > COPY_BYTES_MAX)
		throw new S3Error(
			"InvalidRequest",
			"The specified copy source is larger than the maximum allowable size for a copy source: 5368709120",
		);
	const wanted = header(exchange, "x-amz-copy-source-if-match");
	if (wanted !== undefined && unquoted(wanted) !== unquoted(source.etag)) throw new S3Error("PreconditionFailed");
	checkWriteConditions(exchange, bucket);
	const version: ObjectVersion = {
		...source,
		key: exchange.key,
		versionId: bucket.newVersionId(),
		content: ObjectBytes.of(await source.content.all()),
		etag:
			/-\d+"$/.test(source.etag) || encryption.algorithm === "aws:kms"
				? etagOf(randomBytes(16), encryption)
				: source.etag,
		modifiedAtMs: exchange.world.nowMs(),
		headers: replaces ? keptHeaders(exchange) : source.headers,
		encryption,
	};
	await bucket.add(version);
	return {
		status: 200,
		headers: { ...versionHeaders(version), ...encryptionHeaders(encryption) },
		body: document("CopyObjectResult", [
			element("LastModified", new Date(version.modifiedAtMs).toISOString()),
			element("ETag", version.etag),
		]),
	};
}
