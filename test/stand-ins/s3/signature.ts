import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { S3Error } from "./errors.ts";

/** Who may sign: a user's key pair, or the temporary keys of a role. */
export interface Credentials {
	readonly accessKeyId: string;
	readonly secretAccessKey: string;
	readonly sessionToken?: string;
	/** Milliseconds since 1970; the token is refused afterwards. */
	readonly expiresAtMs?: number;
	/** `arn:aws:iam::…:user/…` or `arn:aws:sts::…:assumed-role/…`. */
	readonly arn: string;
	/** What the identity may do; absent: all. */
	readonly policy?: unknown;
}

export interface Signed {
	readonly credentials: Credentials;
	readonly service: string;
	readonly scope: string;
	readonly timestamp: string;
	readonly signature: string;
	readonly signingKey: Buffer;
	/** `x-amz-content-sha256`, or what stands for it. */
	readonly payload: string;
}

export interface SignatureRequest {
	readonly message: IncomingMessage;
	/** Decoded. */
	readonly path: string;
	readonly query: readonly (readonly [string, string])[];
	readonly region: string;
	readonly nowMs: number;
	readonly credentials: ReadonlyMap<string, Credentials>;
	/** For services that hash the body (STS). */
	readonly body?: Buffer;
}

const CLOCK_SKEW_MS = 15 * 60 * 1000;
const EXPIRES_SECONDS_MAX = 604_800;

export const sha256Hex = (data: string | Uint8Array): string => createHash("sha256").update(data).digest("hex");
export const hmac = (key: string | Buffer, data: string): Buffer => createHmac("sha256", key).update(data).digest();

