import { S3Error } from "./errors.ts";
import { type Answer, authorizeBucket, type Exchange, parameter, theBucket } from "./exchange.ts";
import { uriEncode } from "./signature.ts";
import { compareUtf8 } from "./world.ts";
import { document, element } from "./xml.ts";

const PAGE_KEYS_MAX = 1000;

interface Page {
	readonly keys: readonly string[];
	readonly prefixes: readonly string[];
	/** The last key or common prefix, when more follow. */
	readonly last: string | null;
}

/** Keys after `after`, those with the delimiter behind the prefix rolled up; each prefix counts as one. */
export function pageOf(sorted: readonly string[], prefix: string, delimiter: string, after: string, max: number): Page {
	const keys: string[] = [];
	const prefixes: string[] = [];
	let last = "";
	for (const key of sorted) {
		if (!key.startsWith(prefix)) continue;
		const cut = delimiter === "" ? -1 : key.indexOf(delimiter, prefix.length);
		const common = cut === -1 ? null : key.slice(0, cut + delimiter.length);
		if (common !== null && common === prefixes.at(-1)) continue;
		if (compareUtf8(common ?? key, after) <= 0 || (after !== "" && common !== null && after.startsWith(common)))
			continue;
		if (keys.length + prefixes.length === max) return { keys, prefixes, last: max === 0 ? null : last };
		if (common === null) keys.push(key);
		else prefixes.push(common);
		last = common ?? key;
	}
	return { keys, prefixes, last: null };
}

function listingParameters(exchange: Exchange) {
	const maxText = parameter(exchange, "max-keys") ?? String(PAGE_KEYS_MAX);
	if (!/^\d{1,9}$/.test(maxText))
		throw new S3Error("InvalidArgument", "Provided max-keys not an integer or within integer range");
	const encoding = parameter(exchange, "encoding-type");
	if (encoding !== undefined && encoding !== "url")
		throw new S3Error("InvalidArgument", "Invalid Encoding Method specified in Request");
	const prefix = parameter(exchange, "prefix") ?? "";
	const delimiter = parameter(exchange, "delimiter") ?? "";
	authorizeBucket(exchange, "s3:ListBucket", {
		"s3:prefix": prefix,
		"s3:delimiter": delimiter,
		"s3:max-keys": maxText,
	});
	return {
		prefix,
		delimiter,
		max: Math.min(Number(maxText), PAGE_KEYS_MAX),
		encoding,
		shown: (text: string) => (encoding === "url" ? formEncode(text) : text),
	};
}

