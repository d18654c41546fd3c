import { readFileSync } from "node:fs";
import { HeadraceError, type Secret } from "../../core/index.ts";
import { type ErrorContext, translateError } from "./errors.ts";
import { OneBufferSocket } from "./one-buffer-socket.ts";
import { readFacts, type ServerFacts } from "./server-facts.ts";
import { Session } from "./session.ts";

/** How long the server may take from the first packet to the end of the login. */
const CONNECT_TIMEOUT_MS = 10_000;
/** A silent peer is found after this long and ten probes a second apart (libuv's fixed interval). */
const KEEP_ALIVE_DELAY_MS = 10_000;
const VERSION_MIN = 120000;

export interface PostgresOptions {
	/** A name, an address, or the folder of a Unix socket. */
	readonly host: string;
	readonly port: number;
	readonly user?: string;
	readonly password?: Secret;
	readonly database?: string;
	/** Default `verify`; `off` for a loopback address or a Unix socket, unless `ca` is given. */
	readonly tls?: "off" | "insecure" | "verify";
	/** Path of a PEM file, or PEM text: the authority that signed the server's certificate. */
	readonly ca?: string;
	/** Where the password comes from, for messages: `${env:SHOP_PASSWORD}`. */
	readonly passwordReference?: string;
}

/**
 * `headrace` for look-ups and `headrace reader` for snapshots, which never write; `headrace hook` for the statements of
 * hooks in a source; `headrace writer` for a destination; `headrace state` for what is kept of a project; `headrace log`
 * for a walsender, which takes the commands of replication and statements without parameters.
 */
export type SessionRole =
	| "headrace"
	| "headrace reader"
	| "headrace hook"
	| "headrace writer"
	| "headrace state"
	| "headrace log";

/** A connection that is logged in and has the session settings, and what its server is. */
export interface Connected {
	readonly session: Session;
	readonly facts: ServerFacts;
}

/** Whether a host is this machine: nobody listens on the way. */
export function isLoopback(host: string): boolean {
	const name = host.replace(/^\[(.*)\]$/, "$1").toLowerCase();
	return name.startsWith("/") || name === "localhost" || name === "::1" || /^127(?:\.\d{1,3}){3}$/.test(name);
}

/** The TLS mode that the options come to. */
export function tlsMode(options: PostgresOptions): "off" | "insecure" | "verify" {
	if (options.tls !== undefined) return options.tls;
	return isLoopback(options.host) && options.ca === undefined ? "off" : "verify";
}

function tlsOptions(options: PostgresOptions) {
	const mode = tlsMode(options);
	if (mode === "off" || options.host.startsWith("/")) return false;
	const ca = options.ca === undefined ? {} : { ca: readAuthority(options.ca) };
	return { rejectUnauthorized: mode === "verify", minVersion: "TLSv1.2" as const, ...ca };
}

function readAuthority(ca: string): string {
	if (ca.includes("-----BEGIN")) return ca;
	try {
		return readFileSync(ca, "utf8");
	} catch (cause) {
		throw new HeadraceError("E_FILE_NOT_FOUND", `the certificate authority's file ${ca} cannot be read`, { cause });
	}
}

/**
 * Logs in and fixes the session's settings.
 * @throws E_CONNECT, E_LOGIN (never tried again), E_TLS, E_UNSUPPORTED for servers before 12
 */
