import {
	type Batch,
	BatchPool,
	type Chunk,
	type ChunkCounts,
	type CursorPosition,
	crashPoint,
	decodePosition,
	encodePosition,
	HeadraceError,
	type Position,
	type PositionRow,
	type Snapshot,
} from "../core/index.ts";
import { type ChunkCut, type ChunkPlan, type ChunkRecord, newChunkPlan, planMisfit } from "./chunk-plan.ts";
import type { ChunkStore } from "./chunk-store.ts";
import { compareCursor } from "./cursor.ts";
import { columnOf, ExtractCounter, type ExtractPlan, rowsToLand } from "./extract.ts";
import { unbalanced } from "./outcome.ts";
import { type FlowContext, type TableTask, targetFields } from "./task.ts";

/**
 * Rows of a chunk: a second or so of work, which is what a kill costs. A part of DuckDB below a row group (122,880 rows)
 * is written twice, and InnoDB's estimates may cut chunks three times as small as they should be.
 */
const CHUNK_ROWS = 500_000;
/** From so many rows on a table is read in chunks: one of fewer takes seconds, and is faster in one piece. */
export const BIG_TABLE_ROWS = 3_000_000;
/** As many chunks make a table big whose chunks have a size of their own. */
const CHUNKS_MIN = 4;
/** About this many chunks at most: each costs a few questions and a commit. */
const CHUNKS_WANTED_MAX = 1000;
/** What is sealed and not loaded waits so long for its next run. */
export const CHUNKS_KEPT_MS = 7 * 24 * 3600 * 1000;

/** A table, read in chunks: all of them are durable. */
export interface ChunkedExtract {
	readonly plan: ExtractPlan;
	readonly planId: string;
	/** In the order of the chunks. */
	readonly records: readonly ChunkRecord[];
	readonly counts: ChunkCounts;
	/** A cursor's read from the position on has to follow, since the position is older than this run's cut. */
	readonly behind: boolean;
}

/** Whether a table may be worth reading in chunks, before anything is asked. An estimate may have moved since a run was killed. */
export function mayBeChunked(context: FlowContext, task: TableTask, plan: ExtractPlan): boolean {
	const whole = plan.whole && plan.files === undefined && plan.window === undefined && plan.windows === undefined;
	const plain = task.table.kind === "table" && task.where === undefined && task.interval === undefined;
	return whole && plain && (task.table.estimatedRows ?? 0) >= (rowsMin(context) * 3) / 4;
}

function rowsMin(context: FlowContext): number {
	return context.chunkRows === undefined ? BIG_TABLE_ROWS : CHUNKS_MIN * context.chunkRows;
}

/**
 * Reads a big table chunk by chunk into the store, those that an earlier run left excepted, as far as they still are
 * rows of this table: docs/decisions/0007-resumable-chunks.md. Null when the table is better read in one piece.
 */
export async function extractChunks(
	context: FlowContext,
	task: TableTask,
	snapshot: Snapshot,
	row: PositionRow,
	plan: ExtractPlan,
	store: ChunkStore,
): Promise<ChunkedExtract | null> {
	const found = await usableChunks(context, task, row, store);
	if (found === null && (task.resume === "off" || (task.table.estimatedRows ?? 0) < rowsMin(context))) return null;
	const chunkPlan = found?.plan ?? (await beginPlan(context, task, snapshot, row, store));
	if (chunkPlan === null) return null;
	const state = (await snapshot.tableState?.(task.table)) ?? null;
	const cut: ChunkCut = { clock: snapshot.clock, position: plan.to, state };
	const kept = await keepChunks(context, task, snapshot, chunkPlan, [...(found?.records.values() ?? [])], cut);
	const again = [...(found?.records.values() ?? [])].filter((record) => !kept.has(record.index));
	if (again.length > 0) await store.remove(chunkPlan, again);
	if (found !== null) tellReuse(context, task, chunkPlan, kept, again.length);
	crashPoint("chunk-planned");
	const read = await readChunks(context, task, { snapshot, plan, chunkPlan, store, cut, kept: [...kept.values()] });
	return settle(task, plan, cut, chunkPlan, kept, read);
}

/** The chunks that were kept, if they are of this task. What is not is removed. */
async function usableChunks(context: FlowContext, task: TableTask, row: PositionRow, store: ChunkStore) {
	const found = await store.find();
	if (found === null) return null;
	const tooOld = Date.now() - Date.parse(found.plan.begunAt) > CHUNKS_KEPT_MS;
	const misfit =
		task.resume === "off"
			? "resume is off"
			: tooOld
				? "they are older than seven days"
				: planMisfit(found.plan, task, row, store.form);
	if (misfit === null) return found;
	await store.discard();
	if (found.records.size > 0)
		notice(
			context,
			task,
			"warn",
			`${found.records.size} chunks of an earlier run are thrown away and read again: ${misfit}`,
		);
	return null;
}

