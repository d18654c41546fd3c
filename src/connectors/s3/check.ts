import { randomBytes } from "node:crypto";
import { type Finding, HeadraceError } from "../../core/index.ts";
import type { S3Access } from "./client.ts";
import { readObject } from "./download.ts";
import { errorName } from "./errors.ts";
import { readPrefix } from "./policy.ts";
import { abortUpload, encryptionOf } from "./upload.ts";

const PROBE = Buffer.from("Written by `headrace check`; may be removed.\n");

/**
 * Tries each right that staging needs, on a probe that is removed again, and looks for rights that it does not need.
 * @throws what keeps it from asking at all: E_CONNECT, E_LOGIN, E_TLS, E_INVALID_VALUE, …
 */
export async function checkAccess(access: S3Access): Promise<Finding[]> {
	const findings: Finding[] = [];
	const { bucket } = access.options;
	const key = `${access.prefix}headrace-check-${randomBytes(6).toString("hex")}`;
	/** False when the right is missing. */
	const allowed = async (work: () => Promise<unknown>, severity: "error" | "warning" = "error"): Promise<boolean> => {
		try {
			await work();
			return true;
		} catch (error) {
			if (!(error instanceof HeadraceError) || error.code !== "E_RIGHTS") throw error;
			const what = /not allowed: (\S+?),/.exec(error.message)?.[1] ?? error.message;
			const without =
				severity === "warning" ? "; uploads of runs that were killed stay until a lifecycle rule ends them" : "";
			findings.push({ severity, message: `${access.location}: ${what} is not allowed${without}`, remedy: error.hint });
			return false;
		}
	};
	const put = () => putProbe(access, key);

	const lists = await allowed(() => listOne(access, access.prefix));
	const writes = await allowed(put);
	if (writes) {
		if (
			await put().then(
				(isNew) => isNew,
				() => false,
			)
		)
			findings.push({
				severity: "error",
				message: `${access.location}: the server ignores If-None-Match, so two runs could seal the same manifest`,
				remedy: "Use Amazon S3, or a server that has conditional writes.",
			});
		await allowed(() => readObject(access, key));
		await allowed(() => beginAndAbort(access, key));
		await allowed(() => removeProbe(access, key));
	}
	await allowed(() => listUploads(access), "warning");
	findings.push(...transport(access));
	if (access.prefix !== "" && lists) findings.push(...(await excess(access)));
	if (findings.every((finding) => finding.severity !== "error"))
		findings.unshift({
			severity: "ok",
			message: `s3://${bucket}: can be written, read and cleaned under ${access.location}`,
		});
	return findings;
}

/** Tries the rights that reading needs, and looks for those that it does not need. */
export async function checkReading(access: S3Access): Promise<Finding[]> {
	const findings: Finding[] = [];
	try {
		await listOne(access, readPrefix(access.options.prefix));
	} catch (error) {
		if (!(error instanceof HeadraceError) || error.code !== "E_RIGHTS") throw error;
		findings.push({
			severity: "error",
			message: `${access.location}: s3:ListBucket is not allowed`,
			remedy: error.hint,
		});
	}
	return [...findings, ...transport(access)];
}

/** False when the object was there. */
function putProbe(access: S3Access, key: string): Promise<boolean> {
	return access.request(
		{ doing: "writing a probe", action: "s3:PutObject", key: `${access.prefix}*` },
		async (client, { PutObjectCommand }) => {
			try {
				await client.send(
					new PutObjectCommand({
						Bucket: access.options.bucket,
						Key: key,
						Body: PROBE,
						IfNoneMatch: "*",
						...encryptionOf(access),
					}),
				);
				return true;
			} catch (error) {
				if (errorName(error) === "PreconditionFailed") return false;
				throw error;
			}
		},
	);
}

async function removeProbe(access: S3Access, key: string): Promise<void> {
	await access.request(
		{ doing: "removing a probe", action: "s3:DeleteObject", key: `${access.prefix}*` },
		(client, { DeleteObjectCommand }) =>
			client.send(new DeleteObjectCommand({ Bucket: access.options.bucket, Key: key })),
	);
}

async function beginAndAbort(access: S3Access, key: string): Promise<void> {
	const { bucket } = access.options;
	const begun = await access.request(
		{ doing: "beginning an upload", action: "s3:PutObject", key: `${access.prefix}*` },
		(client, { CreateMultipartUploadCommand }) =>
			client.send(new CreateMultipartUploadCommand({ Bucket: bucket, Key: key, ...encryptionOf(access) })),
	);
	await abortUpload(access, key, begun.UploadId!);
}

async function listOne(access: S3Access, Prefix: string): Promise<void> {
	await access.request({ doing: "listing", action: "s3:ListBucket" }, (client, { ListObjectsV2Command }) =>
		client.send(new ListObjectsV2Command({ Bucket: access.options.bucket, Prefix, MaxKeys: 1 })),
	);
}

async function listUploads(access: S3Access): Promise<void> {
	await access.request(
		{ doing: "listing unfinished uploads", action: "s3:ListBucketMultipartUploads" },
		(client, { ListMultipartUploadsCommand }) =>
			client.send(
				new ListMultipartUploadsCommand({ Bucket: access.options.bucket, Prefix: access.prefix, MaxUploads: 1 }),
			),
	);
}

function transport({ location, options }: S3Access): Finding[] {
	const { endpoint } = options;
	if (endpoint === undefined || !endpoint.startsWith("http:")) return [];
	const { hostname } = new URL(endpoint);
	if (/^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname)) return [];
	return [
		{
			severity: "warning",
			message: `${location}: rows go to ${hostname} without TLS`,
			remedy: `endpoint: https://${hostname}`,
		},
	];
}

/** Rights beyond the prefix, as far as they can be seen without touching anything. */
async function excess(access: S3Access): Promise<Finding[]> {
	const { bucket } = access.options;
	const findings: Finding[] = [];
	const canDo = (work: () => Promise<unknown>) =>
		work().then(
			() => true,
			(error: unknown) => {
				if (error instanceof HeadraceError && error.code === "E_RIGHTS") return false;
				throw error;
			},
		);
	const remedy = "`headrace grants <pipeline>` prints a policy with nothing more than is needed.";
	const foreign = `headrace-check-${randomBytes(6).toString("hex")}`;
	if (await canDo(() => listOne(access, "")))
		findings.push({
			severity: "warning",
			message: `s3://${bucket}: all of it can be listed, not only ${access.prefix}`,
			remedy,
		});
	// Of a key that is not there S3 says so only to who may read and list it.
	if (await canDo(() => readObject(access, foreign)))
		findings.push({
			severity: "warning",
			message: `s3://${bucket}: all of it can be read, not only ${access.prefix}`,
			remedy,
		});
	return findings;
}
