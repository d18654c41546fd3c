import { setTimeout as delay } from "node:timers/promises";
import type { AttemptError, HeadraceError } from "../core/index.ts";

const RETRY_DELAY_MAX_MS = 600_000;

/** How often something is tried again, and after which pause at first. */
export interface RetryRule {
	readonly retries: number;
	readonly retryDelayMs: number;
}

/** Whether an attempt (from 1 on) that ended with this error is followed by another one. */
export function mayRetry(error: HeadraceError, attempt: number, rule: RetryRule): boolean {
	return error.reaction === "retry" && attempt <= rule.retries;
}

/** Doubles each time, less up to a quarter by chance, so that several tables don't come back together. */
export function retryDelayMs(rule: RetryRule, attempt: number): number {
	return Math.round(Math.min(RETRY_DELAY_MAX_MS, rule.retryDelayMs * 2 ** (attempt - 1)) * (0.75 + Math.random() / 4));
}

/** A failed attempt for the receipt. */
export function attemptError(attempt: number, { code, message }: HeadraceError): AttemptError {
	return { attempt, at: new Date().toISOString(), code, message };
}

/** Waits, or ends at once when the signal says so; whoever waits looks at the signal next. */
export async function abortableDelay(delayMs: number, signal: AbortSignal | undefined): Promise<void> {
	await delay(delayMs, undefined, signal === undefined ? {} : { signal }).catch(() => {});
}
