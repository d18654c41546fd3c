import { crc32 } from "node:zlib";
import { HeadraceError } from "../../../core/index.ts";
import { ByteReader, corrupt } from "./bytes.ts";

/**
 * Kinds of events, as MySQL's libbinlogevents and MariaDB's log_event.h number them.
 * https://dev.mysql.com/doc/dev/mysql-server/latest/classmysql_1_1binlog_1_1event_1_1Log__event__type.html
 * https://mariadb.com/kb/en/2-binlog-event-header/
 */
export const EventType = {
	query: 2,
	stop: 3,
	rotate: 4,
	formatDescription: 15,
	xid: 16,
	beginLoadQuery: 17,
	executeLoadQuery: 18,
	tableMap: 19,
	writeRowsV1: 23,
	updateRowsV1: 24,
	deleteRowsV1: 25,
	incident: 26,
	heartbeat: 27,
	writeRows: 30,
	updateRows: 31,
	deleteRows: 32,
	gtid: 33,
	anonymousGtid: 34,
	previousGtids: 35,
	xaPrepare: 38,
	partialUpdateRows: 39,
	transactionPayload: 40,
	heartbeatV2: 41,
	gtidTagged: 42,
	mariadbGtid: 162,
	mariadbGtidList: 163,
	mariadbStartEncryption: 164,
	mariadbQueryCompressed: 165,
	mariadbWriteRowsCompressedV1: 166,
	mariadbUpdateRowsCompressedV1: 167,
	mariadbDeleteRowsCompressedV1: 168,
	mariadbWriteRowsCompressed: 169,
	mariadbUpdateRowsCompressed: 170,
	mariadbDeleteRowsCompressed: 171,
	mariadbPartialRowData: 172,
} as const;

export const HEADER_BYTES = 19;
const FLAG_ARTIFICIAL = 0x20;
const CHECKSUM_BYTES = 4;

/** An event's header and where its body lies. */
export interface LogEvent {
	readonly bytes: Buffer;
	/** Where the header begins. */
	readonly start: number;
	readonly type: number;
	/** Seconds since 1970. */
	readonly timestamp: number;
	readonly serverId: number;
	/** Header, body and checksum. */
	readonly size: number;
	/** Low 32 bits of the file offset after the event; 0 for one that is not in the file. */
	readonly endOffset: number;
	/** Made by the server for this connection: it is not in the file. */
	readonly artificial: boolean;
	/** Where the body begins. */
	readonly body: number;
	/** Where the body ends: before the checksum. */
	readonly bodyEnd: number;
}

/**
 * Reads an event of [start, end) and verifies its checksum, when the log has them.
 * @throws E_CORRUPT_EVENT
 */
export function readEvent(bytes: Buffer, start: number, end: number, checksums: boolean): LogEvent {
	if (end - start < HEADER_BYTES) throw corrupt("an event that is shorter than its header");
	const type = bytes[start + 4]!;
	const size = bytes.readUInt32LE(start + 9);
	if (size !== end - start) throw corrupt("an event whose length is not its packet's");
	// The event that says whether there are checksums has one in any case, behind a byte that names the algorithm.
	const trailer = type === EventType.formatDescription ? 0 : checksums ? CHECKSUM_BYTES : 0;
	if (size < HEADER_BYTES + trailer) throw corrupt("an event that is shorter than its header");
	if (trailer > 0) verify(bytes, start, end);
	const flags = bytes.readUInt16LE(start + 17);
	return {
		bytes,
		start,
		type,
		timestamp: bytes.readUInt32LE(start),
		serverId: bytes.readUInt32LE(start + 5),
		size,
		endOffset: bytes.readUInt32LE(start + 13),
		artificial: (flags & FLAG_ARTIFICIAL) !== 0,
		body: start + HEADER_BYTES,
		bodyEnd: end - trailer,
	};
}

function verify(bytes: Buffer, start: number, end: number): void {
	const at = end - CHECKSUM_BYTES;
	if (crc32(bytes.subarray(start, at)) !== bytes.readUInt32LE(at))
		throw new HeadraceError("E_CORRUPT_EVENT", "an event of the change log does not have the checksum that it carries");
}

/** The checksum of an event as it lies in the file, whether the log keeps checksums or not. */
export function checksumOf(event: LogEvent): number {
	// It was verified when the event was read.
	if (event.bodyEnd < event.start + event.size) return event.bytes.readUInt32LE(event.bodyEnd);
	return crc32(event.bytes.subarray(event.start, event.bodyEnd));
}

/** The first event of each file. */
export interface FormatDescription {
	readonly checksums: boolean;
	/** Length of the fixed part of each kind of event, from kind 1 on. */
	readonly postHeaders: Buffer;
}

const CHECKSUM_OFF = 0;
const CHECKSUM_CRC32 = 1;
const SERVER_VERSION_BYTES = 50;

/**
 * @throws E_CORRUPT_EVENT, E_UNSUPPORTED for a checksum that is not known
 * https://dev.mysql.com/doc/dev/mysql-server/latest/classmysql_1_1binlog_1_1event_1_1Format__description__event.html
 */
