import type { Clock } from "./clock.ts";

const DELAY_MS_MIN = 1_000;
const DELAY_MS_MAX = 300_000;
/** What worked this long begins with the shortest delay again. */
const HEALTHY_MS = 600_000;

export type SupervisedState = "working" | "restarting" | "stopped";

export interface SupervisorOptions {
	readonly clock: Clock;
	/** Works until the signal aborts; whatever else ends it, it is begun again. */
	readonly work: (signal: AbortSignal) => Promise<void>;
	/** Whether trying again may help: a fault of the configuration stays until somebody mends it. */
	readonly mayRestart: (thrown: unknown) => boolean;
	readonly onChange: () => void;
	/** From 0 to 1, for the spread of delays. */
	readonly random?: () => number;
}

/** Keeps something going that should never end: begun again after a delay that doubles, up to five minutes. */
export class Supervisor {
	readonly #options: SupervisorOptions;
	#state: SupervisedState = "stopped";
	#restarts = 0;
	#failures = 0;
	#failure: unknown = null;
	#nextMs: number | null = null;
	#controller: AbortController | null = null;
	#cancel: (() => void) | null = null;
	#ended: Promise<void> = Promise.resolve();

	constructor(options: SupervisorOptions) {
		this.#options = options;
	}

	get state(): SupervisedState {
		return this.#state;
	}

	/** How often it was begun again. */
	get restarts(): number {
		return this.#restarts;
	}

	/** What ended it last; null since it was started. */
	get failure(): unknown {
		return this.#failure;
	}

	/** When it is begun again; null unless it waits for that. */
	get nextMs(): number | null {
		return this.#nextMs;
	}

	/** Begins, or begins again at once when it waits or has given up. */
	start(): void {
		if (this.#state === "working") return;
		this.#cancel?.();
		this.#failures = 0;
		this.#begin();
	}

	/** Resolves when it has ended; what is half done is stopped cleanly. */
	async stop(reason: unknown): Promise<void> {
		this.#cancel?.();
		this.#controller?.abort(reason);
		if (this.#state === "restarting") this.#set("stopped", null);
		await this.#ended;
	}

	#begin(): void {
		const { clock, work } = this.#options;
		const controller = new AbortController();
		this.#controller = controller;
		const beganMs = clock.nowMs();
		this.#set("working", null);
		this.#ended = Promise.resolve()
			.then(() => work(controller.signal))
			.then(
				() => this.#end(controller, beganMs, null),
				(thrown: unknown) => this.#end(controller, beganMs, thrown),
			);
	}

	#end(controller: AbortController, beganMs: number, thrown: unknown): void {
		const { clock, mayRestart, random = Math.random } = this.#options;
		this.#failure = controller.signal.aborted ? null : thrown;
		if (controller.signal.aborted || (thrown !== null && !mayRestart(thrown))) {
			this.#set("stopped", null);
			return;
		}
		const now = clock.nowMs();
		if (now - beganMs >= HEALTHY_MS) this.#failures = 0;
		const delayMs = Math.min(DELAY_MS_MAX, DELAY_MS_MIN * 2 ** this.#failures) * (0.75 + random() / 4);
		this.#failures++;
		this.#cancel = clock.after(delayMs, () => {
			this.#restarts++;
			this.#begin();
		});
		this.#set("restarting", now + delayMs);
	}

	#set(state: SupervisedState, nextMs: number | null): void {
		this.#state = state;
		this.#nextMs = nextMs;
		this.#options.onChange();
	}
}
