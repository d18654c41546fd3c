import type { Summary, TemplateValues } from "../config/index.ts";
import { type DataCheck, renderQuery, type SelectedTable, TABLE_VARIABLE, templateValues } from "../config/index.ts";
import { HeadraceError, qualified, readsOf, type TableName, toHeadraceErrors } from "../core/index.ts";
import type { PlanOptions, RunInterval } from "./api.ts";
import { hookFaults } from "./hooks.ts";
import type { TablePlan } from "./planned-table.ts";
import type { Session } from "./session.ts";
import { planSummary, type SummaryPlan } from "./summaries.ts";

/** What a run does beside moving rows: checks, hooks and summaries. */
export interface PolicyPlan {
	/** For the templates of the run. */
	readonly values: TemplateValues;
	/** By the tables' names in the source. */
	readonly checks: ReadonlyMap<string, readonly DataCheck[]>;
	/** Each after those that it depends on. */
	readonly summaries: readonly SummaryPlan[];
	readonly faults: readonly HeadraceError[];
}

export interface PolicyInput {
	readonly options: PlanOptions;
	readonly interval: RunInterval | null;
	readonly runId: string;
	/** All tables of the pipeline, chosen or not. */
	readonly tables: readonly SelectedTable[];
	/** The chosen ones. */
	readonly plans: readonly TablePlan[];
	readonly summaries: readonly Summary[];
}

/** Finds all that is wrong with checks, hooks and summaries before anything runs. */
export async function planPolicy(session: Session, input: PolicyInput): Promise<PolicyPlan> {
	const { pipeline, source, destination } = session;
	const { options, interval, runId, tables, plans } = input;
	const values = await templateValues({
		runId,
		timezone: pipeline.timezone,
		params: { ...pipeline.params, ...options.params },
		...(interval === null ? {} : { interval }),
	});
	const scope = { pipeline, source, destination, values };
	const faults: HeadraceError[] = await hookFaults(pipeline.hooks, scope);
	for (const { selected, into } of plans) faults.push(...(await hookFaults(selected.rule.hooks, { ...scope, into })));

	const targets = new CheckTargets(session, input);
	for (const check of pipeline.checks) faults.push(...targets.place(check));
	for (const { summary, into } of pipeline.summaries.map((each) => ({ summary: each, into: each.into })))
		faults.push(...intoFaults(summary, into, input, session));
	faults.push(...(await targets.faults(values)));
	const { sql } = destination;
	const chosen: SummaryPlan[] = [];
	for (const summary of input.summaries)
		if (sql === undefined)
			faults.push(
				unsupported(`${pipeline.to.type} has no SQL to build the summary ${summary.name} with`, summary.place),
			);
		else {
			const checks = [...summary.checks, ...targets.of(summary.into)];
			const planned = planSummary({ ...summary, checks }, { tables, all: pipeline.summaries, sql, values });
			await planned.then(
				(plan) => chosen.push(plan),
				(error: unknown) => faults.push(...toHeadraceErrors(error)),
			);
		}
	const checks = new Map(plans.map((plan) => [plan.source, targets.of(plan.into)]));
	return { values, checks, summaries: chosen, faults: distinct(faults) };
}

/** By line; hooks of `defaults` are the same in every table, and each fault of them is told once. */
function distinct(faults: readonly HeadraceError[]): HeadraceError[] {
	const seen = new Set<string>();
	const sorted = faults.toSorted((a, b) => (a.place.line ?? 0) - (b.place.line ?? 0));
	return sorted.filter(({ code, message, place: { line, column } }) => {
		const id = JSON.stringify([code, message, line, column]);
		return !seen.has(id) && seen.add(id);
	});
}

function intoFaults(summary: Summary, into: TableName, { tables }: PolicyInput, session: Session): HeadraceError[] {
	const same = nameIn(session);
	const others = session.pipeline.summaries.slice(0, session.pipeline.summaries.indexOf(summary));
	const other =
		tables.find((table) => same(table.into, into))?.source ?? others.find((each) => same(each.into, into))?.name;
	if (other === undefined) return [];
	const name = typeof other === "string" ? other : qualified(other);
	const message = `${name} and the summary ${summary.name} both go into ${qualified(into)}`;
	return [new HeadraceError("E_NAME_COLLISION", message, summary.place)];
}

function nameIn({ destination }: Session): (a: TableName, b: TableName) => boolean {
	const fold = ({ schema, name }: TableName) =>
		JSON.stringify([destination.foldName(schema), destination.foldName(name)]);
	return (a, b) => fold(a) === fold(b);
}

function unsupported(message: string, place: HeadraceError["place"]): HeadraceError {
	return new HeadraceError("E_UNSUPPORTED", message, {
		...place,
		hint: "Leave it out, or load into a database such as duckdb.",
	});
}

