/** What a change of a source's columns does, by the pipeline's `schema_changes`: the table of docs/schema-changes.md. */

export type SchemaPolicy = "evolve" | "freeze" | "discard" | "fail";

export type ChangeKind =
	| "added"
	| "dropped"
	| "renamed"
	/** One column went and one came, and nothing tells whether they are the same. */
	| "perhaps renamed"
	| "widened"
	| "narrowed"
	| "retyped"
	/** The source names its type otherwise; it lands as before: `varchar(20)` → `varchar(50)`. */
	| "declared otherwise"
	| "may be NULL"
	| "never NULL"
	| "default changed"
	| "key changed"
	| "collation changed"
	/** The pipeline gives a column that landed as text its type. */
	| "fixed";

export type Does =
	/** The table gets the column, filled for rows from before where they can be read again. */
	| "add"
	| "leave out"
	/** Its values are read, counted and not loaded. */
	| "discard"
	/** The table keeps the column; new rows have NULL in it. */
	| "keep"
	/** As `keep`, but a column that is NOT NULL stops. */
	| "keep or stop"
	| "rename"
	/** It lands under its old name. */
	| "alias"
	| "alter"
	| "keep wide"
	/** Values are converted to the table's type; one that does not fit stops the load. */
	| "cast"
	/** As `cast`, but a value that does not fit becomes NULL and is counted. */
	| "cast or null"
	/** By the table's `on_type_change`. */
	| "convert"
	| "loosen"
	/** The table's column stays NOT NULL, so that a NULL stops the load. */
	| "refuse null"
	| "nothing"
	| "build anew"
	| "read again"
	| "fix"
	| "stop";

const row = (evolve: Does, freeze: Does, discard: Does, fail: Does): Readonly<Record<SchemaPolicy, Does>> => ({
	evolve,
	freeze,
	discard,
	fail,
});

export const SCHEMA_RULES: Readonly<Record<ChangeKind, Readonly<Record<SchemaPolicy, Does>>>> = {
	added: row("add", "leave out", "discard", "stop"),
	dropped: row("keep", "keep or stop", "keep", "stop"),
	renamed: row("rename", "alias", "discard", "stop"),
	"perhaps renamed": row("add", "stop", "discard", "stop"),
	widened: row("alter", "cast", "cast or null", "stop"),
	narrowed: row("keep wide", "keep wide", "keep wide", "stop"),
	retyped: row("convert", "cast", "cast or null", "stop"),
	"declared otherwise": row("nothing", "nothing", "nothing", "stop"),
	"may be NULL": row("loosen", "refuse null", "refuse null", "stop"),
	"never NULL": row("nothing", "nothing", "nothing", "stop"),
	"default changed": row("nothing", "nothing", "nothing", "nothing"),
	"key changed": row("build anew", "stop", "stop", "stop"),
	"collation changed": row("read again", "read again", "read again", "stop"),
	fixed: row("fix", "fix", "fix", "fix"),
};

/** What a receipt says was done. */
export const DONE: Readonly<Record<Does, string>> = {
	add: "added",
	"leave out": "left out",
	discard: "values discarded",
	keep: "kept",
	"keep or stop": "kept",
	rename: "renamed",
	alias: "loaded under the old name",
	alter: "type widened",
	"keep wide": "wider type kept",
	cast: "converted to the old type",
	"cast or null": "converted to the old type",
	convert: "table built anew",
	loosen: "NOT NULL dropped",
	"refuse null": "NOT NULL kept",
	nothing: "recorded",
	"build anew": "table built anew",
	"read again": "rows read again",
	fix: "converted",
	stop: "stopped",
};

/** The three rules that spare whoever reads a table, with their reason; told where a change breaks one. */
export const ADVICE = {
	rename:
		"renaming a column breaks every query that has its old name: add a new column, fill both for a while, then drop the old one",
	retype: "changing a column's type breaks queries and makes the table be built anew: add a column of the new type",
	repurpose:
		"a name that gets another meaning mixes two kinds of values in one column: give the new column a name of its own",
} as const;
