import type { TableSuccess } from "../../core/index.ts";
import type { ProjectState, RunSums } from "../../state/index.ts";

/** Runs of a pipeline that are remembered whatever their age. */
const LAST_RUNS = 14;
const DAY_MS = 86_400_000;
/** A run is kept in the history some time after it began; what began so long before the newest run is known by then. */
const SETTLED_MS = 3_600_000;

/** The history of one pipeline in short. */
export interface PipelineLooks {
	/** The last 14, oldest first. */
	readonly lastRuns: readonly RunSums[];
	/** Loaded by runs that began in the last 24 hours. */
	readonly day: { readonly rows: number; readonly bytes: number };
}

/**
 * What pages ask of the history again and again, remembered: a history may be long, and only the newest runs of a
 * pipeline change. What other processes did is noticed by `refresh`.
 */
export class HistoryLooks {
	readonly #state: ProjectState;
	readonly #nowMs: () => number;
	/** By pipeline: runs that are known, oldest first, and whether none of them can have changed. */
	readonly #runs = new Map<string, { readonly runs: readonly RunSums[]; readonly settled: boolean }>();
	readonly #successes = new Map<string, Promise<readonly TableSuccess[]>>();
	readonly #planned = new Map<string, Promise<readonly string[]>>();
	/** How often a pipeline's runs were told to have changed: what is being asked meanwhile may be old. */
	readonly #changes = new Map<string, number>();
	#marks: ReadonlyMap<string, string> = new Map();

	constructor(state: ProjectState, nowMs: () => number) {
		this.#state = state;
		this.#nowMs = nowMs;
	}

	/** When each table of a pipeline was last loaded. */
	successes(pipeline: string): Promise<readonly TableSuccess[]> {
		return remembered(this.#successes, pipeline, () => this.#state.lastSuccesses(pipeline));
	}

	/** Tables of a pipeline that a run has planned, by name. */
	planned(pipeline: string): Promise<readonly string[]> {
		return remembered(this.#planned, pipeline, () => this.#state.server.plannedTables(pipeline));
	}

	async of(pipeline: string): Promise<PipelineLooks> {
		const runs = await this.#runsOf(pipeline);
		const since = this.#dayAgo();
		const day = { rows: 0, bytes: 0 };
		for (const { started_at, rows, bytes } of runs) {
			if (started_at < since) continue;
			day.rows += rows;
			day.bytes += bytes;
		}
		return { lastRuns: runs.slice(-LAST_RUNS), day };
	}

	/** A run of the pipeline has begun, gone on or ended. */
	forget(pipeline: string): void {
		this.#changes.set(pipeline, this.#changesOf(pipeline) + 1);
		const known = this.#runs.get(pipeline);
		if (known !== undefined) this.#runs.set(pipeline, { runs: known.runs, settled: false });
		this.#successes.delete(pipeline);
		this.#planned.delete(pipeline);
	}

	/** Forgets the pipelines whose runs another process has changed. */
	async refresh(): Promise<void> {
		const before = this.#marks;
		this.#marks = await this.#state.server.runMarks();
		for (const pipeline of new Set([...before.keys(), ...this.#marks.keys()])) {
			const isOpen = this.#runs.get(pipeline)?.runs.some(({ state }) => state === "running") === true;
			if (before.get(pipeline) === this.#marks.get(pipeline) && !isOpen) continue;
			this.forget(pipeline);
			this.#runs.delete(pipeline);
		}
	}

	/** Asks for all of it before anybody does, pipeline by pipeline. */
	async warm(pipelines: readonly string[], signal: AbortSignal): Promise<void> {
		for (const pipeline of pipelines) {
			if (signal.aborted) return;
			await this.successes(pipeline);
			await this.planned(pipeline);
			await this.#runsOf(pipeline);
			await new Promise(setImmediate);
		}
	}

	async #runsOf(pipeline: string): Promise<readonly RunSums[]> {
		const known = this.#runs.get(pipeline);
		if (known?.settled === true) return known.runs;
		const dayAgo = this.#dayAgo();
		const oldest = known?.runs.find(({ state }) => state === "running") ?? known?.runs.at(-1);
		const dayAgoMs = Date.parse(dayAgo);
		const settledMs = oldest === undefined ? dayAgoMs : Date.parse(oldest.started_at) - SETTLED_MS;
		const since = new Date(Math.max(settledMs, dayAgoMs)).toISOString();
		const changes = this.#changesOf(pipeline);
		const newer = await this.#state.server.lastRuns(pipeline, { since, least: LAST_RUNS });
		const newest = new Set(newer.map(({ run_id }) => run_id));
		const older = (known?.runs ?? []).filter(
			({ run_id, started_at }) => started_at >= dayAgo && started_at < since && !newest.has(run_id),
		);
		const runs = [...older, ...newer].sort((a, b) =>
			a.started_at === b.started_at ? (a.run_id < b.run_id ? -1 : 1) : a.started_at < b.started_at ? -1 : 1,
		);
		const isSettled = changes === this.#changesOf(pipeline) && runs.every(({ state }) => state !== "running");
		this.#runs.set(pipeline, { runs, settled: isSettled });
		return runs;
	}

	#changesOf(pipeline: string): number {
		return this.#changes.get(pipeline) ?? 0;
	}

	#dayAgo(): string {
		return new Date(this.#nowMs() - DAY_MS).toISOString();
	}
}

/** What was asked for before; what failed is asked again. */
function remembered<Answer>(
	known: Map<string, Promise<Answer>>,
	pipeline: string,
	ask: () => Promise<Answer>,
): Promise<Answer> {
	const found = known.get(pipeline);
	if (found !== undefined) return found;
	const asked = ask();
	known.set(pipeline, asked);
	asked.catch(() => known.delete(pipeline));
	return asked;
}
