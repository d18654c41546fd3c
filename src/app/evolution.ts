import { createHash } from "node:crypto";
import { type CheckedPipeline, hasInterval, matchesPattern, parsePattern } from "../config/index.ts";
import {
	type ColumnType,
	eachOf,
	encodeColumns,
	HeadraceError,
	HeadraceErrors,
	type PositionRow,
	parseColumnType,
	qualified,
	type RecordedSchema,
	type RunEvent,
	sameType,
	type TableName,
	typeName,
} from "../core/index.ts";
import {
	type Evolution,
	evolve,
	type KeptColumn,
	type LandingColumn,
	recordOf,
	type TableTask,
} from "../flow/index.ts";
import type { PlanColumn } from "./api.ts";
import { existingShape } from "./existing-shape.ts";
import { refusedFixes } from "./fixes.ts";
import type { TablePlan } from "./planned-table.ts";
import type { Session } from "./session.ts";
import { currentColumns } from "./table-columns.ts";
import { loadedIntervals, tableGone, withTableGone } from "./table-gone.ts";
import { masksOf } from "./table-masks.ts";

/** Tables that the destination is asked about at once. */
const LOOKUPS_AT_ONCE = 8;

/** What earlier runs of the pipeline left in the destination. */
interface Recorded {
	readonly schemas: ReadonlyMap<string, RecordedSchema>;
	readonly positions: readonly PositionRow[];
}

/**
 * The plans as they are to be carried out: what changed in the source's columns since the last load is decided by
 * `schema_changes`, before any table is touched. A change that stops a table is an error of its plan.
 */
export async function evolvePlans(
	session: Session,
	plans: readonly TablePlan[],
	available: readonly TableName[],
): Promise<{ readonly tables: TablePlan[]; readonly warnings: string[] }> {
	const { destination, pipeline } = session;
	const [schemas, positions] = await Promise.all([
		destination.schemas(pipeline.name),
		destination.positions(pipeline.name),
	]);
	const recorded = { schemas: new Map(schemas.map((schema) => [schema.stream, schema])), positions };
	const warnings = goneTables(session, schemas, available);
	const tables: TablePlan[] = [];
	for (const plan of plans) {
		if (plan.task === null || !isNewTable(session, plan, recorded)) {
			tables.push(plan);
			continue;
		}
		const { schemaChanges } = pipeline;
		if (schemaChanges === "fail") tables.push(stopped(plan, [`the table is new in the source`]));
		else
			warnings.push(
				`${plan.source} is new in the source; schema_changes: ${schemaChanges} leaves new tables out, unless the pipeline names them`,
			);
	}
	await eachOf(LOOKUPS_AT_ONCE, [...tables.entries()], async ([index, plan]) => {
		tables[index] = await evolvePlan(session, plan, recorded);
	});
	return { tables, warnings };
}

/** Under `fail` a change of one table stops the run before any of them is touched. @throws HeadraceErrors */
export function throwIfForbidden(pipeline: CheckedPipeline, plans: readonly TablePlan[]): void {
	if (pipeline.schemaChanges !== "fail") return;
	const errors = plans.flatMap((plan) => plan.errors.filter((error) => error.code === "E_SCHEMA"));
	if (errors.length > 0) throw new HeadraceErrors(errors);
}

/** What a run tells of the changes, table by table. */
export function changeNotices(plans: readonly TablePlan[], runId: string): RunEvent[] {
	return plans.flatMap(({ source, changes = [], gone }): RunEvent[] => [
		...(gone === undefined ? [] : [{ type: "notice", runId, level: "warn", table: source, message: gone } as const]),
		...changes.map(
			({ column, change, action, note, does }): RunEvent => ({
				type: "notice",
				runId,
				level: does === "nothing" ? "info" : "warn",
				table: source,
				message: `${column} ${change}: ${action}; ${note}`,
			}),
		),
	]);
}

/** The stream under which a table's columns are recorded: its intervals share it. */
const streamOf = (plan: TablePlan): string => qualified(plan.selected.source);

/** A table that a pattern takes and no earlier run has seen, though there were some. */
function isNewTable({ pipeline }: Session, plan: TablePlan, { schemas, positions }: Recorded): boolean {
	if (pipeline.schemaChanges === "evolve" || positions.length === 0) return false;
	const { rule, kind } = plan.selected;
	if (kind === "query" || parsePattern(rule.pattern).exact) return false;
	const stream = streamOf(plan);
	return !schemas.has(stream) && !positions.some((row) => row.stream === stream || row.stream.startsWith(`${stream}@`));
}

