import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { S3Options } from "../../src/connectors/s3/index.ts";
import { Secret } from "../../src/core/index.ts";
import { type Credentials, type S3StandIn, type S3StandInOptions, startS3StandIn } from "../stand-ins/s3/index.ts";

/** Short waits: what takes a minute in the world takes a moment here. */
export const IMPATIENT = {
	attemptsMax: 5,
	retryDelayMs: 5,
	retryDelayMaxMs: 20,
	connectTimeoutMs: 2000,
	idleTimeoutMs: 5000,
};

export interface S3Place extends AsyncDisposable {
	readonly s3: S3StandIn;
	readonly temporaryDirectory: string;
	/** Options of a connection to it, as its administrator or as somebody else. */
	options(more?: Partial<S3Options>, credentials?: Pick<Credentials, "accessKeyId" | "secretAccessKey">): S3Options;
}

/** A stand-in of S3 with a bucket `lake`, and a local folder for files on their way. */
export async function s3Place(more: S3StandInOptions = {}): Promise<S3Place> {
	const s3 = await startS3StandIn(more);
	const temporaryDirectory = await mkdtemp(join(tmpdir(), "headrace-s3-"));
	return {
		s3,
		temporaryDirectory,
		options: (own = {}, { accessKeyId, secretAccessKey } = s3) => ({
			bucket: "lake",
			prefix: "elt/",
			endpoint: s3.endpoint,
			pathStyle: true,
			region: s3.region,
			accessKeyId: new Secret(accessKeyId),
			secretAccessKey: new Secret(secretAccessKey),
			temporaryDirectory,
			patience: IMPATIENT,
			...own,
		}),
		[Symbol.asyncDispose]: async () => {
			await s3[Symbol.asyncDispose]();
			await rm(temporaryDirectory, { recursive: true, force: true });
		},
	};
}
