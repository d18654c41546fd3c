import { type ErrorCode, HeadraceError, type TableName } from "../../core/index.ts";
import { grantsFor } from "./grants.ts";
import { type SnowflakeOptions, whereOf } from "./options.ts";

/** What a statement is about, for its errors. */
export interface StatementAbout {
	readonly table?: TableName;
	/** The statement is SQL of the pipeline's. */
	readonly ownSql?: boolean;
	readonly connecting?: boolean;
}

/** The fields of a driver's error that matter here. */
interface DriverError {
	readonly code?: unknown;
	readonly message?: unknown;
	readonly sqlState?: unknown;
	readonly cause?: { readonly code?: unknown };
	readonly response?: { readonly status?: number; readonly statusCode?: number };
}

/** A table, schema, stage, … that is not there, or that the role may not see: Snowflake does not say which. */
export const NOT_THERE = new Set(["002003", "002043", "002006"]);
const ALREADY_THERE = "002002";
const TLS_CODES = /^(?:CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_(?:VERIFY|GET)|ERR_TLS|ERR_OCSP|ERR_CRL|ERR_SSL|EPROTO)/;

/** Server codes → codes; the rest of a class is told by its first digits. */
const BY_CODE: Readonly<Record<string, ErrorCode>> = {
	"390189": "E_RIGHTS",
	"390201": "E_RIGHTS",
	"390111": "E_CONNECTION_LOST",
	"390112": "E_CONNECTION_LOST",
	"390114": "E_CONNECTION_LOST",
	"390195": "E_CONNECTION_LOST",
	"000606": "E_RIGHTS",
	"003001": "E_RIGHTS",
	"003041": "E_RIGHTS",
	"000604": "E_TIMEOUT",
	"000630": "E_TIMEOUT",
	"000625": "E_TIMEOUT",
	"000628": "E_CONFLICT",
	"000629": "E_CONFLICT",
	"091003": "E_UNSUPPORTED",
	"100090": "E_DUPLICATE_KEY",
	[ALREADY_THERE]: "E_CONFLICT",
};

/** What a row's fault is, without its value. */
const VALUE_FAULTS: Readonly<Record<string, string>> = {
	"100035": "a date or time that Snowflake does not know, or outside its range",
	"100038": "a number that is not one, or outside the range of the column's type",
	"100039": "a number outside the range of the column's type",
	"100040": "a date that Snowflake does not know, or outside its range",
	"100046": "a number with more digits than the column's type has",
	"100058": "a number outside the range of the column's type",
	"100069": "text that is not valid JSON",
	"100072": "NULL, which the column does not allow",
	"100078": "a value that is longer than the column allows",
	"100096": "a time that Snowflake does not know",
	"100108": "bytes that are not valid hexadecimal",
	"100144": "text that is not valid UTF-8",
};

/** The server's code as its six digits; the driver's own are numbers from 400000. */
export function codeOf(error: unknown): string {
	const code = (error as DriverError)?.code;
	return typeof code === "number" || typeof code === "string" ? String(code).padStart(6, "0") : "";
}

/** Whether an object is missing, or may not be seen. */
export function isNotThere(error: unknown): boolean {
	return error instanceof HeadraceError && NOT_THERE.has(codeOf(error.cause));
}

/** Whether the server says that something of the name is there already. */
export function isThere(error: unknown): boolean {
	return error instanceof HeadraceError && codeOf(error.cause) === ALREADY_THERE;
}

/** Whether a row had NULL in one of the columns, which allow none. */
export function isNullOf(error: unknown, columns: readonly string[]): boolean {
	if (!(error instanceof HeadraceError) || codeOf(error.cause) !== "100072") return false;
	return columns.some((name) => error.message.startsWith(`column ${name} of `));
}

