import { createWriteStream } from "node:fs";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import {
	GetObjectCommand,
	ListObjectsV2Command,
	PutObjectCommand,
	S3Client,
	S3ServiceException,
} from "@aws-sdk/client-s3";
import { RedshiftError } from "./errors.ts";

export interface S3Access {
	readonly endpoint: string;
	readonly region: string;
	readonly accessKeyId: string;
	readonly secretAccessKey: string;
	readonly sessionToken?: string;
}

/** S3 as a role may use it, by signed requests. */
export class S3Reader implements Disposable {
	readonly #client: S3Client;

	constructor({ endpoint, region, ...credentials }: S3Access) {
		this.#client = new S3Client({ endpoint, region, credentials, forcePathStyle: true });
	}

	/** Copies an object to a local file; gives its size. */
	async fetch(bucket: string, key: string, path: string): Promise<number> {
		const command = new GetObjectCommand({ Bucket: bucket, Key: key });
		const { Body, ContentLength } = await translated(this.#client.send(command));
		await pipeline(Body as Readable, createWriteStream(path));
		return ContentLength ?? 0;
	}

	async text(bucket: string, key: string): Promise<string> {
		const { Body } = await translated(this.#client.send(new GetObjectCommand({ Bucket: bucket, Key: key })));
		return Body!.transformToString();
	}

	async list(bucket: string, prefix: string): Promise<string[]> {
		const command = new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix });
		const { Contents } = await translated(this.#client.send(command));
		return (Contents ?? []).map(({ Key }) => Key!);
	}

	async put(bucket: string, key: string, content: Buffer): Promise<void> {
		await translated(this.#client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: content })));
	}

	[Symbol.dispose](): void {
		this.#client.destroy();
	}
}

/** https://docs.aws.amazon.com/redshift/latest/dg/s3serviceexception-error.html */
async function translated<T>(answer: Promise<T>): Promise<T> {
	try {
		return await answer;
	} catch (error) {
		if (!(error instanceof S3ServiceException))
			throw new RedshiftError("XX000", "S3CurlException: the object could not be read");
		const { $metadata, name, message } = error;
		const { httpStatusCode, requestId = "" } = $metadata;
		throw new RedshiftError(
			"XX000",
			`S3ServiceException:${message},Status ${httpStatusCode},Error ${name},Rid ${requestId}`,
		);
	}
}
