/**
 * A stand-in of Amazon S3 on 127.0.0.1, written from AWS's public documents; each rule names its page. It is strict:
 * what the service refuses it refuses, and what it does not know it answers with NotImplemented, never with a guess.
 * Large objects are in a temporary folder, so memory stays low.
 */
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkBucketName } from "./buckets.ts";
import { putDirectly } from "./direct.ts";
import { FaultPlan } from "./faults.ts";
import { ObjectBytes } from "./object-bytes.ts";
import { type Policy, type PolicyStatement, readPolicy } from "./policy.ts";
import { type LoggedRequest, S3Server } from "./server.ts";
import type { Credentials } from "./signature.ts";
import { Bucket, bucketOf, type MultipartUpload, type Role, type World } from "./world.ts";

export type { S3ErrorCode } from "./errors.ts";
export type { Fault, FaultEffect } from "./faults.ts";
export type { Policy, PolicyStatement } from "./policy.ts";
export type { LoggedRequest } from "./server.ts";
export type { Credentials } from "./signature.ts";
export type { Role } from "./world.ts";

export interface S3StandInOptions {
	/** Default `us-east-1`. */
	readonly region?: string;
	/** Buckets that there are at first; default `lake`. */
	readonly buckets?: readonly string[];
	/** Default a free one. */
	readonly port?: number;
	/** PEM texts; absent: plain HTTP. */
	readonly tls?: { readonly key: string; readonly cert: string };
	readonly kmsKeys?: readonly string[];
	readonly roles?: readonly Role[];
}

export interface S3StandIn extends AsyncDisposable {
	/** `http://127.0.0.1:<port>`: path style. */
	readonly endpoint: string;
	/** `http://localhost:<port>`: virtual hosts, where `*.localhost` is this machine. */
	readonly hostEndpoint: string;
	readonly port: number;
	readonly region: string;
	/** Of a user who may do everything. */
	readonly accessKeyId: string;
	readonly secretAccessKey: string;
	readonly buckets: readonly string[];
	readonly log: LoggedRequest[];
	readonly faults: FaultPlan;
	/** Added to the server's clock. */
	clockOffsetMs: number;
	/** For a process that finds its credentials by itself. */
	environment(): Record<string, string>;
	/** Key pair of a user of its own; `policy` is an IAM policy document, absent: all is allowed. */
	addUser(name: string, policy?: unknown): Credentials;
	/** Temporary keys of that user. */
	addSession(name: string, lifetimeMs: number, policy?: unknown): Credentials;
	/** Denies an action to everyone: one statement more in the bucket's policy. Gives a function that takes it back. */
	deny(bucket: string, action: string | readonly string[], prefix?: string): () => void;
	setBucketPolicy(bucket: string, policy: unknown): void;
	setVersioning(bucket: string, status: "Enabled" | "Suspended"): void;
	/** Not through the API: as another client would have. */
	put(bucket: string, key: string, content: Uint8Array | string): Promise<void>;
	/** Null when there is none. */
	get(bucket: string, key: string): Promise<Buffer | null>;
	remove(bucket: string, key: string): Promise<void>;
	keys(bucket: string, prefix?: string): string[];
	/** Flips a bit of the stored bytes; ETag and checksum stay those of the whole object. */
	corrupt(bucket: string, key: string, atByte?: number): Promise<void>;
	uploads(bucket: string): MultipartUpload[];
}

const ACCOUNT = "000000000000";

