import {
	type Batch,
	crashPoint,
	HeadraceError,
	type LoadRequest,
	type LoadResult,
	type LocalCopy,
	loadId as loadIdOf,
	type Manifest,
	type PositionRow,
	type Snapshot,
	type Write,
} from "../core/index.ts";
import { destinationChunks } from "./chunk-store.ts";
import { type ChunkedExtract, extractChunks, mayBeChunked, valuesChangedOf } from "./chunked-extract.ts";
import { cleanStaging } from "./clean-staging.ts";
import { ExtractCounter, type ExtractPlan, planExtract, readExtract } from "./extract.ts";
import { confirmMasks, withSameMasks } from "./mask-changes.ts";
import { addOutcomes, nothingLoaded, outcomeOf, renamed, stagedOutcome, targetName, unbalanced } from "./outcome.ts";
import {
	discardManifest,
	type Landing,
	type StagedContext,
	sealChunks,
	stageExtract,
	usableManifest,
} from "./stage.ts";
import { stagedChunks } from "./staged-chunks.ts";
import { fileForm } from "./staged-files.ts";
import {
	type FlowContext,
	landingTask,
	loadIntervalOf,
	type TableOutcome,
	type TableTask,
	targetFields,
} from "./task.ts";

/**
 * One table of one run: extract, then load. Every part may be killed anywhere and repeated: what is sealed is loaded,
 * what is not sealed is read again, what is loaded is not loaded twice.
 *
 * `row` is the position row as `takeOver` gave it, or as the last task of the same stream left it. `openSnapshot` is
 * only called when something must be read.
 */
export async function runTable(
	context: FlowContext,
	wanted: TableTask,
	row: PositionRow,
	openSnapshot: () => Promise<Snapshot>,
): Promise<TableOutcome> {
	if (!hasStaging(context)) return loadDirectly(context, wanted, row, openSnapshot);
	const { stream } = wanted;
	const pending = await withSameMasks(context, wanted, await usableManifest(context, stream, row));
	if (context.stage === "load") return loadPending(context, wanted, row, pending);

	await cleanStaging(context, stream, row);
	let before: TableOutcome | null = null;
	let current = row;
	if (pending !== null) {
		// A cursor's rows are loaded as they were sealed and reading goes on after them; whole tables and intervals
		// are simply read anew, chunks as far as they have changed.
		if (!(pending.write === "replace" || wanted.mode !== "incremental")) {
			if (context.stage === "extract") return stagedOutcome(pending, row);
			before = await loadUnlessDamaged(context, wanted, row, pending);
			current = before?.row ?? row;
		} else await discardManifest(context, pending);
	}
	const snapshot = await openSnapshot();
	const plan = await planExtract(context, wanted, snapshot, current);
	const write = await writeOf(context, wanted, plan);
	confirmMasks(context, wanted, current, write);
	const task = landingTask(wanted, write);
	const chunked = await stageInChunks(context, task, snapshot, current, plan);
	const manifest =
		chunked === null
			? await stageWhole(context, task, snapshot, current, plan, write)
			: await sealChunks(context, task, current, chunked, landingOf(context, task, current, chunked.plan, write));
	if (context.stage === "extract") return stagedOutcome(manifest, current);
	const outcome = await loadManifest(context, task, current, manifest);
	const first = before === null ? outcome : addOutcomes(before, outcome);
	return chunked?.behind === true ? catchUp(context, wanted, first, openSnapshot) : first;
}

/** What has changed since the oldest cut of the chunks, by the cursor: the position is that cut's. */
async function catchUp(
	context: FlowContext,
	{ reading: _reading, targetGone: _gone, addedColumns: _added, ...task }: TableTask,
	first: TableOutcome,
	openSnapshot: () => Promise<Snapshot>,
): Promise<TableOutcome> {
	crashPoint("chunk-behind");
	return addOutcomes(first, await runTable(context, { ...task, fullRefresh: false }, first.row, openSnapshot));
}

async function stageWhole(
	context: StagedContext,
	task: TableTask,
	snapshot: Snapshot,
	row: PositionRow,
	plan: ExtractPlan,
	write: Write,
): Promise<Manifest> {
	const counter = new ExtractCounter();
	const landing = landingOf(context, task, row, plan, write);
	const manifest = await stageExtract(context, task, snapshot, row, plan, landing, counter);
	if (counter.rows !== manifest.rows) throw unbalanced("read", counter.rows, "staged", manifest.rows);
	return manifest;
}

