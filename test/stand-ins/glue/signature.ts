import { createHash, createHmac } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { GlueFault } from "./rules.ts";

const sha256 = (data: string | Buffer) => createHash("sha256").update(data).digest("hex");
const hmac = (key: string | Buffer, data: string) => createHmac("sha256", key).update(data).digest();
const SKEW_MS = 5 * 60 * 1000;

/**
 * Signature version 4 of a request, in its header.
 * See https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
export function verify(
	request: IncomingMessage,
	body: Buffer,
	keys: { readonly id: string; readonly secret: string; readonly region: string },
): void {
	const header = request.headers.authorization ?? "";
	const parts =
		/^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/glue\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/.exec(
			header,
		);
	if (parts === null) throw new GlueFault("IncompleteSignature", "Authorization is not as it should be");
	const [, id, day, region, names, signature] = parts as unknown as string[];
	if (id !== keys.id)
		throw new GlueFault("UnrecognizedClientException", "The security token included in the request is invalid.");
	if (region !== keys.region)
		throw new GlueFault("InvalidSignatureException", `Credential should be scoped to ${keys.region}`);
	const time = String(request.headers["x-amz-date"]);
	const at = Date.parse(time.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z"));
	if (!(Math.abs(Date.now() - at) < SKEW_MS)) throw new GlueFault("InvalidSignatureException", "Signature expired");
	const signed = names!.split(";");
	for (const name of ["host", "x-amz-date"])
		if (!signed.includes(name)) throw new GlueFault("IncompleteSignature", `${name} is not signed`);
	const headers = signed
		.map(
			(name) =>
				`${name}:${String(request.headers[name] ?? "")
					.trim()
					.replace(/\s+/g, " ")}\n`,
		)
		.join("");
	const [path, query = ""] = (request.url ?? "/").split("?");
	const canonical = [request.method, path, query, headers, names, sha256(body)].join("\n");
	const scope = `${day}/${region}/glue/aws4_request`;
	const text = ["AWS4-HMAC-SHA256", time, scope, sha256(canonical)].join("\n");
	const key = ["glue", "aws4_request"].reduce(
		(k, part) => hmac(k, part),
		hmac(hmac(`AWS4${keys.secret}`, day!), region!),
	);
	if (hmac(key, text).toString("hex") !== signature)
		throw new GlueFault("InvalidSignatureException", "The request signature we calculated does not match");
}
