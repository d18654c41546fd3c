import { HeadraceError, type RunEvent, toHeadraceErrors } from "../../core/index.ts";
import { type Clock, JobQueue, Scheduler } from "../../schedule/index.ts";
import type { ServerStore } from "../../state/index.ts";
import type { App } from "../api.ts";
import type { Catalog, CatalogEntry } from "./catalog.ts";
import { dueIntervals, hasIntervals, startMs } from "./due.ts";
import { Followers } from "./followers.ts";
import { isAsked, type Job, type Jobs } from "./jobs.ts";
import type { PendingWrites } from "./pending-writes.ts";
import { runJob } from "./run-job.ts";
import type { ScheduleBook } from "./schedule-book.ts";

export interface LeadingOptions {
	readonly app: App;
	readonly clock: Clock;
	readonly catalog: Catalog;
	readonly jobs: Jobs;
	readonly book: ScheduleBook;
	readonly writes: PendingWrites;
	/** Refuses what is written once another server leads. */
	readonly store: ServerStore;
	readonly jobsMax: number;
	readonly leaseMs: number;
	readonly onRunEvent: (pipeline: string, job: Job | null, event: RunEvent) => void;
	readonly onJobEnded: (job: Job) => void;
	/** A change stream came or went. */
	readonly onFollower: (pipeline: string) => void;
	readonly onNotice: (message: string) => void;
}

/** What a server does while it has the project: the clock, the queue of jobs, and the change streams. */
export class Leading {
	readonly #options: LeadingOptions;
	readonly #queue: JobQueue<Job>;
	readonly #scheduler: Scheduler;
	readonly followers: Followers;
	/** The newest time of a job's schedule; several that came while it waited are one. */
	readonly #dues = new Map<string, number>();
	/** Jobs that somebody stopped. */
	readonly #cancelled = new Set<string>();
	/** One time of a schedule is put down after the other. */
	#duesTaken: Promise<void> = Promise.resolve();
	#stopping = false;

