import {
	crashPoint,
	type ExistingTable,
	HeadraceError,
	type LoadRequest,
	type LoadResult,
	qualified,
	type TargetColumn,
	type TargetTable,
} from "../../core/index.ts";
import {
	type Comparison,
	countKeys,
	countKnown,
	createTable,
	deleteEqualFromStage,
	deleteFlagged,
	deleteFlaggedFromStage,
	deleteKnown,
	deleteKnownFromStage,
	deleteReplaced,
	deleteSuperseded,
	duckdbDialect,
	insertBeyondOverlap,
	insertStaged,
	type MergeTables,
	quotedPath,
	rangeCondition,
	stageColumn,
	updateKnown,
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

	const { row_count, keys } = await stagedKeys(session, tables, target);
	const rowsSuperseded = row_count! - keys!;
	if (rowsSuperseded > 0) await session.execute(deleteSuperseded(duckdbDialect, tables, orderColumn));

	return onTable(context, async (existing) => {
		const cleared = await deleteInterval(context, existing);
		const merged = await mergeStaged({ session, target, request }, tables, existing, {
			keys: keys!,
			deletedColumn,
			mayBeEqual: true,
		});
		const rowsDeleted = cleared + merged.rowsDeleted;
		const result = resultOf({ rowsReceived, ...merged, rowsDeleted, rowsSuperseded });
		await verifyRows(context, place.sql);
		await context.control.record(session, request, result);
		await session.execute(`DROP TABLE ${tables.stage}`);
		return result;
	});
}

/** How many rows and keys are staged. @throws E_NULL_KEY */
export async function stagedKeys(
	session: Session,
	{ stage, key }: Pick<MergeTables, "stage" | "key">,
	target: TargetTable,
): Promise<Record<string, number>> {
	const names = key.map((name) => stageColumn(duckdbDialect, name));
	const counts = await session.counts(countKeys(duckdbDialect, stage, names));
	if (counts["nulls"]! > 0)
		throw new HeadraceError(
			"E_NULL_KEY",
			`${counts["nulls"]} rows for ${qualified(target.name)} have NULL in the key (${key.join(", ")})`,
		);
	return counts;
}

/** What a merge of staged rows works with. */
export interface MergeContext {
	readonly session: Session;
	readonly target: TargetTable;
	readonly request: Pick<LoadRequest, "target" | "onConflict">;
}

/**
 * Staged rows, one for each of `keys` keys, into the table, in the caller's transaction. Only where they `mayBeEqual` to
 * those that are there is it looked for: all columns are compared, which takes a third of a merge's time.
 */
export async function mergeStaged(
	context: MergeContext,
	tables: MergeTables,
	existing: ExistingTable,
	staged: { readonly keys: number; readonly deletedColumn: string | undefined; readonly mayBeEqual: boolean },
): Promise<Pick<LoadResult, "rowsInserted" | "rowsUpdated" | "rowsDeleted">> {
	const { session, target } = context;
	const { keys, deletedColumn, mayBeEqual } = staged;
	let rowsDeleted = 0;
	let flagged = 0;
	if (deletedColumn !== undefined) {
		rowsDeleted = await session.execute(deleteFlagged(duckdbDialect, tables, deletedColumn));
		flagged = await session.execute(deleteFlaggedFromStage(duckdbDialect, tables, deletedColumn));
	}
	const { known, rowsUpdated } = await replaceKnown(context, tables, existing, mayBeEqual);
	await session.execute(insertStaged(duckdbDialect, tables), [], { columns: tables.columns, key: target.key });
	return { rowsInserted: keys - flagged - known, rowsUpdated, rowsDeleted };
}

/** Leaves in the stage what is to be inserted; gives how many keys the target knows and how many of those rows change. */
async function replaceKnown(
	context: MergeContext,
	tables: MergeTables,
	existing: ExistingTable,
	mayBeEqual: boolean,
): Promise<{ readonly known: number; readonly rowsUpdated: number }> {
	const { session, target, request } = context;
	const { known, known_rows } = await session.counts(countKnown(duckdbDialect, tables));
	if (known === 0) return { known: 0, rowsUpdated: 0 };
	if (request.onConflict === "ignore") {
		await session.execute(deleteKnownFromStage(duckdbDialect, tables));
		return { known: known!, rowsUpdated: 0 };
	}
	let equal = 0;
	// Rows that share a key, from before the table had one, become one row: then an equal one is not enough.
	if (mayBeEqual && known === known_rows)
		equal = await session.execute(deleteEqualFromStage(duckdbDialect, tables, comparisonsOf(request)));
	const onlyOurs = existing.columns.every(({ name }) =>
		tables.columns.some((column) => foldName(column) === foldName(name)),
	);
	// A row that is replaced would lose what the load's columns do not hold.
	if (onlyOurs) await session.execute(deleteKnown(duckdbDialect, tables));
	else {
		if (tables.columns.length > target.key.length) await session.execute(updateKnown(duckdbDialect, tables));
		await session.execute(deleteKnownFromStage(duckdbDialect, tables));
	}
	return { known: known!, rowsUpdated: known! - equal };
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
