import type { TableName } from "../../../core/index.ts";
import { type ColumnChanges, readAlterClauses } from "./alter-clauses.ts";
import { type SqlWord, sqlWords, WORDS_MAX } from "./sql-words.ts";

/** What a statement of the log does, as far as whoever follows rows has to know. */
export type Statement =
	/** `BEGIN` and its kind. */
	| { readonly kind: "begin" | "commit" | "rollback" | "savepoint-rollback" | "other" }
	| { readonly kind: "xa"; readonly action: "start" | "end" | "commit" | "rollback"; readonly id: string }
	/** Rows were changed by the statement itself; `table` when it is plain which ones. */
	| { readonly kind: "rows"; readonly table?: TableName; readonly schemas: readonly string[] }
	| { readonly kind: "create"; readonly table: TableName; readonly replaces: boolean; readonly selects: boolean }
	| {
			readonly kind: "alter";
			readonly table: TableName;
			readonly rereads: boolean;
			/** Columns that were there keep their values. */
			readonly onlyAdds: boolean;
			/** All that it does to columns, by name; null when its text does not tell. */
			readonly columns: ColumnChanges | null;
			/** Names that no column of before has afterwards; null when the text has others than it tells. */
			readonly gone: readonly string[] | null;
			readonly renamed?: TableName;
	  }
	| { readonly kind: "drop"; readonly tables: readonly TableName[] }
	| { readonly kind: "drop-schema"; readonly schema: string }
	| { readonly kind: "rename"; readonly pairs: readonly (readonly [TableName, TableName])[] }
	| { readonly kind: "truncate"; readonly table: TableName };

const SQL_MODE_ANSI_QUOTES = 4;
const ROW_VERBS = new Set(["INSERT", "REPLACE", "UPDATE", "DELETE", "LOAD", "WITH", "CALL", "DO"]);
const OTHER: Statement = { kind: "other" };

/** Tells a statement's kind by its words; what it can't tell is `other`. */
export function readStatement(sql: string, schema: string, sqlMode: number): Statement {
	const words = new Words(sqlWords(sql, (sqlMode & SQL_MODE_ANSI_QUOTES) !== 0), schema);
	const first = words.take();
	switch (first) {
		case "BEGIN":
			return { kind: "begin" };
		case "START":
			return { kind: "begin" };
		case "COMMIT":
			return { kind: "commit" };
		case "ROLLBACK":
			return { kind: words.has("TO") ? "savepoint-rollback" : "rollback" };
		case "XA":
			return xa(words, sql);
		case "CREATE":
			return create(words);
		case "ALTER":
			return alter(words);
		case "DROP":
			return drop(words);
		case "RENAME":
			return rename(words);
		case "TRUNCATE": {
			words.skip("TABLE");
			const table = words.table();
			return table === undefined ? OTHER : { kind: "truncate", table };
		}
	}
	return ROW_VERBS.has(first) ? rowsOf(words, first) : OTHER;
}

/** Reads words from front to back. */
class Words {
	readonly all: readonly SqlWord[];
	readonly schema: string;
	#at = 0;

	constructor(all: readonly SqlWord[], schema: string) {
		this.all = all;
		this.schema = schema;
	}

