/** What pgoutput says besides rows. https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html */
import { corrupt, type MessageReader } from "./bytes.ts";

export const MessageType = {
	begin: 0x42,
	commit: 0x43,
	origin: 0x4f,
	relation: 0x52,
	type: 0x59,
	insert: 0x49,
	update: 0x55,
	delete: 0x44,
	truncate: 0x54,
	message: 0x4d,
	streamStart: 0x53,
	streamStop: 0x45,
	streamCommit: 0x63,
	streamAbort: 0x41,
} as const;

/** Microseconds from 1970 to 2000, where PostgreSQL's clock begins. */
const MICROS_TO_2000 = 946684800000000n;

export interface BeginMessage {
	/** Where the commit record will be. */
	readonly commitLsn: bigint;
	/** Microseconds since 1970. */
	readonly committedAt: bigint;
	readonly xid: number;
}

export function readBegin(message: MessageReader): BeginMessage {
	return { commitLsn: message.uint64(), committedAt: message.int64() + MICROS_TO_2000, xid: message.uint32() };
}

export interface CommitMessage {
	readonly commitLsn: bigint;
	/** After the commit record: where the next transaction's may begin. */
	readonly endLsn: bigint;
	/** Microseconds since 1970. */
	readonly committedAt: bigint;
}

export function readCommit(message: MessageReader): CommitMessage {
	message.uint8();
	return { commitLsn: message.uint64(), endLsn: message.uint64(), committedAt: message.int64() + MICROS_TO_2000 };
}

export interface RelationColumn {
	readonly name: string;
	readonly typeOid: number;
	readonly modifier: number;
	/** Part of the replica identity: what old tuples tell. */
	readonly isKey: boolean;
}

/** A table as the rows that follow have it. */
export interface RelationMessage {
	readonly oid: number;
	readonly schema: string;
	readonly name: string;
	/** pg_class.relreplident: d default, n nothing, f full, i index. */
	readonly identity: "d" | "n" | "f" | "i";
	readonly columns: readonly RelationColumn[];
}

/** Of pg_catalog the schema comes as an empty name. */
export function readRelation(message: MessageReader): RelationMessage {
	const oid = message.uint32();
	const schema = message.text();
	const name = message.text();
	const identity = String.fromCharCode(message.uint8());
	if (identity !== "d" && identity !== "n" && identity !== "f" && identity !== "i")
		throw corrupt("a table with an unknown replica identity");
	const columns = Array.from({ length: message.uint16() }, () => ({
		isKey: (message.uint8() & 1) === 1,
		name: message.text(),
		typeOid: message.uint32(),
		modifier: message.int32(),
	}));
	return { oid, schema: schema === "" ? "pg_catalog" : schema, name, identity, columns };
}

/** Oids of the tables that were truncated together, those that CASCADE reached too. */
export function readTruncate(message: MessageReader): number[] {
	const count = message.uint32();
	message.uint8();
	if (count * 4 > message.end - message.at) throw corrupt("a TRUNCATE of more tables than it names");
	return Array.from({ length: count }, () => message.uint32());
}
