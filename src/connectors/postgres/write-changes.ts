import {
	baseMissing,
	CHANGE_ABSENT_COLUMN,
	CHANGE_BASE_COLUMN,
	CHANGE_DELETED_COLUMN,
	type ChangesPart,
	crashPoint,
	HeadraceError,
	HISTORY_COLUMNS,
	keepsDeleted,
	type LoadResult,
} from "../../core/index.ts";
import {
	closeAllVersions,
	closeVersions,
	countNeedingBase,
	deleteAllRows,
	deleteBaseMissing,
	deleteFlaggedRows,
	deleteFlaggedStaged,
	deleteSuperseded,
	postgresDialect as dialect,
	fillAbsent,
	insertAllStaged,
	insertVersions,
	type KeyedChangesWrite,
	type MergeTables,
	markAllDeleted,
	maskedColumns,
	quotedList,
	selectMasks,
} from "../../sql/index.ts";
import { copyRows, type ExtraColumn } from "./copy-rows.ts";
import { type LoadContext, resultOf } from "./load.ts";
import { patiently } from "./lock-patience.ts";
import type { Session } from "./session.ts";
import { analyzeStaged, type Stages } from "./stage.ts";
import type { Place } from "./target-names.ts";
import { findColumn, type Relation } from "./target-table.ts";
import { mergeStaged } from "./write-merge.ts";

const BOOLEAN = { pgType: "boolean", spelled: "boolean", planned: "boolean" };
const TEXT = { pgType: "text", spelled: "text", planned: "text" };
/** Attempts at an index on a table that is there: writers of others wait for it, so it is not insisted on. */
const INDEX_ATTEMPTS = 3;

/** One part of the changes within the transaction of all. */
export async function applyPart(
	context: LoadContext,
	relation: Relation,
	part: ChangesPart,
	stages: Stages,
): Promise<LoadResult> {
	if (part.write === "append") return appendChanges(context, relation, part, stages);
	const write = part.write === "merge" ? mergeChanges : addVersions;
	return write(context, relation, part, stages);
}

/** The last change of each key counts. */
async function mergeChanges(
	context: LoadContext,
	relation: Relation,
	part: ChangesPart,
	stages: Stages,
): Promise<LoadResult> {
	const { writer, place, target } = context;
	const { truncatedAt } = part;
	const truncation = (at: string) =>
		keepsDeleted(part) ? markAllDeleted(dialect, place.sql, at) : deleteAllRows(place.sql);
	let rowsDeleted = truncatedAt === undefined ? 0 : await writer.execute(truncation(truncatedAt));
	const { tables, received: rowsReceived } = await stages.stage(context, relation, {
		key: target.key,
		extra: [{ name: CHANGE_DELETED_COLUMN, ...BOOLEAN }, ...baseColumns(context, relation, part)],
	});
	let rowsSuperseded = await writer.execute(deleteSuperseded(dialect, tables, undefined));
	if (part.partial) rowsSuperseded += await fill(context, tables, part, "merge");
	const { flagged } = await writer.counts(
		`SELECT count(*) AS flagged FROM ${tables.stage} WHERE ${dialect.quoteIdentifier(CHANGE_DELETED_COLUMN)}`,
	);
	if (flagged! > 0) {
		await analyzeStaged(context, tables, [...tables.key, CHANGE_DELETED_COLUMN]);
		rowsDeleted += await writer.execute(deleteFlaggedRows(tables, CHANGE_DELETED_COLUMN, "boolean"));
		await writer.execute(deleteFlaggedStaged(tables.stage, CHANGE_DELETED_COLUMN, "boolean"));
	}
	const { inserted, updated, deleted } = await mergeStaged(context, relation, tables);
	return resultOf({
		rowsReceived,
		rowsInserted: inserted,
		rowsUpdated: updated,
		rowsDeleted: rowsDeleted + deleted,
		rowsSuperseded,
	});
}

/** Each change is a version, and the end of the one before it. */
async function addVersions(
	whole: LoadContext,
	relation: Relation,
	part: ChangesPart,
	stages: Stages,
): Promise<LoadResult> {
	const { writer, place } = whole;
	const columns = whole.target.columns.filter(({ name }) => name !== HISTORY_COLUMNS.validTo);
	const context: LoadContext = { ...whole, target: { ...whole.target, columns } };
	const { truncatedAt } = part;
	let rowsUpdated =
		truncatedAt === undefined ? 0 : await writer.execute(closeAllVersions(dialect, place.sql, truncatedAt));
	const { tables, received: rowsReceived } = await stages.stage(context, relation, {
		key: context.target.key,
		extra: baseColumns(context, relation, part),
	});
	await analyzeStaged(context, tables, tables.key);
	const rowsSuperseded = part.partial ? await fill(whole, tables, part, "history") : 0;
	rowsUpdated += await writer.execute(closeVersions(dialect, tables));
	const rowsInserted = await writer.execute(insertVersions(dialect, tables));
	return resultOf({ rowsReceived, rowsInserted, rowsUpdated, rowsSuperseded });
}

