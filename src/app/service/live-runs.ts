import type { RunEvent, RunReceipt } from "../../core/index.ts";
import { StageTimes } from "../stage-times.ts";
import type { Job } from "./jobs.ts";

/** Progress of a table is told this often at most. */
const PROGRESS_MS = 500;

/** What a service tells while it works. Times are ISO 8601, UTC. */
export type ServiceEvent =
	| { readonly type: "job"; readonly job: Job }
	| { readonly type: "run"; readonly pipeline: string; readonly runId: string; readonly state: RunReceipt["state"] }
	| {
			readonly type: "table";
			readonly pipeline: string;
			readonly runId: string;
			readonly table: string;
			readonly state: RunReceipt["tables"][number]["state"];
	  }
	| { readonly type: "progress"; readonly pipeline: string; readonly event: Extract<RunEvent, { type: "progress" }> }
	| { readonly type: "pipeline"; readonly pipeline: string }
	| { readonly type: "history" }
	| { readonly type: "draining" };

/** A run that is at work in this process. */
export interface LiveRun {
	readonly runId: string;
	readonly pipeline: string;
	readonly jobId: string | null;
	readonly times: StageTimes;
	/** Tables that have begun and not ended. */
	readonly working: ReadonlySet<string>;
}

/** The runs of this process: their stages while they go on, and their events for whoever watches. */
export class LiveRuns {
	readonly #tell: (event: ServiceEvent) => void;
	readonly #nowMs: () => number;
	readonly #runs = new Map<string, LiveRun & { readonly working: Set<string> }>();
	readonly #toldMs = new Map<string, number>();

	constructor(tell: (event: ServiceEvent) => void, nowMs: () => number) {
		this.#tell = tell;
		this.#nowMs = nowMs;
	}

	get(runId: string): LiveRun | null {
		return this.#runs.get(runId) ?? null;
	}

	/** The events of a pipeline's run, which a job or nobody asked for. */
	onEvent(pipeline: string, jobId: string | null, event: RunEvent): void {
		const at = { pipeline, runId: "run" in event ? event.run.run_id : event.runId };
		const { runId } = at;
		if (event.type === "run-started") {
			const times = new StageTimes(() => new Date(this.#nowMs()));
			this.#runs.set(runId, { runId, pipeline, jobId, times, working: new Set() });
			this.#tell({ type: "run", ...at, state: event.run.state });
			return;
		}
		const live = this.#runs.get(runId);
		if (live === undefined) return;
		live.times.onEvent(event);
		if (event.type === "table-started") {
			live.working.add(event.table);
			this.#tell({ type: "table", ...at, table: event.table, state: "running" });
		} else if (event.type === "table-finished") {
			live.working.delete(event.receipt.table);
			this.#toldMs.delete(`${runId}\n${event.receipt.table}`);
			this.#tell({ type: "table", ...at, table: event.receipt.table, state: event.receipt.state });
		} else if (event.type === "progress") this.#progress(pipeline, event);
		else if (event.type === "run-finished") {
			this.#runs.delete(runId);
			this.#tell({ type: "run", ...at, state: event.run.state });
		}
	}

	/** What a job leaves behind that ended without the end of its runs. */
	forget(jobId: string | null, pipeline: string): void {
		for (const [runId, run] of this.#runs)
			if (run.jobId === jobId && run.pipeline === pipeline) this.#runs.delete(runId);
	}

	#progress(pipeline: string, event: Extract<RunEvent, { type: "progress" }>): void {
		const key = `${event.runId}\n${event.table}`;
		const now = this.#nowMs();
		const told = this.#toldMs.get(key);
		if (told !== undefined && now - told < PROGRESS_MS && now >= told) return;
		this.#toldMs.set(key, now);
		this.#tell({ type: "progress", pipeline, event });
	}
}
