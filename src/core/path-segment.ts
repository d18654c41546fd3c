import { createHash } from "node:crypto";

/** File systems and object stores take 255 bytes a segment; what is put before or behind it has the rest. */
const SEGMENT_BYTES_MAX = 180;

/**
 * A name as one path segment: characters that `kept` matches stay, all else is percent-encoded, and it is never `.` or
 * `..`. A segment that would be over 180 bytes is cut, and ends with a hash of the whole name.
 */
export function pathSegment(name: string, kept: RegExp): string {
	const encoded = dotless(percentEncoded(name, kept));
	if (Buffer.byteLength(encoded) <= SEGMENT_BYTES_MAX) return encoded;
	const hash = createHash("sha256").update(name).digest("hex").slice(0, 16);
	const begin = Buffer.from(encoded, "utf8")
		.subarray(0, SEGMENT_BYTES_MAX - 20)
		.toString("utf8")
		// The cut may go through a character or through what stands for one.
		.replace(/\ufffd|%[0-9A-F]?$/g, "");
	return `${begin}-${hash}`;
}

/** As `pathSegment`, but of any length: what earlier versions wrote. */
export function unboundedPathSegment(name: string, kept: RegExp): string {
	return dotless(percentEncoded(name, kept));
}

function percentEncoded(name: string, kept: RegExp): string {
	return Array.from(name, (char) => (kept.test(char) ? char : percentBytes(char))).join("");
}

function percentBytes(text: string): string {
	return Array.from(Buffer.from(text, "utf8"), (byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join(
		"",
	);
}

function dotless(encoded: string): string {
	return /^\.+$/.test(encoded) ? encoded.replaceAll(".", "%2E") : encoded;
}
