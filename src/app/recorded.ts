import type { CheckedPipeline } from "../config/index.ts";
import type { RunEvent, RunReceipt } from "../core/index.ts";
import { RunLog } from "../observe/index.ts";
import type { SqliteStateStore } from "../state/index.ts";
import type { RunInterval, RunOptions } from "./api.ts";
import { type HeldLease, withLease } from "./lease.ts";
import { RunStart } from "./run-start.ts";

export interface RunsToRecord<Options extends RunOptions> {
	readonly pipeline: CheckedPipeline;
	readonly options: Options;
	/** One for each run. */
	readonly intervals: readonly (RunInterval | null)[];
}

/** What recorded work gets. */
export interface Recorded<Options> {
	readonly held: HeldLease;
	/** The options, their events kept as the runs' logs. */
	readonly logged: Options;
	/** One for each run, in the order of the intervals. */
	readonly starts: readonly RunStart[];
	/** Keeps what ended one run of several. */
	readonly fail: (start: RunStart, thrown: unknown) => Promise<void>;
}

/**
 * Runs under the pipeline's lease, with what they tell kept as their logs. What ends a run outside of its tables is
 * kept as its error, for `runs`, and thrown.
 */
export function recorded<Options extends RunOptions>(
	state: SqliteStateStore,
	{ pipeline, options, intervals }: RunsToRecord<Options>,
	work: (recorded: Recorded<Options>) => Promise<RunReceipt[]>,
): Promise<RunReceipt[]> {
	return withLease(state, pipeline, options.signal, async (held) => {
		const log = new RunLog((runId, lines) => state.appendLog(runId, lines));
		const onEvent = (event: RunEvent) => {
			log.onEvent(event);
			options.onEvent?.(event);
		};
		const { signal } = held;
		const retry = options.retryStart !== false;
		const starts = intervals.map((interval) => new RunStart({ pipeline, signal, onEvent, interval, retry }));
		const fail = async (start: RunStart, thrown: unknown) => {
			const receipt = start.failure(thrown);
			start.receipt = receipt;
			await state.saveRun(receipt);
			if (receipt.error === undefined) return;
			const level = receipt.state === "stopped" ? "warn" : "error";
			const message = `run ${receipt.state} with ${receipt.error.code}: ${receipt.error.message}`;
			log.add({ runId: receipt.run_id, line: { at: new Date().toISOString(), level, task: null, message } });
		};
		try {
			return await work({ held, logged: { ...options, onEvent }, starts, fail });
		} catch (thrown) {
			const [first] = starts;
			const told = starts.some((start) => start.receipt !== null && start.receipt.state !== "running");
			if (first !== undefined && !told) await fail(first, thrown);
			throw thrown;
		} finally {
			await log.flush();
			await state.prune();
		}
	});
}
