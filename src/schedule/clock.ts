/** The time, and waiting for it: tests give one that they move by hand. */
export interface Clock {
	/** Milliseconds since 1970. May jump in both directions: people set clocks, machines sleep. */
	nowMs(): number;
	/** Calls back once, after at least the delay; the result takes the call back. */
	after(delayMs: number, callback: () => void): () => void;
}

export const SYSTEM_CLOCK: Clock = {
	nowMs: Date.now,
	after(delayMs, callback) {
		const timer = setTimeout(callback, delayMs);
		return () => clearTimeout(timer);
	},
};
