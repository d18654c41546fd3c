import {
	type ApplyRequest,
	type ApplyResult,
	CHANGE_BASE_COLUMN,
	type ChangesPart,
	type ChangesWrite,
	changeColumns,
	crashPoint,
	type DestinationChanges,
	type LoadRequest,
	type LoadResult,
	loadOfPart,
	requireKey,
} from "../../core/index.ts";
import type { RedshiftOptions } from "./connect.ts";
import { ensureSchema, ensureTable, lockedShape, shape } from "./load.ts";
import type { LoadContext, Shape } from "./load-context.ts";
import { expectPosition, LOCK_POSITIONS, recordApply } from "./positions.ts";
import { stageName, stageRows } from "./stage.ts";
import { foldRequest, Place } from "./target-names.ts";
import { evolve, findColumn, type Relation, readRelation, refuseTooMany } from "./target-table.ts";
import { mapType } from "./target-types.ts";
import { expectStaged } from "./write.ts";
import { applyStaged, makeWhole, type StagedPart } from "./write-changes.ts";
import type { Writer } from "./writer.ts";

interface ChangesContext {
	readonly options: RedshiftOptions;
	/** A connection, once the control tables are there. */
	readonly open: (signal?: AbortSignal) => Promise<Writer>;
	/** Tidies tables after the commit. */
	readonly maintain: (writer: Writer, place: Place, result: LoadResult) => Promise<void>;
}

/**
 * Changes of a log: the rows of all parts are copied into temporary tables first, in the order of the parts, and tables
 * that are there get their columns; then one transaction brings all of them into their tables and moves the position.
 * So COPY holds no lock, and what Redshift runs outside of a transaction only (a longer VARCHAR) is in none.
 */
export class RedshiftChanges implements DestinationChanges {
	readonly writes: readonly ChangesWrite[] = ["merge", "append", "history"];
	readonly #context: ChangesContext;

	constructor(context: ChangesContext) {
		this.#context = context;
	}

	async apply(request: ApplyRequest): Promise<ApplyResult> {
		const loads = request.parts.map((part) => foldRequest(loadOfPart(request, part)));
		for (const { target } of loads) refuseTooMany(target);
		for (const part of request.parts) requireKey(part);
		const { options, open, maintain } = this.#context;
		await using writer = await open(request.signal);
		await expectPosition(writer.session, request);
		const staged: StagedPart[] = [];
		const shapes = new Map<string, Shape>();
		for (const [index, load] of loads.entries()) {
			const place = new Place(load.target.name);
			const stage = stageName(`_headrace_stage_${index}`);
			const context: LoadContext = { writer, options, place, target: load.target, request: load, stage };
			writer.table = load.target.name;
			const shaped = await shapeOf(context, shapes);
			const part = { ...request.parts[index]!, target: load.target };
			staged.push(await stagePart(context, shaped, part, index));
		}
		const result = await writer.transaction(async () => {
			await writer.execute(LOCK_POSITIONS);
			const begun = new Set<string>();
			const parts: LoadResult[] = [];
			for (const one of staged) {
				writer.table = one.part.target.name;
				await expectStaged(one.rows, one.rowsReceived);
				const shaped = await tableOf(one, begun.has(one.context.place.sql));
				begun.add(one.context.place.sql);
				parts.push(await applyStaged(one, shaped));
			}
			writer.table = undefined;
			await recordApply(writer, request, { parts });
			return { parts };
		});
		crashPoint("c10");
		for (const { place, counts } of totals(staged, result)) await maintain(writer, place, counts);
		return result;
	}
}

/** A table that is there gets the columns of its first part before the transaction; those of later parts come in it. */
async function shapeOf(context: LoadContext, shapes: Map<string, Shape>): Promise<Shape> {
	const { place, target } = context;
	const before = shapes.get(place.sql);
	if (before === undefined) {
		await ensureSchema(context);
		const shaped = await shape(context);
		shapes.set(place.sql, shaped);
		return shaped;
	}
	const { relation } = before;
	return { relation, rebuilt: [], typeOf: (name) => typeIn(relation, target, name) };
}

function typeIn(relation: Relation | null, target: LoadRequest["target"], name: string): string {
	const column = target.columns.find((other) => other.name === name)!;
	const found = (from: string | undefined) =>
		relation === null || from === undefined ? undefined : findColumn(relation, from);
	return (found(name) ?? found(column.renamedFrom))?.type ?? column.destinationType;
}

async function stagePart(context: LoadContext, shaped: Shape, part: ChangesPart, index: number): Promise<StagedPart> {
	const columns = changeColumns(part, (type) => mapType(type).destinationType);
	const own = new Set(part.target.columns.map(({ name }) => name));
	const typeOf = (name: string) => {
		if (own.has(name)) return shaped.typeOf(name);
		const base = part.target.key[Number(name.slice(CHANGE_BASE_COLUMN.length))];
		if (name.startsWith(CHANGE_BASE_COLUMN) && base !== undefined) return shaped.typeOf(base);
		return columns.find((column) => column.name === name)!.destinationType;
	};
	const target = { ...part.target, columns };
	const rows: LoadContext = { ...context, target, request: { ...context.request, target } };
	const rowsReceived = await stageRows(rows, { typeOf });
	const isFilled = part.partial && part.write !== "append" && rowsReceived > 0;
	const whole = isFilled ? await makeWhole(context, part, shaped, index) : null;
	return { part, context, shape: shaped, rows, rowsReceived, whole };
}

/**
 * The table as a part of the transaction finds it, made when it is missing. Columns that a later part of a table brings
 * are added or renamed here, which a transaction may do.
 * https://docs.aws.amazon.com/redshift/latest/dg/r_ALTER_TABLE.html
 */
async function tableOf({ context, shape: shaped }: StagedPart, isLater: boolean): Promise<Shape> {
	const { writer, place, target } = context;
	if (!isLater) {
		const locked = await lockedShape(context, shaped);
		await ensureTable(context, locked);
		return locked;
	}
	const relation = await readRelation(writer.session, place);
	if (relation === null) return shaped;
	for (const statement of evolve(place, relation, target, false).alter) await writer.execute(statement);
	return { ...shaped, relation: await readRelation(writer.session, place) };
}

/** What became of each table, over all its parts. */
function totals(
	staged: readonly StagedPart[],
	{ parts }: ApplyResult,
): readonly { readonly place: Place; readonly counts: LoadResult }[] {
	const byTable = new Map<string, { readonly place: Place; readonly counts: LoadResult }>();
	for (const [index, { context }] of staged.entries()) {
		const { place } = context;
		const before = byTable.get(place.sql)?.counts;
		const { rowsInserted, rowsUpdated, rowsDeleted, ...others } = parts[index]!;
		const counts = {
			...others,
			rowsInserted: rowsInserted + (before?.rowsInserted ?? 0),
			rowsUpdated: rowsUpdated + (before?.rowsUpdated ?? 0),
			rowsDeleted: rowsDeleted + (before?.rowsDeleted ?? 0),
		};
		byTable.set(place.sql, { place, counts });
	}
	return [...byTable.values()];
}
