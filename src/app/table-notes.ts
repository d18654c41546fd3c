import type { CheckedPipeline, SelectedTable } from "../config/index.ts";
import type { Destination, SourceTable, Write } from "../core/index.ts";
import { BIG_TABLE_ROWS } from "../flow/index.ts";

/** What a person should know about a table before a run, in words. */
export function notesOf(
	selected: SelectedTable,
	table: SourceTable,
	chosen: { readonly write: Write; readonly key: readonly string[]; readonly cursor: string | undefined },
): string[] {
	const notes = [...table.warnings];
	const { mode } = selected.options;
	if (chosen.key.length === 0 && mode === "cdc") notes.push("no key: every change is appended as a row");
	else if (chosen.key.length === 0 && mode !== "full")
		notes.push("no key: rows are appended, updates arrive as new rows");
	if (mode === "incremental" && chosen.cursor !== undefined && selected.options.deleted === undefined)
		notes.push(`deletes, and updates that leave ${chosen.cursor} as it is, are not seen`);
	for (const name of chosen.key) {
		const column = table.columns.find((c) => (selected.options.columns.get(c.name)?.rename ?? c.name) === name);
		// What is replaced as a whole has the source's keys, which differ in more than that.
		if (column?.looseEquality !== undefined && chosen.write !== "replace")
			notes.push(`key ${name}: ${column.looseEquality}; the destination compares bytes, so twins would be two rows`);
		if (column?.nullable === true && chosen.write !== "append")
			notes.push(`key ${name} may be NULL: a row with NULL in its key stops the load`);
	}
	return notes;
}

/** What becomes of a big table's load that is killed: docs/modes.md, "When a big load is killed". */
export function resumeNotes(
	context: { readonly pipeline: CheckedPipeline; readonly destination: Destination },
	selected: SelectedTable,
	table: SourceTable,
	write: Write,
): string[] {
	const { mode, where, resume, cursor } = selected.options;
	const whole = mode === "full" || mode === "incremental";
	if (!whole || table.kind !== "table" || where !== undefined) return [];
	if ((table.estimatedRows ?? 0) < BIG_TABLE_ROWS) return [];
	const what = mode === "full" ? "read in chunks" : "the first load is read in chunks";
	if (resume === "off") return ["resume is off: a load that is killed begins anew"];
	const built = (write === "replace" || mode === "incremental") && selected.options.deleted === undefined;
	const inParts = context.destination.parts !== undefined && built;
	if (context.pipeline.staging === undefined && !inParts)
		return ["a load that is killed begins anew: name a `staging`, which keeps what was read"];
	if (mode === "incremental" && cursor !== undefined)
		return [`${what}: one that is killed goes on with those that are missing, and catches up by ${cursor}`];
	if (resume === "mixed")
		return [`${what}: one that is killed keeps ranges of the key as they were: rows of different moments`];
	return [`${what}: one that is killed keeps those that are proved unchanged`];
}
