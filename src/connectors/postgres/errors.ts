import { type ErrorCode, HeadraceError, qualified, type TableName } from "../../core/index.ts";
import { type ServerFault, writeError } from "./destination-errors.ts";
import { quoteIdentifier } from "./sql-text.ts";

/** What was going on when the server or the socket answered with an error. */
export interface ErrorContext {
	/** `user@host:port/database`, without the password. */
	readonly where: string;
	readonly user?: string;
	readonly connecting?: boolean;
	readonly tls?: "off" | "insecure" | "verify";
	/** Where the password comes from: `${env:SHOP_PASSWORD}`. */
	readonly passwordReference?: string;
	readonly table?: TableName;
	/** The statement holds SQL of the pipeline file: a mistake in it is the user's to mend. */
	readonly ownSql?: boolean;
	/** The session is a destination's. */
	readonly writes?: boolean;
}

/** SQLSTATE → code. https://www.postgresql.org/docs/current/errcodes-appendix.html */
const BY_STATE: Readonly<Record<string, ErrorCode>> = {
	"28P01": "E_LOGIN",
	"28000": "E_LOGIN",
	"3D000": "E_LOGIN",
	"57P03": "E_CONNECT",
	"53300": "E_CONNECT",
	"42501": "E_RIGHTS",
	"42P01": "E_UNKNOWN_TABLE",
	"3F000": "E_UNKNOWN_TABLE",
	"42703": "E_UNKNOWN_COLUMN",
	"42702": "E_NAME_COLLISION",
	"40001": "E_CONFLICT",
	"40P01": "E_CONFLICT",
	"22021": "E_ENCODING",
	"22P05": "E_ENCODING",
	"57P01": "E_CONNECTION_LOST",
	"57P02": "E_CONNECTION_LOST",
	"57P05": "E_CONNECTION_LOST",
	"25P03": "E_CONNECTION_LOST",
	"25P04": "E_CONNECTION_LOST",
	"57014": "E_TIMEOUT",
	"55P03": "E_TIMEOUT",
	"0A000": "E_UNSUPPORTED",
	"55006": "E_BUSY",
};

const UNREACHABLE = new Set(
	"ECONNREFUSED ENOTFOUND EAI_AGAIN ETIMEDOUT EHOSTUNREACH ENETUNREACH EHOSTDOWN ENETDOWN ENOENT EACCES EADDRNOTAVAIL".split(
		" ",
	),
);
const BROKEN = new Set(["ECONNRESET", "EPIPE", "ECONNABORTED", "ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH", "ENETDOWN"]);

function serverError(thrown: unknown): ServerFault | null {
	if (!(thrown instanceof Error)) return null;
	const { code, severity, where, column, constraint } = thrown as Error & Record<string, unknown>;
	if (typeof code !== "string" || !/^[0-9A-Z]{5}$/.test(code) || severity === undefined) return null;
	return {
		state: code,
		message: thrown.message,
		...(typeof where === "string" ? { where } : {}),
		...(typeof column === "string" ? { column } : {}),
		...(typeof constraint === "string" ? { constraint } : {}),
	};
}

/**
 * Any error of pg, the server or the socket as a HeadraceError. Messages of SQLSTATE classes that may quote a row's
 * value (22 data exceptions, 23, P0 raised by functions, XX) are replaced by our own, and their cause is dropped.
 */
export function translateError(thrown: unknown, context: ErrorContext): HeadraceError {
	if (thrown instanceof HeadraceError) return thrown;
	const place = context.table === undefined ? {} : { table: qualified(context.table) };
	const server = serverError(thrown);
	if (server !== null) {
		const writing = context.writes && !context.connecting ? writeError(server, thrown, context) : null;
		return writing ?? fromServer(server, thrown, context, place);
	}
	const error = thrown instanceof Error ? thrown : new Error(String(thrown));
	const code = String((error as NodeJS.ErrnoException).code ?? "");
	const fail = (kind: ErrorCode, message: string, hint?: string) =>
		new HeadraceError(kind, message, { ...place, cause: thrown, ...(hint === undefined ? {} : { hint }) });
	if (isTlsError(error, code)) return fail("E_TLS", `TLS to ${context.where} failed: ${error.message}`);
	if (/^SASL|password must be a/i.test(error.message))
		return fail("E_LOGIN", `the login at ${context.where} failed: ${saslReason(error.message)}`, loginHint(context));
	if (context.connecting) {
		if (/invalid response: [0-9a-f]+$/i.test(error.message))
			return fail(
				"E_CONNECT",
				`what listens at ${context.where} does not answer as PostgreSQL does`,
				"Check host and port: is another kind of server, such as MySQL, listening there?",
			);
		const reason = error.message === "timeout expired" ? "no answer in time" : error.message || code;
		if (UNREACHABLE.has(code) || BROKEN.has(code) || /terminated|timeout expired/.test(error.message) || code !== "")
			return fail("E_CONNECT", `PostgreSQL at ${context.where} cannot be reached: ${reason}`);
	}
	if (BROKEN.has(code) || UNREACHABLE.has(code) || /terminated|not queryable|was closed|after end/i.test(error.message))
		return fail("E_CONNECTION_LOST", `the connection to ${context.where} broke`);
	return fail(context.writes ? "E_DESTINATION" : "E_SOURCE", `PostgreSQL at ${context.where}: ${error.message}`);
}

