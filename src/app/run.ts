import type { CheckedPipeline } from "../config/index.ts";
import {
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
import { processHolder } from "../state/index.ts";
import type { RunInterval, RunOptions } from "./api.ts";
import { emptyReceipt, failedReceipt, finishedReceipt } from "./receipt.ts";
import { openFormats, openStaging } from "./registry.ts";
import { abortableDelay } from "./retry.ts";
import { newRunId } from "./run-id.ts";
import { planSession, type Session } from "./session.ts";
import { SharedSnapshot } from "./shared-snapshot.ts";
import type { TablePlan } from "./table-plan.ts";

const LEASE_MS = 60_000;
const RETRY_DELAY_MAX_MS = 600_000;

/** A pipeline's lease, while it is held. */
export interface HeldLease {
	/** Aborted when the run is stopped or its lease lost. */
	readonly signal: AbortSignal;
	/**
	 * Asked before a run takes streams over: a process that slept must not do so behind the back of the run that came
	 * after it, though the destination's positions would keep both from doing harm.
	 * @throws E_FENCED when another run has the lease
	 */
	confirm(): Promise<void>;
}

/** Holds the pipeline's lease while `work` goes on. A lost lease aborts it: a newer run has taken over. */
export async function withLease<T>(
	state: StateStore,
	pipeline: CheckedPipeline,
	signal: AbortSignal | undefined,
	work: (held: HeldLease) => Promise<T>,
): Promise<T> {
	const name = `pipeline:${pipeline.name}`;
	const holder = processHolder();
	const lease = await state.acquireLease(name, holder, LEASE_MS);
	if (lease === null) {
		const other = await state.leaseHolder(name);
		throw new HeadraceError(
			"E_BUSY",
			`another run holds the pipeline ${pipeline.name} (${other?.holder ?? "it ended just now"})`,
			{
				pipeline: pipeline.name,
			},
		);
	}
	const lost = new AbortController();
	const confirm = async () => {
		if (await state.renewLease(lease, LEASE_MS)) return;
		const fenced = new HeadraceError("E_FENCED", "another run has taken this run's lease over", {
			pipeline: pipeline.name,
		});
		lost.abort(fenced);
		throw fenced;
	};
	// A store that does not answer now is asked again in time.
	const renewal = setInterval(() => void confirm().catch(() => {}), LEASE_MS / 3);
	renewal.unref();
	try {
		return await work({
			signal: signal === undefined ? lost.signal : AbortSignal.any([signal, lost.signal]),
			confirm,
		});
	} finally {
		clearInterval(renewal);
		await state.releaseLease(lease);
	}
}

/** One run of a session's tables, for one interval or none. Table failures are in the receipt, not thrown. */
export async function runOnce(
	state: StateStore | null,
	session: Session,
	options: RunOptions,
	interval: RunInterval | null,
	held: HeldLease,
	only: (plan: TablePlan) => boolean = () => true,
): Promise<RunReceipt> {
	const { signal } = held;
	const runId = newRunId();
	const { pipeline, destination } = session;
	const onEvent = options.onEvent ?? (() => {});
	const plan = await planSession(session, options, interval, runId);
	const plans = plan.tables.filter(only);
	const tasks = plans.flatMap((p) => (p.task === null ? [] : [p.task]));
	const staged = await stagingOf(session, options);
	await held.confirm();
	const run = new RunRecord(state, {
		run_id: runId,
		pipeline: pipeline.name,
		interval: interval !== null && plans.some((p) => p.task?.mode === "interval") ? interval : null,
		state: "running",
		started_at: new Date().toISOString(),
		finished_at: null,
		tables: plans.map(emptyReceipt),
	});
	await run.save();
	onEvent({ type: "run-started", run: run.receipt });
	for (const message of plan.warnings) onEvent({ type: "notice", runId, level: "warn", message });

	await using snapshot = new SharedSnapshot(session.source, Math.max(1, session.concurrency), signal);
	const rows =
		tasks.length === 0
			? new Map<string, PositionRow>()
			: await destination.takeOver(
					pipeline.name,
					tasks.map((t) => t.stream),
				);
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
	for (let attempt = 1; ; attempt++) {
		try {
			work.signal.throwIfAborted();
			return finishedReceipt(plan, await attemptTable(plan.task, work, attempt), seconds(), attempt);
		} catch (thrown) {
			const stopped = work.signal.aborted;
			const error = asTableError(thrown, plan, pipeline, work.signal);
			if (stopped || error.reaction !== "retry" || attempt > pipeline.retries)
				return failedReceipt(
					plan,
					error,
					seconds(),
					attempt,
					stopped && error.code === "E_STOPPED" ? "stopped" : "failed",
				);
			const delayMs = retryDelayMs(pipeline.retryDelayMs, attempt);
			const { code, message } = error;
			onEvent({ type: "retry", runId: work.runId, table: plan.source, attempt, delayMs, error: { code, message } });
			await abortableDelay(delayMs, work.signal);
			await work.snapshot.renew();
		}
	}
}

/** Doubles each time, spread by up to a quarter so that several tables don't come back together. */
function retryDelayMs(firstMs: number, attempt: number): number {
	return Math.round(Math.min(RETRY_DELAY_MAX_MS, firstMs * 2 ** (attempt - 1)) * (0.75 + Math.random() / 4));
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

	constructor(state: StateStore | null, receipt: RunReceipt) {
		this.#state = state;
		this.receipt = receipt;
	}

	async save(): Promise<void> {
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