/** A big table as staged chunks; null when it is better staged in one piece. */
async function stageInChunks(
	context: StagedContext,
	task: TableTask,
	snapshot: Snapshot,
	row: PositionRow,
	plan: ExtractPlan,
): Promise<ChunkedExtract | null> {
	const { staging, format, pipeline, bufferBytesMax } = context;
	if (format === null || !mayBeChunked(context, task, plan)) return null;
	const parallel = (context.tablesAtOnce ?? 1) > 1 ? 1 : 2;
	const formOf = (planId: string) => fileForm(context.destination, task, planId);
	const place = { staging, format, formOf, pipeline, stream: task.stream, row, parallel, bufferBytesMax };
	return extractChunks(context, task, snapshot, row, plan, stagedChunks(place));
}

function landingOf(context: FlowContext, task: TableTask, row: PositionRow, plan: ExtractPlan, write: Write) {
	return { id: nameLoad(context, task, row, plan), write, overlap: overlapOf(task, plan, write) };
}

function hasStaging(context: FlowContext): context is StagedContext {
	return context.staging !== null;
}

function nameLoad(context: FlowContext, task: TableTask, row: PositionRow, plan: ExtractPlan): string {
	return loadIdOf({
		pipeline: context.pipeline,
		stream: task.stream,
		seq: row.seq,
		from: plan.from,
		to: plan.to,
		schemaVersion: task.schemaVersion,
	});
}

/**
 * How the rows land. A first load of a table that does not exist yet is built beside and swapped in like a full one,
 * which is faster than a merge, when the key is known to be unique.
 */
async function writeOf(context: FlowContext, task: TableTask, plan: ExtractPlan): Promise<Write> {
	if (task.fullRefresh || task.reading === "anew") return "replace";
	if (!plan.whole || task.mode === "full" || task.deletedColumn !== undefined) return task.write;
	const { primaryKey } = task.table;
	const sourceKey = new Set(primaryKey.map((name) => targetName(task, name)));
	const unique =
		task.write === "append" ||
		(primaryKey.length > 0 &&
			task.target.key.length === sourceKey.size &&
			task.target.key.every((k) => sourceKey.has(k)));
	return unique && (await context.destination.describe(task.target.name)) === null ? "replace" : task.write;
}

/** Source → destination without files: one transaction, the same receipt and the same position rule. */
async function loadDirectly(
	context: FlowContext,
	wanted: TableTask,
	row: PositionRow,
	openSnapshot: () => Promise<Snapshot>,
): Promise<TableOutcome> {
	if (context.stage !== "all") throw new HeadraceError("E_INTERNAL", "a single stage needs staging");
	const snapshot = await openSnapshot();
	const plan = await planExtract(context, wanted, snapshot, row);
	const write = await writeOf(context, wanted, plan);
	confirmMasks(context, wanted, row, write);
	const task = landingTask(wanted, write);
	const inParts = await loadInParts(context, task, row, snapshot, plan, write);
	if (inParts !== null)
		return inParts.behind ? catchUp(context, wanted, inParts.outcome, openSnapshot) : inParts.outcome;
	if (write !== "replace") await context.prepare?.(task.target);
	const counter = new ExtractCounter();
	const landing = landingOf(context, task, row, plan, write);
	crashPoint("c01");
	const batches: AsyncIterable<Batch> = readExtract(context, task, snapshot, plan, counter);
	const request = loadRequest(context, task, row, plan, landing);
	const input: LoadRequest["input"] = { kind: "batches", fields: targetFields(task), batches };
	const load = () => context.destination.load({ ...request, input });
	const result = await loadOnce(context, landing.id, load, () => counter.rows);
	crashPoint("c11");
	return outcomeOf(task, row, landing.id, plan.to, {
		rowsRead: counter.rows,
		rowsStaged: result.rowsReceived,
		bytes: counter.bytes,
		valuesChanged: renamed(task, counter.valuesChanged),
		result,
	});
}

