import { setTimeout as sleep } from "node:timers/promises";
import { HeadraceError } from "../../core/index.ts";
import type { WriteSession } from "./write-session.ts";

/**
 * How long a lock is waited for at a time: whoever comes after has to wait as long, readers too. A reader that holds the
 * table for longer is not hurried, and others get their turn in the pauses.
 */
const LOCK_WAIT_MS = 400;
const PAUSE_MS = 300;
const PAUSE_MS_MAX = 2_000;

/** How often a lock that keeps readers out is tried: 15 s, with the pauses. */
export const ATTEMPTS = 10;

/**
 * Work that takes a strong lock, inside a transaction; while it can't have it, it is taken back and tried again.
 * @throws E_TIMEOUT when the last attempt found the lock held, too
 */
export async function patiently<T>(writer: WriteSession, work: () => Promise<T>, attempts = ATTEMPTS): Promise<T> {
	for (let attempt = 1; ; attempt++) {
		try {
			return await writer.part(async () => {
				await writer.execute(`SET LOCAL lock_timeout = '${LOCK_WAIT_MS}ms'`);
				const result = await work();
				await writer.execute("SET LOCAL lock_timeout = 0");
				return result;
			});
		} catch (error) {
			const locked = error instanceof HeadraceError && error.code === "E_TIMEOUT";
			if (!locked || attempt >= attempts) throw error;
			await sleep(Math.min(PAUSE_MS * attempt, PAUSE_MS_MAX));
		}
	}
}