async function beginPlan(
	context: FlowContext,
	task: TableTask,
	snapshot: Snapshot,
	row: PositionRow,
	store: ChunkStore,
): Promise<ChunkPlan | null> {
	const rows =
		context.chunkRows ?? Math.max(CHUNK_ROWS, Math.ceil((task.table.estimatedRows ?? 0) / CHUNKS_WANTED_MAX));
	const chunks = await snapshot.split(task.table, { rows, byKey: task.mode === "cdc" });
	if (chunks.length < 2) return null;
	const plan = newChunkPlan(context.pipeline, task, row, { chunks, form: store.form });
	await store.begin(plan);
	return plan;
}

interface KeptChunk {
	readonly record: ChunkRecord;
	/** A read at this run's cut would give the same rows. */
	readonly proved: boolean;
}

/** Decides which of the chunks that are there stay. */
async function keepChunks(
	context: FlowContext,
	task: TableTask,
	snapshot: Snapshot,
	plan: ChunkPlan,
	records: readonly ChunkRecord[],
	cut: ChunkCut,
): Promise<Map<number, KeptChunk>> {
	const kept = new Map<number, KeptChunk>();
	const waiting = [...records];
	const prove = async () => {
		for (let record = waiting.shift(); record !== undefined; record = waiting.shift()) {
			throwIfStopped(context.signal);
			const chunk = plan.chunks[record.index];
			if (chunk === undefined) continue;
			const proved = await isUnchanged(task, snapshot, chunk, record, cut);
			if (proved || keepsUnproved(task, chunk, record)) kept.set(record.index, { record, proved });
		}
	};
	await Promise.all(Array.from({ length: Math.max(1, Math.min(context.readers, snapshot.readers)) }, prove));
	return kept;
}

async function isUnchanged(
	task: TableTask,
	snapshot: Snapshot,
	chunk: Chunk,
	record: ChunkRecord,
	cut: ChunkCut,
): Promise<boolean> {
	const since = record.cut.state;
	if (since === null || cut.state === null || snapshot.unchanged === undefined) return false;
	return snapshot.unchanged({ table: task.table, chunk, since, rows: record.rows });
}

/**
 * Whether a chunk of an older cut may stay though rows of it may have changed. Only ranges of the key can: elsewhere an
 * update moves a row from a chunk that is read into one that was. A cursor's next read then brings what has changed;
 * without one it takes the user's word.
 */
function keepsUnproved(task: TableTask, chunk: Chunk, record: ChunkRecord): boolean {
	if (chunk.byKey !== true) return false;
	const position = decodePosition(record.cut.position);
	if (task.keepsCut !== undefined)
		return position.kind === "full" && position.log !== undefined && task.keepsCut(position.log);
	if (!hasCursor(task)) return task.resume === "mixed";
	return position.kind === "cursor" && position.column === task.cursor && position.value !== null;
}

/** Whether a later read by the cursor brings what has changed. */
function hasCursor(task: TableTask): task is TableTask & { readonly cursor: string } {
	return task.mode === "incremental" && task.cursor !== undefined;
}

function tellReuse(
	context: FlowContext,
	task: TableTask,
	plan: ChunkPlan,
	kept: ReadonlyMap<number, KeptChunk>,
	again: number,
): void {
	const total = plan.chunks.length;
	const changed = again === 0 ? "" : `; ${again} of an earlier run may have changed since`;
	const unproved = [...kept.values()].filter((chunk) => !chunk.proved);
	const oldest = unproved.map(({ record }) => record.cut.clock).sort()[0];
	const how =
		oldest === undefined
			? ""
			: hasCursor(task)
				? `; what has changed since ${oldest.slice(0, 19)} UTC is read by ${task.cursor}`
				: `; the rows are of different moments, the oldest of ${oldest.slice(0, 19)} UTC`;
	const message = `${kept.size} of ${total} chunks were there, ${total - kept.size} are read${changed}${how}`;
	notice(context, task, again > 0 && kept.size === 0 ? "warn" : "info", message);
}

function notice(context: FlowContext, task: TableTask, level: "info" | "warn", message: string): void {
	context.onEvent({ type: "notice", runId: context.runId, level, table: task.stream, message });
}

function throwIfStopped(signal: AbortSignal | undefined): void {
	if (signal?.aborted !== true) return;
	throw signal.reason instanceof HeadraceError
		? signal.reason
		: new HeadraceError("E_STOPPED", "the read was stopped; chunks that were read stay", { cause: signal.reason });
}

interface ChunkReading {
	readonly snapshot: Snapshot;
	readonly plan: ExtractPlan;
	readonly chunkPlan: ChunkPlan;
	readonly store: ChunkStore;
	readonly cut: ChunkCut;
	readonly kept: readonly KeptChunk[];
}

