import { uuidText } from "./event.ts";

/** A UUID of MariaDB from its 16 bytes. */
export function uuidOf(bytes: Buffer): string {
	return uuidText(bytes);
}

/**
 * An INET4 or INET6 of MariaDB as the server prints it: the longest run of two or more zero groups as `::`, an IPv4
 * address at the end where one is mapped or compatible.
 * https://github.com/MariaDB/server/blob/10.11/plugin/type_inet/sql_type_inet.cc Inet6::to_string
 */
export function inetText(bytes: Buffer): string {
	if (bytes.length === 4) return bytes.join(".");
	const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2));
	let gapStart = -1;
	let gapLength = 1;
	for (let index = 0; index < 8; ) {
		let end = index;
		while (end < 8 && groups[end] === 0) end++;
		if (end - index > gapLength) {
			gapStart = index;
			gapLength = end - index;
		}
		index = end + 1;
	}
	let text = "";
	for (let index = 0; index < 8; index++) {
		if (index === gapStart) {
			text += "::";
			index += gapLength - 1;
			continue;
		}
		if (text !== "" && !text.endsWith(":")) text += ":";
		const isEmbedded = gapStart === 0 && index === 6 && (gapLength === 6 || (gapLength === 5 && groups[5] === 0xffff));
		if (isEmbedded) return text + bytes.subarray(12).join(".");
		text += groups[index]!.toString(16);
	}
	return text;
}