/** Tables that were loaded by a pattern and that the source no longer has. */
function goneTables({ pipeline }: Session, schemas: readonly RecordedSchema[], available: readonly TableName[]) {
	const there = new Set(available.map(qualified));
	const patterns = pipeline.tables.map((rule) => ({ rule, pattern: parsePattern(rule.pattern) }));
	return schemas.flatMap(({ stream }) => {
		if (there.has(stream)) return [];
		const dot = stream.indexOf(".");
		const name = { schema: stream.slice(0, Math.max(0, dot)), name: stream.slice(dot + 1) };
		const matching = patterns.filter(({ pattern }) => matchesPattern(pattern, name));
		const taken = matching.length > 0 && matching.every(({ rule, pattern }) => !rule.skip && !pattern.exact);
		return taken ? [`${stream} is no longer in the source; its rows stay in the destination`] : [];
	});
}

function stopped(plan: TablePlan, changes: readonly string[]): TablePlan {
	const error = new HeadraceError("E_SCHEMA", `${plan.source} changed in the source: ${changes.join("; ")}`, {
		...plan.selected.rule.place,
		table: plan.source,
		hint: `Take the change over by \`schema_changes: evolve\`, or by \`headrace run --full-refresh --table ${plan.source}\`.`,
	});
	return { ...plan, task: null, errors: [...plan.errors, error] };
}

async function evolvePlan(session: Session, plan: TablePlan, recorded: Recorded): Promise<TablePlan> {
	const { task } = plan;
	if (task === null) return plan;
	const { destination, pipeline } = session;
	const stream = streamOf(plan);
	const known = recorded.schemas.get(stream);
	const { current, key } = currentColumns(plan, task);
	const existing = task.fullRefresh ? null : await destination.describe(plan.into);
	if (existing === null) {
		const landing = current.map(({ name, target, type }): LandingColumn => ({ name, target, type }));
		const record = current.map((column) => recordOf(column, key, column.type));
		const gone = task.fullRefresh ? null : tableGone(plan, task, recorded.positions);
		const reading = gone?.readsAnew === true ? "anew" : "usual";
		const fresh = { decisions: [], landing, kept: [], reading, added: [], fixes: [], record } as const;
		const planned = applied(session, plan, task, fresh, { stream, known });
		return gone === null ? planned : withTableGone(planned, gone.message);
	}
	const intervals = loadedIntervals(stream, recorded.positions);
	const { options } = plan.selected;
	const evolution = evolve({
		policy: pipeline.schemaChanges,
		onTypeChange: options.onTypeChange,
		current,
		key,
		recorded: known?.columns ?? null,
		existing: existingShape(existing, destination),
		fold: (name) => destination.foldName(name),
		mode: task.mode,
		updates: task.write === "merge" && task.target.key.length > 0 && options.onConflict === "update",
		noSecondReading: noSecondReading(plan, task),
		needed: neededOf(task, key),
	});
	const stops = evolution.decisions.filter((decision) => decision.does === "stop");
	if (stops.length > 0)
		return {
			...stopped(
				plan,
				stops.map(({ column, change, note }) => `${column} ${change} (${note})`),
			),
			changes: stops,
		};
	const planned = applied(session, plan, task, evolution, { stream, known });
	const refused = refusedFixes(session, planned);
	if (refused.length > 0) return { ...planned, task: null, changes: [], errors: [...planned.errors, ...refused] };
	return planned.task?.reading === undefined || task.mode !== "interval"
		? planned
		: { ...planned, task: { ...planned.task, loadedIntervals: intervals } };
}

/** Why the intervals that were loaded before can't be read again with this run's; null when they can. */
function noSecondReading({ selected }: TablePlan, task: TableTask): string | null {
	if (task.mode !== "interval") return null;
	if (task.cursor === undefined) return "a table without a cursor can't be read again";
	// As written: what the plan has is filled in for this run's interval, and has no rows of another one.
	const { query, where } = selected.rule.options;
	const isOwn = [query, where].some((sql) => sql !== undefined && hasInterval(sql));
	return isOwn ? "its query asks for the rows of one interval only" : null;
}

/** Columns, by their names in the source, without which the task can't go on. */
function neededOf(task: TableTask, key: readonly string[]): string[] {
	const flag = task.target.columns.findIndex((column) => column.name === task.deletedColumn);
	return [...key, ...(task.cursor === undefined ? [] : [task.cursor]), ...(flag < 0 ? [] : [task.columns[flag]!.name])];
}

