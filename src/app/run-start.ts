import type { CheckedPipeline } from "../config/index.ts";
import {
	type AttemptError,
	type EventSink,
	HeadraceError,
	HeadraceErrors,
	type RunOrigin,
	type RunReceipt,
	toHeadraceErrors,
} from "../core/index.ts";
import { secondsText } from "../observe/index.ts";
import type { RunInterval } from "./api.ts";
import { abortableDelay, attemptError, mayRetry, type RetryRule, retryDelayMs } from "./retry.ts";
import { newRunId } from "./run-id.ts";

export interface RunStartOptions {
	readonly pipeline: CheckedPipeline;
	readonly signal: AbortSignal;
	readonly onEvent: EventSink;
	readonly interval: RunInterval | null;
	/** False: a connection that can't be made fails at once, as somebody who waits for it expects. */
	readonly retry: boolean;
	readonly origin?: RunOrigin;
	/** Milliseconds since 1970, by the clock that all who make runs of the project go by: runs are in its order. */
	readonly nowMs: () => number;
}

/**
 * The beginning of one run: its id, the attempts to connect and to plan, and the record of a run that got no further.
 * What may pass (a server that is down for a moment) is tried again by the pipeline's own rule; a refused login never.
 */
export class RunStart {
	/** The run's receipt as far as it got; null before its tables began. */
	receipt: RunReceipt | null = null;
	readonly #options: RunStartOptions;
	readonly #rule: RetryRule;
	readonly #failed: AttemptError[] = [];
	#begun: { readonly runId: string; readonly startedAt: string } | null = null;

	constructor(options: RunStartOptions) {
		this.#options = options;
		const { retries, retryDelayMs: delayMs } = options.pipeline;
		this.#rule = { retries: options.retry ? retries : 0, retryDelayMs: delayMs };
	}

	get runId(): string {
		return this.#begin().runId;
	}

	/** ISO 8601, UTC: when it was first asked for anything. */
	get startedAt(): string {
		return this.#begin().startedAt;
	}

	/** ISO 8601, UTC. */
	now(): string {
		return new Date(this.#options.nowMs()).toISOString();
	}

	/** For the receipt. */
	get attemptErrors(): { readonly attempt_errors?: readonly AttemptError[] } {
		return this.#failed.length === 0 ? {} : { attempt_errors: [...this.#failed] };
	}

	/** Does the work, again while the rule allows; all work of one start shares its attempts. */
	async attempt<Result>(work: () => Promise<Result>): Promise<Result> {
		const { signal, onEvent } = this.#options;
		this.#begin();
		for (;;) {
			try {
				signal.throwIfAborted();
				return await work();
			} catch (thrown) {
				const [error, ...more] = toHeadraceErrors(thrown);
				const attempt = this.#failed.length + 1;
				if (signal.aborted || error === undefined || more.length > 0 || !mayRetry(error, attempt, this.#rule))
					throw thrown;
				this.#failed.push(attemptError(attempt, error));
				const delayMs = retryDelayMs(this.#rule, attempt);
				onEvent({
					type: "notice",
					runId: this.runId,
					level: "warn",
					message: `attempt ${attempt} failed with ${error.code}: ${error.message}; next in ${secondsText(delayMs / 1000)}`,
				});
				await abortableDelay(delayMs, signal);
			}
		}
	}

	#begin() {
		const now = new Date(this.#options.nowMs());
		this.#begun ??= { runId: newRunId(now), startedAt: now.toISOString() };
		return this.#begun;
	}

	/** The receipt of a run that was ended by an error of its own, not of a table. */
	failure(thrown: unknown): RunReceipt {
		const { pipeline, signal, interval, origin } = this.#options;
		const error = signal.aborted ? stopOf(signal, thrown) : toHeadraceErrors(thrown)[0];
		return {
			...(this.receipt ?? {
				run_id: this.runId,
				pipeline: pipeline.name,
				interval: pipeline.tables.some((rule) => !rule.skip && rule.options.mode === "interval") ? interval : null,
				started_at: this.startedAt,
				tables: [],
				...this.attemptErrors,
				...(origin === undefined ? {} : { origin }),
			}),
			state: signal.aborted ? "stopped" : "failed",
			finished_at: this.now(),
			...(error === undefined ? {} : { error: { code: error.code, message: error.message, hint: error.hint } }),
		};
	}
}

function stopOf(signal: AbortSignal, thrown: unknown): HeadraceError {
	if (signal.reason instanceof HeadraceError) return signal.reason;
	if (thrown instanceof HeadraceErrors || thrown instanceof HeadraceError) return toHeadraceErrors(thrown)[0]!;
	return new HeadraceError("E_STOPPED", "stopped before the end", { cause: thrown });
}
