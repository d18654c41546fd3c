import type { CheckedPipeline } from "../config/index.ts";
import {
	type AttemptError,
	type FileFormat,
	HeadraceError,
	type PositionRow,
	type RunReceipt,
	type RunState,
	type Snapshot,
	type Staging,
	type StateStore,
	type TableReceipt,
} from "../core/index.ts";
import { runTable, type TableTask } from "../flow/index.ts";
import type { RunInterval, RunOptions } from "./api.ts";
import type { HeldLease } from "./lease.ts";
import { emptyReceipt, failedReceipt, finishedReceipt } from "./receipt.ts";
import { openFormats, openStaging } from "./registry.ts";
import { abortableDelay, attemptError, mayRetry, retryDelayMs } from "./retry.ts";
import type { RunStart } from "./run-start.ts";
import { planSession, type Session } from "./session.ts";
import { SharedSnapshot } from "./shared-snapshot.ts";
import type { TablePlan } from "./table-plan.ts";

/** What one run needs beside its session. */
export interface RunContext {
	readonly state: StateStore | null;
	readonly options: RunOptions;
	readonly interval: RunInterval | null;
	readonly held: HeldLease;
	readonly start: RunStart;
	/** Tables to take; all when absent. */
	readonly only?: (plan: TablePlan) => boolean;
}

/** One run of a session's tables, for one interval or none. Table failures are in the receipt, not thrown. */
export async function runOnce(session: Session, context: RunContext): Promise<RunReceipt> {
	const { state, options, interval, held, start } = context;
	const { signal } = held;
	const { runId } = start;
	const { pipeline, destination } = session;
	const onEvent = options.onEvent ?? (() => {});
	const begun = await start.attempt(() => begin(session, context));
	const { plans, warnings, staged, rows } = begun;
	const run = new RunRecord(state, start, {
		run_id: runId,
		pipeline: pipeline.name,
		interval: interval !== null && plans.some((p) => p.task?.mode === "interval") ? interval : null,
		state: "running",
		started_at: start.startedAt,
		finished_at: null,
		...(options.stage === "extract" || options.stage === "load" ? { stage: options.stage } : {}),
		tables: plans.map(emptyReceipt),
		...start.attemptErrors,
	});
	await run.save();
	onEvent({ type: "run-started", run: run.receipt });
	for (const message of warnings) onEvent({ type: "notice", runId, level: "warn", message });

	await using snapshot = new SharedSnapshot(session.source, Math.max(1, session.concurrency), signal);
	const tasks = plans.filter((p) => p.task !== null);
	const parallel = Math.max(1, Math.min(session.concurrency, tasks.length));
	const work = [...plans.entries()];
	const worker = async () => {
		for (let next = work.shift(); next !== undefined; next = work.shift()) {
			const [index, table] = next;
			const receipt = await tableReceipt(table, {
				session,
				options,
				runId,
				staged,
				snapshot,
				rows,
				signal,
				bufferBytesMax: Math.floor(session.bufferBytesMax / parallel),
				readers: Math.max(1, Math.floor(session.concurrency / parallel)),
			});
			await run.setTable(index, receipt);
			onEvent({ type: "table-finished", runId, receipt });
		}
	};
	await Promise.all(Array.from({ length: parallel }, worker));
	await run.finish(signal.aborted && !run.allSucceeded() ? "stopped" : run.allSucceeded() ? "succeeded" : "failed");
	if (state !== null && tasks.length > 0)
		await state.savePositions(pipeline.name, await destination.positions(pipeline.name));
	onEvent({ type: "run-finished", run: run.receipt });
	return run.receipt;
}

interface Begun {
	readonly plans: readonly TablePlan[];
	readonly warnings: readonly string[];
	readonly staged: StagedFiles | null;
	readonly rows: ReadonlyMap<string, PositionRow>;
}

/** Everything before the first table: may be done again as a whole. */
async function begin(session: Session, { options, interval, held, start, only }: RunContext): Promise<Begun> {
	const plan = await planSession(session, options, interval, start.runId);
	const plans = only === undefined ? plan.tables : plan.tables.filter(only);
	const streams = plans.flatMap((p) => (p.task === null ? [] : [p.task.stream]));
	const staged = await stagingOf(session, options);
	await held.confirm();
	const rows =
		streams.length === 0
			? new Map<string, PositionRow>()
			: await session.destination.takeOver(session.pipeline.name, streams);
	return { plans, warnings: plan.warnings, staged, rows };
}

interface StagedFiles {
	readonly staging: Staging;
	readonly formats: readonly FileFormat[];
}

/**
 * Files lie between extract and load when the pipeline names a staging, when one stage runs alone, or when the
 * destination takes nothing else; otherwise batches go straight into the destination's transaction.
 */
async function stagingOf(session: Session, options: RunOptions): Promise<StagedFiles | null> {
	const { pipeline, destination, resources } = session;
	const single = options.stage === "extract" || options.stage === "load";
	if (pipeline.staging === undefined && !single && destination.accepts.batches) return null;
	return { staging: await openStaging(pipeline), formats: await openFormats(pipeline, resources) };
}

