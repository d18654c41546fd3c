import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import {
	AbortMultipartUploadCommand,
	CompleteMultipartUploadCommand,
	CopyObjectCommand,
	CreateMultipartUploadCommand,
	DeleteObjectCommand,
	DeleteObjectsCommand,
	GetBucketLocationCommand,
	GetObjectCommand,
	HeadBucketCommand,
	HeadObjectCommand,
	ListMultipartUploadsCommand,
	ListObjectsV2Command,
	ListObjectVersionsCommand,
	ListPartsCommand,
	PutObjectCommand,
	S3Client,
	type S3ClientConfig,
	UploadPartCommand,
} from "@aws-sdk/client-s3";
import { fromTemporaryCredentials } from "@aws-sdk/credential-providers";
import { Upload } from "@aws-sdk/lib-storage";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startChecksum } from "./checksums.ts";
import { type S3StandIn, startS3StandIn } from "./index.ts";
import { hmac, sha256Hex } from "./signature.ts";

const KEY = "arn:aws:kms:us-east-1:000000000000:key/k1";
const ROLE = "arn:aws:iam::000000000000:role/loader";
const Bucket = "lake";

let s3: S3StandIn;
beforeEach(async () => {
	s3 = await startS3StandIn({ kmsKeys: [KEY], roles: [{ arn: ROLE }] });
});
afterEach(async () => {
	await s3[Symbol.asyncDispose]();
});

function client(configuration: S3ClientConfig = {}): S3Client {
	return new S3Client({
		endpoint: s3.endpoint,
		region: s3.region,
		forcePathStyle: true,
		maxAttempts: 1,
		credentials: { accessKeyId: s3.accessKeyId, secretAccessKey: s3.secretAccessKey },
		...configuration,
	});
}

const code = (name: string) => expect.objectContaining({ name });
const bytesOf = (body: unknown) => buffer(body as Readable);
const put = (Key: string, Body: string | Uint8Array, more: object = {}) =>
	client().send(new PutObjectCommand({ Bucket, Key, Body, ...more }));

