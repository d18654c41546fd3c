import { patternOf } from "../config/index.ts";
import { qualified } from "../core/index.ts";
import type { TaskSummary } from "./api.ts";
import type { SessionPlan } from "./session-plan.ts";

/** The tasks of a run: its tables, then its summaries. */
export function tasksOf({ tables, policy }: SessionPlan): TaskSummary[] {
	return [
		...tables.map((table) => ({
			task: table.source,
			into: qualified(table.into),
			mode: table.selected.options.mode,
			write: table.write,
			pattern: patternOf(table.selected.source),
		})),
		...policy.summaries.map(({ summary, needs }) => ({
			task: summary.name,
			into: qualified(summary.into),
			mode: "summary",
			write: "replace",
			pattern: summary.name,
			needs,
		})),
	];
}
