import { quoteSingle } from "../../../src/sql/index.ts";
import { type Catalog, encodeName, engineType, type Table, typeOf } from "./catalog.ts";
import { notModelled, notThere, Refused } from "./errors.ts";
import type { Token } from "./lexer.ts";

export type Bind = string | null;

/** What names mean in a session. */
export interface Scope {
	readonly catalog: Catalog;
	readonly schema: string;
	/** Temporary tables of the session, which hide others of their name. */
	readonly temporary: ReadonlyMap<string, Table>;
	/** Values of functions such as CURRENT_ROLE. */
	readonly facts: Readonly<Record<string, string | null>>;
	readonly binds: readonly Bind[];
	/** Told of each table that the statement names. */
	readonly uses: (table: Table) => void;
}

const TYPES = new Set([
	...["NUMBER", "DECIMAL", "NUMERIC", "INT", "INTEGER", "BIGINT", "FLOAT", "DOUBLE", "REAL", "VARCHAR", "STRING"],
	...["TEXT", "BINARY", "BOOLEAN", "DATE", "TIME", "TIMESTAMP", "TIMESTAMP_NTZ", "TIMESTAMP_TZ", "TIMESTAMP_LTZ"],
	...["DATETIME", "VARIANT", "OBJECT", "ARRAY"],
]);

/** Words that come before a table's name; `FROM` in a function's arguments does not. */
const BEFORE_TABLES = new Set(["FROM", "JOIN", "INTO", "UPDATE", "USING"]);

/** Functions of Snowflake's that are DuckDB's, by its name or by a macro; others are refused. */
const FUNCTIONS: Readonly<Record<string, string>> = {
	PARSE_JSON: "json",
	TO_JSON: "to_json",
	TO_CHAR: "strftime",
	TO_VARCHAR: "sf_varchar",
	HASH: "hash",
	IFNULL: "ifnull",
	NVL: "ifnull",
	LISTAGG: "string_agg",
	COUNT_IF: "count_if",
};
const SAME = new Set(
	"COUNT SUM MIN MAX AVG COALESCE GREATEST LEAST ROW_NUMBER LAG LEAD RANK LENGTH LOWER UPPER TRIM REPLACE SUBSTR LEFT RIGHT CONCAT ABS ROUND FLOOR CEIL MD5 NULLIF YEAR MONTH DAY EXTRACT CAST TRY_CAST IN EXISTS OVER VALUES AND OR NOT ON AS THEN WHEN SELECT FROM WHERE BY USING DISTINCT QUALIFY ANY ALL INSERT JOIN SET CASE ELSE HAVING LIMIT STARTSWITH".split(
		" ",
	),
);

/** A statement's tokens as DuckDB's SQL. @throws Refused for what is not there or not modelled */
export function translate(tokens: readonly Token[], scope: Scope): string {
	const parts: string[] = [];
	const ctes = new Set<string>();
	let binds = 0;
	for (let at = 0; at < tokens.length; at++) {
		const token = tokens[at]!;
		const previous = tokens[at - 1];
		const next = tokens[at + 1];
		const isCall = next?.kind === "symbol" && next.text === "(";
		switch (token.kind) {
			case "string":
				parts.push(quoteSingle(/\bYYYY\b|HH24/.test(token.text) ? timeFormat(token.text) : token.text));
				break;
			case "bind": {
				const value = scope.binds[binds++];
				if (value === undefined) throw new Refused("002049", "42601", "SQL compilation error: bind variables not set");
				parts.push(value === null ? "NULL" : quoteSingle(value));
				break;
			}
			case "number":
				parts.push(token.text);
				break;
			case "symbol":
				if (token.text === ".") parts.push(`${parts.pop()!}.`);
				else parts.push(token.text);
				break;
			case "quoted":
			case "word": {
				if (
					isBefore(tokens, at) &&
					!isCall &&
					!(token.kind === "word" && ["SELECT", "TABLE", "VALUES"].includes(token.text))
				) {
					const path = [token.text];
					while (tokens[at + 1]?.text === "." && tokens[at + 1]?.kind === "symbol") {
						path.push(tokens[at + 2]!.text);
						at += 2;
					}
					if (path.length === 1 && ctes.has(path[0]!)) {
						parts.push(encodeName(path[0]!));
						break;
					}
					const table = tableOf(path, scope);
					scope.uses(table);
					parts.push(table.physical);
					if (previous!.text !== "INTO" && !hasAlias(tokens[at + 1])) parts.push(`AS ${encodeName(path.at(-1)!)}`);
					break;
				}
				if (token.kind === "quoted") {
					parts.push(endsWithDot(parts) ? parts.pop()! + encodeName(token.text) : encodeName(token.text));
					break;
				}
				if (
					next?.text === "AS" &&
					tokens[at + 2]?.text === "(" &&
					(previous?.text === "WITH" || previous?.text === ",")
				)
					ctes.add(token.text);
				if (TYPES.has(token.text) && (previous?.text === "AS" || previous?.text === "::")) {
					const type: Token[] = [token];
					if (isCall)
						for (at++; ; at++) {
							type.push(tokens[at]!);
							if (tokens[at]!.text === ")") break;
						}
					parts.push(engineType(typeOf(type)));
					break;
				}
				if (isCall) {
					const [text, skip] = call(tokens, at, scope);
					parts.push(text);
					at += skip;
					break;
				}
				parts.push(endsWithDot(parts) ? parts.pop()! + encodeName(token.text) : token.text);
				break;
			}
			default:
				throw notModelled(`${token.kind} ${token.text}`);
		}
	}
	return parts.join(" ");
}

