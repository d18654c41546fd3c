import type { SelectedTable } from "../config/index.ts";
import { qualified, type SourceTable, type Write } from "../core/index.ts";
import type { CurrentColumn, TableTask } from "../flow/index.ts";
import type { TablePlan } from "./planned-table.ts";
import type { Fault } from "./table-modes.ts";

/** Options that need the table's columns: `fix`, `renamed_from`, and `on_conflict`, which needs a merge. */
export function checkChangeOptions(
	selected: SelectedTable,
	table: SourceTable,
	{ write }: { readonly write: Write },
	fault: Fault,
): void {
	const { options, rule } = selected;
	const source = qualified(selected.source);
	const has = (name: string) => table.columns.some((column) => column.name === name);
	for (const name of rule.ownFixes)
		if (!has(name)) fault("E_UNKNOWN_COLUMN", `${source} has no column ${JSON.stringify(name)}`, `fix.${name}`);
	for (const [name, { renamedFrom }] of options.columns)
		if (renamedFrom !== undefined && has(name) && has(renamedFrom))
			fault(
				"E_INVALID_VALUE",
				`${source} has ${name} and ${renamedFrom}, so one was not renamed to the other`,
				`columns.${name}`,
				"Leave renamed_from out.",
			);
	if (options.onConflict === "ignore" && write !== "merge")
		fault("E_UNSUPPORTED", `${source}: on_conflict needs write merge, not ${write}`, "on_conflict");
}

/** The columns that a task would load, as the source and the configuration have them now, and its key by their names. */
export function currentColumns(
	plan: TablePlan,
	task: TableTask,
): { readonly current: CurrentColumn[]; readonly key: string[] } {
	const { columns: rules, fix } = plan.selected.options;
	const current = task.columns.map((column, index): CurrentColumn => {
		const target = task.target.columns[index]!;
		const fixed = fix.get(column.name);
		const renamedFrom = rules.get(column.name)?.renamedFrom;
		return {
			name: column.name,
			target: target.name,
			sourceType: column.nativeType,
			type: fixed ?? target.type,
			nullable: column.nullable,
			ordinal: plan.table.columns.findIndex((other) => other.name === column.name) + 1,
			...(target.defaultSql === undefined ? {} : { defaultSql: target.defaultSql }),
			...(column.identity === undefined ? {} : { identity: column.identity }),
			...(column.collation === undefined ? {} : { collation: column.collation }),
			...(renamedFrom === undefined ? {} : { renamedFrom }),
			...(fixed === undefined ? {} : { fixed: true }),
		};
	});
	const names = new Map(current.map((column) => [column.target, column.name]));
	return { current, key: task.target.key.map((name) => names.get(name) ?? name) };
}
