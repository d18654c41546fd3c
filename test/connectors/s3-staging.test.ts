import { createHash } from "node:crypto";
import { open, readdir, readFile, writeFile } from "node:fs/promises";
import { CreateMultipartUploadCommand, S3Client } from "@aws-sdk/client-s3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { caseTitle, stagingSuite } from "../../src/conformance/index.ts";
import { createS3Staging, identityPolicy, type S3Options } from "../../src/connectors/s3/index.ts";
import { HeadraceError, type Staging } from "../../src/core/index.ts";
import { IMPATIENT, type S3Place, s3Place } from "./s3-support.ts";

const KEY = "arn:aws:kms:us-east-1:000000000000:key/k1";
const ROLE = "arn:aws:iam::000000000000:role/loader";
const sha256 = (content: string | Uint8Array) => createHash("sha256").update(content).digest("hex");
const bytes = (text: string) => new TextEncoder().encode(text);

let place: S3Place;
let staging: Staging;
beforeEach(async () => {
	place = await s3Place({ kmsKeys: [KEY], roles: [{ arn: ROLE }] });
	staging = createS3Staging(place.options());
});
afterEach(async () => {
	await staging[Symbol.asyncDispose]();
	await place[Symbol.asyncDispose]();
});

async function put(path: string, content: string | Uint8Array, into = staging) {
	const write = await into.create(path);
	await writeFile(write.localPath, content);
	return write.commit();
}

const errorOf = (work: Promise<unknown>): Promise<HeadraceError> =>
	work.then(
		() => expect.unreachable("it did not fail"),
		(error) => {
			expect(error).toBeInstanceOf(HeadraceError);
			return error as HeadraceError;
		},
	);

const requests = (operation: string) => place.s3.log.filter((request) => request.operation === operation);

describe.each([
	["under a prefix", {}],
	["in a whole bucket", { prefix: "" }],
	["encrypted by KMS", { kmsKey: KEY }],
] as const)("staging in the S3 stand-in, %s", (_, more) => {
	const suite = stagingSuite({
		open: async () => {
			const own = await s3Place({ kmsKeys: [KEY] });
			const reopen = async () => createS3Staging(own.options(more));
			return { staging: await reopen(), reopen, [Symbol.asyncDispose]: () => own[Symbol.asyncDispose]() };
		},
	});
	for (const entry of suite) it.skipIf(entry.skip !== undefined)(caseTitle(entry), () => entry.run());
});

