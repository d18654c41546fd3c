import {
	type Batch,
	BatchPool,
	type Chunk,
	encodePosition,
	HeadraceError,
	type Position,
	type PositionRow,
	type Snapshot,
	type SourceColumn,
	type Window,
} from "../core/index.ts";
import { intervalWindow, isTimeCursor, nextCursor } from "./cursor.ts";
import { Masker } from "./mask.ts";
import { mergeBatches } from "./merge-batches.ts";
import { previousPosition } from "./previous-position.ts";
import { PLAIN_SHAPE, RowShaper } from "./shape-rows.ts";
import type { FlowContext, TableTask } from "./task.ts";

/** Rows that make it worth while to read a table by several connections. */
export const CHUNK_ROWS = 500_000;

/** What an extract reads, and the position that the destination holds once it is loaded. */
export interface ExtractPlan {
	readonly window?: Window;
	/** Read instead of `window`, one after the other. */
	readonly windows?: readonly Window[];
	readonly position: Position;
	readonly from: string | null;
	readonly to: string;
	/** Files to read, for sources of files. */
	readonly files?: readonly string[];
	/** Replaces the whole table: a full load, a first load, or one that was asked for. */
	readonly whole: boolean;
}

/** Decides what to read, before a row is read: the bound never comes from the rows themselves. */
export async function planExtract(
	context: FlowContext,
	task: TableTask,
	snapshot: Snapshot,
	row: PositionRow,
): Promise<ExtractPlan> {
	const plan = (position: Position, rest: Partial<ExtractPlan> = {}): ExtractPlan => ({
		position,
		from: row.position,
		to: encodePosition(position),
		whole: false,
		...rest,
	});
	if (task.mode === "full") return plan({ kind: "full", at: snapshot.clock }, { whole: true });
	if (task.mode === "cdc") {
		if (task.logPlace === undefined)
			throw new HeadraceError("E_INTERNAL", "a table is read without a place in the log");
		return plan({ kind: "full", at: snapshot.clock, log: task.logPlace }, { whole: true });
	}
	if (task.mode === "interval") {
		if (task.interval === undefined) throw new HeadraceError("E_INTERNAL", "an interval task without an interval");
		const { start, end } = task.interval;
		const position: Position = { kind: "interval", start, end };
		if (task.cursor === undefined) return plan(position);
		const column = columnOf(task, task.cursor);
		const windowOf = (range: { start: string; end: string }) =>
			intervalWindow(column, range.start, range.end, task.timezone);
		if (task.reading === undefined) return plan(position, { window: windowOf({ start, end }) });
		return plan(position, { windows: joined([...(task.loadedIntervals ?? []), { start, end }]).map(windowOf) });
	}
	const anew = task.fullRefresh || task.reading === "anew";
	const previous = anew ? null : previousPosition(row);
	if (task.cursor === undefined) return planFiles(task, snapshot, previous, plan);

	const column = columnOf(task, task.cursor);
	const { max, nulls } = await snapshot.cursorMax(task.table, column.name);
	const known = previous?.kind === "cursor" ? previous : null;
	const next = nextCursor(task, column, known, snapshot, max);
	const notice = (message: string) =>
		context.onEvent({ type: "notice", runId: context.runId, level: "warn", table: task.stream, message });
	if (nulls > 0) notice(`${nulls} rows have no ${column.name}: changes to them are not seen by an incremental run`);
	if (snapshot.transactionsHidden !== undefined && (task.lateMs === undefined || !isTimeCursor(column)))
		notice(
			`open transactions can't be seen (it takes ${snapshot.transactionsHidden}): rows that commit after a higher ${column.name} was read are missed${isTimeCursor(column) ? ", unless `late:` covers them" : ""}`,
		);
	if (next.wentBack)
		notice(
			`the highest ${column.name} is below the saved position: rows that were numbered anew are not seen; --full-refresh reads them`,
		);
	// The position is the same whether rows before it are read again or not.
	const window = task.reading === "again" ? undefined : next.window;
	return plan(next.position, { ...(window === undefined ? {} : { window }), whole: window === undefined });
}

type Range = { readonly start: string; readonly end: string };

/** Ranges put together where they touch or overlap, in order: no row is read twice. */
export function joined(ranges: readonly Range[]): Range[] {
	const result: Range[] = [];
	for (const range of [...ranges].sort((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : 0))) {
		const last = result.at(-1);
		if (last === undefined || last.end < range.start) result.push(range);
		else if (last.end < range.end) result[result.length - 1] = { start: last.start, end: range.end };
	}
	return result;
}

