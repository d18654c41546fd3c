import { HeadraceError } from "../core/index.ts";
import { RequestFailure } from "./failure.ts";

const KEYS_MAX = 10_000;

export interface RateLimitOptions {
	/** Within the window. */
	readonly countMax: number;
	readonly windowMs: number;
	readonly nowMs: () => number;
	/** What there was too much of: `too many refused logins from this address`. */
	readonly message: string;
}

/** Counts by key, in windows that begin with the first one counted. Kept in memory: a restart forgets it. */
export class RateLimit {
	readonly #options: RateLimitOptions;
	readonly #counts = new Map<string, { count: number; sinceMs: number }>();

	constructor(options: RateLimitOptions) {
		this.#options = options;
	}

	/** @throws RequestFailure 429 while the window has as many as it may */
	check(key: string): void {
		const { countMax, windowMs, nowMs, message } = this.#options;
		const counted = this.#counts.get(key);
		if (counted === undefined || counted.count < countMax) return;
		const leftMs = counted.sinceMs + windowMs - nowMs();
		if (leftMs <= 0) {
			this.#counts.delete(key);
			return;
		}
		throw new RequestFailure(429, new HeadraceError("E_ACCESS", message, { hint: "Wait a minute." }), {
			"Retry-After": String(Math.ceil(leftMs / 1000)),
		});
	}

	count(key: string): void {
		const now = this.#options.nowMs();
		const counted = this.#counts.get(key);
		if (counted !== undefined && now - counted.sinceMs < this.#options.windowMs) {
			counted.count++;
			return;
		}
		// As many keys as one likes must not take memory without bound.
		if (this.#counts.size >= KEYS_MAX) this.#counts.clear();
		this.#counts.set(key, { count: 1, sinceMs: now });
	}

	forget(key: string): void {
		this.#counts.delete(key);
	}
}
