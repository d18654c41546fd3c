import {
	crashPoint,
	type ExistingTable,
	HeadraceError,
	type LoadRequest,
	type LoadResult,
	qualified,
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
import { insertInput } from "./input.ts";
import { deleteInterval, type LoadContext, loadSuffix, onTable, resultOf, tagOf, verifyRows } from "./load.ts";
import { findColumn } from "./schema.ts";
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

	const stagedKey = target.key.map((name) => stageColumn(duckdbDialect, name));
	const { row_count, keys, nulls } = await session.counts(countKeys(duckdbDialect, tables.stage, stagedKey));
	if (nulls! > 0)
		throw new HeadraceError(
			"E_NULL_KEY",
			`${nulls} rows for ${qualified(request.target.name)} have NULL in the key (${target.key.join(", ")})`,
		);
	const rowsSuperseded = row_count! - keys!;
	if (rowsSuperseded > 0) await session.execute(deleteSuperseded(duckdbDialect, tables, orderColumn));

	return onTable(context, async (existing) => {
		let rowsDeleted = await deleteInterval(context, existing);
		let flagged = 0;
		if (deletedColumn !== undefined) {
			rowsDeleted += await session.execute(deleteFlagged(duckdbDialect, tables, deletedColumn));
			flagged = await session.execute(deleteFlaggedFromStage(duckdbDialect, tables, deletedColumn));
		}
		const { known, rowsUpdated } = await replaceKnown(context, tables, existing);
		await session.execute(insertStaged(duckdbDialect, tables), [], { columns: tables.columns, key: target.key });
		const rowsInserted = keys! - flagged - known;
		const result = resultOf({ rowsReceived, rowsInserted, rowsUpdated, rowsDeleted, rowsSuperseded });
		await verifyRows(context, place.sql);
		await context.control.record(session, request, result);
		await session.execute(`DROP TABLE ${tables.stage}`);
		return result;
	});
}

/** Leaves in the stage what is to be inserted; gives how many keys the target knows and how many of those rows change. */
async function replaceKnown(
	context: LoadContext,
	tables: MergeTables,
	existing: ExistingTable,
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
	if (known === known_rows)
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
async function stage(context: LoadContext, tables: MergeTables): Promise<number> {
	const { session, target, request, readableDirectories } = context;
	const constant = tagOf(request);
	const columnOf = (name: string) => stageColumn(duckdbDialect, name);
	// No constraint: what is wrong is told by the checks of the key and by the target.
	const columns = target.columns.map(({ name, destinationType }) => ({
		name: columnOf(name),
		type: destinationType,
		nullable: true,
	}));
	const rows = await session.transaction(async () => {
		await session.execute(createTable(duckdbDialect, tables.stage, columns, { temporary: true }));
		return insertInput({
			table: tables.stage,
			columnOf,
			lanes: [session],
			request,
			readableDirectories,
			...(constant === undefined ? {} : { constant }),
		});
	});
	crashPoint("c08");
	return rows;
}

function comparisonsOf(request: LoadRequest): (column: string) => Comparison {
	const types = new Map(request.target.columns.map((column) => [column.name, column.type]));
	return (column) => {
		const type = types.get(column);
		return type === undefined ? "value" : comparisonOf(type);
	};
}
