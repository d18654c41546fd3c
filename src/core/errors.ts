/** What the engine does with an error: `retry` the task, `divert` the value or row by policy, `resnapshot` the table, or `stop`. */
export type Reaction = "retry" | "divert" | "resnapshot" | "stop";

/** Process exit codes of the command line; see the configuration reference. */
export const EXIT = { done: 0, failed: 1, usage: 2, connection: 4, busy: 75 } as const;

interface ErrorRule {
	readonly reaction: Reaction;
	/** Exit code of a command that ends with this error. */
	readonly exit: number;
	/** What it means, one sentence. */
	readonly meaning: string;
	/** What a person does about it. */
	readonly remedy: string;
}

const usage = (meaning: string, remedy: string): ErrorRule => ({ reaction: "stop", exit: EXIT.usage, meaning, remedy });
const connection = (meaning: string, remedy: string, reaction: Reaction = "stop"): ErrorRule => ({
	reaction,
	exit: EXIT.connection,
	meaning,
	remedy,
});
const failed = (meaning: string, remedy: string, reaction: Reaction = "stop"): ErrorRule => ({
	reaction,
	exit: EXIT.failed,
	meaning,
	remedy,
});
const busy = (meaning: string, remedy: string): ErrorRule => ({ reaction: "stop", exit: EXIT.busy, meaning, remedy });

