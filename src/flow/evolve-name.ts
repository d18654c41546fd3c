import type { RecordedColumn } from "../core/index.ts";
import type { EvolveInput } from "./evolution.ts";
import type { ColumnPair } from "./schema-diff.ts";
import { ADVICE, type Does, SCHEMA_RULES } from "./schema-rules.ts";

/** What becomes of a column's name: under which it lands, and what is told. */
export interface NameDecision {
	/** Null when the column does not land. */
	readonly name: string | null;
	readonly renamedFrom?: string;
	/** It is read, counted and not loaded. */
	readonly discarded?: true;
	/** The table keeps the old name, and so does the record. */
	readonly held?: true;
	/** The new name is taken: the table keeps its old column, and the other gets the values. */
	readonly taken?: true;
	readonly told?: { readonly does: Does; readonly change: string; readonly note: string };
}

export function decideName(
	{ policy, fold, existing }: Pick<EvolveInput, "policy" | "fold" | "existing">,
	{ column, renamed }: ColumnPair,
	before: RecordedColumn,
): NameDecision {
	if (renamed === undefined || before.variant !== undefined) return { name: before.target };
	if (fold(before.target) === fold(column.target)) return { name: column.target };
	// Another name in the destination is what the pipeline asks for; a policy is about what it does not ask for.
	const does = renamed === "target" ? "rename" : SCHEMA_RULES.renamed[policy];
	const change = renamed === "target" ? `named ${column.target}` : `renamed from ${before.name}`;
	const proof =
		renamed === "identity" ? "the source's catalog says that it is the same column" : "the pipeline file says so";
	const tell = (how: Does, more = "") => ({ told: { does: how, change, note: `${proof}${more}. ${ADVICE.rename}` } });
	if (does === "stop") return { name: null, ...tell(does) };
	if (does === "alias") return { name: before.target, held: true, ...tell(does, `; it goes on as ${before.target}`) };
	if (does === "discard")
		return { name: null, discarded: true, ...tell(does, `; ${before.target} is NULL in new rows`) };
	if (existing.column(column.target, []) === null)
		return { name: column.target, renamedFrom: before.target, ...tell(does) };
	const why = `; the destination has a column ${column.target} already, so ${before.target} stays and ${column.target} gets the values`;
	return { name: column.target, taken: true, ...tell("add", why) };
}