	constructor(options: LeadingOptions) {
		this.#options = options;
		const { app, clock, book, store, writes, jobsMax, onRunEvent, onFollower } = options;
		this.followers = new Followers({
			app,
			clock,
			onEvent: (pipeline, event) => onRunEvent(pipeline, null, event),
			onChange: onFollower,
		});
		this.#scheduler = new Scheduler({
			clock,
			served: (name) => book.served(name),
			saveServed: (name, dueMs) => book.saveServed(name, dueMs, store, writes),
			onDue: (name, due) => {
				this.#duesTaken = this.#duesTaken.then(() => this.#due(name, due));
			},
		});
		this.#queue = new JobQueue<Job>({
			clock,
			atOnceMax: jobsMax,
			run: (job, signal) => runJob(this.#context(job), signal),
			onChange: (job, change) => this.#queueChanged(job, change),
		});
	}

	/** Goes on with what was asked for, and begins to look at the clock. */
	async start(): Promise<void> {
		const { jobs, store } = this.#options;
		this.schedule();
		for (const job of await jobs.lead(store)) this.#queue.add(job);
		if (!this.#stopping) this.#scheduler.start();
	}

	/** Brings clock and change streams to what the files and pauses say. */
	schedule(): void {
		const { book, catalog } = this.#options;
		const entries = [...catalog.entries.values()];
		for (const entry of entries) this.#beginCatchUp(entry);
		const isPaused = (name: string) => book.paused(name) !== null;
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

	/** Takes up what other servers were asked for. */
	async look(): Promise<void> {
		const { added, cancelled } = await this.#options.jobs.look();
		for (const job of added) this.#queue.add(job);
		for (const [jobId, by] of cancelled) if (!this.#cancelled.has(jobId)) this.cancel(jobId, by);
	}

	add(job: Job): void {
		this.#queue.add(job);
	}

	/** Stops a job, or takes it out of the queue. False when it has ended. */
	cancel(jobId: string, by: string): boolean {
		this.#cancelled.add(jobId);
		return this.#queue.cancel(jobId, new HeadraceError("E_STOPPED", `cancelled by ${by}`));
	}

	/** Why a job waits, in words. */
	waitsFor(jobId: string): string | null {
		return this.#queue.waitsFor(jobId);
	}

	/** When a pipeline is next due; null when it is held or has no time. */
	nextMs(pipeline: string): number | null {
		return this.#scheduler.nextMs(pipeline);
	}

	/**
	 * Begins nothing more; what is at work may end by itself for a while and is stopped then, so that the next server
	 * goes on with it.
	 */
	async stop(graceMs: number, reason: HeadraceError): Promise<void> {
		this.#stopping = true;
		this.#scheduler.stop();
		await this.#duesTaken;
		await Promise.all([this.#queue.drain(graceMs, reason), this.followers.stop(reason)]);
		await this.#options.writes.flush();
	}

	#context(job: Job) {
		const { app, catalog, clock, jobs, store, leaseMs, onRunEvent } = this.#options;
		return {
			job,
			app,
			leaseMs,
			pipeline: () => catalog.pipeline(job.pipeline),
			store,
			current: () => jobs.open(job.pipeline).find(({ id }) => id === job.id) ?? job,
			change: (change: Partial<Job>) => jobs.change(job.id, this.#isLeft(job, change) ? { state: "queued" } : change),
			onEvent: (event: RunEvent) => {
				if (event.type === "run-started") {
					const runIds = jobs.open(job.pipeline).find(({ id }) => id === job.id)?.runIds ?? [];
					jobs.change(job.id, { runIds: [...runIds, event.run.run_id] });
				}
				onRunEvent(job.pipeline, job, event);
			},
			nowMs: () => clock.nowMs(),
			onEnd: (state: Job["state"]) => this.#jobEnded(job, state),
		};
	}

	/** What somebody asked for and this server's own stop cut off is left to the next one. */
	#isLeft(job: Job, { state }: Partial<Job>): boolean {
		return this.#stopping && state === "stopped" && isAsked(job) && !this.#cancelled.has(job.id);
	}

	#queueChanged(job: Job, change: "running" | "queued" | "dropped"): void {
		const { jobs, clock } = this.#options;
		if (change === "dropped") {
			const ended = { state: "stopped", finishedAt: new Date(clock.nowMs()).toISOString() } as const;
			jobs.change(job.id, this.#isLeft(job, ended) ? { state: "queued" } : ended);
			this.#jobEnded(job, "stopped");
		} else if (change === "queued") jobs.change(job.id, { state: "queued" });
	}

	/** What a schedule wanted is served, but for what this server's own stop cut off: that comes again. */
	#jobEnded(job: Job, state: Job["state"]): void {
		this.#options.onJobEnded(job);
		this.#cancelled.delete(job.id);
		const due = this.#dues.get(job.id);
		this.#dues.delete(job.id);
		if (due !== undefined && !(this.#stopping && state === "stopped")) this.#scheduler.done(job.pipeline, due);
	}

	/** A time of a schedule has come. One that waits already takes it in: nothing is run twice for two times. */
	async #due(name: string, due: { readonly atMs: number; readonly sinceMs: number }): Promise<void> {
		const { catalog, clock, jobs, store, onNotice } = this.#options;
		const pipeline = catalog.entries.get(name)?.pipeline ?? null;
		if (pipeline === null || this.#stopping) return;
		try {
			const intervals = await dueIntervals(pipeline, due, store);
			const waiting = jobs.open(name).find((job) => job.state === "queued" && this.#dues.has(job.id));
			if (waiting !== undefined) {
				const before = waiting.request.intervals ?? [];
				const more = (intervals ?? []).filter(({ start }) => before.every((each) => each.start !== start));
				const request = { ...waiting.request, dueMs: due.atMs };
				jobs.change(waiting.id, {
					request: intervals === undefined ? request : { ...request, intervals: [...before, ...more] },
				});
				this.#dues.set(waiting.id, due.atMs);
				return;
			}
			const trigger = intervals !== undefined && intervals.length > 1 ? "catchup" : "schedule";
			const request = { pipeline: name, trigger, by: null, dueMs: due.atMs } as const;
			const job = await jobs.add(intervals === undefined ? request : { ...request, intervals }, clock.nowMs());
			this.#dues.set(job.id, due.atMs);
			if (!this.#stopping) this.#queue.add(job);
		} catch (thrown) {
			for (const error of toHeadraceErrors(thrown)) onNotice(`! ${name} is not run: ${error.code} ${error.message}`);
			const isPassing = toHeadraceErrors(thrown).some(({ code }) =>
				["E_STATE", "E_CONNECT", "E_FENCED"].includes(code),
			);
			if (isPassing) this.#scheduler.again(name);
			else this.#scheduler.done(name, due.atMs);
		}
	}

	/** A new pipeline with `catchup` has missed everything since its `start`. */
	#beginCatchUp({ name, pipeline }: CatalogEntry): void {
		if (pipeline === null || !pipeline.catchup || !hasIntervals(pipeline)) return;
		const { book, store, writes } = this.#options;
		const start = startMs(pipeline);
		if (start !== null && book.served(name) === null) book.saveServed(name, start, store, writes);
	}
}
