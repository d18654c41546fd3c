import {
	decodePosition,
	HeadraceError,
	type LoadResult,
	type Manifest,
	type PositionRow,
	positionText,
} from "../core/index.ts";
import type { TableOutcome, TableTask } from "./task.ts";

/** A column's name in the destination. */
export function targetName(task: TableTask, sourceName: string): string {
	if (task.shape?.discarded.has(sourceName) === true) return sourceName;
	const index = task.columns.findIndex((column) => column.name === sourceName);
	return task.target.columns[index]?.name ?? sourceName;
}

/** Counts are kept under the names that the columns have in the destination. */
export function renamed(task: TableTask, counts: Readonly<Record<string, number>>): Record<string, number> {
	return Object.fromEntries(Object.entries(counts).map(([name, count]) => [targetName(task, name), count]));
}

export function outcomeOf(
	task: TableTask,
	row: PositionRow,
	loadId: string,
	to: string,
	figures: Pick<TableOutcome, "rowsRead" | "rowsStaged" | "bytes" | "valuesChanged" | "chunks"> & {
		readonly result: LoadResult;
	},
): TableOutcome {
	const { result, ...rest } = figures;
	if (result.rowsReceived !== rest.rowsRead) throw unbalanced("read", rest.rowsRead, "loaded", result.rowsReceived);
	return {
		...rest,
		rowsLoaded: result.rowsReceived,
		rowsRejected: 0,
		rowsInserted: result.rowsInserted,
		rowsUpdated: result.rowsUpdated,
		rowsDeleted: result.rowsDeleted,
		...superseded(result.rowsSuperseded),
		position: positionText(decodePosition(to)),
		row: { ...row, seq: row.seq + 1, position: to, loadId, schemaVersion: task.schemaVersion },
	};
}

export function stagedOutcome(manifest: Manifest, row: PositionRow): TableOutcome {
	return {
		rowsRead: manifest.rows,
		rowsStaged: manifest.rows,
		rowsLoaded: 0,
		rowsRejected: 0,
		rowsInserted: 0,
		rowsUpdated: 0,
		rowsDeleted: 0,
		bytes: manifest.bytes,
		valuesChanged: manifest.valuesChanged,
		position: positionText(decodePosition(manifest.toPosition)),
		...(manifest.chunks === undefined ? {} : { chunks: manifest.chunks }),
		row,
	};
}

export function addOutcomes(first: TableOutcome, second: TableOutcome): TableOutcome {
	const valuesChanged: Record<string, number> = { ...first.valuesChanged };
	for (const [name, count] of Object.entries(second.valuesChanged))
		valuesChanged[name] = (valuesChanged[name] ?? 0) + count;
	return {
		rowsRead: first.rowsRead + second.rowsRead,
		rowsStaged: first.rowsStaged + second.rowsStaged,
		rowsLoaded: first.rowsLoaded + second.rowsLoaded,
		rowsRejected: first.rowsRejected + second.rowsRejected,
		rowsInserted: first.rowsInserted + second.rowsInserted,
		rowsUpdated: first.rowsUpdated + second.rowsUpdated,
		rowsDeleted: first.rowsDeleted + second.rowsDeleted,
		...superseded((first.rowsSuperseded ?? 0) + (second.rowsSuperseded ?? 0)),
		bytes: first.bytes + second.bytes,
		valuesChanged,
		position: second.position,
		...chunksOf(first, second),
		row: second.row,
	};
}

function superseded(rows: number): Pick<TableOutcome, "rowsSuperseded"> {
	return rows === 0 ? {} : { rowsSuperseded: rows };
}

/** What was done in chunks, if anything was. */
function chunksOf(first: TableOutcome, second: TableOutcome): Pick<TableOutcome, "chunks"> {
	const chunks = first.chunks ?? second.chunks;
	return chunks === undefined ? {} : { chunks };
}

export function unbalanced(a: string, rowsA: number, b: string, rowsB: number): HeadraceError {
	return new HeadraceError("E_RECEIPT", `the receipt does not balance: ${rowsA} rows ${a}, ${rowsB} ${b}`);
}

/** There was nothing to load. */
export function nothingLoaded(row: PositionRow): TableOutcome {
	return {
		rowsRead: 0,
		rowsStaged: 0,
		rowsLoaded: 0,
		rowsRejected: 0,
		rowsInserted: 0,
		rowsUpdated: 0,
		rowsDeleted: 0,
		bytes: 0,
		valuesChanged: {},
		position: row.position === null ? null : positionText(decodePosition(row.position)),
		row,
	};
}