interface TableWork {
	readonly session: Session;
	readonly options: RunOptions;
	readonly runId: string;
	readonly staged: StagedFiles | null;
	readonly snapshot: SharedSnapshot;
	readonly rows: ReadonlyMap<string, PositionRow>;
	readonly signal: AbortSignal;
	readonly bufferBytesMax: number;
	readonly readers: number;
}

/** Runs one table with its retries; whatever happens ends in its receipt. */
async function tableReceipt(plan: TablePlan, work: TableWork): Promise<TableReceipt> {
	const started = performance.now();
	const seconds = () => Math.round(performance.now() - started) / 1000;
	const onEvent = work.options.onEvent ?? (() => {});
	const { pipeline } = work.session;
	if (plan.task === null) return failedReceipt(plan, plan.errors[0], seconds(), 0, "failed");
	const { estimatedRows } = plan.table;
	onEvent({
		type: "table-started",
		runId: work.runId,
		table: plan.source,
		into: emptyReceipt(plan).into,
		...(estimatedRows === undefined ? {} : { estimatedRows }),
	});
	const { options } = plan.selected;
	const rule = {
		retries: options.retries ?? pipeline.retries,
		retryDelayMs: options.retryDelayMs ?? pipeline.retryDelayMs,
	};
	const failed: AttemptError[] = [];
	const withAttempts = (receipt: TableReceipt): TableReceipt =>
		failed.length === 0 ? receipt : { ...receipt, attempt_errors: failed };
	for (let attempt = 1; ; attempt++) {
		try {
			work.signal.throwIfAborted();
			return withAttempts(finishedReceipt(plan, await attemptTable(plan.task, work, attempt), seconds(), attempt));
		} catch (thrown) {
			const stopped = work.signal.aborted;
			const error = asTableError(thrown, plan, pipeline, work.signal);
			if (stopped || !mayRetry(error, attempt, rule)) {
				const state = stopped && error.code === "E_STOPPED" ? "stopped" : "failed";
				return withAttempts(failedReceipt(plan, error, seconds(), attempt, state));
			}
			failed.push(attemptError(attempt, error));
			const delayMs = retryDelayMs(rule, attempt);
			const { code, message } = error;
			onEvent({ type: "retry", runId: work.runId, table: plan.source, attempt, delayMs, error: { code, message } });
			await abortableDelay(delayMs, work.signal);
			await work.snapshot.renew();
		}
	}
}

async function attemptTable(task: TableTask, work: TableWork, attempt: number) {
	const { session, staged, runId, signal } = work;
	const { pipeline, destination, source } = session;
	// After a failed attempt the position row is read again: the first answer may have been lost after its commit.
	const row =
		attempt === 1
			? work.rows.get(task.stream)
			: (await destination.takeOver(pipeline.name, [task.stream])).get(task.stream);
	if (row === undefined)
		throw new HeadraceError("E_INTERNAL", `the destination gave no position row for ${task.stream}`);
	const stage = work.options.stage === "extract" || work.options.stage === "load" ? work.options.stage : "all";
	return runTable(
		{
			pipeline: pipeline.name,
			runId,
			source,
			destination,
			staging: staged?.staging ?? null,
			format: staged?.formats[0] ?? null,
			formats: staged?.formats ?? [],
			stage,
			bufferBytesMax: work.bufferBytesMax,
			readers: work.readers,
			onEvent: work.options.onEvent ?? (() => {}),
			signal,
		},
		task,
		row,
		(): Promise<Snapshot> => work.snapshot.open(),
	);
}

function asTableError(thrown: unknown, plan: TablePlan, pipeline: CheckedPipeline, signal: AbortSignal): HeadraceError {
	const place = { pipeline: pipeline.name, table: plan.source };
	if (signal.aborted) {
		if (signal.reason instanceof HeadraceError) return signal.reason.at(place);
		return new HeadraceError("E_STOPPED", `${plan.source} was stopped; nothing of it was half-written`, {
			...place,
			cause: thrown,
		});
	}
	if (thrown instanceof HeadraceError) return thrown.at(place);
	const message = thrown instanceof Error ? thrown.message : String(thrown);
	return new HeadraceError("E_INTERNAL", message, { ...place, cause: thrown });
}

/** The run's receipt as it grows, saved at each step. */
class RunRecord {
	receipt: RunReceipt;
	readonly #state: StateStore | null;
	readonly #start: RunStart;

	constructor(state: StateStore | null, start: RunStart, receipt: RunReceipt) {
		this.#state = state;
		this.#start = start;
		this.receipt = receipt;
	}

	async save(): Promise<void> {
		this.#start.receipt = this.receipt;
		await this.#state?.saveRun(this.receipt);
	}

	async setTable(index: number, table: TableReceipt): Promise<void> {
		this.receipt = { ...this.receipt, tables: this.receipt.tables.with(index, table) };
		await this.save();
	}

	allSucceeded(): boolean {
		return this.receipt.tables.every((table) => table.state === "succeeded");
	}

	async finish(state: RunState): Promise<void> {
		this.receipt = { ...this.receipt, state, finished_at: new Date().toISOString() };
		await this.save();
	}
}