export async function connect(options: PostgresOptions, role: SessionRole): Promise<Connected> {
	const tls = tlsMode(options);
	const ssl = tlsOptions(options);
	const { default: pg } = await import("pg");
	const client = new pg.Client({
		host: options.host,
		port: options.port,
		...(options.user === undefined ? {} : { user: options.user }),
		...(options.database === undefined ? {} : { database: options.database }),
		// A function keeps pg from looking for a password in the environment or in ~/.pgpass.
		password: () => options.password?.reveal() ?? "",
		ssl,
		...(ssl === false ? { stream: () => new OneBufferSocket() } : {}),
		application_name: role,
		...(role === "headrace log" ? { replication: "database" } : {}),
		connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
		keepAlive: true,
		keepAliveInitialDelayMillis: KEEP_ALIVE_DELAY_MS,
		types: { getTypeParser: () => (text: string | Buffer) => text },
	});
	const user = options.user ?? client.user ?? "";
	const access = accessOf(role);
	const context: ErrorContext = {
		...(access === "write" ? { writes: true } : {}),
		where: `${user}@${options.host}:${options.port}/${options.database ?? client.database ?? user}`,
		user,
		tls,
		...(options.passwordReference === undefined ? {} : { passwordReference: options.passwordReference }),
	};
	// pg emits the same failure as an event and as a rejection; without a listener the event would end the process.
	client.on("error", () => {});
	try {
		await client.connect();
	} catch (error) {
		client.connection.stream.destroy();
		throw translateError(error, { ...context, connecting: true });
	}
	const session = new Session(client, context);
	try {
		await session.rows(settingsSql("session", access));
		const facts = await readFacts(session, { tls, loopback: isLoopback(options.host) });
		if (facts.version < VERSION_MIN)
			throw new HeadraceError("E_UNSUPPORTED", `PostgreSQL ${facts.versionText} at ${context.where} is older than 12`);
		return { session, facts };
	} catch (error) {
		session.destroy();
		throw translateError(error, context);
	}
}

/**
 * Settings that decide how values are printed and that nothing ends a long read; those that a version does not have
 * are left out by the join. Whatever the role or the database sets, values come out the same.
 */
const SETTINGS: Readonly<Record<string, string>> = {
	timezone: "UTC",
	datestyle: "ISO, YMD",
	intervalstyle: "iso_8601",
	extra_float_digits: "1",
	bytea_output: "hex",
	standard_conforming_strings: "on",
	default_transaction_read_only: "on",
	xmlbinary: "base64",
	statement_timeout: "0",
	idle_in_transaction_session_timeout: "0",
	idle_session_timeout: "0",
	transaction_timeout: "0",
};

/** What a destination's sessions have besides, or otherwise. */
const WRITER_SETTINGS: Readonly<Record<string, string>> = {
	...SETTINGS,
	default_transaction_read_only: "off",
	// Rows that a policy would hide must not be taken for rows that are not there.
	row_security: "off",
	lock_timeout: "0",
	default_transaction_isolation: "read committed",
};

/**
 * The server looks whether its client is still there while it builds an index or waits: what a killed run began ends
 * soon (14 and later). Where the system has no POLLRDHUP the setting is refused.
 */
const LOOK_FOR_CLIENT = `UNION ALL
		 SELECT pg_catalog.set_config(s.name, '2s', LOCAL) FROM pg_catalog.pg_settings AS s
		 WHERE s.name = 'client_connection_check_interval' AND pg_catalog.version() ~ 'linux'`;

export type Access = "read" | "write";

export function accessOf(role: SessionRole): Access {
	return role === "headrace writer" || role === "headrace state" ? "write" : "read";
}

/**
 * The statement that applies them, to the session or to the transaction. Snapshots do the latter as well: behind a
 * pooler, a transaction may run in another session than the login did.
 */
export function settingsSql(scope: "session" | "transaction", access: Access = "read"): string {
	const local = String(scope === "transaction");
	const values = Object.entries(access === "read" ? SETTINGS : WRITER_SETTINGS).map(
		([name, value]) => `('${name}', '${value}')`,
	);
	// Names of types and tables come out with their schema, and nobody can put an operator of his own before ours. A
	// database in SQL_ASCII holds bytes of unknown encoding: asked for UTF-8, the server would fail on the first odd one.
	return `SELECT pg_catalog.set_config(s.name, v.value, ${local})
		 FROM (VALUES ${values.join(", ")}) AS v(name, value)
		 JOIN pg_catalog.pg_settings AS s ON pg_catalog.lower(s.name) = v.name
		 UNION ALL
		 SELECT pg_catalog.set_config('search_path', '', ${local})
		 UNION ALL
		 SELECT pg_catalog.set_config('client_encoding', CASE pg_catalog.current_setting('server_encoding')
		   WHEN 'SQL_ASCII' THEN 'SQL_ASCII' ELSE 'UTF8' END, ${local})
		 ${access === "read" ? "" : LOOK_FOR_CLIENT.replace("LOCAL", local)}`.trimEnd();
}
