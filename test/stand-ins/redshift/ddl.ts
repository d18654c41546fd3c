import { RedshiftError, unsupported } from "./errors.ts";
import { closing, significant, splitByComma, type Token } from "./lexer.ts";
import { backendName, foldedName, rewritten } from "./rules.ts";
import { type ColumnType, readColumnType } from "./types.ts";

/** https://docs.aws.amazon.com/redshift/latest/dg/r_CREATE_TABLE_usage.html */
const COLUMNS_MAX = 1600;
/** https://docs.aws.amazon.com/redshift/latest/dg/c_Compression_encodings.html */
const ENCODINGS = new Set(
	"raw az64 bytedict delta delta32k lzo mostly8 mostly16 mostly32 runlength text255 text32k zstd auto".split(" "),
);

export interface Ddl {
	/** Statements for the backend, in the transaction of the client's. */
	readonly sql: readonly string[];
	readonly domains: readonly NonNullable<ColumnType["domain"]>[];
	/** It may not stand in a transaction block. */
	readonly alone?: boolean;
	/** It commits the transaction that is open. */
	readonly commits?: boolean;
	/** Names a table whose distribution and order are recorded. */
	readonly layout?: { readonly table: string; readonly distStyle: string; readonly sortKey: string };
}

function isWord(token: Token | undefined, ...words: string[]): boolean {
	return token?.kind === "word" && words.includes(token.value);
}

/** A name of one or two parts at `at`, as the backend's SQL; and the place behind it. */
export function readName(
	tokens: readonly Token[],
	at: number,
): { readonly sql: string; readonly key: string; readonly end: number } {
	const part = (index: number): { sql: string; key: string } => {
		const token = tokens[index];
		if (token === undefined || (token.kind !== "word" && token.kind !== "quoted"))
			throw new RedshiftError("42601", `syntax error at or near "${token?.text ?? "end of input"}"`);
		return { sql: backendName(token.value), key: foldedName(token.value) };
	};
	const first = part(at);
	if (tokens[at + 1]?.text !== ".") return { ...first, end: at + 1 };
	const second = part(at + 2);
	return { sql: `${first.sql}.${second.sql}`, key: `${first.key}.${second.key}`, end: at + 3 };
}

/**
 * CREATE TABLE: https://docs.aws.amazon.com/redshift/latest/dg/r_CREATE_TABLE_NEW.html. Keys are taken and not enforced
 * ("informational only"), so the backend gets none; NOT NULL and defaults are.
 */
export function createTable(all: readonly Token[]): Ddl {
	const tokens = significant(all);
	let at = 1;
	const temporary = isWord(tokens[at], "temp", "temporary", "local");
	while (isWord(tokens[at], "temp", "temporary", "local")) at++;
	if (!isWord(tokens[at], "table")) throw new RedshiftError("42601", `syntax error at or near "${tokens[at]?.text}"`);
	at++;
	const ifNotExists = isWord(tokens[at], "if");
	if (ifNotExists) at += 3;
	const name = readName(tokens, at);
	const head = `CREATE ${temporary ? "TEMPORARY " : ""}TABLE ${ifNotExists ? "IF NOT EXISTS " : ""}${name.sql}`;
	at = name.end;
	if (tokens[at]?.text !== "(") return createTableAs(all, tokens, at, head);
	const end = closing(tokens, at);
	const items = splitByComma(tokens.slice(at + 1, end));
	const attributes = readAttributes(tokens.slice(end + 1));
	const domains: NonNullable<ColumnType["domain"]>[] = [];
	const lines: string[] = [];
	const families = new Map<string, string>();
	for (const item of items) {
		if (isWord(item[0], "primary", "unique", "foreign", "constraint")) continue;
		if (isWord(item[0], "check", "exclude"))
			throw unsupported(`a ${item[0]!.value} constraint`, "t_Defining_constraints.html");
		if (isWord(item[0], "like")) {
			const parent = readName(item, 1);
			const defaults = item
				.slice(parent.end)
				.map(({ value }) => value)
				.join(" ");
			lines.push(`LIKE ${parent.sql}${defaults === "including defaults" ? " INCLUDING DEFAULTS" : ""}`);
			continue;
		}
		const column = readColumn(item);
		if (column.type.domain !== undefined) domains.push(column.type.domain);
		families.set(column.key, column.type.family);
		lines.push(column.sql);
		if (column.distKey) attributes.distStyle = `KEY(${column.key})`;
	}
	if (attributes.distStyle === "KEY") throw new RedshiftError("42601", "DISTSTYLE KEY needs a DISTKEY");
	if (lines.length > COLUMNS_MAX) throw new RedshiftError("54011", "tables can have at most 1600 columns");
	for (const key of [...attributes.sortKeys, ...attributes.distKeys]) {
		const family = families.get(key);
		if (family === undefined && !lines.some((line) => line.startsWith("LIKE")))
			throw new RedshiftError("42703", `column "${key}" named in key does not exist`);
		if (family === "super" || family === "varbyte")
			throw unsupported(`a ${family} column as a distribution or sort key`, "limitations-super.html");
	}
	return {
		sql: [`${head} (${lines.join(", ")})`],
		domains,
		...(temporary ? {} : { layout: { table: name.key, distStyle: attributes.distStyle, sortKey: attributes.sortKey } }),
	};
}

