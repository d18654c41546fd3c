import { type ErrorCode, HeadraceError, qualified, type TableName } from "../../core/index.ts";
import { loaderGrants, rolePolicyHint } from "./grants.ts";

/** What was going on when the server or the socket answered with an error. */
export interface ErrorContext {
	/** `user@host:port/database`, without the password. */
	readonly where: string;
	readonly user: string;
	readonly connecting?: boolean;
	readonly tls?: "off" | "insecure" | "verify";
	/** Where the password comes from: `${env:DW_PASSWORD}`. */
	readonly passwordReference?: string;
	readonly table?: TableName;
	/** The statement holds SQL of the pipeline file: a mistake in it is the user's to mend. */
	readonly ownSql?: boolean;
	/** The statement is a COPY by this role. */
	readonly copyRole?: string;
}

interface ServerFault {
	readonly state: string;
	readonly message: string;
	readonly detail: string;
}

const UNREACHABLE = new Set(
	"ECONNREFUSED ENOTFOUND EAI_AGAIN ETIMEDOUT EHOSTUNREACH ENETUNREACH EHOSTDOWN ENETDOWN ENOENT EACCES EADDRNOTAVAIL".split(
		" ",
	),
);
const BROKEN = new Set(["ECONNRESET", "EPIPE", "ECONNABORTED", "ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH", "ENETDOWN"]);

/** SQLSTATE → code; most of Redshift's own errors have XX000 and are told by their text. */
const BY_STATE: Readonly<Record<string, ErrorCode>> = {
	"28P01": "E_LOGIN",
	"28000": "E_LOGIN",
	"3D000": "E_LOGIN",
	"57P03": "E_CONNECT",
	"53300": "E_CONNECT",
	"40001": "E_CONFLICT",
	"40P01": "E_CONFLICT",
	"42P06": "E_CONFLICT",
	"42P07": "E_CONFLICT",
	"55P03": "E_TIMEOUT",
	"57014": "E_TIMEOUT",
	"57P01": "E_CONNECTION_LOST",
	"57P02": "E_CONNECTION_LOST",
	"53100": "E_NO_SPACE",
	"53200": "E_MEMORY",
	"54000": "E_TOO_LARGE",
	"54001": "E_UNSUPPORTED",
	"54011": "E_UNSUPPORTED",
	"0A000": "E_UNSUPPORTED",
	"42P01": "E_UNKNOWN_TABLE",
	"3F000": "E_UNKNOWN_TABLE",
	"42703": "E_UNKNOWN_COLUMN",
};

function serverFault(thrown: unknown): ServerFault | null {
	if (!(thrown instanceof Error)) return null;
	const { code, severity, detail } = thrown as Error & Record<string, unknown>;
	if (typeof code !== "string" || !/^[0-9A-Z]{5}$/.test(code) || severity === undefined) return null;
	return { state: code, message: thrown.message, detail: typeof detail === "string" ? detail : "" };
}

/**
 * Any error of pg, the server or the socket as a HeadraceError. What may quote a row's value is replaced by our own
 * words, and its cause dropped.
 */
export function translateError(thrown: unknown, context: ErrorContext): HeadraceError {
	if (thrown instanceof HeadraceError) return thrown;
	const fault = serverFault(thrown);
	if (fault !== null) return fromServer(fault, thrown, context);
	const error = thrown instanceof Error ? thrown : new Error(String(thrown));
	const code = String((error as NodeJS.ErrnoException).code ?? "");
	const fail = (kind: ErrorCode, message: string, hint?: string) =>
		new HeadraceError(kind, message, { cause: thrown, ...(hint === undefined ? {} : { hint }) });
	if (isTlsError(error, code)) return fail("E_TLS", `TLS to ${context.where} failed: ${error.message}`);
	if (/^SASL|password must be a/i.test(error.message))
		return fail("E_LOGIN", `the login at ${context.where} failed`, loginHint(context));
	if (context.connecting) {
		const reason = error.message === "timeout expired" ? "no answer in time" : error.message || code;
		if (UNREACHABLE.has(code) || BROKEN.has(code) || /terminated|timeout expired/.test(error.message) || code !== "")
			return fail("E_CONNECT", `Redshift at ${context.where} cannot be reached: ${reason}`);
	}
	if (BROKEN.has(code) || UNREACHABLE.has(code) || /terminated|not queryable|was closed|after end/i.test(error.message))
		return fail("E_CONNECTION_LOST", `the connection to ${context.where} broke`);
	return fail("E_DESTINATION", `Redshift at ${context.where}: ${error.message}`);
}

