import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { gunzipSync } from "node:zlib";
import type { EngineConnection } from "../../../src/engine/index.ts";
import { quoteSingle } from "../../../src/sql/index.ts";
import { type Column, encodeName, engineType, type Table, typeOf } from "./catalog.ts";
import { notModelled, Refused } from "./errors.ts";
import { Reader, splitList, type Token, unexpected } from "./lexer.ts";

/** COPY INTO <table>: https://docs.snowflake.com/en/sql-reference/sql/copy-into-table */
export interface Copy {
	readonly target: readonly string[];
	readonly columns: readonly string[] | null;
	readonly items: readonly (readonly Token[])[];
	/** As in the statement, without `@`. */
	readonly stage: string;
	readonly files: readonly string[];
	readonly format: Readonly<Record<string, string | readonly string[]>>;
	readonly force: boolean;
	readonly onError: string;
}

const FILES_MAX = 1000;

export function readCopy(tokens: readonly Token[]): Copy {
	const reader = new Reader(tokens);
	reader.expect("COPY", "INTO");
	const target = reader.path();
	const columns = reader.at("(") ? splitList(reader.group()).map(([name]) => name!.text) : null;
	reader.expect("FROM");
	if (!reader.at("(")) throw notModelled("COPY without a SELECT list");
	const select = new Reader(reader.group());
	select.expect("SELECT");
	const items = splitList(select.upTo("FROM"));
	select.expect("FROM");
	const stage = select.next();
	if (stage.kind !== "stage") throw unexpected(stage.text);
	let files: string[] = [];
	let format: Record<string, string | string[]> = {};
	let force = false;
	let onError = "ABORT_STATEMENT";
	while (!reader.done) {
		const option = reader.name();
		reader.expect("=");
		if (option === "FILES") files = splitList(reader.group()).map(([file]) => file!.text);
		else if (option === "FILE_FORMAT") format = formatOf(reader.group());
		else if (option === "FORCE") force = reader.name() === "TRUE";
		else if (option === "ON_ERROR") onError = reader.next().text.toUpperCase();
		else throw notModelled(`COPY option ${option}`);
	}
	if (files.length === 0) throw notModelled("COPY without FILES");
	if (files.length > FILES_MAX)
		throw new Refused("001018", "22023", `SQL compilation error: FILES lists more than ${FILES_MAX} files`);
	return { target, columns, items, stage: stage.text, files, format, force, onError };
}

/** `TYPE = CSV NULL_IF = ('a') …` */
function formatOf(tokens: readonly Token[]): Record<string, string | string[]> {
	const reader = new Reader(tokens);
	const format: Record<string, string | string[]> = {};
	while (!reader.done) {
		const option = reader.name();
		reader.expect("=");
		format[option] = reader.at("(") ? splitList(reader.group()).map(([value]) => value!.text) : reader.next().text;
	}
	return format;
}

/** An expression that reads a value, and the conditions under which it is none, by the error's code. */
interface Read {
	readonly sql: string;
	readonly type: string;
	readonly faults: readonly { readonly when: string; readonly code: string; readonly what: string }[];
	/** The value as it is in the file, for the error. */
	readonly shown: string;
}

export interface FileResult {
	readonly file: string;
	readonly parsed: number;
	readonly loaded: number;
	readonly skipped: boolean;
	readonly error?: CopyError;
}

interface CopyError {
	readonly code: string;
	readonly message: string;
	readonly row: number;
	readonly column: string;
}