/** Every error Headrace can end with. The page `docs/reference/errors.md` is generated from this table. */
export const ERRORS = {
	E_USAGE: usage("The command line is wrong.", "Run `headrace help <verb>`."),
	E_FILE_NOT_FOUND: usage("A file that the command needs is not there.", "Check the path, or run `headrace init`."),
	E_YAML: usage("A file is not valid YAML.", "Mend the line that the message shows."),
	E_UNKNOWN_KEY: usage("A configuration file has a key that does not exist.", "Use the key that the message suggests."),
	E_INVALID_VALUE: usage(
		"A configuration value has the wrong type or form.",
		"Write a value of the form that the message names.",
	),
	E_MISSING_VARIABLE: usage(
		"A `${env:…}` or `${file:…}` reference has no value.",
		"Set the variable, or write the file.",
	),
	E_TEMPLATE: usage(
		"A `{{ … }}` template is wrong.",
		"Use only the variables and filters of the configuration reference.",
	),
	E_UNKNOWN_CONNECTION: usage("A connection name is not in connections.yaml.", "Add the connection, or mend its name."),
	E_NOT_BUILT_IN: usage(
		"The connection type or feature is known but not built in yet.",
		"Use a type that is built in.",
	),
	E_MISSING_PACKAGE: usage(
		"An optional package is needed and not installed.",
		"Run the `npm i` command of the message.",
	),
	E_UNKNOWN_TABLE: usage(
		"A table that the pipeline names does not exist in the source.",
		"Mend the name, or grant the reader the right to see it.",
	),
	E_UNKNOWN_COLUMN: usage("A column that the pipeline names does not exist in the table.", "Mend the name."),
	E_CURSOR_REQUIRED: usage("The mode needs a cursor column and none is given.", "Add `cursor: <column>` to the table."),
	E_KEY_REQUIRED: usage(
		"The write needs a key and the table has none.",
		"Add `key: <column>`, or use `write: append` or `mode: full`.",
	),
	E_NAME_COLLISION: usage(
		"Two tables or columns get the same name in the destination.",
		"Give one of them another name by `into:` or `columns:`.",
	),
	E_TYPE_REFUSED: usage(
		"A column's type has no mapping that keeps its values.",
		"Add `columns: { <column>: { type: text } }`, or another types.mode.",
	),
	E_UNSUPPORTED: usage(
		"The source or destination cannot do what the pipeline asks.",
		"Choose a mode or write that the connector's page lists.",
	),
	E_PATH: usage("A path leaves the folder that it must stay in.", "Use a path inside the folder."),
	E_CONNECT: connection("The server cannot be reached.", "Check host, port and firewall.", "retry"),
	E_LOGIN: connection(
		"The server refused the user or password.",
		"Check the credentials; the message names the reference they come from.",
	),
	E_TLS: connection(
		"The TLS connection could not be made or verified.",
		"Give the server's CA as `ca:`, or write `tls: off` knowingly.",
	),
	E_RIGHTS: connection(
		"The user lacks a right on the server.",
		"Run the GRANT that the message or `headrace check` prints.",
	),
	E_CONNECTION_LOST: failed(
		"The connection broke in the middle of work.",
		"The run is retried; if it stays, check the network and server log.",
		"retry",
	),
	E_TIMEOUT: failed(
		"The server did not answer in time.",
		"The run is retried; if it stays, raise the limit on the server.",
		"retry",
	),
	E_CONFLICT: failed(
		"The database rolled the transaction back because of a concurrent one.",
		"The run is retried.",
		"retry",
	),
	E_SOURCE: failed("The source answered with an error.", "Read the source's message."),
	E_DESTINATION: failed(
		"The destination answered with an error; its transaction was rolled back.",
		"Read the destination's message.",
	),
	E_VALUE: failed(
		"A value does not fit the destination's type and no policy allows a change.",
		"Set the policy that the message names, or map the column to text.",
		"divert",
	),
	E_ENCODING: failed(
		"Text is not valid in its encoding.",
		"Set `types: { invalid_text: replace }`, or map the column to binary.",
		"divert",
	),
	E_TOO_LARGE: failed(
		"A value or row is larger than the limit.",
		"Raise `--memory`, or drop the column by `columns:`.",
		"divert",
	),
	E_BOMB: failed(
		"A compressed file grows far beyond its size.",
		"Check the file; raise the limit only if you trust it.",
	),
	E_CORRUPT_FILE: failed("A file is damaged or not of the format it claims.", "Replace the file."),
	E_NO_SPACE: failed("The disk is full.", "Free space and run again; nothing was half-written."),
	E_MEMORY: failed("The memory limit does not suffice.", "Raise `--memory`."),
	E_DUPLICATE_KEY: failed("The key is not unique in the rows that were read.", "Choose a key that is unique."),
	E_NULL_KEY: failed("A key column holds NULL.", "Choose a key without NULL, or `write: append`."),
	E_EMPTY: failed(
		"A full load read no rows from a table that had some.",
		"If the table is truly empty, set `allow_empty: true`.",
	),
	E_SCHEMA: failed(
		"The source table's columns changed in a way the policy does not allow.",
		"See `schema_changes` in the configuration reference.",
	),
	E_RECEIPT: failed(
		"The receipt does not balance: rows read, staged and loaded differ.",
		"Run again; report the run if it stays.",
	),
	E_CHECK: failed(
		"A check failed: of the data, whose old table is then untouched, or of the connections.",
		"Mend the rows that the message names, or the check.",
	),
	E_ALERT: failed(
		"A channel did not take an alarm.",
		"Check the channel's address; `headrace alert test <pipeline>` tries it.",
	),
	E_SKIPPED: failed(
		"Something was not done because what it depends on has failed.",
		"Mend what failed and run again, or `headrace run <pipeline> --failed <run>`.",
	),
	E_STATE: failed(
		"The stored state is damaged or newer than this version.",
		"See `headrace state show`; the destination's position is the truth.",
	),
	E_HISTORY_GONE: failed(
		"The source no longer has the history from the saved position on.",
		"Read the tables anew: `headrace resync <pipeline>`.",
		"resnapshot",
	),
	E_HISTORY_MISMATCH: failed(
		"The source's change log is not the one that the position is of: the log was reset, or the server restored or replaced.",
		"Read the tables anew: `headrace resync <pipeline>`.",
		"resnapshot",
	),
	E_SLOT_AHEAD: failed(
		"The replication slot has let go of changes that were not read yet: somebody else consumed them, or the slot was made anew.",
		"Read the tables anew: `headrace resync <pipeline>`.",
		"resnapshot",
	),
	E_ERRANT: failed(
		"The server lacks transactions that were read from the one before it, or has others in their place.",
		"Point the connection at a server that has them, or read the tables anew: `headrace resync <pipeline>`.",
		"resnapshot",
	),
	E_BASE_MISSING: failed(
		"Changes build on what the destination does not have: the rest of a row, or a table that was there.",
		"Read the table anew: `headrace resync <pipeline> --table <table>`.",
		"resnapshot",
	),
	E_LOG_SETTINGS: failed(
		"The source does not keep a change log that tells whole rows.",
		"Run the statement that the message or `headrace check` prints.",
	),
	E_STATEMENT_EVENT: failed(
		"The change log holds a statement in place of the rows that it changed.",
		"Set binlog_format = ROW for every session, then read the tables anew: `headrace resync <pipeline>`.",
		"resnapshot",
	),
	E_INCIDENT: failed(
		"The source's change log says itself that changes are missing from it.",
		"Read the tables anew: `headrace resync <pipeline>`.",
		"resnapshot",
	),
	E_CORRUPT_EVENT: failed(
		"A part of the change log is damaged, on the way or on the server's disk.",
		"The stream is opened once more; if it stays, check the server's disk and read the tables anew: `headrace resync <pipeline>`.",
		"retry",
	),
	E_SCHEMA_AMBIGUOUS: failed(
		"The change log does not name its columns, and what they were called at this place can't be known.",
		"Set binlog_row_metadata = FULL where the server has it, and read the tables anew: `headrace resync <pipeline>`.",
		"resnapshot",
	),
	E_ACCESS: failed(
		"The server does not know who asks, or they may not do this.",
		"Log in by the link that `headrace serve` prints, or with a token: `headrace serve token add`.",
	),
	E_NOT_FOUND: failed("There is nothing of that name.", "Check the name."),
	E_REQUEST: failed("A request to the server is not of the form that it takes.", "See `/api/openapi.json`."),
	E_INTERNAL: failed("Headrace did something it should never do.", "Please report it with the run's log."),
	E_BUSY: busy("Another run holds this pipeline.", "Wait for it, or see `headrace status`."),
	E_PAUSED: busy("Somebody has paused this pipeline.", "`headrace resume <pipeline>` lets it go on."),
	E_FENCED: busy(
		"A newer run has taken over this pipeline; this one wrote nothing more.",
		"Nothing to do: the newer run goes on.",
	),
	E_STOPPED: {
		reaction: "stop",
		exit: 130,
		meaning: "The run was stopped by a signal.",
		remedy: "Run again: it goes on where it stopped.",
	},
} as const satisfies Record<string, ErrorRule>;