/** As `test_file(3).png` is shown on the ListObjectsV2 page; a blank is a plus, and a plus `%2B`, as in forms. */
function formEncode(text: string): string {
	return uriEncode(text, false).replaceAll("%20", "+");
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html */
export async function listObjectsV2(exchange: Exchange): Promise<Answer> {
	const bucket = theBucket(exchange);
	const { prefix, delimiter, max, encoding, shown } = listingParameters(exchange);
	const token = parameter(exchange, "continuation-token");
	const startAfter = parameter(exchange, "start-after") ?? "";
	const after = token === undefined ? startAfter : readToken(token);
	const live = bucket.sortedKeys().filter((key) => bucket.current(key) !== null);
	const { keys, prefixes, last } = pageOf(live, prefix, delimiter, after, max);
	return {
		status: 200,
		body: document("ListBucketResult", [
			element("Name", bucket.name),
			element("Prefix", shown(prefix)),
			...(delimiter === "" ? [] : [element("Delimiter", shown(delimiter))]),
			...(encoding === undefined ? [] : [element("EncodingType", encoding)]),
			...(startAfter === "" ? [] : [element("StartAfter", shown(startAfter))]),
			...(token === undefined ? [] : [element("ContinuationToken", token)]),
			element("KeyCount", keys.length + prefixes.length),
			element("MaxKeys", max),
			element("IsTruncated", last !== null),
			...(last === null ? [] : [element("NextContinuationToken", writeToken(last))]),
			...contents(exchange, keys, shown),
			...prefixes.map((common) => element("CommonPrefixes", [element("Prefix", shown(common))])),
		]),
	};
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjects.html */
export async function listObjects(exchange: Exchange): Promise<Answer> {
	const bucket = theBucket(exchange);
	const { prefix, delimiter, max, encoding, shown } = listingParameters(exchange);
	const marker = parameter(exchange, "marker") ?? "";
	const live = bucket.sortedKeys().filter((key) => bucket.current(key) !== null);
	const { keys, prefixes, last } = pageOf(live, prefix, delimiter, marker, max);
	return {
		status: 200,
		body: document("ListBucketResult", [
			element("Name", bucket.name),
			element("Prefix", shown(prefix)),
			element("Marker", shown(marker)),
			...(delimiter === "" ? [] : [element("Delimiter", shown(delimiter))]),
			...(encoding === undefined ? [] : [element("EncodingType", encoding)]),
			element("MaxKeys", max),
			element("IsTruncated", last !== null),
			// Only with a delimiter; without one the client goes on from the last key.
			...(last === null || delimiter === "" ? [] : [element("NextMarker", shown(last))]),
			...contents(exchange, keys, shown),
			...prefixes.map((common) => element("CommonPrefixes", [element("Prefix", shown(common))])),
		]),
	};
}

function contents(exchange: Exchange, keys: readonly string[], shown: (text: string) => string): string[] {
	const bucket = theBucket(exchange);
	return keys.map((key) => {
		const { etag, modifiedAtMs, content, checksum } = bucket.current(key)!;
		return element("Contents", [
			element("Key", shown(key)),
			element("LastModified", new Date(modifiedAtMs).toISOString()),
			element("ETag", etag),
			...(checksum === null
				? []
				: [element("ChecksumAlgorithm", checksum.algorithm), element("ChecksumType", checksum.type)]),
			element("Size", content.bytes),
			element("StorageClass", "STANDARD"),
		]);
	});
}

/** Opaque on purpose: a client must not make one. */
function writeToken(last: string): string {
	return `1${Buffer.from(last).toString("base64").split("").reverse().join("")}`;
}

function readToken(token: string): string {
	const wrong = new S3Error("InvalidArgument", "The continuation token provided is incorrect");
	if (!token.startsWith("1")) throw wrong;
	const text = Buffer.from(token.slice(1).split("").reverse().join(""), "base64").toString();
	if (writeToken(text) !== token) throw wrong;
	return text;
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html; all in one page. */
export async function listObjectVersions(exchange: Exchange): Promise<Answer> {
	const bucket = theBucket(exchange);
	const prefix = parameter(exchange, "prefix") ?? "";
	authorizeBucket(exchange, "s3:ListBucketVersions", { "s3:prefix": prefix });
	if ([...bucket.objects.values()].reduce((sum, { length }) => sum + length, 0) > PAGE_KEYS_MAX)
		throw new S3Error("NotImplemented");
	const entries = bucket
		.sortedKeys()
		.filter((key) => key.startsWith(prefix))
		.flatMap((key) => bucket.objects.get(key)!.toReversed())
		.map((version) => {
			const common = [
				element("Key", version.key),
				element("VersionId", version.versionId),
				element("IsLatest", bucket.objects.get(version.key)!.at(-1) === version),
				element("LastModified", new Date(version.modifiedAtMs).toISOString()),
			];
			if (version.deleteMarker) return element("DeleteMarker", common);
			return element("Version", [...common, element("ETag", version.etag), element("Size", version.content.bytes)]);
		});
	return {
		status: 200,
		body: document("ListVersionsResult", [
			element("Name", bucket.name),
			element("Prefix", prefix),
			element("IsTruncated", false),
			...entries,
		]),
	};
}
