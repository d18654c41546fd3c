import type { Grant, Staging, TableName } from "../../core/index.ts";
import { GLUE_DATABASE_DEFAULT, type GlueOptions } from "./glue-client.ts";
import { glueTableName } from "./glue-form.ts";
import { tableFolder } from "./layout.ts";

/** https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html: China and GovCloud are partitions of their own */
function partitionOf(region: string | undefined): string {
	if (region?.startsWith("cn-") === true) return "aws-cn";
	return region?.startsWith("us-gov-") === true ? "aws-us-gov" : "aws";
}

const WRITER_ACTIONS = [
	"GetDatabase",
	"CreateDatabase",
	"GetTable",
	"CreateTable",
	"UpdateTable",
	"DeleteTable",
	"BatchCreatePartition",
	"BatchUpdatePartition",
	"BatchDeletePartition",
];
const READER_ACTIONS = [
	"GetDatabase",
	"GetDatabases",
	"GetTable",
	"GetTables",
	"GetPartition",
	"GetPartitions",
	"BatchGetPartition",
];
const ATHENA_ACTIONS = [
	"StartQueryExecution",
	"GetQueryExecution",
	"GetQueryResults",
	"StopQueryExecution",
	"GetWorkGroup",
];

/** The least rights in the catalogue, and those of somebody who only queries the tables by Athena. Empty for a folder. */
export function lakeGrants(store: Staging, glue: GlueOptions | undefined, tables: readonly TableName[]): Grant[] {
	const { address } = store;
	if (address === undefined) return [];
	const partition = partitionOf(glue?.region ?? address.region);
	const region = glue?.region ?? address.region ?? "REGION";
	const object = (path: string) => `arn:${partition}:s3:::${address.uriOf(path).slice("s3://".length)}`;
	const bucket = object("x").split("/")[0]!;
	const prefix = address.uriOf("x").split("/").slice(3, -1).join("/");
	const document = (title: string, Statement: readonly object[]): Grant => ({
		title,
		language: "json",
		text: JSON.stringify({ Version: "2012-10-17", Statement }, null, 2),
	});
	// A commit file, or an entry of a stream, is never written over, whoever tries it: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html
	const once = document(`policy of the bucket, to add: commit files are written once`, [
		{
			Sid: "CommitsOnce",
			Effect: "Deny",
			Principal: "*",
			Action: "s3:PutObject",
			Resource: [object("_headrace/commits/*"), object("_headrace/streams/*")],
			Condition: { Null: { "s3:if-none-match": "true" } },
		},
	]);
	const database = glue?.database ?? GLUE_DATABASE_DEFAULT;
	const glueArn = (resource: string) => `arn:${partition}:glue:${region}:ACCOUNT:${resource}`;
	const catalog = [
		"catalog",
		`database/${database}`,
		...tables.map((table) => `table/${database}/${glueTableName(table)}`),
	].map(glueArn);
	const folders = tables.map(tableFolder);
	const list = (path: string) => (prefix === "" ? path : `${prefix}/${path}`);
	const reader = [
		{
			Sid: "Files",
			Effect: "Allow",
			Action: "s3:GetObject",
			Resource: folders.flatMap((folder) => [object(`${folder}/data/*`), object(`${folder}/athena/*`)]),
		},
		{
			Sid: "List",
			Effect: "Allow",
			Action: ["s3:ListBucket", "s3:GetBucketLocation"],
			Resource: bucket,
			Condition: { StringLikeIfExists: { "s3:prefix": folders.map((folder) => list(`${folder}/*`)) } },
		},
		{ Sid: "Catalog", Effect: "Allow", Action: READER_ACTIONS.map((action) => `glue:${action}`), Resource: catalog },
		{
			Sid: "Queries",
			Effect: "Allow",
			Action: ATHENA_ACTIONS.map((action) => `athena:${action}`),
			Resource: `arn:${partition}:athena:${region}:ACCOUNT:workgroup/WORKGROUP`,
		},
		{
			Sid: "Results",
			Effect: "Allow",
			Action: ["s3:PutObject", "s3:GetObject", "s3:ListBucket", "s3:GetBucketLocation", "s3:AbortMultipartUpload"],
			Resource: [`arn:${partition}:s3:::RESULTS_BUCKET`, `arn:${partition}:s3:::RESULTS_BUCKET/*`],
		},
	];
	const writer = {
		Sid: "Glue",
		Effect: "Allow",
		Action: WRITER_ACTIONS.map((action) => `glue:${action}`),
		Resource: catalog,
	};
	return [
		once,
		...(glue === undefined
			? []
			: [
					document("IAM policy of the same user or role, for Glue", [writer]),
					document("IAM policy of a reader by Athena", reader),
				]),
	];
}