/** https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html: UriEncode(). */
export function uriEncode(text: string, slash: boolean): string {
	const encoded = encodeURIComponent(text).replaceAll(
		/[!'()*]/g,
		(character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
	);
	return slash ? encoded : encoded.replaceAll("%2F", "/");
}

/** @throws S3Error; null when the request has no signature at all */
export function verifySignature(request: SignatureRequest): Signed | null {
	const presigned = request.query.some(([name]) => name === "X-Amz-Signature" || name === "X-Amz-Algorithm");
	const header = request.message.headers.authorization;
	if (presigned && header !== undefined)
		throw new S3Error(
			"InvalidArgument",
			"Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified",
		);
	if (presigned) return verifyPresigned(request);
	return header === undefined ? null : verifyHeader(request, header);
}

function verifyHeader(request: SignatureRequest, header: string): Signed {
	const match = /^AWS4-HMAC-SHA256 +Credential=([^, ]+), *SignedHeaders=([^, ]+), *Signature=([0-9a-f]{64})$/.exec(
		header,
	);
	if (match === null) {
		if (!header.startsWith("AWS4-HMAC-SHA256"))
			throw new S3Error(
				"InvalidRequest",
				"The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
			);
		throw new S3Error("AuthorizationHeaderMalformed");
	}
	const [, credential = "", signedHeaders = "", signature = ""] = match;
	const timestamp = String(request.message.headers["x-amz-date"] ?? "");
	checkTime(request, timestamp);
	const identity = findIdentity(request, credential, timestamp, "AuthorizationHeaderMalformed");
	const token = request.message.headers["x-amz-security-token"];
	checkToken(request, identity.credentials, token === undefined ? undefined : String(token));
	const declared = request.message.headers["x-amz-content-sha256"];
	if (declared === undefined && identity.service === "s3")
		throw new S3Error("MissingSecurityHeader", "Your request was missing a required header: x-amz-content-sha256");
	const payload = request.body === undefined ? String(declared) : sha256Hex(request.body);
	return finish(request, { ...identity, timestamp, signedHeaders, signature, payload, query: request.query });
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html */
function verifyPresigned(request: SignatureRequest): Signed {
	const wrong = (message: string) => new S3Error("AuthorizationQueryParametersError", message);
	const value = (name: string): string => {
		const found = request.query.find(([key]) => key === name);
		if (found === undefined)
			throw wrong(
				"Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.",
			);
		return found[1];
	};
	if (value("X-Amz-Algorithm") !== "AWS4-HMAC-SHA256") throw wrong('X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"');
	const signature = value("X-Amz-Signature");
	const timestamp = value("X-Amz-Date");
	const signedHeaders = value("X-Amz-SignedHeaders");
	const expires = Number(value("X-Amz-Expires"));
	if (!Number.isInteger(expires) || expires < 1) throw wrong("X-Amz-Expires should be a number");
	if (expires > EXPIRES_SECONDS_MAX)
		throw wrong(
			"X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds",
		);
	const signedAtMs = parseTimestamp(timestamp);
	if (signedAtMs === null) throw wrong("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"");
	if (signedAtMs > request.nowMs + CLOCK_SKEW_MS) throw new S3Error("AccessDenied", "Request is not valid yet");
	if (request.nowMs > signedAtMs + expires * 1000) throw new S3Error("AccessDenied", "Request has expired");
	const identity = findIdentity(request, value("X-Amz-Credential"), timestamp, "AuthorizationQueryParametersError");
	checkToken(request, identity.credentials, request.query.find(([name]) => name === "X-Amz-Security-Token")?.[1]);
	const payload = String(request.message.headers["x-amz-content-sha256"] ?? "UNSIGNED-PAYLOAD");
	const query = request.query.filter(([name]) => name !== "X-Amz-Signature");
	return finish(request, { ...identity, timestamp, signedHeaders, signature, payload, query });
}

function parseTimestamp(text: string): number | null {
	const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text);
	if (match === null) return null;
	const [year, month, day, hour, minute, second] = match.slice(1).map(Number) as [
		number,
		number,
		number,
		number,
		number,
		number,
	];
	return Date.UTC(year, month - 1, day, hour, minute, second);
}

function checkTime(request: SignatureRequest, timestamp: string): void {
	const signedAtMs = parseTimestamp(timestamp);
	if (signedAtMs === null)
		throw new S3Error("AccessDenied", "AWS authentication requires a valid Date or x-amz-date header");
	if (Math.abs(signedAtMs - request.nowMs) > CLOCK_SKEW_MS)
		throw new S3Error("RequestTimeTooSkewed", undefined, {
			RequestTime: timestamp,
			ServerTime: new Date(request.nowMs).toISOString(),
			MaxAllowedSkewMilliseconds: String(CLOCK_SKEW_MS),
		});
}

interface Identity {
	readonly credentials: Credentials;
	readonly service: string;
	readonly scope: string;
	readonly date: string;
}

function findIdentity(
	request: SignatureRequest,
	credential: string,
	timestamp: string,
	malformed: "AuthorizationHeaderMalformed" | "AuthorizationQueryParametersError",
): Identity {
	const parts = credential.split("/");
	const [accessKeyId = "", date = "", region = "", service = "", terminator] = parts;
	if (parts.length !== 5 || terminator !== "aws4_request" || (service !== "s3" && service !== "sts"))
		throw new S3Error(
			malformed,
			'the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".',
		);
	if (date !== timestamp.slice(0, 8))
		throw new S3Error(malformed, "Invalid credential date. Date is not the same as X-Amz-Date.");
	if (region !== request.region && service === "s3")
		throw new S3Error(
			malformed,
			`The authorization header is malformed; the region '${region}' is wrong; expecting '${request.region}'`,
			{
				Region: request.region,
			},
		);
	const credentials = request.credentials.get(accessKeyId);
	if (credentials === undefined) throw new S3Error("InvalidAccessKeyId", undefined, { AWSAccessKeyId: accessKeyId });
	return { credentials, service, scope: `${date}/${region}/${service}/aws4_request`, date };
}

/** https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_use-resources.html */
function checkToken(request: SignatureRequest, credentials: Credentials, token: string | undefined): void {
	if (credentials.sessionToken === undefined && token !== undefined) throw new S3Error("InvalidToken");
	if (credentials.sessionToken !== undefined && token === undefined)
		throw new S3Error("InvalidAccessKeyId", undefined, { AWSAccessKeyId: credentials.accessKeyId });
	if (credentials.sessionToken !== token) throw new S3Error("InvalidToken");
	if (credentials.expiresAtMs !== undefined && request.nowMs >= credentials.expiresAtMs)
		throw new S3Error("ExpiredToken");
}

interface Parts extends Identity {
	readonly timestamp: string;
	readonly signedHeaders: string;
	readonly signature: string;
	readonly payload: string;
	readonly query: readonly (readonly [string, string])[];
}

function finish(request: SignatureRequest, parts: Parts): Signed {
	const { credentials, scope, timestamp, signature, payload } = parts;
	const names = parts.signedHeaders.split(";");
	const present = Object.keys(request.message.headers);
	const unsigned = present.filter((name) => (name === "host" || name.startsWith("x-amz-")) && !names.includes(name));
	if (unsigned.length > 0)
		throw new S3Error("AccessDenied", "There were headers present in the request which were not signed", {
			HeadersNotSigned: unsigned.join(", "),
		});
	const headers = names.map((name) => {
		const values = request.message.headersDistinct[name] ?? [""];
		return `${name}:${values.map((value) => value.trim().replaceAll(/ +/g, " ")).join(",")}\n`;
	});
	const query = parts.query
		.map(([name, value]) => `${uriEncode(name, true)}=${uriEncode(value, true)}`)
		.sort((a, b) => (a < b ? -1 : 1));
	const canonical = [
		request.message.method,
		uriEncode(request.path, false),
		query.join("&"),
		headers.join(""),
		parts.signedHeaders,
		payload,
	].join("\n");
	const toSign = ["AWS4-HMAC-SHA256", timestamp, scope, sha256Hex(canonical)].join("\n");
	const [date = "", region = "", service = ""] = scope.split("/");
	const signingKey = hmac(
		hmac(hmac(hmac(`AWS4${credentials.secretAccessKey}`, date), region), service),
		"aws4_request",
	);
	if (!equalHex(hmac(signingKey, toSign).toString("hex"), signature))
		throw new S3Error("SignatureDoesNotMatch", undefined, {
			AWSAccessKeyId: credentials.accessKeyId,
			StringToSign: toSign,
			SignatureProvided: signature,
			CanonicalRequest: canonical,
		});
	return { credentials, service, scope, timestamp, signature, signingKey, payload };
}

export function equalHex(a: string, b: string): boolean {
	const [left, right] = [Buffer.from(a), Buffer.from(b)];
	return left.length === right.length && timingSafeEqual(left, right);
}
