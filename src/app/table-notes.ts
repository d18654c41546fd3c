import type { SelectedTable } from "../config/index.ts";
import type { SourceTable, Write } from "../core/index.ts";

/** What a person should know about a table before a run, in words. */
export function notesOf(
	selected: SelectedTable,
	table: SourceTable,
	chosen: { readonly write: Write; readonly key: readonly string[]; readonly cursor: string | undefined },
): string[] {
	const notes = [...table.warnings];
	const { mode } = selected.options;
	if (chosen.key.length === 0 && mode !== "full") notes.push("no key: rows are appended, updates arrive as new rows");
	if (mode === "incremental" && chosen.cursor !== undefined && selected.options.deleted === undefined)
		notes.push(`deletes, and updates that leave ${chosen.cursor} as it is, are not seen`);
	for (const name of chosen.key) {
		const column = table.columns.find((c) => (selected.options.columns.get(c.name)?.rename ?? c.name) === name);
		if (column?.looseEquality !== undefined)
			notes.push(`key ${name}: ${column.looseEquality}; the destination compares bytes, so twins would be two rows`);
		if (column?.nullable === true && chosen.write !== "append")
			notes.push(`key ${name} may be NULL: a row with NULL in its key stops the load`);
	}
	return notes;
}
