import { HeadraceError, type LoadResult, qualified } from "../../core/index.ts";
import { deleteGone, insertAllStaged } from "../../sql/index.ts";
import { evolve, type LoadContext, resultOf, tableFor, verify } from "./load.ts";
import { recordLoad } from "./positions.ts";
import { analyzeStage, duplicateKey, stagedKeys, stageRows, tablesOf } from "./stage.ts";
import type { Relation } from "./target-table.ts";
import { mergeStaged } from "./write-merge.ts";

/**
 * The whole table's rows exchanged within it, in one transaction: for a table that others hold on to. With a key only
 * the rows that differ are touched; without, all are deleted and inserted.
 */
export async function replaceInPlace(context: LoadContext): Promise<LoadResult> {
	const { writer, place, request, target } = context;
	const there = await evolve(context);
	return writer.transaction(async () => {
		const relation = await tableFor(context, there);
		const rowsReceived = await stageRows(context, relation, { withoutFlagged: true, key: target.key });
		if (target.key.length > 0) {
			const { rows, keys } = await stagedKeys(context);
			if (keys < rows) throw duplicateKey(context);
			await analyzeStage(context);
		}
		if (rowsReceived === 0 && request.allowEmpty !== true) {
			const some = await writer.rows(`SELECT 1 FROM ${place.sql} LIMIT 1`);
			if (some.length > 0)
				throw new HeadraceError("E_EMPTY", `no rows came for ${qualified(request.target.name)}, which has some`);
		}
		const result = { ...(await exchange(context, relation)), rowsReceived };
		await verify(context, place.sql);
		await recordLoad(writer, request, result);
		return result;
	});
}

/** The rows of a stage instead of those of the table; nothing that a reader could wait for is locked. */
export async function exchange(context: LoadContext, relation: Relation, stage?: string): Promise<LoadResult> {
	const { writer, place, target } = context;
	const tables = tablesOf(context, stage);
	if (target.key.length === 0) {
		const rowsDeleted = await writer.execute(`DELETE FROM ${place.sql}`);
		return resultOf({ rowsReceived: 0, rowsInserted: await writer.execute(insertAllStaged(tables)), rowsDeleted });
	}
	const gone = await writer.execute(deleteGone(tables));
	const { inserted, updated, deleted } = await mergeStaged(context, relation, tables);
	return resultOf({ rowsReceived: 0, rowsInserted: inserted, rowsUpdated: updated, rowsDeleted: gone + deleted });
}
