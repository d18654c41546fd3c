import { randomBytes } from "node:crypto";
import type { ChecksumAlgorithm } from "./checksums.ts";
import { S3Error } from "./errors.ts";
import type { ObjectBytes } from "./object-bytes.ts";
import type { Policy } from "./policy.ts";
import type { Credentials } from "./signature.ts";

export interface StoredChecksum {
	readonly algorithm: ChecksumAlgorithm;
	readonly value: string;
	readonly type: "FULL_OBJECT" | "COMPOSITE";
}

export interface Encryption {
	readonly algorithm: "AES256" | "aws:kms";
	readonly keyId?: string;
	readonly bucketKey: boolean;
}

export interface ObjectVersion {
	readonly key: string;
	/** `null` while the bucket was not versioned. */
	readonly versionId: string;
	readonly deleteMarker: boolean;
	content: ObjectBytes;
	/** With its quotation marks. */
	readonly etag: string;
	readonly modifiedAtMs: number;
	readonly checksum: StoredChecksum | null;
	readonly headers: Readonly<Record<string, string>>;
	readonly encryption: Encryption;
}

export interface UploadedPart {
	readonly number: number;
	readonly content: ObjectBytes;
	readonly md5: Buffer;
	readonly etag: string;
	readonly checksum: { readonly algorithm: ChecksumAlgorithm; readonly value: string } | null;
	readonly modifiedAtMs: number;
}

export interface MultipartUpload {
	readonly id: string;
	readonly key: string;
	readonly startedAtMs: number;
	readonly algorithm: ChecksumAlgorithm | null;
	readonly checksumType: "FULL_OBJECT" | "COMPOSITE" | null;
	readonly headers: Readonly<Record<string, string>>;
	readonly encryption: Encryption;
	readonly parts: Map<number, UploadedPart>;
	completing: boolean;
}

export class Bucket {
	readonly name: string;
	versioning: "Enabled" | "Suspended" | null = null;
	policy: Policy | null = null;
	policyText = "";
	/** Oldest version first. */
	readonly objects = new Map<string, ObjectVersion[]>();
	readonly uploads = new Map<string, MultipartUpload>();
	readonly createdAtMs: number;

	constructor(name: string, createdAtMs: number) {
		this.name = name;
		this.createdAtMs = createdAtMs;
	}

	current(key: string): ObjectVersion | null {
		const newest = this.objects.get(key)?.at(-1);
		return newest === undefined || newest.deleteMarker ? null : newest;
	}

	newVersionId(): string {
		return this.versioning === "Enabled" ? randomBytes(24).toString("base64url") : "null";
	}

	/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/manage-objects-versioned-bucket.html */
	async add(version: ObjectVersion): Promise<void> {
		const versions = this.objects.get(version.key) ?? [];
		const replaced = versions.findIndex(({ versionId }) => versionId === "null" && version.versionId === "null");
		const old = replaced === -1 ? [] : versions.splice(replaced, 1);
		versions.push(version);
		this.objects.set(version.key, versions);
		for (const { content } of old) await content.release();
	}

	async removeVersion(key: string, versionId: string): Promise<ObjectVersion | null> {
		const versions = this.objects.get(key) ?? [];
		const index = versions.findIndex((version) => version.versionId === versionId);
		if (index === -1) return null;
		const [removed] = versions.splice(index, 1);
		if (versions.length === 0) this.objects.delete(key);
		await removed!.content.release();
		return removed!;
	}

	/** Keys in the order of their UTF-8 bytes, as ListObjectsV2 has them. */
	sortedKeys(): string[] {
		return [...this.objects.keys()].sort(compareUtf8);
	}
}

export function compareUtf8(a: string, b: string): number {
	return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

export interface Role {
	readonly arn: string;
	readonly externalId?: string;
	readonly policy?: unknown;
	/** Shorter than STS allows, so that a test can see tokens expire. */
	readonly tokenSeconds?: number;
}

export interface World {
	readonly region: string;
	readonly folder: string;
	readonly buckets: Map<string, Bucket>;
	readonly credentials: Map<string, Credentials>;
	readonly roles: Map<string, Role>;
	/** ARNs of KMS keys that there are. */
	readonly kmsKeys: Set<string>;
	readonly nowMs: () => number;
}

export function bucketOf(world: World, name: string): Bucket {
	const bucket = world.buckets.get(name);
	if (bucket === undefined) throw new S3Error("NoSuchBucket", undefined, { BucketName: name });
	return bucket;
}
