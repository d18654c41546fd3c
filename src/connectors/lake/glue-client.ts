import type { GlueClient, GlueClientConfig } from "@aws-sdk/client-glue";
import { HeadraceError, type Secret } from "../../core/index.ts";

export type GlueSdk = typeof import("@aws-sdk/client-glue");

/** How to reach a Glue catalogue. */
export interface GlueOptions {
	/** Default `data_lake`. */
	readonly database?: string;
	/** Default from the AWS chain. */
	readonly region?: string;
	/** URL of a Glue-compatible server; default AWS. */
	readonly endpoint?: string;
	/** Role to assume with the credentials that there are. */
	readonly roleArn?: string;
	/** Default from the AWS chain. */
	readonly accessKeyId?: Secret;
	readonly secretAccessKey?: Secret;
	readonly patience?: { readonly attemptsMax: number; readonly retryDelayMs: number; readonly retryDelayMaxMs: number };
}

export const GLUE_DATABASE_DEFAULT = "data_lake";

const PATIENCE = { attemptsMax: 8, retryDelayMs: 200, retryDelayMaxMs: 20_000 };
const SILENT = { debug() {}, info() {}, warn() {}, error() {} };
const CONNECT_TIMEOUT_MS = 10_000;
const IDLE_TIMEOUT_MS = 60_000;

/**
 * Errors that pass by themselves.
 * See https://docs.aws.amazon.com/glue/latest/webapi/CommonErrors.html
 */
const PASSING = new Set([
	"ThrottlingException",
	"Throttling",
	"InternalServiceException",
	"InternalFailure",
	"ServiceUnavailable",
	"OperationTimeoutException",
	"TimeoutError",
	"ECONNRESET",
	"EPIPE",
	"ETIMEDOUT",
]);
const NOT_REACHED = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH"]);
const NOT_ALLOWED = new Set(["AccessDeniedException", "AccessDenied"]);
const NOT_KNOWN = new Set([
	"UnrecognizedClientException",
	"InvalidSignatureException",
	"IncompleteSignature",
	"MissingAuthenticationToken",
	"ExpiredTokenException",
	"CredentialsProviderError",
]);

interface Thrown {
	readonly name?: string;
	readonly code?: string;
	readonly message?: string;
	readonly $metadata?: { readonly httpStatusCode?: number; readonly requestId?: string };
}

export function glueErrorName(error: unknown): string {
	const { code, name = "" } = error as Thrown;
	return typeof code === "string" && !/Exception$/.test(name) ? code : name;
}

/** A Glue client that tries again, with jitter, what may pass. */
export class GlueAccess {
	readonly database: string;
	readonly options: GlueOptions;
	#opening: Promise<{ readonly sdk: GlueSdk; readonly client: GlueClient }> | null = null;

	constructor(options: GlueOptions) {
		this.options = options;
		this.database = options.database ?? GLUE_DATABASE_DEFAULT;
	}

	/**
	 * Does `work`, again while what fails may pass. Its request may have been done though the answer was lost.
	 * @param action as IAM names it: `glue:GetTable`
	 */
	async request<T>(action: string, work: (client: GlueClient, sdk: GlueSdk) => Promise<T>): Promise<T> {
		const { attemptsMax, retryDelayMs, retryDelayMaxMs } = this.options.patience ?? PATIENCE;
		for (let attempt = 1; ; attempt++) {
			try {
				this.#opening ??= this.#open();
				const { sdk, client } = await this.#opening;
				return await work(client, sdk);
			} catch (error) {
				const name = glueErrorName(error);
				const status = (error as Thrown).$metadata?.httpStatusCode ?? 0;
				const passes = PASSING.has(name) || status >= 500 || /socket hang up/i.test((error as Thrown).message ?? "");
				if (!passes || attempt >= attemptsMax) throw this.#translated(error, action, passes);
				const longest = Math.min(retryDelayMaxMs, retryDelayMs * 2 ** (attempt - 1));
				// Full jitter, so that clients that were throttled together do not come back together.
				await new Promise((resolve) => setTimeout(resolve, Math.random() * longest));
			}
		}
	}

