import type { CheckedPipeline } from "../../config/index.ts";
import { HeadraceError, type RunEvent, type RunOrigin, type RunReceipt, toHeadraceErrors } from "../../core/index.ts";
import type { WorkEnd } from "../../schedule/index.ts";
import type { ServerStore } from "../../state/index.ts";
import type { App, RunInterval, RunOptions } from "../api.ts";
import { loadedIntervals } from "./due.ts";
import type { Job } from "./jobs.ts";

/** How soon a pipeline that another process holds is asked for again, at the latest. */
const BUSY_DELAY_MS_MAX = 10_000;

/** What a job needs to be run. */
export interface JobContext {
	readonly app: App;
	/** As the file is now. @throws the faults of the file */
	readonly pipeline: () => CheckedPipeline;
	readonly store: ServerStore;
	/** As it is now: intervals may have come while it waited. */
	readonly current: () => Job;
	readonly change: (change: Partial<Job>) => Job;
	readonly onEvent: (event: RunEvent) => void;
	readonly nowMs: () => number;
	readonly onEnd: (state: Job["state"]) => void;
	/** How long a process that is gone may seem to hold a pipeline. */
	readonly leaseMs: number;
}

/** Runs a job by the app, as the command line would. Never throws. */
export async function runJob(context: JobContext, signal: AbortSignal): Promise<WorkEnd> {
	const { change, nowMs, onEnd } = context;
	const now = () => new Date(nowMs()).toISOString();
	const startedAt = now();
	const job = change({ state: "running", startedAt });
	try {
		const receipts = await receiptsOf(context, job, signal);
		const state = stateOf(receipts, signal);
		change({ state, finishedAt: now(), error: errorOf(receipts) });
		onEnd(state);
	} catch (thrown) {
		const [error = new HeadraceError("E_INTERNAL", "a job ended without an error")] = toHeadraceErrors(thrown);
		if (error.code === "E_BUSY" && !signal.aborted)
			return { state: "again", delayMs: Math.min(BUSY_DELAY_MS_MAX, context.leaseMs), reason: error.message };
		const state = signal.aborted ? "stopped" : "failed";
		const { code, message, hint } = error;
		// A run that got no further than its start told no event.
		const [last] = await context.store.runs({ pipeline: job.pipeline, limit: 1 });
		const { runIds } = context.current();
		const cut = last !== undefined && last.started_at >= startedAt && !runIds.includes(last.run_id);
		change({
			state,
			finishedAt: now(),
			runIds: cut ? [...runIds, last.run_id] : runIds,
			error: { code, message, hint },
		});
		if (cut) context.onEvent({ type: "run-finished", run: last });
		onEnd(state);
	}
	return { state: "ended" };
}

async function receiptsOf(context: JobContext, job: Job, signal: AbortSignal): Promise<RunReceipt[]> {
	const { app, onEvent, store } = context;
	const { request } = job;
	const pipeline = context.pipeline();
	const options: RunOptions = {
		...(request.tables === undefined ? {} : { tables: request.tables }),
		...(request.fullRefresh === true ? { fullRefresh: true } : {}),
		...(request.stage === undefined ? {} : { stage: request.stage }),
		...(request.params === undefined ? {} : { params: request.params }),
		...(request.failedRun === undefined ? {} : { failedRun: request.failedRun }),
		origin: originOf(request),
		signal,
		onEvent,
	};
	const intervals = await intervalsToRun(store, job);
	const backfill = (list: readonly RunInterval[]) => {
		if (list.length === 0) return [];
		const order = list.toSorted((a, b) => (a.start < b.start ? -1 : 1));
		const range = { start: order[0]!.start, end: order.at(-1)!.end };
		const atOnce = request.maxActiveRuns === undefined ? {} : { maxActiveRuns: request.maxActiveRuns };
		return app.backfill(pipeline, { ...options, ...range, ...atOnce, intervals: list });
	};
	if (request.trigger === "backfill") return backfill(intervals ?? []);
	const last = intervals?.at(-1);
	if (last === undefined) return app.run(pipeline, options);
	// The missed intervals move rows of the tables that have intervals; the last run is one of all tables.
	const before = await backfill(intervals!.slice(0, -1));
	if (signal.aborted) return before;
	return [...before, ...(await app.run(pipeline, { ...options, interval: last }))];
}

/** A job that a server's death cut off goes on with what it has not loaded. */
async function intervalsToRun(
	store: ServerStore,
	{ request, pipeline, runIds }: Job,
): Promise<readonly RunInterval[] | undefined> {
	const { intervals } = request;
	if (intervals === undefined || intervals.length === 0 || runIds.length === 0) return intervals;
	const starts = intervals.map(({ start }) => start).sort();
	const end = intervals
		.map((each) => each.end)
		.sort()
		.at(-1)!;
	const loaded = await loadedIntervals(store, pipeline, starts[0]!, end);
	const own = new Set(runIds);
	const known = await store.intervals(pipeline, starts[0]!, end);
	const done = new Set(
		known.filter(({ runId, start }) => own.has(runId) && loaded.has(start)).map(({ start }) => start),
	);
	return intervals.filter(({ start }) => !done.has(start));
}

function originOf({ trigger, by, dueMs, params }: Job["request"]): RunOrigin {
	return {
		trigger,
		...(by === null ? {} : { by }),
		...(dueMs === undefined ? {} : { due_at: new Date(dueMs).toISOString() }),
		...(params === undefined ? {} : { params }),
	};
}

function stateOf(receipts: readonly RunReceipt[], signal: AbortSignal): Job["state"] {
	if (receipts.some(({ state }) => state === "failed")) return "failed";
	if (signal.aborted || receipts.some(({ state }) => state === "stopped")) return "stopped";
	return "succeeded";
}

function errorOf(receipts: readonly RunReceipt[]): Job["error"] {
	for (const { error, tables } of receipts) {
		const first = error ?? tables.find((table) => table.error !== null && table.state !== "succeeded")?.error;
		if (first !== undefined && first !== null) return { code: first.code, message: first.message, hint: first.hint };
	}
	return null;
}