	/** The next word, in upper case; empty at the end and for what is none. */
	peek(): string {
		const word = this.all[this.#at];
		return word === undefined || word.kind === "string" || word.kind === "name" ? "" : word.text;
	}

	take(): string {
		const word = this.peek();
		this.#at++;
		return word;
	}

	/** Moves over the words that stand here, in any number. */
	skip(...words: readonly string[]): void {
		while (words.includes(this.peek()) && this.peek() !== "") this.#at++;
	}

	has(...words: readonly string[]): boolean {
		return this.all.some((word, index) => index >= this.#at && word.kind === "word" && words.includes(word.text));
	}

	left(): readonly SqlWord[] {
		return this.all.slice(this.#at);
	}

	/** The rest, as upper-case words with marks; names and strings are one letter each, which no rule looks at. */
	rest(): string {
		return this.all
			.slice(this.#at)
			.map((word) => (word.kind === "word" || word.kind === "mark" ? word.text : "n"))
			.join(" ");
	}

	/** `name` or `schema.name`. */
	table(): TableName | undefined {
		const first = this.#name();
		if (first === undefined) return undefined;
		if (this.peek() !== ".") return { schema: this.schema, name: first };
		this.#at++;
		const second = this.#name();
		return second === undefined ? undefined : { schema: first, name: second };
	}

	name(): string | undefined {
		return this.#name();
	}

	#name(): string | undefined {
		const word = this.all[this.#at];
		if (word === undefined || (word.kind !== "word" && word.kind !== "name")) return undefined;
		this.#at++;
		return word.written;
	}

	/** Databases that stand before a point anywhere. */
	schemas(): string[] {
		const found = new Set<string>([this.schema]);
		for (const [index, word] of this.all.entries())
			if (word.kind === "mark" && word.text === ".") {
				const before = this.all[index - 1];
				if (before?.kind === "word" || before?.kind === "name") found.add(before.written);
			}
		return [...found];
	}
}

function xa(words: Words, sql: string): Statement {
	const action = words.take();
	const id = /X'([0-9a-f]*)'\s*,\s*X'([0-9a-f]*)'\s*,\s*(\d+)/i.exec(sql);
	const key = id === null ? "" : `${id[3]}:${id[1]!.toLowerCase()}:${id[2]!.toLowerCase()}`;
	switch (action) {
		case "START":
		case "BEGIN":
			return { kind: "xa", action: "start", id: key };
		case "END":
			return { kind: "xa", action: "end", id: key };
		case "COMMIT":
			return { kind: "xa", action: "commit", id: key };
		case "ROLLBACK":
			return { kind: "xa", action: "rollback", id: key };
	}
	return OTHER;
}

function create(words: Words): Statement {
	const replaces = words.peek() === "OR";
	words.skip("OR", "REPLACE");
	// Temporary tables are not in a log of rows.
	if (words.take() !== "TABLE") return OTHER;
	words.skip("IF", "NOT", "EXISTS");
	const table = words.table();
	return table === undefined ? OTHER : { kind: "create", table, replaces, selects: words.has("SELECT") };
}

/**
 * What may change rows that are there without an event for each: a column that gets a value, a name, a type, a character set,
 * an expression, whole partitions.
 */
const REREADS =
	/\b(?:MODIFY|CHANGE|RENAME COLUMN|CONVERT|GENERATED|IMPORT|DISCARD|EXCHANGE|(?:DROP|TRUNCATE|COALESCE) PARTITION)\b|\bAS \(|\bADD (?:SYSTEM|PERIOD)\b/;
/** A column dropped or renamed. */
const GOES =
	/\bRENAME COLUMN\b|\bDROP (?!INDEX\b|KEY\b|FOREIGN\b|PRIMARY\b|CONSTRAINT\b|CHECK\b|PARTITION\b|DEFAULT\b)/;
/** What an ADD adds when it is no column. */
const NOT_COLUMNS = /^(?:CONSTRAINT|PRIMARY|UNIQUE|INDEX|KEY|FULLTEXT|SPATIAL|FOREIGN|CHECK|PARTITION|VECTOR)$/;

function alter(words: Words): Statement {
	words.skip("ONLINE", "OFFLINE", "IGNORE");
	if (words.take() !== "TABLE") return OTHER;
	words.skip("IF", "EXISTS");
	const table = words.table();
	if (table === undefined) return OTHER;
	// What stands behind is not known.
	const columns = words.all.length < WORDS_MAX ? readAlterClauses(words.left()) : null;
	const rest = words.rest();
	const onlyAdds = !REREADS.test(rest);
	const rereads = !onlyAdds || addsValues(rest);
	const renamed = renamedTo(words);
	const gone = columns === null ? (GOES.test(rest) ? null : []) : goneNames(columns);
	return { kind: "alter", table, rereads, onlyAdds, columns, gone, ...(renamed === undefined ? {} : { renamed }) };
}

function goneNames({ dropped, renamed }: ColumnChanges): string[] {
	return [...dropped, ...renamed.map(([from]) => from)];
}

/** Whether a column is added that old rows have another value in than NULL. */
function addsValues(rest: string): boolean {
	for (const clause of rest.split(/\bADD\b/).slice(1)) {
		const words = clause.trim().split(" ");
		const isColumn = words[0] === "COLUMN" || words[0] === "(" || !NOT_COLUMNS.test(words[0] ?? "");
		if (isColumn && (/\bDEFAULT (?!NULL\b)/.test(clause) || /\bNOT NULL\b|\bAUTO_INCREMENT\b|\bSERIAL\b/.test(clause)))
			return true;
	}
	return false;
}

/** `RENAME [TO|AS] name` among the clauses of an ALTER, not RENAME COLUMN, INDEX or KEY. */
function renamedTo(words: Words): TableName | undefined {
	const at = words.all.findIndex(
		(word, index) =>
			word.kind === "word" &&
			word.text === "RENAME" &&
			!(words.all[index + 1]?.kind === "word" && ["COLUMN", "INDEX", "KEY"].includes(words.all[index + 1]!.text)),
	);
	if (at < 0) return undefined;
	const rest = new Words(words.all.slice(at + 1), words.schema);
	rest.skip("TO", "AS", "=");
	return rest.table();
}

function drop(words: Words): Statement {
	const what = words.take();
	if (what === "DATABASE" || what === "SCHEMA") {
		words.skip("IF", "EXISTS");
		const schema = words.name();
		return schema === undefined ? OTHER : { kind: "drop-schema", schema };
	}
	if (what !== "TABLE" && what !== "TABLES") return OTHER;
	words.skip("IF", "EXISTS");
	const tables: TableName[] = [];
	for (let table = words.table(); table !== undefined; table = words.table()) {
		tables.push(table);
		if (words.peek() !== ",") break;
		words.take();
	}
	return { kind: "drop", tables };
}

function rename(words: Words): Statement {
	const what = words.take();
	if (what !== "TABLE" && what !== "TABLES") return OTHER;
	words.skip("IF", "EXISTS");
	const pairs: [TableName, TableName][] = [];
	while (true) {
		const from = words.table();
		// WAIT n and NOWAIT may stand between.
		while (words.peek() !== "TO" && words.peek() !== "") words.take();
		words.skip("TO");
		const to = words.table();
		if (from === undefined || to === undefined) break;
		pairs.push([from, to]);
		if (words.peek() !== ",") break;
		words.take();
	}
	return pairs.length === 0 ? OTHER : { kind: "rename", pairs };
}

/** The one table that a plain statement changes; of any other all databases that it may be about. */
function rowsOf(words: Words, verb: string): Statement {
	const schemas = words.schemas();
	if (verb === "INSERT" || verb === "REPLACE") {
		words.skip("LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY", "IGNORE", "INTO");
		const table = words.table();
		return { kind: "rows", schemas, ...(table === undefined ? {} : { table }) };
	}
	if (verb === "DELETE" || verb === "UPDATE") {
		words.skip("LOW_PRIORITY", "QUICK", "IGNORE");
		if (verb === "DELETE" && words.peek() === "FROM") words.take();
		else if (verb === "DELETE") return { kind: "rows", schemas };
		const table = words.table();
		const next = words.peek();
		const single = verb === "UPDATE" ? next === "SET" : ["", "WHERE", "ORDER", "LIMIT", ";"].includes(next);
		return { kind: "rows", schemas, ...(table !== undefined && single ? { table } : {}) };
	}
	return { kind: "rows", schemas };
}
