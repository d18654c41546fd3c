import { matchesPattern, parsePattern, renderQuery, type Summary, type TemplateValues } from "../config/index.ts";
import {
	type DestinationSql,
	HeadraceError,
	qualified,
	type ReceiptError,
	type TableName,
	type TableReceipt,
} from "../core/index.ts";
import { pendingReceipt, receiptError } from "./receipt.ts";
import { TableChecks } from "./table-checks.ts";

/** A summary of a run, its query filled in. */
export interface SummaryPlan {
	readonly summary: Summary;
	readonly select: string;
	/** What must have succeeded, of what the run does: sources of tables, names of summaries. */
	readonly needs: readonly string[];
}

export interface SummaryScope {
	readonly tables: readonly { readonly source: TableName; readonly into: TableName }[];
	/** Of the pipeline, chosen or not. */
	readonly all: readonly Summary[];
	readonly sql: DestinationSql;
	readonly values: TemplateValues;
}

/** @throws E_TEMPLATE, E_UNKNOWN_TABLE for a dependency that is neither a table nor a summary */
export async function planSummary(summary: Summary, scope: SummaryScope): Promise<SummaryPlan> {
	const { tables, all, sql, values } = scope;
	const needs =
		summary.dependsOn === undefined
			? tables.map(({ source }) => qualified(source))
			: summary.dependsOn.flatMap(({ text, place }) => {
					const other = all.find(({ name }) => name === text);
					if (other !== undefined) return [other.name];
					const pattern = parsePattern(text);
					const found = tables.filter(
						({ source, into }) => matchesPattern(pattern, source) || matchesPattern(pattern, into),
					);
					if (found.length === 0)
						throw new HeadraceError(
							"E_UNKNOWN_TABLE",
							`the summary ${summary.name} depends on ${JSON.stringify(text)}, which the pipeline does not have`,
							place,
						);
					return found.map(({ source }) => qualified(source));
				});
	const dialect = { quoteString: sql.quoteLiteral, backslashEscapes: sql.backslashEscapes === true };
	return { summary, needs, select: await renderQuery(summary.query, values, dialect, summary.queryPlace) };
}

export function emptySummaryReceipt({ summary }: SummaryPlan): TableReceipt {
	return pendingReceipt({ table: summary.name, into: qualified(summary.into), mode: "summary", write: "replace" });
}

/** Why a summary is not built: the first of its needs that the run did not meet; null when nothing is in its way. */
export function blockedBy(plan: SummaryPlan, receipts: readonly TableReceipt[]): ReceiptError | null {
	const failed = receipts.find(({ table, state }) => plan.needs.includes(table) && state !== "succeeded");
	if (failed === undefined) return null;
	const how = failed.state === "pending" ? "did not run" : failed.state === "failed" ? "failed" : `was ${failed.state}`;
	return skippedBecause(`not built: ${failed.table}, which it depends on, ${how}`);
}

/** The error of what was left out. */
export function skippedBecause(message: string): ReceiptError {
	return receiptError(new HeadraceError("E_SKIPPED", message));
}

export interface BuildContext {
	readonly sql: DestinationSql;
	readonly values: TemplateValues;
	readonly directory: string;
	readonly now: () => Date;
	readonly signal: AbortSignal;
	readonly onWarning: (message: string) => void;
}

/** Its checks, and the work of building it: rows that fail a check are never seen. */
export function summaryBuild(plan: SummaryPlan, context: BuildContext) {
	const { summary, select } = plan;
	const { sql, values, directory, now, signal, onWarning } = context;
	const checks = new TableChecks({
		checks: summary.checks,
		shownKey: summary.key,
		masked: new Set(),
		zoned: new Set(),
		sql,
		values,
		directory,
		now,
		onWarning,
	});
	const verify = summary.checks.length === 0 ? {} : { verify: checks.verify };
	return { checks, build: () => sql.rebuild({ table: summary.into, select, ...verify, signal }) };
}
