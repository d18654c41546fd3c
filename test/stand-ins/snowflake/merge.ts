import { notModelled, Refused } from "./errors.ts";
import { Reader, type Token } from "./lexer.ts";
import { type Scope, tableOf, translate } from "./translate.ts";

export interface Merge {
	/** Fails when more than one source row meets a target row that a clause changes; gives a count. */
	readonly repeated: string;
	/** Gives an action a row. */
	readonly sql: string;
	/** Which counts the answer has. */
	readonly actions: readonly ("inserted" | "updated" | "deleted")[];
	readonly target: readonly string[];
}

/**
 * https://docs.snowflake.com/en/sql-reference/sql/merge: several source rows that meet one row of the target make the
 * merge nondeterministic, an error with ERROR_ON_NONDETERMINISTIC_MERGE (the default).
 */
export function readMerge(tokens: readonly Token[], scope: Scope): Merge {
	const reader = new Reader(tokens);
	reader.expect("MERGE", "INTO");
	const target = reader.path();
	reader.take("AS");
	const alias = reader.name();
	reader.expect("USING");
	const source: Token[] = reader.at("(")
		? [{ kind: "symbol", text: "(" }, ...reader.group(), { kind: "symbol", text: ")" }]
		: reader.upTo("AS", "ON");
	reader.take("AS");
	const sourceAlias = reader.name();
	reader.expect("ON");
	const condition = reader.upTo("WHEN");
	const clauses = reader.rest();
	const words = new Set(clauses.filter(({ kind }) => kind === "word").map(({ text }) => text));
	if (words.has("ALL")) throw notModelled("MERGE … ALL BY NAME");
	const table = tableOf(target, scope);
	scope.uses(table);
	// Binds are in the order of the text, which is kept.
	const using = `${bracketed(source, scope)} AS ${sourceAlias}`;
	const on = translate(condition, scope);
	const matched = words.has("UPDATE") || words.has("DELETE");
	return {
		target,
		repeated: matched
			? `SELECT count(*) AS n FROM (SELECT ${alias}.rowid FROM ${table.physical} AS ${alias} JOIN ${using} ON ${on} GROUP BY 1 HAVING count(*) > 1)`
			: "SELECT 0 AS n",
		sql: `MERGE INTO ${table.physical} AS ${alias} USING ${using} ON (${on}) ${translate(clauses, scope)} RETURNING merge_action AS a`,
		actions: [
			...(words.has("INSERT") ? (["inserted"] as const) : []),
			...(words.has("UPDATE") ? (["updated"] as const) : []),
			...(words.has("DELETE") ? (["deleted"] as const) : []),
		],
	};
}

/** A source: a subquery or a table; as what comes after FROM, so that names are looked up. */
function bracketed(source: readonly Token[], scope: Scope): string {
	if (source[0]?.text === "(") return `(${translate(source.slice(1, -1), scope)})`;
	const [, ...rest] = translate([{ kind: "word", text: "FROM" }, ...source], scope).split(" ");
	return rest[0]!;
}

export function nondeterministic(): Refused {
	return new Refused("100090", "42P18", "Duplicate row detected during DML action\nRow Values: […]");
}