/** Loads one file into the table, or refuses it as ON_ERROR says. */
export async function copyFile(
	connection: EngineConnection,
	copy: Copy,
	table: Table,
	name: string,
	path: string,
	injected?: { readonly row: number },
): Promise<FileResult> {
	const content = await readFile(path);
	const mark = `${copy.stage}${name} ${createHash("md5").update(content).digest("hex")}`;
	// FORCE = FALSE (the default) leaves out what was loaded in the last 64 days.
	if (!copy.force && table.loaded.has(mark)) return { file: name, parsed: 0, loaded: 0, skipped: true };
	const relation = relationOf(copy, path, content);
	const available = await fileColumns(connection, relation);
	const names = copy.columns ?? table.columns.map((column) => column.name);
	if (names.length !== copy.items.length)
		throw new Refused("002020", "21S01", "SQL compilation error:\nInsert value list does not match column list");
	const targets = names.map((column) => columnNamed(table, column));
	const reads = copy.items.map((item, index) => converted(readItem(item, available, copy), targets[index]!));
	const parsed = Number((await connection.query(`SELECT count(*) AS n FROM ${relation}`))[0]!["n"]);
	const cases = reads.flatMap(({ faults, shown }, column) =>
		faults.map(({ when, code, what }) => ({ when, code, what, shown, column })),
	);
	const which = `CASE ${cases.map(({ when }, index) => `WHEN ${when} THEN ${index}`).join(" ")} ELSE -1 END`;
	const shown = `CASE which ${cases.map((fault, index) => `WHEN ${index} THEN CAST(${fault.shown} AS VARCHAR)`).join(" ")} END`;
	const source = `(SELECT *, row_number() OVER () AS sf_row FROM ${relation})`;
	let error: CopyError | undefined;
	if (cases.length > 0) {
		const [bad] = await connection.query(
			`SELECT sf_row, which, ${shown} AS shown FROM (SELECT *, ${which} AS which FROM ${source}) WHERE which >= 0 ORDER BY sf_row LIMIT 1`,
		);
		if (bad !== undefined) {
			const fault = cases[Number(bad["which"])]!;
			error = {
				code: fault.code,
				message: fault.what.replace("%", String(bad["shown"] ?? "")),
				row: Number(bad["sf_row"]),
				column: targets[fault.column]!.name,
			};
		}
	}
	if (injected !== undefined && injected.row <= parsed)
		error = {
			code: "100038",
			message: "Numeric value 'SECRET' is not recognized",
			row: injected.row,
			column: targets[0]!.name,
		};
	if (error !== undefined && copy.onError === "ABORT_STATEMENT") throw aborted(name, table, error);
	if (error !== undefined && copy.onError !== "CONTINUE")
		return { file: name, parsed, loaded: 0, skipped: true, error };
	const list = targets.map((column) => encodeName(column.name)).join(", ");
	const rows =
		error === undefined ? relation : `(SELECT * FROM (SELECT *, ${which} AS which FROM ${source}) WHERE which < 0)`;
	const loaded = await connection.execute(
		`INSERT INTO ${table.physical} (${list}) SELECT ${reads.map(({ sql }) => sql).join(", ")} FROM ${rows}`,
	);
	table.loaded.add(mark);
	return { file: name, parsed, loaded, skipped: false, ...(error === undefined ? {} : { error }) };
}

function columnNamed(table: Table, name: string): Column {
	const column = table.columns.find((other) => other.name === name);
	if (column === undefined)
		throw new Refused("000904", "42000", `SQL compilation error: error line 1\ninvalid identifier '${name}'`);
	return column;
}

/** The text of an aborted COPY as Snowflake words it. */
function aborted(file: string, table: Table, { code, message, row, column }: CopyError): Refused {
	const index = table.columns.findIndex(({ name }) => name === column) + 1;
	return new Refused(
		code,
		"22018",
		`${message}\n  File '${file}', line ${row + 1}, character 1\n  Row ${row}, column "${table.physical.toUpperCase()}"["${column.replaceAll('"', '""')}":${index}]\n  If you would like to continue loading when an error is encountered, use other values such as 'SKIP_FILE' or 'CONTINUE' for the ON_ERROR option.`,
	);
}

/** How many columns the first record of a CSV file has. */
function columnCount(content: Buffer): number {
	const isGzip = content[0] === 0x1f && content[1] === 0x8b;
	const text = (isGzip ? gunzipSync(content) : content).subarray(0, 1 << 20).toString("latin1");
	let count = 1;
	for (let at = 0, quoted = false; at < text.length; at++) {
		if (text[at] === '"') quoted = !quoted;
		else if (!quoted && text[at] === "\n") break;
		else if (!quoted && text[at] === ",") count++;
	}
	return count;
}

