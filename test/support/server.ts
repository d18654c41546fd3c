/** What every test server offers, however it was started. */
import { type ClientOptions, type Login, openClient, type Row } from "./client.ts";
import type { ServerProcess, TemporaryFolder } from "./processes.ts";

/** The servers that can be started on this machine. `postgres15` is Debian's own major version elsewhere. */
export const SERVER_NAMES = ["mariadb", "mysql56", "postgres15", "postgres18"] as const;
export type ServerName = (typeof SERVER_NAMES)[number];

/** Plain data, so that it crosses from the process that started a server to the test workers. */
export interface ServerAddress extends Login {
	readonly name: ServerName;
	readonly version: string;
	/** An account that may SELECT everywhere and nothing else. */
	readonly reader: { readonly user: string; readonly password: string };
}

export interface TestServer extends ServerAddress {
	/** `mysql://…/database` or `postgres://…/database` with all rights, the password percent-encoded. */
	url(database: string): string;
	/** The same as the account that can only SELECT. */
	readerUrl(database: string): string;
	/** One or several statements outside any test database; the rows of the last one as text. */
	admin(sql: string, parameters?: readonly unknown[]): Promise<Row[]>;
	/** The same in a database, on a connection of its own. */
	query(database: string, sql: string, parameters?: readonly unknown[]): Promise<Row[]>;
	createDatabase(name: string): Promise<void>;
	/** Ends the sessions and replication slots in it first. */
	dropDatabase(name: string): Promise<void>;
}

export interface RunningServer extends TestServer, AsyncDisposable {
	readonly pid: number | undefined;
	/** A folder that goes with the server. */
	readonly folder: string;
	kill9(): Promise<void>;
	/** Starts it again on the same port and data; stops it in order first if it is running. */
	restart(): Promise<void>;
	/** Ends the server and removes its data. */
	stop(): Promise<void>;
}

export interface StartOptions {
	/** Speak TLS with a certificate for 127.0.0.1 and localhost, or for the names given. */
	readonly tls?: boolean | { readonly names: readonly string[] };
	/** Refuse connections without TLS; implies tls. */
	readonly tlsRequired?: boolean;
	/** Server settings, over the defaults. */
	readonly settings?: Readonly<Record<string, string | number>>;
}

/** Characters that a URL has to encode: a connection string that is put together carelessly fails the first test. */
export const PASSWORD = "p@ss:w/rd#1%";
export const READER = { user: "reader", password: "r?ad&only" };

const quoted = (login: Login, name: string): string =>
	login.kind === "postgres" ? `"${name.replaceAll('"', '""')}"` : `\`${name.replaceAll("`", "``")}\``;

/** The methods over an address: used by the starter and, in other processes, by whoever was given the address. */
export function serverAt(address: ServerAddress): TestServer {
	const scheme = address.kind === "postgres" ? "postgres" : "mysql";
	const url = (account: { user: string; password: string }, database: string) =>
		`${scheme}://${encodeURIComponent(account.user)}:${encodeURIComponent(account.password)}` +
		`@${address.host}:${address.port}/${encodeURIComponent(database)}`;
	const ask = async (database: string | undefined, sql: string, parameters?: readonly unknown[]) => {
		const options: ClientOptions = {};
		await using client = await openClient(address, database, options);
		return await client.query(sql, parameters);
	};
	return {
		...address,
		url: (database) => url(address, database),
		readerUrl: (database) => url(address.reader, database),
		admin: (sql, parameters) => ask(undefined, sql, parameters),
		query: ask,
		async createDatabase(name) {
			await ask(undefined, `create database ${quoted(address, name)}`);
		},
		async dropDatabase(name) {
			if (address.kind !== "postgres") {
				await ask(undefined, `set lock_wait_timeout = 20; drop database if exists ${quoted(address, name)}`);
				return;
			}
			const inDatabase = "from pg_replication_slots where database = $1";
			await ask(undefined, `select pg_terminate_backend(active_pid) ${inDatabase} and active`, [name]);
			await ask(undefined, `select pg_drop_replication_slot(slot_name) ${inDatabase}`, [name]);
			await ask(undefined, `drop database if exists ${quoted(address, name)} with (force)`);
		},
	};
}

/** Joins an address and the process behind it. `stopSignal` ends the server in order. */
export function runningServer(
	address: ServerAddress,
	process: ServerProcess,
	folder: TemporaryFolder,
	stopSignal: NodeJS.Signals,
): RunningServer {
	const stop = async () => {
		// The data is thrown away: no need to wait for an orderly end.
		if (process.pid !== undefined) await process.kill9();
		folder.remove();
	};
	return {
		...serverAt(address),
		get pid() {
			return process.pid;
		},
		folder: folder.path,
		kill9: () => process.kill9(),
		async restart() {
			await process.stop(stopSignal);
			await process.start();
		},
		stop,
		[Symbol.asyncDispose]: stop,
	};
}
