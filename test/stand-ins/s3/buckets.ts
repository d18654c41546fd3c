import { S3Error } from "./errors.ts";
import { type Answer, authorizeBucket, type Exchange, theBucket } from "./exchange.ts";
import { readPolicy } from "./policy.ts";
import { receiveDocument } from "./receive.ts";
import { Bucket } from "./world.ts";
import { childText, document, element, parseXml } from "./xml.ts";

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html */
export function checkBucketName(name: string): void {
	const wrong =
		!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(name) ||
		name.includes("..") ||
		/^\d+\.\d+\.\d+\.\d+$/.test(name) ||
		/^(xn--|sthree-|amzn-s3-demo-)/.test(name) ||
		/(-s3alias|--ol-s3|\.mrap|--x-s3|--table-s3)$/.test(name);
	if (wrong) throw new S3Error("InvalidBucketName", undefined, { BucketName: name });
}

export async function createBucket(exchange: Exchange): Promise<Answer> {
	checkBucketName(exchange.bucketName);
	const { world, bucketName } = exchange;
	const text = await receiveDocument(exchange, false);
	if (text !== "" && childText(parseXml(text), "LocationConstraint") !== world.region)
		throw new S3Error("InvalidRequest");
	if (world.buckets.has(bucketName))
		throw new S3Error("BucketAlreadyOwnedByYou", undefined, { BucketName: bucketName });
	world.buckets.set(bucketName, new Bucket(bucketName, world.nowMs()));
	return { status: 200, headers: { Location: `/${bucketName}` } };
}

export async function deleteBucket(exchange: Exchange): Promise<Answer> {
	authorizeBucket(exchange, "s3:DeleteBucket");
	if (theBucket(exchange).objects.size > 0) throw new S3Error("BucketNotEmpty");
	exchange.world.buckets.delete(exchange.bucketName);
	return { status: 204 };
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html */
export async function headBucket(exchange: Exchange): Promise<Answer> {
	authorizeBucket(exchange, "s3:ListBucket");
	return { status: 200, headers: { "x-amz-bucket-region": exchange.world.region } };
}

export async function listBuckets(exchange: Exchange): Promise<Answer> {
	const buckets = [...exchange.world.buckets.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
	const entries = buckets.map(({ name, createdAtMs }) =>
		element("Bucket", [element("Name", name), element("CreationDate", new Date(createdAtMs).toISOString())]),
	);
	return { status: 200, body: document("ListAllMyBucketsResult", [element("Buckets", entries)]) };
}

/** us-east-1 is told as nothing: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html */
export async function getBucketLocation(exchange: Exchange): Promise<Answer> {
	authorizeBucket(exchange, "s3:GetBucketLocation");
	theBucket(exchange);
	const { region } = exchange.world;
	return { status: 200, body: document("LocationConstraint", region === "us-east-1" ? [] : [region]) };
}

export async function getBucketVersioning(exchange: Exchange): Promise<Answer> {
	authorizeBucket(exchange, "s3:GetBucketVersioning");
	const { versioning } = theBucket(exchange);
	return {
		status: 200,
		body: document("VersioningConfiguration", versioning === null ? [] : [element("Status", versioning)]),
	};
}

export async function putBucketVersioning(exchange: Exchange): Promise<Answer> {
	authorizeBucket(exchange, "s3:PutBucketVersioning");
	const status = childText(parseXml(await receiveDocument(exchange, false)), "Status");
	if (status !== "Enabled" && status !== "Suspended") throw new S3Error("MalformedXML");
	theBucket(exchange).versioning = status;
	return { status: 200 };
}

export async function getBucketPolicy(exchange: Exchange): Promise<Answer> {
	authorizeBucket(exchange, "s3:GetBucketPolicy");
	const { policyText } = theBucket(exchange);
	if (policyText === "") throw new S3Error("NoSuchBucketPolicy");
	return { status: 200, headers: { "Content-Type": "application/json" }, body: policyText };
}

export async function putBucketPolicy(exchange: Exchange): Promise<Answer> {
	authorizeBucket(exchange, "s3:PutBucketPolicy");
	const text = await receiveDocument(exchange, false);
	const bucket = theBucket(exchange);
	bucket.policy = readPolicy(text);
	bucket.policyText = text;
	return { status: 204 };
}
