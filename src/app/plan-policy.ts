import type { Hooks } from "../config/index.ts";
import { type PositionRow, qualified } from "../core/index.ts";
import { maskChange } from "../flow/index.ts";
import type { PlanHook, PlanTable } from "./api.ts";
import type { TablePlan } from "./planned-table.ts";
import type { Session } from "./session.ts";
import type { SummaryPlan } from "./summaries.ts";

/** Hooks as a plan shows them: their SQL as it is written. */
export function planHooks({ before, after }: Hooks): PlanHook[] {
	const list = (when: "before" | "after") =>
		(when === "before" ? before : after).map(({ on, statements }) => ({
			when,
			on,
			sql: statements.map(({ sql }) => sql),
		}));
	return [...list("before"), ...list("after")];
}

/** What becomes of rows that are there already when the masks are no longer those that they were loaded with. */
export function maskNotes(plan: TablePlan, row: PositionRow | undefined): string[] {
	const { task } = plan;
	if (task === null || plan.write === "replace" || task.fullRefresh || task.reading === "anew") return [];
	if (row?.schemaVersion === null || row?.schemaVersion === undefined) return [];
	switch (maskChange(row.schemaVersion, task.schemaVersion)) {
		case "key":
			return ["the mask of its key has changed: it must be read anew, --full-refresh"];
		case "columns":
			return ["its masks have changed: rows that are there keep what they hold, unless --full-refresh reads them anew"];
		default:
			return [];
	}
}

export async function planSummaryTable(session: Session, { summary, needs }: SummaryPlan): Promise<PlanTable> {
	const existing = await session.destination.describe(summary.into);
	return {
		table: summary.name,
		into: qualified(summary.into),
		mode: "summary",
		write: "replace",
		key: summary.key,
		estimated_rows: existing?.rows ?? null,
		ddl: [],
		columns: [],
		schema_changes: [],
		change: existing === null ? "new" : "same",
		notes: needs.length === 0 ? [] : [`built after ${needs.slice(0, 5).join(", ")}${needs.length > 5 ? ", …" : ""}`],
		checks: summary.checks.map(({ name, severity }) => ({ name, severity })),
	};
}
