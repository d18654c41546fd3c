import {
	baseMissing,
	CHANGE_DELETED_COLUMN,
	type ChangesPart,
	DELETED_AT_COLUMN,
	HISTORY_COLUMNS,
	keepsDeleted,
	type LoadResult,
	repeatedKey,
} from "../../core/index.ts";
import {
	createTable,
	deleteAllRows,
	type MergeTables,
	SNOWFLAKE_IS_WHOLE,
	type SnowflakeVersions,
	snowflakeCloseVersions,
	snowflakeCountPartial,
	snowflakeCountUnfilled,
	snowflakeDeleteUnfilled,
	snowflakeDialect,
	snowflakeFillAbsent,
	snowflakeInsert,
	snowflakeInsertVersions,
	snowflakeMarkAll,
	snowflakeMerge,
} from "../../sql/index.ts";
import { copyRows, countKeys, type LoadContext, resultOf, stageColumns, stagePlace } from "./load.ts";
import { foldName } from "./names.ts";
import type { Relation } from "./table.ts";
import { comparisons } from "./write-merge.ts";

/** A part whose table is there, and whose rows have a place to go to. */
export interface ReadyPart {
	/** As it was given: names are not folded. */
	readonly part: ChangesPart;
	/** Of the table as the part has it, with its names as they are now. */
	readonly context: LoadContext;
	readonly relation: Relation;
	/** Of the rows: their columns are those of `changeColumns`. */
	readonly rows: LoadContext;
	/** Quoted name of a temporary table for the rows; null when they go straight into the table. */
	readonly stage: string | null;
	/** Quoted name of one for rows that are made whole; null when all are. */
	readonly whole: string | null;
}

const VERSIONS: SnowflakeVersions = {
	validFrom: foldName(HISTORY_COLUMNS.validFrom),
	validTo: foldName(HISTORY_COLUMNS.validTo),
	operation: foldName(HISTORY_COLUMNS.operation),
};

/** Makes the table for rows that are completed from the target, like their stage. Gives its quoted name. */
export async function createWhole(rows: LoadContext, relation: Relation): Promise<string> {
	const table = stagePlace(rows, "WHOLE");
	const columns = [...stageColumns(rows, relation), { name: SNOWFLAKE_IS_WHOLE, type: "BOOLEAN", nullable: false }];
	await rows.session.run(`DROP TABLE IF EXISTS ${table}`);
	await rows.session.run(createTable(snowflakeDialect, table, columns, { temporary: true }));
	return table;
}

/** One part of the changes within the transaction of all. */
export async function applyPart(ready: ReadyPart): Promise<LoadResult> {
	const { part, context, relation, rows, stage } = ready;
	const { session, place, target } = context;
	if (stage === null) {
		const received = await copyRows(rows, place.sql, relation, false);
		return resultOf({ rowsReceived: received, rowsInserted: received });
	}
	const written =
		part.write === "history" ? target.columns.filter(({ name }) => name !== VERSIONS.validTo) : target.columns;
	const tables: MergeTables = { target: place.sql, stage, key: target.key, columns: written.map(({ name }) => name) };
	const about = { table: place };
	const rowsReceived = await copyRows(rows, stage, null, true);
	if (part.write === "append") {
		const { missing } = await session.counts(snowflakeCountPartial(stage));
		if (missing! > 0) throw baseMissing(part.target, missing!);
		const { inserted } = await session.change(snowflakeInsert(place.sql, stage, tables.columns), [], about);
		return resultOf({ rowsReceived, rowsInserted: inserted });
	}
	const truncated = await truncate(ready);
	if (rowsReceived === 0)
		return resultOf({ rowsReceived, [part.write === "merge" ? "rowsDeleted" : "rowsUpdated"]: truncated });
	const { keys } = await countKeys(context, stage);
	const isMerge = part.write === "merge";
	const left = await completed(ready, tables, isMerge ? keys : rowsReceived);
	const whole = { ...tables, stage: ready.whole ?? stage };
	const rowsSuperseded = rowsReceived - left;
	if (!isMerge) {
		const ended = await session.change(snowflakeCloseVersions(whole, VERSIONS), [], about);
		const { inserted } = await session.change(snowflakeInsertVersions(whole, VERSIONS), [], about);
		return resultOf({ rowsReceived, rowsInserted: inserted, rowsUpdated: truncated + ended.updated, rowsSuperseded });
	}
	const changed = await session.change(
		snowflakeMerge({
			tables: whole,
			deletedColumn: CHANGE_DELETED_COLUMN,
			onConflict: "update",
			comparisonOf: comparisons(relation),
		}),
		[],
		about,
	);
	return resultOf({
		rowsReceived,
		rowsInserted: changed.inserted,
		rowsUpdated: changed.updated,
		rowsDeleted: truncated + changed.deleted,
		rowsSuperseded,
	});
}

/** Gives how many rows went, or got an end. DELETE, since TRUNCATE would commit. */
async function truncate({ part, context }: ReadyPart): Promise<number> {
	const { truncatedAt, write } = part;
	const { session, place } = context;
	if (truncatedAt === undefined) return 0;
	const marked = write === "history" ? VERSIONS.validTo : keepsDeleted(part) ? foldName(DELETED_AT_COLUMN) : null;
	const { deleted, updated } = await session.change(
		marked === null ? deleteAllRows(place.sql) : snowflakeMarkAll(place.sql, marked, truncatedAt),
		[],
		{ table: place },
	);
	return deleted + updated;
}

/**
 * Gives rows the columns that they do not tell, in the table of whole rows; gives how many rows there are then. `rows` is
 * how many there have to be.
 * @throws E_BASE_MISSING
 */
async function completed({ part, context, whole }: ReadyPart, tables: MergeTables, rows: number): Promise<number> {
	if (whole === null) return rows;
	const { session, target } = context;
	const names = target.columns.map(({ name }) => name);
	const versions = part.write === "history" ? VERSIONS : null;
	const { inserted } = await session.change(snowflakeFillAbsent(tables, whole, names, versions));
	if (inserted !== rows) throw repeatedKey(part.target);
	const { missing } = await session.counts(snowflakeCountUnfilled(whole));
	if (missing === 0) return rows;
	if (part.overlaps !== true) throw baseMissing(part.target, missing!);
	return rows - (await session.change(snowflakeDeleteUnfilled(whole))).deleted;
}
