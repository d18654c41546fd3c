import { crashPoint, HeadraceError, type LoadResult, qualified } from "../../core/index.ts";
import {
	deleteChanged,
	deleteFlaggedRows,
	deleteFlaggedStaged,
	deleteRepeatedKeys,
	deleteReplacedRows,
	deleteSuperseded,
	insertAllStaged,
	insertBeyond,
	insertUnknown,
	type MergeTables,
	postgresDialect,
	quotedList,
	rangeCondition,
	updateChanged,
	upsertStaged,
} from "../../sql/index.ts";
import { copyRows } from "./copy-rows.ts";
import { columnOf, deleteInterval, evolve, type LoadContext, resultOf, tableFor, tagOf, verify } from "./load.ts";
import { patiently } from "./lock-patience.ts";
import { recordLoad } from "./positions.ts";
import { analyzeStage, stagedKeys, stageRows, tablesOf } from "./stage.ts";
import { comparisonOf, hasUniqueIndex, type Relation } from "./target-table.ts";

/** Attempts at a unique index on a table that is there: writers of others wait for it, so it is not insisted on. */
const INDEX_ATTEMPTS = 3;

/**
 * Rows by key, by way of a temporary stage: the newest row of each key takes the place of the one that is there. Rows
 * that are equal already are not written, so a merge of what is known changes nothing but the position.
 */
export async function merge(context: LoadContext): Promise<LoadResult> {
	const { writer, request, target, place } = context;
	if (target.key.length === 0)
		throw new HeadraceError("E_KEY_REQUIRED", `merge into ${qualified(request.target.name)} needs a key`);
	const { orderColumn, deletedColumn } = request;
	const there = await evolve(context);
	return writer.transaction(async () => {
		const relation = await tableFor(context, there);
		const tables = tablesOf(context);
		const rowsReceived = await stageRows(context, relation, { key: target.key });
		const { rows, keys } = await stagedKeys(context);
		if (keys < rows) await writer.execute(deleteSuperseded(postgresDialect, tables, orderColumn));
		let rowsDeleted = await deleteInterval(context, relation);
		if (deletedColumn !== undefined) {
			const { pgType } = columnOf(relation, deletedColumn, request);
			await analyzeStage(context);
			rowsDeleted += await writer.execute(deleteFlaggedRows(tables, deletedColumn, pgType));
			await writer.execute(deleteFlaggedStaged(tables.stage, deletedColumn, pgType));
		}
		const merged = await mergeStaged(context, relation, tables);
		rowsDeleted += merged.deleted;
		await verify(context, place.sql);
		const result = resultOf({
			rowsReceived,
			rowsInserted: merged.inserted,
			rowsUpdated: merged.updated,
			rowsDeleted,
			rowsSuperseded: rows - keys,
		});
		await recordLoad(writer, request, result);
		return result;
	});
}

/**
 * Staged rows, one a key, into the table: by ON CONFLICT where a unique index on the key is there or can be made. Where
 * not (keys that repeat in old rows or are too long, a table of another owner), and where another unique constraint
 * would be broken in passing, rows that differ are taken out and put in by key.
 */
export async function mergeStaged(
	context: LoadContext,
	relation: Relation,
	tables: MergeTables,
): Promise<{ readonly inserted: number; readonly updated: number; readonly deleted: number }> {
	const { writer, request } = context;
	const onConflict = request.onConflict ?? "update";
	const same = comparisonOf(relation);
	if (hasUniqueIndex(relation, tables.key) || (await makeUnique(context, tables)))
		try {
			const upsert = upsertStaged(tables, same, onConflict, relation.relkind === "p");
			const written = await writer.part(() => writer.counts(upsert));
			return { inserted: written["inserted"]!, updated: written["updated"]!, deleted: 0 };
		} catch (error) {
			if (!(error instanceof HeadraceError) || error.code !== "E_DUPLICATE_KEY") throw error;
		}
	await analyzeStage(context, tables.stage);
	const deleted = await writer.execute(deleteRepeatedKeys(tables));
	let updated = 0;
	let exchanged = 0;
	if (onConflict === "update" && tables.columns.length > tables.key.length) {
		if (await mustStay(context, relation, tables)) updated = await writer.execute(updateChanged(tables, same));
		else exchanged = await writer.execute(deleteChanged(tables, same));
	}
	const inserted = await writer.execute(insertUnknown(tables));
	return { inserted: inserted - exchanged, updated: updated + exchanged, deleted };
}

async function makeUnique({ writer, place }: LoadContext, { key }: MergeTables): Promise<boolean> {
	try {
		await patiently(
			writer,
			() => writer.execute(`CREATE UNIQUE INDEX ON ${place.sql} (${quotedList(postgresDialect, key)})`),
			INDEX_ATTEMPTS,
		);
		return true;
	} catch (error) {
		if (!(error instanceof HeadraceError) || error.code === "E_STOPPED" || error.code === "E_CONNECTION_LOST")
			throw error;
		return false;
	}
}

/** Rows that hold what the load's columns do not, or that other tables refer to, are changed where they are. */
async function mustStay({ writer }: LoadContext, relation: Relation, tables: MergeTables): Promise<boolean> {
	if (relation.columns.some(({ name, generated }) => !generated && !tables.columns.includes(name))) return true;
	const rows = await writer.rows(
		"SELECT 1 FROM pg_catalog.pg_constraint WHERE contype = 'f' AND confrelid = $1 LIMIT 1",
		[relation.oid],
	);
	return rows.length > 0;
}

/** Rows added to those that are there; an interval's own rows go first, and an overlap's are not added again. */
export async function append(context: LoadContext): Promise<LoadResult> {
	const { writer, place, request, target } = context;
	const { overlap } = request;
	const there = await evolve(context);
	return writer.transaction(async () => {
		const relation = await tableFor(context, there);
		let result: LoadResult;
		if (overlap === undefined) {
			const rowsDeleted = await deleteInterval(context, relation);
			const constant = tagOf(request);
			const { received } = await copyRows(writer, {
				table: place.sql,
				relation,
				target,
				request,
				...(constant === undefined ? {} : { constant }),
			});
			crashPoint("c08");
			result = resultOf({ rowsReceived: received, rowsInserted: received, rowsDeleted });
		} else result = await appendBeyond(context, relation, overlap);
		await verify(context, place.sql);
		await recordLoad(writer, request, result);
		return result;
	});
}

async function appendBeyond(
	context: LoadContext,
	relation: Relation,
	overlap: NonNullable<LoadContext["request"]["overlap"]>,
): Promise<LoadResult> {
	const { writer, request } = context;
	const { name, pgType } = columnOf(relation, overlap.column, request);
	const { from } = overlap;
	const range = from === null ? "TRUE" : rangeCondition(postgresDialect, name, pgType, { from });
	const rowsReceived = await stageRows(context, relation);
	const tables = tablesOf(context);
	const same = comparisonOf(relation);
	const added = new Set(overlap.added);
	let rowsInserted: number;
	if (added.size === 0) rowsInserted = await writer.execute(insertBeyond(tables, range, same));
	else {
		const compared = tables.columns.filter((column) => !added.has(column));
		rowsInserted = rowsReceived - (await writer.execute(deleteReplacedRows(tables, compared, range, same)));
		await writer.execute(insertAllStaged(tables));
	}
	return resultOf({ rowsReceived, rowsInserted, rowsSuperseded: rowsReceived - rowsInserted });
}
