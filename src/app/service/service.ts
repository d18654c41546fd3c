import { basename, join } from "node:path";
import type { CheckedPipeline, Env } from "../../config/index.ts";
import { HeadraceError, type RunEvent, type TableSuccess, toHeadraceErrors } from "../../core/index.ts";
import type { Redactor } from "../../observe/index.ts";
import { type Clock, JobQueue, nextTimes, Scheduler, SYSTEM_CLOCK } from "../../schedule/index.ts";
import { openStateStore, type ScheduleRow, type SqliteStateStore } from "../../state/index.ts";
import type { App } from "../api.ts";
import { namedInterval, openApp } from "../app.ts";
import { Catalog, type CatalogEntry } from "./catalog.ts";
import { ChangeWatch, followsChanges } from "./change-watch.ts";
import { dueIntervals, hasIntervals, startMs } from "./due.ts";
import { EventLog } from "./event-log.ts";
import { Followers } from "./followers.ts";
import { type Job, type JobRequest, Jobs } from "./jobs.ts";
import { LiveRuns, type ServiceEvent } from "./live-runs.ts";
import { takeProjectOver } from "./project-lease.ts";
import { runJob } from "./run-job.ts";
import { ScheduleBook } from "./schedule-book.ts";

const REFRESH_MS = 2_000;
const ALARMS_MS = 60_000;
const CHANGES_MS = 15_000;
const JOBS_MAX_DEFAULT = 4;

export interface ServiceOptions {
	/** The project's folder; it has `.headrace/`. */
	readonly directory: string;
	readonly env: Env;
	readonly redactor: Redactor;
	/** How many jobs may be at work at once; default 4. Change streams do not count. */
	readonly jobsMax?: number;
	readonly clock?: Clock;
	/** How long to wait for another server of the project to end; default a little over a minute. */
	readonly takeOverMs?: number;
	/** Ends that waiting. */
	readonly signal?: AbortSignal;
	/** What people should know: a line each. */
	readonly onNotice: (message: string) => void;
	/** Every event of every run, for the program's own log. */
	readonly onRunEvent?: (pipeline: string, event: RunEvent) => void;
}

/** The part of a program that runs pipelines by their schedules and on request. `openService` gives one. */
export class Service implements AsyncDisposable {
	readonly directory: string;
	/** What the project's references read. */
	readonly env: Env;
	/** The folder's name, for people. */
	readonly project: string;
	readonly jobsMax: number;
	readonly app: App;
	readonly state: SqliteStateStore;
	readonly catalog: Catalog;
	readonly jobs: Jobs;
	readonly live: LiveRuns;
	readonly followers: Followers;
	readonly changes: ChangeWatch;
	readonly events = new EventLog<ServiceEvent & { readonly at: string }>();
	readonly clock: Clock;
	readonly startedAt: string;
	readonly redactor: Redactor;
	readonly #options: ServiceOptions;
	readonly #queue: JobQueue<Job>;
	readonly #scheduler: Scheduler;
	readonly #book: ScheduleBook;
	/** The newest time of a job's schedule; several that came while it waited are one. */
	readonly #dues = new Map<string, number>();
	readonly #timers: NodeJS.Timeout[] = [];
	readonly #ending = new AbortController();
	#lease: AsyncDisposable | null = null;
	#started = false;
	#draining = false;
	#dataVersion = 0;
	/** When tables were last loaded, as long as no run has ended since. */
	readonly #successes = new Map<string, Promise<readonly TableSuccess[]>>();

