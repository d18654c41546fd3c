import { HeadraceError } from "../../core/index.ts";

/**
 * The values of a text-protocol row (https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset_row.html)
 * as strings: for the few rows of catalogs and settings.
 */
export function rowText(buffer: Buffer, start: number, end: number): (string | null)[] {
	const values: (string | null)[] = [];
	let at = start;
	while (at < end) {
		const first = buffer[at++]!;
		let length = first;
		if (first === 251) {
			values.push(null);
			continue;
		}
		if (first === 252) {
			length = buffer.readUInt16LE(at);
			at += 2;
		} else if (first === 253) {
			length = buffer.readUIntLE(at, 3);
			at += 3;
		} else if (first > 253) {
			length = buffer.readUInt32LE(at) + buffer.readUInt32LE(at + 4) * 4294967296;
			at += 8;
		}
		if (at + length > end) throw brokenRow();
		values.push(buffer.toString("utf8", at, at + length));
		at += length;
	}
	return values;
}

export function brokenRow(): HeadraceError {
	return new HeadraceError("E_CONNECTION_LOST", "the server sent a row whose lengths don't add up");
}
