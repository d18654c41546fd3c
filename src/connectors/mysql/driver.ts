/**
 * mysql2, imported on first use, reduced to what is used of it: the handshake with its login methods, TLS and
 * compression, and packets. Rows are taken raw, before mysql2 makes JavaScript values of them.
 */
import type { Socket } from "node:net";
import { HeadraceError } from "../../core/index.ts";

/** A packet; the object is used again for the next one, its buffer is not. */
interface Packet {
	readonly buffer: Buffer;
	/** Where the payload begins. */
	readonly offset: number;
	/** Where it ends. */
	readonly end: number;
	isEOF(): boolean;
}

/** A column definition packet (protocol 41). */
export interface FieldPacket {
	readonly name: string;
	/** Field type of the wire: 3 = LONG, 246 = NEWDECIMAL … */
	readonly columnType: number;
	/** 63 = binary. Numbers and dates carry it too. */
	readonly characterSet: number;
	/** In bytes of the connection's character set. */
	readonly columnLength: number;
	readonly flags: number;
	readonly decimals: number;
	/** MariaDB's extended metadata: `uuid`, `inet6`, `point`. */
	readonly extendedTypeName?: string;
	/** MariaDB's extended metadata: `json`. */
	readonly extendedFormat?: string;
}

type Result = (error: Error | null) => void;

interface Command {
	on(event: "fields", listener: (fields: FieldPacket[] | undefined) => void): void;
	row(packet: Packet, connection: unknown): unknown;
}

/** The parts of mysql2's connection that its types leave out or that we rely on. */
export interface DriverConnection {
	readonly stream: Socket;
	readonly threadId: number | null;
	addCommand(command: Command): void;
	connect(done: (error: Error | null) => void): void;
	end(done: () => void): void;
	on(event: "error", listener: (error: Error) => void): void;
}

export interface Driver {
	createConnection(options: Record<string, unknown>): DriverConnection;
	/** Runs a statement and hands over its rows as the server sent them. */
	rawQuery(connection: DriverConnection, sql: string, receiver: RowReceiver): void;
	/** Login methods that never send a password that a listener could use. */
	readonly cautiousLogins: Record<string, unknown>;
}

/** Takes the rows of a statement; none of its functions may throw: mysql2 would give up the connection. */
export interface RowReceiver {
	fields(fields: readonly FieldPacket[]): void;
	/** The payload of a row packet is [start, end) of `buffer`, valid until the next `flush`. */
	row(buffer: Buffer, start: number, end: number): void;
	/** The buffer of the rows since the last flush goes away. */
	flush?(): void;
	/** Called once, after the last row. */
	done(error: Error | null): void;
}

let loading: Promise<Driver> | null = null;

/** @throws E_MISSING_PACKAGE */
export function loadDriver(): Promise<Driver> {
	loading ??= load();
	return loading;
}

async function load(): Promise<Driver> {
	const imported = await import("mysql2").catch((cause: unknown) => {
		throw new HeadraceError("E_MISSING_PACKAGE", "the package mysql2 is not installed", {
			hint: "Run: npm i mysql2",
			cause,
		});
	});
	const mysql = imported.default as unknown as {
		createConnection: Driver["createConnection"];
		createQuery(sql: string, values: unknown[], done: null, config: object): { constructor: unknown };
		authPlugins: Record<string, (options: object) => unknown>;
	};
	// The package's exports forbid a deep import of the class.
	const Query = mysql.createQuery("select 1", [], null, {}).constructor as new (
		options: { sql: string },
		done: Result,
	) => Command;

	class RawQuery extends Query {
		readonly #receiver: RowReceiver;

		constructor(sql: string, receiver: RowReceiver) {
			super({ sql }, (error) => receiver.done(error));
			this.#receiver = receiver;
			this.on("fields", (fields) => {
				if (fields !== undefined) receiver.fields(fields);
			});
		}

		override row(packet: Packet, connection: unknown): unknown {
			if (packet.isEOF()) return super.row(packet, connection);
			this.#receiver.row(packet.buffer, packet.offset, packet.end);
			return this.row;
		}
	}

	const refuse = () => {
		throw new Error("the server asks for the password without TLS, which a listener on the way could read");
	};
	return {
		createConnection: mysql.createConnection,
		rawQuery: (connection, sql, receiver) => connection.addCommand(new RawQuery(sql, receiver)),
		// The password, encrypted with a key that whoever is on the way may have sent: called with that key, they stop.
		cautiousLogins: {
			caching_sha2_password: mysql.authPlugins["caching_sha2_password"]!({ onServerPublicKey: refuse }),
			sha256_password: mysql.authPlugins["sha256_password"]!({ onServerPublicKey: refuse }),
		},
	};
}
