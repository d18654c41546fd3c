import { inflateRawSync, inflateSync } from "node:zlib";
import { HeadraceError } from "../../../core/index.ts";
import { corrupt } from "./bytes.ts";

/** No event, statement or value is larger: max_allowed_packet ends at 1 GiB. */
export const INFLATED_BYTES_MAX = 1 << 30;

function bomb(what: string): HeadraceError {
	return new HeadraceError("E_BOMB", `the change log has ${what} that inflates to more than it says`);
}

function inflated(inflate: () => Buffer, length: number, what: string): Buffer {
	let made: Buffer;
	try {
		made = inflate();
	} catch (cause) {
		if ((cause as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE") throw bomb(what);
		throw corrupt(`${what} that can't be inflated`);
	}
	if (made.length !== length) throw corrupt(`${what} that inflates to another length than it says`);
	return made;
}

/**
 * Rows and statements of MariaDB's log_bin_compress: a byte with the kind and how many bytes the length has, the length
 * with its highest byte first, zlib.
 * @throws E_CORRUPT_EVENT, E_BOMB
 * https://github.com/MariaDB/server/blob/10.11/sql/log_event.cc binlog_buf_uncompress
 */
export function inflateEvent(packed: Buffer): Buffer {
	const head = packed[0] ?? 0;
	const lengthBytes = head & 7;
	if ((head & 0x80) === 0 || (head & 0x70) !== 0 || lengthBytes < 1 || lengthBytes > 4)
		throw corrupt("a compressed event of an unknown kind");
	if (packed.length < 1 + lengthBytes) throw corrupt("a compressed event that ends too early");
	const length = packed.readUIntBE(1, lengthBytes);
	if (length > INFLATED_BYTES_MAX) throw bomb("an event");
	const body = packed.subarray(1 + lengthBytes);
	return inflated(() => inflateSync(body, { maxOutputLength: Math.max(1, length) }), length, "an event");
}

const PLAIN = 0;
const ZLIB = 8;
const FLAG_RAW = 8;

/**
 * A value of a MariaDB column that is COMPRESSED: a byte with the method, whether it has no zlib header, and how many
 * bytes the length has; the length with its highest byte first; deflate.
 * @throws E_CORRUPT_EVENT, E_BOMB
 * https://github.com/MariaDB/server/blob/10.11/sql/field_comp.cc
 */
export function inflateValue(bytes: Buffer, start: number, end: number): Buffer {
	if (start === end) return bytes.subarray(start, end);
	const head = bytes[start]!;
	if (head === PLAIN) return bytes.subarray(start + 1, end);
	const lengthBytes = head & 7;
	if (head >> 4 !== ZLIB || lengthBytes < 1 || lengthBytes > 4 || start + 1 + lengthBytes > end)
		throw corrupt("a compressed value of an unknown kind");
	const length = bytes.readUIntBE(start + 1, lengthBytes);
	if (length > INFLATED_BYTES_MAX) throw bomb("a value");
	const body = bytes.subarray(start + 1 + lengthBytes, end);
	const options = { maxOutputLength: Math.max(1, length) };
	return inflated(
		() => ((head & FLAG_RAW) !== 0 ? inflateRawSync(body, options) : inflateSync(body, options)),
		length,
		"a value",
	);
}
