import { type CheckedPipeline, resolveTables, type SelectedTable } from "../config/index.ts";
import {
	type ChangesWrite,
	type DescribeRequest,
	type Destination,
	HeadraceError,
	HeadraceErrors,
	qualified,
	type Source,
	type SourceTable,
	type TableName,
	toHeadraceErrors,
} from "../core/index.ts";
import { changeTarget, columnsAdded } from "../flow/index.ts";
import type { PlanColumn, PlanOptions, RunInterval } from "./api.ts";
import { evolvePlans } from "./evolution.ts";
import type { TablePlan } from "./planned-table.ts";
import { type PolicyPlan, planPolicy } from "./policy-plan.ts";
import { selectTables, withMissingRights } from "./select.ts";
import type { Session } from "./session.ts";
import { planTable } from "./table-plan.ts";
import { fillTemplates } from "./templates.ts";

export interface SessionPlan {
	readonly tables: readonly TablePlan[];
	readonly warnings: readonly string[];
	readonly policy: PolicyPlan;
}

/** Tables are listed so often while some go between being listed and described. */
const LISTS_MAX = 5;

/**
 * Plans the tables of a run. Faults of the configuration (an unknown table or column, a missing cursor) are thrown all
 * together, before anything runs; a column whose type is refused stops its own table only.
 */
export async function planSession(
	session: Session,
	options: PlanOptions,
	interval: RunInterval | null,
	runId: string,
): Promise<SessionPlan> {
	const { pipeline, source, destination } = session;
	const { available, resolved, wanted, summaries, chosen, filled, requests, described } = await describeChosen(
		session,
		options,
		interval,
		runId,
	);
	const plans = chosen.map((selected, index) => {
		const table = described[index];
		const types = requests[index]?.types;
		if (table === undefined || types === undefined)
			throw new HeadraceError("E_INTERNAL", "the source described fewer tables than asked");
		const { where } = filled[index] ?? {};
		const tableOptions = { ...selected.options, types, ...(where === undefined ? {} : { where }) };
		const fullRefresh = options.fullRefresh === true && wanted.includes(selected);
		const hasLog = source.changeLog !== undefined;
		const context = { pipeline, destination, system: source.system, interval, fullRefresh, hasLog };
		return planTable(context, { ...selected, options: tableOptions }, table);
	});
	const tables = resolved.tables;
	const policy = await planPolicy(session, { options, interval, runId, tables, plans, summaries });
	const faults = [
		// A table without columns, such as an empty file in a folder, stops itself only, like one whose type is refused.
		...plans.flatMap(({ table, errors }) =>
			errors.filter((error) => error.code !== "E_TYPE_REFUSED" && table.columns.length > 0),
		),
		...intoCollisions(plans, destination),
		...policy.faults,
	];
	if (faults.length > 0) throw new HeadraceErrors(faults);
	const evolved = await evolvePlans(session, plans, available);
	const warnings = [...resolved.warnings.map((warning) => warning.message), ...evolved.warnings];
	return { tables: evolved.tables.map((plan) => withChangeColumns(plan, destination)), warnings, policy };
}

interface DescribedTables {
	readonly available: readonly TableName[];
	readonly resolved: Awaited<ReturnType<typeof resolve>>;
	readonly wanted: readonly SelectedTable[];
	readonly summaries: ReturnType<typeof selectTables>["summaries"];
	readonly chosen: readonly SelectedTable[];
	readonly filled: readonly Awaited<ReturnType<typeof fillTemplates>>[];
	readonly requests: readonly DescribeRequest[];
	readonly described: readonly SourceTable[];
}

