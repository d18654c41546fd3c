import {
	baseMissing,
	CHANGE_DELETED_COLUMN,
	type ChangesPart,
	HISTORY_COLUMNS,
	keepsDeleted,
	type LoadResult,
	repeatedKey,
} from "../../core/index.ts";
import {
	closeAllVersions,
	deleteAllRows,
	markAllDeleted,
	REDSHIFT_IS_WHOLE,
	type RedshiftMerge,
	redshiftCloseVersions,
	redshiftCountFlagged,
	redshiftCountKeys,
	redshiftCountPartial,
	redshiftCountUnfilled,
	redshiftDeleteFlagged,
	redshiftDeleteFlaggedStaged,
	redshiftDeleteKnown,
	redshiftDeleteKnownStaged,
	redshiftDeleteSuperseded,
	redshiftDeleteUnfilled,
	redshiftDialect,
	redshiftFillAbsent,
	redshiftInsertStaged,
	redshiftInsertVersions,
	redshiftUpdateKnown,
} from "../../sql/index.ts";
import { mergeOf, resultOf } from "./load.ts";
import type { LoadContext, Shape } from "./load-context.ts";
import { type StageColumn, stageDdl, stageName } from "./stage.ts";
import { nullKey } from "./write.ts";

/** A part whose rows are in a stage of the session. */
export interface StagedPart {
	readonly part: ChangesPart;
	/** Of the table, as the part wants it. */
	readonly context: LoadContext;
	readonly shape: Shape;
	/** Of the rows: their columns are those of `changeColumns`. */
	readonly rows: LoadContext;
	readonly rowsReceived: number;
	/** Quoted name of a table for rows that are made whole; null when all are. */
	readonly whole: string | null;
}

/** Makes the table for rows that are completed from the target: with its types. Gives its quoted name. */
export async function makeWhole(
	{ writer }: LoadContext,
	part: ChangesPart,
	{ typeOf }: Shape,
	index: number,
): Promise<string> {
	const table = stageName(`_headrace_whole_${index}`);
	const columns: StageColumn[] = writtenColumns(part).map((name) => ({ name, type: typeOf(name) }));
	if (part.write === "merge") columns.push({ name: CHANGE_DELETED_COLUMN, type: "BOOLEAN" });
	columns.push({ name: REDSHIFT_IS_WHOLE, type: "BOOLEAN" });
	await writer.execute(stageDdl(table, columns, part.target.key));
	return table;
}

/** Columns that the rows bring for the table. */
function writtenColumns({ target, write }: ChangesPart): string[] {
	const names = target.columns.map(({ name }) => name);
	return write === "history" ? names.filter((name) => name !== HISTORY_COLUMNS.validTo) : names;
}

/** One part of the changes within the transaction of all; the table is there. */
export async function applyStaged(staged: StagedPart, shape: Shape): Promise<LoadResult> {
	const { part, context, rowsReceived } = staged;
	const { writer } = context;
	const written = new Set(writtenColumns(part));
	const merge = mergeOf(
		{ ...context, target: { ...part.target, columns: part.target.columns.filter(({ name }) => written.has(name)) } },
		shape,
	);
	if (part.write === "append") {
		if (part.partial) {
			const { missing } = await writer.counts(redshiftCountPartial(merge.stage));
			if (missing! > 0) throw baseMissing(part.target, missing!);
		}
		return resultOf({ rowsReceived, rowsInserted: await writer.execute(redshiftInsertStaged(merge)) });
	}
	const truncated = await truncate(staged, merge.target);
	if (rowsReceived === 0)
		return resultOf({ rowsReceived, [part.write === "merge" ? "rowsDeleted" : "rowsUpdated"]: truncated });
	return part.write === "merge" ? mergeChanges(staged, shape, merge, truncated) : addVersions(staged, merge, truncated);
}

/** Gives how many rows went, or got an end. DELETE, since TRUNCATE would commit. */
async function truncate({ part, context }: StagedPart, target: string): Promise<number> {
	const { truncatedAt, write } = part;
	if (truncatedAt === undefined) return 0;
	const statement =
		write === "history"
			? closeAllVersions(redshiftDialect, target, truncatedAt)
			: keepsDeleted(part)
				? markAllDeleted(redshiftDialect, target, truncatedAt)
				: deleteAllRows(target);
	return context.writer.execute(statement);
}

