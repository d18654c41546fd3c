import type { Clock } from "./clock.ts";

/** What is to be done, in its turn. */
export interface Work {
	readonly id: string;
	/** Two of the same pipeline are never at work at once. */
	readonly pipeline: string;
}

/** How an attempt to work ended: `again` puts it back into the queue, for a reason in words. */
export type WorkEnd =
	| { readonly state: "ended" }
	| { readonly state: "again"; readonly delayMs: number; readonly reason: string };

export interface JobQueueOptions<W extends Work> {
	readonly clock: Clock;
	/** How many may be at work at once. */
	readonly atOnceMax: number;
	/** Must not throw. */
	readonly run: (work: W, signal: AbortSignal) => Promise<WorkEnd>;
	/** Told when a work is taken up, put back, or taken out of the queue before it began. */
	readonly onChange: (work: W, state: "running" | "queued" | "dropped") => void;
}

interface Waiting<W> {
	readonly work: W;
	readonly notBeforeMs: number;
	readonly reason: string | null;
}

interface Active<W> {
	readonly work: W;
	readonly controller: AbortController;
	readonly end: Promise<void>;
}

/** Does what it is given, in this process: in turn, one of a pipeline at a time, a bounded number at once. */
export class JobQueue<W extends Work> {
	readonly #options: JobQueueOptions<W>;
	#waiting: Waiting<W>[] = [];
	readonly #active = new Map<string, Active<W>>();
	#closed = false;
	#timer: (() => void) | null = null;

	constructor(options: JobQueueOptions<W>) {
		this.#options = options;
	}

	add(work: W): void {
		this.#waiting.push({ work, notBeforeMs: 0, reason: null });
		this.#take();
	}

	get running(): readonly W[] {
		return [...this.#active.values()].map(({ work }) => work);
	}

	get waiting(): readonly W[] {
		return this.#waiting.map(({ work }) => work);
	}

	/** Why a work waits, in words; null when it does not. */
	waitsFor(id: string): string | null {
		const index = this.#waiting.findIndex(({ work }) => work.id === id);
		const waiting = this.#waiting[index];
		if (waiting === undefined) return null;
		if (waiting.reason !== null) return waiting.reason;
		const { pipeline } = waiting.work;
		const before =
			this.running.find((work) => work.pipeline === pipeline) ??
			this.#waiting.slice(0, index).find(({ work }) => work.pipeline === pipeline)?.work;
		if (before !== undefined) return `another job of the pipeline, ${before.id}`;
		return `a free place: ${this.#options.atOnceMax} jobs may work at once`;
	}

	/** Stops a work, or takes it out of the queue. False when there is none of that name. */
	cancel(id: string, reason: unknown): boolean {
		const active = this.#active.get(id);
		if (active !== undefined) {
			active.controller.abort(reason);
			return true;
		}
		const waiting = this.#waiting.find(({ work }) => work.id === id);
		if (waiting === undefined) return false;
		this.#waiting = this.#waiting.filter((each) => each !== waiting);
		this.#options.onChange(waiting.work, "dropped");
		this.#take();
		return true;
	}

	/** Begins nothing more. What is at work may end by itself for a while, then it is stopped; resolves when all have ended. */
	async drain(graceMs: number, reason: unknown): Promise<void> {
		this.#closed = true;
		this.#timer?.();
		const ends = Promise.allSettled([...this.#active.values()].map(({ end }) => end));
		const stop = () => {
			for (const { controller } of this.#active.values()) controller.abort(reason);
		};
		const takeBack = graceMs > 0 ? this.#options.clock.after(graceMs, stop) : stop;
		if (graceMs <= 0) stop();
		await ends;
		takeBack();
	}

	#take(): void {
		const { clock, atOnceMax } = this.#options;
		// Who ends makes room and comes here again.
		if (this.#closed || this.#active.size >= atOnceMax) return;
		this.#timer?.();
		this.#timer = null;
		const now = clock.nowMs();
		const busy = new Set(this.running.map(({ pipeline }) => pipeline));
		for (const waiting of [...this.#waiting]) {
			const { work, notBeforeMs } = waiting;
			const mayBegin = !busy.has(work.pipeline) && notBeforeMs <= now && this.#active.size < atOnceMax;
			// What waits keeps its place before later ones of its pipeline.
			busy.add(work.pipeline);
			if (!mayBegin) continue;
			this.#waiting = this.#waiting.filter((each) => each !== waiting);
			this.#begin(work);
		}
		const wake = Math.min(...this.#waiting.map(({ notBeforeMs }) => notBeforeMs).filter((at) => at > now));
		if (Number.isFinite(wake)) this.#timer = clock.after(wake - now, () => this.#take());
	}

	#begin(work: W): void {
		const controller = new AbortController();
		const { run, onChange, clock } = this.#options;
		const end = Promise.resolve()
			.then(() => run(work, controller.signal))
			.then((ended) => {
				this.#active.delete(work.id);
				if (ended.state === "again" && controller.signal.aborted) onChange(work, "dropped");
				else if (ended.state === "again") {
					const notBeforeMs = clock.nowMs() + ended.delayMs;
					// In front of what came later for the same pipeline.
					this.#waiting.unshift({ work, notBeforeMs, reason: ended.reason });
					onChange(work, "queued");
				}
				this.#take();
			});
		this.#active.set(work.id, { work, controller, end });
		onChange(work, "running");
	}
}