describe("staging in the S3 stand-in", () => {
	it("sends each file whole, with its SHA-256 for S3 to compare, and leaves nothing on the disk", async () => {
		expect(await put("a/part.parquet", "content")).toEqual({ bytes: 7, sha256: sha256("content") });
		expect(place.s3.keys("lake")).toEqual(["elt/a/part.parquet"]);
		const [request] = requests("PutObject");
		expect(request?.headers["x-amz-checksum-sha256"]).toBe(Buffer.from(sha256("content"), "hex").toString("base64"));
		await (await staging.fetch("a/part.parquet", sha256("content")))[Symbol.asyncDispose]();
		expect(await readdir(place.temporaryDirectory)).toEqual([]);
	});

	it("sends a large file in parts whose checksums S3 compares, and knows it again", async () => {
		const write = await staging.create("large");
		const handle = await open(write.localPath, "w");
		const piece = Buffer.alloc(1 << 20, "0123456789abcdef");
		for (let index = 0; index < 70; index++) await handle.write(piece);
		await handle.close();
		const digest = await write.commit();
		expect(digest.bytes).toBe(70 << 20);
		expect(new Set(requests("UploadPart").map(({ query }) => query["partNumber"])).size).toBe(5);
		expect(requests("UploadPart").every(({ headers }) => headers["x-amz-checksum-sha256"] !== undefined)).toBe(true);
		await staging.address?.confirm({ path: "large", rows: 1, ...digest });
		await using copy = await staging.fetch("large", digest.sha256);
		expect(sha256(await readFile(copy.localPath))).toBe(digest.sha256);
	});

	it("of two that write once at the same moment one wins, and the other learns it", async () => {
		const other = createS3Staging(place.options());
		const ends = await Promise.allSettled([staging.writeOnce("m", bytes("a")), other.writeOnce("m", bytes("b"))]);
		expect(ends.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
		expect(requests("PutObject").every(({ headers }) => headers["if-none-match"] === "*")).toBe(true);
		await other[Symbol.asyncDispose]();
	});

	it("asks for the key of the connection", async () => {
		const encrypted = createS3Staging(place.options({ kmsKey: KEY }));
		await put("a", "x", encrypted);
		await encrypted.writeOnce("m", bytes("x"));
		for (const { headers } of requests("PutObject"))
			expect(headers).toMatchObject({
				"x-amz-server-side-encryption": "aws:kms",
				"x-amz-server-side-encryption-aws-kms-key-id": KEY,
			});
	});

	it("takes a role with its own credentials", async () => {
		const { AWS_ENDPOINT_URL_STS } = place.s3.environment();
		process.env["AWS_ENDPOINT_URL_STS"] = AWS_ENDPOINT_URL_STS;
		try {
			const asRole = createS3Staging(place.options({ roleArn: ROLE }));
			await put("a", "x", asRole);
			expect(requests("PutObject")[0]?.headers["x-amz-security-token"]).toBeDefined();
			const none = createS3Staging(place.options({ roleArn: `${ROLE}2` }));
			const error = await errorOf(put("a", "x", none));
			expect([error.code, error.message]).toEqual(["E_RIGHTS", expect.stringContaining("sts:AssumeRole")]);
			expect(error.hint).toContain(`${ROLE}2`);
		} finally {
			delete process.env["AWS_ENDPOINT_URL_STS"];
		}
	});

	it("lists more than a page, and removes more than one request takes", async () => {
		for (let index = 0; index < 1203; index++) await place.s3.put("lake", `elt/p/${index}`, "");
		const found = await staging.list("p/");
		expect(found).toHaveLength(1203);
		await staging.remove(found.map(({ path }) => path));
		expect(place.s3.keys("lake")).toEqual([]);
		expect(requests("DeleteObjects")).toHaveLength(2);
	});

	it("does not take a prefix for the beginning of another one", async () => {
		await place.s3.put("lake", "elt2/foreign", "x");
		await put("own", "x", createS3Staging(place.options({ prefix: "elt" })));
		expect((await staging.list("")).map(({ path }) => path)).toEqual(["own"]);
	});

	it("takes uploads back that were begun long ago, and leaves those of others", async () => {
		const { s3 } = place;
		const { endpoint, region, accessKeyId, secretAccessKey } = s3;
		const credentials = { accessKeyId, secretAccessKey };
		const client = new S3Client({ endpoint, region, forcePathStyle: true, credentials });
		for (const Key of ["elt/old", "elt/new", "other/old"])
			await client.send(new CreateMultipartUploadCommand({ Bucket: "lake", Key }));
		for (const upload of s3.uploads("lake"))
			if (upload.key.endsWith("/old")) Object.assign(upload, { startedAtMs: Date.now() - 25 * 3600 * 1000 });
		await put("next", "x");
		expect(s3.uploads("lake").map(({ key }) => key)).toEqual(["elt/new", "other/old"]);
	});

	it("gives addresses that another system can read, and confirms what lies there", async () => {
		const file = { path: "a/1", rows: 1, ...(await put("a/1", "rows")) };
		expect(staging.address).toMatchObject({ scheme: "s3", region: "us-east-1" });
		expect(staging.address?.uriOf("a/1")).toBe("s3://lake/elt/a/1");
		await staging.address?.confirm(file);
		for (const other of ["rowz", "longer"]) {
			await place.s3.put("lake", "elt/a/1", other);
			expect((await errorOf(staging.address!.confirm(file))).code).toBe("E_CORRUPT_FILE");
		}
		await staging.remove(["a/1"]);
		expect((await errorOf(staging.address!.confirm(file))).code).toBe("E_CONFLICT");
	});
});

describe("faults of the S3 stand-in", () => {
	it.each(["InternalError", "SlowDown", "ServiceUnavailable"] as const)(
		"%s a few times passes unseen",
		async (code) => {
			const hits = place.s3.faults.add({ times: 4, effect: { kind: "error", code } });
			await put("a", "x");
			await staging.writeOnce("m", bytes("m"));
			expect(await staging.read("a")).not.toBeNull();
			expect(hits()).toBe(4);
		},
	);

	it("that last end the work with an error that says so, and nothing half there", async () => {
		place.s3.faults.add({ times: Number.POSITIVE_INFINITY, effect: { kind: "error", code: "SlowDown" } });
		const error = await errorOf(staging.writeOnce("m", bytes("m")));
		expect([error.code, error.reaction]).toEqual(["E_CONNECT", "retry"]);
		expect(error.message).toMatch(/SlowDown.*writing elt\/m in s3:\/\/lake/);
		expect(requests("PutObject")).toHaveLength(IMPATIENT.attemptsMax);
		expect(place.s3.keys("lake")).toEqual([]);
	});

	it("requests that stall are given up and tried again, with a new stream of the file", async () => {
		const restless = createS3Staging(place.options({ patience: { ...IMPATIENT, idleTimeoutMs: 300 } }));
		place.s3.faults.add({ operation: "PutObject", effect: { kind: "stall" } });
		await put("a", "content", restless);
		expect((await place.s3.get("lake", "elt/a"))?.toString()).toBe("content");
		place.s3.faults.add({ operation: "PutObject", times: 99, effect: { kind: "stall" } });
		expect((await errorOf(restless.writeOnce("m", bytes("m")))).code).toBe("E_TIMEOUT");
		await restless[Symbol.asyncDispose]();
	});

	it("a connection cut in the body, before or after the answer, leaves one whole file", async () => {
		const content = Buffer.alloc(3 << 20, "rows");
		place.s3.faults.add({ operation: "PutObject", effect: { kind: "cut", afterBytes: 1 << 20 } });
		place.s3.faults.add({ operation: "PutObject", effect: { kind: "lost-answer" } });
		const digest = await put("a", content);
		expect(sha256((await place.s3.get("lake", "elt/a"))!)).toBe(digest.sha256);
		expect(requests("PutObject")).toHaveLength(3);
	});

	it("a lost answer of what is written once is found out by reading it", async () => {
		place.s3.faults.add({ operation: "PutObject", effect: { kind: "lost-answer" } });
		await staging.writeOnce("m", bytes("mine"));
		place.s3.faults.add({
			operation: "PutObject",
			effect: { kind: "before", run: () => place.s3.put("lake", "elt/n", "another run's") },
		});
		expect((await errorOf(staging.writeOnce("n", bytes("mine")))).code).toBe("E_FENCED");
		place.s3.faults.add({ operation: "PutObject", effect: { kind: "error", code: "ConditionalRequestConflict" } });
		await staging.writeOnce("o", bytes("mine"));
	});

	it("a part that is lost, doubled or changed, and a lost end, leave one whole file", async () => {
		const content = Buffer.alloc(65 << 20, "0123456789");
		place.s3.faults.add({ operation: "UploadPart", effect: { kind: "lost-answer" } });
		place.s3.faults.add({ operation: "UploadPart", skip: 1, effect: { kind: "cut", afterBytes: 1 << 20 } });
		place.s3.faults.add({
			operation: "CompleteMultipartUpload",
			effect: { kind: "error-in-success", code: "InternalError" },
		});
		place.s3.faults.add({ operation: "CompleteMultipartUpload", effect: { kind: "lost-answer" } });
		const digest = await put("large", content);
		expect(sha256((await place.s3.get("lake", "elt/large"))!)).toBe(digest.sha256);
		expect(place.s3.uploads("lake")).toEqual([]);
	});

	it("an upload that fails for good is taken back", async () => {
		const allow = place.s3.deny("lake", "s3:PutObject", "elt/none");
		place.s3.faults.add({
			operation: "UploadPart",
			skip: 2,
			effect: { kind: "before", run: () => void place.s3.deny("lake", "s3:PutObject") },
		});
		expect((await errorOf(put("large", Buffer.alloc(70 << 20)))).code).toBe("E_RIGHTS");
		expect([place.s3.uploads("lake"), place.s3.keys("lake")]).toEqual([[], []]);
		allow();
	});

	it("short, stalled and changed bodies are read again; a file that stays wrong is E_CORRUPT_FILE", async () => {
		const content = Buffer.alloc(2 << 20, "0123456789");
		const { sha256: sum } = await put("a", content);
		const restless = createS3Staging(place.options({ patience: { ...IMPATIENT, idleTimeoutMs: 300 } }));
		for (const kind of ["short-body", "stall-body"] as const) {
			const hits = place.s3.faults.add({ operation: "GetObject", times: 2, effect: { kind, afterBytes: 1 << 20 } });
			await using copy = await restless.fetch("a", sum);
			expect(sha256(await readFile(copy.localPath))).toBe(sum);
			expect(hits()).toBe(2);
		}
		await restless[Symbol.asyncDispose]();
		place.s3.faults.add({ operation: "GetObject", effect: { kind: "corrupt-body", atByte: 1_500_000 } });
		await using copy = await staging.fetch("a", sum);
		expect(sha256(await readFile(copy.localPath))).toBe(sum);
		await place.s3.corrupt("lake", "elt/a", 77);
		expect((await errorOf(staging.fetch("a", sum))).code).toBe("E_CORRUPT_FILE");
		await place.s3.put("lake", "elt/a", "replaced by somebody");
		expect((await errorOf(staging.fetch("a", sum))).code).toBe("E_CORRUPT_FILE");
		await place.s3.remove("lake", "elt/a");
		expect((await errorOf(staging.fetch("a", sum))).code).toBe("E_FILE_NOT_FOUND");
	});

	it("a session that expires is renewed; one that can't be is E_LOGIN", async () => {
		process.env["AWS_ENDPOINT_URL_STS"] = place.s3.endpoint;
		try {
			const asRole = createS3Staging(place.options({ roleArn: ROLE }));
			await put("a", "x", asRole);
			place.s3.faults.add({ operation: "PutObject", effect: { kind: "error", code: "ExpiredToken" } });
			await put("b", "x", asRole);
			expect(requests("AssumeRole")).toHaveLength(2);
			place.s3.faults.add({ operation: "PutObject", times: 99, effect: { kind: "error", code: "ExpiredToken" } });
			const error = await errorOf(put("c", "x", asRole));
			expect([error.code, error.exit]).toEqual(["E_LOGIN", 4]);
			expect(requests("AssumeRole").length).toBeLessThanOrEqual(4);
		} finally {
			delete process.env["AWS_ENDPOINT_URL_STS"];
		}
	});

	it("a clock that is wrong is set by S3's answer", async () => {
		place.s3.clockOffsetMs = 3600_000;
		await put("a", "x");
		expect(place.s3.keys("lake")).toEqual(["elt/a"]);
	});
});

describe("errors and rights of the S3 stand-in", () => {
	const failing = async (more: Partial<S3Options>) => {
		const own = createS3Staging(place.options(more));
		try {
			return await errorOf(own.read("a"));
		} finally {
			await own[Symbol.asyncDispose]();
		}
	};

	it("each says what, where and what to do", async () => {
		const { Secret } = await import("../../src/core/index.ts");
		expect(await failing({ bucket: "none" })).toMatchObject({
			code: "E_INVALID_VALUE",
			message: "there is no bucket none",
		});
		const region = await failing({ region: "eu-west-1" });
		expect([region.code, region.hint]).toEqual(["E_INVALID_VALUE", "Write `region: us-east-1` in the connection."]);
		const secret = await failing({ secretAccessKey: new Secret("wrong"), secretReference: "${env:LAKE_SECRET}" });
		expect([secret.code, secret.hint]).toEqual(["E_LOGIN", "They come from ${env:LAKE_SECRET}."]);
		expect((await failing({ endpoint: "http://127.0.0.1:1" })).code).toBe("E_CONNECT");
		expect((await failing({ endpoint: "http://none.invalid" })).code).toBe("E_CONNECT");
		const kms = createS3Staging(place.options({ kmsKey: "arn:aws:kms:us-east-1:1:key/none" }));
		expect((await errorOf(kms.writeOnce("m", bytes("x")))).code).toBe("E_INVALID_VALUE");
	});

	it("a bucket that denies removal keeps the files, and says which statement denies it", async () => {
		await put("a", "x");
		place.s3.deny("lake", "s3:DeleteObject");
		const error = await errorOf(staging.remove(["a"]));
		expect([error.code, error.message]).toEqual(["E_RIGHTS", expect.stringContaining("s3:DeleteObject")]);
		expect(error.hint).toContain("Deny");
	});

	it("the printed policy is enough for everything, and no statement of it is too much", async () => {
		const policy = identityPolicy({ bucket: "lake", prefix: "elt/", kmsKey: KEY }, "stage");
		const use = async (document: unknown) => {
			const user = place.s3.addUser("loader", document);
			const own = createS3Staging(place.options({ kmsKey: KEY }, user));
			try {
				const findings = await own.check();
				if (findings.some(({ severity }) => severity !== "ok")) return findings;
				await put("a", "x", own);
				await put("large", Buffer.alloc(65 << 20), own);
				await own.writeOnce(`m-${user.accessKeyId}`, bytes("x"));
				await (await own.fetch("large"))[Symbol.asyncDispose]();
				await own.remove((await own.list("")).map(({ path }) => path));
				return findings;
			} finally {
				await own[Symbol.asyncDispose]();
			}
		};
		expect((await use(policy)).map(({ severity }) => severity)).toEqual(["ok"]);
		for (const [index, statement] of policy.Statement.entries())
			for (const action of [statement.Action].flat()) {
				const without = [statement.Action].flat().filter((other) => other !== action);
				const rest = policy.Statement.map((each, at) => (at === index ? { ...each, Action: without } : each));
				const findings = await use({ ...policy, Statement: rest.filter(({ Action }) => Action.length > 0) });
				const found = findings.find(({ message }) => message.includes(action));
				expect(found, action).toBeDefined();
				expect(found?.remedy).toContain(`"Action":"${action}"`);
			}
		expect(place.s3.uploads("lake").length).toBeLessThanOrEqual(2);
	});

	it("check warns of rights beyond the prefix and leaves nothing behind", async () => {
		const findings = await staging.check();
		expect(findings.filter(({ severity }) => severity === "warning").map(({ message }) => message)).toEqual([
			"s3://lake: all of it can be listed, not only elt/",
			"s3://lake: all of it can be read, not only elt/",
		]);
		expect([place.s3.keys("lake"), place.s3.uploads("lake")]).toEqual([[], []]);
	});
});
