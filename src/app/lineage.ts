import { type CheckedPipeline, matchesPattern, parsePattern } from "../config/index.ts";
import { qualified, type TableName } from "../core/index.ts";
import type { ColumnLineage, ColumnsRow } from "../state/index.ts";
import type { TablePlan } from "./planned-table.ts";

/** Where each column of a planned table comes from and goes to: those of the source first, in its order. */
export function lineageOf({ table, selected, columns }: TablePlan): ColumnLineage[] {
	const rest = new Map(columns.map((column) => [column.name, column]));
	const found = table.columns.map(({ name: source, nativeType }): ColumnLineage => {
		const rule = selected.options.columns.get(source);
		const name = rule?.rename ?? source;
		const target = rule?.drop === true ? undefined : rest.get(name);
		if (target === undefined) {
			const change = rule?.drop === true ? "dropped" : "left out";
			const nothing = { name: null, destination_type: null, fidelity: null, mask: null };
			return { source, source_type: nativeType, ...nothing, change, note: null };
		}
		rest.delete(name);
		return {
			source,
			source_type: nativeType,
			name,
			destination_type: target.destination_type,
			fidelity: target.fidelity,
			mask: rule?.mask ?? null,
			change: name === source ? "copied" : "renamed",
			note: target.note,
		};
	});
	const added = [...rest.values()].map(
		({ name, destination_type, fidelity, note }): ColumnLineage => ({
			...{ source: null, source_type: null, name, destination_type, fidelity, mask: null, change: "added", note },
		}),
	);
	return [...found, ...added];
}

/** What is kept of a plan, by the source's names. */
export function plannedColumns(plans: readonly TablePlan[], seenAt: string): Map<string, ColumnsRow> {
	return new Map(
		plans.map((plan) => [
			plan.source,
			{ seenAt, columns: plan.columns, key: plan.key, into: qualified(plan.into), lineage: lineageOf(plan) },
		]),
	);
}

/** A summary, and which of the tables and other summaries it reads, by their names in the destination. */
export interface SummaryLineage {
	readonly name: string;
	readonly into: string;
	readonly reads: readonly string[];
}

/**
 * What summaries read: what they depend on, and without `depends_on` the tables whose names are in their queries.
 * `tables` are those that were planned.
 */
export function summaryLineage(
	pipeline: CheckedPipeline,
	tables: readonly { readonly table: string; readonly into: string }[],
): SummaryLineage[] {
	const others = pipeline.summaries.map(({ name, into }) => ({ name, into: qualified(into) }));
	return pipeline.summaries.map(({ name, into, query, dependsOn }) => {
		const words = new Set(query.toLowerCase().split(/[^\p{L}\p{N}_$]+/u));
		const isNamed = (target: string) => words.has(nameOf(target).name.toLowerCase());
		const isWanted = ({ table, into: target }: { readonly table: string; readonly into: string }) =>
			dependsOn === undefined
				? isNamed(target)
				: dependsOn.some(({ text }) => {
						const pattern = parsePattern(text);
						return matchesPattern(pattern, nameOf(table)) || matchesPattern(pattern, nameOf(target));
					});
		const summaries = others.filter(
			(other) =>
				other.name !== name &&
				(dependsOn === undefined ? isNamed(other.into) : dependsOn.some(({ text }) => text === other.name)),
		);
		return {
			name,
			into: qualified(into),
			reads: [...tables.filter(isWanted), ...summaries].map((each) => each.into),
		};
	});
}

/** A name as receipts have it, in its parts. */
function nameOf(text: string): TableName {
	const dot = text.indexOf(".");
	return { schema: text.slice(0, Math.max(0, dot)), name: text.slice(dot + 1) };
}
