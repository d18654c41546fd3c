import { HeadraceError } from "../core/errors.ts";

const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
type StopSignal = keyof typeof SIGNALS;

/**
 * A terminal sends Ctrl-C to the whole group, and npx sends it on once more: signals this near to the first are the
 * same one.
 */
const SAME_SIGNAL_MS = 250;
/** A clean stop that takes longer than this is given up: whatever is cut off, the next run finds it. */
const STOP_MAX_MS = 30_000;

export interface StopOptions {
	/** Told of the signal that asks for a clean stop. */
	readonly onFirst: (name: StopSignal) => void;
	/** The process ends now; what is written to a pipe or file here still arrives. */
	readonly onForced?: () => void;
}

/** The first signal aborts `signal`, the second ends the process at once. */
export class StopSignals implements Disposable {
	readonly #controller = new AbortController();
	readonly #options: StopOptions;
	readonly #handlers: [StopSignal, () => void][];
	#first: { readonly name: StopSignal; readonly atMs: number } | null = null;

	constructor(options: StopOptions) {
		this.#options = options;
		this.#handlers = (Object.keys(SIGNALS) as StopSignal[]).map((name) => [name, () => this.#receive(name)]);
		for (const [name, handler] of this.#handlers) process.on(name, handler);
	}

	get signal(): AbortSignal {
		return this.#controller.signal;
	}

	/** Exit code of a process that was stopped; null when it was not. */
	get exitCode(): number | null {
		return this.#first === null ? null : SIGNALS[this.#first.name];
	}

	#receive(name: StopSignal): void {
		const now = performance.now();
		if (this.#first === null) {
			this.#first = { name, atMs: now };
			this.#options.onFirst(name);
			setTimeout(() => this.#exit(name), STOP_MAX_MS).unref();
			this.#controller.abort(new HeadraceError("E_STOPPED", `stopped by ${name}`));
		} else if (now - this.#first.atMs > SAME_SIGNAL_MS) this.#exit(name);
	}

	#exit(name: StopSignal): never {
		this.#options.onForced?.();
		process.exit(SIGNALS[name]);
	}

	[Symbol.dispose](): void {
		for (const [name, handler] of this.#handlers) process.off(name, handler);
	}
}