export function readFormatDescription(event: LogEvent): FormatDescription {
	const reader = new ByteReader(event.bytes, event.body, event.bodyEnd, "a format description");
	const version = reader.uint(2);
	if (version !== 4)
		throw new HeadraceError("E_UNSUPPORTED", `the change log has format ${version}; the one that can be read is 4`);
	const serverVersion = reader.text(SERVER_VERSION_BYTES).replace(/\0.*$/s, "");
	reader.skip(4);
	if (reader.uint8() !== HEADER_BYTES) throw corrupt("a header of another length");
	// MySQL 5.6.1 and MariaDB 5.3 brought checksums; every server that is supported has them or says `off`.
	if (reader.left < CHECKSUM_BYTES + 1) throw corrupt(`a format description that ends too early (${serverVersion})`);
	// It holds for the whole file, longer than the memory that it came in.
	const postHeaders = Buffer.from(reader.slice(reader.left - CHECKSUM_BYTES - 1));
	const algorithm = reader.uint8();
	if (algorithm !== CHECKSUM_OFF && algorithm !== CHECKSUM_CRC32)
		throw new HeadraceError("E_UNSUPPORTED", `the change log has checksums of kind ${algorithm}, which is not known`);
	if (algorithm === CHECKSUM_CRC32) {
		// A file that is being written has a flag set that the checksum leaves out.
		const copy = Buffer.from(event.bytes.subarray(event.start, event.bodyEnd));
		const stored = copy.readUInt32LE(copy.length - CHECKSUM_BYTES);
		const covered = copy.subarray(0, copy.length - CHECKSUM_BYTES);
		const matches = crc32(covered) === stored;
		covered[17]! &= ~1;
		if (!matches && crc32(covered) !== stored)
			throw new HeadraceError("E_CORRUPT_EVENT", "the change log's file header does not have its checksum");
	}
	return { checksums: algorithm === CHECKSUM_CRC32, postHeaders };
}

/** Whether a table id has 4 bytes, as in logs of MySQL 5.1 and earlier. */
export function hasShortTableId(format: FormatDescription, type: number): boolean {
	return format.postHeaders[type - 1] === 6;
}

export interface Rotate {
	readonly file: string;
	readonly offset: number;
}

export function readRotate(event: LogEvent): Rotate {
	const reader = new ByteReader(event.bytes, event.body, event.bodyEnd, "a rotate event");
	const offset = Number(reader.uint64());
	return { offset, file: reader.text(reader.left) };
}

/** A statement as the log has it. */
export interface QueryEvent {
	readonly schema: string;
	readonly text: string;
	/** Bits of sql_mode; 4 = ANSI_QUOTES. */
	readonly sqlMode: number;
	/** Microseconds of the statement's time, when the log tells. */
	readonly micros: number;
}

/** Fixed lengths of the status variables by code; -1: a length byte comes first. */
const STATUS_BYTES: Readonly<Record<number, number>> = {
	0: 4,
	1: 8,
	2: -2,
	3: 4,
	4: 6,
	5: -1,
	6: -1,
	7: 2,
	8: 2,
	9: 8,
	10: 4,
	11: -3,
	12: -4,
	13: 3,
	16: 1,
	17: 8,
	18: 2,
	19: 1,
	20: 1,
	128: 3,
	129: 8,
};
const SQL_MODE_CODE = 1;
const MICROSECONDS_CODES = [13, 128];

/**
 * @throws E_CORRUPT_EVENT, E_BOMB
 * https://dev.mysql.com/doc/dev/mysql-server/latest/classmysql_1_1binlog_1_1event_1_1Query__event.html
 */
export function readQuery(event: LogEvent, inflate: ((packed: Buffer) => Buffer) | null): QueryEvent {
	const reader = new ByteReader(event.bytes, event.body, event.bodyEnd, "a statement");
	reader.skip(8);
	const schemaLength = reader.uint8();
	reader.skip(2);
	const statusLength = reader.uint(2);
	if (event.type === EventType.executeLoadQuery) reader.skip(13);
	const status = new ByteReader(event.bytes, reader.skip(statusLength), reader.at, "a statement");
	let sqlMode = 0;
	let micros = 0;
	while (status.left > 0) {
		const code = status.uint8();
		const size = STATUS_BYTES[code];
		// What comes behind an unknown one can't be found, and none of it is needed.
		if (size === undefined) break;
		if (size === -2) {
			// The catalog's name: a length, the name and a zero.
			status.skip(status.uint8() + 1);
		} else if (size === -1) {
			status.skip(status.uint8());
		} else if (size === -3) {
			// Who invoked the statement: user and host.
			status.skip(status.uint8());
			status.skip(status.uint8());
		} else if (size === -4) {
			// Databases that are touched, each ended by a zero; 254 stands for too many.
			const count = status.uint8();
			if (count < 254) for (let n = 0; n < count; n++) while (status.uint8() !== 0);
		} else if (code === SQL_MODE_CODE) {
			sqlMode = status.uint(4);
			status.skip(4);
		} else if (MICROSECONDS_CODES.includes(code)) micros = status.uint(3);
		else status.skip(size);
	}
	const schema = reader.text(schemaLength);
	reader.skip(1);
	const body = reader.slice(reader.left);
	return { schema, text: (inflate === null ? body : inflate(body)).toString("utf8"), sqlMode, micros };
}

