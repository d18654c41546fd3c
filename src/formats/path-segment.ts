import { createHash } from "node:crypto";

const SEGMENT_BYTES_MAX = 180;

/** A name as one path segment: letters, digits, `_` and `-` stay, all else is percent-encoded. */
export function pathSegment(name: string): string {
	const encoded = name.replace(/[^\p{L}\p{N}_-]/gu, (char) =>
		Array.from(Buffer.from(char, "utf8"), (byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join(""),
	);
	if (Buffer.byteLength(encoded) <= SEGMENT_BYTES_MAX) return encoded;
	const hash = createHash("sha256").update(name).digest("hex").slice(0, 16);
	const begin = Buffer.from(encoded, "utf8")
		.subarray(0, SEGMENT_BYTES_MAX - 20)
		.toString("utf8")
		.replace(/\ufffd|%[0-9A-F]?$/g, "");
	return `${begin}-${hash}`;
}
