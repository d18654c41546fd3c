import { randomBytes } from "node:crypto";
import { S3Error } from "./errors.ts";
import type { Signed } from "./signature.ts";
import type { World } from "./world.ts";
import { element } from "./xml.ts";

/** AssumeRole, a form in and XML out: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html */
export function assumeRole(world: World, signed: Signed, body: Buffer): string {
	const form = new URLSearchParams(body.toString("utf8"));
	if (form.get("Action") !== "AssumeRole" || form.get("Version") !== "2011-06-15") throw new S3Error("ValidationError");
	const role = world.roles.get(form.get("RoleArn") ?? "");
	const session = form.get("RoleSessionName") ?? "";
	if (!/^[\w+=,.@-]{2,64}$/.test(session)) throw new S3Error("ValidationError", "RoleSessionName is not valid");
	const seconds = Number(form.get("DurationSeconds") ?? 3600);
	if (!(seconds >= 900 && seconds <= 43_200)) throw new S3Error("ValidationError", "DurationSeconds is not valid");
	if (role === undefined || (role.externalId !== undefined && role.externalId !== form.get("ExternalId")))
		throw new S3Error(
			"AccessDenied",
			`User: ${signed.credentials.arn} is not authorized to perform: sts:AssumeRole on resource: ${form.get("RoleArn")}`,
		);
	const expiresAtMs = world.nowMs() + (role.tokenSeconds ?? seconds) * 1000;
	const credentials = {
		accessKeyId: `ASIA${randomBytes(8).toString("hex").toUpperCase()}`,
		secretAccessKey: randomBytes(30).toString("base64"),
		sessionToken: randomBytes(120).toString("base64"),
		expiresAtMs,
		arn: `${role.arn.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/")}/${session}`,
		policy: role.policy,
	};
	world.credentials.set(credentials.accessKeyId, credentials);
	const result = [
		element("AssumedRoleUser", [element("Arn", credentials.arn), element("AssumedRoleId", `AROA0:${session}`)]),
		element("Credentials", [
			element("AccessKeyId", credentials.accessKeyId),
			element("SecretAccessKey", credentials.secretAccessKey),
			element("SessionToken", credentials.sessionToken),
			element("Expiration", new Date(expiresAtMs).toISOString()),
		]),
	];
	return `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">${element("AssumeRoleResult", result)}${element(
		"ResponseMetadata",
		[element("RequestId", randomBytes(8).toString("hex"))],
	)}</AssumeRoleResponse>`;
}