/** Whether a table's name stands here: not behind IS DISTINCT FROM, nor in MERGE … THEN UPDATE SET. */
function isBefore(tokens: readonly Token[], at: number): boolean {
	const previous = tokens[at - 1];
	if (previous?.kind !== "word" || !BEFORE_TABLES.has(previous.text)) return false;
	if (previous.text === "FROM" && tokens[at - 2]?.text === "DISTINCT") return false;
	return !(previous.text === "UPDATE" && tokens[at]!.kind === "word" && tokens[at]!.text === "SET");
}

function endsWithDot(parts: readonly string[]): boolean {
	return parts.at(-1)?.endsWith(".") === true;
}

const AFTER_TABLES = new Set(
	"WHERE JOIN LEFT RIGHT INNER FULL CROSS ON GROUP ORDER QUALIFY LIMIT UNION SET USING HAVING SELECT VALUES EXCEPT INTERSECT".split(
		" ",
	),
);

function hasAlias(token: Token | undefined): boolean {
	if (token === undefined || token.kind === "symbol") return false;
	return token.kind === "quoted" || token.text === "AS" || !AFTER_TABLES.has(token.text);
}

/** A call's beginning, and how many tokens more it took. */
function call(tokens: readonly Token[], at: number, { facts }: Scope): [text: string, skip: number] {
	const { text } = tokens[at]!;
	const empty = tokens[at + 2]?.text === ")";
	if (empty && Object.hasOwn(facts, text)) {
		const value = facts[text]!;
		return [value === null ? "NULL" : text === "SYSDATE" ? `TIMESTAMP ${quoteSingle(value)}` : quoteSingle(value), 2];
	}
	if (text === "DATEADD" && tokens[at + 2]?.text === "MICROSECOND") return ["sf_add_micros(", 3];
	if (Object.hasOwn(FUNCTIONS, text)) return [FUNCTIONS[text]!, 0];
	if (SAME.has(text)) return [text, 0];
	// A list of columns behind a table's name or an alias.
	const previous = tokens[at - 1];
	if (previous !== undefined && (previous.text === "." || previous.text === "AS" || previous.text === "INTO"))
		return [text, 0];
	throw new Refused("002141", "42601", `SQL compilation error:\nUnknown function ${text} (to the stand-in)`);
}

export function tableOf(path: readonly string[], scope: Pick<Scope, "catalog" | "schema" | "temporary">): Table {
	const key = scope.catalog.key(path, scope.schema);
	const table = scope.temporary.get(key) ?? scope.catalog.tables.get(key);
	if (table === undefined) throw notThere("Object", path.join("."));
	return table;
}

/** https://docs.snowflake.com/en/sql-reference/functions-conversion#date-and-time-formats-in-conversion-functions */
function timeFormat(format: string): string {
	const parts: readonly (readonly [string, string])[] = [
		['"T"', "T"],
		["YYYY", "%Y"],
		["MM", "%m"],
		["DD", "%d"],
		["HH24", "%H"],
		["MI", "%M"],
		["SS", "%S"],
		["FF6", "%f"],
	];
	return parts.reduce((text, [from, to]) => text.replace(from, to), format);
}
