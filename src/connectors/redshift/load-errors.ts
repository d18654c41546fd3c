import { HeadraceError, qualified, type TableName } from "../../core/index.ts";
import type { Session, TextRow } from "./session.ts";

/** The session's last error of a COPY; newer warehouses have the first view, older ones the second. */
const VIEWS: readonly string[] = [
	// https://docs.aws.amazon.com/redshift/latest/dg/SYS_LOAD_ERROR_DETAIL.html
	`SELECT file_name, line_number, column_name, column_type, column_length, error_code, error_message, NULL
FROM sys_load_error_detail WHERE session_id = pg_backend_pid() ORDER BY start_time DESC LIMIT 1`,
	// https://docs.aws.amazon.com/redshift/latest/dg/r_STL_LOAD_ERRORS.html
	`SELECT filename, line_number, colname, type, col_length, err_code, err_reason, raw_field_value
FROM stl_load_errors WHERE session = pg_backend_pid() ORDER BY starttime DESC LIMIT 1`,
];

/**
 * What COPY failed with, from the warehouse's own record: file, line, column and reason. The value, which the record
 * quotes, is only in the error's `values`.
 */
export async function withLoadError(session: Session, error: HeadraceError, table: TableName): Promise<HeadraceError> {
	if (session.broken || ["E_STOPPED", "E_RIGHTS", "E_CONFLICT", "E_CONNECTION_LOST"].includes(error.code)) return error;
	for (const view of VIEWS) {
		const rows = await session.rows(view).catch((): TextRow[] => []);
		if (rows[0] !== undefined) return loadError(rows[0], error, table);
	}
	return error.at({ table: qualified(table) });
}

function loadError(row: TextRow, error: HeadraceError, table: TableName): HeadraceError {
	const [file, line, column, type, length, code, reason, value] = row.map((part) => part?.trim() ?? "");
	const size = length === "" || length === "0" ? "" : `(${length})`;
	const where = [
		column === "" ? "" : `column ${column} ${type}${size}`,
		line === "" || line === "0" ? "" : `line ${line}`,
		file === "" ? "" : `of ${file}`,
	].filter((part) => part !== "");
	const shown = value === "" ? reason : `${reason}; value: ${value}`;
	return new HeadraceError(
		"E_VALUE",
		`COPY refused ${where.join(", ")} for ${qualified(table)}: ${reasonOf(reason!)} (Redshift error ${code})`,
		{
			table: qualified(table),
			hint: "Mend it at the source, drop the column by `columns: { …: drop }`, or map it to another type.",
			...(shown === "" ? {} : { values: shown! }),
			// The cause would quote the value where errors are printed whole.
			...(error.code === "E_DESTINATION" ? { cause: undefined } : {}),
		},
	);
}

/** The reason up to what it may quote: `Invalid digit, Value 'a', Pos 0, Type: Integer` → `Invalid digit`. */
function reasonOf(reason: string): string {
	const plain = /^[^'",:;[({0-9]*/.exec(reason)?.[0].trim() ?? "";
	return plain === "" ? "the value does not fit" : plain;
}
