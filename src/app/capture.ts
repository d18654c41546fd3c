import { type AttemptError, HeadraceError, type PositionRow, type TableReceipt } from "../core/index.ts";
import {
	addOutcomes,
	CHANGES_STREAM,
	captureChanges,
	type FlowContext,
	type TableOutcome,
	type TableTask,
} from "../flow/index.ts";
import { RequestWatch } from "./change-requests.ts";
import { runHooks } from "./hooks.ts";
import type { TablePlan } from "./planned-table.ts";
import { emptyReceipt, failedReceipt, finishedReceipt } from "./receipt.ts";
import { abortableDelay, attemptError, mayRetry, retryDelayMs } from "./retry.ts";
import { planSession } from "./session-plan.ts";
import { skippedBecause } from "./summaries.ts";
import { asRunError, checksOf, flowContext, type TableWork } from "./table-run.ts";

/** How often the receipts of tables that are followed are brought up to date. */
const TELL_MS = 5_000;

/** Streams of the tables that follow a log, and of the log itself, when there are any. */
export function captureStreams(plans: readonly TablePlan[]): string[] {
	return plans.some(({ task }) => task?.mode === "cdc") ? [CHANGES_STREAM] : [];
}

/**
 * Reads and follows the tables of mode cdc, all together: they are committed in the order of the source's transactions.
 * Whatever happens ends in their receipts, which `tell` gets as they grow.
 */
export async function captureReceipts(
	plans: readonly TablePlan[],
	work: TableWork,
	tell: (plan: TablePlan, receipt: TableReceipt) => Promise<void>,
): Promise<void> {
	const begun = performance.now();
	const seconds = () => Math.round(performance.now() - begun) / 1000;
	const known = plans.filter((plan) => plan.task !== null);
	const broken = plans.find((plan) => plan.task === null);
	if (broken !== undefined) {
		// What is not followed would lose its place, and with it what its table holds of earlier times.
		const error = skippedBecause(`not followed: ${broken.source}, which is committed with it, can't be`);
		for (const plan of plans)
			await tell(
				plan,
				plan.task === null
					? failedReceipt(plan, plan.errors[0], 0, 0, "failed")
					: { ...emptyReceipt(plan), state: "skipped", error },
			);
		return;
	}
	if (known.length === 0) return;
	const { options, runId } = work;
	for (const plan of known)
		options.onEvent?.({
			type: "table-started",
			runId,
			table: plan.source,
			into: emptyReceipt(plan).into,
		});
	const capture = new Capture(known, work);
	let told = performance.now();
	const ended = await capture.run(async () => {
		if (performance.now() - told < TELL_MS) return;
		told = performance.now();
		for (const plan of known)
			await tell(plan, { ...finishedReceipt(plan, capture.outcome(plan), seconds(), 1), state: "running" });
	});
	const { error, attempts, errors } = ended;
	const failed = errors.length === 0 ? {} : { attempt_errors: errors };
	for (const plan of known) {
		const receipt = finishedReceipt(plan, capture.outcome(plan), seconds(), attempts);
		if (error === null) {
			await tell(plan, { ...receipt, ...failed });
			continue;
		}
		const isStopped = work.signal.aborted && error.code === "E_STOPPED";
		const state = isStopped ? "stopped" : "failed";
		const { error: told } = failedReceipt(plan, error, 0, attempts, state, options.showValues);
		await tell(plan, { ...receipt, state, error: told, ...failed });
	}
}

interface Ended {
	readonly error: HeadraceError | null;
	readonly attempts: number;
	readonly errors: readonly AttemptError[];
}

class Capture {
	readonly #work: TableWork;
	readonly #plans: ReadonlyMap<string, TablePlan>;
	readonly #outcomes = new Map<string, TableOutcome>();
	/** Something was committed since the last error: what comes is a new trouble. */
	#hasMoved = false;
	/** The position rows are no longer as the run found them. */
	#hasBegun = false;

	constructor(plans: readonly TablePlan[], work: TableWork) {
		this.#plans = new Map(plans.map((plan) => [plan.task!.stream, plan]));
		this.#work = work;
	}

	outcome(plan: TablePlan): TableOutcome {
		return this.#outcomes.get(plan.task!.stream) ?? nothing(this.#work.rows.get(plan.task!.stream));
	}

