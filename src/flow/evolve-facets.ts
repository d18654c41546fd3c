import type { RecordedColumn } from "../core/index.ts";
import type { Decision, EvolveInput } from "./evolution.ts";
import type { CurrentColumn } from "./schema-diff.ts";
import { ADVICE, type ChangeKind, type Does, SCHEMA_RULES } from "./schema-rules.ts";

/** What is told of one change. */
export type Told = Pick<Decision, "kind" | "does" | "change" | "note">;

/** `strict`: the table's column is NOT NULL. */
export function decideNull(
	{ policy }: Pick<EvolveInput, "policy">,
	column: CurrentColumn,
	before: RecordedColumn,
	strict: boolean,
): Told | null {
	if (before.nullable === column.nullable) return null;
	const kind: ChangeKind = column.nullable ? "may be NULL" : "never NULL";
	const does = SCHEMA_RULES[kind][policy];
	return { kind, does, change: kind, note: nullNote(does, strict) };
}

function nullNote(does: Does, strict: boolean): string {
	if (does === "loosen") return "the destination's column takes NULL too";
	if (does === "nothing") return "the destination's column stays as it is, since rows from before may have NULL";
	if (does === "stop") return "the source's column is declared otherwise";
	return strict
		? "the destination's column stays NOT NULL; a NULL stops the load"
		: "the destination's column takes NULL already";
}

export function decideDefault(
	{ policy }: Pick<EvolveInput, "policy">,
	column: CurrentColumn,
	before: RecordedColumn,
): Told | null {
	if (before.default === column.defaultSql) return null;
	const kind = "default changed";
	return {
		kind,
		does: SCHEMA_RULES[kind][policy],
		change: `default ${before.default ?? "none"} → ${column.defaultSql ?? "none"}`,
		note: "rows that are there stay as they are",
	};
}

/** A collation is known for text columns of databases only; a change of it may come with a change of the values. */
export function decideCollation(
	input: Pick<EvolveInput, "policy" | "key" | "mode" | "updates" | "noSecondReading">,
	column: CurrentColumn,
	before: RecordedColumn,
): Told | null {
	const known = before.collation !== undefined && column.collation !== undefined;
	if (!known || before.collation === column.collation) return null;
	const kind = "collation changed";
	const change = `collation ${before.collation} → ${column.collation}`;
	const rule = SCHEMA_RULES[kind][input.policy];
	const told = (does: Does, note: string): Told => ({ kind, does, change, note });
	if (rule === "stop") return told(rule, "its values may have changed");
	if (input.key.includes(column.name))
		return told("build anew", "it is part of the key: all rows are read into a new table, whose keys are checked");
	if (input.mode === "full" || (input.updates && input.noSecondReading === null))
		return told(rule, "its values may have changed, so rows from before are read once more");
	return told("nothing", `its values may have changed; ${rereadCure(input)}`);
}

/** `reused`: another column has its name now. */
export function decideGone(
	{ policy }: Pick<EvolveInput, "policy">,
	column: RecordedColumn,
	table: { readonly strict: boolean; readonly reused: boolean },
): Told {
	const rule = SCHEMA_RULES.dropped[policy];
	const does = rule === "keep or stop" && table.strict ? "stop" : rule;
	const told = (note: string): Told => ({ kind: "dropped", does, change: "dropped", note });
	if (does !== "stop")
		return told(`${column.target} stays, with NULL in new rows${table.reused ? `. ${ADVICE.repurpose}` : ""}`);
	if (rule === "stop") return told("the source no longer has it");
	return told("the source no longer has it, and the destination's column is NOT NULL");
}

/** What reads rows from before again, when a run does not by itself. */
export function rereadCure({ mode }: Pick<EvolveInput, "mode">): string {
	return mode === "interval"
		? "`headrace backfill` reads their intervals again"
		: "`headrace run --full-refresh` reads them anew";
}