describe("S3 stand-in: objects", () => {
	it("keeps what is put, with ETag, headers and metadata, whatever the key is", async () => {
		for (const Key of ["a", "a b/ü%2E+&=?#'()*!~$;,:@", "日本/../x", "e/"]) {
			const answer = await put(Key, `of ${Key}`, { ContentType: "text/plain", Metadata: { run: "7" } });
			expect(answer.ETag).toBe(`"${createHash("md5").update(`of ${Key}`).digest("hex")}"`);
			const got = await client().send(new GetObjectCommand({ Bucket, Key }));
			expect((await bytesOf(got.Body)).toString()).toBe(`of ${Key}`);
			expect(got).toMatchObject({ ContentType: "text/plain", Metadata: { run: "7" }, ServerSideEncryption: "AES256" });
			expect(await client().send(new HeadObjectCommand({ Bucket, Key }))).toMatchObject({
				ContentLength: Buffer.byteLength(`of ${Key}`),
			});
		}
	});

	it("reads ranges, and conditions give 412 and 304", async () => {
		const { ETag } = await put("k", "0123456789");
		const get = async (more: object) => {
			const { Body, ContentRange } = await client().send(new GetObjectCommand({ Bucket, Key: "k", ...more }));
			return [(await bytesOf(Body)).toString(), ContentRange];
		};
		expect(await get({ Range: "bytes=2-4" })).toEqual(["234", "bytes 2-4/10"]);
		expect(await get({ Range: "bytes=-3" })).toEqual(["789", "bytes 7-9/10"]);
		expect(await get({ Range: "bytes=8-100" })).toEqual(["89", "bytes 8-9/10"]);
		await expect(get({ Range: "bytes=10-" })).rejects.toEqual(code("InvalidRange"));
		expect(await get({ IfMatch: ETag })).toEqual(["0123456789", undefined]);
		await expect(get({ IfMatch: '"other"' })).rejects.toEqual(code("PreconditionFailed"));
		await expect(get({ IfNoneMatch: ETag })).rejects.toMatchObject({ $metadata: { httpStatusCode: 304 } });
	});

	it("writes only when there is nothing yet; of two at once one wins", async () => {
		await put("once", "1", { IfNoneMatch: "*" });
		await expect(put("once", "1", { IfNoneMatch: "*" })).rejects.toEqual(code("PreconditionFailed"));
		const ends = await Promise.allSettled(["a", "b", "c", "d"].map((text) => put("raced", text, { IfNoneMatch: "*" })));
		expect(ends.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
		await expect(put("none", "1", { IfMatch: '"x"' })).rejects.toEqual(code("NoSuchKey"));
		await expect(put("once", "2", { IfMatch: '"x"' })).rejects.toEqual(code("PreconditionFailed"));
	});

	it("deletes one and many, and what is not there as well", async () => {
		for (const key of ["d/1", "d/2", "d/3"]) await put(key, key);
		await client().send(new DeleteObjectCommand({ Bucket, Key: "d/1" }));
		await client().send(new DeleteObjectCommand({ Bucket, Key: "d/never" }));
		const answer = await client().send(
			new DeleteObjectsCommand({ Bucket, Delete: { Objects: [{ Key: "d/2" }, { Key: "d/<&>" }] } }),
		);
		expect(answer.Deleted?.map(({ Key }) => Key)).toEqual(["d/2", "d/<&>"]);
		expect(s3.keys(Bucket)).toEqual(["d/3"]);
		const tooMany = Array.from({ length: 1001 }, (_, index) => ({ Key: String(index) }));
		await expect(client().send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: tooMany } }))).rejects.toEqual(
			code("MalformedXML"),
		);
	});

	it("copies, but not onto itself without a change", async () => {
		await put("from/ü", "x");
		await client().send(
			new CopyObjectCommand({ Bucket, Key: "to", CopySource: `lake/${encodeURIComponent("from/ü")}` }),
		);
		expect((await s3.get(Bucket, "to"))?.toString()).toBe("x");
		await expect(client().send(new CopyObjectCommand({ Bucket, Key: "to", CopySource: "lake/to" }))).rejects.toEqual(
			code("InvalidRequest"),
		);
	});

	it("names what is not there: key, bucket, operation", async () => {
		const get = (input: { Bucket: string; Key: string }) => client().send(new GetObjectCommand(input));
		await expect(get({ Bucket, Key: "none" })).rejects.toEqual(code("NoSuchKey"));
		await expect(get({ Bucket: "none", Key: "k" })).rejects.toEqual(code("NoSuchBucket"));
		await expect(client().send(new HeadObjectCommand({ Bucket, Key: "none" }))).rejects.toEqual(code("NotFound"));
		await expect(put("k".repeat(1025), "x")).rejects.toEqual(code("KeyTooLongError"));
		await client().send(new HeadBucketCommand({ Bucket }));
		expect((await client().send(new GetBucketLocationCommand({ Bucket }))).LocationConstraint).toBeUndefined();
	});

	it("keeps versions, and a deleted key has a marker", async () => {
		s3.setVersioning(Bucket, "Enabled");
		const first = await put("v", "1");
		const second = await put("v", "2");
		expect(first.VersionId).not.toBe(second.VersionId);
		await client().send(new DeleteObjectCommand({ Bucket, Key: "v" }));
		await expect(client().send(new GetObjectCommand({ Bucket, Key: "v" }))).rejects.toEqual(code("NoSuchKey"));
		const old = await client().send(new GetObjectCommand({ Bucket, Key: "v", VersionId: first.VersionId }));
		expect((await bytesOf(old.Body)).toString()).toBe("1");
		const list = await client().send(new ListObjectVersionsCommand({ Bucket }));
		expect([list.Versions?.length, list.DeleteMarkers?.length]).toEqual([2, 1]);
	});

	it("keeps SSE-KMS headers, and such an ETag is no MD5", async () => {
		const more = { ServerSideEncryption: "aws:kms", SSEKMSKeyId: KEY };
		const answer = await put("kms", "x", more);
		expect(answer.ETag).not.toContain(createHash("md5").update("x").digest("hex"));
		expect(await client().send(new HeadObjectCommand({ Bucket, Key: "kms" }))).toMatchObject(more);
		await expect(put("kms", "x", { ...more, SSEKMSKeyId: "arn:aws:kms:us-east-1:1:key/none" })).rejects.toEqual(
			code("KMS.NotFoundException"),
		);
	});
});