function relationOf({ format }: Copy, path: string, content: Buffer): string {
	const file = quoteSingle(path);
	if (format["TYPE"] === "PARQUET") {
		// The default takes the text \N for NULL, and with it a value that is that text.
		if (format["NULL_IF"] === undefined) throw notModelled("PARQUET with the default NULL_IF");
		return `read_parquet(${file}, binary_as_string = ${format["BINARY_AS_TEXT"] !== "FALSE"}, hive_partitioning = false)`;
	}
	if (format["TYPE"] !== "CSV") throw notModelled(`file format ${String(format["TYPE"])}`);
	for (const [option, value] of Object.entries({
		ESCAPE: "NONE",
		ESCAPE_UNENCLOSED_FIELD: "NONE",
		TRIM_SPACE: "FALSE",
		EMPTY_FIELD_AS_NULL: "FALSE",
		FIELD_OPTIONALLY_ENCLOSED_BY: '"',
	}))
		if (format[option] !== value) throw notModelled(`CSV with ${option} = ${String(format[option])}`);
	const nulls = (format["NULL_IF"] as readonly string[]).map(quoteSingle).join(", ");
	return `read_csv(${file}, all_varchar = true, header = false, skip = ${Number(format["SKIP_HEADER"] ?? 0)}, auto_detect = false, delim = ',', quote = '"', escape = '"', new_line = '\\n', nullstr = [${nulls}], parallel = false, max_line_size = 2000000, buffer_size = 8000000, columns = ${csvColumns(columnCount(content))})`;
}

/** Columns of a file with their types in DuckDB. CSV's are `c1`, `c2`, …, as many as the header has. */
async function fileColumns(connection: EngineConnection, relation: string): Promise<ReadonlyMap<string, string>> {
	const rows = await connection.query(`DESCRIBE SELECT * FROM ${relation}`);
	return new Map(rows.map((row) => [String(row["column_name"]), String(row["column_type"])]));
}

/** Logical types whose reading depends on options and the scanner, or is not documented. */
const UNCLEAR = /^(?:DATE|TIME|TIMESTAMP|UUID|INTERVAL|UBIGINT|UINTEGER|USMALLINT|UTINYINT|STRUCT|MAP)|\[\]$/;

function readItem(item: readonly Token[], available: ReadonlyMap<string, string>, copy: Copy): Read {
	const reader = new Reader(item);
	const read = expression(reader, available, copy);
	if (!reader.done) throw unexpected(reader.next().text);
	return read;
}

function expression(reader: Reader, available: ReadonlyMap<string, string>, copy: Copy): Read {
	const token = reader.next();
	if (token.kind === "string") {
		const sql = quoteSingle(token.text);
		return { sql, type: "VARCHAR(16777216)", faults: [], shown: sql };
	}
	if (token.kind === "column") {
		const isCsv = copy.format["TYPE"] === "CSV";
		if (isCsv) {
			const sql = `c${token.text}`;
			if (!available.has(sql)) throw new Refused("100069", "22000", `Column $${token.text} is not in the file`);
			return { sql, type: "VARCHAR(16777216)", faults: [], shown: sql };
		}
		reader.expect(":");
		const name = reader.name();
		const type = available.get(name);
		// A path that a row does not have is NULL: https://docs.snowflake.com/en/user-guide/querying-semistructured
		if (type === undefined) return { sql: "NULL", type: "VARIANT", faults: [], shown: "NULL" };
		if (UNCLEAR.test(type)) throw notModelled(`a Parquet column of type ${type}`);
		const sql = `"${name.replaceAll('"', '""')}"`;
		return { sql, type: type === "BLOB" ? "BINARY(8388608)" : `PARQUET ${type}`, faults: [], shown: sql };
	}
	if (token.kind !== "word") throw unexpected(token.text);
	const inner = new Reader(reader.group());
	const value = expression(inner, available, copy);
	switch (token.text) {
		case "CAST": {
			inner.expect("AS");
			return cast(value, typeOf(inner.rest()));
		}
		case "PARSE_JSON":
			return {
				sql: `json(${value.sql})`,
				type: "VARIANT",
				shown: value.shown,
				faults: [
					...value.faults,
					{
						when: `${value.sql} IS NOT NULL AND NOT json_valid(${value.sql})`,
						code: "100069",
						what: "Error parsing JSON: %",
					},
				],
			};
		case "TO_BINARY": {
			inner.expect(",");
			if (inner.string() !== "HEX") throw notModelled("TO_BINARY of other than HEX");
			return {
				sql: `unhex(${value.sql})`,
				type: "BINARY(8388608)",
				shown: value.shown,
				faults: [
					...value.faults,
					{
						when: `NOT regexp_full_match(${value.sql}, '(?:[0-9A-Fa-f]{2})*')`,
						code: "100108",
						what: "The following string is not a legal hex-encoded value: '%'",
					},
				],
			};
		}
		default:
			throw notModelled(`${token.text} in COPY`);
	}
}

