import { Readable } from "node:stream";
import { constants, createZstdDecompress } from "node:zlib";
import { HeadraceError } from "../../../core/index.ts";
import { ByteReader, corrupt } from "./bytes.ts";
import { HEADER_BYTES, type LogEvent } from "./event.ts";
import { INFLATED_BYTES_MAX } from "./inflate.ts";

const FIELD_END = 0;
const FIELD_SIZE = 1;
const FIELD_COMPRESSION = 2;
const FIELD_INFLATED_SIZE = 3;
const ZSTD = 0;
const NONE = 255;
/** 128 MiB: a frame that asks for a larger window asks for our memory. */
const WINDOW_LOG_MAX = 27;

/**
 * The events of a transaction that was compressed as a whole, a piece of it at a time: the transaction need not fit into
 * memory, only its compressed form.
 * @throws E_CORRUPT_EVENT, E_BOMB, E_UNSUPPORTED
 * https://dev.mysql.com/doc/dev/mysql-server/latest/classmysql_1_1binlog_1_1event_1_1Transaction__payload__event.html
 */
export async function* payloadEvents(event: LogEvent): AsyncGenerator<Buffer, void, undefined> {
	const reader = new ByteReader(event.bytes, event.body, event.bodyEnd, "a compressed transaction");
	let compression = NONE;
	let inflatedSize = 0;
	let size = 0;
	while (true) {
		const field = reader.lengthEncoded();
		if (field === FIELD_END) break;
		const length = reader.lengthEncoded();
		const value = new ByteReader(event.bytes, reader.skip(length), reader.at, "a compressed transaction");
		if (field === FIELD_SIZE) size = value.lengthEncoded();
		else if (field === FIELD_COMPRESSION) compression = value.lengthEncoded();
		else if (field === FIELD_INFLATED_SIZE) inflatedSize = value.lengthEncoded();
	}
	if (size !== reader.left) throw corrupt("a compressed transaction of another length than it says");
	const body = Buffer.from(reader.slice(size));
	if (compression !== ZSTD && compression !== NONE)
		throw new HeadraceError("E_UNSUPPORTED", `the change log has a transaction compressed by method ${compression}`);
	const pieces = compression === NONE ? [body] : inflate(body);
	let held: Buffer = Buffer.alloc(0);
	let total = 0;
	for await (const piece of pieces as AsyncIterable<Buffer>) {
		total += piece.length;
		if (compression === ZSTD && total > inflatedSize)
			throw new HeadraceError("E_BOMB", "the change log has a transaction that inflates to more than it says");
		held = held.length === 0 ? piece : Buffer.concat([held, piece]);
		let at = 0;
		while (held.length - at >= HEADER_BYTES) {
			const length = held.readUInt32LE(at + 9);
			if (length < HEADER_BYTES || length > INFLATED_BYTES_MAX) throw corrupt("an event of an impossible length");
			if (held.length - at < length) break;
			yield held.subarray(at, at + length);
			at += length;
		}
		held = held.subarray(at);
	}
	if (held.length > 0 || (compression === ZSTD && total !== inflatedSize))
		throw corrupt("a compressed transaction that ends too early");
}

async function* inflate(body: Buffer): AsyncGenerator<Buffer, void, undefined> {
	const stream = createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: WINDOW_LOG_MAX } });
	Readable.from([body]).pipe(stream);
	try {
		for await (const piece of stream) yield piece as Buffer;
	} catch {
		throw corrupt("a compressed transaction that can't be inflated");
	} finally {
		stream.destroy();
	}
}
