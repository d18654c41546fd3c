import { HeadraceError } from "../../core/index.ts";
import { folderPrefix, type S3Options } from "./options.ts";
import { arn } from "./policy.ts";

/** What was done, and to what, for the statement that allows it. */
export interface Deed {
	/** `writing a/b`. */
	readonly doing: string;
	readonly action: string;
	/** Key or prefix; absent: the bucket. */
	readonly key?: string;
}

interface SdkError {
	readonly name: string;
	readonly message: string;
	readonly code?: string;
	/** Of an error document. */
	readonly Code?: string;
	readonly Region?: string;
	readonly $metadata?: { readonly httpStatusCode?: number; readonly requestId?: string };
	readonly $retryable?: unknown;
	readonly cause?: unknown;
}

const NOT_REACHED = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH", "ENETDOWN"]);
const CUT = new Set(["ECONNRESET", "EPIPE", "ECONNABORTED", "ERR_STREAM_PREMATURE_CLOSE", "IncompleteBody"]);
const SLOW = new Set(["ETIMEDOUT", "ESOCKETTIMEDOUT", "TimeoutError", "RequestTimeout", "RequestTimeoutException"]);
/** https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList */
const BUSY = new Set([
	"InternalError",
	"ServiceUnavailable",
	"SlowDown",
	"Throttling",
	"ThrottlingException",
	"TooManyRequestsException",
	"RequestLimitExceeded",
	"OperationAborted",
	"ConditionalRequestConflict",
]);
const CREDENTIALS = new Set([
	"InvalidAccessKeyId",
	"SignatureDoesNotMatch",
	"InvalidToken",
	"InvalidClientTokenId",
	"UnrecognizedClientException",
	"CredentialsProviderError",
	"TokenProviderError",
	"InvalidIdentityToken",
]);
const EXPIRED = new Set(["ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"]);
/** S3 or the SDK found that bytes changed on their way. */
const CHANGED = new Set(["BadDigest", "XAmzContentSHA256Mismatch", "InvalidDigest"]);

/** S3's own name of the error, or Node's. */
export function errorName(error: unknown): string {
	const { name, code, Code } = error as SdkError;
	// Node's and libuv's codes say more than `Error`; the SDK names an unknown error of a HEAD by its status.
	return Code ?? (typeof code === "string" && code !== "" ? code : name);
}

export function statusOf(error: unknown): number | undefined {
	return (error as SdkError).$metadata?.httpStatusCode;
}

export function isMissing(error: unknown): boolean {
	return ["NoSuchKey", "NotFound", "NoSuchVersion"].includes(errorName(error));
}

export function isExpired(error: unknown): boolean {
	return EXPIRED.has(errorName(error));
}

/** Any fault of S3, the SDK or the network as a Headrace error, with what cures it. */
export function s3Error(error: unknown, deed: Deed, options: S3Options): HeadraceError {
	if (error instanceof HeadraceError) return error;
	const name = errorName(error);
	const status = statusOf(error) ?? 0;
	const { message, $metadata } = error as SdkError;
	const request = $metadata?.requestId === undefined ? "" : ` (request ${$metadata.requestId})`;
	const where = `${deed.doing} in s3://${options.bucket}`;
	const server = options.endpoint ?? "Amazon S3";
	const make = (code: HeadraceError["code"], text: string, hint?: string) =>
		new HeadraceError(code, text, { ...(hint === undefined ? {} : { hint }), cause: error });

	if (NOT_REACHED.has(name)) return make("E_CONNECT", `${server} can't be reached (${name}), ${where}`);
	if (/CERT|SELF_SIGNED|UNABLE_TO_|ERR_TLS|EPROTO/.test(name))
		return make(
			"E_TLS",
			`the TLS connection to ${server} could not be verified (${name}), ${where}`,
			"Give Node the server's authority: NODE_EXTRA_CA_CERTS=/path/to/ca.pem.",
		);
	if (SLOW.has(name)) return make("E_TIMEOUT", `${server} did not answer in time, ${where}`);
	if (CUT.has(name) || /socket hang up|aborted|premature close/i.test(message))
		return make("E_CONNECTION_LOST", `the connection to ${server} broke, ${where}`);
	if (CHANGED.has(name) || /checksum mismatch/i.test(message))
		return make("E_CONNECTION_LOST", `bytes changed on their way (${name}), ${where}`);
	if (name === "NoSuchBucket")
		return make(
			"E_INVALID_VALUE",
			`there is no bucket ${options.bucket}`,
			`Mend \`bucket:\`, or make it: aws s3 mb s3://${options.bucket}`,
		);
	if (name === "AuthorizationHeaderMalformed" || name === "PermanentRedirect" || status === 301)
		return make(
			"E_INVALID_VALUE",
			`the bucket ${options.bucket} is in another region${regionOf(error)}`,
			regionHint(error),
		);
	if (/Region is missing/.test(message))
		return make(
			"E_INVALID_VALUE",
			`no region is known for s3://${options.bucket}`,
			"Add `region:` to the connection, or set AWS_REGION.",
		);
	if (CREDENTIALS.has(name) || isExpired(error)) return credentialsError(name, message, options, error);
	if (name === "RequestTimeTooSkewed")
		return make(
			"E_LOGIN",
			"this machine's clock is wrong: S3 refuses its signatures",
			"Set the clock, for example by NTP.",
		);
	if (name.startsWith("KMS.") && name !== "KMS.ThrottlingException")
		return make(
			"E_INVALID_VALUE",
			`the KMS key can't be used (${name}), ${where}`,
			"Mend `kms_key:`, or enable the key.",
		);
	if (name === "AccessDenied" || name === "AllAccessDisabled" || status === 403)
		return rightsError(message, deed, options, error);
	if (BUSY.has(name) || status >= 500 || status === 429 || name === "KMS.ThrottlingException")
		return make(
			"E_CONNECT",
			`${server} answered ${name} (${status}), ${where}${request}`,
			"S3 is overloaded or down; the run is retried.",
		);
	return make("E_DESTINATION", `S3 answered ${name}: ${message}, ${where}${request}`, "Read S3's message.");
}

