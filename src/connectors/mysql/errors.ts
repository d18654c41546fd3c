import { type ErrorCode, HeadraceError, type TableName } from "../../core/index.ts";
import { identifier, tableSql } from "./sql.ts";

/** What an error is about, as far as it is known where it is caught. */
export interface ErrorContext {
	/** Host and port, for messages. */
	readonly address: string;
	readonly phase: "connect" | "work";
	/** The port took the connection and sent no greeting, which is the first thing that a MySQL server does. */
	readonly isSilent?: boolean;
	/** The account of the login, for GRANT statements: `'reader'@'%'`. */
	readonly account?: string;
	readonly user?: string;
	readonly database?: string;
	/** Where the password comes from, in words: `${env:SHOP_PASSWORD}`. */
	readonly passwordReference?: string;
	readonly table?: TableName;
}

/** An error of mysql2: `errno` is the server's number (a negative one the operating system's), `code` its name. */
interface NativeError extends Error {
	readonly errno?: number;
	readonly code?: string;
	readonly sqlState?: string;
	readonly sqlMessage?: string;
}

const LOGIN = new Set([
	1045, // ER_ACCESS_DENIED_ERROR
	1130, // ER_HOST_NOT_PRIVILEGED
	1129, // ER_HOST_IS_BLOCKED
	1251, // ER_NOT_SUPPORTED_AUTH_MODE
	1275, // ER_SERVER_IS_IN_SECURE_AUTH_MODE
	1524, // ER_PLUGIN_IS_NOT_LOADED
	1698, // ER_ACCESS_DENIED_NO_PASSWORD_ERROR
	1820, // ER_MUST_CHANGE_PASSWORD
	1862, // ER_MUST_CHANGE_PASSWORD_LOGIN
	3118, // ER_ACCOUNT_HAS_BEEN_LOCKED
	4151, // ER_ACCOUNT_HAS_BEEN_LOCKED of MariaDB
]);
const BUSY = new Set([1040, 1203, 1226]); // too many connections, of all, of the user, per hour
const RIGHTS = new Set([
	1044, // ER_DBACCESS_DENIED_ERROR
	1142, // ER_TABLEACCESS_DENIED_ERROR
	1143, // ER_COLUMNACCESS_DENIED_ERROR
	1227, // ER_SPECIFIC_ACCESS_DENIED_ERROR
	1345, // ER_VIEW_NO_EXPLAIN
	1370, // ER_PROCACCESS_DENIED_ERROR
]);
const CONFLICT = new Set([
	1205, // ER_LOCK_WAIT_TIMEOUT
	1213, // ER_LOCK_DEADLOCK
	1412, // ER_TABLE_DEF_CHANGED: DDL that a snapshot can't see through
	3572, // ER_LOCK_NOWAIT
]);
const LOST = new Set([
	1053, // ER_SERVER_SHUTDOWN
	1077, // ER_NORMAL_SHUTDOWN
	1158, // ER_NET_READ_ERROR and its kin
	1159,
	1160,
	1161,
	1927, // ER_CONNECTION_KILLED
	3168, // ER_SERVER_ISNT_AVAILABLE
	4031, // ER_CLIENT_INTERACTION_TIMEOUT
]);
const ER_QUERY_INTERRUPTED = 1317;
const TIMEOUT = new Set([1969, 3024]); // ER_STATEMENT_TIMEOUT, ER_QUERY_TIMEOUT
/** Messages about names and syntax only; others may quote a row's value. */
const HARMLESS_MESSAGES = new Set([1046, 1049, 1052, 1054, 1055, 1060, 1064, 1140, 1146, 1247, 1305, 1356, 1449, 4161]);

/** The account that a refusal names: `Access denied for user 'reader'@'%' to database 'shop'`. */
function accountIn({ sqlMessage = "" }: NativeError): string | undefined {
	return /\bfor user ('(?:[^'\\]|'')*'@'[^'\\]*')/.exec(sqlMessage)?.[1];
}

const OTHER_SERVER = "Check host and port: is another kind of server, such as PostgreSQL, listening there?";

/** What a person grants so that a table can be read, or all of a database by the name `*`. */
export function grantSelect(table: TableName | undefined, account = "<user>"): string {
	const on =
		table === undefined || table.schema === ""
			? "*.*"
			: table.name === "*"
				? `${identifier(table.schema)}.*`
				: tableSql(table);
	return `GRANT SELECT ON ${on} TO ${account};`;
}