/** The tables that the source has now and the run wants, as the source describes them. */
async function describeChosen(
	session: Session,
	options: PlanOptions,
	interval: RunInterval | null,
	runId: string,
	listsLeft = LISTS_MAX,
): Promise<DescribedTables> {
	const { pipeline, source } = session;
	const available = await source.listTables();
	const resolved = await resolve(pipeline, available, source);
	const { tables: wanted, summaries } = selectTables(resolved.tables, pipeline.summaries, options.tables);
	const chosen = withWholeLog(wanted, resolved.tables);
	const scope = { pipeline, source, interval, runId, params: options.params };
	const filled = await Promise.all(chosen.map((selected) => fillTemplates(scope, selected)));
	const requests: DescribeRequest[] = chosen.map((selected, index) => ({
		table: requestOf(selected, session, filled[index]?.query),
		types: { ...selected.options.types, overrides: overridesOf(selected) },
		...(selected.options.mode === "cdc" ? { forLog: true } : {}),
	}));
	let described: SourceTable[];
	try {
		described = await source.describe(requests);
	} catch (error) {
		// One that a pattern took is gone since: what the pattern takes now is another question.
		const areGone = toHeadraceErrors(error).every(({ code }) => code === "E_UNKNOWN_TABLE");
		if (!areGone || listsLeft <= 1 || sameNames(await source.listTables(), available)) throw error;
		return describeChosen(session, options, interval, runId, listsLeft - 1);
	}
	return { available, resolved, wanted, summaries, chosen, filled, requests, described };
}

function sameNames(a: readonly TableName[], b: readonly TableName[]): boolean {
	const names = (tables: readonly TableName[]) => tables.map(qualified).sort().join("\n");
	return names(a) === names(b);
}

/** A log is applied to all of its tables, or to none: who chooses one gets the others too. */
function withWholeLog(wanted: readonly SelectedTable[], all: readonly SelectedTable[]): readonly SelectedTable[] {
	const follows = ({ options }: SelectedTable) => options.mode === "cdc";
	if (!wanted.some(follows)) return wanted;
	return all.filter((table) => follows(table) || wanted.includes(table));
}

/** A table that follows a log, with the columns that this adds. */
function withChangeColumns(plan: TablePlan, destination: Destination): TablePlan {
	const { task } = plan;
	if (task === null || task.mode !== "cdc") return plan;
	const [write, deletes] = [task.write as ChangesWrite, task.deletes ?? "hard"] as const;
	const landing = { write, deletes, beforeImages: task.beforeImages === true };
	const added = columnsAdded(landing, destination).map(
		({ name, destinationType }): PlanColumn => ({
			name,
			source_type: "",
			destination_type: destinationType,
			fidelity: "exact",
			note: `added by ${write === "merge" ? `deletes: ${deletes}` : `write ${write}`}`,
		}),
	);
	return {
		...plan,
		task: { ...task, target: changeTarget(task.target, landing, destination) },
		columns: [...plan.columns, ...added],
		notes: added.length === 0 ? plan.notes : [...plan.notes, `adds ${added.map(({ name }) => name).join(", ")}`],
	};
}

/** The tables that the pipeline takes, without a question to the destination. */
export async function tablesOf({ pipeline, source }: Session): Promise<readonly SelectedTable[]> {
	return (await resolve(pipeline, await source.listTables(), source)).tables;
}

async function resolve(pipeline: CheckedPipeline, available: readonly TableName[], source: Source) {
	try {
		return resolveTables(pipeline, available, { defaultSchema: source.defaultSchema });
	} catch (error) {
		throw await withMissingRights(error, source);
	}
}

function requestOf(selected: SelectedTable, session: Session, query: string | undefined): DescribeRequest["table"] {
	if (query === undefined) return selected.source;
	if (!session.source.queries)
		throw new HeadraceError("E_UNSUPPORTED", `${session.pipeline.from.type} takes no queries`, selected.rule.place);
	return { name: selected.source, query };
}

function overridesOf(selected: SelectedTable) {
	const overrides = new Map(Object.entries(selected.options.types.overrides ?? {}));
	for (const [name, rule] of selected.options.columns) if (rule.type !== undefined) overrides.set(name, rule.type);
	return Object.fromEntries(overrides);
}

function intoCollisions(plans: readonly TablePlan[], destination: Destination): HeadraceError[] {
	const seen = new Map<string, string>();
	const errors: HeadraceError[] = [];
	for (const plan of plans) {
		const folded = JSON.stringify([destination.foldName(plan.into.schema), destination.foldName(plan.into.name)]);
		const other = seen.get(folded);
		if (other === undefined) seen.set(folded, plan.source);
		else
			errors.push(
				new HeadraceError("E_NAME_COLLISION", `${other} and ${plan.source} both go into ${qualified(plan.into)}`, {
					...plan.selected.rule.place,
					table: plan.source,
					hint: "Give one of them another name by `into:`.",
				}),
			);
	}
	return errors;
}
