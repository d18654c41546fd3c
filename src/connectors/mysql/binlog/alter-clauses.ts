import type { SqlWord } from "./sql-words.ts";

/** What an ALTER TABLE does to the columns of a table, when it is all that it does to them. */
export interface ColumnChanges {
	readonly added: readonly string[];
	readonly dropped: readonly string[];
	readonly renamed: readonly (readonly [from: string, to: string])[];
	/** False after IF EXISTS or IF NOT EXISTS: some of it may not have been done. */
	readonly isSure: boolean;
}

/** What an ADD adds, and a DROP drops, when it is no column. */
const NOT_COLUMNS = new Set(["CONSTRAINT", "UNIQUE", "INDEX", "KEY", "FULLTEXT", "SPATIAL", "FOREIGN", "CHECK"]);
/** These may touch the key, or columns in a way that is not looked at. */
const NOT_READ = new Set(["PRIMARY", "PARTITION", "SYSTEM", "PERIOD", "VECTOR"]);
/** Clauses that leave names, places, types and key as they are. */
const HARMLESS = new Set([
	"ALGORITHM",
	"LOCK",
	"COMMENT",
	"ENGINE",
	"AUTO_INCREMENT",
	"ROW_FORMAT",
	"KEY_BLOCK_SIZE",
	"STATS_PERSISTENT",
	"STATS_AUTO_RECALC",
	"STATS_SAMPLE_PAGES",
	"ENABLE",
	"DISABLE",
	"FORCE",
]);

/**
 * Reads the clauses of an ALTER TABLE, the words behind the table's name; null unless each is one that is known, and
 * says itself what it does: no other type, no key.
 * https://dev.mysql.com/doc/refman/8.4/en/alter-table.html, https://mariadb.com/kb/en/alter-table/
 */
export function readAlterClauses(words: readonly SqlWord[]): ColumnChanges | null {
	const changes: Draft = { added: [], dropped: [], renamed: [], isSure: true };
	const parts = cutAtCommas(withoutEnd(words));
	return parts?.every((part) => readClause(part, changes)) === true ? changes : null;
}

interface Draft {
	readonly added: string[];
	readonly dropped: string[];
	readonly renamed: (readonly [string, string])[];
	isSure: boolean;
}

function readClause(clause: readonly SqlWord[], changes: Draft): boolean {
	const [first, ...rest] = clause;
	switch (keyword(first)) {
		case "ADD":
			return readAdd(rest, changes);
		case "DROP": {
			const subject = keyword(rest[0]);
			// MariaDB knows the key as the constraint `PRIMARY` too.
			if (NOT_READ.has(subject) || identifier(rest[1])?.toUpperCase() === "PRIMARY") return false;
			if (NOT_COLUMNS.has(subject)) return true;
			const words = unconditional(subject === "COLUMN" ? rest.slice(1) : rest, changes, "IF", "EXISTS");
			const name = identifier(words[0]);
			const end = keyword(words[1]);
			const isWhole = words.length === 1 || (words.length === 2 && (end === "RESTRICT" || end === "CASCADE"));
			if (name === null || !isWhole) return false;
			changes.dropped.push(name);
			return true;
		}
		case "RENAME": {
			const subject = keyword(rest[0]);
			if (subject === "INDEX" || subject === "KEY") return true;
			const [from, to] = [identifier(rest[1]), identifier(rest[3])];
			if (subject !== "COLUMN" || keyword(rest[2]) !== "TO" || from === null || to === null || rest.length !== 4)
				return false;
			changes.renamed.push([from, to]);
			return true;
		}
	}
	// A default, or what the optimizer may use.
	if (keyword(first) === "ALTER") return true;
	// Options stand behind each other without a comma too: only one at a time is known.
	return HARMLESS.has(keyword(first)) && clause.length <= 3;
}

function readAdd(words: readonly SqlWord[], changes: Draft): boolean {
	const subject = keyword(words[0]);
	if (NOT_READ.has(subject)) return false;
	if (NOT_COLUMNS.has(subject)) return !words.some((word) => keyword(word) === "PRIMARY");
	const named = subject === "COLUMN" ? words.slice(1) : words;
	const definition = unconditional(named, changes, "IF", "NOT", "EXISTS");
	if (mark(definition[0]) !== "(") return addColumn(definition, changes);
	if (mark(definition.at(-1)) !== ")") return false;
	const parts = cutAtCommas(definition.slice(1, -1));
	return parts?.every((part) => !NOT_COLUMNS.has(keyword(part[0])) && addColumn(part, changes)) === true;
}

/** A column that is part of a key makes another key: then rows of before are told apart by other columns. */
function addColumn(definition: readonly SqlWord[], changes: Draft): boolean {
	const name = identifier(definition[0]);
	const isKey = definition.some((word, index) => {
		const text = keyword(word);
		return text === "PRIMARY" || text === "SERIAL" || (text === "KEY" && keyword(definition[index - 1]) !== "UNIQUE");
	});
	// What follows the last clause without a comma.
	const isMore = definition.some((word) => ["PARTITION", "REMOVE", "SYSTEM"].includes(keyword(word)));
	if (name === null || isKey || isMore || NOT_READ.has(keyword(definition[0])) || definition.length < 2) return false;
	changes.added.push(name);
	return true;
}

/** What stands behind a condition. */
function unconditional(words: readonly SqlWord[], changes: Draft, ...condition: readonly string[]): readonly SqlWord[] {
	if (!condition.every((text, index) => keyword(words[index]) === text)) return words;
	changes.isSure = false;
	return words.slice(condition.length);
}

function keyword(word: SqlWord | undefined): string {
	return word?.kind === "word" ? word.text : "";
}

function mark(word: SqlWord | undefined): string {
	return word?.kind === "mark" ? word.text : "";
}

function identifier(word: SqlWord | undefined): string | null {
	return word?.kind === "word" || word?.kind === "name" ? word.written : null;
}

function withoutEnd(words: readonly SqlWord[]): readonly SqlWord[] {
	return mark(words.at(-1)) === ";" ? words.slice(0, -1) : words;
}

/** At the commas that no parenthesis encloses; null when parentheses do not match, or a part is empty. */
function cutAtCommas(words: readonly SqlWord[]): SqlWord[][] | null {
	const parts: SqlWord[][] = [[]];
	let depth = 0;
	for (const word of words) {
		const text = mark(word);
		if (text === "(") depth++;
		else if (text === ")" && --depth < 0) return null;
		if (text === "," && depth === 0) parts.push([]);
		else parts.at(-1)!.push(word);
	}
	return depth === 0 && parts.every((part) => part.length > 0) ? parts : null;
}