/** Reads what is missing, several chunks at once. The first error ends them all. */
async function readChunks(context: FlowContext, task: TableTask, reading: ChunkReading): Promise<ChunkRecord[]> {
	const { snapshot, chunkPlan, store, cut, kept } = reading;
	const have = new Set(kept.map(({ record }) => record.index));
	const queue = chunkPlan.chunks.map((_, index) => index).filter((index) => !have.has(index));
	const failed = new AbortController();
	const signal = context.signal === undefined ? failed.signal : AbortSignal.any([context.signal, failed.signal]);
	const pool = new BatchPool(task.columns);
	const parallel = Math.max(1, Math.min(store.parallel, queue.length));
	const total = { rows: 0, bytes: 0, chunks: kept.length };
	for (const { record } of kept) {
		total.rows += record.rows;
		total.bytes += record.bytes;
	}
	const records: ChunkRecord[] = [];
	const tell = (): void => {
		const { estimatedRows } = task.table;
		context.onEvent({
			type: "progress",
			runId: context.runId,
			table: task.stream,
			phase: "extract",
			rows: total.rows,
			bytes: total.bytes,
			...(estimatedRows === undefined ? {} : { estimatedRows }),
			chunks: { done: total.chunks, total: chunkPlan.chunks.length },
		});
	};
	async function* counted(index: number, counter: ExtractCounter): AsyncGenerator<Batch, void, undefined> {
		const chunk = chunkPlan.chunks[index] as Chunk;
		const batches = snapshot.read({
			table: task.table,
			columns: task.columns,
			types: task.types,
			chunk,
			signal,
			pool,
			bufferBytesMax: Math.max(1 << 20, Math.floor(context.bufferBytesMax / 8 / parallel)),
		});
		const land = rowsToLand(task, counter);
		for await (const raw of batches) {
			const batch = land(raw);
			counter.add(batch);
			total.rows += batch.rowCount;
			total.bytes += batch.byteLength;
			tell();
			yield batch;
		}
	}
	const worker = async (): Promise<void> => {
		for (let index = queue.shift(); index !== undefined; index = queue.shift()) {
			throwIfStopped(signal);
			const at = index;
			const counter = new ExtractCounter();
			const record = await store.add(chunkPlan, {
				index: at,
				fields: targetFields(task),
				batches: counted(at, counter),
				record: (rows, files) => ({
					plan: chunkPlan.id,
					index: at,
					rows,
					bytes: counter.bytes,
					valuesChanged: { ...counter.valuesChanged },
					cut,
					files,
				}),
			});
			if (record.rows !== counter.rows) {
				await store.remove(chunkPlan, [record]);
				throw unbalanced("read", counter.rows, "kept", record.rows);
			}
			records.push(record);
			total.chunks++;
			tell();
			crashPoint("chunk-sealed");
		}
	};
	const failure = { first: undefined as unknown };
	const guarded = () =>
		worker().catch((error: unknown) => {
			failure.first ??= error;
			failed.abort(error);
		});
	tell();
	await Promise.all(Array.from({ length: parallel }, guarded));
	if (failure.first !== undefined) throw failure.first;
	return records;
}

/** Values per column that policies altered, of all chunks. */
export function valuesChangedOf(records: readonly ChunkRecord[]): Record<string, number> {
	const sum: Record<string, number> = {};
	for (const { valuesChanged } of records)
		for (const [name, count] of Object.entries(valuesChanged)) sum[name] = (sum[name] ?? 0) + count;
	return sum;
}

/** All chunks are there: what they are together. */
function settle(
	task: TableTask,
	plan: ExtractPlan,
	cut: ChunkCut,
	chunkPlan: ChunkPlan,
	kept: ReadonlyMap<number, KeptChunk>,
	read: readonly ChunkRecord[],
): ChunkedExtract {
	const old = [...kept.values()].filter(({ proved }) => !proved).map(({ record }) => record.cut);
	const position = oldestPosition(task, [cut, ...old]);
	const to = encodePosition(position);
	const records = [...read, ...[...kept.values()].map(({ record }) => record)].sort((a, b) => a.index - b.index);
	const consistency = kept.size === 0 ? null : old.length === 0 ? "exact" : hasCursor(task) ? "cursor" : "mixed";
	let rows = 0;
	for (const { record } of kept.values()) rows += record.rows;
	return {
		plan: { ...plan, position, to },
		planId: chunkPlan.id,
		records: records.filter((record) => record.index < chunkPlan.chunks.length),
		counts: { total: chunkPlan.chunks.length, reused: kept.size, rowsReused: rows, consistency },
		behind: consistency === "cursor",
	};
}

/** The position that rows of several cuts allow: the oldest, since what a newer one has beyond it is only read again. */
function oldestPosition(task: TableTask, cuts: readonly ChunkCut[]): Position {
	const positions = cuts.map((cut) => decodePosition(cut.position));
	if (hasCursor(task)) {
		const column = columnOf(task, task.cursor);
		const cursors = positions.filter((position): position is CursorPosition => position.kind === "cursor");
		return cursors.reduce((oldest, next) => {
			if (oldest.value === null) return oldest;
			return next.value === null || compareCursor(next.value, oldest.value, column) < 0 ? next : oldest;
		});
	}
	const at = (position: Position) => (position.kind === "full" ? position.at : "");
	return positions.reduce((oldest, next) => (at(next) < at(oldest) ? next : oldest));
}
