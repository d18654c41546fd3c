import { createHash } from "node:crypto";
import type { CheckedPipeline, SelectedTable } from "../config/index.ts";
import {
	type ChangesWrite,
	type Destination,
	type Fidelity,
	HeadraceError,
	qualified,
	type SourceColumn,
	type SourceTable,
	type TargetColumn,
	type TypePolicy,
	typeName,
	type Write,
} from "../core/index.ts";
import {
	type ColumnMasks,
	columnsAdded,
	maskedSchemaVersion,
	maskedType,
	maskNote,
	type TableTask,
} from "../flow/index.ts";
import type { PlanColumn, RunInterval } from "./api.ts";
import { checkChangeModes } from "./change-modes.ts";
import type { TablePlan } from "./planned-table.ts";
import { checkChangeOptions } from "./table-columns.ts";
import { checkMasks, masksOf } from "./table-masks.ts";
import { checkModes, type Fault } from "./table-modes.ts";
import { notesOf, resumeNotes } from "./table-notes.ts";

interface PlanContext {
	readonly pipeline: CheckedPipeline;
	readonly destination: Destination;
	/** See Source.system. */
	readonly system: string | undefined;
	readonly interval: RunInterval | null;
	readonly fullRefresh: boolean;
	/** Whether the source has a change log. */
	readonly hasLog: boolean;
}

const LEAVE_OUT = "Leave it out by `skip`; an empty file is taken once it has a header or a row.";