const DATE = "[0-9]{4}-[0-9]{2}-[0-9]{2}";
const CLOCK = "[0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.][0-9]{1,9})?";
/** https://docs.snowflake.com/en/sql-reference/date-time-input-output#supported-formats-for-auto-detection, those with a blank. */
const FORMS: Readonly<Record<string, readonly [form: string, code: string]>> = {
	DATE: [DATE, "100040"],
	TIME: [CLOCK, "100096"],
	TIMESTAMP: [`${DATE} ${CLOCK}`, "100035"],
	TIMESTAMPTZ: [`${DATE} ${CLOCK}(?:[+-][0-9]{2}(?::[0-9]{2})?)`, "100035"],
};

/** A value of some type as another, with what is no such value. */
function cast(value: Read, type: string): Read {
	const engine = engineType(type);
	const { sql, shown } = value;
	const read = (to: string, when: string, code: string, what: string): Read => ({
		sql: to,
		type,
		shown,
		faults: [...value.faults, { when: `${sql} IS NOT NULL AND NOT coalesce(${when}, false)`, code, what }],
	});
	const form = Object.hasOwn(FORMS, engine) ? FORMS[engine] : undefined;
	if (form !== undefined) {
		const [pattern, code] = form;
		const midnight = engine === "TIME" ? ` AND ${sql} < '24'` : ` AND ${sql} >= '0001'`;
		return read(
			`CAST(${sql} AS ${engine})`,
			`regexp_full_match(${sql}, '${pattern}') AND try_cast(${sql} AS ${engine}) IS NOT NULL${midnight}`,
			code,
			`${engine === "DATE" ? "Date" : "Timestamp"} '%' is not recognized`,
		);
	}
	if (engine === "DOUBLE") {
		// NaN, inf and infinity in any case: https://docs.snowflake.com/en/sql-reference/data-types-numeric#special-values
		return read(
			`CAST(${sql} AS DOUBLE)`,
			`try_cast(${sql} AS DOUBLE) IS NOT NULL`,
			"100038",
			"Numeric value '%' is not recognized",
		);
	}
	if (engine.startsWith("DECIMAL"))
		return read(
			`CAST(${sql} AS ${engine})`,
			`try_cast(${sql} AS ${engine}) IS NOT NULL`,
			"100039",
			"Numeric value '%' is out of range",
		);
	if (engine === "BOOLEAN")
		return read(
			`CAST(${sql} AS BOOLEAN)`,
			`try_cast(${sql} AS BOOLEAN) IS NOT NULL`,
			"100037",
			"Boolean value '%' is not recognized",
		);
	if (engine === "VARCHAR") {
		const length = Number(/\d+/.exec(type)![0]);
		return read(
			`CAST(${sql} AS VARCHAR)`,
			`length(CAST(${sql} AS VARCHAR)) <= ${length} AND strlen(CAST(${sql} AS VARCHAR)) <= ${Math.max(length, 16_777_216)}`,
			"100078",
			"String '%' is too long and would be truncated",
		);
	}
	if (engine === "BLOB") {
		if (!value.type.startsWith("BINARY")) throw notModelled(`${value.type} as BINARY`);
		const length = Number(/\d+/.exec(type)![0]);
		return read(sql, `octet_length(${sql}) <= ${length}`, "100078", "Binary value is too long and would be truncated");
	}
	if (type === "ARRAY")
		return read(sql, `json_type(${sql}) = 'ARRAY'`, "100071", "Failed to cast variant value % to ARRAY");
	if (type === "VARIANT" || type === "OBJECT") return { ...value, type };
	throw notModelled(`CAST to ${type} in COPY`);
}

/** A read value into a column: of its type, and not NULL where the column allows none. */
function converted(value: Read, column: Column): Read {
	const read = value.type === column.type ? value : cast(value, column.type);
	if (column.nullable) return read;
	return {
		...read,
		faults: [
			...read.faults,
			{ when: `${value.shown} IS NULL`, code: "100072", what: `NULL result in a non-nullable column` },
		],
	};
}

/** Columns of a CSV file: what `read_csv` is told instead of guessing. */
function csvColumns(count: number): string {
	return `{${Array.from({ length: count }, (_, index) => `'c${index + 1}': 'VARCHAR'`).join(", ")}}`;
}
