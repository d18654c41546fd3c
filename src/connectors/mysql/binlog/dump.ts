import { createHash, randomUUID } from "node:crypto";
import type { Socket } from "node:net";
import { hostname } from "node:os";
import { HeadraceError } from "../../../core/index.ts";
import { PieceQueue } from "../../../formats/index.ts";
import type { MysqlConnection } from "../connection.ts";
import { PacketSocket } from "../packet-socket.ts";
import { quoteString } from "../sql.ts";
import { corrupt } from "./bytes.ts";
import { type GtidSet, MysqlGtids } from "./gtid.ts";
import { PacketCutter } from "./packets.ts";

/** The server says this often that it is there when it has nothing else to say. */
const HEARTBEAT_MS = 10_000;
/** Without a word for so many heartbeats the server counts as gone. */
const HEARTBEATS_MISSED_MAX = 3;
/** Bytes that wait to be decoded before the socket is paused. */
const WAITING_BYTES_MAX = 2 << 20;

const COM_BINLOG_DUMP = 0x12;
const COM_REGISTER_SLAVE = 0x15;
const COM_BINLOG_DUMP_GTID = 0x1e;
const DUMP_THROUGH_GTID = 4;
const SERVER_IDS_TRIED_MAX = 1000;
const OFFSET_32_BITS_MAX = 0xffffffff;

/** Where a dump begins. */
export type DumpStart = { readonly file: string; readonly offset: number } | { readonly gtids: GtidSet };

export interface DumpOptions {
	/** Names who reads, for people. */
	readonly reader: string;
	readonly heartbeatMs?: number;
}

/**
 * The log as the server sends it to a replica, over a connection that is good for nothing else from then on.
 * https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_replication.html
 */
export class Dump {
	readonly #socket: Socket;
	readonly #connection: MysqlConnection;
	readonly #cutter = new PacketCutter();
	readonly #silenceMs: number;
	readonly #pieces: PieceQueue;
	#failure: HeadraceError | null = null;
	#wake: (() => void) | null = null;

	private constructor(connection: MysqlConnection, socket: Socket, heartbeatMs: number) {
		this.#connection = connection;
		this.#socket = socket;
		this.#silenceMs = heartbeatMs * HEARTBEATS_MISSED_MAX;
		const copies = socket instanceof PacketSocket;
		if (copies) socket.reuse = true;
		this.#pieces = new PieceQueue(socket, { bytesMax: WAITING_BYTES_MAX, copies });
		socket.on("data", (piece: Buffer) => this.#take(piece));
		socket.on("error", (error) => this.#fail(connection.translate(error)));
		socket.on("close", () =>
			this.#fail(new HeadraceError("E_CONNECTION_LOST", "the server closed the connection of the change log")),
		);
	}

	/**
	 * Makes a replica of the connection and asks for the log.
	 * @throws E_RIGHTS without REPLICATION SLAVE, E_HISTORY_GONE, E_HISTORY_MISMATCH come with the first packet
	 */
	static async open(connection: MysqlConnection, start: DumpStart, options: DumpOptions): Promise<Dump> {
		const heartbeatMs = options.heartbeatMs ?? HEARTBEAT_MS;
		// A server ends the dump of whoever has the id that another one comes with: two projects may name a pipeline alike.
		const own = `${options.reader}\0${randomUUID()}`;
		for (const statement of settings(connection, start, heartbeatMs, own)) await connection.rows(statement);
		const serverId = await freeServerId(connection, own);
		const socket = connection.takeOver();
		const dump = new Dump(connection, socket, heartbeatMs);
		try {
			dump.#send(registerPacket(serverId));
			await dump.#answer();
			dump.#send(dumpPacket(start, serverId));
			return dump;
		} catch (error) {
			dump.close();
			throw error;
		}
	}

	/** Bytes of the packet that `next` found. */
	get bytes(): Buffer {
		return this.#cutter.bytes;
	}

	get start(): number {
		return this.#cutter.start;
	}

	get end(): number {
		return this.#cutter.end;
	}

	/** `settle` has whoever looks into packets of before be done with them: their memory is used again. */
	reuseAfter(settle: () => void): void {
		this.#pieces.settle = () => {
			// Whole packets come, so none begins in a piece of before.
			settle();
			return true;
		};
	}

	/** Whether there is another packet in what has come so far. */
	next(): boolean {
		while (!this.#cutter.next()) {
			const piece = this.#pieces.next();
			if (piece === undefined) return false;
			this.#cutter.feed(piece);
		}
		return true;
	}

	/**
	 * Waits until something came; false when nothing did for `ms`.
	 * @throws E_CONNECTION_LOST when the connection broke, or after three missed heartbeats
	 */
	async wait(ms: number): Promise<boolean> {
		const begun = performance.now();
		while (this.#pieces.isEmpty) {
			if (this.#failure !== null) throw this.#failure;
			const left = ms - (performance.now() - begun);
			if (left <= 0) return false;
			const silence = this.#lastHeard + this.#silenceMs - performance.now();
			if (silence <= 0) {
				this.#fail(new HeadraceError("E_CONNECTION_LOST", "the server has said nothing for three heartbeats"));
				continue;
			}
			const { promise, resolve } = Promise.withResolvers<void>();
			this.#wake = resolve;
			const timer = setTimeout(resolve, Math.min(left, silence));
			await promise;
			clearTimeout(timer);
			this.#wake = null;
		}
		return true;
	}

	/** Ends a `wait` at once. */
	interrupt(error: HeadraceError): void {
		this.#fail(error);
	}

	/** The server's id of the session, for KILL. */
	get threadId(): number {
		return this.#connection.threadId;
	}

	/** Cuts the connection: the server ends its thread when it has something to send next, or is told to. */
	close(): void {
		this.#connection.destroy();
	}

	#lastHeard = performance.now();

	#take(piece: Buffer): void {
		this.#lastHeard = performance.now();
		this.#pieces.push(piece);
		this.#wake?.();
	}

	#fail(error: HeadraceError): void {
		this.#failure ??= error;
		this.#wake?.();
	}