/** Turns a described table and its options into a task. All faults are collected, none is thrown. */
export function planTable(context: PlanContext, selected: SelectedTable, table: SourceTable): TablePlan {
	const { options, rule } = selected;
	const errors: HeadraceError[] = [];
	const source = qualified(selected.source);
	const fault = (code: HeadraceError["code"], message: string, option: string, hint?: string) => {
		errors.push(
			new HeadraceError(code, message, {
				...(rule.places[option] ?? rule.place),
				table: source,
				...(hint === undefined ? {} : { hint }),
			}),
		);
	};
	if (table.columns.length === 0)
		fault("E_UNSUPPORTED", `${source} has no columns: there is nothing to load`, "columns", LEAVE_OUT);
	for (const name of rule.ownColumns)
		if (!table.columns.some((column) => column.name === name))
			fault(
				"E_UNKNOWN_COLUMN",
				`${source} has no column ${JSON.stringify(name)}`,
				`columns.${name}`,
				nearest(name, table),
			);

	const columns = table.columns.filter((column) => options.columns.get(column.name)?.drop !== true);
	const rename = new Map(columns.map((column) => [column.name, targetNameOf(selected, column)]));
	const masks = masksOf(selected, columns);

	const named = (names: readonly string[], option: string) =>
		names.filter((name) => {
			if (rename.has(name)) return true;
			fault(
				"E_UNKNOWN_COLUMN",
				`${source} has no column ${JSON.stringify(name)} for its ${option}`,
				option,
				nearest(name, table),
			);
			return false;
		});
	const sourceKey =
		options.key === undefined ? table.primaryKey.filter((name) => rename.has(name)) : named(options.key, "key");
	const wholeKey = options.key !== undefined || sourceKey.length === table.primaryKey.length;
	const key = wholeKey ? sourceKey.map((name) => rename.get(name) ?? name) : [];
	const cursor = options.cursor === undefined ? undefined : named([options.cursor], "cursor")[0];
	const deleted = options.deleted === undefined ? undefined : named([options.deleted], "deleted")[0];
	const distKey = options.distKey === undefined ? undefined : named([options.distKey], "dist_key")[0];
	const sortKey = options.sortKey === undefined ? undefined : named(options.sortKey, "sort_key");
	for (const [option, given] of [
		["dist_key", distKey],
		["sort_key", sortKey],
	] as const)
		if (given !== undefined && context.destination.system !== "redshift")
			fault("E_UNSUPPORTED", `${source}: ${option} is for Redshift`, option, "Leave it out.");
	const inTarget = (name: string) => rename.get(name) ?? name;
	const write: Write = options.write ?? (options.mode === "full" ? "replace" : key.length > 0 ? "merge" : "append");

	const following =
		options.mode === "cdc"
			? {
					write: write as ChangesWrite,
					deletes: options.deletes ?? "hard",
					beforeImages: options.beforeImages && write === "append",
				}
			: null;
	if (following === null) checkModes(context, selected, columns, { cursor, write, key }, fault);
	else checkChangeModes(context, selected, table, { write, key }, fault);
	checkMasks(selected, masks, { cursor, deleted, key: sourceKey }, fault);
	checkChangeOptions(selected, table, { write }, fault);
	const { planned, targets } = mapColumns(context, selected, columns, { rename, masks }, fault);
	const added = following === null ? [] : columnsAdded(following, context.destination);
	for (const message of collisions([...targets, ...added], context.destination))
		fault("E_NAME_COLLISION", `${source}: ${message}`, "columns");

	const task: TableTask | null =
		errors.length > 0
			? null
			: {
					stream: streamOf(selected, context.interval),
					table,
					columns,
					types: options.types,
					...(masks.size === 0 ? {} : { masks }),
					target: {
						name: selected.into,
						columns: targets,
						key,
						...(distKey === undefined ? {} : { distKey: inTarget(distKey) }),
						...(sortKey === undefined ? {} : { sortKey: sortKey.map(inTarget) }),
					},
					mode: options.mode,
					write,
					...(cursor === undefined ? {} : { cursor, targetCursor: rename.get(cursor) ?? cursor }),
					...(options.lateMs === undefined ? {} : { lateMs: options.lateMs }),
					...(options.overlapMs === undefined ? {} : { overlapMs: options.overlapMs }),
					...(deleted === undefined ? {} : { deletedColumn: rename.get(deleted) ?? deleted }),
					...(options.where === undefined ? {} : { where: options.where }),
					...(options.mode === "interval" && context.interval !== null
						? { interval: utcInterval(context.interval) }
						: {}),
					...(following === null ? {} : { deletes: following.deletes }),
					...(following?.beforeImages === true ? { beforeImages: true } : {}),
					...(options.onConflict === "ignore" ? { onConflict: options.onConflict } : {}),
					allowEmpty: options.allowEmpty,
					resume: options.resume,
					fullRefresh: context.fullRefresh && options.mode !== "interval",
					schemaVersion: maskedSchemaVersion(schemaVersionOf([...targets, ...added]), masks, sourceKey),
					timezone: context.pipeline.timezone,
				};
	return {
		source,
		into: selected.into,
		task,
		selected,
		table,
		write,
		key,
		columns: planned,
		notes: [...notesOf(selected, table, { write, key, cursor }), ...resumeNotes(context, selected, table, write)],
		errors,
	};
}

function mapColumns(
	context: PlanContext,
	selected: SelectedTable,
	columns: readonly SourceColumn[],
	{ rename, masks }: { readonly rename: ReadonlyMap<string, string>; readonly masks: ColumnMasks },
	fault: Fault,
): { readonly planned: PlanColumn[]; readonly targets: TargetColumn[] } {
	const planned: PlanColumn[] = [];
	const targets: TargetColumn[] = [];
	for (const column of columns) {
		const mask = masks.get(column.name);
		const type = mask === undefined ? column.type : maskedType(mask, column.type);
		const mapping = context.destination.mapType(
			type,
			mask === undefined ? nativeOf(context, selected, column) : undefined,
			mask === undefined ? column.nativeType : undefined,
		);
		const fidelity = worse(worse(column.fidelity, mapping.fidelity), mask === undefined ? "exact" : "lossy");
		const note = [column.note, mapping.note, mask && maskNote(mask)].filter((text) => text !== undefined).join("; ");
		const name = rename.get(column.name) ?? column.name;
		planned.push({
			name,
			source_type: column.nativeType,
			destination_type: mapping.destinationType,
			fidelity,
			note: note === "" ? null : note,
		});
		if (fidelity === "refused")
			fault(
				"E_TYPE_REFUSED",
				`column ${column.name} ${column.nativeType}: ${note === "" ? "no exact type here" : note}`,
				`columns.${column.name}`,
				`Add \`columns: { ${column.name}: { type: text } }\` (exact), or \`types: { mode: lenient }\`.`,
			);
		targets.push({
			name,
			type,
			nullable:
				column.nullable || mask?.kind === "null" || mayBecomeNull(context.pipeline, column, selected.options.types),
			destinationType: mapping.destinationType,
			...(column.defaultSql === undefined || mask !== undefined ? {} : { defaultSql: column.defaultSql }),
		});
	}
	return { planned, targets };
}