describe("S3 stand-in: lists", () => {
	it("pages in the order of bytes, with delimiter, start and encoding", async () => {
		const keys = ["a/1", "a/2", "b/1", "b/c/1", "c", "z\u{10000}", "z\uffff", "ä", "with space"];
		for (const key of keys) await s3.put(Bucket, key, key);
		const sorted = keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
		for (const EncodingType of [undefined, "url"] as const) {
			const found: string[] = [];
			for (let ContinuationToken: string | undefined, pages = 0; ; pages++) {
				const page = await client().send(
					new ListObjectsV2Command({ Bucket, MaxKeys: 2, ContinuationToken, EncodingType }),
				);
				expect(page.KeyCount).toBe(page.Contents?.length);
				for (const { Key } of page.Contents ?? [])
					found.push(EncodingType === "url" ? decodeURIComponent(Key!.replaceAll("+", " ")) : Key!);
				ContinuationToken = page.NextContinuationToken;
				if (page.IsTruncated !== true) {
					expect(pages).toBe(4);
					break;
				}
			}
			expect(found).toEqual(sorted);
		}
		const list = (more: object) => client().send(new ListObjectsV2Command({ Bucket, ...more }));
		const top = await list({ Delimiter: "/" });
		expect(top.CommonPrefixes?.map(({ Prefix }) => Prefix)).toEqual(["a/", "b/"]);
		const second = await list({ Delimiter: "/", MaxKeys: 1 });
		const rest = await list({ Delimiter: "/", ContinuationToken: second.NextContinuationToken });
		expect([second.CommonPrefixes?.[0]?.Prefix, rest.CommonPrefixes?.map(({ Prefix }) => Prefix)]).toEqual([
			"a/",
			["b/"],
		]);
		expect((await list({ Prefix: "b/", Delimiter: "/" })).Contents?.map(({ Key }) => Key)).toEqual(["b/1"]);
		expect((await list({ StartAfter: "b/c/1", MaxKeys: 1 })).Contents?.map(({ Key }) => Key)).toEqual(["c"]);
		await expect(list({ ContinuationToken: "made up" })).rejects.toEqual(code("InvalidArgument"));
	});

	it("gives at most 1,000 keys a page", async () => {
		for (let index = 0; index < 1001; index++) await s3.put(Bucket, `k${index}`, "");
		const page = await client().send(new ListObjectsV2Command({ Bucket, MaxKeys: 5000 }));
		expect([page.KeyCount, page.IsTruncated]).toEqual([1000, true]);
	});
});