/** Incremental without a cursor: new and changed files of a folder. */
async function planFiles(
	task: TableTask,
	snapshot: Snapshot,
	previous: Position | null,
	plan: (position: Position, rest?: Partial<ExtractPlan>) => ExtractPlan,
): Promise<ExtractPlan> {
	if (snapshot.fileStamps === undefined)
		throw new HeadraceError("E_CURSOR_REQUIRED", `${task.stream} is incremental and has no cursor`, {
			table: task.stream,
		});
	const stamps = await snapshot.fileStamps(task.table);
	const read = previous?.kind === "files" && task.reading !== "again" ? previous.files : {};
	const known: Readonly<Record<string, string>> = read;
	const files = stamps.filter(({ name, stamp }) => known[name] !== stamp).map(({ name }) => name);
	const position: Position = { kind: "files", files: Object.fromEntries(stamps.map((s) => [s.name, s.stamp])) };
	return plan(position, { files, whole: previous?.kind !== "files" });
}

export function columnOf(task: TableTask, name: string): SourceColumn {
	const column = task.columns.find((c) => c.name === name);
	if (column === undefined)
		throw new HeadraceError("E_UNKNOWN_COLUMN", `${task.stream} has no column ${name}`, { table: task.stream });
	return column;
}

/** Figures of an extract while it goes on. */
export class ExtractCounter {
	rows = 0;
	bytes = 0;
	readonly valuesChanged: Record<string, number> = {};

	add(batch: Batch): void {
		this.rows += batch.rowCount;
		this.bytes += batch.byteLength;
		for (const column of batch.columns)
			if (column.changedCount > 0)
				this.valuesChanged[column.name] = (this.valuesChanged[column.name] ?? 0) + column.changedCount;
	}
}

/** Makes rows as they are read those that land: masked, and in the form of the table. */
export function rowsToLand(task: TableTask, counter: ExtractCounter): (raw: Batch) => Batch {
	const masker = new Masker(task.columns, task.masks ?? new Map());
	const shape = task.shape ?? PLAIN_SHAPE;
	const shaper = new RowShaper(task.columns, task.target.columns, shape, counter.valuesChanged, task.constants);
	return (raw) => shaper.apply(masker.apply(raw));
}

/** The rows of an extract, counted, read by several connections when the whole of a big table is wanted. */
export async function* readExtract(
	context: FlowContext,
	task: TableTask,
	snapshot: Snapshot,
	plan: ExtractPlan,
	counter: ExtractCounter,
): AsyncGenerator<Batch, void, undefined> {
	const chunks = await chunksOf(context, task, snapshot, plan);
	const parallel = Math.min(chunks.length, context.readers, snapshot.readers);
	const pool = new BatchPool(task.columns);
	const read = (chunk: Chunk | undefined, window = plan.window): AsyncIterable<Batch> =>
		snapshot.read({
			table: task.table,
			columns: task.columns,
			types: task.types,
			...(window === undefined ? {} : { window }),
			...(plan.files === undefined ? {} : { files: plan.files }),
			...(chunk === undefined ? {} : { chunk }),
			...(task.where === undefined ? {} : { where: task.where }),
			...(context.signal === undefined ? {} : { signal: context.signal }),
			pool,
			bufferBytesMax: Math.max(1 << 20, Math.floor(context.bufferBytesMax / 8 / Math.max(1, parallel))),
		});
	async function* readAll(): AsyncGenerator<Batch, void, undefined> {
		for (const window of plan.windows ?? [plan.window]) yield* read(undefined, window);
	}
	const queue = [...chunks];
	async function* reader(): AsyncGenerator<Batch, void, undefined> {
		for (let chunk = queue.shift(); chunk !== undefined; chunk = queue.shift()) yield* read(chunk);
	}
	const batches = parallel < 2 ? readAll() : mergeBatches(Array.from({ length: parallel }, () => reader()));
	const estimatedRows = plan.whole ? task.table.estimatedRows : undefined;
	const land = rowsToLand(task, counter);
	for await (const raw of batches) {
		const batch = land(raw);
		counter.add(batch);
		context.onEvent({
			type: "progress",
			runId: context.runId,
			table: task.stream,
			phase: "extract",
			rows: counter.rows,
			bytes: counter.bytes,
			...(estimatedRows === undefined ? {} : { estimatedRows }),
		});
		yield batch;
	}
}

async function chunksOf(
	context: FlowContext,
	task: TableTask,
	snapshot: Snapshot,
	plan: ExtractPlan,
): Promise<readonly Chunk[]> {
	const rows = task.table.estimatedRows ?? 0;
	const single = !plan.whole || plan.files !== undefined || task.table.kind !== "table" || task.where !== undefined;
	if (single || context.readers < 2 || snapshot.readers < 2 || rows < 2 * CHUNK_ROWS) return [];
	return snapshot.split(task.table, { rows: CHUNK_ROWS });
}
