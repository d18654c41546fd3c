import { type CheckedPipeline, renderQuery, type SelectedTable, templateValues } from "../config/index.ts";
import type { Source } from "../core/index.ts";
import type { PlanOptions, RunInterval } from "./api.ts";

export interface TemplateScope {
	readonly pipeline: CheckedPipeline;
	readonly source: Source;
	readonly interval: RunInterval | null;
	readonly runId: string;
	readonly params: PlanOptions["params"];
}

/** The query and the expert's condition of a table with their `{{ … }}` filled in for one run. */
export async function fillTemplates(
	scope: TemplateScope,
	selected: SelectedTable,
): Promise<{ query?: string; where?: string }> {
	const { pipeline, source, interval, runId, params } = scope;
	if (selected.kind === "table" && selected.options.where === undefined) return {};
	const values = await templateValues({
		runId,
		timezone: pipeline.timezone,
		params: { ...pipeline.params, ...params },
		...(interval === null ? {} : { interval }),
	});
	const dialect = { quoteString: source.quoteString, backslashEscapes: source.backslashEscapes };
	const { rule, options } = selected;
	const fill = (sql: string, option: string) => renderQuery(sql, values, dialect, rule.places[option] ?? rule.place);
	return {
		...(selected.kind === "query" ? { query: await fill(selected.query, "query") } : {}),
		...(options.where === undefined ? {} : { where: await fill(options.where, "where") }),
	};
}