describe("S3 stand-in: uploads in parts", () => {
	const part = (index: number, bytes = 5 << 20) => Buffer.alloc(bytes, index);
	const begin = async (Key: string, more: object = {}) =>
		(await client().send(new CreateMultipartUploadCommand({ Bucket, Key, ...more }))).UploadId!;
	const send = async (Key: string, UploadId: string, PartNumber: number, Body: Buffer, more: object = {}) => {
		const plain = client({ requestChecksumCalculation: "WHEN_REQUIRED" });
		const { ETag, ChecksumSHA256, ChecksumCRC32 } = await plain.send(
			new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body, ...more }),
		);
		return { PartNumber, ETag, ChecksumSHA256, ChecksumCRC32 };
	};
	const complete = (Key: string, UploadId: string, Parts: object[], more: object = {}) =>
		client().send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts }, ...more }));

	it("puts them together, whatever order they came in, and a part that came twice counts once", async () => {
		const UploadId = await begin("m");
		const last = await send("m", UploadId, 2, part(2, 10));
		await send("m", UploadId, 1, part(9));
		const first = await send("m", UploadId, 1, part(1));
		expect((await client().send(new ListMultipartUploadsCommand({ Bucket }))).Uploads?.[0]?.UploadId).toBe(UploadId);
		const listed = await client().send(new ListPartsCommand({ Bucket, Key: "m", UploadId }));
		expect(listed.Parts?.map(({ Size }) => Size)).toEqual([5 << 20, 10]);
		expect(s3.keys(Bucket)).toEqual([]);
		expect((await complete("m", UploadId, [first, last])).ETag).toMatch(/-2"$/);
		expect((await s3.get(Bucket, "m"))?.equals(Buffer.concat([part(1), part(2, 10)]))).toBe(true);
		await expect(complete("m", UploadId, [first, last])).rejects.toEqual(code("NoSuchUpload"));
		const { Body } = await client().send(
			new GetObjectCommand({ Bucket, Key: "m", Range: `bytes=${(5 << 20) - 1}-${5 << 20}` }),
		);
		expect([...(await bytesOf(Body))]).toEqual([1, 2]);
	});

	it("refuses small parts, a wrong order, parts that are not there, and an object that is there", async () => {
		const UploadId = await begin("m");
		const [small, second] = [await send("m", UploadId, 1, part(1, 100)), await send("m", UploadId, 2, part(2, 100))];
		await expect(complete("m", UploadId, [small, second])).rejects.toEqual(code("EntityTooSmall"));
		await expect(complete("m", UploadId, [second, small])).rejects.toEqual(code("InvalidPartOrder"));
		await expect(complete("m", UploadId, [small, { PartNumber: 3, ETag: '"x"' }])).rejects.toEqual(code("InvalidPart"));
		await s3.put(Bucket, "m", "there");
		await expect(complete("m", UploadId, [small], { IfNoneMatch: "*" })).rejects.toEqual(code("PreconditionFailed"));
		await client().send(new AbortMultipartUploadCommand({ Bucket, Key: "m", UploadId }));
		expect(s3.uploads(Bucket)).toEqual([]);
		await expect(send("m", UploadId, 1, part(1, 1))).rejects.toEqual(code("NoSuchUpload"));
	});

	it("compares checksums of parts and of the whole", async () => {
		const UploadId = await begin("c", { ChecksumAlgorithm: "SHA256" });
		await expect(send("c", UploadId, 1, part(1))).rejects.toEqual(code("InvalidRequest"));
		const sent = await send("c", UploadId, 1, part(1), { ChecksumAlgorithm: "SHA256" });
		expect(sent.ChecksumSHA256).toBe(createHash("sha256").update(part(1)).digest("base64"));
		await expect(complete("c", UploadId, [{ PartNumber: 1, ETag: sent.ETag }])).rejects.toEqual(code("InvalidRequest"));
		expect((await complete("c", UploadId, [sent])).ChecksumSHA256).toMatch(/-1$/);
		const full = await begin("f", { ChecksumAlgorithm: "CRC32", ChecksumType: "FULL_OBJECT" });
		const [a, b] = [
			await send("f", full, 1, part(1), { ChecksumAlgorithm: "CRC32" }),
			await send("f", full, 2, part(2, 9), { ChecksumAlgorithm: "CRC32" }),
		];
		await expect(complete("f", full, [a, b], { ChecksumCRC32: "AAAAAA==" })).rejects.toEqual(code("BadDigest"));
		const crc = startChecksum("CRC32");
		crc.update(Buffer.concat([part(1), part(2, 9)]));
		expect((await complete("f", full, [a, b])).ChecksumCRC32).toBe(crc.digest());
		await expect(begin("x", { ChecksumAlgorithm: "SHA256", ChecksumType: "FULL_OBJECT" })).rejects.toEqual(
			code("InvalidRequest"),
		);
	});

	it("takes what lib-storage sends, of a stream of unknown length", async () => {
		const content = Buffer.alloc(12 << 20, "0123456789abcdef");
		const upload = new Upload({
			client: client(),
			params: {
				Bucket,
				Key: "stream",
				Body: Readable.from([content.subarray(0, 7 << 20), content.subarray(7 << 20)]),
				IfNoneMatch: "*",
			},
		});
		await upload.done();
		expect((await s3.get(Bucket, "stream"))?.equals(content)).toBe(true);
		const { Body } = await client().send(new GetObjectCommand({ Bucket, Key: "stream" }));
		expect((await bytesOf(Body)).equals(content)).toBe(true);
	});
});

