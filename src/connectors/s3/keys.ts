import { HeadraceError } from "../../core/index.ts";
import type { S3Access } from "./client.ts";

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html */
const KEY_BYTES_MAX = 1024;

/**
 * The key of a relative path with `/` between its segments.
 * @throws E_PATH when it is absolute, empty, has `.` or `..`, a backslash or a NUL, or is too long
 */
export function keyOf({ prefix }: S3Access, path: string): string {
	const wrong =
		/[\0\\]/.test(path) || path.split("/").some((segment) => segment === "" || segment === "." || segment === "..");
	if (wrong) throw new HeadraceError("E_PATH", `${JSON.stringify(path)} is not a path inside the prefix`);
	const key = `${prefix}${path}`;
	if (Buffer.byteLength(key) > KEY_BYTES_MAX)
		throw new HeadraceError("E_PATH", `the key ${JSON.stringify(`${key.slice(0, 80)}…`)} is longer than 1,024 bytes`, {
			hint: "Use a shorter `prefix:`, or shorter names of pipeline and tables.",
		});
	return key;
}

export interface ListedObject {
	readonly key: string;
	readonly bytes: number;
	/** With its quotation marks. */
	readonly etag: string;
	readonly modifiedAt: Date;
}

/** All objects whose keys begin so, page by page, in the order of their keys' bytes. */
export async function* listObjects(access: S3Access, prefix: string): AsyncGenerator<ListedObject, void, undefined> {
	let ContinuationToken: string | undefined;
	do {
		const page = await access.request(
			{ doing: `listing ${prefix === "" ? "the bucket" : prefix}`, action: "s3:ListBucket" },
			(client, { ListObjectsV2Command }) =>
				client.send(
					new ListObjectsV2Command({
						Bucket: access.options.bucket,
						Prefix: prefix,
						// A key may hold what XML can't.
						EncodingType: "url",
						...(ContinuationToken === undefined ? {} : { ContinuationToken }),
					}),
				),
		);
		for (const { Key, Size, ETag, LastModified } of page.Contents ?? [])
			yield {
				key: decodeURIComponent(Key!.replaceAll("+", " ")),
				bytes: Size!,
				etag: ETag!,
				modifiedAt: LastModified!,
			};
		ContinuationToken = page.NextContinuationToken;
	} while (ContinuationToken !== undefined);
}