/** A big table that is replaced, in parts that the destination keeps; null when it is better loaded in one piece. */
async function loadInParts(
	context: FlowContext,
	task: TableTask,
	row: PositionRow,
	snapshot: Snapshot,
	plan: ExtractPlan,
	write: Write,
): Promise<{ readonly outcome: TableOutcome; readonly behind: boolean } | null> {
	const { parts } = context.destination;
	const plain = write === "replace" && task.deletedColumn === undefined;
	if (parts === undefined || !plain || !mayBeChunked(context, task, plan)) return null;
	const { pipeline, bufferBytesMax, signal } = context;
	const { stream, target } = task;
	const { epoch, seq, position: fromPosition } = row;
	const owner = { pipeline, stream, epoch, seq, fromPosition, target, bufferBytesMax };
	const store = destinationChunks(parts, signal === undefined ? owner : { ...owner, signal });
	const extract = await extractChunks(context, task, snapshot, row, plan, store);
	if (extract === null) return null;
	const landing = landingOf(context, task, row, extract.plan, write);
	const request = loadRequest(context, task, row, extract.plan, landing);
	let [rows, bytes] = [0, 0];
	for (const record of extract.records) {
		rows += record.rows;
		bytes += record.bytes;
	}
	const result = await loadOnce(
		context,
		landing.id,
		() => parts.load(request, rows),
		() => rows,
	);
	crashPoint("c11");
	const outcome = outcomeOf(task, row, landing.id, extract.plan.to, {
		rowsRead: rows,
		rowsStaged: result.rowsReceived,
		bytes,
		valuesChanged: renamed(task, valuesChangedOf(extract.records)),
		chunks: extract.counts,
		result,
	});
	return { outcome, behind: extract.behind };
}

/**
 * An append by cursor reads the rows at its position again, or all of them as long as open transactions allow no
 * position (or it is one of another column); the destination leaves out those that it has.
 */
function overlapOf(task: TableTask, plan: ExtractPlan, write: Write): LoadRequest["overlap"] {
	if (write !== "append" || task.mode !== "incremental" || task.targetCursor === undefined) return undefined;
	if (plan.from === null) return undefined;
	const added = task.addedColumns ?? [];
	return {
		column: task.targetCursor,
		from: plan.window?.from ?? null,
		...(added.length === 0 ? {} : { added }),
	};
}

function loadRequest(
	context: FlowContext,
	task: TableTask,
	row: PositionRow,
	range: { readonly from: string | null; readonly to: string },
	landing: Landing,
): Omit<LoadRequest, "input"> {
	const interval = loadIntervalOf(task);
	return {
		pipeline: context.pipeline,
		runId: context.runId,
		stream: task.stream,
		loadId: landing.id,
		epoch: row.epoch,
		seq: row.seq,
		fromPosition: range.from,
		toPosition: range.to,
		schemaVersion: task.schemaVersion,
		target: task.target,
		write: landing.write,
		...(task.targetCursor === undefined ? {} : { orderColumn: task.targetCursor }),
		...(task.deletedColumn === undefined ? {} : { deletedColumn: task.deletedColumn }),
		...(interval === undefined ? {} : { interval }),
		...(landing.overlap === undefined ? {} : { overlap: landing.overlap }),
		...(task.schema === undefined ? {} : { schema: task.schema }),
		...(task.onConflict === undefined ? {} : { onConflict: task.onConflict }),
		allowEmpty: task.allowEmpty,
		...(context.verify === undefined ? {} : { verify: context.verify }),
		bufferBytesMax: context.bufferBytesMax,
		...(context.signal === undefined ? {} : { signal: context.signal }),
	};
}

/**
 * Loads, and settles an answer that was lost: whether the load is committed is read from the destination, not guessed.
 * `rows` gives the rows that were sent.
 */
async function loadOnce(
	context: FlowContext,
	loadId: string,
	load: () => Promise<LoadResult>,
	rows: () => number,
): Promise<LoadResult> {
	try {
		const result = await load();
		for (const message of result.warnings ?? [])
			context.onEvent({ type: "notice", runId: context.runId, level: "warn", message });
		return result;
	} catch (error) {
		const settled = error instanceof HeadraceError && (error.reaction === "retry" || error.code === "E_FENCED");
		if (!settled || !(await context.destination.committed(loadId).catch(() => false))) throw error;
		return { rowsReceived: rows(), rowsInserted: 0, rowsUpdated: 0, rowsDeleted: 0, rowsSuperseded: 0 };
	}
}

/**
 * Loads what an earlier run sealed; null when a file of it is damaged. Its rows are still at the source, so it is thrown
 * away to be read anew, where it would stop every further run.
 */
async function loadUnlessDamaged(
	context: StagedContext,
	task: TableTask,
	row: PositionRow,
	pending: Manifest,
): Promise<TableOutcome | null> {
	try {
		return await loadManifest(context, task, row, pending);
	} catch (error) {
		if (!(error instanceof HeadraceError) || error.code !== "E_CORRUPT_FILE") throw error;
		const { runId } = context;
		const message = `${error.message}: what was staged is thrown away and read anew`;
		context.onEvent({ type: "notice", runId, level: "warn", table: task.stream, message });
		await discardManifest(context, pending);
		return null;
	}
}

