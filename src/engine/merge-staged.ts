import { HeadraceError, type LoadRequest, type LoadResult, qualified, type TableName } from "../core/index.ts";
import {
	type Comparison,
	countKeys,
	countKnown,
	deleteEqualFromStage,
	deleteFlagged,
	deleteFlaggedFromStage,
	deleteKnown,
	deleteKnownFromStage,
	duckdbDialect,
	insertStaged,
	type MergeTables,
	stageColumn,
	updateKnown,
} from "../sql/index.ts";
import type { Parameter, Value } from "./connection.ts";
import type { ErrorContext } from "./errors.ts";

/** What runs statements: a connection of the engine, or whoever watches over one. */
export interface Statements {
	/** Gives the rows that changed. */
	execute(sql: string, parameters?: readonly Parameter[], context?: ErrorContext): Promise<number>;
	query(sql: string): Promise<Record<string, Value>[]>;
}

/** The only row of a result, its values as numbers. */
export async function countsOf(statements: Statements, sql: string): Promise<Record<string, number>> {
	const [row] = await statements.query(sql);
	return Object.fromEntries(Object.entries(row ?? {}).map(([name, value]) => [name, Number(value)]));
}

/** How many rows (`row_count`) and `keys` are staged. @throws E_NULL_KEY */
export async function stagedKeys(
	statements: Statements,
	{ stage, key }: Pick<MergeTables, "stage" | "key">,
	table: TableName,
): Promise<Record<string, number>> {
	const names = key.map((name) => stageColumn(duckdbDialect, name));
	const counts = await countsOf(statements, countKeys(duckdbDialect, stage, names));
	if (counts["nulls"]! > 0) throw nullKeys(counts["nulls"]!, table, key);
	return counts;
}

export function nullKeys(rows: number, table: TableName, key: readonly string[]): HeadraceError {
	return new HeadraceError(
		"E_NULL_KEY",
		`${rows} rows for ${qualified(table)} have NULL in the key (${key.join(", ")})`,
	);
}

/** Staged rows, one for each of `keys` keys, and what a merge has to know of them. */
export interface StagedMerge {
	readonly keys: number;
	readonly deletedColumn: string | undefined;
	readonly onConflict?: LoadRequest["onConflict"];
	/** The table has columns that the stage does not bring: those of a row that is there stay. */
	readonly hasMore: boolean;
	/**
	 * How equality of a column's values is told, to leave rows as they are that are equal; absent: none is looked for. All
	 * columns are compared, which takes a third of a merge's time.
	 */
	readonly comparisonOf?: (column: string) => Comparison;
}

/** Staged rows into the table, in the caller's transaction. */
export async function mergeStaged(
	statements: Statements,
	tables: MergeTables,
	staged: StagedMerge,
): Promise<Pick<LoadResult, "rowsInserted" | "rowsUpdated" | "rowsDeleted">> {
	const { keys, deletedColumn } = staged;
	let rowsDeleted = 0;
	let flagged = 0;
	if (deletedColumn !== undefined) {
		rowsDeleted = await statements.execute(deleteFlagged(duckdbDialect, tables, deletedColumn));
		flagged = await statements.execute(deleteFlaggedFromStage(duckdbDialect, tables, deletedColumn));
	}
	const { known, rowsUpdated } = await replaceKnown(statements, tables, staged);
	const { columns, key } = tables;
	await statements.execute(insertStaged(duckdbDialect, tables), [], { columns, key });
	return { rowsInserted: keys - flagged - known, rowsUpdated, rowsDeleted };
}

/** Leaves in the stage what is to be inserted; gives how many keys the target knows and how many of those rows change. */
async function replaceKnown(
	statements: Statements,
	tables: MergeTables,
	{ onConflict, hasMore, comparisonOf }: StagedMerge,
): Promise<{ readonly known: number; readonly rowsUpdated: number }> {
	const { known, known_rows } = await countsOf(statements, countKnown(duckdbDialect, tables));
	if (known === 0) return { known: 0, rowsUpdated: 0 };
	if (onConflict === "ignore") {
		await statements.execute(deleteKnownFromStage(duckdbDialect, tables));
		return { known: known!, rowsUpdated: 0 };
	}
	let equal = 0;
	// Rows that share a key, from before the table had one, become one row: then an equal one is not enough.
	if (comparisonOf !== undefined && known === known_rows)
		equal = await statements.execute(deleteEqualFromStage(duckdbDialect, tables, comparisonOf));
	// A row that is replaced would lose what the load's columns do not hold.
	if (!hasMore) await statements.execute(deleteKnown(duckdbDialect, tables));
	else {
		if (tables.columns.length > tables.key.length) await statements.execute(updateKnown(duckdbDialect, tables));
		await statements.execute(deleteKnownFromStage(duckdbDialect, tables));
	}
	return { known: known!, rowsUpdated: known! - equal };
}