/** https://docs.aws.amazon.com/redshift/latest/dg/r_CREATE_TABLE_AS.html */
function createTableAs(all: readonly Token[], tokens: readonly Token[], from: number, head: string): Ddl {
	const as = tokens.findIndex((token, index) => index >= from && isWord(token, "as"));
	if (as < 0) throw new RedshiftError("42601", "syntax error: neither columns nor AS");
	readAttributes(tokens.slice(from, as));
	const body = all.slice(all.indexOf(tokens[as]!));
	return { sql: [`${head} ${rewritten(body)}`], domains: [] };
}

interface Attributes {
	distStyle: string;
	sortKey: string;
	readonly distKeys: string[];
	readonly sortKeys: string[];
}

function readAttributes(tokens: readonly Token[]): Attributes {
	const found: Attributes = { distStyle: "AUTO(ALL)", sortKey: "AUTO(SORTKEY)", distKeys: [], sortKeys: [] };
	let at = 0;
	const names = () => {
		if (tokens[at]?.text !== "(") throw new RedshiftError("42601", "syntax error: a key needs columns");
		const end = closing(tokens, at);
		const listed = splitByComma(tokens.slice(at + 1, end)).map(([token]) => foldedName(token!.value));
		at = end + 1;
		return listed;
	};
	while (at < tokens.length) {
		const word = tokens[at]!.value;
		if (word === "diststyle") {
			const style = tokens[at + 1]?.value ?? "";
			if (!["auto", "even", "all", "key"].includes(style))
				throw new RedshiftError("42601", `invalid DISTSTYLE ${style}`);
			found.distStyle = style === "auto" ? "AUTO(ALL)" : style.toUpperCase();
			at += 2;
		} else if (word === "distkey") {
			at++;
			found.distKeys.push(...names());
			if (found.distKeys.length !== 1) throw new RedshiftError("42601", "a table has one distribution key");
			found.distStyle = `KEY(${found.distKeys[0]})`;
		} else if (word === "sortkey" || word === "compound" || word === "interleaved") {
			at += word === "sortkey" ? 1 : 2;
			if (isWord(tokens[at], "auto")) at++;
			else {
				found.sortKeys.push(...names());
				if (found.sortKeys.length > (word === "interleaved" ? 8 : 400))
					throw new RedshiftError("42601", "too many columns in the sort key");
				found.sortKey = found.sortKeys[0]!;
			}
		} else if (word === "backup") at += 2;
		else if (word === "encode" && isWord(tokens[at + 1], "auto")) at += 2;
		else throw new RedshiftError("42601", `syntax error at or near "${tokens[at]!.text}"`);
	}
	return found;
}

function readColumn(item: readonly Token[]): { sql: string; key: string; type: ColumnType; distKey: boolean } {
	const name = readName(item, 0);
	const type = readColumnType(item, name.end);
	const parts = [name.sql, type.backend];
	let distKey = false;
	for (let at = name.end + type.taken; at < item.length; ) {
		const word = item[at]!.value;
		if (word === "not" || word === "null") {
			if (word === "not") parts.push("NOT NULL");
			at += word === "not" ? 2 : 1;
		} else if (word === "default") {
			const start = ++at;
			let depth = 0;
			while (
				at < item.length &&
				(depth > 0 || !isWord(item[at], "not", "encode", "distkey", "sortkey", "primary", "unique") || at === start)
			) {
				if (item[at]!.text === "(") depth++;
				if (item[at]!.text === ")") depth--;
				at++;
			}
			parts.push(
				`DEFAULT ${rewritten(item.slice(start, at).flatMap((token) => [token, { kind: "space", text: " ", value: " " }]))}`,
			);
		} else if (word === "encode") {
			if (!ENCODINGS.has(item[at + 1]?.value ?? ""))
				throw new RedshiftError("42601", `invalid encoding ${item[at + 1]?.text}`);
			at += 2;
		} else if (word === "distkey" || word === "sortkey" || word === "unique") {
			distKey ||= word === "distkey";
			at++;
		} else if (word === "primary") at += 2;
		else if (word === "references") at = item.length;
		else if (word === "identity" || word === "generated") {
			throw new RedshiftError("0A000", "the stand-in has no IDENTITY columns");
		} else throw new RedshiftError("42601", `syntax error at or near "${item[at]!.text}"`);
	}
	return { sql: parts.join(" "), key: name.key, type, distKey };
}