export async function startS3StandIn(options: S3StandInOptions = {}): Promise<S3StandIn> {
	const folder = await mkdtemp(join(tmpdir(), "headrace-s3-stand-in-"));
	const region = options.region ?? "us-east-1";
	const world: World = {
		region,
		folder,
		buckets: new Map(),
		credentials: new Map(),
		roles: new Map((options.roles ?? []).map((role) => [role.arn, { ...role, ...policyOf(role.policy) }])),
		kmsKeys: new Set(options.kmsKeys),
		nowMs: () => Date.now() + standIn.clockOffsetMs,
	};
	const faults = new FaultPlan();
	const s3 = new S3Server(world, faults, options.tls);
	const addUser = (name: string, policy: unknown, session: Partial<Credentials>): Credentials => {
		const credentials = {
			accessKeyId: `${session.sessionToken === undefined ? "AKIA" : "ASIA"}${randomBytes(8).toString("hex").toUpperCase()}`,
			secretAccessKey: randomBytes(30).toString("base64"),
			arn: `arn:aws:iam::${ACCOUNT}:user/${name}`,
			...policyOf(policy),
			...session,
		};
		world.credentials.set(credentials.accessKeyId, credentials);
		return credentials;
	};
	for (const name of options.buckets ?? ["lake"]) {
		checkBucketName(name);
		world.buckets.set(name, new Bucket(name, Date.now()));
	}
	const administrator = addUser("administrator", undefined, {});
	await new Promise<void>((resolve, reject) => {
		s3.server.once("error", reject);
		s3.server.listen(options.port ?? 0, "127.0.0.1", resolve);
	});
	const { port } = s3.server.address() as AddressInfo;
	const protocol = options.tls === undefined ? "http" : "https";
	const setStatements = (name: string, statements: readonly PolicyStatement[]) => {
		const bucket = bucketOf(world, name);
		const policy = { Version: "2012-10-17", Statement: statements };
		bucket.policy = statements.length === 0 ? null : readPolicy(policy);
		bucket.policyText = statements.length === 0 ? "" : JSON.stringify(policy);
	};
	const standIn: S3StandIn = {
		endpoint: `${protocol}://127.0.0.1:${port}`,
		hostEndpoint: `${protocol}://localhost:${port}`,
		port,
		region,
		accessKeyId: administrator.accessKeyId,
		secretAccessKey: administrator.secretAccessKey,
		buckets: [...world.buckets.keys()],
		log: s3.log,
		faults,
		clockOffsetMs: 0,
		environment: () => ({
			AWS_ACCESS_KEY_ID: administrator.accessKeyId,
			AWS_SECRET_ACCESS_KEY: administrator.secretAccessKey,
			AWS_REGION: region,
			AWS_ENDPOINT_URL_STS: `${protocol}://127.0.0.1:${port}`,
			AWS_EC2_METADATA_DISABLED: "true",
			AWS_CONFIG_FILE: "/dev/null",
			AWS_SHARED_CREDENTIALS_FILE: "/dev/null",
		}),
		addUser: (name, policy) => addUser(name, policy, {}),
		addSession: (name, lifetimeMs, policy) =>
			addUser(name, policy, {
				sessionToken: randomBytes(120).toString("base64"),
				expiresAtMs: world.nowMs() + lifetimeMs,
			}),
		deny: (name, action, prefix = "") => {
			const statement: PolicyStatement = {
				Effect: "Deny",
				Principal: "*",
				Action: action,
				Resource: [`arn:aws:s3:::${name}/${prefix}*`, `arn:aws:s3:::${name}`],
			};
			setStatements(name, [...(bucketOf(world, name).policy?.Statement ?? []), statement]);
			return () =>
				setStatements(name, bucketOf(world, name).policy?.Statement.filter((other) => other !== statement) ?? []);
		},
		setBucketPolicy: (name, policy) => setStatements(name, readPolicy(policy).Statement),
		setVersioning: (name, status) => {
			bucketOf(world, name).versioning = status;
		},
		put: (name, key, content) => putDirectly(world, name, key, Buffer.from(content)),
		get: async (name, key) => (await bucketOf(world, name).current(key)?.content.all()) ?? null,
		remove: async (name, key) => {
			const bucket = bucketOf(world, name);
			const version = bucket.current(key);
			if (version !== null) await bucket.removeVersion(key, version.versionId);
		},
		keys: (name, prefix = "") => {
			const bucket = bucketOf(world, name);
			return bucket.sortedKeys().filter((key) => key.startsWith(prefix) && bucket.current(key) !== null);
		},
		corrupt: async (name, key, atByte = 0) => {
			const version = bucketOf(world, name).current(key);
			if (version === null) throw new Error(`there is no ${key}`);
			const content = await version.content.all();
			content[atByte] = content[atByte]! ^ 1;
			await version.content.release();
			version.content = ObjectBytes.of(content);
		},
		uploads: (name) => [...bucketOf(world, name).uploads.values()],
		[Symbol.asyncDispose]: async () => {
			await s3.close();
			await rm(folder, { recursive: true, force: true });
		},
	};
	return standIn;
}

function policyOf(policy: unknown): { readonly policy?: Policy } {
	return policy === undefined ? {} : { policy: readPolicy(policy) };
}
