/** Events as a server writes them, made by hand from the documents of the format: for servers that can't be started here. */
import { crc32 } from "node:zlib";
import { EventType } from "../../src/connectors/mysql/binlog/event.ts";

export const u8 = (value: number): Buffer => Buffer.from([value]);
export const u16 = (value: number): Buffer => uint(value, 2);
export const u32 = (value: number): Buffer => uint(value, 4);
export const text = (value: string): Buffer => Buffer.from(value, "utf8");

export function uint(value: number, size: number): Buffer {
	const bytes = Buffer.alloc(size);
	bytes.writeUIntLE(value, 0, size);
	return bytes;
}

export function u64(value: bigint): Buffer {
	const bytes = Buffer.alloc(8);
	bytes.writeBigUInt64LE(value);
	return bytes;
}

export function lengthEncoded(value: number): Buffer {
	if (value < 251) return u8(value);
	return value < 65_536 ? Buffer.concat([u8(252), u16(value)]) : Buffer.concat([u8(253), uint(value, 3)]);
}

export interface EventOptions {
	readonly timestamp?: number;
	readonly end?: number;
	readonly flags?: number;
	/** Events within a compressed transaction have none. */
	readonly checksum?: boolean;
}

export function event(type: number, body: Buffer, options: EventOptions = {}): Buffer {
	const { timestamp = 1_700_000_000, end = 0, flags = 0, checksum = true } = options;
	const size = 19 + body.length + (checksum ? 4 : 0);
	const header = Buffer.concat([u32(timestamp), u8(type), u32(1), u32(size), u32(end), u16(flags)]);
	const whole = Buffer.concat([header, body]);
	return checksum ? Buffer.concat([whole, u32(crc32(whole))]) : whole;
}

/** The first event of a file with checksums, of a server whose events have the usual lengths. */
export function formatDescription(): Buffer {
	const postHeaders = Buffer.alloc(42, 8);
	const body = Buffer.concat([u16(4), Buffer.alloc(50), u32(0), u8(19), postHeaders, u8(1)]);
	return event(EventType.formatDescription, body);
}

/** A table of an INT key, a nullable VARCHAR(100) in utf8mb4 and a JSON, with all metadata. */
export function tableMap(id: number, schema: string, table: string, options: EventOptions = {}): Buffer {
	const names = ["id", "v", "j"].map((name) => Buffer.concat([u8(name.length), text(name)]));
	const field = (kind: number, value: Buffer) => Buffer.concat([u8(kind), lengthEncoded(value.length), value]);
	return event(
		EventType.tableMap,
		Buffer.concat([
			uint(id, 6),
			u16(1),
			u8(schema.length),
			text(`${schema}\0`),
			u8(table.length),
			text(`${table}\0`),
			u8(3),
			Buffer.from([3, 15, 245]),
			u8(3),
			Buffer.concat([u16(400), u8(4)]),
			u8(0b110),
			field(1, u8(0)),
			field(2, u8(45)),
			field(4, Buffer.concat(names)),
			field(8, u8(0)),
		]),
		options,
	);
}

/** A row of that table; null for NULL. */
export function image(id: number, v: string | null, json: Buffer | null): Buffer {
	return Buffer.concat([
		u8((v === null ? 2 : 0) | (json === null ? 4 : 0)),
		u32(id),
		...(v === null ? [] : [u16(Buffer.byteLength(v)), text(v)]),
		...(json === null ? [] : [u32(json.length), json]),
	]);
}

/** Rows of version 2, with `extra` bytes behind the flags. */
export function rows(
	type: number,
	id: number,
	images: readonly Buffer[],
	extra = Buffer.alloc(0),
	options: EventOptions = {},
): Buffer {
	const present = type === EventType.updateRows ? Buffer.from([7, 7]) : u8(7);
	const head = Buffer.concat([uint(id, 6), u16(1), u16(2 + extra.length), extra, u8(3), present]);
	return event(type, Buffer.concat([head, ...images]), options);
}

export function query(sql: string, schema = "shop", options: EventOptions = {}): Buffer {
	const head = Buffer.concat([u32(1), u32(0), u8(schema.length), u16(0), u16(0)]);
	return event(EventType.query, Buffer.concat([head, text(`${schema}\0${sql}`)]), options);
}

export function xid(options: EventOptions = {}): Buffer {
	return event(EventType.xid, u64(7n), options);
}

export const SERVER_UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

export function gtid(number: bigint): Buffer {
	const body = Buffer.concat([u8(1), Buffer.from(SERVER_UUID.replaceAll("-", ""), "hex"), u64(number)]);
	return event(EventType.gtid, body);
}

export function payload(events: readonly Buffer[], compress: (bytes: Buffer) => Buffer, says?: number): Buffer {
	const inner = Buffer.concat(events);
	const packed = compress(inner);
	const field = (kind: number, value: number) => {
		const encoded = lengthEncoded(value);
		return Buffer.concat([u8(kind), u8(encoded.length), encoded]);
	};
	return event(
		EventType.transactionPayload,
		Buffer.concat([field(2, 0), field(3, says ?? inner.length), field(1, packed.length), u8(0), packed]),
	);
}

/** JSON as MySQL stores it. https://dev.mysql.com/doc/dev/mysql-server/latest/json__binary_8h.html */
export function binaryJson(value: unknown): Buffer {
	const { type, data } = encode(value);
	return Buffer.concat([u8(type), data]);
}

function encode(value: unknown): { type: number; data: Buffer } {
	if (value === null || typeof value === "boolean") return { type: 4, data: u8(value === null ? 0 : value ? 1 : 2) };
	if (typeof value === "number") {
		const data = Buffer.alloc(8);
		if (!Number.isSafeInteger(value) || Object.is(value, -0)) {
			data.writeDoubleLE(value);
			return { type: 11, data };
		}
		if (value >= -32_768 && value < 32_768) return { type: 5, data: u16(value & 0xffff) };
		if (Math.abs(value) < 2 ** 31) return { type: 7, data: u32(value >>> 0) };
		data.writeBigInt64LE(BigInt(value));
		return { type: 9, data };
	}
	if (typeof value === "string") {
		const bytes = text(value);
		const length: number[] = [];
		for (let left = bytes.length; ; left >>= 7) {
			length.push((left & 127) | (left > 127 ? 128 : 0));
			if (left <= 127) break;
		}
		return { type: 12, data: Buffer.concat([Buffer.from(length), bytes]) };
	}
	const isArray = Array.isArray(value);
	const entries = Object.entries(value as object);
	const keys = isArray ? [] : entries.map(([key]) => text(key));
	const values = entries.map(([, member]) => encode(member));
	const fixed = 8 + keys.length * 6 + values.length * 5;
	let at = fixed;
	const keyEntries = keys.map((key) => {
		const entry = Buffer.concat([u32(at), u16(key.length)]);
		at += key.length;
		return entry;
	});
	const outside: Buffer[] = [];
	const valueEntries = values.map(({ type, data }) => {
		if (type === 4 || type === 5 || type === 7) return Buffer.concat([u8(type), data, Buffer.alloc(4 - data.length)]);
		const entry = Buffer.concat([u8(type), u32(at)]);
		at += data.length;
		outside.push(data);
		return entry;
	});
	const data = Buffer.concat([u32(values.length), u32(at), ...keyEntries, ...valueEntries, ...keys, ...outside]);
	return { type: isArray ? 3 : 1, data };
}