/** What a GTID event says of the transaction that it opens. */
export interface GtidEvent {
	/** `0-1-42`, `3e11fa47-71ca-11e1-9e33-c80aa9429562:23`, `…:tag:23`; undefined for an anonymous one. */
	readonly gtid?: string;
	/** Microseconds since 1970 of the commit on the server that is read, when the log tells. */
	readonly committedMicros?: bigint;
	/** MariaDB: the group ends with its only event, which is DDL or another statement. */
	readonly standalone: boolean;
	/** MariaDB: the group is an XA transaction that is prepared, or the completion of one. */
	readonly preparesXa: boolean;
}

const MARIADB_STANDALONE = 1;
const MARIADB_PREPARED_XA = 0x40;
const TAGGED_GTID_FIELD_TAG = 3;

/** https://mariadb.com/kb/en/gtid_event/ */
export function readMariadbGtid(event: LogEvent): GtidEvent {
	const reader = new ByteReader(event.bytes, event.body, event.bodyEnd, "a GTID event");
	const sequence = reader.uint64();
	const domain = reader.uint(4);
	const flags = reader.uint8();
	return {
		gtid: `${domain}-${event.serverId}-${sequence}`,
		standalone: (flags & MARIADB_STANDALONE) !== 0,
		preparesXa: (flags & MARIADB_PREPARED_XA) !== 0,
	};
}

/** https://dev.mysql.com/doc/dev/mysql-server/latest/classmysql_1_1binlog_1_1event_1_1Gtid__event.html */
export function readGtid(event: LogEvent): GtidEvent {
	const reader = new ByteReader(event.bytes, event.body, event.bodyEnd, "a GTID event");
	reader.skip(1);
	const uuid = uuidText(reader.slice(16));
	const number = reader.uint64();
	let committedMicros: bigint | undefined;
	// MySQL 5.7 added logical clocks (a byte 2, two numbers), 8.0.1 the time: the highest of its 56 bits says that the
	// time of the first commit, elsewhere, follows it.
	if (reader.left >= 1 + 16 + 7 && reader.uint8() === 2) {
		reader.skip(16);
		const low = reader.uint(6);
		const high = reader.uint8();
		committedMicros = BigInt(low) | (BigInt(high & 0x7f) << 48n);
	}
	return {
		...(event.type === EventType.anonymousGtid ? {} : { gtid: `${uuid}:${number}` }),
		...(committedMicros === undefined ? {} : { committedMicros }),
		standalone: false,
		preparesXa: false,
	};
}

/**
 * The event of MySQL 8.3 and later for GTIDs with tags: fields behind their numbers, in the form of mysql::serialization.
 * https://dev.mysql.com/doc/dev/mysql-server/latest/PageLibsMysqlSerialization.html
 */
export function readTaggedGtid(event: LogEvent): GtidEvent {
	const reader = new ByteReader(event.bytes, event.body, event.bodyEnd, "a tagged GTID event");
	// Version of the format, size, and the last field that must be understood.
	reader.skip(1);
	serialNumber(reader);
	serialNumber(reader);
	let uuid = "";
	let number = 0n;
	let tag = "";
	let committedMicros: bigint | undefined;
	while (reader.left > 0) {
		const field = Number(serialNumber(reader));
		if (field === 0) serialNumber(reader);
		else if (field === 1) {
			const bytes = Buffer.alloc(16);
			for (let i = 0; i < 16; i++) bytes[i] = Number(serialNumber(reader));
			uuid = uuidText(bytes);
		} else if (field === 2) {
			const folded = serialNumber(reader);
			number = (folded & 1n) === 1n ? -(folded >> 1n) - 1n : folded >> 1n;
		} else if (field === TAGGED_GTID_FIELD_TAG) tag = reader.text(Number(serialNumber(reader)));
		else if (field === 6) {
			committedMicros = serialNumber(reader);
			break;
		} else serialNumber(reader);
	}
	if (uuid === "") throw corrupt("a tagged GTID event without a GTID");
	return {
		gtid: tag === "" ? `${uuid}:${number}` : `${uuid}:${tag}:${number}`,
		...(committedMicros === undefined ? {} : { committedMicros }),
		standalone: false,
		preparesXa: false,
	};
}

/** A number of 1 to 9 bytes: as many low bits are set in the first byte as bytes follow it. */
function serialNumber(reader: ByteReader): bigint {
	const first = reader.uint8();
	let more = 0;
	while (more < 8 && ((first >> more) & 1) === 1) more++;
	let value = more >= 7 ? 0n : BigInt(first >> (more + 1));
	const bits = more >= 7 ? 0n : BigInt(7 - more);
	for (let i = 0; i < more; i++) value |= BigInt(reader.uint8()) << (bits + BigInt(8 * i));
	return value;
}

export function uuidText(bytes: Buffer): string {
	const hex = bytes.toString("hex");
	return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
