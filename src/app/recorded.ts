import { type CheckedPipeline, type Env, settingsText } from "../config/index.ts";
import { HeadraceError, type LogLine, type RunEvent, type RunReceipt, toHeadraceErrors } from "../core/index.ts";
import { RunLog } from "../observe/index.ts";
import type { ProjectState } from "../state/index.ts";
import { Alarms } from "./alarms.ts";
import type { RunInterval, RunOptions } from "./api.ts";
import { type HeldLease, withLease } from "./lease.ts";
import { RunStart } from "./run-start.ts";
import { type RunWatch, watchRuns } from "./run-watch.ts";

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
	/** Told what was planned. */
	readonly watch: RunWatch;
}

/** What recording needs of the project. */
export interface Recorder {
	readonly state: ProjectState;
	readonly nowMs: () => number;
	readonly redact: (text: string) => string;
	/** How long a run may say nothing before another one takes its pipeline. */
	readonly leaseMs: number;
	/** Says who else is told of runs. */
	readonly env: Env;
}

/**
 * Runs under the pipeline's lease, with what they tell kept as their logs, and with their ends told to the channels
 * of `alerts`. What ends a run outside of its tables is kept as its error, for `runs`, and thrown.
 */
export async function recorded<Options extends RunOptions>(
	recorder: Recorder,
	{ pipeline, options, intervals }: RunsToRecord<Options>,
	work: (recorded: Recorded<Options>) => Promise<RunReceipt[]>,
): Promise<RunReceipt[]> {
	const { state } = recorder;
	const log = new RunLog((runId, lines) => state.appendLog(runId, lines));
	const say = (runId: string | null, level: LogLine["level"], message: string): void => {
		if (runId !== null) log.add({ runId, line: { at: new Date().toISOString(), level, task: null, message } });
	};
	const warn = (runId: string | null, message: string): void =>
		options.onEvent?.({ type: "notice", runId: runId ?? "", level: "warn", message });
	const alarms = new AlarmNotes(
		new Alarms({
			...recorder,
			pipeline,
			signal: options.signal,
			onLine: (runId, level, message) => {
				say(runId, level, message);
				if (level === "warn") warn(runId, message);
			},
		}),
		(error) => warn(null, `alarms: ${error.code} ${error.message}`),
	);
	let lastRunId: string | null = null;
	const watch = await watchRuns({
		pipeline,
		env: recorder.env,
		redact: recorder.redact,
		signal: options.signal,
		onWarning: (message) => {
			say(lastRunId, "warn", message);
			warn(lastRunId, message);
		},
	});
	const onEvent = (event: RunEvent) => {
		watch.onEvent(event);
		log.onEvent(event);
		options.onEvent?.(event);
		if (event.type === "run-finished") alarms.add((each) => each.note(event.run));
	};
	try {
		const receipts = await withLease(recorder, pipeline, options, async (held) => {
			alarms.add((each) => each.fencedBy(held.state));
			alarms.add((each) => each.noteAbandoned());
			await alarms.written();
			const { signal } = held;
			const nowMs = () => state.nowMs();
			const shared = { pipeline, signal, onEvent, nowMs, retry: options.retryStart !== false };
			const origin = options.origin === undefined ? {} : { origin: options.origin };
			const starts = intervals.map((interval) => new RunStart({ ...shared, ...origin, interval }));
			const fail = async (start: RunStart, thrown: unknown) => {
				const receipt = start.failure(thrown);
				start.receipt = receipt;
				await held.state.saveRun(receipt);
				alarms.add((each) => each.note(receipt));
				watch.ended(receipt);
				lastRunId = receipt.run_id;
				if (receipt.error === undefined) return;
				const { code, message } = receipt.error;
				const level = receipt.state === "stopped" ? "warn" : "error";
				say(receipt.run_id, level, `run ${receipt.state} with ${code}: ${message}`);
			};
			try {
				await keepSettings(recorder, pipeline, starts[0]);
				const receipts = await work({ held, logged: { ...options, onEvent }, starts, fail, watch });
				alarms.add((each) => each.noteSuccess(receipts));
				return receipts;
			} catch (thrown) {
				const [first] = starts;
				const told = starts.some((start) => start.receipt !== null && start.receipt.state !== "running");
				if (first !== undefined && !told) await fail(first, thrown);
				throw thrown instanceof HeadraceError ? thrown.at({ pipeline: pipeline.name }) : thrown;
			} finally {
				// While the lease is held: they are written under it.
				alarms.add((each) => each.unfenced());
				await alarms.written();
			}
		});
		lastRunId = receipts.at(-1)?.run_id ?? null;
		return receipts;
	} finally {
		// Also when another run holds the pipeline: it may hang.
		alarms.add((each) => each.checkLate(lastRunId));
		await alarms.written();
		await alarms.finish(lastRunId);
		await watch.finish();
		await log.flush();
		await state.pruneHourly();
	}
}

const settingsOf = new WeakMap<CheckedPipeline, string>();

/** Keeps what the pipeline's file says: a run that comes out otherwise than the last is compared with it. */
async function keepSettings(
	{ state, redact }: Recorder,
	pipeline: CheckedPipeline,
	start: RunStart | undefined,
): Promise<void> {
	const { name, file } = pipeline;
	if (file === undefined || start === undefined) return;
	let settings = settingsOf.get(pipeline);
	try {
		settings ??= await settingsText(file, redact);
	} catch {
		// The file is gone, or is being written: the run goes on by what was read of it before.
		return;
	}
	settingsOf.set(pipeline, settings);
	await state.server.saveSettings(name, { runId: start.runId, startedAt: start.startedAt, settings });
}

/** Alarms beside runs: what goes wrong with them is told and ends no run. */
class AlarmNotes {
	readonly #alarms: Alarms;
	readonly #onError: (error: HeadraceError) => void;
	#writing: Promise<void> = Promise.resolve();

	constructor(alarms: Alarms, onError: (error: HeadraceError) => void) {
		this.#alarms = alarms;
		this.#onError = onError;
	}

	/** One after the other, in the order of the calls. */
	add(work: (alarms: Alarms) => unknown): void {
		this.#writing = this.#writing
			.then(() => work(this.#alarms))
			.then(() => {})
			.catch((thrown: unknown) => {
				for (const error of toHeadraceErrors(thrown)) this.#onError(error);
			});
	}

	/** Resolves when everything so far is written down. */
	written(): Promise<void> {
		return this.#writing;
	}

	async finish(runId: string | null): Promise<void> {
		this.add((alarms) => alarms.finish(runId));
		await this.#writing;
	}
}
