import { alreadyThere, notThere, Refused } from "./errors.ts";
import { Reader, splitList, type Token, unexpected } from "./lexer.ts";

export interface Column {
	name: string;
	/** As DESCRIBE TABLE tells it: `NUMBER(10,0)`, `VARCHAR(16777216)`. */
	type: string;
	nullable: boolean;
	/** DuckDB's SQL. */
	defaultSql?: string;
}

export interface Grant {
	readonly privilege: string;
	readonly role: string;
}

export interface Table {
	/** Name in DuckDB: names of Snowflake's may differ by case only, and change by RENAME and SWAP. */
	readonly physical: string;
	columns: Column[];
	primaryKey: string[];
	comment: string;
	owner: string;
	readonly temporary: boolean;
	grants: Grant[];
	/** https://docs.snowflake.com/en/user-guide/data-load-considerations-load#load-metadata: by file, with its content. */
	loaded: Set<string>;
}

export interface Stage {
	readonly name: string;
	/** Of an external stage. */
	readonly url?: string;
	readonly integration?: string;
	/** Of an internal one: its files. */
	readonly folder: string;
}

/** Quoted as DuckDB does. DuckDB compares names without case: one with lower-case letters gets a mark of which are. */
export function encodeName(name: string): string {
	return `"${encoded(name).replaceAll('"', '""')}"`;
}

function encoded(name: string): string {
	if (name === name.toUpperCase() && !/~[0-9a-f]+$/.test(name)) return name;
	const bits = [...name].map((letter) => (letter === letter.toUpperCase() ? "0" : "1")).join("");
	return `${name}~${BigInt(`0b1${bits}`).toString(16)}`;
}

/** The name of a result's column: one that nobody quoted is upper case. */
export function decodeName(label: string): string {
	const match = /^(.*)~[0-9a-f]+$/s.exec(label);
	return match === null ? label.toUpperCase() : match[1]!;
}

/** https://docs.snowflake.com/en/sql-reference/data-types-text (VARCHAR, BINARY), …/data-types-numeric, …/data-types-datetime */
export function typeOf(tokens: readonly Token[]): string {
	const reader = new Reader(tokens);
	const word = reader.name();
	const numbers = reader.at("(") ? splitList(reader.group()).map((item) => Number(item[0]!.text)) : [];
	const bad = (what: string) => new Refused("002263", "22023", `SQL compilation error: invalid ${what} for ${word}`);
	const fraction = (name: string) => {
		const digits = numbers[0] ?? 9;
		if (digits > 9) throw bad("precision");
		return `${name}(${digits})`;
	};
	switch (word) {
		case "NUMBER":
		case "DECIMAL":
		case "NUMERIC": {
			const [precision = 38, scale = 0] = numbers;
			if (precision < 1 || precision > 38) throw bad("precision");
			if (scale > 37 || scale > precision) throw bad("scale");
			return `NUMBER(${precision},${scale})`;
		}
		case "INT":
		case "INTEGER":
		case "BIGINT":
		case "SMALLINT":
		case "TINYINT":
			return "NUMBER(38,0)";
		case "FLOAT":
		case "DOUBLE":
		case "REAL":
			return "FLOAT";
		case "VARCHAR":
		case "STRING":
		case "TEXT":
		case "CHAR": {
			const length = numbers[0] ?? (word === "CHAR" ? 1 : 16_777_216);
			if (length < 1 || length > 134_217_728) throw bad("length");
			return `VARCHAR(${length})`;
		}
		case "BINARY":
		case "VARBINARY": {
			const length = numbers[0] ?? 8_388_608;
			if (length < 1 || length > 67_108_864) throw bad("length");
			return `BINARY(${length})`;
		}
		case "TIME":
		case "TIMESTAMP_NTZ":
		case "TIMESTAMP_TZ":
		case "TIMESTAMP_LTZ":
			return fraction(word);
		case "TIMESTAMP":
		case "DATETIME":
			return fraction("TIMESTAMP_NTZ");
		case "BOOLEAN":
		case "DATE":
		case "VARIANT":
		case "OBJECT":
		case "ARRAY":
			return word;
		default:
			throw new Refused("002040", "42601", `SQL compilation error:\nUnsupported data type '${word}'.`);
	}
}

