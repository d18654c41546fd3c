import type { Secret } from "../../core/index.ts";

/** How to reach a part of a bucket. */
export interface S3Options {
	readonly bucket: string;
	/** Path in the bucket under which everything is kept; absent or empty: the whole bucket. */
	readonly prefix?: string;
	/** Default from the AWS chain. */
	readonly region?: string;
	/** URL of an S3-compatible server; default AWS. */
	readonly endpoint?: string;
	/** Bucket name in the path instead of the host name. */
	readonly pathStyle?: boolean;
	/** Role to assume with the credentials that there are. */
	readonly roleArn?: string;
	/** Key that encrypts what is written; default: as the bucket says. */
	readonly kmsKey?: string;
	/** Default from the AWS chain: environment, profiles, web identity, container, instance. */
	readonly accessKeyId?: Secret;
	readonly secretAccessKey?: Secret;
	/** Where the secret comes from, for messages: `${env:LAKE_SECRET}`. */
	readonly secretReference?: string;
	/** A folder for files on their way; must exist. */
	readonly temporaryDirectory: string;
	/** See Staging.retentionMs. */
	readonly retentionMs?: number;
	readonly patience?: Partial<Patience>;
}

/** How long is waited, and how often tried. */
export interface Patience {
	/** Tries of one request, the first one included. */
	readonly attemptsMax: number;
	/** Longest wait before the second try; doubled before each further one, and drawn at random below it. */
	readonly retryDelayMs: number;
	readonly retryDelayMaxMs: number;
	readonly connectTimeoutMs: number;
	/** A request or body on which nothing moves for so long is given up. */
	readonly idleTimeoutMs: number;
}

export const DEFAULT_PATIENCE: Patience = {
	attemptsMax: 8,
	retryDelayMs: 200,
	retryDelayMaxMs: 20_000,
	connectTimeoutMs: 10_000,
	idleTimeoutMs: 60_000,
};

/** The prefix with a slash at its end, so that `lake` is not the beginning of `lakehouse/`; empty for the bucket. */
export function folderPrefix(prefix: string | undefined): string {
	const trimmed = (prefix ?? "").replace(/^\/+|\/+$/g, "");
	return trimmed === "" ? "" : `${trimmed}/`;
}
