import {
	HeadraceError,
	type PositionRow,
	type ReceiptError,
	type RunReceipt,
	type RunState,
	type StateStore,
	type TableReceipt,
} from "../core/index.ts";
import type { ChangeRequests } from "../state/index.ts";
import type { RunInterval, RunOptions } from "./api.ts";
import { captureReceipts, captureStreams } from "./capture.ts";
import { changeNotices, throwIfForbidden } from "./evolution.ts";
import { runHooks } from "./hooks.ts";
import { keepPosition } from "./kept-position.ts";
import type { HeldLease } from "./lease.ts";
import type { TablePlan } from "./planned-table.ts";
import type { PolicyPlan } from "./policy-plan.ts";
import { emptyReceipt, receiptError } from "./receipt.ts";
import { openFormats, openStaging } from "./registry.ts";
import type { RunStart } from "./run-start.ts";
import type { Session } from "./session.ts";
import { planSession } from "./session-plan.ts";
import { SharedSnapshot } from "./shared-snapshot.ts";
import { StageTimes } from "./stage-times.ts";
import { emptySummaryReceipt, type SummaryPlan, skippedBecause } from "./summaries.ts";
import { busyStreams, sweepLeftovers } from "./sweep.ts";
import { asRunError, type StagedFiles, summaryReceipt, tableReceipt } from "./table-run.ts";

/** What one run needs beside its session. */
export interface RunContext {
	readonly state: StateStore | null;
	/** What may be asked while it follows a change log. */
	readonly requests?: ChangeRequests;
	readonly options: RunOptions;
	readonly interval: RunInterval | null;
	readonly held: HeldLease;
	readonly start: RunStart;
	/** What to do of it; all when absent. */
	readonly scope?: RunScope;
	/** Told what was planned, before anything of it is done. */
	readonly onPlanned?: (planned: {
		readonly runId: string;
		readonly plans: readonly TablePlan[];
		readonly summaries: readonly SummaryPlan[];
	}) => Promise<void>;
}

export interface RunScope {
	/** Of the tables that the options choose. */
	readonly tables?: (plan: TablePlan) => boolean;
	/** `none`: only rows are moved, as in an interval of a backfill. `only`: what comes after them is done. */
	readonly summaries?: "none" | "only";
	/** Why no summary may be built. */
	readonly blocked?: string;
}

/** One run of a session's tables, for one interval or none. Table failures are in the receipt, not thrown. */
export async function runOnce(session: Session, context: RunContext): Promise<RunReceipt> {
	const { state, interval, held, start } = context;
	const times = new StageTimes();
	const options: RunOptions = {
		...context.options,
		onEvent: (event) => {
			times.onEvent(event);
			context.options.onEvent?.(event);
		},
	};
	const { signal } = held;
	const { runId } = start;
	const { pipeline, destination } = session;
	const onEvent = options.onEvent ?? (() => {});
	const begun = await start.attempt(() => begin(session, context));
	const { plans, summaries, policy, warnings, staged, rows } = begun;
	await using _staging = staged?.staging ?? null;
	const run = new RunRecord(state, start, {
		run_id: runId,
		pipeline: pipeline.name,
		interval: interval !== null && plans.some((p) => p.task?.mode === "interval") ? interval : null,
		state: "running",
		started_at: start.startedAt,
		finished_at: null,
		...(options.stage === "extract" || options.stage === "load" ? { stage: options.stage } : {}),
		tables: [...plans.map(emptyReceipt), ...summaries.map(emptySummaryReceipt)],
		...start.attemptErrors,
		...(options.origin === undefined ? {} : { origin: options.origin }),
	});
	await run.save();
	await context.onPlanned?.({ runId, plans, summaries });
	onEvent({ type: "run-started", run: run.receipt });
	for (const message of warnings) onEvent({ type: "notice", runId, level: "warn", message });
	for (const notice of changeNotices(plans, runId)) onEvent(notice);
	const setTable = async (index: number, receipt: TableReceipt) => {
		const timed = { ...receipt, ...times.finished(receipt.table) };
		await run.setTable(index, timed);
		onEvent({ type: "table-finished", runId, receipt: timed });
	};
	const hookScope = { pipeline, source: session.source, destination, values: policy.values };
	/** Whether the hooks of the run succeeded; what they fail with is the run's. */
	const hooksDone = async (when: "before" | "after"): Promise<boolean> => {
		const isOther = options.stage === (when === "before" ? "load" : "extract") || context.scope?.summaries === "only";
		if (isOther) return true;
		try {
			await runHooks(pipeline.hooks[when], hookScope, `${when} the run`, signal);
			return true;
		} catch (thrown) {
			const error = asRunError(thrown, pipeline, signal);
			onEvent({ type: "notice", runId, level: "warn", message: `${error.code}: ${error.message}` });
			run.fail(receiptError(error, options.showValues));
			return false;
		}
	};

	const tasks = plans.flatMap(({ task }) => (task === null ? [] : [task]));
	using _busy = busyStreams(
		session,
		tasks.map((task) => task.stream),
	);
	if (await hooksDone("before")) {
		await using snapshot = new SharedSnapshot(session.source, Math.max(1, session.concurrency), signal);
		const parallel = Math.max(1, Math.min(session.concurrency, tasks.length));
		const shared = {
			session,
			options,
			runId,
			staged,
			snapshot,
			rows,
			policy,
			signal,
			bufferBytesMax: Math.floor(session.bufferBytesMax / parallel),
			readers: Math.max(1, Math.floor(session.concurrency / parallel)),
			tablesAtOnce: parallel,
			...(state === null ? {} : { onPosition: keepPosition(state, pipeline.name) }),
			...(context.requests === undefined ? {} : { requests: context.requests }),
		};
		const work = [...plans.entries()].filter(([, plan]) => plan.selected.options.mode !== "cdc");
		const worker = async () => {
			for (let next = work.shift(); next !== undefined; next = work.shift())
				await setTable(next[0], await tableReceipt(next[1], shared));
		};
		await Promise.all(Array.from({ length: parallel }, worker));
		const following = plans.filter((plan) => plan.selected.options.mode === "cdc");
		await captureReceipts(
			following,
			{ ...shared, bufferBytesMax: session.bufferBytesMax, readers: session.concurrency },
			async (plan, receipt) => {
				if (receipt.state !== "running") return setTable(plans.indexOf(plan), receipt);
				await run.setTable(plans.indexOf(plan), receipt);
				// Whoever asks how far it is need not open the destination, which may let one process in only.
				if (plan === following[0])
					await state?.savePositions(pipeline.name, await destination.positions(pipeline.name));
			},
		);
		const blocked = context.scope?.blocked;
		for (const [index, summary] of summaries.entries()) {
			const receipt = await summaryReceipt(summary, { ...shared, done: run.receipt.tables, blocked });
			await setTable(plans.length + index, receipt);
		}
		if (run.allSucceeded()) await hooksDone("after");
	} else {
		const error = skippedBecause("not begun: a hook before the run failed");
		for (const [index, receipt] of run.receipt.tables.entries())
			await setTable(index, { ...receipt, state: "skipped", error });
	}
	await run.finish(signal.aborted && !run.allSucceeded() ? "stopped" : run.allSucceeded() ? "succeeded" : "failed");
	if (state !== null && tasks.length > 0)
		await state.savePositions(pipeline.name, await destination.positions(pipeline.name));
	if (!signal.aborted && tasks.length > 0) {
		const left = await sweepLeftovers(session, staged?.staging ?? null, held);
		if (left !== null) onEvent({ type: "notice", runId, level: "warn", message: left });
	}
	onEvent({ type: "run-finished", run: run.receipt });
	return run.receipt;
}

