import type { CheckedPipeline } from "../config/index.ts";
import {
	type AttemptError,
	type ChangesPosition,
	type FileFormat,
	HeadraceError,
	HeadraceErrors,
	type PositionRow,
	readsOf,
	type Snapshot,
	type Staging,
	type TableReceipt,
} from "../core/index.ts";
import { runTable, type TableOutcome, type TableTask } from "../flow/index.ts";
import type { ChangeRequests } from "../state/index.ts";
import type { RunOptions } from "./api.ts";
import { applyFixes } from "./fixes.ts";
import { runHooks } from "./hooks.ts";
import type { TablePlan } from "./planned-table.ts";
import { maskedTargets, type PolicyPlan } from "./policy-plan.ts";
import { emptyReceipt, failedReceipt, finishedReceipt, receiptError } from "./receipt.ts";
import { abortableDelay, attemptError, mayRetry, type RetryRule, retryDelayMs } from "./retry.ts";
import type { Session } from "./session.ts";
import type { SharedSnapshot } from "./shared-snapshot.ts";
import { blockedBy, emptySummaryReceipt, type SummaryPlan, skippedBecause, summaryBuild } from "./summaries.ts";
import { TableChecks } from "./table-checks.ts";

export interface StagedFiles {
	readonly staging: Staging;
	readonly formats: readonly FileFormat[];
}

/** What the tables of a run share. */
export interface TableWork {
	readonly session: Session;
	readonly options: RunOptions;
	readonly runId: string;
	readonly staged: StagedFiles | null;
	readonly snapshot: SharedSnapshot;
	readonly rows: ReadonlyMap<string, PositionRow>;
	readonly policy: PolicyPlan;
	readonly signal: AbortSignal;
	readonly bufferBytesMax: number;
	readonly readers: number;
	readonly tablesAtOnce: number;
	/** Told where a change stream stands, after each of its commits. */
	readonly onPosition?: (position: ChangesPosition) => Promise<void>;
	/** What may be asked of it while it follows a change log. */
	readonly requests?: ChangeRequests;
}

/** Runs one table with its hooks, checks and retries; whatever happens ends in its receipt. */
export async function tableReceipt(plan: TablePlan, work: TableWork): Promise<TableReceipt> {
	const seconds = stopwatch();
	const { task } = plan;
	if (task === null) return failedReceipt(plan, plan.errors[0], seconds(), 0, "failed");
	const { estimatedRows } = plan.table;
	work.options.onEvent?.({
		type: "table-started",
		runId: work.runId,
		table: plan.source,
		into: emptyReceipt(plan).into,
		...(estimatedRows === undefined ? {} : { estimatedRows }),
	});
	const checks = checksOf(plan, work);
	const steps = stepsOf(plan, task, work, checks);
	const { options } = plan.selected;
	const { pipeline } = work.session;
	const rule = {
		retries: options.retries ?? pipeline.retries,
		retryDelayMs: options.retryDelayMs ?? pipeline.retryDelayMs,
	};
	const ended = await withRetries(plan.source, work, rule, steps.run);
	const loaded = steps.loaded();
	const found = { ...(checks?.receipts === undefined ? {} : { checks: checks.receipts }), ...ended.failed };
	const { error, attempts } = ended;
	if (error === null && loaded !== null) return { ...finishedReceipt(plan, loaded, seconds(), attempts), ...found };
	const state = ended.stopped ? "stopped" : "failed";
	const failed = failedReceipt(plan, error ?? undefined, seconds(), attempts, state, work.options.showValues);
	// The rows are there, though a hook after them failed.
	if (loaded !== null)
		return { ...finishedReceipt(plan, loaded, seconds(), attempts), state, error: failed.error, ...found };
	return { ...failed, ...found };
}

