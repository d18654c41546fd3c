import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { HeadraceError } from "../core/errors.ts";
import type { ServerSession } from "./postgres-database.ts";
import { SessionPool } from "./postgres-sessions.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A pool of a server that refuses as many connections as the test says. */
function pool({ refusals = 0, patient = true } = {}) {
	const opened: (ServerSession & { broken: boolean })[] = [];
	let left = refusals;
	let tries = 0;
	const sessions = new SessionPool(async () => {
		tries++;
		if (left-- > 0) throw new HeadraceError("E_CONNECT", "refused");
		const nothing = async () => {};
		const session = { broken: false, where: "u@h:1/d", records: async () => [], script: async () => [] };
		opened.push({ ...session, execute: async () => ({ rows: 0 }), end: nothing, destroy() {} });
		return opened.at(-1)!;
	}, "s");
	sessions.patient = patient;
	return { sessions, opened, tries: () => tries };
}

const lost = () => new HeadraceError("E_CONNECTION_LOST", "broke");

test("a server that is away for a while is waited for, but not when it was never seen, nor for ever", async () => {
	const away = pool({ refusals: 8 });
	const asked = away.sessions.use(async () => "answer");
	await vi.advanceTimersByTimeAsync(5_000);
	expect(await asked).toBe("answer");
	await expect(pool({ refusals: 1, patient: false }).sessions.use(async () => "answer")).rejects.toThrow("refused");
	const gone = pool({ refusals: 1e9 });
	const given = expect(gone.sessions.use(async () => "answer")).rejects.toThrow("refused");
	await vi.advanceTimersByTimeAsync(20_000);
	await given;
	expect(gone.tries()).toBeLessThan(100);
});

test("work that a broken connection cut off is done again in a new one, unless it may have been done", async () => {
	const { sessions, opened } = pool();
	let count = 0;
	const again = sessions.use(async () => {
		opened.at(-1)!.broken = count === 0;
		if (count++ === 0) throw lost();
		return count;
	});
	await vi.advanceTimersByTimeAsync(1_000);
	expect([await again, opened.length]).toEqual([2, 2]);
	const unsure = sessions.use(async (_session, isUnsure) => {
		isUnsure();
		throw lost();
	});
	await expect(unsure).rejects.toMatchObject({ code: "E_CONNECTION_LOST" });
});

test("many at once share four sessions, which are kept for the next", async () => {
	const { sessions, opened } = pool();
	let atWork = 0;
	let most = 0;
	const work = async () => {
		most = Math.max(most, ++atWork);
		await new Promise((resolve) => setTimeout(resolve, 10));
		atWork--;
	};
	const all = Promise.all(Array.from({ length: 20 }, () => sessions.use(work)));
	await vi.advanceTimersByTimeAsync(1_000);
	await all;
	expect([most, opened.length]).toEqual([4, 4]);
});