describe("S3 stand-in: checksums and bodies", () => {
	it("knows the check values of each checksum", () => {
		const expected = { CRC32: "cbf43926", CRC32C: "e3069283", CRC64NVME: "ae8b14860a799888" } as const;
		for (const algorithm of ["CRC32", "CRC32C", "CRC64NVME"] as const) {
			const checksum = startChecksum(algorithm);
			checksum.update(Buffer.from("1234"));
			checksum.update(Buffer.from("56789"));
			expect(Buffer.from(checksum.digest(), "base64").toString("hex")).toBe(expected[algorithm]);
		}
	});

	it("compares each with the body, and gives it back when asked", async () => {
		for (const ChecksumAlgorithm of ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"] as const) {
			await put(ChecksumAlgorithm, "some text", { ChecksumAlgorithm });
			const head = await client().send(
				new HeadObjectCommand({ Bucket, Key: ChecksumAlgorithm, ChecksumMode: "ENABLED" }),
			);
			const checksum = startChecksum(ChecksumAlgorithm);
			checksum.update(Buffer.from("some text"));
			expect(head).toMatchObject({ [`Checksum${ChecksumAlgorithm}`]: checksum.digest(), ChecksumType: "FULL_OBJECT" });
		}
		await expect(put("bad", "text", { ChecksumCRC32: "AAAAAA==" })).rejects.toEqual(code("BadDigest"));
		await expect(put("bad", "text", { ChecksumCRC32: "AAAA" })).rejects.toEqual(code("InvalidRequest"));
		await expect(put("bad", "text", { ContentMD5: "AAAAAAAAAAAAAAAAAAAAAA==" })).rejects.toEqual(code("BadDigest"));
		expect(await s3.get(Bucket, "bad")).toBeNull();
	});

	it("takes streamed bodies with a trailer, and keeps the encoding that is the object's own", async () => {
		const content = Buffer.alloc(300_000, "xyz");
		await client().send(
			new PutObjectCommand({
				Bucket,
				Key: "s",
				Body: Readable.from([content]),
				ContentLength: content.length,
				ContentEncoding: "zstd",
			}),
		);
		const request = s3.log.at(-1)!;
		expect(request.headers["x-amz-content-sha256"]).toBe("STREAMING-UNSIGNED-PAYLOAD-TRAILER");
		expect((await s3.get(Bucket, "s"))?.equals(content)).toBe(true);
		expect((await client().send(new HeadObjectCommand({ Bucket, Key: "s" }))).ContentEncoding).toBe("zstd");
	});
});

/** Signs by hand, so that what the SDK never sends can be sent. */
async function raw(
	method: string,
	path: string,
	headers: Record<string, string>,
	body: string | Buffer,
	key = s3.secretAccessKey,
) {
	const timestamp = new Date(Date.now()).toISOString().replaceAll(/[-:]|\.\d+/g, "");
	const all: Record<string, string> = {
		host: `127.0.0.1:${s3.port}`,
		"x-amz-date": timestamp,
		"x-amz-content-sha256": sha256Hex(body),
		...headers,
	};
	const names = Object.keys(all).sort();
	const scope = `${timestamp.slice(0, 8)}/us-east-1/s3/aws4_request`;
	const canonical = [
		method,
		path,
		"",
		...names.map((name) => `${name}:${all[name]}`),
		"",
		names.join(";"),
		all["x-amz-content-sha256"],
	].join("\n");
	const toSign = ["AWS4-HMAC-SHA256", timestamp, scope, sha256Hex(canonical)].join("\n");
	const signing = ["us-east-1", "s3", "aws4_request"].reduce(
		(previous, part) => hmac(previous, part),
		hmac(`AWS4${key}`, timestamp.slice(0, 8)),
	);
	const seed = hmac(signing, toSign).toString("hex");
	const authorization = `AWS4-HMAC-SHA256 Credential=${s3.accessKeyId}/${scope}, SignedHeaders=${names.join(";")}, Signature=${seed}`;
	const make = (content: string | Buffer) =>
		fetch(`${s3.endpoint}${path}`, { method, headers: { ...all, authorization }, body: content as string });
	return { send: () => make(body), make, seed, scope, timestamp, signing };
}

const errorCode = async (response: Response) => /<Code>([^<]*)/.exec(await response.text())?.[1];

