/**
 * The servers that all test files share. `servers.ts` (vitest's globalSetup) starts each on first demand; a test file
 * makes a database of its own in it. A test that kills or reconfigures a server starts one for itself instead.
 */
import { connect } from "node:net";
import { inject } from "vitest";
import { type ClientOptions, openClient, type Row, type TextClient } from "./client.ts";
import { type ServerAddress, type ServerName, serverAt, type TestServer } from "./server.ts";
import { startShared } from "./start.ts";

declare module "vitest" {
	interface ProvidedContext {
		/** Path of the Unix socket that hands out the shared servers' addresses. */
		headraceServers: string;
	}
}

const addresses = new Map<ServerName, Promise<ServerAddress>>();

function askForAddress(socketPath: string, name: ServerName): Promise<ServerAddress> {
	return new Promise((resolve, reject) => {
		const socket = connect(socketPath, () => socket.end(`${name}\n`));
		let answer = "";
		socket.setEncoding("utf8");
		socket.on("data", (text) => {
			answer += text;
		});
		socket.on("error", reject);
		socket.on("close", () => {
			try {
				const { address, error } = JSON.parse(answer) as { address?: ServerAddress; error?: string };
				if (address === undefined) throw new Error(`${name}: ${error}`);
				resolve(address);
			} catch (error) {
				reject(error);
			}
		});
	});
}

let isAlone = false;

/**
 * For a test file that looks at what is open on the whole server, where other files' transactions would be in the way:
 * called at its top, its servers are its own and go with its process.
 */
export function ownServers(): void {
	isAlone = true;
}

/**
 * The shared server of that name, with TLS on (not required); started by the first test that asks. Ask `available`
 * first and skip with its reason: a server that can't start is an error here.
 */
export async function sharedServer(name: ServerName): Promise<TestServer> {
	let address = addresses.get(name);
	if (address === undefined) {
		const socketPath = isAlone ? undefined : inject("headraceServers");
		// Without the globalSetup this process keeps a server of its own; it goes when the process does.
		address = socketPath === undefined ? startShared(name) : askForAddress(socketPath, name);
		addresses.set(name, address);
	}
	return serverAt(await address);
}

export interface TestDatabase extends AsyncDisposable {
	readonly server: TestServer;
	readonly name: string;
	/** Connection address with all rights; `readerUrl` with SELECT only. */
	readonly url: string;
	readonly readerUrl: string;
	/** One or several statements on a connection that is kept; the rows of the last one as text. */
	query(sql: string, parameters?: readonly unknown[]): Promise<Row[]>;
	/** A further connection to it; the caller closes it. */
	connect(options?: ClientOptions): Promise<TextClient>;
	/** Drops it, with sessions and replication slots in it. */
	drop(): Promise<void>;
}

let serial = 0;

/** An empty database with a name nobody else has. Drop it with `await using` or in afterAll. */
export async function freshDatabase(server: TestServer, prefix = "test"): Promise<TestDatabase> {
	const name = `${prefix}_${process.pid.toString(36)}_${Date.now().toString(36)}_${serial++}`;
	await server.createDatabase(name);
	let kept: Promise<TextClient> | undefined;
	const drop = async () => {
		if (kept !== undefined) await (await kept.catch(() => undefined))?.close();
		await server.dropDatabase(name);
	};
	return {
		server,
		name,
		url: server.url(name),
		readerUrl: server.readerUrl(name),
		async query(sql, parameters) {
			kept ??= openClient(server, name);
			return (await kept).query(sql, parameters);
		},
		connect: (options) => openClient(server, name, options),
		drop,
		[Symbol.asyncDispose]: drop,
	};
}

/** Runs `use` with a fresh database of a shared server, and drops it whatever happens. */
export async function withDatabase<T>(server: ServerName | TestServer, use: (database: TestDatabase) => Promise<T>) {
	await using database = await freshDatabase(typeof server === "string" ? await sharedServer(server) : server);
	return await use(database);
}
