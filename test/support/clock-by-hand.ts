import type { Clock } from "../../src/schedule/clock.ts";

/** A clock for tests: time passes when they say so, and jumps when they set it. */
export class ClockByHand implements Clock {
	#nowMs: number;
	/** What it has gone on by, without its jumps: timers count this. */
	#elapsedMs = 0;
	#timers: { readonly atMs: number; readonly callback: () => void }[] = [];

	constructor(now: string) {
		this.#nowMs = Date.parse(now);
	}

	nowMs(): number {
		return this.#nowMs;
	}

	after(delayMs: number, callback: () => void): () => void {
		const timer = { atMs: this.#elapsedMs + delayMs, callback };
		this.#timers.push(timer);
		return () => {
			this.#timers = this.#timers.filter((each) => each !== timer);
		};
	}

	/** Somebody sets the clock: no time passes. */
	set(now: string): void {
		this.#nowMs = Date.parse(now);
	}

	/** Lets time pass, with whatever was to happen in it, and what that sets in motion. */
	async pass(ms: number): Promise<void> {
		const until = this.#elapsedMs + ms;
		for (;;) {
			await settled();
			const [next] = this.#timers.filter(({ atMs }) => atMs <= until).sort((a, b) => a.atMs - b.atMs);
			if (next === undefined) break;
			this.#go(next.atMs);
			this.#timers = this.#timers.filter((each) => each !== next);
			next.callback();
		}
		this.#go(until);
		await settled();
	}

	#go(elapsedMs: number): void {
		this.#nowMs += elapsedMs - this.#elapsedMs;
		this.#elapsedMs = elapsedMs;
	}
}

/** Lets promises that are fulfilled go on. */
async function settled(): Promise<void> {
	for (let turn = 0; turn < 200; turn++) await Promise.resolve();
}