	#send(payload: Buffer): void {
		const packet = Buffer.alloc(4 + payload.length);
		packet.writeUIntLE(payload.length, 0, 3);
		payload.copy(packet, 4);
		this.#socket.write(packet);
	}

	/** Waits for the OK to a command. */
	async #answer(): Promise<void> {
		while (!this.next()) await this.wait(this.#silenceMs);
		const { bytes, start, end } = this;
		if (bytes[start] === 0xff) throw this.#connection.translate(serverError(bytes, start, end));
		if (bytes[start] !== 0) throw corrupt("an answer that is not one");
	}

	/** An error packet as a Headrace error. */
	refusal(): HeadraceError {
		const error = serverError(this.bytes, this.start, this.end);
		return dumpError(error) ?? this.#connection.translate(error);
	}
}

interface ServerError extends Error {
	readonly errno: number;
	readonly sqlMessage: string;
}

/** https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_err_packet.html */
function serverError(bytes: Buffer, start: number, end: number): ServerError {
	const errno = end - start >= 3 ? bytes.readUInt16LE(start + 1) : 0;
	const from = bytes[start + 3] === 0x23 ? start + 9 : start + 3;
	const message = bytes.toString("utf8", Math.min(from, end), end);
	return Object.assign(new Error(message), { errno, sqlMessage: message });
}

const ER_MASTER_FATAL_ERROR_READING_BINLOG = 1236;
/** MariaDB: another replica has come with this one's id. */
const ER_SLAVE_SAME_ID = 4052;