/** The last change of each key counts: what the table has of the staged keys goes, and what is left of the stage comes. */
async function mergeChanges(
	staged: StagedPart,
	shape: Shape,
	incoming: RedshiftMerge,
	truncated: number,
): Promise<LoadResult> {
	const { part, context, rowsReceived } = staged;
	const { writer } = context;
	const { row_count, keys, nulls } = await writer.counts(redshiftCountKeys(incoming));
	if (nulls! > 0) throw nullKey(part.target, nulls!);
	if (keys! < row_count!) await writer.execute(redshiftDeleteSuperseded(incoming, undefined));
	const { merge, rows } = await completed(staged, incoming, keys!);
	let left = rows;
	let rowsDeleted = truncated;
	const { flagged } = await writer.counts(redshiftCountFlagged(merge.stage));
	if (flagged! > 0) {
		rowsDeleted += await writer.execute(redshiftDeleteFlagged(merge, CHANGE_DELETED_COLUMN, true));
		left -= await writer.execute(redshiftDeleteFlaggedStaged(merge, CHANGE_DELETED_COLUMN, true));
	}
	const known = new Set(merge.columns.map(({ name }) => name));
	const keeps = shape.relation?.columns.some(({ name }) => !known.has(name)) === true;
	let rowsUpdated = 0;
	if (left > 0 && keeps) {
		// Columns that the rows do not have keep their values.
		await writer.execute(redshiftUpdateKnown(merge));
		rowsUpdated = await writer.execute(redshiftDeleteKnownStaged(merge));
	} else if (left > 0 && shape.relation !== null) {
		const gone = await writer.execute(redshiftDeleteKnown(merge));
		// A key that the table had several rows of has one now.
		rowsUpdated = Math.min(gone, left);
		rowsDeleted += gone - rowsUpdated;
	}
	if (left > (keeps ? rowsUpdated : 0)) await writer.execute(redshiftInsertStaged(merge));
	const rowsInserted = left - rowsUpdated;
	return resultOf({ rowsReceived, rowsInserted, rowsUpdated, rowsDeleted, rowsSuperseded: rowsReceived - rows });
}

/** Each change is a version, and the end of the one before it. */
async function addVersions(staged: StagedPart, incoming: RedshiftMerge, truncated: number): Promise<LoadResult> {
	const { part, context, rowsReceived } = staged;
	const { writer } = context;
	const { nulls } = await writer.counts(redshiftCountKeys(incoming));
	if (nulls! > 0) throw nullKey(part.target, nulls!);
	const { merge, rows } = await completed(staged, incoming, rowsReceived);
	const rowsUpdated = truncated + (await writer.execute(redshiftCloseVersions(merge)));
	const rowsInserted = await writer.execute(redshiftInsertVersions(merge));
	return resultOf({ rowsReceived, rowsInserted, rowsUpdated, rowsSuperseded: rowsReceived - rows });
}

/**
 * The rows with all their columns, and how many there are; `rows` is how many the stage has.
 * @throws E_BASE_MISSING
 */
async function completed(
	{ part, context, whole }: StagedPart,
	incoming: RedshiftMerge,
	rows: number,
): Promise<{ readonly merge: RedshiftMerge; readonly rows: number }> {
	const { write, target } = part;
	if (whole === null || write === "append") return { merge: incoming, rows };
	const { writer } = context;
	const names = target.columns.map(({ name }) => name);
	const filled = await writer.execute(redshiftFillAbsent(incoming, whole, write, names));
	if (filled !== rows) throw repeatedKey(target);
	const merge: RedshiftMerge = {
		...incoming,
		stage: whole,
		columns: incoming.columns.map(({ name, family }) => ({ name, family, convert: (value) => value })),
	};
	const { missing } = await writer.counts(redshiftCountUnfilled(whole));
	if (missing === 0) return { merge, rows };
	if (part.overlaps !== true) throw baseMissing(target, missing!);
	return { merge, rows: rows - (await writer.execute(redshiftDeleteUnfilled(whole))) };
}