/** A driver's error in Headrace's words. Errors that may quote a row's value are replaced, and the value kept apart. */
export function translateError(error: unknown, options: SnowflakeOptions, about: StatementAbout = {}): HeadraceError {
	if (error instanceof HeadraceError) return error;
	const { message } = error as DriverError;
	const text = (typeof message === "string" ? message : String(error)).trim();
	const code = codeOf(error);
	const where = whereOf(options);
	const table = about.table === undefined ? undefined : tableText(about.table);
	const place = table === undefined ? {} : { table };
	// Not the driver's error itself: it holds the request, with the statement's text in it.
	const cause = Object.assign(new Error(`${code} from Snowflake`), { code });
	const make = (to: ErrorCode, what: string, hint?: string) =>
		new HeadraceError(to, what, { ...place, cause, ...(hint === undefined ? {} : { hint }) });

	if (code === "" || code.startsWith("40")) return clientError(error as DriverError, text, where, about, make);
	if (!about.ownSql && isValueFault(code)) return valueError(code, text, options, about, cause);
	const known = BY_CODE[code];
	if (code === "000606")
		return make(
			"E_RIGHTS",
			`${where}: no warehouse is in use (Snowflake ${code})`,
			`Give \`warehouse:\` in the connection, and the role the right to it.\n${grantsFor(options, about.table?.schema)}`,
		);
	if (known === "E_RIGHTS" || (NOT_THERE.has(code) && !about.ownSql))
		return make("E_RIGHTS", `${where}: ${firstLine(text)}`, grantsFor(options, about.table?.schema));
	if (known !== undefined) return make(known, `${where}: ${firstLine(text)}`);
	if (/^390/.test(code)) {
		const reference = options.credentialReference === undefined ? "" : `, from ${options.credentialReference}`;
		return make("E_LOGIN", `Snowflake refused the login of ${where}${reference} (${code}): ${firstLine(text)}`);
	}
	// A wait for a lock that was given up, whatever it was about.
	if (/lock/i.test(text) && /timeout|aborted/i.test(text)) return make("E_TIMEOUT", `${where}: ${firstLine(text)}`);
	if (/was not found|does not exist.*file/i.test(text) && /^(?:0910|100016|253)/.test(code))
		return make("E_CONFLICT", `${where}: a staged file was taken away while it was loaded (Snowflake ${code})`);
	if (about.ownSql)
		return make(isValueFault(code) ? "E_DESTINATION" : "E_INVALID_VALUE", `Snowflake (${code}): ${quoteless(text)}`);
	return make("E_DESTINATION", `${where} (Snowflake ${code}): ${firstLine(text)}`);
}

type Make = (to: ErrorCode, what: string, hint?: string) => HeadraceError;

function clientError(
	error: DriverError,
	text: string,
	where: string,
	about: StatementAbout,
	make: Make,
): HeadraceError {
	const reason = String(error.cause?.code ?? (error as { code?: unknown }).code ?? "");
	const status = error.response?.status ?? error.response?.statusCode;
	if (TLS_CODES.test(reason)) return make("E_TLS", `the certificate of ${where} can't be verified (${reason})`);
	if (/^40[4-9]/.test(codeOf(error)) && about.connecting)
		return make("E_LOGIN", `the connection ${where} is not complete: ${text}`);
	const answer = status === undefined ? (reason === "" ? text : reason) : `HTTP ${status}`;
	return about.connecting
		? make(
				"E_CONNECT",
				`${where} can't be reached: ${answer}`,
				"Check `account:` (or `endpoint:`), network and firewall.",
			)
		: make("E_CONNECTION_LOST", `the connection to ${where} broke: ${answer}`);
}

function isValueFault(code: string): boolean {
	return /^100/.test(code) && code !== "100090" && code !== "100016";
}

/** File, row and column of a COPY's error, and what is wrong with the row; the value is in `values` only. */
function valueError(
	code: string,
	text: string,
	options: SnowflakeOptions,
	about: StatementAbout,
	cause: Error,
): HeadraceError {
	const table = about.table === undefined ? whereOf(options) : tableText(about.table);
	const column = /\bcolumn "(?:[^"]|"")*"\["((?:[^"]|"")+)":\d+\]/.exec(text)?.[1]?.replaceAll('""', '"');
	const file = /File '([^']*)'/.exec(text)?.[1];
	const row = /\bRow (\d+)/i.exec(text)?.[1];
	const line = /\bline (\d+)/i.exec(text)?.[1];
	const fault = VALUE_FAULTS[code] ?? "a value that its type can't hold";
	const name = column === undefined ? table : `column ${column} of ${table}`;
	const at = [
		...(file === undefined ? [] : [`file ${file}`]),
		...(line === undefined ? [] : [`line ${line}`]),
		...(row === undefined ? [] : [`row ${row}`]),
	].join(", ");
	return new HeadraceError("E_VALUE", `${name} would hold ${fault}${at === "" ? "" : `: ${at}`} (Snowflake ${code})`, {
		...(about.table === undefined ? {} : { table }),
		hint: "Mend it at the source, drop the column by `columns: { …: drop }`, or map it to another type.",
		values: firstLine(text),
		cause,
	});
}

/** What is wrong, without the kind of error that Snowflake puts in a line before it. */
function firstLine(text: string): string {
	return text
		.replace(/^SQL (?:compilation|access control) error:\s*(?:error line \d+[^\n]*\n)?/, "")
		.split("\n", 1)[0]!;
}

/** The text of an error of the user's own SQL, without what it quotes: that may be a value. */
function quoteless(text: string): string {
	return text.replaceAll("\n", " ").replace(/'[^']*'/g, "'…'");
}

function tableText({ schema, name }: TableName): string {
	return schema === "" ? name : `${schema}.${name}`;
}