	/** Follows until the end, with hooks before and after, and again after errors that may pass. */
	async run(onProgress: () => Promise<void>): Promise<Ended> {
		const { session, signal, options, runId } = this.#work;
		const { pipeline } = session;
		const errors: AttemptError[] = [];
		const rule = { retries: pipeline.retries, retryDelayMs: pipeline.retryDelayMs };
		let isPrepared = false;
		let tasks = [...this.#plans.values()].map((plan) => plan.task!);
		const { requests } = this.#work;
		const tellAsked = (message: string) => options.onEvent?.({ type: "notice", runId, level: "info", message });
		using watch = requests === undefined ? null : new RequestWatch(requests, pipeline.name);
		for (let count = 1, attempts = 1; ; count++, attempts++) {
			try {
				signal.throwIfAborted();
				if (!isPrepared) await this.#hooks("before");
				isPrepared = true;
				while (!(await this.#attempt(tasks, onProgress, watch)) && !(await watch!.serve(session, tellAsked)))
					tasks = await this.#replan();
				await this.#hooks("after");
				return { error: null, attempts, errors };
			} catch (thrown) {
				const error = asRunError(thrown, pipeline, signal);
				if (this.#hasMoved) count = 1;
				this.#hasMoved = false;
				if (signal.aborted || !mayRetry(error, count, rule)) return { error, attempts, errors };
				errors.push(attemptError(attempts, error));
				const delayMs = retryDelayMs(rule, count);
				const { code, message } = error;
				for (const table of this.#plans.values())
					options.onEvent?.({
						type: "retry",
						runId,
						table: table.source,
						attempt: attempts,
						delayMs,
						error: { code, message },
					});
				await abortableDelay(delayMs, signal);
				tasks = await this.#replan().catch(() => tasks);
			}
		}
	}

	async #hooks(when: "before" | "after"): Promise<void> {
		const { session, policy, signal } = this.#work;
		const { pipeline, source, destination } = session;
		for (const plan of this.#plans.values()) {
			const scope = { pipeline, source, destination, values: policy.values, into: plan.into };
			await runHooks(plan.selected.rule.hooks[when], scope, `${when} ${plan.source}`, signal);
		}
	}

	/** False when it was left off because something is asked of it. */
	async #attempt(
		tasks: readonly TableTask[],
		onProgress: () => Promise<void>,
		watch: RequestWatch | null,
	): Promise<boolean> {
		const asked = watch?.signal;
		try {
			await this.#follow(tasks, onProgress, asked);
			return true;
		} catch (thrown) {
			const isFenced = thrown instanceof HeadraceError && thrown.code === "E_FENCED";
			if (asked?.aborted !== true || this.#work.signal.aborted || isFenced) throw thrown;
			return false;
		}
	}

	async #follow(
		tasks: readonly TableTask[],
		onProgress: () => Promise<void>,
		asked: AbortSignal | undefined,
	): Promise<void> {
		const { session, options, runId, signal } = this.#work;
		const work = { ...this.#work, signal: asked === undefined ? signal : AbortSignal.any([signal, asked]) };
		const { pipeline, source, destination } = session;
		const { changeLog: log } = source;
		const { changes } = destination;
		if (log === undefined || changes === undefined)
			throw new HeadraceError("E_INTERNAL", "a log was planned to be followed that can't be");
		const streams = [CHANGES_STREAM, ...tasks.map((task) => task.stream)];
		const rows = this.#hasBegun ? await destination.takeOver(pipeline.name, streams) : this.#work.rows;
		this.#hasBegun = true;
		const { intervalMs, rows: flushRows, bytes } = pipeline.flush;
		await captureChanges(
			{
				...flowContext(work),
				stage: "all",
				log,
				changes,
				reader: pipeline.name,
				flush: { seconds: intervalMs / 1000, rows: flushRows, bytes },
				temporaryDirectory: session.resources.temporaryDirectory,
				follow: options.follow === true,
				concurrency: session.concurrency,
				tableContext: (task) => ({ ...this.#tableContext(task), signal: work.signal }),
				replan: () => this.#replan(),
				takeOver: (names) => destination.takeOver(pipeline.name, names),
				onOutcome: (stream, outcome) => {
					const plan = this.#plans.get(stream);
					const before = this.#outcomes.get(stream);
					const sum = before === undefined ? outcome : addOutcomes(before, outcome);
					this.#outcomes.set(stream, sum);
					const { rowsLoaded: loaded, bytes: moved } = sum;
					if (plan !== undefined)
						options.onEvent?.({
							type: "progress",
							runId,
							table: plan.source,
							phase: "load",
							rows: loaded,
							bytes: moved,
						});
				},
				onCommit: async (position) => {
					this.#hasMoved = true;
					await this.#work.onPosition?.(position);
					await onProgress();
				},
			},
			tasks,
			rows,
		);
	}

	/** What the first reading of a table works with. */
	#tableContext(task: TableTask): FlowContext {
		const plan = this.#plans.get(task.stream);
		const checks = plan === undefined ? null : checksOf(plan, this.#work);
		const parallel = Math.max(1, Math.min(this.#work.session.concurrency, this.#plans.size));
		return {
			...flowContext(this.#work),
			stage: "all",
			bufferBytesMax: Math.floor(this.#work.session.bufferBytesMax / parallel),
			tablesAtOnce: parallel,
			...(checks === null ? {} : { verify: checks.verify }),
		};
	}

	/** Tables of the pipeline as the source has them now. @throws what planning finds wrong with them */
	async #replan(): Promise<TableTask[]> {
		const { session, options, runId } = this.#work;
		const { fullRefresh: _once, ...others } = options;
		const plan = await planSession(session, others, null, runId);
		const tables = plan.tables.filter(({ selected }) => selected.options.mode === "cdc");
		for (const { errors } of tables) if (errors[0] !== undefined) throw errors[0];
		return tables.flatMap(({ task }) => (task === null ? [] : [task]));
	}
}

function nothing(row: PositionRow | undefined): TableOutcome {
	const none = { rowsRead: 0, rowsStaged: 0, rowsLoaded: 0, rowsRejected: 0 };
	return {
		...none,
		rowsInserted: 0,
		rowsUpdated: 0,
		rowsDeleted: 0,
		bytes: 0,
		valuesChanged: {},
		position: null,
		row: row!,
	};
}