/** The type that values of a Snowflake type have in DuckDB. */
export function engineType(type: string): string {
	if (type.startsWith("NUMBER")) return type.replace("NUMBER", "DECIMAL");
	if (type.startsWith("VARCHAR")) return "VARCHAR";
	if (type.startsWith("BINARY")) return "BLOB";
	if (type === "FLOAT") return "DOUBLE";
	if (type.startsWith("TIMESTAMP_NTZ")) return "TIMESTAMP";
	if (type.startsWith("TIMESTAMP_")) return "TIMESTAMPTZ";
	if (type.startsWith("TIME")) return "TIME";
	return ["VARIANT", "OBJECT", "ARRAY"].includes(type) ? "JSON" : type;
}

/** Tables, schemas and stages of one database; DDL is never rolled back, so neither is this. */
export class Catalog {
	readonly database: string;
	readonly schemas = new Map<string, { readonly owner: string; readonly grants: Grant[] }>();
	readonly tables = new Map<string, Table>();
	readonly stages = new Map<string, Stage>();
	#next = 1;

	constructor(database: string) {
		this.database = database;
		this.schemas.set("PUBLIC", { owner: "ACCOUNTADMIN", grants: [{ privilege: "ALL", role: "PUBLIC" }] });
	}

	physical(): string {
		return `t${this.#next++}`;
	}

	/** Schema and name of a path. @throws Refused when the database or schema is not there */
	resolve(path: readonly string[], schema: string): { readonly schema: string; readonly name: string } {
		const [name, of = schema, database = this.database] = [...path].reverse() as [string, string?, string?];
		if (database !== this.database || !this.schemas.has(of)) throw notThere("Schema", `${database}.${of}`);
		return { schema: of, name };
	}

	key(path: readonly string[], schema: string): string {
		const found = this.resolve(path, schema);
		return JSON.stringify([found.schema, found.name]);
	}

	addTable(key: string, table: Table): void {
		if (this.tables.has(key)) throw alreadyThere((JSON.parse(key) as string[]).join("."));
		this.tables.set(key, table);
	}
}

/** Columns and primary key of CREATE TABLE's list. */
export function columnList(
	tokens: readonly Token[],
	defaultSql: (tokens: readonly Token[]) => string,
): { columns: Column[]; primaryKey: string[] } {
	const columns: Column[] = [];
	let primaryKey: string[] = [];
	for (const item of splitList(tokens)) {
		const reader = new Reader(item);
		if (reader.at("PRIMARY", "KEY")) {
			reader.expect("PRIMARY", "KEY");
			primaryKey = splitList(reader.group()).map(([name]) => name!.text);
			continue;
		}
		const { column, isKey } = columnOf(reader, defaultSql);
		columns.push(column);
		if (isKey) primaryKey = [column.name];
	}
	const names = new Set(columns.map(({ name }) => name));
	if (names.size < columns.length)
		throw new Refused("002025", "42701", "SQL compilation error:\nduplicate column name");
	for (const name of primaryKey) if (!names.has(name)) throw unexpected(name);
	// https://docs.snowflake.com/en/sql-reference/constraints-overview: a key is NOT NULL, which alone is enforced.
	for (const column of columns) if (primaryKey.includes(column.name)) column.nullable = false;
	return { columns, primaryKey };
}

/** `"c" TYPE [NOT NULL] [DEFAULT x] [PRIMARY KEY]` */
export function columnOf(
	reader: Reader,
	defaultSql: (tokens: readonly Token[]) => string,
): { column: Column; isKey: boolean } {
	const name = reader.name();
	const type: Token[] = [reader.next()];
	if (reader.at("(")) {
		const inner = reader.group();
		type.push({ kind: "symbol", text: "(" }, ...inner, { kind: "symbol", text: ")" });
	}
	const column: Column = { name, type: typeOf(type), nullable: true };
	let isKey = false;
	while (!reader.done) {
		if (reader.take("NOT", "NULL")) column.nullable = false;
		else if (reader.take("PRIMARY", "KEY")) {
			isKey = true;
			column.nullable = false;
		} else if (reader.take("DEFAULT")) {
			const expression = reader.upTo("NOT", "PRIMARY", "COMMENT");
			column.defaultSql = defaultSql(expression);
		} else if (reader.take("NULL")) continue;
		else throw unexpected(reader.next().text);
	}
	return { column, isKey };
}
