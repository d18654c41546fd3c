import { type ErrorCode, HeadraceError, type TableName } from "../../core/index.ts";
import { quoteIdentifier, quoteTable } from "./sql-text.ts";

/** The fields of an error that no row's value can be in, by the protocol's names. */
export interface ServerFault {
	readonly state: string;
	readonly message: string;
	readonly where?: string;
	readonly column?: string;
	readonly constraint?: string;
}

export interface WriteContext {
	/** `user@host:port/database`. */
	readonly where: string;
	readonly user?: string;
	readonly table?: TableName;
	/** The statement is SQL of the pipeline's. */
	readonly ownSql?: boolean;
}

/** SQLSTATE → code, where it means another thing than to a reader. */
const BY_STATE: Readonly<Record<string, ErrorCode>> = {
	"23505": "E_DUPLICATE_KEY",
	"40001": "E_CONFLICT",
	"40P01": "E_CONFLICT",
	"42P01": "E_CONFLICT",
	"42P06": "E_CONFLICT",
	"42P07": "E_CONFLICT",
	"42710": "E_CONFLICT",
	"3F000": "E_CONFLICT",
	"55P03": "E_TIMEOUT",
	"57014": "E_TIMEOUT",
	"53100": "E_NO_SPACE",
	"53200": "E_MEMORY",
	"54000": "E_TOO_LARGE",
	"54001": "E_UNSUPPORTED",
	"54011": "E_UNSUPPORTED",
	"0A000": "E_UNSUPPORTED",
	"25006": "E_UNSUPPORTED",
};

/** What a value of a class 22 or 23 error is, without the value. */
const VALUE_FAULTS: Readonly<Record<string, string>> = {
	"22001": "a text that is longer than the column allows",
	"22003": "a number outside the range of the column's type",
	"22007": "a date or time that PostgreSQL does not know",
	"22008": "a date or time outside PostgreSQL's range",
	"22021": "a NUL character, or text that is not valid in the database's encoding",
	"22P02": "a value that is not valid for the column's type",
	"22P03": "a value in a form that the column's type does not have",
	"22P05": "a character that the column's type or the database's encoding does not have (\\u0000 in jsonb)",
	"23502": "NULL, which the column does not allow",
};

/**
 * What a server says to a load, or null when it means to a writer what it means to a reader. Messages that may quote a
 * value (classes 22 and 23) are replaced by our own, and their cause is dropped.
 */
export function writeError(fault: ServerFault, cause: unknown, context: WriteContext): HeadraceError | null {
	const { state } = fault;
	const place = context.table === undefined ? {} : { table: tableText(context.table) };
	const make = (code: ErrorCode, message: string, hint?: string) =>
		new HeadraceError(code, message, { ...place, cause, ...(hint === undefined ? {} : { hint }) });
	const stateClass = state.slice(0, 2);
	if (context.ownSql && ["0A", "22", "3F", "42"].includes(stateClass) && state !== "42501") return null;
	const what = context.table === undefined ? "the destination" : tableText(context.table);
	// Two loads that make the same table or schema at once meet in the catalog's own indexes.
	if (state === "23505" && fault.constraint?.startsWith("pg_"))
		return make("E_CONFLICT", `another session has made the same table or schema as the load of ${what}`);
	if (state === "23505" || (stateClass === "23" && state !== "23502")) {
		const name = fault.constraint === undefined ? "" : ` ${quoteIdentifier(fault.constraint)}`;
		const code = state === "23505" ? "E_DUPLICATE_KEY" : "E_VALUE";
		const column = columnOf(fault.where);
		const rows = column === undefined ? "the rows" : `values of column ${column} in the rows`;
		return new HeadraceError(code, `${rows} for ${what} break the constraint${name} (SQLSTATE ${state})`, {
			...place,
			hint: `Look at the constraint${name}; it is the table owner's, or the key's.`,
		});
	}
	if (stateClass === "22" || stateClass === "23") {
		const column = fault.column ?? columnOf(fault.where);
		const value = VALUE_FAULTS[state] ?? "a value that its type can't hold";
		const name = column === undefined ? `${what} would hold` : `column ${column} of ${what} would hold`;
		return new HeadraceError("E_VALUE", `${name} ${value} (SQLSTATE ${state})`, {
			...place,
			hint: "Mend it at the source, drop the column by `columns: { …: drop }`, or map it to another type.",
		});
	}
	if (state === "42501") return make("E_RIGHTS", fault.message, grantsFor(context));
	if (state === "55P03")
		return make(
			"E_TIMEOUT",
			`${what} is locked by other sessions: ${fault.message}`,
			"The run is retried; see pg_locks.",
		);
	if (state === "57014") return make("E_TIMEOUT", `the server cancelled a statement of the load: ${fault.message}`);
	if (state === "25006")
		return make(
			"E_UNSUPPORTED",
			`PostgreSQL at ${context.where} is read-only: a standby, or set so`,
			"Use the primary.",
		);
	const code = BY_STATE[state];
	if (code !== undefined) return make(code, fault.message);
	if (stateClass === "P0" || stateClass === "XX")
		return new HeadraceError("E_DESTINATION", `a function or the server itself failed (SQLSTATE ${state})`, place);
	if (stateClass === "08" || stateClass === "28" || stateClass === "3D" || stateClass === "57" || state === "53300")
		return null;
	return make("E_DESTINATION", `PostgreSQL at ${context.where}: ${fault.message}`);
}

/** The column that COPY was at: `COPY t, line 3, column c`, in whatever language the server speaks. */
function columnOf(where: string | undefined): string | undefined {
	return where === undefined ? undefined : /^COPY .*, \S+ \d+, \S+ (.+)$/m.exec(where)?.[1];
}

function tableText({ schema, name }: TableName): string {
	return schema === "" ? name : `${schema}.${name}`;
}

/** The statements that let the user load a table, whichever right it is that lacks. */
export function grantsFor(context: WriteContext): string | undefined {
	const { user, table } = context;
	if (user === undefined) return undefined;
	const role = quoteIdentifier(user);
	const database = context.where.slice(context.where.lastIndexOf("/") + 1);
	if (table === undefined) return `GRANT CREATE ON DATABASE ${quoteIdentifier(database)} TO ${role};`;
	const schema = quoteIdentifier(table.schema === "" ? "public" : table.schema);
	return [
		`GRANT CREATE, TEMPORARY ON DATABASE ${quoteIdentifier(database)} TO ${role};    -- to make schemas`,
		`GRANT USAGE, CREATE ON SCHEMA ${schema} TO ${role};`,
		`ALTER TABLE IF EXISTS ${quoteTable({ schema: table.schema === "" ? "public" : table.schema, name: table.name })} OWNER TO ${role};`,
	].join("\n");
}
