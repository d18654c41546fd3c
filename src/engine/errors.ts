import { type ErrorCode, HeadraceError, toHeadraceErrors } from "../core/index.ts";

/** What is known of the statement whose error is translated. */
export interface ErrorContext {
	/** Column names that may be told; DuckDB names the column of a failed cast. */
	readonly columns?: readonly string[];
	/** Those of them that are the key: NULL in one is E_NULL_KEY. */
	readonly key?: readonly string[];
	/** What was done, for the message: `loading main.orders`. */
	readonly doing?: string;
	/** The native message, which may quote a value, goes with the error as its `values`: only where every mask has been applied. */
	readonly keepsValues?: boolean;
}

const TYPE_NAME =
	/\b(?:U?INT(?:8|16|32|64|128)|U?HUGEINT|BOOL(?:EAN)?|U?(?:TINY|SMALL|BIG)INT|U?INTEGER|FLOAT|DOUBLE|DATE|TIME|TIMESTAMP(?: WITH TIME ZONE|_NS|_MS|_S)?|INTERVAL|UUID|JSON|BLOB|VARCHAR|DECIMAL\(\d+,\d+\))(?=$|[^A-Za-z0-9_(])/g;

/**
 * A native error as a HeadraceError. DuckDB quotes row values in its messages about conversions and constraints, so of
 * those only the type and a known column are told, and the native error is not kept as the cause.
 * The kinds are the prefixes of https://github.com/duckdb/duckdb/blob/v1.5-variegata/src/common/exception.cpp
 */
export function engineError(thrown: unknown, context: ErrorContext = {}): HeadraceError {
	if (thrown instanceof HeadraceError) return thrown;
	const native = thrown instanceof Error ? thrown : new Error(String(thrown));
	// An error of the file system, from a caller's own callback.
	if ("errno" in native) return toHeadraceErrors(native)[0]!;
	const message = firstParagraph(plainMessage(native.message));
	const kind = /^([A-Za-z ]+?) ?(?:Error|error):/.exec(message)?.[1]?.toLowerCase() ?? "";
	const where = context.doing === undefined ? "" : ` while ${context.doing}`;
	switch (kind) {
		case "conversion":
		case "out of range":
		case "mismatch type":
		case "invalid type":
			return valueError(message, context, where);
		case "invalid input":
			// The path of the file is all that such a message holds.
			if (/Parquet|magic bytes/i.test(message)) return kept("E_CORRUPT_FILE", `DuckDB${where}: ${message}`, native);
			if (/UTF-?8|unicode/i.test(message))
				return new HeadraceError("E_ENCODING", `text is not valid UTF-8${columnOf(message, context)}${where}`);
			return valueError(message, context, where);
		case "constraint":
			return constraintError(message, context, where);
		case "out of memory":
			return memoryError(message, native, where);
		case "transactioncontext":
		case "transaction":
			return transactionError(message, native, context, where);
		case "interrupt":
			return new HeadraceError("E_STOPPED", `stopped${where}`);
		case "permission":
			return kept("E_PATH", `DuckDB${where}: ${message}`, native);
		case "io":
		case "fatal":
			return ioError(message, native, where);
		case "serialization":
			return kept("E_CORRUPT_FILE", `the DuckDB file is damaged or of a newer version${where}`, native);
		case "catalog":
			if (/write-write conflict/i.test(message)) return kept("E_CONFLICT", `DuckDB${where}: ${message}`, native);
			return kept("E_DESTINATION", `DuckDB${where}: ${message}`, native);
		case "":
			return kept("E_INTERNAL", `DuckDB's bindings${where}: ${message}`, native);
		default:
			return kept("E_DESTINATION", `DuckDB${where}: ${message}`, native);
	}
}

function kept(code: ErrorCode, message: string, cause: Error): HeadraceError {
	return new HeadraceError(code, message, { cause });
}

/** What is thrown inside a callback comes as JSON: `{"exception_type":"Out of Memory","exception_message":"…"}`. */
function plainMessage(message: string): string {
	if (!message.startsWith('{"exception_type"')) return message;
	try {
		const { exception_type, exception_message } = JSON.parse(message) as Record<string, string>;
		return `${exception_type} Error: ${exception_message}`;
	} catch {
		return message;
	}
}

/** Without the excerpt of the statement that DuckDB puts behind an empty line. */
function firstParagraph(message: string): string {
	const end = message.search(/\n\s*\n/);
	return (end === -1 ? message : message.slice(0, end)).replaceAll("\n", " ").trim();
}

function columnOf(message: string, context: ErrorContext): string {
	const at = message.lastIndexOf(" when casting from source column ");
	if (at === -1) return "";
	const name = message.slice(at + " when casting from source column ".length);
	const known = context.columns?.find((column) => name === column || name.startsWith(`${column} `));
	return known === undefined ? "" : ` in column ${known}`;
}

function valueError(message: string, context: ErrorContext, where: string): HeadraceError {
	const column = columnOf(message, context);
	const withoutColumn = message.replace(/ when casting from source column .*$/, "");
	const type = withoutColumn.startsWith("Conversion Error: Malformed JSON")
		? "JSON"
		: withoutColumn.match(TYPE_NAME)?.at(-1);
	return new HeadraceError("E_VALUE", `a value${column} does not fit its type${type ? ` ${type}` : ""}${where}`, {
		...(context.keepsValues === true ? { values: message } : {}),
	});
}

function constraintError(message: string, context: ErrorContext, where: string): HeadraceError {
	if (message.includes("NOT NULL constraint failed: ")) {
		const column = context.columns?.filter((name) => message.endsWith(`.${name}`)).sort(longestFirst)[0];
		if (column !== undefined && context.key?.includes(column))
			return new HeadraceError("E_NULL_KEY", `the key column ${column} holds NULL${where}`);
		const named = column === undefined ? "a column" : `column ${column}`;
		return new HeadraceError("E_VALUE", `${named} is NOT NULL and a row has NULL in it${where}`);
	}
	if (/duplicate key/i.test(message))
		return new HeadraceError("E_DUPLICATE_KEY", `rows break a PRIMARY KEY or UNIQUE constraint of the table${where}`);
	if (/foreign key/i.test(message))
		return new HeadraceError("E_DESTINATION", `rows break a FOREIGN KEY constraint${where}`);
	return new HeadraceError("E_DESTINATION", `rows break a constraint of the table${where}`);
}

function memoryError(message: string, native: Error, where: string): HeadraceError {
	if (/max_temp_directory_size/i.test(message))
		return kept("E_NO_SPACE", `the disk is too full for the engine's temporary files${where}`, native);
	return new HeadraceError("E_MEMORY", `the engine's memory limit does not suffice${where}`, {
		hint: "Raise --memory. DuckDB holds 2,048 rows of a column at once: rows of 200 kB need about 500 MB.",
		cause: native,
	});
}

/** A commit that failed tells why in words of its own: a constraint, the disk, another transaction. */
function transactionError(message: string, native: Error, context: ErrorContext, where: string): HeadraceError {
	if (/duplicate key|constraint/i.test(message)) return constraintError(message, context, where);
	if (/failed to (?:pin|allocate|offload)|out of memory/i.test(message)) return memoryError(message, native, where);
	if (/could not (?:write|sync|truncate)|no space left/i.test(message)) return ioError(message, native, where);
	if (/conflict|another transaction|cannot (?:update|delete)/i.test(message))
		return kept("E_CONFLICT", `DuckDB${where}: ${message}`, native);
	return new HeadraceError("E_DESTINATION", `DuckDB${where}: ${message.replaceAll(/"[^"]*"|'[^']*'/g, "…")}`);
}

function longestFirst(a: string, b: string): number {
	return b.length - a.length;
}

function ioError(message: string, native: Error, where: string): HeadraceError {
	if (/No space left|Disk quota|File too large|not enough (?:disk )?space|disk (?:is )?full/i.test(message))
		return kept("E_NO_SPACE", `the disk is full${where}`, native);
	if (/lock on file|Conflicting lock|already (?:open|attached)|being used by another process/i.test(message)) {
		const holder = /PID (\d+)/.exec(message)?.[1];
		return new HeadraceError(
			"E_BUSY",
			`another process${holder ? ` (${holder})` : ""} has the DuckDB file open${where}`,
			{
				hint: `DuckDB lets nobody open a file that a process writes: wait for it, or close it${holder ? ` (a run of Headrace's ends cleanly by \`kill -INT ${holder}\`)` : ""}. What follows a change stream has it all the while: of \`headrace serve\` ask the page or the API, which answer plans, checks and rows; a run with --follow stop, ask, and start again: nothing is lost.`,
				cause: native,
			},
		);
	}
	if (
		/not a valid DuckDB|corrupt|checksum|invalid (?:header|magic)|newer version|older version|magic bytes/i.test(
			message,
		)
	)
		return kept("E_CORRUPT_FILE", `DuckDB${where}: ${message}`, native);
	if (/Cannot open (?:file|directory).*No such file|does not exist/i.test(message))
		return kept("E_FILE_NOT_FOUND", `DuckDB${where}: ${message}`, native);
	if (/Permission denied|Is a directory|Read-only file system/i.test(message))
		return kept("E_PATH", `DuckDB${where}: ${message}`, native);
	return kept("E_DESTINATION", `DuckDB${where}: ${message}`, native);
}
