import { setTimeout as delay } from "node:timers/promises";

/** Waits, or ends at once when the signal says so; whoever waits looks at the signal next. */
export async function abortableDelay(delayMs: number, signal: AbortSignal): Promise<void> {
	await delay(delayMs, undefined, { signal }).catch(() => {});
}