describe("S3 stand-in: signatures", () => {
	it("refuses a wrong secret, an unknown key, another region, and no signature", async () => {
		const get = (configuration: S3ClientConfig) => client(configuration).send(new ListObjectsV2Command({ Bucket }));
		const { accessKeyId, secretAccessKey } = s3;
		await expect(get({ credentials: { accessKeyId, secretAccessKey: "wrong" } })).rejects.toEqual(
			code("SignatureDoesNotMatch"),
		);
		await expect(get({ credentials: { accessKeyId: "AKIANONE", secretAccessKey } })).rejects.toEqual(
			code("InvalidAccessKeyId"),
		);
		await expect(get({ region: "eu-west-1" })).rejects.toEqual(code("AuthorizationHeaderMalformed"));
		expect(await errorCode(await fetch(`${s3.endpoint}/lake/x`))).toBe("AccessDenied");
	});

	it("takes a signature made by hand and refuses a body, a header or a length that was not signed for", async () => {
		expect((await (await raw("PUT", "/lake/hand", {}, "text")).send()).status).toBe(200);
		expect(await errorCode(await (await raw("PUT", "/lake/hand", {}, "text")).make("texd"))).toBe(
			"XAmzContentSHA256Mismatch",
		);
		const { make } = await raw("PUT", "/lake/hand", { "x-amz-checksum-crc32": "AAAAAA==" }, "text");
		expect(await errorCode(await make("text"))).toBe("BadDigest");
		expect(
			await errorCode(await (await raw("PUT", "/lake/hand", { "x-amz-content-sha256": "no" }, "text")).send()),
		).toBe("InvalidArgument");
	});

	it("takes signed chunks and refuses one that was changed, cut short, or too small", async () => {
		const pieces = [Buffer.alloc(8192, "a"), Buffer.alloc(8192, "b"), Buffer.from("end"), Buffer.alloc(0)];
		const headers = {
			"x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
			"content-encoding": "aws-chunked",
			"x-amz-decoded-content-length": "16387",
		};
		const body = (seed: string, request: Awaited<ReturnType<typeof raw>>, contents = pieces) => {
			let previous = seed;
			const chunks = contents.map((piece) => {
				const toSign = [
					"AWS4-HMAC-SHA256-PAYLOAD",
					request.timestamp,
					request.scope,
					previous,
					sha256Hex(""),
					sha256Hex(piece),
				].join("\n");
				previous = hmac(request.signing, toSign).toString("hex");
				return Buffer.concat([
					Buffer.from(`${piece.length.toString(16)};chunk-signature=${previous}\r\n`),
					piece,
					Buffer.from("\r\n"),
				]);
			});
			return Buffer.concat(chunks);
		};
		const request = await raw("PUT", "/lake/chunks", headers, "");
		const good = body(request.seed, request);
		expect((await request.make(good)).status).toBe(200);
		expect((await s3.get(Bucket, "chunks"))?.equals(Buffer.concat(pieces))).toBe(true);
		const changed = Buffer.from(good);
		changed[200] = 1;
		expect(await errorCode(await request.make(changed))).toBe("SignatureDoesNotMatch");
		expect(await errorCode(await request.make(good.subarray(0, -90)))).toBe("IncompleteBody");
		const small = [Buffer.alloc(8191, "a"), Buffer.alloc(8193, "b"), Buffer.from("end"), Buffer.alloc(0)];
		expect(await errorCode(await request.make(body(request.seed, request, small)))).toBe("InvalidChunkSizeError");
	});

	it("takes presigned addresses until they expire", async () => {
		await put("p", "text");
		const sign = (expires: number, date = new Date()) => {
			const timestamp = date.toISOString().replaceAll(/[-:]|\.\d+/g, "");
			const scope = `${timestamp.slice(0, 8)}/us-east-1/s3/aws4_request`;
			const query = `X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=${encodeURIComponent(`${s3.accessKeyId}/${scope}`)}&X-Amz-Date=${timestamp}&X-Amz-Expires=${expires}&X-Amz-SignedHeaders=host`;
			const canonical = ["GET", "/lake/p", query, `host:127.0.0.1:${s3.port}`, "", "host", "UNSIGNED-PAYLOAD"].join(
				"\n",
			);
			const signing = ["us-east-1", "s3", "aws4_request"].reduce(
				(previous, part) => hmac(previous, part),
				hmac(`AWS4${s3.secretAccessKey}`, timestamp.slice(0, 8)),
			);
			const signature = hmac(signing, ["AWS4-HMAC-SHA256", timestamp, scope, sha256Hex(canonical)].join("\n")).toString(
				"hex",
			);
			return `${s3.endpoint}/lake/p?${query}&X-Amz-Signature=${signature}`;
		};
		expect(await (await fetch(sign(60))).text()).toBe("text");
		expect((await fetch(sign(60, new Date(Date.now() - 61_000)))).status).toBe(403);
		expect(await errorCode(await fetch(sign(604_801)))).toBe("AuthorizationQueryParametersError");
		expect(await errorCode(await fetch(sign(60).replace("/lake/p", "/lake/q")))).toBe("SignatureDoesNotMatch");
	});

	it("refuses a clock that is off by more than 15 minutes, and the SDK mends its own", async () => {
		s3.clockOffsetMs = 16 * 60_000;
		await expect(client().send(new ListObjectsV2Command({ Bucket }))).rejects.toEqual(code("RequestTimeTooSkewed"));
		await client({ maxAttempts: 2 }).send(new ListObjectsV2Command({ Bucket }));
	});

	it("takes a session's token until it expires, and roles give such sessions", async () => {
		const { accessKeyId, secretAccessKey, sessionToken } = s3.addSession("temporary", 60_000);
		const get = (token: string | undefined) =>
			client({
				credentials: { accessKeyId, secretAccessKey, ...(token === undefined ? {} : { sessionToken: token }) },
			}).send(new ListObjectsV2Command({ Bucket }));
		await get(sessionToken);
		await expect(get("other")).rejects.toEqual(code("InvalidToken"));
		await expect(get(undefined)).rejects.toEqual(code("InvalidAccessKeyId"));
		const role = (RoleArn: string) =>
			fromTemporaryCredentials({
				params: { RoleArn, RoleSessionName: "test" },
				masterCredentials: { accessKeyId: s3.accessKeyId, secretAccessKey: s3.secretAccessKey },
				clientConfig: { endpoint: s3.endpoint, region: s3.region },
			});
		await client({ credentials: role(ROLE) }).send(new ListObjectsV2Command({ Bucket }));
		await expect(client({ credentials: role(`${ROLE}2`) }).send(new ListObjectsV2Command({ Bucket }))).rejects.toEqual(
			code("AccessDenied"),
		);
		s3.clockOffsetMs = 61_000;
		await expect(get(sessionToken)).rejects.toEqual(code("ExpiredToken"));
	});

	it("takes virtual hosts", async () => {
		await s3.put(Bucket, "k", "by host");
		const { accessKeyId, secretAccessKey } = s3;
		const virtual = client({
			endpoint: s3.hostEndpoint,
			forcePathStyle: false,
			credentials: { accessKeyId, secretAccessKey },
		});
		virtual.middlewareStack.add(
			(next) => (input) => {
				const { request: http } = input as { request: { hostname: string } };
				expect(http.hostname).toBe("lake.localhost");
				http.hostname = "127.0.0.1";
				return next(input);
			},
			{ step: "finalizeRequest", priority: "low", name: "toLoopback" },
		);
		const { Body } = await virtual.send(new GetObjectCommand({ Bucket, Key: "k" }));
		expect((await bytesOf(Body)).toString()).toBe("by host");
		expect(s3.log.at(-1)?.virtualHost).toBe(true);
	});
});

