import { quotedList, quoteEscaped, snowflakeDialect } from "./dialect.ts";

/** Files that one COPY may name: https://docs.snowflake.com/en/sql-reference/sql/copy-into-table (FILES). */
export const COPY_FILES_MAX = 1000;

/**
 * Formats are written with the statement: a named one could be changed by others between two loads.
 * Parquet: an empty NULL_IF, since its default takes the text `\N` for NULL, and columns of bytes stay bytes. CSV: NULL
 * is a text that is drawn for each load, and nothing else, neither emptiness nor a backslash, means anything.
 * https://docs.snowflake.com/en/sql-reference/sql/create-file-format
 */
const FORMATS = {
	parquet: () => "TYPE = PARQUET BINARY_AS_TEXT = FALSE TRIM_SPACE = FALSE NULL_IF = ()",
	csv: (nullText: string) =>
		`TYPE = CSV COMPRESSION = AUTO FIELD_DELIMITER = ',' RECORD_DELIMITER = '\\n' SKIP_HEADER = 1 FIELD_OPTIONALLY_ENCLOSED_BY = '"' ESCAPE = NONE ESCAPE_UNENCLOSED_FIELD = NONE TRIM_SPACE = FALSE EMPTY_FIELD_AS_NULL = FALSE NULL_IF = (${quoteEscaped(nullText)}) SKIP_BLANK_LINES = FALSE ENCODING = 'UTF8' BINARY_FORMAT = HEX DATE_FORMAT = AUTO TIME_FORMAT = AUTO TIMESTAMP_FORMAT = AUTO`,
};

export interface CopyStatement {
	/** Quoted. */
	readonly table: string;
	readonly columns: readonly string[];
	/** One expression for each of the columns. */
	readonly items: readonly string[];
	/** `@"DB"."SCHEMA"."STAGE"/path/` */
	readonly location: string;
	/** Relative to the location. */
	readonly files: readonly string[];
	readonly format: "parquet" | "csv";
	/** For CSV. */
	readonly nullText?: string;
}

/**
 * COPY of named files. FORCE, since what Snowflake remembers of loaded files (64 days, gone with TRUNCATE) is no proof
 * of anything: the load id is. ABORT_STATEMENT, so that a row that does not fit leaves nothing behind.
 * https://docs.snowflake.com/en/user-guide/data-load-considerations-load#load-metadata
 */
export function copyInto(copy: CopyStatement): string {
	const format = copy.format === "csv" ? FORMATS.csv(copy.nullText ?? "") : FORMATS.parquet();
	return `COPY INTO ${copy.table} (${quotedList(snowflakeDialect, copy.columns)})
FROM (SELECT ${copy.items.join(", ")} FROM ${copy.location})
FILES = (${copy.files.map(quoteEscaped).join(", ")})
FILE_FORMAT = (${format})
FORCE = TRUE ON_ERROR = ABORT_STATEMENT`;
}

/**
 * A local file to a stage, under its own name and as it is.
 * https://docs.snowflake.com/en/sql-reference/sql/put: a path with blanks stands in quotes, a `'` in it is escaped.
 */
export function putFile(localPath: string, location: string): string {
	const path = `file://${localPath}`.replaceAll("\\", "\\\\").replaceAll("'", "\\'");
	return `PUT '${path}' ${location} AUTO_COMPRESS = FALSE OVERWRITE = TRUE`;
}
