import { crashPoint, HeadraceError, type LoadRequest, type LoadResult, qualified } from "../../core/index.ts";
import {
	type Comparison,
	countKeys,
	countMatches,
	createTable,
	deleteEqualFromStage,
	deleteFlagged,
	deleteFlaggedFromStage,
	deleteMatched,
	deleteMatchedFromStage,
	deleteSuperseded,
	duckdbDialect,
	findMatches,
	insertBeyondOverlap,
	insertStaged,
	type MergeTables,
	quotedPath,
	rangeCondition,
	updateMatched,
} from "../../sql/index.ts";
import { insertInput } from "./input.ts";
import { deleteInterval, type LoadContext, loadSuffix, onTable, resultOf, stageColumns, tagOf } from "./load.ts";
import { findColumn } from "./schema.ts";
import { comparisonOf, foldName } from "./types.ts";

/**
 * Rows by key, by way of a temporary stage: the newest row of each key replaces the one that is there. Rows that are
 * equal already are not written, so a merge of what is known changes nothing but the position.
 */
export async function merge(context: LoadContext): Promise<LoadResult> {
	const { session, request, target } = context;
	if (target.key.length === 0)
		throw new HeadraceError("E_KEY_REQUIRED", `merge into ${qualified(request.target.name)} needs a key`);
	const { orderColumn, deletedColumn } = request;
	const tables = tablesOf(context);
	const rowsReceived = await stage(context, tables);

	const { staged, keys, nulls } = await session.counts(countKeys(duckdbDialect, tables));
	if (nulls! > 0)
		throw new HeadraceError(
			"E_NULL_KEY",
			`${nulls} rows for ${qualified(request.target.name)} have NULL in the key (${target.key.join(", ")})`,
		);
	const rowsSuperseded = staged! - keys!;
	if (rowsSuperseded > 0) await session.execute(deleteSuperseded(duckdbDialect, tables, orderColumn));

	return onTable(context, async (existing) => {
		let rowsDeleted = await deleteInterval(context, existing);
		let flagged = 0;
		if (deletedColumn !== undefined) {
			rowsDeleted += await session.execute(deleteFlagged(duckdbDialect, tables, deletedColumn));
			flagged = await session.execute(deleteFlaggedFromStage(duckdbDialect, tables, deletedColumn));
		}
		await session.execute(findMatches(duckdbDialect, tables, comparisonsOf(request)));
		const { known, pairs } = await session.counts(countMatches(tables));
		// Rows that share a key, from before the table had one, become one row.
		if (pairs! > known!) await session.execute(`UPDATE ${tables.matches} SET same = FALSE`);
		await session.execute(deleteEqualFromStage(duckdbDialect, tables));
		const onlyOurs = existing.columns.every(({ name }) =>
			tables.columns.some((column) => foldName(column) === foldName(name)),
		);
		// A replaced row would lose what the load's columns do not hold, and a declared key forbids to replace it.
		if (onlyOurs && existing.key.length === 0) await session.execute(deleteMatched(duckdbDialect, tables));
		else {
			if (tables.columns.length > target.key.length) await session.execute(updateMatched(duckdbDialect, tables));
			await session.execute(deleteMatchedFromStage(duckdbDialect, tables));
		}
		await session.execute(insertStaged(duckdbDialect, tables), [], {
			columns: tables.columns,
			key: target.key,
		});
		const rowsInserted = keys! - flagged - known!;
		const result = resultOf({ rowsReceived, rowsInserted, rowsUpdated: known!, rowsDeleted, rowsSuperseded });
		await context.control.record(session, request, result);
		await dropStage(context, tables);
		return result;
	});
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
			await context.control.record(session, request, result);
			return result;
		});

	const tables = tablesOf(context);
	const rowsReceived = await stage(context, tables);
	return onTable(context, async (existing) => {
		const column = findColumn(existing.columns, overlap.column);
		if (column === undefined)
			throw new HeadraceError("E_UNKNOWN_COLUMN", `${qualified(request.target.name)} has no column ${overlap.column}`);
		const range = rangeCondition(duckdbDialect, column.name, column.destinationType, { from: overlap.from });
		const rowsInserted = await session.execute(
			insertBeyondOverlap(duckdbDialect, tables, range, comparisonsOf(request)),
		);
		const result = resultOf({ rowsReceived, rowsInserted, rowsSuperseded: rowsReceived - rowsInserted });
		await context.control.record(session, request, result);
		await dropStage(context, tables);
		return result;
	});
}

function tablesOf({ place, target, request }: LoadContext): MergeTables {
	const temporary = (name: string) => quotedPath(duckdbDialect, ["temp", "main", `${name}_${loadSuffix(request)}`]);
	return {
		target: place.sql,
		stage: temporary("stage"),
		matches: temporary("matches"),
		key: target.key,
		columns: target.columns.map((column) => column.name),
	};
}

/** The load's rows in a temporary table, in the order in which they came. */
async function stage(context: LoadContext, tables: MergeTables): Promise<number> {
	const { session, target, request, readableDirectories } = context;
	const constant = tagOf(request);
	const rows = await session.transaction(async () => {
		await session.execute(createTable(duckdbDialect, tables.stage, stageColumns(target), { temporary: true }));
		return insertInput({
			table: tables.stage,
			lanes: [session],
			request,
			readableDirectories,
			...(constant === undefined ? {} : { constant }),
		});
	});
	crashPoint("c08");
	return rows;
}

async function dropStage({ session }: LoadContext, tables: MergeTables): Promise<void> {
	for (const table of [tables.stage, tables.matches]) await session.execute(`DROP TABLE IF EXISTS ${table}`);
}

function comparisonsOf(request: LoadRequest): (column: string) => Comparison {
	const types = new Map(request.target.columns.map((column) => [column.name, column.type]));
	return (column) => {
		const type = types.get(column);
		return type === undefined ? "value" : comparisonOf(type);
	};
}