/** Which table each check of the pipeline is about. */
class CheckTargets {
	readonly #session: Session;
	readonly #input: PolicyInput;
	readonly #same: (a: TableName, b: TableName) => boolean;

	constructor(session: Session, input: PolicyInput) {
		this.#session = session;
		this.#input = input;
		this.#same = nameIn(session);
	}

	of(into: TableName): readonly DataCheck[] {
		return this.#session.pipeline.checks.filter((check) => this.#same(check.table, into));
	}

	/** A check of a table that the pipeline does not load would never be asked. */
	place(check: DataCheck): HeadraceError[] {
		const { pipeline, destination } = this.#session;
		const intos = [...this.#input.tables, ...pipeline.summaries].map((table) => table.into);
		if (readsOf(destination) === undefined)
			return [unsupported(`${pipeline.to.type} has no SQL to ask the check ${check.name} with`, check.place)];
		if (intos.some((into) => this.#same(into, check.table))) return [];
		const names = intos.slice(0, 10).map(qualified);
		return [
			new HeadraceError(
				"E_UNKNOWN_TABLE",
				`the check ${JSON.stringify(check.name)} is about ${qualified(check.table)}, into which no table of the pipeline goes`,
				{ ...check.place, hint: `They go into ${names.join(", ")}${intos.length > 10 ? ", …" : ""}.` },
			),
		];
	}

	async faults(values: TemplateValues): Promise<HeadraceError[]> {
		const faults: HeadraceError[] = [];
		for (const plan of this.#input.plans)
			for (const check of this.of(plan.into)) faults.push(...(await this.#faultsIn(plan, check, values)));
		for (const { checks } of this.#input.summaries)
			for (const check of checks) faults.push(...(await this.#templateFaults(check, values)));
		return faults;
	}

	async #faultsIn(plan: TablePlan, check: DataCheck, values: TemplateValues): Promise<HeadraceError[]> {
		const { assertion } = check;
		if (assertion.kind === "sql") return this.#templateFaults(check, values);
		if (assertion.kind === "rows") return [];
		const wanted = assertion.kind === "unique" ? assertion.columns : [assertion.column];
		const faults: HeadraceError[] = [];
		const known = new Set([...plan.columns.map(({ name }) => name), ...(await this.#existing(plan))]);
		const folded = new Set([...known].map((name) => this.#session.destination.foldName(name)));
		for (const name of wanted)
			if (!folded.has(this.#session.destination.foldName(name)))
				faults.push(
					new HeadraceError(
						"E_UNKNOWN_COLUMN",
						`${qualified(plan.into)} will have no column ${JSON.stringify(name)} for the check ${JSON.stringify(check.name)}`,
						{ ...check.place, hint: `It has: ${[...known].slice(0, 12).join(", ")}${known.size > 12 ? ", …" : ""}.` },
					),
				);
		if (assertion.kind === "unique" || assertion.kind === "not_null") return faults;
		const invalid = (message: string) =>
			faults.push(
				new HeadraceError("E_INVALID_VALUE", `the check ${JSON.stringify(check.name)}: ${message}`, check.place),
			);
		if (maskedTargets(plan).has(assertion.column))
			invalid(`${assertion.column} is masked, so it can't have such values`);
		const kind = plan.task?.target.columns.find(({ name }) => name === assertion.column)?.type.kind;
		const isTime = kind === undefined || ["date", "timestamp", "timestamptz"].includes(kind);
		if (assertion.kind === "freshness" && !isTime) invalid(`${assertion.column} is no date or time`);
		return faults;
	}

	/** Columns that only the destination has stay in a table that is not replaced. */
	async #existing(plan: TablePlan): Promise<readonly string[]> {
		if (plan.write === "replace") return [];
		return (await this.#session.destination.describe(plan.into))?.columns.map(({ name }) => name) ?? [];
	}

	async #templateFaults(check: DataCheck, values: TemplateValues): Promise<HeadraceError[]> {
		const sql = readsOf(this.#session.destination);
		if (check.assertion.kind !== "sql" || sql === undefined) return [];
		const dialect = { quoteString: sql.quoteLiteral, backslashEscapes: sql.backslashEscapes === true };
		const relations = { [TABLE_VARIABLE]: sql.relation(check.table) };
		try {
			await renderQuery(check.assertion.sql, { ...values, relations }, dialect, check.place);
			return [];
		} catch (error) {
			return toHeadraceErrors(error);
		}
	}
}

/** Masked columns by their names in the destination. */
export function maskedTargets({ task }: TablePlan): ReadonlySet<string> {
	if (task?.masks === undefined) return new Set();
	const { masks } = task;
	return new Set(
		task.columns.flatMap(({ name }, index) => (masks.has(name) ? [task.target.columns[index]?.name ?? name] : [])),
	);
}