/** Before-hooks, load and after-hooks; those that are done stay done when what follows is tried again. */
function stepsOf(plan: TablePlan, task: TableTask, work: TableWork, checks: TableChecks | null) {
	const { stage } = work.options;
	const { pipeline, source, destination } = work.session;
	const { hooks } = plan.selected.rule;
	const scope = { pipeline, source, destination, values: work.policy.values, into: plan.into };
	let isPrepared = stage === "load";
	let loaded: TableOutcome | null = null;
	const run = async (attempt: number): Promise<void> => {
		if (!isPrepared) await runHooks(hooks.before, scope, `before ${plan.source}`, work.signal);
		isPrepared = true;
		loaded ??= await attemptTable(plan, task, work, { attempt, checks });
		if (stage !== "extract") await runHooks(hooks.after, scope, `after ${plan.source}`, work.signal);
	};
	return { run, loaded: () => loaded };
}

export function checksOf(plan: TablePlan, { session, policy, runId, options, signal }: TableWork): TableChecks | null {
	const checks = policy.checks.get(plan.source) ?? [];
	const sql = readsOf(session.destination);
	if (checks.length === 0 || sql === undefined) return null;
	const masked = maskedTargets(plan);
	return new TableChecks({
		checks,
		shownKey: plan.key.filter((name) => !masked.has(name)),
		masked,
		zoned: new Set(plan.task?.target.columns.flatMap(({ name, type }) => (type.kind === "timestamptz" ? [name] : []))),
		sql,
		values: policy.values,
		directory: session.pipeline.directory,
		now: () => new Date(),
		onWarning: (message) => {
			if (!signal.aborted) options.onEvent?.({ type: "notice", runId, level: "warn", table: plan.source, message });
		},
	});
}

export interface SummaryWork extends TableWork {
	/** Receipts of the run so far. */
	readonly done: readonly TableReceipt[];
	/** Why no summary may be built. */
	readonly blocked: string | undefined;
}

/** Builds one summary; whatever happens ends in its receipt. */
export async function summaryReceipt(plan: SummaryPlan, work: SummaryWork): Promise<TableReceipt> {
	const seconds = stopwatch();
	const empty = emptySummaryReceipt(plan);
	const { session, runId, options, signal, policy } = work;
	const { sql } = session.destination;
	const reason = work.blocked === undefined ? blockedBy(plan, work.done) : skippedBecause(work.blocked);
	if (reason !== null) return { ...empty, state: "skipped", error: reason };
	if (sql === undefined) throw new HeadraceError("E_INTERNAL", "a summary was planned for a destination without SQL");
	options.onEvent?.({ type: "table-started", runId, table: empty.table, into: empty.into });
	const { checks, build } = summaryBuild(plan, {
		sql,
		values: policy.values,
		directory: session.pipeline.directory,
		now: () => new Date(),
		signal,
		onWarning: (message) => options.onEvent?.({ type: "notice", runId, level: "warn", table: empty.table, message }),
	});
	let rows = 0;
	const { error, stopped, attempts, failed } = await withRetries(empty.table, work, session.pipeline, async () => {
		({ rows } = await build());
	});
	const found = { ...(checks.receipts === undefined ? {} : { checks: checks.receipts }), ...failed };
	const ended = { ...empty, seconds: seconds(), attempts, ...found };
	if (error !== null)
		return { ...ended, state: stopped ? "stopped" : "failed", error: receiptError(error, options.showValues) };
	return {
		...ended,
		state: "succeeded",
		rows_read: rows,
		rows_staged: rows,
		rows_loaded: rows,
		rows_inserted: rows,
	};
}

function stopwatch(): () => number {
	const started = performance.now();
	return () => Math.round(performance.now() - started) / 1000;
}

interface Ended {
	readonly error: HeadraceError | null;
	readonly stopped: boolean;
	readonly attempts: number;
	/** For the receipt. */
	readonly failed: { readonly attempt_errors?: readonly AttemptError[] };
}

