import { createHash, randomBytes } from "node:crypto";
import { CHECKSUM_ALGORITHMS, type ChecksumAlgorithm, startChecksum } from "./checksums.ts";
import { S3Error } from "./errors.ts";
import {
	type Answer,
	authorizeBucket,
	authorizeKey,
	authorizeObject,
	type Exchange,
	header,
	parameter,
	theBucket,
} from "./exchange.ts";
import { pageOf } from "./listing.ts";
import { ObjectBytes } from "./object-bytes.ts";
import {
	checkKey,
	checkWriteConditions,
	encryptionHeaders,
	encryptionOf,
	etagOf,
	keptHeaders,
	unquoted,
	versionHeaders,
} from "./objects.ts";
import { checksumHeader, receive, receiveDocument } from "./receive.ts";
import {
	compareUtf8,
	type MultipartUpload,
	type ObjectVersion,
	type StoredChecksum,
	type UploadedPart,
} from "./world.ts";
import { childText, document, element, parseXml, type XmlElement } from "./xml.ts";

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html */
const PART_BYTES_MIN = 5 << 20;
const PART_NUMBER_MAX = 10_000;
const PARTS_PAGE = 1000;

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html */
export async function createMultipartUpload(exchange: Exchange): Promise<Answer> {
	authorizeObject(exchange, "s3:PutObject");
	checkKey(exchange.key);
	const text = header(exchange, "x-amz-checksum-algorithm");
	const algorithm = text === undefined ? null : CHECKSUM_ALGORITHMS.find((name) => name === text);
	if (algorithm === undefined) throw new S3Error("InvalidRequest", "Checksum algorithm provided is unsupported.");
	const encryption = encryptionOf(exchange);
	const upload: MultipartUpload = {
		id: randomBytes(32).toString("base64url"),
		key: exchange.key,
		startedAtMs: exchange.world.nowMs(),
		algorithm,
		checksumType: checksumTypeOf(algorithm, header(exchange, "x-amz-checksum-type")),
		headers: keptHeaders(exchange),
		encryption,
		parts: new Map(),
		completing: false,
	};
	theBucket(exchange).uploads.set(upload.id, upload);
	return {
		status: 200,
		headers: {
			...encryptionHeaders(encryption),
			...(algorithm === null
				? {}
				: { "x-amz-checksum-algorithm": algorithm, "x-amz-checksum-type": upload.checksumType! }),
		},
		body: document("InitiateMultipartUploadResult", [
			element("Bucket", exchange.bucketName),
			element("Key", exchange.key),
			element("UploadId", upload.id),
		]),
	};
}

/** The table of https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html */
function checksumTypeOf(
	algorithm: ChecksumAlgorithm | null,
	asked: string | undefined,
): MultipartUpload["checksumType"] {
	if (algorithm === null) {
		if (asked !== undefined)
			throw new S3Error(
				"InvalidRequest",
				"The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.",
			);
		return null;
	}
	const type = asked ?? (algorithm === "CRC64NVME" ? "FULL_OBJECT" : "COMPOSITE");
	if (type !== "FULL_OBJECT" && type !== "COMPOSITE")
		throw new S3Error("InvalidRequest", "Value for x-amz-checksum-type header is invalid.");
	const impossible = type === "FULL_OBJECT" ? algorithm.startsWith("SHA") : algorithm === "CRC64NVME";
	if (impossible)
		throw new S3Error(
			"InvalidRequest",
			`The ${type} checksum type cannot be used with the ${algorithm.toLowerCase()} checksum algorithm.`,
		);
	return type;
}

