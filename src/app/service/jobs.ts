import type { RunOrigin } from "../../core/index.ts";
import { HeadraceError } from "../../core/index.ts";
import { type JobRow, newId, type ServerStore } from "../../state/index.ts";
import type { RunInterval } from "../api.ts";
import type { PendingWrites } from "./pending-writes.ts";

/** What is to be run; plain data, so that it can be kept. */
export interface JobRequest {
	readonly pipeline: string;
	readonly trigger: RunOrigin["trigger"];
	/** Who asked for it; null: the schedule. */
	readonly by: string | null;
	readonly tables?: readonly string[];
	readonly fullRefresh?: boolean;
	readonly stage?: "extract" | "load";
	readonly params?: Readonly<Record<string, string>>;
	/** Only what failed in this run. */
	readonly failedRun?: string;
	/** One run each; absent: what the app takes by itself. */
	readonly intervals?: readonly RunInterval[];
	/** Of a backfill. */
	readonly maxActiveRuns?: number;
	/** When the schedule wanted it, milliseconds since 1970. */
	readonly dueMs?: number;
}

export interface JobError {
	readonly code: string;
	readonly message: string;
	readonly hint: string;
}

/** What became of a request. Times are ISO 8601, UTC. */
export interface Job {
	/** As the queue names it. */
	readonly id: string;
	readonly pipeline: string;
	readonly request: JobRequest;
	readonly state: "queued" | "running" | "succeeded" | "failed" | "stopped";
	readonly queuedAt: string;
	readonly startedAt: string | null;
	readonly finishedAt: string | null;
	readonly runIds: readonly string[];
	readonly error: JobError | null;
}

export const ENDED: ReadonlySet<Job["state"]> = new Set(["succeeded", "failed", "stopped"]);

const ASKED: ReadonlySet<string> = new Set(["manual", "backfill", "retry"]);

/** Whether a person asked for it, not the clock: it is not forgotten when a server ends. */
export function isAsked({ request }: Job): boolean {
	return ASKED.has(request.trigger);
}

/**
 * The jobs of a project, kept in the state store so that a server's death forgets none that a person asked for. The
 * server that leads says what becomes of them; others write down what they are asked for, and see the rest.
 */
export class Jobs {
	readonly #store: ServerStore;
	readonly #writes: PendingWrites;
	readonly #onChange: (job: Job) => void;
	/** Waiting and at work. */
	#open = new Map<string, Job>();
	/** Where this server writes while it leads; null: it does not. */
	#leading: ServerStore | null = null;

	constructor(store: ServerStore, writes: PendingWrites, onChange: (job: Job) => void) {
		this.#store = store;
		this.#writes = writes;
		this.#onChange = onChange;
	}

	/** Resolves when the job is written down. */
	async add(request: JobRequest, nowMs: number): Promise<Job> {
		const now = new Date(nowMs);
		const job: Job = {
			id: newId(now),
			pipeline: request.pipeline,
			request,
			state: "queued",
			queuedAt: now.toISOString(),
			startedAt: null,
			finishedAt: null,
			runIds: [],
			error: null,
		};
		// First, so that who looks for what others asked for does not take it for theirs.
		this.#open.set(job.id, job);
		try {
			await (this.#leading ?? this.#store).saveJob(rowOf(job));
		} catch (error) {
			this.#open.delete(job.id);
			throw error;
		}
		this.#onChange(job);
		return job;
	}

	/** Changes a job of the server that leads. */
	change(id: string, change: Partial<Omit<Job, "id" | "pipeline">>): Job {
		const job = this.#open.get(id);
		if (job === undefined) throw new HeadraceError("E_INTERNAL", `job ${id} has ended already`);
		const changed = { ...job, ...change };
		this.#keep(changed);
		return changed;
	}

	/** Waiting and at work, oldest first. */
	open(pipeline?: string): readonly Job[] {
		const open = [...this.#open.values()];
		return pipeline === undefined ? open : open.filter((job) => job.pipeline === pipeline);
	}

	/** An open one, or one of the last that ended; null when there is none of that name. */
	async find(id: string): Promise<Job | null> {
		return this.#open.get(id) ?? (await this.ended()).find((job) => job.id === id) ?? null;
	}

	/** The last that ended, newest first. */
	async ended(): Promise<readonly Job[]> {
		await this.#writes.flush();
		return (await this.#store.jobs(true)).map(jobOf);
	}

	/**
	 * Takes up what a server that was killed, or stopped, had not done. What its schedule wanted is left to the
	 * schedule. From now on this server says what becomes of jobs, by way of `store`.
	 */
	async lead(store: ServerStore): Promise<readonly Job[]> {
		const restored: Job[] = [];
		this.#open.clear();
		for (const row of await store.jobs(false)) {
			const job = jobOf(row);
			if (isAsked(job) && (row.cancelledBy ?? null) === null) {
				const queued: Job = { ...job, state: "queued", startedAt: null, finishedAt: null };
				this.#open.set(job.id, queued);
				await store.saveJob(rowOf(queued));
				restored.push(queued);
			} else await store.saveJob(rowOf({ ...job, state: "stopped" }));
		}
		this.#leading = store;
		for (const job of restored) this.#onChange(job);
		return restored;
	}

	/** From now on another server says what becomes of jobs. */
	async follow(): Promise<void> {
		this.#leading = null;
		await this.look();
	}

	/**
	 * Reads what other servers wrote. For the one that leads: what they were asked for, and which jobs they were asked
	 * to cancel, by whom.
	 */
	async look(): Promise<{ readonly added: readonly Job[]; readonly cancelled: ReadonlyMap<string, string> }> {
		// What has ended here must not stand in the store as it was.
		await this.#writes.flush();
		const before = new Map(this.#open);
		const rows = await this.#store.jobs(false);
		const cancelled = new Map(
			rows.flatMap(({ jobId, cancelledBy }) => (cancelledBy == null ? [] : [[jobId, cancelledBy] as const])),
		);
		const jobs = rows.map(jobOf);
		if (this.#leading !== null) {
			const added = jobs.filter(({ id }) => !before.has(id) && !this.#open.has(id));
			for (const job of added) {
				this.#open.set(job.id, job);
				this.#onChange(job);
			}
			return { added, cancelled };
		}
		this.#open = new Map(jobs.map((job) => [job.id, job]));
		for (const job of jobs) if (JSON.stringify(before.get(job.id)) !== JSON.stringify(job)) this.#onChange(job);
		const ended = [...before.keys()].filter((id) => !this.#open.has(id));
		for (const job of ended.length === 0 ? [] : await this.ended()) if (ended.includes(job.id)) this.#onChange(job);
		return { added: [], cancelled };
	}

	#keep(job: Job): void {
		if (ENDED.has(job.state)) this.#open.delete(job.id);
		else this.#open.set(job.id, job);
		const store = this.#leading;
		if (store !== null) this.#writes.put(`job ${job.id}`, () => store.saveJob(rowOf(job)));
		this.#onChange(job);
	}
}

function rowOf(job: Job): JobRow {
	return { jobId: job.id, ended: ENDED.has(job.state), queuedAt: job.queuedAt, entry: JSON.stringify(job) };
}

function jobOf(row: JobRow): Job {
	return JSON.parse(row.entry) as Job;
}
