import { createHash } from "node:crypto";
import { startChecksum } from "./checksums.ts";
import { ObjectWriter } from "./object-bytes.ts";
import { bucketOf, type World } from "./world.ts";

/** Puts an object as a plain PutObject of someone else would. */
export async function putDirectly(world: World, bucketName: string, key: string, content: Buffer): Promise<void> {
	const bucket = bucketOf(world, bucketName);
	const writer = new ObjectWriter(world.folder);
	await writer.write(content);
	const checksum = startChecksum("CRC64NVME");
	checksum.update(content);
	await bucket.add({
		key,
		versionId: bucket.newVersionId(),
		deleteMarker: false,
		content: await writer.finish(),
		etag: `"${createHash("md5").update(content).digest("hex")}"`,
		modifiedAtMs: world.nowMs(),
		checksum: { algorithm: "CRC64NVME", value: checksum.digest(), type: "FULL_OBJECT" },
		headers: { "content-type": "binary/octet-stream" },
		encryption: { algorithm: "AES256", bucketKey: false },
	});
}