/** Tries work again after errors that may pass, as often as the rule says. */
async function withRetries(
	table: string,
	work: TableWork,
	rule: RetryRule,
	attempt: (count: number) => Promise<void>,
): Promise<Ended> {
	const { session, signal, options, runId, snapshot } = work;
	const { pipeline } = session;
	const errors: AttemptError[] = [];
	const ended = (error: HeadraceError | null, attempts: number): Ended => ({
		error,
		stopped: signal.aborted && error?.code === "E_STOPPED",
		attempts,
		failed: errors.length === 0 ? {} : { attempt_errors: errors },
	});
	for (let count = 1; ; count++) {
		try {
			signal.throwIfAborted();
			await attempt(count);
			return ended(null, count);
		} catch (thrown) {
			const error = asRunError(thrown, pipeline, signal, table);
			if (signal.aborted || !mayRetry(error, count, rule)) return ended(error, count);
			errors.push(attemptError(count, error));
			const delayMs = retryDelayMs(rule, count);
			const { code, message } = error;
			options.onEvent?.({ type: "retry", runId, table, attempt: count, delayMs, error: { code, message } });
			await abortableDelay(delayMs, signal);
			await snapshot.renew();
		}
	}
}

async function attemptTable(
	plan: TablePlan,
	task: TableTask,
	work: TableWork,
	{ attempt, checks }: { readonly attempt: number; readonly checks: TableChecks | null },
) {
	const { session, runId, signal } = work;
	const { pipeline, destination } = session;
	if (task.mode === "cdc")
		throw new HeadraceError("E_UNSUPPORTED", `${plan.source} follows a change log: it is not run by itself`);
	// After a failed attempt the position row is read again: the first answer may have been lost after its commit.
	const row =
		attempt === 1
			? work.rows.get(task.stream)
			: (await destination.takeOver(pipeline.name, [task.stream])).get(task.stream);
	if (row === undefined)
		throw new HeadraceError("E_INTERNAL", `the destination gave no position row for ${task.stream}`);
	const stage = work.options.stage === "extract" || work.options.stage === "load" ? work.options.stage : "all";
	const tell = (message: string) =>
		work.options.onEvent?.({ type: "notice", runId, level: "info", table: plan.source, message });
	return runTable(
		{
			...flowContext(work),
			stage,
			tablesAtOnce: work.tablesAtOnce,
			...(checks === null ? {} : { verify: checks.verify }),
			prepare: (target) => applyFixes(session, plan, target, tell, signal),
		},
		task,
		row,
		(): Promise<Snapshot> => work.snapshot.open(),
	);
}

/** What every table of a run works with. */
export function flowContext({ session, staged, runId, signal, options, bufferBytesMax, readers }: TableWork) {
	const { pipeline, source, destination } = session;
	return {
		pipeline: pipeline.name,
		runId,
		source,
		destination,
		staging: staged?.staging ?? null,
		format: staged?.formats[0] ?? null,
		formats: staged?.formats ?? [],
		bufferBytesMax,
		readers,
		...chunkRowsOf(process.env),
		onEvent: options.onEvent ?? (() => {}),
		signal,
	};
}

/** Rows of a chunk where the machine's owner wants others than Headrace takes. @throws E_INVALID_VALUE */
function chunkRowsOf(env: NodeJS.ProcessEnv): { readonly chunkRows?: number } {
	const text = env["HEADRACE_CHUNK_ROWS"];
	if (text === undefined || text === "") return {};
	if (/^[1-9]\d{0,11}$/.test(text)) return { chunkRows: Number(text) };
	throw new HeadraceError("E_INVALID_VALUE", `HEADRACE_CHUNK_ROWS must be a number of rows, not ${text.slice(0, 40)}`);
}

/** What stopped a table, or the whole run when no table is given. */
export function asRunError(
	thrown: unknown,
	pipeline: CheckedPipeline,
	signal: AbortSignal,
	table?: string,
): HeadraceError {
	const place = { pipeline: pipeline.name, ...(table === undefined ? {} : { table }) };
	if (signal.aborted) {
		if (signal.reason instanceof HeadraceError) return signal.reason.at(place);
		return new HeadraceError("E_STOPPED", `${table ?? "the run"} was stopped; nothing of it was half-written`, {
			...place,
			cause: thrown,
		});
	}
	// Several that were found together: one of them is what the run ended by.
	const [error] = thrown instanceof HeadraceErrors ? thrown.errors : [thrown];
	if (error instanceof HeadraceError) return error.at(place);
	const message = thrown instanceof Error ? thrown.message : String(thrown);
	return new HeadraceError("E_INTERNAL", message, { ...place, cause: thrown });
}