/** Each change is a row. */
async function appendChanges(
	context: LoadContext,
	relation: Relation,
	part: ChangesPart,
	stages: Stages,
): Promise<LoadResult> {
	const { writer, place, target, request } = context;
	if (!part.partial) {
		const { received } = await copyRows(writer, { table: place.sql, relation, target, request });
		crashPoint("c08");
		return resultOf({ rowsReceived: received, rowsInserted: received });
	}
	const extra = [{ name: CHANGE_ABSENT_COLUMN, ...TEXT }];
	const { tables, received: rowsReceived } = await stages.stage(context, relation, { extra });
	const absent = dialect.quoteIdentifier(CHANGE_ABSENT_COLUMN);
	const { missing } = await writer.counts(`SELECT count(${absent}) AS missing FROM ${tables.stage}`);
	if (missing! > 0) throw baseMissing(target, missing!);
	await writer.execute(insertAllStaged(tables));
	return resultOf({ rowsReceived, rowsInserted: rowsReceived });
}

/** What a row that does not tell all its columns brings for those: which they are, and where the table has them. */
function baseColumns({ target }: LoadContext, relation: Relation, { partial }: ChangesPart): ExtraColumn[] {
	if (!partial) return [];
	const bases = target.key.map((name, place): ExtraColumn => {
		const { pgType, spelled } = findColumn(relation, name)!;
		const planned = target.columns.find((column) => column.name === name)!.destinationType;
		return { name: `${CHANGE_BASE_COLUMN}${place}`, pgType, spelled, planned };
	});
	return [{ name: CHANGE_ABSENT_COLUMN, ...TEXT }, ...bases];
}

/**
 * Takes what staged rows do not tell from the table; gives how many were left out.
 * @throws E_BASE_MISSING
 */
async function fill(
	context: LoadContext,
	tables: MergeTables,
	{ overlaps }: ChangesPart,
	write: KeyedChangesWrite,
): Promise<number> {
	const { writer, target } = context;
	const masks = (await writer.rows(selectMasks(dialect, tables, write))).map(([mask]) => mask!);
	const names = target.columns.map(({ name }) => name);
	const columns = maskedColumns(masks, names);
	if (columns.length === 0) return 0;
	const bases = tables.key.map((_name, place) => `${CHANGE_BASE_COLUMN}${place}`);
	await analyzeStaged(context, tables, [CHANGE_ABSENT_COLUMN, ...bases]);
	// Each row that has a base is filled once: the join need not be made another time to know whether all have one.
	const { needing } = await writer.counts(countNeedingBase(dialect, tables, write));
	const missing = needing! - (await writer.execute(fillAbsent(dialect, tables, write, columns)));
	if (missing === 0) return 0;
	if (overlaps !== true) throw baseMissing(target, missing);
	return writer.execute(deleteBaseMissing(dialect, tables, write));
}

/**
 * An index by which the current versions of keys are found; a history has one row more for each change, and reading all of
 * them each time would take ever longer. Where it can't be made the table is read.
 */
export async function makeCurrentIndex({ writer, place, target }: LoadContext): Promise<void> {
	try {
		await patiently(writer, () => writer.execute(currentIndexDdl(place, target.key)), INDEX_ATTEMPTS);
	} catch (error) {
		if (!(error instanceof HeadraceError) || error.code === "E_STOPPED" || error.code === "E_CONNECTION_LOST")
			throw error;
	}
}

export function currentIndexDdl(place: Place, key: readonly string[]): string {
	const current = `${dialect.quoteIdentifier(HISTORY_COLUMNS.validTo)} IS NULL`;
	return `CREATE UNIQUE INDEX ON ${place.sql} (${quotedList(dialect, key)}) WHERE ${current}`;
}

/** Whether some index begins with the columns of the key. */
export async function hasIndex(session: Session, relation: Relation, key: readonly string[]): Promise<boolean> {
	const rows = await session.rows(
		`SELECT pg_catalog.to_json(ARRAY(SELECT a.attname FROM pg_catalog.pg_attribute AS a
		   WHERE a.attrelid = i.indrelid AND a.attnum = ANY ((i.indkey::pg_catalog.int2[])[0:$2])))
		 FROM pg_catalog.pg_index AS i WHERE i.indrelid = $1 AND i.indisvalid AND i.indnkeyatts > $2`,
		[relation.oid, key.length - 1],
	);
	return rows.some(([names]) => {
		const columns = JSON.parse(names!) as string[];
		return columns.length === key.length && key.every((name) => columns.includes(name));
	});
}