	#translated(error: unknown, action: string, passes: boolean): unknown {
		if (error instanceof HeadraceError) return error;
		const name = glueErrorName(error);
		const { message = "", $metadata } = error as Thrown;
		const server = this.options.endpoint ?? "AWS Glue";
		const make = (code: HeadraceError["code"], text: string, hint?: string) =>
			new HeadraceError(code, text, { ...(hint === undefined ? {} : { hint }), cause: error });
		if (NOT_REACHED.has(name)) return make("E_CONNECT", `${server} can't be reached (${name})`);
		if (NOT_ALLOWED.has(name))
			return make(
				"E_RIGHTS",
				`${action} is not allowed in Glue database ${this.database}`,
				`Allow ${action}: see \`headrace check\`, which prints the policy.`,
			);
		if (NOT_KNOWN.has(name) || /Could not load credentials/.test(message))
			return make(
				"E_LOGIN",
				`${server} does not take the credentials (${name})`,
				"Check access_key_id and secret_access_key of the connection, or what the AWS chain finds.",
			);
		if (/Region is missing/.test(message))
			return make(
				"E_INVALID_VALUE",
				"the region of Glue is not known",
				"Write glue: { region: … }, or set AWS_REGION.",
			);
		if (passes) return make("E_TIMEOUT", `${server} answered ${action} with ${name} each time`);
		// What the caller knows how to answer.
		if (/^(EntityNotFound|AlreadyExists|ConcurrentModification|VersionMismatch)/.test(name)) return error;
		return make(
			"E_DESTINATION",
			`${server} refused ${action}: ${name} ${message}${$metadata?.requestId === undefined ? "" : ` (request ${$metadata.requestId})`}`,
		);
	}

	async #open(): Promise<{ readonly sdk: GlueSdk; readonly client: GlueClient }> {
		const sdk = await optional("@aws-sdk/client-glue", () => import("@aws-sdk/client-glue"));
		const { endpoint, region } = this.options;
		const configuration: GlueClientConfig = {
			maxAttempts: 1,
			logger: SILENT,
			requestHandler: { connectionTimeout: CONNECT_TIMEOUT_MS, socketTimeout: IDLE_TIMEOUT_MS },
			...(region === undefined ? {} : { region }),
			...(endpoint === undefined ? {} : { endpoint }),
			...(await this.#credentials()),
		};
		return { sdk, client: new sdk.GlueClient(configuration) };
	}

	async #credentials(): Promise<Pick<GlueClientConfig, "credentials">> {
		const { accessKeyId, secretAccessKey, roleArn, region } = this.options;
		const own =
			accessKeyId === undefined || secretAccessKey === undefined
				? undefined
				: { accessKeyId: accessKeyId.reveal(), secretAccessKey: secretAccessKey.reveal() };
		if (roleArn === undefined) return own === undefined ? {} : { credentials: own };
		const name = "@aws-sdk/credential-providers";
		const { fromTemporaryCredentials } = await optional(name, () => import("@aws-sdk/credential-providers"));
		return {
			credentials: fromTemporaryCredentials({
				params: { RoleArn: roleArn, RoleSessionName: "headrace" },
				...(own === undefined ? {} : { masterCredentials: own }),
				...(region === undefined ? {} : { clientConfig: { region } }),
			}),
		};
	}

	async close(): Promise<void> {
		const opening = this.#opening;
		this.#opening = null;
		(await opening?.catch(() => undefined))?.client.destroy();
	}
}

/** Imports an optional package. @throws E_MISSING_PACKAGE with the command that installs it */
async function optional<Module>(name: string, load: () => Promise<Module>): Promise<Module> {
	try {
		return await load();
	} catch (cause) {
		if ((cause as NodeJS.ErrnoException).code !== "ERR_MODULE_NOT_FOUND") throw cause;
		throw new HeadraceError("E_MISSING_PACKAGE", `Glue needs the package ${name}, which is not installed`, {
			hint: `npm i ${name}`,
			cause,
		});
	}
}
