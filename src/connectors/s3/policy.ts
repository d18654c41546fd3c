import type { Grant } from "../../core/index.ts";
import { folderPrefix, type S3Options } from "./options.ts";

type Place = Pick<S3Options, "bucket" | "prefix" | "region" | "kmsKey">;

interface Statement {
	readonly Sid: string;
	readonly Effect: "Allow" | "Deny";
	readonly Principal?: "*";
	readonly Action: string | readonly string[];
	readonly Resource: string | readonly string[];
	readonly Condition?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

export interface PolicyDocument {
	readonly Version: "2012-10-17";
	readonly Statement: readonly Statement[];
}

/** https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html: China and GovCloud are partitions of their own. */
export function arn({ bucket, region }: Place, key?: string): string {
	const partition = region?.startsWith("cn-") ? "aws-cn" : region?.startsWith("us-gov-") ? "aws-us-gov" : "aws";
	return `arn:${partition}:s3:::${bucket}${key === undefined ? "" : `/${key}`}`;
}

/** What staging does to a part of a bucket, and nothing else. */
export const STAGING_ACTIONS = ["s3:PutObject", "s3:GetObject", "s3:DeleteObject", "s3:AbortMultipartUpload"] as const;

/** What all keys begin with that are read of a file, a folder or a pattern. */
export function readPrefix(path = ""): string {
	const wild = /[*?[]/.exec(path)?.index;
	if (wild !== undefined) return path.slice(0, path.lastIndexOf("/", wild) + 1);
	return /\.[^/]+$/.test(path) ? path : folderPrefix(path);
}

/** The least rights that a user or role needs: to stage files there, or only to read them. */
export function identityPolicy(place: Place, use: "stage" | "read"): PolicyDocument {
	const prefix = use === "stage" ? folderPrefix(place.prefix) : readPrefix(place.prefix);
	const kms = use === "stage" ? ["kms:GenerateDataKey", "kms:Decrypt"] : "kms:Decrypt";
	return {
		Version: "2012-10-17",
		Statement: [
			{
				Sid: use === "stage" ? "Stage" : "Read",
				Effect: "Allow",
				Action: use === "stage" ? STAGING_ACTIONS : "s3:GetObject",
				Resource: arn(place, `${prefix}*`),
			},
			listStatement(place, prefix),
			...(use === "stage"
				? [
						{
							// To take away what a run that was killed had begun to upload; it has no condition on the prefix.
							Sid: "Uploads",
							Effect: "Allow" as const,
							Action: "s3:ListBucketMultipartUploads",
							Resource: arn(place),
						},
					]
				: []),
			...(place.kmsKey === undefined
				? []
				: [{ Sid: "Kms", Effect: "Allow" as const, Action: kms, Resource: place.kmsKey }]),
		],
	};
}

function listStatement(place: Place, prefix: string): Statement {
	return {
		Sid: "List",
		Effect: "Allow",
		Action: "s3:ListBucket",
		Resource: arn(place),
		...(prefix === "" ? {} : { Condition: { StringLike: { "s3:prefix": `${prefix}*` } } }),
	};
}

/** All documents for a pipeline that uses the place so. */
export function grantsOf(place: Place & Pick<S3Options, "roleArn">, use: "stage" | "read"): Grant[] {
	const json = (document: PolicyDocument) => JSON.stringify(document, null, 2);
	const whose = place.roleArn === undefined ? "the user or role" : place.roleArn;
	return [
		{ title: `IAM policy of ${whose}`, language: "json", text: json(identityPolicy(place, use)) },
		{ title: `policy of the bucket ${place.bucket}`, language: "json", text: json(bucketPolicy(place)) },
	];
}

/** For the bucket itself: nothing without TLS. https://docs.aws.amazon.com/AmazonS3/latest/userguide/security-best-practices.html */
export function bucketPolicy(place: Place): PolicyDocument {
	return {
		Version: "2012-10-17",
		Statement: [
			{
				Sid: "OnlyWithTls",
				Effect: "Deny",
				Principal: "*",
				Action: "s3:*",
				Resource: [arn(place), arn(place, "*")],
				Condition: { Bool: { "aws:SecureTransport": "false" } },
			},
		],
	};
}