describe("S3 stand-in: rights", () => {
	const statement = (Action: string | string[], Resource: string, more: object = {}) => ({
		Effect: "Allow",
		Action,
		Resource,
		...more,
	});
	const as = (...Statement: object[]) => {
		const { accessKeyId, secretAccessKey } = s3.addUser("loader", { Version: "2012-10-17", Statement });
		return client({ credentials: { accessKeyId, secretAccessKey } });
	};

	it("allows what the identity's policy allows, and nothing else", async () => {
		const loader = as(
			statement("s3:PutObject", "arn:aws:s3:::lake/elt/*"),
			statement("s3:ListBucket", "arn:aws:s3:::lake", { Condition: { StringLike: { "s3:prefix": "elt/*" } } }),
		);
		await loader.send(new PutObjectCommand({ Bucket, Key: "elt/1", Body: "x" }));
		await expect(loader.send(new PutObjectCommand({ Bucket, Key: "other", Body: "x" }))).rejects.toEqual(
			code("AccessDenied"),
		);
		await expect(loader.send(new GetObjectCommand({ Bucket, Key: "elt/1" }))).rejects.toThrow(
			/not authorized to perform: s3:GetObject/,
		);
		await loader.send(new ListObjectsV2Command({ Bucket, Prefix: "elt/x" }));
		await expect(loader.send(new ListObjectsV2Command({ Bucket }))).rejects.toEqual(code("AccessDenied"));
	});

	it("says 403 for a missing key to who may not list", async () => {
		const reader = as(statement("s3:GetObject", "arn:aws:s3:::lake/*"));
		await expect(reader.send(new GetObjectCommand({ Bucket, Key: "none" }))).rejects.toEqual(code("AccessDenied"));
	});

	it("needs rights on the KMS key too", async () => {
		const sse = { ServerSideEncryption: "aws:kms", SSEKMSKeyId: KEY } as const;
		const writer = as(statement("s3:*", "*"), statement("kms:GenerateDataKey", KEY));
		await writer.send(new PutObjectCommand({ Bucket, Key: "k", Body: "x", ...sse }));
		await expect(writer.send(new GetObjectCommand({ Bucket, Key: "k" }))).rejects.toThrow(/kms:Decrypt/);
		const other = as(statement("s3:*", "*"));
		await expect(other.send(new PutObjectCommand({ Bucket, Key: "k", Body: "x", ...sse }))).rejects.toThrow(
			/kms:GenerateDataKey/,
		);
	});

	it("denies by the bucket's policy, by action and prefix, until it is taken back", async () => {
		await put("d/1", "x");
		const allow = s3.deny(Bucket, "s3:DeleteObject", "d/");
		await expect(client().send(new DeleteObjectCommand({ Bucket, Key: "d/1" }))).rejects.toEqual(code("AccessDenied"));
		const many = await client().send(
			new DeleteObjectsCommand({ Bucket, Delete: { Objects: [{ Key: "d/1" }, { Key: "e" }] } }),
		);
		expect([many.Errors?.map(({ Code }) => Code), many.Deleted?.length]).toEqual([["AccessDenied"], 1]);
		allow();
		await client().send(new DeleteObjectCommand({ Bucket, Key: "d/1" }));
		s3.setBucketPolicy(Bucket, {
			Version: "2012-10-17",
			Statement: [
				{
					Effect: "Deny",
					Principal: "*",
					Action: "s3:*",
					Resource: "*",
					Condition: { Bool: { "aws:SecureTransport": "false" } },
				},
			],
		});
		await expect(put("x", "x")).rejects.toThrow(/explicit deny/);
	});
});