/** The plan with its columns as they land. */
function applied(
	{ destination }: Session,
	plan: TablePlan,
	task: TableTask,
	evolution: Evolution,
	{ stream, known }: { readonly stream: string; readonly known: RecordedSchema | undefined },
): TablePlan {
	const place = new Map(task.columns.map((column, index) => [column.name, index]));
	const landing = evolution.landing.filter((column) => column.discarded !== true);
	const discarded = evolution.landing.filter((column) => column.discarded === true);
	const destinationType = (column: LandingColumn) => {
		const planned = task.target.columns[place.get(column.name)!]!;
		return sameType(planned.type, column.type)
			? planned.destinationType
			: destination.mapType(column.type).destinationType;
	};
	const columns = [...landing, ...discarded].map((column) => task.columns[place.get(column.name)!]!);
	const targets = landing.map((column) => {
		const planned = task.target.columns[place.get(column.name)!]!;
		return {
			...planned,
			name: column.target,
			type: column.type,
			destinationType: destinationType(column),
			nullable: column.notNull === true ? false : planned.nullable,
			...(column.renamedFrom === undefined ? {} : { renamedFrom: column.renamedFrom }),
			...(column.fill === undefined ? {} : { fill: column.fill }),
		};
	});
	const nameOf = new Map(landing.map((column) => [task.target.columns[place.get(column.name)!]!.name, column.target]));
	const renamed = (name: string) => nameOf.get(name) ?? name;
	const kept = keptColumns(evolution, plan, destination);
	const target = { ...task.target, columns: targets, key: task.target.key.map(renamed) };
	const record = encodeColumns(evolution.record);
	const { masks, ...rest } = task;
	const read = new Set(columns.map((column) => column.name));
	const evolved: TableTask = {
		...rest,
		columns,
		...(masks === undefined ? {} : { masks: new Map([...masks].filter(([name]) => read.has(name))) }),
		target,
		...(task.targetCursor === undefined ? {} : { targetCursor: renamed(task.targetCursor) }),
		...(task.deletedColumn === undefined ? {} : { deletedColumn: renamed(task.deletedColumn) }),
		shape: {
			discarded: new Set(discarded.map((column) => column.name)),
			misfitsToNull: new Set(landing.filter((column) => column.misfit === "null").map((column) => column.name)),
			kept,
		},
		...(evolution.reading === "usual" || task.mode === "full" ? {} : { reading: evolution.reading }),
		...(evolution.added.length === 0 ? {} : { addedColumns: evolution.added }),
		...(known !== undefined && encodeColumns(known.columns) === record
			? {}
			: { schema: { stream, columns: evolution.record } }),
		schemaVersion: versionOf(task.schemaVersion, landing, discarded),
	};
	const planColumns = landing.map((column): PlanColumn => {
		const planned = plan.columns[place.get(column.name)!]!;
		return { ...planned, name: column.target, destination_type: destinationType(column) };
	});
	return {
		...plan,
		task: evolved,
		key: plan.key.map(renamed),
		columns: planColumns,
		changes: evolution.decisions,
		fixes: evolution.fixes,
		notes: [...plan.notes, ...notesOf(evolution, task)],
	};
}

function keptColumns({ kept }: Evolution, { selected }: TablePlan, destination: Session["destination"]): KeptColumn[] {
	return kept.map(({ name, source_type, target, landed }) => {
		const type: ColumnType = parseColumnType(landed) ?? { kind: "text" };
		const { destinationType } = destination.mapType(type);
		const isMasked =
			masksOf(selected, [{ name, type, nullable: true, nativeType: source_type, fidelity: "exact" }]).size > 0;
		return { name: target, type, nullable: true, destinationType, ...(isMasked ? {} : { source: name }) };
	});
}

function notesOf({ decisions, reading }: Evolution, { table, mode }: TableTask): string[] {
	const notes = decisions.map(({ column, change, action, note }) => `${column} ${change}: ${action}; ${note}`);
	const rows = table.estimatedRows === undefined ? "all rows" : `all ~${table.estimatedRows} rows`;
	if (mode !== "full" && reading === "again") notes.push(`${rows} are read once more and merged`);
	if (mode !== "full" && reading === "anew") notes.push(`${rows} are read into a new table`);
	return notes;
}

/** Names what is loaded: as planned, unless the table's columns differ from the source's. */
function versionOf(planned: string, landing: readonly LandingColumn[], discarded: readonly LandingColumn[]): string {
	// What stands behind the dot says how columns are masked.
	const [columns, ...masks] = planned.split(".");
	const shape = JSON.stringify([
		columns,
		landing.map(({ name, target, type, misfit }) => [name, target, typeName(type), misfit]),
		discarded.map(({ name }) => name),
	]);
	return [createHash("sha256").update(shape).digest("hex").slice(0, 12), ...masks].join(".");
}
