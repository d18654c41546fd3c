import {
	createBucket,
	deleteBucket,
	getBucketLocation,
	getBucketPolicy,
	getBucketVersioning,
	headBucket,
	listBuckets,
	putBucketPolicy,
	putBucketVersioning,
} from "./buckets.ts";
import { S3Error } from "./errors.ts";
import type { Answer, Exchange } from "./exchange.ts";
import { listObjects, listObjectsV2, listObjectVersions } from "./listing.ts";
import {
	abortMultipartUpload,
	completeMultipartUpload,
	createMultipartUpload,
	listMultipartUploads,
	listParts,
	uploadPart,
} from "./multipart.ts";
import { copyObject, deleteObject, deleteObjects, getObject, putObject } from "./objects.ts";

type Operation = (exchange: Exchange) => Promise<Answer>;

export const OPERATIONS: Readonly<Record<string, Operation>> = {
	AbortMultipartUpload: abortMultipartUpload,
	CompleteMultipartUpload: completeMultipartUpload,
	CopyObject: copyObject,
	CreateBucket: createBucket,
	CreateMultipartUpload: createMultipartUpload,
	DeleteBucket: deleteBucket,
	DeleteObject: deleteObject,
	DeleteObjects: deleteObjects,
	GetBucketLocation: getBucketLocation,
	GetBucketPolicy: getBucketPolicy,
	GetBucketVersioning: getBucketVersioning,
	GetObject: getObject,
	HeadBucket: headBucket,
	HeadObject: getObject,
	ListBuckets: listBuckets,
	ListMultipartUploads: listMultipartUploads,
	ListObjects: listObjects,
	ListObjectVersions: listObjectVersions,
	ListObjectsV2: listObjectsV2,
	ListParts: listParts,
	PutBucketPolicy: putBucketPolicy,
	PutBucketVersioning: putBucketVersioning,
	PutObject: putObject,
	UploadPart: uploadPart,
};

export interface RouteRequest {
	readonly method: string;
	readonly bucket: string;
	readonly key: string;
	readonly query: readonly (readonly [string, string])[];
	readonly copies: boolean;
}

/** Query parameters that name an operation which is not built; the real service has them, so they must not be ignored. */
const NOT_BUILT = new Set(
	"accelerate acl analytics attributes cors encryption intelligent-tiering inventory legal-hold lifecycle logging metrics notification object-lock ownershipControls policyStatus publicAccessBlock replication requestPayment restore retention select tagging torrent website".split(
		" ",
	),
);

/** The operation's name, as AWS has it: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html */
export function operationName({ method, bucket, key, query, copies }: RouteRequest): string {
	const names = new Set(query.map(([name]) => name));
	for (const name of names) if (NOT_BUILT.has(name)) throw new S3Error("NotImplemented", `${name} is not built in`);
	const name = bucket === "" ? serviceOperation(method) : key === "" ? bucketOperation(method, names) : undefined;
	const found = bucket !== "" && key !== "" ? objectOperation(method, names, copies) : name;
	if (found === undefined) throw new S3Error("MethodNotAllowed");
	return found;
}

function serviceOperation(method: string): string | undefined {
	return { GET: "ListBuckets", POST: "AssumeRole" }[method];
}

function bucketOperation(method: string, names: ReadonlySet<string>): string | undefined {
	const subresource = ["location", "versioning", "policy", "uploads", "versions", "list-type", "delete"].find((name) =>
		names.has(name),
	);
	const by: Record<string, string> = {
		"DELETE ": "DeleteBucket",
		"GET ": "ListObjects",
		"GET list-type": "ListObjectsV2",
		"GET location": "GetBucketLocation",
		"GET policy": "GetBucketPolicy",
		"GET uploads": "ListMultipartUploads",
		"GET versioning": "GetBucketVersioning",
		"GET versions": "ListObjectVersions",
		"HEAD ": "HeadBucket",
		"POST delete": "DeleteObjects",
		"PUT ": "CreateBucket",
		"PUT policy": "PutBucketPolicy",
		"PUT versioning": "PutBucketVersioning",
	};
	return by[`${method} ${subresource ?? ""}`];
}

function objectOperation(method: string, names: ReadonlySet<string>, copies: boolean): string | undefined {
	const upload = names.has("uploadId") ? "uploadId" : names.has("uploads") ? "uploads" : "";
	if (method === "PUT" && copies) {
		if (upload !== "") throw new S3Error("NotImplemented", "UploadPartCopy is not built in");
		return "CopyObject";
	}
	if (method === "GET" && names.has("partNumber")) throw new S3Error("NotImplemented", "GET by part is not built in");
	const by: Record<string, string> = {
		"DELETE ": "DeleteObject",
		"DELETE uploadId": "AbortMultipartUpload",
		"GET ": "GetObject",
		"GET uploadId": "ListParts",
		"HEAD ": "HeadObject",
		"POST uploadId": "CompleteMultipartUpload",
		"POST uploads": "CreateMultipartUpload",
		"PUT ": "PutObject",
		"PUT uploadId": "UploadPart",
	};
	return by[`${method} ${upload}`];
}
