import type { S3Client, S3ClientConfig } from "@aws-sdk/client-s3";
import { HeadraceError } from "../../core/index.ts";
import { type Deed, isExpired, isPassing, s3Error } from "./errors.ts";
import { DEFAULT_PATIENCE, folderPrefix, type Patience, type S3Options } from "./options.ts";

export type Sdk = typeof import("@aws-sdk/client-s3");

/** Requests at once of one connection; each streams from or to the disk, so they need little memory. */
const REQUESTS_MAX = 8;
const ROLE_SECONDS = 3600;

/** What goes wrong is thrown, and stderr is the program's. */
const SILENT = { debug() {}, info() {}, warn() {}, error() {} };

/** Imports an optional package. @throws E_MISSING_PACKAGE with the command that installs it */
async function optional<Module>(name: string, load: () => Promise<Module>): Promise<Module> {
	try {
		return await load();
	} catch (cause) {
		if ((cause as NodeJS.ErrnoException).code !== "ERR_MODULE_NOT_FOUND") throw cause;
		throw new HeadraceError("E_MISSING_PACKAGE", `S3 needs the package ${name}, which is not installed`, {
			hint: `npm i ${name}`,
			cause,
		});
	}
}

/** A bucket's client that tries again: with jitter, with new streams, and with new credentials when they expired. */
export class S3Access {
	readonly options: S3Options;
	readonly patience: Patience;
	/** Before each key; empty, or with a slash at its end. */
	readonly prefix: string;
	#opening: Promise<{ readonly sdk: Sdk; readonly client: S3Client }> | null = null;
	#free = REQUESTS_MAX;
	readonly #waiting: (() => void)[] = [];

	constructor(options: S3Options) {
		this.options = options;
		this.patience = { ...DEFAULT_PATIENCE, ...options.patience };
		this.prefix = folderPrefix(options.prefix);
	}

	/** `s3://bucket/prefix`, without a slash at its end. */
	get location(): string {
		return `s3://${this.options.bucket}/${this.prefix}`.replace(/\/$/, "");
	}

	open(): Promise<{ readonly sdk: Sdk; readonly client: S3Client }> {
		this.#opening ??= this.#open();
		return this.#opening;
	}

	async #open(): Promise<{ readonly sdk: Sdk; readonly client: S3Client }> {
		const sdk = await optional("@aws-sdk/client-s3", () => import("@aws-sdk/client-s3"));
		const { endpoint, pathStyle } = this.options;
		const region = this.options.region ?? (endpoint === undefined ? undefined : endpointRegion());
		const configuration: S3ClientConfig = {
			// Ours tries again: the SDK can't send a stream twice.
			maxAttempts: 1,
			logger: SILENT,
			requestHandler: {
				connectionTimeout: this.patience.connectTimeoutMs,
				socketTimeout: this.patience.idleTimeoutMs,
			},
			...(region === undefined ? {} : { region }),
			...(endpoint === undefined ? {} : { endpoint }),
			...(pathStyle === undefined ? {} : { forcePathStyle: pathStyle }),
			...(await this.#credentials(region)),
		};
		return { sdk, client: new sdk.S3Client(configuration) };
	}

	async #credentials(region: string | undefined): Promise<Pick<S3ClientConfig, "credentials">> {
		const { accessKeyId, secretAccessKey, roleArn } = this.options;
		const own =
			accessKeyId === undefined || secretAccessKey === undefined
				? undefined
				: { accessKeyId: accessKeyId.reveal(), secretAccessKey: secretAccessKey.reveal() };
		if (roleArn === undefined) return own === undefined ? {} : { credentials: own };
		const name = "@aws-sdk/credential-providers";
		const { fromTemporaryCredentials } = await optional(name, () => import("@aws-sdk/credential-providers"));
		return {
			credentials: fromTemporaryCredentials({
				params: { RoleArn: roleArn, RoleSessionName: "headrace", DurationSeconds: ROLE_SECONDS },
				...(own === undefined ? {} : { masterCredentials: own }),
				...(region === undefined ? {} : { clientConfig: { region } }),
			}),
		};
	}

	/** The next request logs in anew: what the chain reads may have been renewed meanwhile. */
	async #renew(): Promise<void> {
		const opening = this.#opening;
		this.#opening = null;
		(await opening?.catch(() => undefined))?.client.destroy();
	}

	/**
	 * Does `work` until it succeeds, fails for good, or has failed too often; of several at once some wait.
	 * `work` may run several times, and its request may have been done though its answer was lost.
	 */
	async request<T>(deed: Deed, work: (client: S3Client, sdk: Sdk) => Promise<T>): Promise<T> {
		await this.#enter();
		try {
			return await this.#attempts(deed, work);
		} finally {
			this.#leave();
		}
	}

	async #attempts<T>(deed: Deed, work: (client: S3Client, sdk: Sdk) => Promise<T>): Promise<T> {
		const { attemptsMax, retryDelayMs, retryDelayMaxMs } = this.patience;
		let renewed = false;
		for (let attempt = 1; ; attempt++) {
			try {
				const { client, sdk } = await this.open();
				return await work(client, sdk);
			} catch (thrown) {
				const error = s3Error(thrown, deed, this.options);
				const expired = isExpired(thrown) && !renewed;
				// The SDK has set its clock by the answer.
				const skewed = (thrown as Error).name === "RequestTimeTooSkewed" && attempt === 1;
				if (expired) {
					renewed = true;
					await this.#renew();
				} else if (!skewed && (!isPassing(error) || attempt >= attemptsMax)) throw error;
				const longest = Math.min(retryDelayMaxMs, retryDelayMs * 2 ** (attempt - 1));
				// Full jitter, so that clients that failed together do not come back together.
				await new Promise((resolve) => setTimeout(resolve, Math.random() * longest));
			}
		}
	}

	async #enter(): Promise<void> {
		if (this.#free > 0) this.#free--;
		else await new Promise<void>((resolve) => this.#waiting.push(resolve));
	}

	#leave(): void {
		const next = this.#waiting.shift();
		if (next === undefined) this.#free++;
		else next();
	}

	async close(): Promise<void> {
		await this.#renew();
	}
}

/** Servers that are not Amazon's have a region only for the signature. */
function endpointRegion(): string {
	return process.env["AWS_REGION"] ?? process.env["AWS_DEFAULT_REGION"] ?? "us-east-1";
}