/** ALTER TABLE, one action a statement: https://docs.aws.amazon.com/redshift/latest/dg/r_ALTER_TABLE.html */
export function alterTable(all: readonly Token[]): Ddl {
	const tokens = significant(all);
	const name = readName(tokens, 2);
	const action = tokens.slice(name.end);
	const [first, second] = action;
	const head = `ALTER TABLE ${name.sql}`;
	if (splitByComma(action).length > 1 && !isWord(first, "alter"))
		throw new RedshiftError("0A000", "an ALTER TABLE has one action");
	if (isWord(first, "add") && !isWord(second, "constraint", "primary", "unique", "foreign", "table")) {
		const column = readColumn(action.slice(isWord(second, "column") ? 2 : 1));
		if (/ NOT NULL/.test(column.sql) && !/ DEFAULT /.test(column.sql))
			throw new RedshiftError(
				"0A000",
				"ALTER TABLE ADD COLUMN defined as NOT NULL must have a non-null default expression",
			);
		return {
			sql: [`${head} ADD COLUMN ${column.sql}`],
			domains: column.type.domain === undefined ? [] : [column.type.domain],
		};
	}
	// Keys are taken and not enforced.
	if (isWord(first, "add")) return { sql: [], domains: [] };
	if (isWord(first, "drop")) return { sql: [`${head} ${rewritten(spaced(action))}`], domains: [] };
	if (isWord(first, "rename")) return { sql: [`${head} ${rewritten(spaced(action))}`], domains: [] };
	if (isWord(first, "owner")) return { sql: [`${head} ${rewritten(spaced(action))}`], domains: [] };
	// https://docs.aws.amazon.com/redshift/latest/dg/r_ALTER_TABLE_APPEND.html: commits at once, in no block.
	if (isWord(first, "append")) {
		const from = readName(action, 2);
		return {
			sql: [`INSERT INTO ${name.sql} SELECT * FROM ${from.sql}`, `DELETE FROM ${from.sql}`],
			domains: [],
			alone: true,
			commits: true,
		};
	}
	if (isWord(first, "alter") && isWord(second, "diststyle", "distkey", "sortkey", "compound", "encode"))
		return { sql: [], domains: [] };
	if (isWord(first, "alter")) {
		const column = readName(action, isWord(second, "column") ? 2 : 1);
		const rest = action.slice(column.end);
		// "ALTER COLUMN TYPE … only VARCHAR", "can't be run within a transaction block".
		if (isWord(rest[0], "type")) {
			const type = readColumnType(rest, 1);
			if (type.domain?.kind !== "varchar")
				throw new RedshiftError("0A000", "ALTER COLUMN TYPE is for VARCHAR columns only");
			const target = `${name.sql} ${column.sql} ${type.domain.bytes}`;
			return {
				sql: [
					`SELECT pg_catalog.rs_check_widening('${name.sql.replaceAll("'", "''")}', '${column.key.replaceAll("'", "''")}', ${type.domain.bytes}) /* ${target.replaceAll("*/", "")} */`,
					`${head} ALTER COLUMN ${column.sql} TYPE ${type.backend}`,
				],
				domains: [type.domain],
				alone: true,
			};
		}
		if (isWord(rest[0], "encode")) return { sql: [], domains: [] };
		throw new RedshiftError("42601", `syntax error at or near "${rest[0]?.text ?? "end of input"}"`);
	}
	throw new RedshiftError("42601", `syntax error at or near "${first?.text ?? "end of input"}"`);
}

function spaced(tokens: readonly Token[]): Token[] {
	return tokens.flatMap((token) => [token, { kind: "space", text: " ", value: " " }] satisfies Token[]);
}
