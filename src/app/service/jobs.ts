import type { RunOrigin } from "../../core/index.ts";
import { HeadraceError } from "../../core/index.ts";
import { type JobRow, newId, type ServerStore } from "../../state/index.ts";
import type { RunInterval } from "../api.ts";

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

/** The jobs of a server, kept in the state store so that its death forgets none that a person asked for. */
export class Jobs {
	readonly #store: ServerStore;
	readonly #onChange: (job: Job) => void;
	/** Waiting and at work. */
	readonly #open = new Map<string, Job>();

	constructor(store: ServerStore, onChange: (job: Job) => void) {
		this.#store = store;
		this.#onChange = onChange;
	}

	add(request: JobRequest, nowMs: number): Job {
		const now = new Date(nowMs);
		return this.#save({
			id: newId(now),
			pipeline: request.pipeline,
			request,
			state: "queued",
			queuedAt: now.toISOString(),
			startedAt: null,
			finishedAt: null,
			runIds: [],
			error: null,
		});
	}

	change(id: string, change: Partial<Omit<Job, "id" | "pipeline">>): Job {
		const job = this.#open.get(id);
		if (job === undefined) throw new HeadraceError("E_INTERNAL", `job ${id} has ended already`);
		return this.#save({ ...job, ...change });
	}

	/** Waiting and at work, oldest first. */
	open(pipeline?: string): readonly Job[] {
		const open = [...this.#open.values()];
		return pipeline === undefined ? open : open.filter((job) => job.pipeline === pipeline);
	}

	/** An open one, or one of the last that ended; null when there is none of that name. */
	find(id: string): Job | null {
		return this.#open.get(id) ?? this.ended().find((job) => job.id === id) ?? null;
	}

	/** The last that ended, newest first. */
	ended(): readonly Job[] {
		return this.#store.jobs(true).map(jobOf);
	}

	/**
	 * Takes up what a server that was killed, or stopped, had not done. What its schedule wanted is left to the
	 * schedule.
	 */
	restore(): readonly Job[] {
		const restored: Job[] = [];
		for (const row of this.#store.jobs(false)) {
			const job = jobOf(row);
			const asked = ["manual", "backfill", "retry"].includes(job.request.trigger);
			if (!asked) this.#store.saveJob(rowOf({ ...job, state: "stopped" }));
			else restored.push(this.#save({ ...job, state: "queued", startedAt: null, finishedAt: null }));
		}
		return restored;
	}

	#save(job: Job): Job {
		if (ENDED.has(job.state)) this.#open.delete(job.id);
		else this.#open.set(job.id, job);
		this.#store.saveJob(rowOf(job));
		this.#onChange(job);
		return job;
	}
}

function rowOf(job: Job): JobRow {
	return { jobId: job.id, ended: ENDED.has(job.state), queuedAt: job.queuedAt, entry: JSON.stringify(job) };
}

function jobOf(row: JobRow): Job {
	return JSON.parse(row.entry) as Job;
}