export type ErrorCode = keyof typeof ERRORS;

/** Where an error belongs: a place in a file, and the pipeline and table it is about. */
export interface ErrorPlace {
	readonly file?: string;
	/** 1-based. */
	readonly line?: number;
	/** 1-based. */
	readonly column?: number;
	readonly pipeline?: string;
	readonly table?: string;
}

export interface ErrorOptions extends ErrorPlace {
	/** What to do, when it is more exact than the table's remedy. */
	readonly hint?: string;
	/** Row values that show what is wrong, for who asks by `--show-values`. Never of a masked column. */
	readonly values?: string;
	readonly cause?: unknown;
}

/**
 * The only error class of Headrace. The message says what and where; `hint` what to do.
 * It never holds a row's value or a secret: `docs/reference/errors.md`.
 */
export class HeadraceError extends Error {
	readonly code: ErrorCode;
	readonly place: ErrorPlace;
	readonly hint: string;
	/** Not part of the message: logs, receipts and reports leave it out unless it was asked for. */
	declare readonly values?: string;

	constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
		super(message, options.cause === undefined ? undefined : { cause: options.cause });
		this.name = "HeadraceError";
		this.code = code;
		const { hint, values, cause: _cause, ...place } = options;
		this.place = place;
		// Not enumerable: what prints or stores an error's fields must not show it.
		if (values !== undefined) Object.defineProperty(this, "values", { value: values });
		this.hint = named(hint ?? ERRORS[code].remedy, place);
	}

	get reaction(): Reaction {
		return ERRORS[this.code].reaction;
	}

	get exit(): number {
		return ERRORS[this.code].exit;
	}

	/** The same error with more of its place known; what is known already stays. */
	at(place: ErrorPlace): HeadraceError {
		const error = new HeadraceError(this.code, this.message, {
			...place,
			...this.place,
			hint: this.hint,
			...(this.values === undefined ? {} : { values: this.values }),
			cause: this.cause,
		});
		if (this.stack !== undefined) error.stack = this.stack;
		return error;
	}
}

/** A cure that can be run as it is printed, as far as its place is known. */
function named(hint: string, { pipeline, table }: ErrorPlace): string {
	const withPipeline = pipeline === undefined ? hint : hint.replaceAll("<pipeline>", () => pipeline);
	return table === undefined ? withPipeline : withPipeline.replaceAll("<table>", () => table);
}

/** Several findings that are reported together, such as all faults of one configuration file. */
export class HeadraceErrors extends AggregateError {
	declare errors: HeadraceError[];
	constructor(errors: readonly HeadraceError[]) {
		super(errors, errors.map((error) => error.message).join("\n"));
		this.name = "HeadraceErrors";
	}
}

/** Any thrown thing as Headrace errors; an unknown one becomes E_INTERNAL with its cause. */
export function toHeadraceErrors(thrown: unknown): HeadraceError[] {
	if (thrown instanceof HeadraceErrors) return thrown.errors;
	if (thrown instanceof HeadraceError) return [thrown];
	if (thrown instanceof Error) {
		const code = (thrown as NodeJS.ErrnoException).code;
		if (code === "ENOSPC" || code === "EFBIG" || code === "EDQUOT")
			return [new HeadraceError("E_NO_SPACE", thrown.message, { cause: thrown })];
		return [new HeadraceError("E_INTERNAL", thrown.message, { cause: thrown })];
	}
	return [new HeadraceError("E_INTERNAL", String(thrown), { cause: thrown })];
}