/** What a server answers to a dump that it can't give; its messages name files and GTIDs, never values. */
export function dumpError({ errno, sqlMessage }: { errno: number; sqlMessage: string }): HeadraceError | null {
	const isDumps = errno === ER_MASTER_FATAL_ERROR_READING_BINLOG || errno === ER_SLAVE_SAME_ID;
	if (!isDumps && !(errno >= 1940 && errno <= 1960)) return null;
	const said = `the server says: ${sqlMessage}`;
	if (/not in the master's binlog|diverged|errant|has more GTIDs|alternate history/i.test(sqlMessage))
		return new HeadraceError("E_ERRANT", `the log does not hold the transactions up to the position; ${said}`);
	if (/could not find first log file|purged|too old|find GTID state requested/i.test(sqlMessage))
		return new HeadraceError("E_HISTORY_GONE", `the log does not reach back to the position; ${said}`);
	if (
		/position > file size|bogus data|impossible position|log event entry exceeded|corrupt|binlog truncated/i.test(
			sqlMessage,
		)
	)
		return new HeadraceError("E_HISTORY_MISMATCH", `the position is not a place between events; ${said}`);
	if (/slave with the same server_uuid\/server_id|same server_uuid|same server_id/i.test(sqlMessage))
		return new HeadraceError("E_BUSY", `another reader has taken this one's place; ${said}`);
	return new HeadraceError("E_SOURCE", `the change log can't be sent: ${said}`);
}

function settings(connection: MysqlConnection, start: DumpStart, heartbeatMs: number, reader: string): string[] {
	const heartbeat = BigInt(heartbeatMs) * 1_000_000n;
	const common = [
		"SET @master_binlog_checksum = @@global.binlog_checksum",
		`SET @master_heartbeat_period = ${heartbeat}`,
	];
	if (connection.server.flavour === "mariadb") {
		// 4: knows GTIDs. https://mariadb.com/kb/en/2-binlog-event-header/
		const made = [...common, "SET @mariadb_slave_capability = 4"];
		if ("gtids" in start)
			made.push(
				`SET @slave_connect_state = ${quoteString(String(start.gtids))}`,
				"SET @slave_gtid_strict_mode = 1",
				"SET @slave_gtid_ignore_duplicates = 0",
			);
		return made;
	}
	const uuid = createHash("sha256").update(`${reader}\0${hostname()}`).digest("hex");
	const text = [uuid.slice(0, 8), uuid.slice(8, 12), uuid.slice(12, 16), uuid.slice(16, 20), uuid.slice(20, 32)].join(
		"-",
	);
	return [
		...common,
		"SET @source_binlog_checksum = @@global.binlog_checksum",
		`SET @source_heartbeat_period = ${heartbeat}`,
		`SET @slave_uuid = ${quoteString(text)}, @replica_uuid = ${quoteString(text)}`,
	];
}

/** An id that nobody types: above 2^24, and none of those that are 0 or reserved. */
export function serverIdOf(reader: string, host: string, attempt = 0): number {
	const hash = createHash("sha256").update(`${reader}\0${host}\0${attempt}`).digest();
	return (hash.readUInt32LE(0) % 0xfe000000) + 0x01000000;
}

/** Two replicas with one id cut each other off: an id that another one has is not taken. */
async function freeServerId(connection: MysqlConnection, reader: string): Promise<number> {
	const taken = new Set<string>();
	try {
		for (const [id] of await connection.rows("SHOW SLAVE HOSTS")) if (id !== null && id !== undefined) taken.add(id);
	} catch (error) {
		// MariaDB shows them only with REPLICATION MASTER ADMIN, MySQL 8.4 by another statement.
		if (!(error instanceof HeadraceError) || connection.lost !== null) throw error;
	}
	for (let attempt = 0; attempt < SERVER_IDS_TRIED_MAX; attempt++) {
		const id = serverIdOf(reader, hostname(), attempt);
		if (!taken.has(String(id))) return id;
	}
	throw new HeadraceError("E_BUSY", "every server id that this reader would take is taken by another replica");
}

/** https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_register_slave.html, the password left out. */
function registerPacket(serverId: number): Buffer {
	const name = Buffer.from(`headrace@${hostname()}`.slice(0, 60), "utf8");
	const packet = Buffer.alloc(1 + 4 + 1 + name.length + 1 + 1 + 2 + 4 + 4);
	packet[0] = COM_REGISTER_SLAVE;
	packet.writeUInt32LE(serverId, 1);
	packet[5] = name.length;
	name.copy(packet, 6);
	return packet;
}

function dumpPacket(start: DumpStart, serverId: number): Buffer {
	if ("gtids" in start && start.gtids instanceof MysqlGtids) {
		const set = start.gtids.encode();
		const packet = Buffer.alloc(1 + 2 + 4 + 4 + 8 + 4 + set.length);
		packet[0] = COM_BINLOG_DUMP_GTID;
		packet.writeUInt16LE(DUMP_THROUGH_GTID, 1);
		packet.writeUInt32LE(serverId, 3);
		packet.writeBigUInt64LE(4n, 11);
		packet.writeUInt32LE(set.length, 19);
		set.copy(packet, 23);
		return packet;
	}
	const { file, offset } = "gtids" in start ? { file: "", offset: 4 } : start;
	const name = Buffer.from(file, "utf8");
	const packet = Buffer.alloc(1 + 4 + 2 + 4 + name.length);
	packet[0] = COM_BINLOG_DUMP;
	// The protocol has 32 bits for it: a later place in a huge file is reached from the file's begin.
	packet.writeUInt32LE(offset > OFFSET_32_BITS_MAX ? 4 : offset, 1);
	packet.writeUInt32LE(serverId, 7);
	name.copy(packet, 11);
	return packet;
}