/** Worth another try soon: the request may go through as it is. */
export function isPassing(error: HeadraceError): boolean {
	if (error.reaction !== "retry" || error.code === "E_CONFLICT") return false;
	return error.cause === undefined || !NOT_REACHED_FOR_LONG.has(errorName(error.cause));
}

/** A name that does not exist will not exist in a minute. */
const NOT_REACHED_FOR_LONG = new Set(["ENOTFOUND"]);

function regionOf(error: unknown): string {
	const { Region } = error as SdkError;
	return Region === undefined ? "" : `: ${Region}`;
}

function regionHint(error: unknown): string {
	return `Write \`region: ${(error as SdkError).Region ?? "<its region>"}\` in the connection.`;
}

function credentialsError(name: string, message: string, options: S3Options, cause: unknown): HeadraceError {
	const from = options.secretReference ?? (options.accessKeyId === undefined ? "the AWS chain" : "the connection");
	if (/CredentialsProviderError|TokenProviderError/.test(name))
		return new HeadraceError("E_LOGIN", `no AWS credentials for s3://${options.bucket}: ${message.split("\n")[0]}`, {
			hint: "Set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, give the machine a role, or write access_key_id and secret_access_key by reference.",
			cause,
		});
	if (EXPIRED.has(name))
		return new HeadraceError("E_LOGIN", `the AWS session of s3://${options.bucket} has expired and was not renewed`, {
			hint: "Log in again (`aws sso login`), or use a role, whose sessions are renewed.",
			cause,
		});
	return new HeadraceError("E_LOGIN", `S3 refused the credentials (${name}) of s3://${options.bucket}`, {
		hint: `They come from ${from}.`,
		cause,
	});
}

function rightsError(message: string, deed: Deed, options: S3Options, cause: unknown): HeadraceError {
	const told = /not authorized to perform: (\S+)(?: on resource: "?([^\s"]+))?/.exec(message);
	const action = told?.[1] ?? deed.action;
	const isKey = action.startsWith("kms:");
	const resource = isKey
		? (options.kmsKey ?? told?.[2] ?? "*")
		: deed.key === undefined
			? arn(options)
			: arn(options, `${folderPrefix(options.prefix)}*`);
	const statement = JSON.stringify({ Effect: "Allow", Action: action, Resource: resource });
	const hint = /explicit deny/.test(message)
		? `A policy denies it: take the Deny of ${action} on ${resource} away, or leave this user out of it.`
		: action === "sts:AssumeRole"
			? `Allow it in the user's policy: ${JSON.stringify({ Effect: "Allow", Action: action, Resource: options.roleArn })}, and the user in the role's trust policy.`
			: `Add to the policy of the user or role: ${statement}`;
	return new HeadraceError("E_RIGHTS", `not allowed: ${action}, ${deed.doing} in s3://${options.bucket}`, {
		hint,
		cause,
	});
}
