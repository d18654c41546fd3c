import type { CheckedPipeline, SelectedTable } from "../config/index.ts";
import { type ChangesWrite, type Destination, qualified, type SourceTable, type Write } from "../core/index.ts";
import type { Fault } from "./table-modes.ts";

/** Whether a table can follow the source's change log; what its options say by themselves is checked before. */
export function checkChangeModes(
	context: {
		readonly pipeline: CheckedPipeline;
		readonly destination: Destination;
		/** Whether the source has a change log. */
		readonly hasLog: boolean;
	},
	selected: SelectedTable,
	table: SourceTable,
	chosen: { readonly write: Write; readonly key: readonly string[] },
	fault: Fault,
): void {
	const { pipeline, destination, hasLog } = context;
	const { options } = selected;
	const { write, key } = chosen;
	const source = qualified(selected.source);
	const other = "Use mode incremental or full.";
	if (!hasLog)
		fault(
			"E_UNSUPPORTED",
			`${source} has mode cdc, and ${pipeline.from.type} keeps no change log`,
			"mode",
			`mysql and postgres keep one, and a folder that changes were archived in. ${other}`,
		);
	const writes = destination.changes?.writes;
	if (writes === undefined)
		fault(
			"E_UNSUPPORTED",
			`${source} has mode cdc, and ${pipeline.to.type} can't take several tables' changes in one transaction`,
			"mode",
			`duckdb, postgres, redshift, snowflake and lake can, and a folder of files with write append. ${other}`,
		);
	else if (!writes.includes(write as ChangesWrite) && write !== "replace")
		fault(
			"E_UNSUPPORTED",
			`${pipeline.to.type} can't ${write} changes`,
			"write",
			`It can ${writes.join(", ")}.${pipeline.to.type === "file" ? " Each flush would write the table's files again: write append with before_images: true, and make the state or the history of that." : ""}`,
		);
	if (table.kind !== "table")
		fault(
			"E_UNSUPPORTED",
			`${source} is a ${table.kind}: it has no changes of its own in the log`,
			"mode",
			`Follow the tables that it reads, or ${selected.rule.pattern === source ? "use mode full" : `add \`${source}: { mode: full }\` or \`${source}: skip\``}.`,
		);
	const keyless = `Give it \`key:\` of columns that are never NULL and never twice, or write append.`;
	if (key.length === 0 && (write === "merge" || write === "history"))
		fault("E_KEY_REQUIRED", `${source} has no key to tell its rows apart by`, "write", keyless);
	if (options.deletes !== undefined && options.deletes !== "hard" && write === "append" && key.length === 0)
		fault("E_KEY_REQUIRED", `${source} has no key to find a deleted row by`, "deletes", keyless);
}
