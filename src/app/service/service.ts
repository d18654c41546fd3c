import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { CheckedPipeline, Env } from "../../config/index.ts";
import { HeadraceError, type RunEvent, toHeadraceErrors } from "../../core/index.ts";
import { keepEngines } from "../../engine/index.ts";
import type { Redactor } from "../../observe/index.ts";
import { type Clock, nextTimes, SYSTEM_CLOCK } from "../../schedule/index.ts";
import type { ProjectState, ScheduleRow } from "../../state/index.ts";
import type { App } from "../api.ts";
import { namedInterval, openApp } from "../app.ts";
import { followsLog } from "../change-standing.ts";
import { LEASE_MS } from "../lease.ts";
import { openProjectState } from "../project-state.ts";
import { Catalog } from "./catalog.ts";
import { ChangeWatch } from "./change-watch.ts";
import { Election } from "./election.ts";
import { EventLog } from "./event-log.ts";
import type { FollowerState } from "./followers.ts";
import { HistoryLooks } from "./history-looks.ts";
import { type Job, type JobRequest, Jobs } from "./jobs.ts";
import { Leading } from "./leading.ts";
import { LiveRuns, type ServiceEvent } from "./live-runs.ts";
import { PendingWrites } from "./pending-writes.ts";
import type { HeldProject } from "./project-lease.ts";
import { ScheduleBook } from "./schedule-book.ts";

const REFRESH_MS = 2_000;
/** Where other servers are asked for things too. */
const REFRESH_SHARED_MS = 1_000;
const ALARMS_MS = 60_000;
const CHANGES_MS = 15_000;
const JOBS_MAX_DEFAULT = 4;
/** How long a start waits for the history to be read, at most. */
const WARM_MS_MAX = 500;

export interface ServiceOptions {
	/** The project's folder; it has `.headrace/`. */
	readonly directory: string;
	readonly env: Env;
	readonly redactor: Redactor;
	/** How many jobs may be at work at once; default 4. Change streams do not count. */
	readonly jobsMax?: number;
	readonly clock?: Clock;
	/** How long to wait for another server of the project to end; default a little longer than a lease. */
	readonly takeOverMs?: number;
	/** How long this server may say nothing before another one takes the project over; default a minute. */
	readonly leaseMs?: number;
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
	readonly state: ProjectState;
	readonly catalog: Catalog;
	readonly jobs: Jobs;
	readonly live: LiveRuns;
	readonly changes: ChangeWatch;
	readonly events = new EventLog<ServiceEvent & { readonly at: string }>();
	readonly clock: Clock;
	readonly startedAt: string;
	readonly redactor: Redactor;
	readonly #options: ServiceOptions;
	readonly #book: ScheduleBook;
	readonly #writes: PendingWrites;
	readonly #timers: NodeJS.Timeout[] = [];
	readonly #election: Election;
	#started = false;
	#draining = false;
	/** The history in short. */
	readonly history: HistoryLooks;
	readonly #warming = new AbortController();
	#dataVersion = 0;
	#engines: AsyncDisposable | null = null;