function fromServer({ state, message, detail }: ServerFault, cause: unknown, context: ErrorContext): HeadraceError {
	const { where, table } = context;
	const place = table === undefined ? {} : { table: qualified(table) };
	const what = table === undefined ? "the destination" : qualified(table);
	const make = (code: ErrorCode, text: string, hint?: string) =>
		new HeadraceError(code, text, { ...place, cause, ...(hint === undefined ? {} : { hint }) });
	const without = (code: ErrorCode, text: string, hint?: string) =>
		new HeadraceError(code, text, { ...place, ...(hint === undefined ? {} : { hint }) });
	// https://docs.aws.amazon.com/redshift/latest/dg/c_serial_isolation-serializable-isolation-troubleshooting.html
	if (/^(?:ERROR:\s*)?1023\b|serializable isolation violation/i.test(`${message} ${detail}`))
		return make("E_CONFLICT", `another transaction changed what the load of ${what} read (error 1023)`);
	if (/^(?:ERROR:\s*)?1018\b/.test(message))
		return make("E_CONFLICT", `another session has replaced a table that the load of ${what} uses (error 1018)`);
	const fromS3 = s3Fault(message, detail, context);
	if (fromS3 !== null) return make(...fromS3);
	if (state === "42501" || /^permission denied/i.test(message))
		return make(
			"E_RIGHTS",
			`Redshift at ${where}: ${message}`,
			loaderGrants(context.user, where.slice(where.lastIndexOf("/") + 1), table),
		);
	const code = BY_STATE[state];
	if (code === "E_LOGIN") return make(code, `Redshift at ${where} refused the login: ${message}`, loginHint(context));
	if (code === "E_CONNECT") return make(code, `Redshift at ${where} takes no connection now: ${message}`);
	if (code === "E_CONNECTION_LOST" || state.startsWith("08"))
		return make(context.connecting ? "E_CONNECT" : "E_CONNECTION_LOST", `Redshift at ${where} ended the connection`);
	if (context.ownSql) {
		if (state.startsWith("42")) return make("E_INVALID_VALUE", `the SQL is wrong: ${message}`);
		return without("E_DESTINATION", `Redshift could not compute the SQL (SQLSTATE ${state})`);
	}
	if (code === "E_UNKNOWN_TABLE" || code === "E_UNKNOWN_COLUMN")
		return make("E_CONFLICT", `another session has changed what the load of ${what} uses: ${message}`);
	if (code !== undefined) return make(code, message);
	if (state === "2BP01")
		return make(
			"E_SCHEMA",
			`${what} must be built anew, and views hold on to it: ${detail === "" ? message : detail}`,
			"Make those views WITH NO SCHEMA BINDING, or drop them for the run.",
		);
	// The texts may quote the value.
	const value = valueFault(state, message);
	if (value !== null)
		return without(
			"E_VALUE",
			`${what} would hold ${value} (SQLSTATE ${state})`,
			"Mend it at the source, drop the column by `columns: { …: drop }`, or map it to another type.",
		);
	if (state.startsWith("XX") && !/^[\w\s.,:'"()-]*stl_load_errors/i.test(message))
		return without(
			"E_DESTINATION",
			`Redshift at ${where} failed (SQLSTATE ${state})`,
			"See the query in SYS_QUERY_HISTORY.",
		);
	return make("E_DESTINATION", `Redshift at ${where}: ${message}`);
}

/** What COPY says of its files: https://docs.aws.amazon.com/redshift/latest/dg/s3serviceexception-error.html */
function s3Fault(
	message: string,
	detail: string,
	{ copyRole, user }: ErrorContext,
): readonly [ErrorCode, string, string?] | null {
	const text = `${message} ${detail}`;
	const role = copyRole ?? "default";
	if (/not authorized to (?:assume|get credentials)/i.test(text))
		return [
			"E_RIGHTS",
			`Redshift may not assume the role ${role}`,
			"Attach the role to the cluster or namespace, and let redshift.amazonaws.com assume it: see `headrace check`.",
		];
	if (/not authorized to use (?:the )?role|ASSUMEROLE/i.test(text))
		return [
			"E_RIGHTS",
			`${user} may not use the role ${role} for COPY`,
			`GRANT ASSUMEROLE ON '${role}' TO "${user.replaceAll('"', '""')}" FOR COPY;`,
		];
	if (/S3ServiceException:\s*Access Denied|Status 403|AccessDenied/i.test(text))
		return ["E_RIGHTS", `the role ${role} may not read the staged files`, rolePolicyHint()];
	if (/NoSuchKey|does not exist|Status 404|mandatory/i.test(text) && /S3|manifest/i.test(text))
		return ["E_CONFLICT", "a staged file was taken away before COPY read it", "The run is retried, and reads again."];
	if (/content_length|S3ServiceException:.*(?:Status 412|PreconditionFailed)/i.test(text))
		return ["E_CONFLICT", "a staged file is not the one that was sealed", "The run is retried, and reads again."];
	if (/S3ServiceException:|S3CurlException/i.test(text))
		return ["E_TIMEOUT", "S3 did not give Redshift the staged files", "The run is retried."];
	return null;
}

/** What a value is that a type can't hold, without the value; null when the error is of another kind. */
function valueFault(state: string, message: string): string | null {
	if (/value too long|length exceeds ddl length|longer than the length defined/i.test(message))
		return "a value that is longer than the column's bytes";
	if (/out of range|overflow/i.test(message) || state === "22003") return "a number outside the range of its column";
	if (state === "23502" || /cannot insert a null value/i.test(message))
		return "NULL in a column that does not allow it";
	if (/json/i.test(message) && /pars|invalid/i.test(message)) return "a text that is no JSON document for SUPER";
	if (state.startsWith("22") || state.startsWith("23")) return "a value that its type can't hold";
	return null;
}

function isTlsError(error: Error, code: string): boolean {
	return (
		/does not support SSL|establishing an SSL/.test(error.message) ||
		/^(CERT_|ERR_TLS_|ERR_SSL_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|HOSTNAME_MISMATCH|EPROTO|ERR_OSSL)/.test(code)
	);
}

function loginHint({ passwordReference }: ErrorContext): string {
	if (passwordReference === undefined) return "Check user, password and database of the connection.";
	return `Check user, database and the password, which comes from ${passwordReference}.`;
}