/** The source's own type, where the destination is of the same kind and nothing in the pipeline asks for another. */
function nativeOf({ system, destination }: PlanContext, { options }: SelectedTable, column: SourceColumn) {
	if (system === undefined || system !== destination.system || options.types.mode !== "exact") return undefined;
	return options.types.overrides !== undefined && Object.hasOwn(options.types.overrides, column.name)
		? undefined
		: column.nativeType;
}

/** Types that every value fits into: no policy makes a NULL of one. */
const KEEPS_ALL = new Set<string>(["text", "json", "binary", "list", "uuid"]);

/** A policy that turns values into NULL must not meet a NOT NULL column. */
function mayBecomeNull(pipeline: CheckedPipeline, column: SourceColumn, types: TypePolicy): boolean {
	const { kind } = column.type;
	const time = kind === "date" || kind === "timestamp" || kind === "timestamptz";
	if (pipeline.from.type === "mysql" && time && types.zeroDate === "null") return true;
	return !KEEPS_ALL.has(kind) && [types.nan, types.infinity, types.outOfRange].includes("null");
}

const FIDELITIES: readonly Fidelity[] = ["exact", "lossy", "refused"];

function worse(a: Fidelity, b: Fidelity): Fidelity {
	return FIDELITIES.indexOf(a) >= FIDELITIES.indexOf(b) ? a : b;
}

function targetNameOf(selected: SelectedTable, column: SourceColumn): string {
	return selected.options.columns.get(column.name)?.rename ?? column.name;
}

function collisions(targets: readonly TargetColumn[], destination: Destination): string[] {
	const seen = new Map<string, string>();
	const messages: string[] = [];
	for (const { name } of targets) {
		const folded = destination.foldName(name);
		const other = seen.get(folded);
		if (other === undefined) seen.set(folded, name);
		else messages.push(`columns ${JSON.stringify(other)} and ${JSON.stringify(name)} are one name in the destination`);
	}
	return messages;
}

function nearest(name: string, table: SourceTable): string | undefined {
	const wanted = name.toLowerCase();
	const close = table.columns.find((column) => column.name.toLowerCase() === wanted);
	if (close !== undefined) return `Did you mean ${JSON.stringify(close.name)}?`;
	const names = table.columns.slice(0, 12).map((column) => column.name);
	return `It has: ${names.join(", ")}${table.columns.length > 12 ? ", …" : ""}.`;
}

/** The position row's name: the table; for an interval also its start, so that intervals don't wait for each other. */
function streamOf(selected: SelectedTable, interval: RunInterval | null): string {
	const name = qualified(selected.source);
	return selected.options.mode === "interval" && interval !== null ? `${name}@${interval.start}` : name;
}

function utcInterval(interval: RunInterval): { start: string; end: string } {
	const text = (iso: string) => iso.slice(0, 19).replace("T", " ");
	return { start: text(interval.start), end: text(interval.end) };
}

function schemaVersionOf(columns: readonly TargetColumn[]): string {
	const shape = columns.map((column) => `${JSON.stringify(column.name)} ${typeName(column.type)}`).join(",");
	return createHash("sha256").update(shape).digest("hex").slice(0, 12);
}