interface Begun {
	readonly plans: readonly TablePlan[];
	readonly summaries: readonly SummaryPlan[];
	readonly policy: PolicyPlan;
	readonly warnings: readonly string[];
	readonly staged: StagedFiles | null;
	readonly rows: ReadonlyMap<string, PositionRow>;
}

/** Everything before the first table: may be done again as a whole. */
async function begin(session: Session, context: RunContext): Promise<Begun> {
	const { options, interval, held, start, scope = {} } = context;
	const plan = await planSession(session, options, interval, start.runId);
	const { policy } = plan;
	const plans = scope.summaries === "only" ? [] : plan.tables.filter(scope.tables ?? (() => true));
	const summaries = scope.summaries === "none" || options.stage === "extract" ? [] : policy.summaries;
	throwIfForbidden(session.pipeline, plans);
	const streams = [...plans.flatMap((p) => (p.task === null ? [] : [p.task.stream])), ...captureStreams(plans)];
	if (options.stage !== undefined && captureStreams(plans).length > 0)
		throw new HeadraceError(
			"E_UNSUPPORTED",
			"tables of mode cdc have no stages: their log is read and applied in one go",
			{
				hint: "Leave --stage out, or choose other tables by --table.",
			},
		);
	if (options.follow === true && captureStreams(plans).length === 0)
		throw new HeadraceError("E_USAGE", "--follow is for tables of mode cdc, and none was chosen", {
			hint: "Leave --follow out, or give a table `mode: cdc`.",
		});
	const staged = await stagingOf(session, options);
	await held.confirm();
	const rows =
		streams.length === 0
			? new Map<string, PositionRow>()
			: await session.destination.takeOver(session.pipeline.name, streams);
	return { plans, summaries, policy, warnings: plan.warnings, staged, rows };
}

/**
 * Files lie between extract and load when the pipeline names a staging, when one stage runs alone, or when the
 * destination takes nothing else; otherwise batches go straight into the destination's transaction.
 */
async function stagingOf(session: Session, options: RunOptions): Promise<StagedFiles | null> {
	const { pipeline, resources } = session;
	const single = options.stage === "extract" || options.stage === "load";
	if (!single && !needsStaging(session)) return null;
	return { staging: await openStaging(pipeline, resources), formats: await openFormats(pipeline, resources) };
}

/** Whether files lie between extract and load when both are done by one run. */
export function needsStaging({ pipeline, destination }: Session): boolean {
	return pipeline.staging !== undefined || !destination.accepts.batches;
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

	/** The run as a whole has failed, whatever its tables did. */
	fail(error: ReceiptError): void {
		this.receipt = { ...this.receipt, error };
	}

	allSucceeded(): boolean {
		return this.receipt.error === undefined && this.receipt.tables.every((table) => table.state === "succeeded");
	}

	async finish(state: RunState): Promise<void> {
		this.receipt = { ...this.receipt, state, finished_at: this.#start.now() };
		await this.save();
	}
}
