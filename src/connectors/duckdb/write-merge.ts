import {
	crashPoint,
	type ExistingTable,
	HeadraceError,
	type LoadRequest,
	type LoadResult,
	qualified,
	type TargetColumn,
} from "../../core/index.ts";
import { mergeStaged, stagedKeys } from "../../engine/index.ts";
import {
	type Comparison,
	createTable,
	deleteReplaced,
	deleteSuperseded,
	duckdbDialect,
	insertBeyondOverlap,
	insertStaged,
	type MergeTables,
	quotedPath,
	rangeCondition,
	stageColumn,
} from "../../sql/index.ts";
import { type IntoTable, insertInput } from "./input.ts";
import { deleteInterval, type LoadContext, loadSuffix, onTable, resultOf, tagOf, verifyRows } from "./load.ts";
import { findColumn } from "./schema.ts";
import type { Session } from "./session.ts";
import { comparisonOf, foldName } from "./types.ts";

/**
 * Rows by key, by way of a temporary stage: the newest row of each key replaces the one that is there. Rows that are
 * equal already are not written, so a merge of what is known changes nothing but the position.
 */
export async function merge(context: LoadContext): Promise<LoadResult> {
	const { session, place, request, target } = context;
	if (target.key.length === 0)
		throw new HeadraceError("E_KEY_REQUIRED", `merge into ${qualified(request.target.name)} needs a key`);
	const { orderColumn, deletedColumn } = request;
	const tables = tablesOf(context);
	const rowsReceived = await stage(context, tables);

	const { row_count, keys } = await stagedKeys(session, tables, target.name);
	const rowsSuperseded = row_count! - keys!;
	if (rowsSuperseded > 0) await session.execute(deleteSuperseded(duckdbDialect, tables, orderColumn));

	return onTable(context, async (existing) => {
		const cleared = await deleteInterval(context, existing);
		const merged = await mergeStaged(session, tables, {
			keys: keys!,
			deletedColumn,
			...(request.onConflict === undefined ? {} : { onConflict: request.onConflict }),
			hasMore: hasMoreColumns(existing, tables),
			comparisonOf: comparisonsOf(request),
		});
		const rowsDeleted = cleared + merged.rowsDeleted;
		const result = resultOf({ rowsReceived, ...merged, rowsDeleted, rowsSuperseded });
		await verifyRows(context, place.sql);
		await context.control.record(session, request, result);
		await session.execute(`DROP TABLE ${tables.stage}`);
		return result;
	});
}

/** Whether a table has columns that a stage does not bring. */
export function hasMoreColumns(existing: ExistingTable, { columns }: Pick<MergeTables, "columns">): boolean {
	const staged = new Set(columns.map(foldName));
	return existing.columns.some(({ name }) => !staged.has(foldName(name)));
}

/** Rows added to those that are there; an interval's own rows go first, and an overlap's are not added again. */
export async function append(context: LoadContext): Promise<LoadResult> {
	const { session, place, request, readableDirectories } = context;
	const { overlap } = request;
	const constant = tagOf(request);
	if (overlap === undefined)
		return onTable(context, async (existing) => {
			const rowsDeleted = await deleteInterval(context, existing);
			const rowsReceived = await insertInput({
				table: place.sql,
				lanes: [session],
				request,
				readableDirectories,
				...(constant === undefined ? {} : { constant }),
			});
			crashPoint("c08");
			const result = resultOf({ rowsReceived, rowsInserted: rowsReceived, rowsDeleted });
			await verifyRows(context, place.sql);
			await context.control.record(session, request, result);
			return result;
		});

	const tables = tablesOf(context);
	const rowsReceived = await stage(context, tables);
	return onTable(context, async (existing) => {
		const column = findColumn(existing.columns, overlap.column);
		if (column === undefined)
			throw new HeadraceError("E_UNKNOWN_COLUMN", `${qualified(request.target.name)} has no column ${overlap.column}`);
		const { from } = overlap;
		const range = from === null ? "TRUE" : rangeCondition(duckdbDialect, column.name, column.destinationType, { from });
		const rowsInserted = await insertOverlapping(context, tables, range, rowsReceived);
		const result = resultOf({ rowsReceived, rowsInserted, rowsSuperseded: rowsReceived - rowsInserted });
		await verifyRows(context, place.sql);
		await context.control.record(session, request, result);
		await session.execute(`DROP TABLE ${tables.stage}`);
		return result;
	});
}

/** Adds what the overlap does not have already; gives how many rows are new. */
async function insertOverlapping(
	{ session, request }: LoadContext,
	tables: MergeTables,
	range: string,
	rowsReceived: number,
): Promise<number> {
	const added = new Set(request.overlap?.added);
	const comparisons = comparisonsOf(request);
	if (added.size === 0) return session.execute(insertBeyondOverlap(duckdbDialect, tables, range, comparisons));
	const compared = tables.columns.filter((name) => !added.has(name));
	const replaced = await session.execute(deleteReplaced(duckdbDialect, tables, compared, range, comparisons));
	await session.execute(insertStaged(duckdbDialect, tables));
	return rowsReceived - replaced;
}

function tablesOf({ place, target, request }: LoadContext): MergeTables {
	return {
		target: place.sql,
		stage: quotedPath(duckdbDialect, ["temp", "main", `stage_${loadSuffix(request)}`]),
		key: target.key,
		columns: target.columns.map((column) => column.name),
	};
}

/** The load's rows in a temporary table, in the order in which they came. */
async function stage({ session, target, request, readableDirectories }: LoadContext, tables: MergeTables) {
	const constant = tagOf(request);
	const rows = await stageInput(session, tables.stage, target.columns, {
		request,
		readableDirectories,
		...(constant === undefined ? {} : { constant }),
	});
	crashPoint("c08");
	return rows;
}

/** Rows in a temporary table of these columns, in the order in which they came; gives how many there were. */
export async function stageInput(
	session: Session,
	table: string,
	targetColumns: readonly TargetColumn[],
	input: Pick<IntoTable, "request" | "readableDirectories" | "constant">,
): Promise<number> {
	const columnOf = (name: string) => stageColumn(duckdbDialect, name);
	// No constraint: what is wrong is told by the checks of the key and by the target.
	const columns = targetColumns.map(({ name, destinationType }) => ({
		name: columnOf(name),
		type: destinationType,
		nullable: true,
	}));
	return session.transaction(async () => {
		await session.execute(createTable(duckdbDialect, table, columns, { temporary: true }));
		return insertInput({ ...input, table, columnOf, lanes: [session] });
	});
}

function comparisonsOf(request: Pick<LoadRequest, "target">): (column: string) => Comparison {
	const types = new Map(request.target.columns.map((column) => [column.name, column.type]));
	return (column) => {
		const type = types.get(column);
		return type === undefined ? "value" : comparisonOf(type);
	};
}
