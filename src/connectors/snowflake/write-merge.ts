import { crashPoint, HeadraceError, type LoadResult, qualified } from "../../core/index.ts";
import { snowflakeInsert, snowflakeInsertBeyond, snowflakeMerge, snowflakeReplaceBeyond } from "../../sql/index.ts";
import { recordLoad } from "./control.ts";
import {
	copyRows,
	countKeys,
	createStage,
	deleteInterval,
	type LoadContext,
	overlapCondition,
	resultOf,
	stagePlace,
	tableFor,
	tablesOf,
	transaction,
	verify,
} from "./load.ts";
import { findColumn, type Relation } from "./table.ts";
import { comparisonOf } from "./types.ts";

/** Rows by key: the newest row of each key takes the place of the one that is there, all in one transaction. */
export async function merge(context: LoadContext): Promise<LoadResult> {
	const { session, request, target, place } = context;
	if (target.key.length === 0)
		throw new HeadraceError("E_KEY_REQUIRED", `merge into ${qualified(request.target.name)} needs a key`);
	const relation = await tableFor(context);
	const stage = await createStage(context, relation);
	const result = await transaction(context, async () => {
		const rowsReceived = await copyRows(context, stage, relation, true);
		const { rows, keys } = await countKeys(context, stage);
		const rowsDeleted = await deleteInterval(context, relation);
		const { orderColumn, deletedColumn } = request;
		const changed = await session.change(
			snowflakeMerge({
				tables: tablesOf(context, stage),
				...(orderColumn === undefined ? {} : { orderColumn }),
				...(deletedColumn === undefined ? {} : { deletedColumn }),
				onConflict: request.onConflict ?? "update",
				comparisonOf: comparisons(relation),
			}),
			[],
			{ table: place },
		);
		await verify(context, place.sql);
		const done = resultOf({
			rowsReceived,
			rowsInserted: changed.inserted,
			rowsUpdated: changed.updated,
			rowsDeleted: rowsDeleted + changed.deleted,
			rowsSuperseded: rows - keys,
		});
		await recordLoad(session, request, done);
		return done;
	});
	crashPoint("c10");
	await session.run(`DROP TABLE IF EXISTS ${stage}`);
	return result;
}

/** Rows added to those that are there; an interval's own rows go first, and an overlap's are not added again. */
export async function append(context: LoadContext): Promise<LoadResult> {
	const { session, request, place } = context;
	const relation = await tableFor(context);
	if (request.overlap !== undefined) return appendBeyond(context, relation);
	const result = await transaction(context, async () => {
		const rowsDeleted = await deleteInterval(context, relation);
		const received = await copyRows(context, place.sql, relation, false);
		await verify(context, place.sql);
		const done = resultOf({ rowsReceived: received, rowsInserted: received, rowsDeleted });
		await recordLoad(session, request, done);
		return done;
	});
	crashPoint("c10");
	return result;
}

async function appendBeyond(context: LoadContext, relation: Relation): Promise<LoadResult> {
	const { session, request, place, target } = context;
	const stage = await createStage(context, relation);
	const added = new Set(request.overlap!.added);
	const aside = stagePlace(context, "ASIDE");
	if (added.size > 0) {
		await session.run(`DROP TABLE IF EXISTS ${aside}`);
		await session.run(`CREATE TEMPORARY TABLE ${aside} LIKE ${place.sql}`);
	}
	const condition = overlapCondition(context, relation);
	const tables = tablesOf(context, stage);
	const same = comparisons(relation);
	const result = await transaction(context, async () => {
		const rowsReceived = await copyRows(context, stage, relation, true);
		let rowsInserted: number;
		if (added.size === 0)
			rowsInserted = (await session.change(snowflakeInsertBeyond(tables, condition, same))).inserted;
		else {
			const compared = target.columns.map(({ name }) => name).filter((name) => !added.has(name));
			const all = relation.columns.map(({ name }) => name);
			const [setAside, remove, putBack] = snowflakeReplaceBeyond(tables, aside, all, compared, condition, same);
			await session.run(setAside);
			const removed = (await session.change(remove)).deleted;
			const back = (await session.change(putBack)).inserted;
			await session.run(snowflakeInsert(place.sql, stage, tables.columns));
			rowsInserted = rowsReceived - (removed - back);
		}
		await verify(context, place.sql);
		const done = resultOf({ rowsReceived, rowsInserted, rowsSuperseded: rowsReceived - rowsInserted });
		await recordLoad(session, request, done);
		return done;
	});
	crashPoint("c10");
	for (const table of added.size > 0 ? [stage, aside] : [stage]) await session.run(`DROP TABLE IF EXISTS ${table}`);
	return result;
}

export function comparisons(relation: Relation) {
	return (column: string) => comparisonOf(findColumn(relation, column)?.type ?? "");
}