describe("S3 stand-in: faults", () => {
	it("come by plan: errors, cuts, lost answers, short and changed bodies, each as often as planned", async () => {
		const hits = s3.faults.add({
			operation: "PutObject",
			key: /^slow/,
			times: 2,
			effect: { kind: "error", code: "SlowDown" },
		});
		await put("other", "x");
		await expect(put("slow", "x")).rejects.toEqual(code("SlowDown"));
		await client({ maxAttempts: 3 }).send(new PutObjectCommand({ Bucket, Key: "slow", Body: "x" }));
		expect(hits()).toBe(2);
		s3.faults.add({ operation: "PutObject", effect: { kind: "lost-answer" } });
		await expect(put("lost", "x")).rejects.toThrow();
		expect((await s3.get(Bucket, "lost"))?.toString()).toBe("x");
		s3.faults.add({ operation: "PutObject", effect: { kind: "cut", afterBytes: 1 } });
		await expect(put("cut", "x")).rejects.toThrow();
		expect(await s3.get(Bucket, "cut")).toBeNull();
		await put("long", "0123456789");
		const get = async () => bytesOf((await client().send(new GetObjectCommand({ Bucket, Key: "long" }))).Body);
		s3.faults.add({ operation: "GetObject", effect: { kind: "short-body", afterBytes: 4 } });
		await expect(get()).rejects.toThrow();
		s3.faults.add({ operation: "GetObject", effect: { kind: "corrupt-body", atByte: 4 } });
		await expect(get()).rejects.toThrow(/[Cc]hecksum/);
		s3.faults.add({
			operation: "CompleteMultipartUpload",
			effect: { kind: "error-in-success", code: "InternalError" },
		});
		const { UploadId } = await client().send(new CreateMultipartUploadCommand({ Bucket, Key: "m" }));
		await expect(
			client().send(new CompleteMultipartUploadCommand({ Bucket, Key: "m", UploadId, MultipartUpload: { Parts: [] } })),
		).rejects.toEqual(code("InternalError"));
		expect((await get()).toString()).toBe("0123456789");
	});

	it("a request or a body may stall until the client gives up, and stored bytes may rot", async () => {
		await put("k", "0123456789");
		s3.faults.add({ operation: "GetObject", effect: { kind: "stall" } });
		const impatient = () => ({ abortSignal: AbortSignal.timeout(200) });
		await expect(client().send(new GetObjectCommand({ Bucket, Key: "k" }), impatient())).rejects.toEqual(
			code("AbortError"),
		);
		s3.faults.add({ operation: "GetObject", effect: { kind: "stall-body", afterBytes: 3 } });
		const { Body } = await client().send(new GetObjectCommand({ Bucket, Key: "k" }));
		const ended = await Promise.race([
			bytesOf(Body).catch(() => "cut"),
			new Promise((resolve) => setTimeout(resolve, 200, "stalled")),
		]);
		expect(ended).toBe("stalled");
		await s3.corrupt(Bucket, "k", 2);
		expect((await s3.get(Bucket, "k"))?.toString()).toBe("0133456789");
	});
});
