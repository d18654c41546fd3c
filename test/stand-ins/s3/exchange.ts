import type { IncomingMessage } from "node:http";
import { S3Error } from "./errors.ts";
import { type AccessRequest, refusal } from "./policy.ts";
import type { Signed } from "./signature.ts";
import { type Bucket, bucketOf, type World } from "./world.ts";

/** One request, as the operations see it. */
export interface Exchange {
	readonly world: World;
	readonly message: IncomingMessage;
	readonly operation: string;
	readonly bucketName: string;
	readonly key: string;
	readonly query: readonly (readonly [string, string])[];
	readonly signed: Signed;
	/** The connection is cut after so many bytes of the body. */
	readonly cutAfterBytes: number | null;
}

export interface Answer {
	readonly status: number;
	readonly headers?: Readonly<Record<string, string | number>>;
	readonly body?: string | { readonly bytes: number; readonly content: AsyncIterable<Buffer> };
}

/** The connection was cut on purpose. */
export class Cut extends Error {}

export function header(exchange: Exchange, name: string): string | undefined {
	const value = exchange.message.headers[name];
	return Array.isArray(value) ? value.join(",") : value;
}

export function parameter(exchange: Exchange, name: string): string | undefined {
	return exchange.query.find(([key]) => key === name)?.[1];
}

export function theBucket(exchange: Exchange): Bucket {
	return bucketOf(exchange.world, exchange.bucketName);
}

function allowed(exchange: Exchange, request: AccessRequest, bucket: Bucket | null): string | null {
	return refusal(request, exchange.signed.credentials, bucket?.policy ?? null);
}

function contextOf(exchange: Exchange): Record<string, string | undefined> {
	const creates = exchange.operation === "PutObject" || exchange.operation === "CompleteMultipartUpload";
	return {
		"aws:SecureTransport": String("encrypted" in exchange.message.socket),
		// https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html
		"s3:if-none-match": header(exchange, "if-none-match"),
		"s3:if-match": header(exchange, "if-match"),
		"s3:ObjectCreationOperation": String(creates || exchange.operation === "CopyObject"),
		"s3:x-amz-server-side-encryption": header(exchange, "x-amz-server-side-encryption"),
		"s3:x-amz-server-side-encryption-aws-kms-key-id": header(exchange, "x-amz-server-side-encryption-aws-kms-key-id"),
	};
}

/** @throws S3Error AccessDenied when the policies do not let this identity do it to the object */
export function authorizeObject(
	exchange: Exchange,
	action: string,
	key = exchange.key,
	bucketName = exchange.bucketName,
): void {
	const bucket = bucketOf(exchange.world, bucketName);
	const resource = `arn:aws:s3:::${bucketName}/${key}`;
	const why = allowed(exchange, { action, resource, context: contextOf(exchange) }, bucket);
	if (why !== null) throw new S3Error("AccessDenied", why);
}

export function mayOnBucket(
	exchange: Exchange,
	action: string,
	context: Record<string, string | undefined> = {},
): string | null {
	const bucket = bucketOf(exchange.world, exchange.bucketName);
	const resource = `arn:aws:s3:::${exchange.bucketName}`;
	return allowed(exchange, { action, resource, context: { ...contextOf(exchange), ...context } }, bucket);
}

export function authorizeBucket(
	exchange: Exchange,
	action: string,
	context: Record<string, string | undefined> = {},
): void {
	const why = mayOnBucket(exchange, action, context);
	if (why !== null) throw new S3Error("AccessDenied", why);
}

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html#require-sse-kms: the caller needs rights on the key. */
export function authorizeKey(exchange: Exchange, action: "kms:GenerateDataKey" | "kms:Decrypt", keyId: string): void {
	const why = allowed(exchange, { action, resource: keyId, context: contextOf(exchange) }, null);
	if (why !== null) throw new S3Error("AccessDenied", why);
}