/** The server's or driver's error as a Headrace error; one that is a Headrace error already stays. */
export function translateError(thrown: unknown, context: ErrorContext): HeadraceError {
	if (thrown instanceof HeadraceError) return thrown;
	const error = (thrown instanceof Error ? thrown : new Error(String(thrown))) as NativeError;
	const table = context.table === undefined ? {} : { table: `${context.table.schema}.${context.table.name}` };
	const make = (code: ErrorCode, message: string, hint?: string) =>
		new HeadraceError(code, message, {
			cause: harmlessCause(error),
			...table,
			...(hint === undefined ? {} : { hint }),
		});
	const { errno = 0, code = "" } = error;

	if (LOGIN.has(errno) || code === "AUTH_SWITCH_PLUGIN_ERROR" || code === "MYSQL_CLEAR_PASSWORD_NOT_ENABLED") {
		const from = context.passwordReference;
		return make(
			"E_LOGIN",
			`${context.address} refused user ${context.user ?? "(none)"}: ${shown(error)}`,
			from === undefined ? undefined : `Check the user and the password, which comes from ${from}.`,
		);
	}
	if (errno === 3159) return make("E_TLS", `${context.address} takes TLS connections only`, "Remove `tls: off`.");
	if (code === "HANDSHAKE_NO_SSL_SUPPORT") return make("E_TLS", `${context.address} does not offer TLS`);
	if (code === "HANDSHAKE_SSL_ERROR" || /^(ERR_TLS|ERR_SSL|CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO)/.test(code))
		return make("E_TLS", `TLS with ${context.address} failed: ${error.message}`);
	if (errno === 1049)
		return make("E_UNKNOWN_TABLE", `the database ${context.database ?? ""} does not exist on ${context.address}`);
	if (RIGHTS.has(errno)) {
		const global = errno === 1227;
		return make(
			"E_RIGHTS",
			shown(error),
			global
				? undefined
				: `Run: ${grantSelect(context.table ?? databaseOf(context), context.account ?? accountIn(error))}`,
		);
	}
	if (errno === 1146) return make("E_UNKNOWN_TABLE", shown(error));
	if (errno === 1054) return make("E_UNKNOWN_COLUMN", shown(error));
	if (errno === 1412)
		return make("E_CONFLICT", "the table's definition changed while it was read (DDL in the middle of the snapshot)");
	if (CONFLICT.has(errno)) return make("E_CONFLICT", shown(error));
	if (TIMEOUT.has(errno)) return make("E_TIMEOUT", shown(error));
	if (BUSY.has(errno)) return make("E_CONNECT", `${context.address}: ${shown(error)}`);
	if (errno === ER_QUERY_INTERRUPTED)
		return make("E_CONNECTION_LOST", `the statement was killed on ${context.address}`);
	if (context.isSilent === true)
		return make(
			"E_CONNECT",
			`${context.address} took the connection and did not greet as a MySQL server does`,
			OTHER_SERVER,
		);
	if (LOST.has(errno) || isNetworkError(errno, code))
		return context.phase === "connect"
			? make("E_CONNECT", `cannot reach ${context.address}: ${error.message}`)
			: make("E_CONNECTION_LOST", `the connection to ${context.address} broke: ${shown(error)}`);
	if (errno > 0) return make("E_SOURCE", `${context.address} says: ${shown(error)} (error ${errno})`);
	return context.phase === "connect"
		? make("E_CONNECT", `cannot connect to ${context.address}: ${error.message}`)
		: make("E_CONNECTION_LOST", `the connection to ${context.address} broke: ${error.message}`);
}

/** Whether the server says that it ends the session. */
export function endsSession(error: Error): boolean {
	return LOST.has((error as NativeError).errno ?? 0);
}

function databaseOf(context: ErrorContext): TableName | undefined {
	return context.database === undefined ? undefined : { schema: context.database, name: "*" };
}

function isNetworkError(errno: number, code: string): boolean {
	return errno < 0 || /^(E[A-Z]+|PROTOCOL_CONNECTION_LOST|ERR_STREAM.*)$/.test(code);
}

/** The server's message; what it quotes is left out when it may be a value of a row. */
function shown(error: NativeError): string {
	const { errno = 0 } = error;
	const message = error.sqlMessage ?? error.message;
	const known = errno <= 0 || HARMLESS_MESSAGES.has(errno) || LOGIN.has(errno) || RIGHTS.has(errno);
	return known ? message : message.replace(/'(?:[^'\\]|\\.|'')*'/g, "'…'");
}

/** mysql2's errors carry the SQL text and the server's message, which may quote values: only the codes go on. */
function harmlessCause(error: NativeError): Error {
	const { code, errno, sqlState } = error;
	const cause = new Error(shown(error));
	cause.name = "MysqlError";
	return Object.assign(cause, { code, errno, sqlState });
}