async function loadPending(
	context: StagedContext,
	task: TableTask,
	row: PositionRow,
	pending: Manifest | null,
): Promise<TableOutcome> {
	if (pending !== null) {
		const outcome = await loadUnlessDamaged(context, task, row, pending);
		if (outcome !== null) return outcome;
		throw new HeadraceError("E_CORRUPT_FILE", `a staged file of ${task.stream} was not what was written`, {
			hint: "Nothing was loaded. Extract again: `headrace run <pipeline> --stage extract`.",
		});
	}
	await cleanStaging(context, task.stream, row);
	return nothingLoaded(row);
}

async function loadManifest(
	context: StagedContext,
	task: TableTask,
	row: PositionRow,
	manifest: Manifest,
): Promise<TableOutcome> {
	const format = context.formats.find((f) => f.name === manifest.format);
	if (format === undefined) throw new HeadraceError("E_STATE", `no reader for the staged format ${manifest.format}`);
	const { rows, bytes } = manifest;
	context.onEvent({ type: "progress", runId: context.runId, table: task.stream, phase: "load", rows, bytes });
	const copies: LocalCopy[] = [];
	const remote = context.destination.fileFields !== undefined;
	try {
		if (!remote) for (const file of manifest.files) copies.push(await fetchStaged(context.staging, file));
		const { loadId: id, write, overlap, fields, nullText, files } = manifest;
		const range = { from: manifest.fromPosition, to: manifest.toPosition };
		const sealedTask = sealedAs(task, manifest);
		if (write !== "replace") await context.prepare?.(sealedTask.target);
		const request = loadRequest(context, sealedTask, row, range, { id, write, overlap });
		const input: LoadRequest["input"] = {
			kind: "files",
			fields,
			format,
			localPaths: copies.map((copy) => copy.localPath),
			...(remote
				? { remote: { staging: context.staging, files, ...(nullText === undefined ? {} : { nullText }) } }
				: {}),
		};
		const load = () => context.destination.load({ ...request, input });
		const result = await loadOnce(context, id, load, () => manifest.rows);
		crashPoint("c11");
		const outcome = outcomeOf(task, row, manifest.loadId, manifest.toPosition, {
			rowsRead: manifest.rows,
			rowsStaged: manifest.rows,
			bytes: manifest.bytes,
			valuesChanged: renamed(task, manifest.valuesChanged),
			...(manifest.chunks === undefined ? {} : { chunks: manifest.chunks }),
			result,
		});
		await cleanLoaded(context, task, outcome.row);
		return outcome;
	} finally {
		for (const copy of copies) await copy[Symbol.asyncDispose]();
	}
}

/** The rows are loaded, whatever becomes of their files: what stays is removed by the next run. */
async function cleanLoaded(context: StagedContext, task: TableTask, row: PositionRow): Promise<void> {
	try {
		await cleanStaging(context, task.stream, row);
	} catch (error) {
		if (!(error instanceof HeadraceError)) throw error;
		context.onEvent({
			type: "notice",
			runId: context.runId,
			level: "warn",
			table: task.stream,
			message: `loaded, but its staged files could not be removed (${error.code} ${error.message}): ${error.hint}`,
		});
	}
}

/** The task as it was when its rows were sealed: the source's columns may have changed since. */
function sealedAs({ schema: _schema, reading: _reading, ...task }: TableTask, manifest: Manifest): TableTask {
	const { schema, target = task.target, schemaVersion, reading } = manifest;
	return {
		...task,
		schemaVersion,
		target,
		...(schema === undefined ? {} : { schema }),
		...(reading === undefined ? {} : { reading }),
	};
}

/** Only another run takes staged files away that are sealed: this one has been fenced, or may try again. */
async function fetchStaged(
	staging: StagedContext["staging"],
	{ path, sha256 }: Manifest["files"][number],
): Promise<LocalCopy> {
	try {
		return await staging.fetch(path, sha256);
	} catch (error) {
		if (!(error instanceof HeadraceError) || error.code !== "E_FILE_NOT_FOUND") throw error;
		throw new HeadraceError("E_CONFLICT", `the staged file ${path} was taken away by another run`, { cause: error });
	}
}