/** What a statement gets that looks at an object while another session changes it: names and numbers of objects only. */
const CHANGED_MEANWHILE = new RegExp(
	[
		"tuple concurrently (?:updated|deleted)",
		// "for index 16412", "for attribute 3 of relation 16412".
		"cache lookup failed for [a-z ]+ -?\\d+(?: of [a-z]+ \\d+)?",
		"could not open relation with OID \\d+",
		"could not find (?:pg_[a-z]+ (?:entry|tuple)|tuple) for [a-z ]+ \\d+",
		"catalog is missing \\d+ attribute\\(s\\) for rel(?:id|ation OID) \\d+",
		"pg_attribute catalog is missing \\d+ attribute\\(s\\) for relation OID \\d+",
		"relation \\d+ deleted while still in use",
	]
		.map((text) => `^${text}$`)
		.join("|"),
);

function fromServer(
	{ state, message }: ServerFault,
	cause: unknown,
	context: ErrorContext,
	place: { readonly table?: string },
): HeadraceError {
	const { where } = context;
	const make = (code: ErrorCode, text: string, hint?: string) =>
		new HeadraceError(code, text, { ...place, cause, ...(hint === undefined ? {} : { hint }) });
	const stateClass = state.slice(0, 2);
	const code = BY_STATE[state];
	if (code === "E_LOGIN") {
		if (context.tls === "off" && /no encryption|SSL off/.test(message))
			return make(
				"E_TLS",
				`PostgreSQL at ${where} accepts this user over TLS only`,
				"Write `tls: on` or leave `tls` out.",
			);
		return make("E_LOGIN", `PostgreSQL at ${where} refused the login: ${message}`, loginHint(context));
	}
	if (code === "E_BUSY")
		return make(code, message, "Another run reads it, or one that ended without a word: wait a minute.");
	if (code === "E_CONNECT") return make("E_CONNECT", `PostgreSQL at ${where} takes no connection now: ${message}`);
	if (code === "E_CONNECTION_LOST" || stateClass === "08")
		return make(context.connecting ? "E_CONNECT" : "E_CONNECTION_LOST", `PostgreSQL at ${where} ended the connection`);
	if (code === "E_RIGHTS") return make("E_RIGHTS", message, grantHint(context));
	if (code === "E_UNKNOWN_TABLE") return make(code, message, "Mend the name; write it with its schema.");
	if (code === "E_NAME_COLLISION") return make(code, message, "Give the query's columns different names.");
	if (code === "E_TIMEOUT") return make(code, `the server cancelled the read: ${message}`);
	if (code === "E_ENCODING") return withoutCause(code, `text cannot be converted to UTF-8 (SQLSTATE ${state})`, place);
	if (code !== undefined) return make(code, message);
	if (state === "XX000" && CHANGED_MEANWHILE.test(message))
		return make("E_CONFLICT", `another session changed a table or its like at the same moment: ${message}`);
	// The message would quote the value that could not be read.
	if (stateClass === "22" || stateClass === "23")
		return withoutCause("E_VALUE", `the server could not compute or convert a value (SQLSTATE ${state})`, place);
	if (stateClass === "P0" || stateClass === "XX")
		return withoutCause("E_SOURCE", `a function or the server itself failed (SQLSTATE ${state})`, place);
	if (stateClass === "42" && context.ownSql) return make("E_INVALID_VALUE", `the query is wrong: ${message}`);
	return make("E_SOURCE", `PostgreSQL at ${where}: ${message}`);
}

function withoutCause(code: ErrorCode, message: string, place: { readonly table?: string }): HeadraceError {
	return new HeadraceError(code, message, { ...place });
}

function isTlsError(error: Error, code: string): boolean {
	return (
		/does not support SSL|establishing an SSL/.test(error.message) ||
		/^(CERT_|ERR_TLS_|ERR_SSL_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|HOSTNAME_MISMATCH|EPROTO|ERR_OSSL)/.test(code)
	);
}

function saslReason(message: string): string {
	if (/password must be a/i.test(message)) return "the server asks for a password and none is given";
	return message.replace(/^SASL: /, "");
}

function loginHint(context: ErrorContext): string {
	const reference = context.passwordReference;
	if (reference === undefined) return "Check user, password and database of the connection.";
	return `Check user, database and the password, which comes from ${reference}.`;
}

/** The statements that let the user read the table. */
export function grantStatements(user: string, table: TableName): string {
	const role = quoteIdentifier(user);
	const schema = quoteIdentifier(table.schema);
	return `GRANT USAGE ON SCHEMA ${schema} TO ${role}; GRANT SELECT ON ${schema}.${quoteIdentifier(table.name)} TO ${role};`;
}

function grantHint(context: ErrorContext): string | undefined {
	if (context.user === undefined) return undefined;
	if (context.table === undefined || context.table.schema === "")
		return `GRANT SELECT ON the tables and views that the query reads TO ${quoteIdentifier(context.user)};`;
	return grantStatements(context.user, context.table);
}
