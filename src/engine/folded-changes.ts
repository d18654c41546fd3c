import {
	Batch,
	CHANGE_DELETED_COLUMN,
	type ChangesPart,
	Column,
	HeadraceError,
	isView,
	type LoadResult,
	type TableName,
} from "../core/index.ts";
import {
	countMet,
	createTable,
	deleteMet,
	duckdbDialect,
	insertMet,
	MET_ROW,
	metColumns,
	quotedList,
	quotedPath,
	stageColumn,
} from "../sql/index.ts";
import type { EngineConnection } from "./connection.ts";
import type { ConsumeRequest } from "./consume.ts";
import { countsOf, nullKeys, type Statements } from "./merge-staged.ts";
import { truncateFor } from "./staged-changes.ts";
import { duckdbType, selectList } from "./types.ts";

export interface FoldedChanges {
	readonly part: ChangesPart;
	/** Quoted. */
	readonly target: string;
	/** Of a temporary table for this part only. */
	readonly suffix: string;
	readonly signal?: AbortSignal;
}

/** Whether a part can go into its table without a stage: see `applyFolded`. */
export function isDirect({ isFolded, partial, input, write, target }: ChangesPart): boolean {
	// A column of this name would hide the engine's own.
	const hidesRows = target.columns.some(({ name }) => stageColumn(duckdbDialect, name) !== name);
	return isFolded === true && !partial && input.kind === "batches" && write === "merge" && !hidesRows;
}

/**
 * Changes of which each key comes once, straight into their table, in the caller's transaction: the keys alone meet the
 * table's, rows of before go by their row identifiers, and the new ones are never written twice. The table has no columns
 * but the target's. All of the part's rows are held until the end.
 * @throws E_NULL_KEY
 */
export async function applyFolded(
	connection: EngineConnection,
	statements: Statements,
	{ part, target, suffix, signal }: FoldedChanges,
): Promise<LoadResult> {
	const { input, target: of } = part;
	if (input.kind !== "batches") throw new HeadraceError("E_INTERNAL", "folded changes that are not batches");
	const truncated = await truncateFor(statements, part, target);
	const { fields } = input;
	const met = quotedPath(duckdbDialect, ["temp", "main", `met_${suffix}`]);
	const keys = of.key.map((name) => fields.findIndex((field) => field.name === name));
	const flag = fields.findIndex((field) => field.name === CHANGE_DELETED_COLUMN);
	const context = { columns: fields.map(({ name }) => name), key: of.key, keepsValues: true };
	const consume = (
		given: Pick<ConsumeRequest, "fields" | "statement" | "needsAll" | "rowsExpected">,
		batches: readonly Batch[],
	) =>
		connection.consume({
			...given,
			batches: each(batches),
			// They are held as it is: one statement takes them all.
			bufferBytesMax: Number.MAX_SAFE_INTEGER,
			threads: 1,
			context,
			...(signal === undefined ? {} : { signal }),
		});
	const held: Batch[] = [];
	try {
		for await (const batch of input.batches) held.push(batch);
		const rowsReceived = held.reduce((sum, batch) => sum + batch.rowCount, 0);
		const none = { rowsReceived, rowsInserted: 0, rowsUpdated: 0, rowsDeleted: truncated, rowsSuperseded: 0 };
		if (rowsReceived === 0) return none;
		refuseNullKeys(held, keys, of.name, of.key);
		const places = [...keys, flag];
		const narrow = metColumns(of.key.length).map((name, index) => ({ ...fields[places[index]!]!, name }));
		const columnsOfMet = narrow.map(({ name, type }) => ({ name, type: duckdbType(type), nullable: true }));
		const row = { name: MET_ROW, type: "BIGINT", nullable: false };
		await statements.execute(createTable(duckdbDialect, met, [row, ...columnsOfMet], { temporary: true }));
		const keysHeld = held.map((batch) => keysOf(batch, places));
		const meet = (relation: string) => insertMet(duckdbDialect, { target, met, key: of.key }, relation);
		// Rows that came in the same transaction are none to the optimizer: it would build its hash table of all of them.
		await consume({ fields: narrow, statement: meet, needsAll: false, rowsExpected: 0 }, keysHeld);
		const counts = await countsOf(statements, countMet(of.key.length, met));
		if (counts["rows"]! > 0) await statements.execute(deleteMet(duckdbDialect, target, met));
		await statements.execute(`DROP TABLE ${met}`);
		const gone = held.reduce((sum, batch) => sum + ones(batch.columns[flag]!, batch.rowCount), 0);
		if (gone < rowsReceived) {
			const columns = of.columns.map(({ name }) => fields.find((field) => field.name === name)!);
			const names = quotedList(
				duckdbDialect,
				columns.map(({ name }) => name),
			);
			const where = gone === 0 ? "" : ` WHERE ${duckdbDialect.quoteIdentifier(CHANGE_DELETED_COLUMN)} IS NOT TRUE`;
			const insert = (relation: string) =>
				`INSERT INTO ${target} (${names}) SELECT ${selectList(columns)} FROM ${relation}${where}`;
			await consume({ fields, statement: insert }, held.splice(0));
		}
		const { deleted, known } = counts;
		return {
			...none,
			rowsInserted: rowsReceived - gone - known!,
			rowsUpdated: known!,
			rowsDeleted: truncated + deleted!,
		};
	} finally {
		for (const batch of held) batch.release();
	}
}

async function* each(batches: readonly Batch[]): AsyncGenerator<Batch, void, undefined> {
	yield* batches;
}

function refuseNullKeys(batches: readonly Batch[], keys: readonly number[], table: TableName, key: readonly string[]) {
	let nulls = 0;
	for (const { columns, rowCount } of batches) {
		if (!keys.some((place) => columns[place]!.nullCount > 0)) continue;
		for (let row = 0; row < rowCount; row++) if (keys.some((place) => columns[place]!.isNull(row))) nulls++;
	}
	if (nulls > 0) throw nullKeys(nulls, table, key);
}

/** Some columns of a batch, which stays as it is: views are changed when they go into the engine. */
function keysOf({ columns, rowCount }: Batch, places: readonly number[]): Batch {
	const batch = new Batch(
		places.map((place) => {
			const column = columns[place]!;
			if (!isView(column.type)) return column;
			const copy = new Column(column.name, column.type, column.validity.length * 8);
			copy.u8.set(column.u8.subarray(0, rowCount * column.width));
			copy.heap = column.heap;
			copy.heapLength = column.heapLength;
			copy.heapSuspect = column.heapSuspect;
			copy.inlineNotAscii = column.inlineNotAscii;
			return copy;
		}),
		null,
	);
	batch.rowCount = rowCount;
	return batch;
}

function ones(flags: Column, rowCount: number): number {
	const { u8, nullCount } = flags;
	let count = 0;
	for (let row = 0; row < rowCount; row++) if (u8[row] === 1 && (nullCount === 0 || !flags.isNull(row))) count++;
	return count;
}
