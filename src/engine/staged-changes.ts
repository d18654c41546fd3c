import {
	baseMissing,
	CHANGE_DELETED_COLUMN,
	type ChangesPart,
	type ChangesWrite,
	HeadraceError,
	keepsDeleted,
	type LoadResult,
	qualified,
} from "../core/index.ts";
import {
	closeAllVersions,
	closeVersions,
	countBaseMissing,
	deleteAllRows,
	deleteBaseMissing,
	deleteSuperseded,
	duckdbDialect,
	fillAbsent,
	insertStaged,
	insertVersions,
	type KeyedChangesWrite,
	type MergeTables,
	markAllDeleted,
	maskedColumns,
	renameColumn,
	selectMasks,
	stageColumn,
} from "../sql/index.ts";
import { countsOf, mergeStaged, type Statements, stagedKeys } from "./merge-staged.ts";

/** A part of changes whose rows are staged, one a key for `merge`. */
export interface StagedChanges {
	readonly part: ChangesPart;
	readonly tables: MergeTables;
	readonly rowsReceived: number;
	readonly rowsStaged: number;
}

/** Looks at the keys of the rows that are in the stage, and leaves the last of each for `merge`. @throws E_NULL_KEY */
export async function settleStaged(
	statements: Statements,
	part: ChangesPart,
	tables: MergeTables,
	rowsReceived: number,
): Promise<StagedChanges> {
	if (part.write === "append" || rowsReceived === 0) return { part, tables, rowsReceived, rowsStaged: rowsReceived };
	const { row_count, keys } = await stagedKeys(statements, tables, part.target.name);
	const superseded = part.write === "merge" ? row_count! - keys! : 0;
	if (superseded > 0) await statements.execute(deleteSuperseded(duckdbDialect, tables, undefined));
	return { part, tables, rowsReceived, rowsStaged: rowsReceived - superseded };
}

/** A part of before columns were renamed, under the names that its table has now. */
export async function renameStaged<Staged extends StagedChanges>(
	statements: Statements,
	staged: Staged,
	nameOf: (name: string) => string,
): Promise<Staged> {
	const { part, tables } = staged;
	for (const name of tables.columns)
		if (nameOf(name) !== name) {
			const [from, to] = [stageColumn(duckdbDialect, name), stageColumn(duckdbDialect, nameOf(name))];
			await statements.execute(renameColumn(duckdbDialect, tables.stage, from, to));
		}
	const columns = part.target.columns.map((column) => ({ ...column, name: nameOf(column.name) }));
	const key = part.target.key.map(nameOf);
	return {
		...staged,
		part: { ...part, target: { ...part.target, columns, key } },
		tables: { ...tables, columns: tables.columns.map(nameOf), key },
	};
}

/**
 * One staged part into its table, in the caller's transaction. `hasMore`: see StagedMerge.
 * @throws E_BASE_MISSING
 */
export async function applyStaged(
	statements: Statements,
	staged: StagedChanges,
	hasMore: boolean,
): Promise<LoadResult> {
	const { part, tables, rowsReceived, rowsStaged } = staged;
	const { write } = part;
	const none = { rowsReceived, rowsInserted: 0, rowsUpdated: 0, rowsDeleted: 0, rowsSuperseded: 0 };
	if (write === "append") {
		if (part.partial && (await masksOf(statements, staged, "append")).length > 0) throw cantAppend(part);
		await statements.execute(insertStaged(duckdbDialect, tables), [], { columns: tables.columns });
		return { ...none, rowsInserted: rowsReceived };
	}
	const truncated = await truncateFor(statements, part, tables.target);
	const leftOut = part.partial && rowsStaged > 0 ? await fill(statements, staged, write) : 0;
	const rows = rowsStaged - leftOut;
	const rowsSuperseded = rowsReceived - rows;
	if (write === "merge") {
		if (rows === 0) return { ...none, rowsDeleted: truncated, rowsSuperseded };
		// A log tells what changed: looking for rows that are as they were would cost more than writing them.
		const merged = await mergeStaged(statements, tables, {
			keys: rows,
			deletedColumn: CHANGE_DELETED_COLUMN,
			hasMore,
		});
		return { ...none, ...merged, rowsDeleted: truncated + merged.rowsDeleted, rowsSuperseded };
	}
	if (rows === 0) return { ...none, rowsUpdated: truncated, rowsSuperseded };
	const ended = await statements.execute(closeVersions(duckdbDialect, tables));
	const { columns } = tables;
	const rowsInserted = await statements.execute(insertVersions(duckdbDialect, tables), [], { columns });
	return { ...none, rowsInserted, rowsUpdated: truncated + ended, rowsSuperseded };
}

/** What a truncation at the source does to the table (quoted); gives how many rows went, or got an end. */
export async function truncateFor(statements: Statements, part: ChangesPart, target: string): Promise<number> {
	const { truncatedAt, write } = part;
	if (truncatedAt === undefined) return 0;
	if (write === "merge")
		return statements.execute(
			keepsDeleted(part) ? markAllDeleted(duckdbDialect, target, truncatedAt) : deleteAllRows(target),
		);
	return statements.execute(closeAllVersions(duckdbDialect, target, truncatedAt));
}

/**
 * Gives staged rows what they do not tell, from the table's rows; gives how many were left out for want of one.
 * @throws E_BASE_MISSING
 */
async function fill(statements: Statements, staged: StagedChanges, write: KeyedChangesWrite): Promise<number> {
	const { part, tables } = staged;
	const masks = await masksOf(statements, staged, write);
	if (masks.length === 0) return 0;
	const { missing } = await countsOf(statements, countBaseMissing(duckdbDialect, tables, write));
	if (missing! > 0 && part.overlaps !== true) throw baseMissing(part.target, missing!);
	if (missing! > 0) await statements.execute(deleteBaseMissing(duckdbDialect, tables, write));
	const columns = maskedColumns(
		masks,
		part.target.columns.map((column) => column.name),
	);
	if (columns.length > 0) await statements.execute(fillAbsent(duckdbDialect, tables, write, columns));
	return missing!;
}

async function masksOf(statements: Statements, { tables }: StagedChanges, write: ChangesWrite): Promise<string[]> {
	const rows = await statements.query(selectMasks(duckdbDialect, tables, write));
	return rows.map((row) => String(row["mask"]));
}

function cantAppend(part: ChangesPart): HeadraceError {
	const table = qualified(part.target.name);
	return new HeadraceError(
		"E_BASE_MISSING",
		`changes of ${table} do not tell all their columns, and append has no row that they could be taken from`,
		{ table },
	);
}
