import {
	type ChangesPosition,
	decodePosition,
	type Finding,
	qualified,
	type TargetTable,
	type Write,
} from "../core/index.ts";
import { CHANGES_STREAM, changesPosition, landingTask } from "../flow/index.ts";
import type { Plan, PlanOptions, PlanTable, RunInterval } from "./api.ts";
import { fixNotes } from "./fixes.ts";
import { maskNotes, planHooks, planSummaryTable } from "./plan-policy.ts";
import type { TablePlan } from "./planned-table.ts";
import { newRunId } from "./run-id.ts";
import type { Session } from "./session.ts";
import { planSession, type SessionPlan } from "./session-plan.ts";

/** What a run of the session would do, for people; changes nothing. */
export async function planOf(session: Session, options: PlanOptions, interval: RunInterval): Promise<Plan> {
	const { pipeline } = session;
	const planned = await planSession(session, options, interval, newRunId());
	const tables: PlanTable[] = [];
	const positions = new Map((await session.destination.positions(pipeline.name)).map((row) => [row.stream, row]));
	const changes = changesPosition(positions.get(CHANGES_STREAM) ?? { position: null });
	for (const plan of planned.tables) {
		const existing = await session.destination.describe(plan.into);
		const ddl = await ddlOf(session, plan);
		const { cursor, mode } = plan.selected.options;
		const position = positions.get(plan.source)?.position ?? null;
		tables.push({
			table: plan.source,
			into: qualified(plan.into),
			mode,
			write: plan.write,
			key: plan.key,
			estimated_rows: plan.table.estimatedRows ?? null,
			ddl,
			columns: plan.columns,
			change: existing === null ? "new" : ddl.length === 0 ? "same" : "changed",
			notes: [
				...(plan.task?.reading === "anew" ? [] : cursorNote(mode, cursor, position)),
				...followNote(session, plan, changes),
				...plan.notes,
				...(await fixNotes(session, plan)),
				...maskNotes(plan, positions.get(plan.task?.stream ?? plan.source)),
			],
			schema_changes: (plan.changes ?? []).map(({ column, change, action }) => ({ column, change, action })),
			...policyOf(planned, plan),
		});
	}
	for (const summary of planned.policy.summaries) tables.push(await planSummaryTable(session, summary));
	const findings: Finding[] = [
		...planned.warnings.map((message): Finding => ({ severity: "warning", message })),
		...(await logFindings(session, planned.tables)),
		...planned.tables.flatMap((plan) =>
			plan.errors.map(
				(error): Finding => ({
					severity: "error",
					message: `${plan.source} ${error.code} ${error.message}`,
					remedy: error.hint,
				}),
			),
		),
	];
	const hooks = planHooks(pipeline.hooks);
	return {
		pipeline: pipeline.name,
		from: pipeline.from.address,
		to: pipeline.to.address,
		tables,
		findings,
		...(hooks.length === 0 ? {} : { hooks }),
	};
}

function policyOf({ policy }: SessionPlan, plan: TablePlan): Pick<PlanTable, "checks" | "hooks"> {
	const checks = (policy.checks.get(plan.source) ?? []).map(({ name, severity }) => ({ name, severity }));
	const hooks = planHooks(plan.selected.rule.hooks);
	return { ...(checks.length === 0 ? {} : { checks }), ...(hooks.length === 0 ? {} : { hooks }) };
}

/** What the load will run to make the table fit its rows; columns that are fixed change before it. */
async function ddlOf({ destination }: Session, { task, fixes = [] }: TablePlan): Promise<string[]> {
	if (task === null) return [];
	// Versions of a row share its key.
	const lands: Write = task.write === "history" ? "append" : task.write;
	const write: Write = task.fullRefresh || task.reading === "anew" ? "replace" : lands;
	const { target } = landingTask(task, write);
	const fixed = new Set(fixes.map(({ column }) => column));
	const { destinationType } = destination.mapType({ kind: "text" });
	const text = { type: { kind: "text" }, destinationType } as const;
	const columns = target.columns.map((column) => (fixed.has(column.name) ? { ...column, ...text } : column));
	return [...fixDdl(destination, target, fixed), ...(await destination.planDdl({ ...target, columns }, write))];
}

function fixDdl({ sql }: Session["destination"], target: TargetTable, fixed: ReadonlySet<string>): string[] {
	if (sql === undefined) return [];
	return target.columns
		.filter(({ name }) => fixed.has(name))
		.map(
			({ name, destinationType }) =>
				`ALTER TABLE ${sql.relation(target.name)} ALTER COLUMN ${sql.quoteIdentifier(name)} SET DATA TYPE ${destinationType}`,
		);
}

/** Where a table that follows the change log stands. */
function followNote({ source }: Session, plan: TablePlan, changes: ChangesPosition | null): string[] {
	const { changeLog } = source;
	if (plan.selected.options.mode !== "cdc" || changeLog === undefined) return [];
	const known = changes?.tables[plan.source];
	const isRead = plan.task?.reading === "anew" || known === undefined || known.state === "loading";
	if (changes === null || isRead) return ["all rows are read first, then what the change log has after them"];
	if (known.state === "paused") return [`paused: \`headrace resume\` goes on`];
	return [`changes after ${changeLog.format(changes.at)}`];
}

/** What keeps changes of these tables out of the log, and what is to be known of them. */
async function logFindings({ source }: Session, plans: readonly TablePlan[]): Promise<Finding[]> {
	const tables = plans.filter(({ selected }) => selected.options.mode === "cdc").map(({ table }) => table);
	if (tables.length === 0 || source.changeLog === undefined) return [];
	return (await source.changeLog.check(tables)).filter(({ severity }) => severity !== "ok");
}

function cursorNote(mode: string, cursor: string | undefined, position: string | null): string[] {
	if (mode !== "incremental" || cursor === undefined) return [];
	if (position === null) return ["first run: everything is read"];
	const known = decodePosition(position);
	if (known.kind !== "cursor") return [`first run by ${cursor}: everything is read`];
	if (known.column !== cursor) return [`the position is of ${known.column}: everything is read, once, by ${cursor}`];
	return known.value === null ? [] : [`cursor ${cursor} >= ${known.value}`];
}