	constructor(options: ServiceOptions, state: SqliteStateStore, app: App) {
		this.#options = options;
		this.directory = options.directory;
		this.env = options.env;
		this.project = basename(options.directory);
		this.jobsMax = options.jobsMax ?? JOBS_MAX_DEFAULT;
		this.clock = options.clock ?? SYSTEM_CLOCK;
		this.startedAt = new Date(this.clock.nowMs()).toISOString();
		this.redactor = options.redactor;
		this.state = state;
		this.app = app;
		this.catalog = new Catalog(options);
		const tell = (event: ServiceEvent) => this.#tell(event);
		this.live = new LiveRuns(tell, () => this.clock.nowMs());
		this.jobs = new Jobs(state.server, (job) => tell({ type: "job", job }));
		this.followers = new Followers({
			app,
			clock: this.clock,
			onEvent: (pipeline, event) => this.#runEvent(pipeline, null, event),
			onChange: (pipeline) => {
				this.live.forget(null, pipeline);
				tell({ type: "pipeline", pipeline });
			},
		});
		this.changes = new ChangeWatch(state, this.clock);
		this.#book = new ScheduleBook(state.server);
		this.#scheduler = new Scheduler({
			clock: this.clock,
			served: (name) => this.#book.served(name),
			saveServed: (name, dueMs) => this.#book.saveServed(name, dueMs),
			onDue: (name, due) => this.#due(name, due),
		});
		this.#queue = new JobQueue<Job>({
			clock: this.clock,
			atOnceMax: this.jobsMax,
			run: (job, signal) => runJob(this.#jobContext(job), signal),
			onChange: (job, change) => this.#queueChanged(job, change),
		});
	}

	/**
	 * Takes the project over, reads its pipelines, goes on with what was asked for and begins to look at the clock.
	 * @throws E_BUSY when another server has the project
	 */
	async start(): Promise<void> {
		const { state } = this;
		const { takeOverMs, onNotice, signal } = this.#options;
		this.#lease = await takeProjectOver(state, {
			...(takeOverMs === undefined ? {} : { waitMs: takeOverMs }),
			...(signal === undefined ? {} : { signal }),
			onNotice,
			onLost: (error) => this.#ending.abort(error),
		});
		await this.catalog.refresh();
		this.#dataVersion = state.server.dataVersion();
		this.#schedule();
		for (const job of this.jobs.restore()) this.#queue.add(job);
		this.#started = true;
		this.#scheduler.start();
		this.#every(REFRESH_MS, () => this.refresh());
		this.#every(ALARMS_MS, () => this.#lookForLate());
		this.#every(CHANGES_MS, () => this.changes.look(this.sound().filter(followsChanges)));
	}

	/** Aborted when the service can't go on: another one has taken the project over. */
	get lost(): AbortSignal {
		return this.#ending.signal;
	}

	get draining(): boolean {
		return this.#draining;
	}

	/** Whether it has the project, and is not about to give it up. */
	get ready(): boolean {
		return this.#started && !this.#draining;
	}

	/** When each table of a pipeline was last loaded; asked of the history once after each run, which may be long. */
	successes(pipeline: string): Promise<readonly TableSuccess[]> {
		const known = this.#successes.get(pipeline);
		if (known !== undefined) return known;
		const asked = this.state.lastSuccesses(pipeline);
		this.#successes.set(pipeline, asked);
		// What failed is asked again.
		asked.catch(() => this.#successes.delete(pipeline));
		return asked;
	}

	/** The pipelines whose files have no fault. */
	sound(): readonly CheckedPipeline[] {
		return [...this.catalog.entries.values()].flatMap(({ pipeline }) => (pipeline === null ? [] : [pipeline]));
	}

	/** Looks for changed files, and for what other processes did. */
	async refresh(): Promise<void> {
		const changed = await this.catalog.refresh();
		if (changed.length > 0) this.#schedule();
		for (const pipeline of changed) {
			const entry = this.catalog.entries.get(pipeline);
			for (const error of entry?.errors ?? [])
				this.#options.onNotice(`! ${pipeline} is not run: ${error.code} ${error.message}`);
			this.#tell({ type: "pipeline", pipeline });
		}
		const version = this.state.server.dataVersion();
		if (version !== this.#dataVersion) {
			this.#successes.clear();
			this.#tell({ type: "history" });
		}
		this.#dataVersion = version;
	}

	/**
	 * Queues what somebody asked for.
	 * @throws E_FILE_NOT_FOUND, the faults of the pipeline's file, E_INVALID_VALUE, E_BUSY
	 */
	add(request: JobRequest, interval?: string): Job {
		const pipeline = this.catalog.pipeline(request.pipeline);
		if (!this.ready)
			throw new HeadraceError("E_BUSY", `the server is about to ${this.#draining ? "stop" : "start"}`, {
				hint: "Ask again later.",
			});
		if (this.followers.isWorking(request.pipeline))
			throw new HeadraceError("E_BUSY", `${request.pipeline} follows its change stream`, {
				hint: "Pause it first.",
			});
		const named = interval === undefined ? {} : { intervals: [namedInterval(pipeline, interval)] };
		const job = this.jobs.add({ ...request, ...named }, this.clock.nowMs());
		this.#queue.add(job);
		return this.jobs.find(job.id) ?? job;
	}

	/** Stops a job, or takes it out of the queue. False when it has ended. */
	cancel(jobId: string, by: string): boolean {
		return this.#queue.cancel(jobId, new HeadraceError("E_STOPPED", `cancelled by ${by}`));
	}

	/** Holds a schedule, and stops a change stream. */
	async pause(pipeline: string, by: string, reason: string | null): Promise<void> {
		this.catalog.pipeline(pipeline);
		await this.#setPause(pipeline, { at: new Date(this.clock.nowMs()).toISOString(), by, reason });
	}

	async unpause(pipeline: string): Promise<void> {
		this.catalog.pipeline(pipeline);
		await this.#setPause(pipeline, null);
	}

	paused(pipeline: string): ScheduleRow["paused"] {
		return this.#book.paused(pipeline);
	}

	/** The next times of a pipeline's schedule, at most so many; none while it is held. */
	nextTimes(pipeline: string, count: number): number[] {
		const first = this.#scheduler.nextMs(pipeline);
		const timetable = this.catalog.entries.get(pipeline)?.timetable ?? null;
		if (first === null || timetable === null) return [];
		return [first, ...nextTimes(timetable, first, count - 1)];
	}

	/** Why a job waits, in words. */
	waitsFor(jobId: string): string | null {
		return this.#queue.waitsFor(jobId);
	}

	/**
	 * Begins nothing more; what is at work may end by itself for a while and is stopped then, so that the next server
	 * goes on with it.
	 */
	async drain(graceMs: number): Promise<void> {
		if (this.#draining) return;
		this.#draining = true;
		this.#tell({ type: "draining" });
		this.#scheduler.stop();
		for (const timer of this.#timers) clearInterval(timer);
		const reason = new HeadraceError("E_STOPPED", "the server was stopped");
		await Promise.all([this.#queue.drain(graceMs, reason), this.followers.stop(reason)]);
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.drain(0);
		await this.#lease?.[Symbol.asyncDispose]();
		await this.app[Symbol.asyncDispose]();
		await this.state[Symbol.asyncDispose]();
	}

	#tell(event: ServiceEvent): void {
		this.events.add({ ...event, at: new Date(this.clock.nowMs()).toISOString() });
	}

	#runEvent(pipeline: string, job: Job | null, event: RunEvent): void {
		if (event.type === "run-finished" || event.type === "table-finished") this.#successes.delete(pipeline);
		this.live.onEvent(pipeline, job?.id ?? null, event);
		if (event.type === "run-started" && job !== null) {
			const runIds = this.jobs.find(job.id)?.runIds ?? [];
			this.jobs.change(job.id, { runIds: [...runIds, event.run.run_id] });
		}
		this.#options.onRunEvent?.(pipeline, event);
	}

	#jobContext(job: Job) {
		return {
			job,
			app: this.app,
			pipeline: () => this.catalog.pipeline(job.pipeline),
			store: this.state.server,
			current: () => this.jobs.find(job.id) ?? job,
			change: (change: Partial<Job>) => this.jobs.change(job.id, change),
			onEvent: (event: RunEvent) => this.#runEvent(job.pipeline, job, event),
			nowMs: () => this.clock.nowMs(),
			onEnd: (state: Job["state"]) => this.#jobEnded(job, state),
		};
	}

	#queueChanged(job: Job, change: "running" | "queued" | "dropped"): void {
		if (change === "dropped") {
			this.jobs.change(job.id, { state: "stopped", finishedAt: new Date(this.clock.nowMs()).toISOString() });
			this.#jobEnded(job, "stopped");
		} else if (change === "queued") this.jobs.change(job.id, { state: "queued" });
	}

	/** What a schedule wanted is served, but for what this server's own stop cut off: that comes again. */
	#jobEnded(job: Job, state: Job["state"]): void {
		this.live.forget(job.id, job.pipeline);
		this.#successes.delete(job.pipeline);
		const due = this.#dues.get(job.id);
		this.#dues.delete(job.id);
		if (due !== undefined && !(this.#draining && state === "stopped")) this.#scheduler.done(job.pipeline, due);
	}

	/** A time of a schedule has come. One that waits already takes it in: nothing is run twice for two times. */
	#due(name: string, due: { readonly atMs: number; readonly sinceMs: number }): void {
		const entry = this.catalog.entries.get(name);
		if (entry?.pipeline === undefined || entry.pipeline === null) return;
		try {
			const intervals = dueIntervals(entry.pipeline, due, this.state.server);
			const waiting = this.jobs.open(name).find((job) => job.state === "queued" && this.#dues.has(job.id));
			if (waiting !== undefined) {
				const before = waiting.request.intervals ?? [];
				const more = (intervals ?? []).filter(({ start }) => before.every((each) => each.start !== start));
				const request = { ...waiting.request, dueMs: due.atMs };
				this.jobs.change(waiting.id, {
					request: intervals === undefined ? request : { ...request, intervals: [...before, ...more] },
				});
				this.#dues.set(waiting.id, due.atMs);
				return;
			}
			const trigger = intervals !== undefined && intervals.length > 1 ? "catchup" : "schedule";
			const request = { pipeline: name, trigger, by: null, dueMs: due.atMs } as const;
			const job = this.jobs.add(intervals === undefined ? request : { ...request, intervals }, this.clock.nowMs());
			this.#dues.set(job.id, due.atMs);
			this.#queue.add(job);
		} catch (thrown) {
			for (const error of toHeadraceErrors(thrown))
				this.#options.onNotice(`! ${name} is not run: ${error.code} ${error.message}`);
			this.#scheduler.done(name, due.atMs);
		}
	}

	async #setPause(pipeline: string, paused: ScheduleRow["paused"]): Promise<void> {
		this.#book.savePause(pipeline, paused);
		this.#schedule();
		this.#tell({ type: "pipeline", pipeline });
	}

	/** Brings clock and change streams to what the files and pauses say. */
	#schedule(): void {
		const entries = [...this.catalog.entries.values()];
		for (const entry of entries) this.#beginCatchUp(entry);
		const isPaused = (name: string) => this.paused(name) !== null;
		this.#scheduler.set(
			entries.flatMap(({ name, timetable }) =>
				timetable === null ? [] : [{ name, timetable, paused: isPaused(name) }],
			),
		);
		this.followers.set(
			entries.flatMap(({ pipeline, fingerprint }) =>
				pipeline?.schedule?.kind === "continuous" && !isPaused(pipeline.name) ? [{ pipeline, fingerprint }] : [],
			),
		);
	}

	/** A new pipeline with `catchup` has missed everything since its `start`. */
	#beginCatchUp({ name, pipeline }: CatalogEntry): void {
		if (pipeline === null || !pipeline.catchup || !hasIntervals(pipeline)) return;
		const start = startMs(pipeline);
		if (start !== null && this.#book.served(name) === null) this.#book.saveServed(name, start);
	}

	async #lookForLate(): Promise<void> {
		for (const pipeline of this.sound())
			if (pipeline.alerts.length > 0 && !this.#draining) await this.app.alert(pipeline);
	}

	#every(ms: number, work: () => Promise<void>): void {
		let busy = false;
		const timer = setInterval(() => {
			if (busy) return;
			busy = true;
			work()
				.catch((thrown: unknown) => {
					for (const error of toHeadraceErrors(thrown)) this.#options.onNotice(`! ${error.code} ${error.message}`);
				})
				.finally(() => {
					busy = false;
				});
		}, ms);
		this.#timers.push(timer);
	}
}

/** Opens a project's service; `start` makes it work. @throws E_STATE */
export async function openService(options: ServiceOptions): Promise<Service> {
	const { directory, redactor, onNotice, clock = SYSTEM_CLOCK } = options;
	const redact = redactor.redact;
	const state = await openStateStore(join(directory, ".headrace", "state.db"), { redact, onNotice });
	try {
		const app = await openApp({ directory, redact, onNotice, state, nowMs: () => clock.nowMs() });
		return new Service(options, state, app);
	} catch (error) {
		await state[Symbol.asyncDispose]();
		throw error;
	}
}