function theUpload(exchange: Exchange): MultipartUpload {
	const upload = theBucket(exchange).uploads.get(parameter(exchange, "uploadId") ?? "");
	if (upload === undefined || upload.key !== exchange.key)
		throw new S3Error("NoSuchUpload", undefined, { UploadId: parameter(exchange, "uploadId") ?? "" });
	return upload;
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html */
export async function uploadPart(exchange: Exchange): Promise<Answer> {
	authorizeObject(exchange, "s3:PutObject");
	const upload = theUpload(exchange);
	const number = Number(parameter(exchange, "partNumber"));
	if (!Number.isInteger(number) || number < 1 || number > PART_NUMBER_MAX)
		throw new S3Error("InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive");
	// https://repost.aws/knowledge-center/s3-large-file-encryption-kms-key: parts need kms:Decrypt.
	if (upload.encryption.keyId !== undefined) authorizeKey(exchange, "kms:Decrypt", upload.encryption.keyId);
	const { content, md5, checksum } = await receive(exchange);
	if ((checksum?.algorithm ?? null) !== upload.algorithm) {
		await content.release();
		const name = (algorithm: ChecksumAlgorithm | null | undefined) => algorithm?.toLowerCase() ?? "null";
		throw new S3Error(
			"InvalidRequest",
			`Checksum Type mismatch occurred, expected checksum Type: ${name(upload.algorithm)}, actual checksum Type: ${name(checksum?.algorithm)}`,
		);
	}
	if (!theBucket(exchange).uploads.has(upload.id)) {
		await content.release();
		throw new S3Error("NoSuchUpload");
	}
	const etag = etagOf(md5, upload.encryption);
	const replaced = upload.parts.get(number);
	upload.parts.set(number, { number, content, md5, etag, checksum, modifiedAtMs: exchange.world.nowMs() });
	await replaced?.content.release();
	return {
		status: 200,
		headers: {
			ETag: etag,
			...encryptionHeaders(upload.encryption),
			...(checksum === null ? {} : { [checksumHeader(checksum.algorithm)]: checksum.value }),
		},
	};
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html */
export async function completeMultipartUpload(exchange: Exchange): Promise<Answer> {
	authorizeObject(exchange, "s3:PutObject");
	const bucket = theBucket(exchange);
	const upload = theUpload(exchange);
	const asked = upload.algorithm === null ? undefined : header(exchange, checksumHeader(upload.algorithm));
	const request = parseXml(await receiveDocument(exchange, false, "ignored"));
	const listed = request.children.filter(({ name }) => name === "Part");
	if (request.name !== "CompleteMultipartUpload" || listed.length === 0) throw new S3Error("MalformedXML");
	const parts = chosenParts(upload, listed);
	const content = ObjectBytes.concat(parts.map((part) => part.content));
	const objectSize = header(exchange, "x-amz-mp-object-size");
	if (objectSize !== undefined && Number(objectSize) !== content.bytes)
		throw new S3Error("InvalidRequest", "The provided 'x-amz-mp-object-size' header does not match what was computed.");
	const checksum = await checksumOf(upload, parts, content);
	if (asked !== undefined && asked.replace(/-\d+$/, "") !== checksum!.value.replace(/-\d+$/, ""))
		throw new S3Error("BadDigest", `The ${upload.algorithm} you specified did not match the calculated checksum.`);
	checkWriteConditions(exchange, bucket);
	if (upload.completing) throw new S3Error("ConditionalRequestConflict");
	upload.completing = true;
	const md5 = createHash("md5")
		.update(Buffer.concat(parts.map((part) => part.md5)))
		.digest();
	const version: ObjectVersion = {
		key: exchange.key,
		versionId: bucket.newVersionId(),
		deleteMarker: false,
		content,
		etag: etagOf(md5, upload.encryption, `-${parts.length}`),
		modifiedAtMs: exchange.world.nowMs(),
		checksum,
		headers: upload.headers,
		encryption: upload.encryption,
	};
	bucket.uploads.delete(upload.id);
	for (const part of upload.parts.values()) if (!parts.includes(part)) await part.content.release();
	await bucket.add(version);
	return {
		status: 200,
		headers: { ...versionHeaders(version), ...encryptionHeaders(version.encryption) },
		body: document("CompleteMultipartUploadResult", [
			element("Location", `http://${header(exchange, "host")}/${exchange.bucketName}/${encodeURI(exchange.key)}`),
			element("Bucket", exchange.bucketName),
			element("Key", exchange.key),
			element("ETag", version.etag),
			...(checksum === null
				? []
				: [element(`Checksum${checksum.algorithm}`, checksum.value), element("ChecksumType", checksum.type)]),
		]),
	};
}

function chosenParts(upload: MultipartUpload, listed: readonly XmlElement[]): UploadedPart[] {
	let previous = 0;
	const parts = listed.map((entry) => {
		const number = Number(childText(entry, "PartNumber"));
		const part = upload.parts.get(number);
		if (number <= previous) throw new S3Error("InvalidPartOrder");
		previous = number;
		if (part === undefined || unquoted(childText(entry, "ETag") ?? "") !== unquoted(part.etag))
			throw new S3Error("InvalidPart", undefined, { UploadId: upload.id, PartNumber: String(number) });
		const given = part.checksum === null ? undefined : childText(entry, `Checksum${part.checksum.algorithm}`);
		if (given === undefined && upload.checksumType === "COMPOSITE")
			throw new S3Error(
				"InvalidRequest",
				`The upload was created using a ${upload.algorithm!.toLowerCase()} checksum. The complete request must include the checksum for each part. It was missing for part ${number} in the request.`,
			);
		if (given !== undefined && given !== part.checksum!.value)
			throw new S3Error("InvalidPart", undefined, { UploadId: upload.id, PartNumber: String(number) });
		return part;
	});
	const small = parts.slice(0, -1).find((part) => part.content.bytes < PART_BYTES_MIN);
	if (small !== undefined)
		throw new S3Error("EntityTooSmall", undefined, {
			ProposedSize: String(small.content.bytes),
			MinSizeAllowed: String(PART_BYTES_MIN),
			PartNumber: String(small.number),
		});
	return parts;
}

async function checksumOf(
	upload: MultipartUpload,
	parts: readonly UploadedPart[],
	content: ObjectBytes,
): Promise<StoredChecksum | null> {
	if (upload.algorithm === null || upload.checksumType === null) return null;
	const checksum = startChecksum(upload.algorithm);
	if (upload.checksumType === "COMPOSITE") {
		for (const part of parts) checksum.update(Buffer.from(part.checksum!.value, "base64"));
		return { algorithm: upload.algorithm, value: `${checksum.digest()}-${parts.length}`, type: "COMPOSITE" };
	}
	for await (const piece of content.read()) checksum.update(piece);
	return { algorithm: upload.algorithm, value: checksum.digest(), type: "FULL_OBJECT" };
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html */
export async function abortMultipartUpload(exchange: Exchange): Promise<Answer> {
	authorizeObject(exchange, "s3:AbortMultipartUpload");
	const upload = theUpload(exchange);
	theBucket(exchange).uploads.delete(upload.id);
	for (const part of upload.parts.values()) await part.content.release();
	return { status: 204 };
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html */
export async function listParts(exchange: Exchange): Promise<Answer> {
	authorizeObject(exchange, "s3:ListMultipartUploadParts");
	const upload = theUpload(exchange);
	const max = Math.min(Number(parameter(exchange, "max-parts") ?? PARTS_PAGE), PARTS_PAGE);
	const marker = Number(parameter(exchange, "part-number-marker") ?? 0);
	const rest = [...upload.parts.values()].filter((part) => part.number > marker).sort((a, b) => a.number - b.number);
	const page = rest.slice(0, max);
	return {
		status: 200,
		body: document("ListPartsResult", [
			element("Bucket", exchange.bucketName),
			element("Key", exchange.key),
			element("UploadId", upload.id),
			element("PartNumberMarker", marker),
			...(page.length === 0 ? [] : [element("NextPartNumberMarker", page.at(-1)!.number)]),
			element("MaxParts", max),
			element("IsTruncated", page.length < rest.length),
			...page.map((part) =>
				element("Part", [
					element("PartNumber", part.number),
					element("LastModified", new Date(part.modifiedAtMs).toISOString()),
					element("ETag", part.etag),
					element("Size", part.content.bytes),
				]),
			),
		]),
	};
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html */
export async function listMultipartUploads(exchange: Exchange): Promise<Answer> {
	const bucket = theBucket(exchange);
	const prefix = parameter(exchange, "prefix") ?? "";
	// No condition on the prefix: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
	authorizeBucket(exchange, "s3:ListBucketMultipartUploads");
	const max = Math.min(Number(parameter(exchange, "max-uploads") ?? PARTS_PAGE), PARTS_PAGE);
	const after = parameter(exchange, "key-marker") ?? "";
	const afterId = parameter(exchange, "upload-id-marker") ?? "";
	const rest = [...bucket.uploads.values()]
		.filter(({ key }) => key.startsWith(prefix))
		.sort((a, b) => compareUtf8(a.key, b.key) || a.startedAtMs - b.startedAtMs || (a.id < b.id ? -1 : 1))
		.filter(
			({ key, id }) => after === "" || compareUtf8(key, after) > 0 || (key === after && afterId !== "" && id > afterId),
		);
	const { prefixes } = pageOf(
		rest.map(({ key }) => key),
		prefix,
		parameter(exchange, "delimiter") ?? "",
		"",
		max,
	);
	if (prefixes.length > 0) throw new S3Error("NotImplemented");
	const page = rest.slice(0, max);
	return {
		status: 200,
		body: document("ListMultipartUploadsResult", [
			element("Bucket", bucket.name),
			element("Prefix", prefix),
			element("MaxUploads", max),
			element("IsTruncated", page.length < rest.length),
			...(page.length < rest.length
				? [element("NextKeyMarker", page.at(-1)!.key), element("NextUploadIdMarker", page.at(-1)!.id)]
				: []),
			...page.map(({ key, id, startedAtMs }) =>
				element("Upload", [
					element("Key", key),
					element("UploadId", id),
					element("Initiated", new Date(startedAtMs).toISOString()),
				]),
			),
		]),
	};
}