	constructor(options: ServiceOptions, state: ProjectState, app: App) {
		this.#options = options;
		this.directory = options.directory;
		this.env = options.env;
		this.project = basename(options.directory);
		this.jobsMax = options.jobsMax ?? JOBS_MAX_DEFAULT;
		this.clock = options.clock ?? clockOf(state);
		this.startedAt = new Date(this.clock.nowMs()).toISOString();
		this.redactor = options.redactor;
		this.state = state;
		this.app = app;
		this.catalog = new Catalog(options);
		const tell = (event: ServiceEvent) => this.#tell(event);
		this.live = new LiveRuns(tell, () => this.clock.nowMs());
		this.#writes = new PendingWrites((thrown) => this.#notice(thrown));
		this.jobs = new Jobs(state.server, this.#writes, (job) => tell({ type: "job", job }));
		this.changes = new ChangeWatch(state, this.clock);
		this.history = new HistoryLooks(state, () => this.clock.nowMs());
		this.#book = new ScheduleBook(state.server);
		this.#election = new Election({
			state,
			leaseMs: options.leaseMs ?? LEASE_MS,
			...(options.takeOverMs === undefined ? {} : { waitMs: options.takeOverMs }),
			...(options.signal === undefined ? {} : { signal: options.signal }),
			newTerm: (held) => this.#newTerm(held),
			onFollow: () => this.jobs.follow(),
			onChange: () => tell({ type: "history" }),
			onNotice: options.onNotice,
		});
	}

	/**
	 * Takes the project over, reads its pipelines, goes on with what was asked for and begins to look at the clock. With
	 * a state that servers share, another one may lead: then it stands by, and takes over when that one ends.
	 * @throws E_BUSY when another server has the project, which can't be shared
	 */
	async start(): Promise<void> {
		this.#engines = await keepEngines({ folder: join(this.directory, ".headrace", "tmp"), countMax: this.jobsMax });
		await this.catalog.refresh();
		await this.#book.read(false);
		await this.#election.start();
		this.#dataVersion = await this.state.server.dataVersion();
		if (!this.leads) await this.jobs.look();
		this.#started = true;
		await this.history.refresh();
		const warm = this.history
			.warm([...this.catalog.entries.keys()], this.#warming.signal)
			.catch((thrown: unknown) => this.#notice(thrown));
		this.#every(this.state.isShared ? REFRESH_SHARED_MS : REFRESH_MS, () => this.refresh());
		this.#every(ALARMS_MS, () => this.#lookForLate());
		this.#every(CHANGES_MS, () => this.changes.look(this.sound().filter(followsLog)));
		// Who asks for the list would wait for all of it; a state that is far away is read while others are answered.
		await Promise.race([warm, sleep(WARM_MS_MAX, undefined, { ref: false })]);
	}

	/** Aborted when the service can't go on: another one has taken over a project that can't be shared. */
	get lost(): AbortSignal {
		return this.#election.lost;
	}

	get draining(): boolean {
		return this.#draining;
	}

	/** Whether it answers, and is not about to end. */
	get ready(): boolean {
		return this.#started && !this.draining;
	}

	/** Whether it is this server that runs the pipelines. */
	get leads(): boolean {
		return this.#election.leading !== null;
	}

	/** The process that runs the pipelines where it is another one; null while nobody is known to. */
	get leader(): string | null {
		return this.#election.leader;
	}

	/** The pipelines whose files have no fault. */
	sound(): readonly CheckedPipeline[] {
		return [...this.catalog.entries.values()].flatMap(({ pipeline }) => (pipeline === null ? [] : [pipeline]));
	}

	/** Looks for changed files, and for what other processes did. */
	async refresh(): Promise<void> {
		const changed = await this.catalog.refresh();
		const version = await this.state.server.dataVersion();
		const isWritten = version !== this.#dataVersion;
		const isHeldOrFreed = isWritten && (await this.#book.read(this.leads));
		if (changed.length > 0 || isHeldOrFreed) this.#leading?.schedule();
		for (const pipeline of changed) {
			const entry = this.catalog.entries.get(pipeline);
			for (const error of entry?.errors ?? [])
				this.#options.onNotice(`! ${pipeline} is not run: ${error.code} ${error.message}`);
			this.#tell({ type: "pipeline", pipeline });
		}
		await this.#writes.flush();
		if (isWritten) {
			await this.history.refresh();
			if (this.#leading === null) await this.jobs.look();
			else await this.#leading.look();
			this.#tell({ type: "history" });
		}
		this.#dataVersion = version;
	}

	/**
	 * Queues what somebody asked for, or leaves it to the server that leads.
	 * @throws E_FILE_NOT_FOUND, the faults of the pipeline's file, E_INVALID_VALUE, E_BUSY
	 */
	async add(request: JobRequest, interval?: string): Promise<Job> {
		const pipeline = this.catalog.pipeline(request.pipeline);
		if (!this.ready)
			throw new HeadraceError("E_BUSY", `the server is about to ${this.draining ? "stop" : "start"}`, {
				hint: "Ask again later.",
			});
		if (this.#isFollowing(pipeline))
			throw new HeadraceError("E_BUSY", `${request.pipeline} follows its change stream`, {
				hint: "Pause it first.",
			});
		const named = interval === undefined ? {} : { intervals: [namedInterval(pipeline, interval)] };
		const job = await this.jobs.add({ ...request, ...named }, this.clock.nowMs());
		this.#leading?.add(job);
		return this.jobs.open(job.pipeline).find(({ id }) => id === job.id) ?? job;
	}

	/** Stops a job, or takes it out of the queue; has it done where another server leads. False when it has ended. */
	async cancel(jobId: string, by: string): Promise<boolean> {
		return this.#leading === null ? await this.state.server.cancelJob(jobId, by) : this.#leading.cancel(jobId, by);
	}

	/** The job that a run is part of while it goes on; null for those of the command line and of change streams. */
	jobOfRun(runId: string): string | null {
		const live = this.live.get(runId)?.jobId ?? null;
		if (live !== null || this.leads) return live;
		return this.jobs.open().find(({ runIds, state }) => state === "running" && runIds.at(-1) === runId)?.id ?? null;
	}

	/** How a change stream is followed, as far as this server knows; null when it does not follow it. */
	follower(pipeline: string): FollowerState | null {
		return this.#leading?.followers.of(pipeline) ?? null;
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
		const timetable = this.catalog.entries.get(pipeline)?.timetable ?? null;
		if (timetable === null || this.paused(pipeline) !== null) return [];
		const first = this.#leading === null ? timetable.next(this.clock.nowMs()) : this.#leading.nextMs(pipeline);
		return first === null ? [] : [first, ...nextTimes(timetable, first, count - 1)];
	}

	/** Why a job waits, in words. */
	waitsFor(jobId: string): string | null {
		if (this.#leading !== null) return this.#leading.waitsFor(jobId);
		return this.leader === null ? "a server that leads" : `the server that leads, ${this.leader}`;
	}

	/**
	 * Begins nothing more; what is at work may end by itself for a while and is stopped then, so that the next server
	 * goes on with it.
	 */
	async drain(graceMs: number): Promise<void> {
		if (this.#draining) return;
		this.#draining = true;
		this.#warming.abort();
		this.#tell({ type: "draining" });
		for (const timer of this.#timers) clearInterval(timer);
		await this.#election.stop(graceMs, new HeadraceError("E_STOPPED", "the server was stopped"));
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.drain(0);
		await this.#engines?.[Symbol.asyncDispose]();
		await this.app[Symbol.asyncDispose]();
		await this.state[Symbol.asyncDispose]();
	}

	/** What this server does while it leads. */
	#newTerm({ lease }: HeldProject): Leading {
		return new Leading({
			...{ app: this.app, clock: this.clock, catalog: this.catalog, jobs: this.jobs, jobsMax: this.jobsMax },
			...{ book: this.#book, writes: this.#writes, store: this.state.fencedBy(lease).server },
			leaseMs: this.#options.leaseMs ?? LEASE_MS,
			onRunEvent: (pipeline, job, event) => this.#runEvent(pipeline, job, event),
			onJobEnded: ({ id, pipeline }) => {
				this.live.forget(id, pipeline);
				this.history.forget(pipeline);
			},
			onFollower: (pipeline) => {
				this.live.forget(null, pipeline);
				this.#tell({ type: "pipeline", pipeline });
			},
			onNotice: this.#options.onNotice,
		});
	}

	#tell(event: ServiceEvent): void {
		this.events.add({ ...event, at: new Date(this.clock.nowMs()).toISOString() });
	}

	#runEvent(pipeline: string, job: Job | null, event: RunEvent): void {
		if (["run-started", "run-finished", "table-finished"].includes(event.type)) this.history.forget(pipeline);
		this.live.onEvent(pipeline, job?.id ?? null, event);
		this.#options.onRunEvent?.(pipeline, event);
	}

	async #setPause(pipeline: string, paused: ScheduleRow["paused"]): Promise<void> {
		await this.#book.savePause(pipeline, paused);
		this.#leading?.schedule();
		this.#tell({ type: "pipeline", pipeline });
	}

	/** Whether a pipeline's change stream is followed, by this server or by the one that leads. */
	#isFollowing({ name, schedule }: CheckedPipeline): boolean {
		if (this.#leading !== null) return this.#leading.followers.isWorking(name);
		return schedule?.kind === "continuous" && this.paused(name) === null;
	}

	get #leading(): Leading | null {
		return this.#election.leading;
	}

	async #lookForLate(): Promise<void> {
		for (const pipeline of this.sound())
			if (pipeline.alerts.length > 0 && !this.#draining && this.leads) await this.app.alert(pipeline);
	}

	#notice(thrown: unknown): void {
		for (const { code, message } of toHeadraceErrors(thrown)) this.#options.onNotice(`! ${code} ${message}`);
	}

	#every(ms: number, work: () => Promise<void>): void {
		let busy = false;
		const timer = setInterval(() => {
			if (busy) return;
			busy = true;
			work()
				.catch((thrown: unknown) => this.#notice(thrown))
				.finally(() => {
					busy = false;
				});
		}, ms);
		this.#timers.push(timer);
	}
}

/** Time as all who share the state have it. */
function clockOf(state: ProjectState): Clock {
	return { nowMs: () => state.nowMs(), after: SYSTEM_CLOCK.after };
}

/** Opens a project's service; `start` makes it work. @throws E_STATE */
export async function openService(options: ServiceOptions): Promise<Service> {
	const { directory, env, redactor, onNotice, leaseMs } = options;
	const redact = redactor.redact;
	const onConnection = redactor.addFrom.bind(redactor);
	const state = await openProjectState({ directory, env, redact, onNotice, onConnection });
	try {
		const clock = options.clock ?? clockOf(state);
		const lease = leaseMs === undefined ? {} : { leaseMs };
		const app = await openApp({ directory, redact, onNotice, state, nowMs: () => clock.nowMs(), ...lease });
		return new Service({ ...options, clock }, state, app);
	} catch (error) {
		await state[Symbol.asyncDispose]();
		throw error;
	}
}
