import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Lease } from "../core/index.ts";
import { keepLease } from "./lease.ts";

const LEASE: Lease = { name: "serve", holder: "a", epoch: 1, expiresAt: "" };
const MINUTE_MS = 60_000;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A lease in a state whose answers are given. */
function kept(answers: (boolean | "none" | "never")[]) {
	const lost: boolean[] = [];
	let asked = 0;
	const renewLease = async () => {
		const answer = answers[asked++] ?? true;
		if (answer === "never") return new Promise<boolean>(() => {});
		if (answer === "none") throw new Error("no answer");
		return answer;
	};
	const lease = keepLease({ renewLease }, LEASE, MINUTE_MS, (isTaken) => lost.push(isTaken));
	return { lease, lost, asked: () => asked };
}

test("a lease is renewed as long as it is answered, also with gaps", async () => {
	const { lease, lost, asked } = kept([true, "none", true, "never", true]);
	await vi.advanceTimersByTimeAsync(5 * MINUTE_MS);
	expect([lost, asked()]).toEqual([[], 15]);
	lease.stop();
	await vi.advanceTimersByTimeAsync(MINUTE_MS);
	expect(asked()).toBe(15);
});

test("one that another took is lost at once, and told once", async () => {
	const { lease, lost } = kept([true, false]);
	await vi.advanceTimersByTimeAsync(MINUTE_MS);
	expect(lost).toEqual([true]);
	expect(await lease.renew()).toBe(false);
	expect(lost).toEqual([true]);
});

test.each([
	["fails", "none"],
	["hangs", "never"],
] as const)("one is lost when the state %s for as long as it lasts, not before", async (_how, answer) => {
	const { lost } = kept([true, answer, answer, answer, answer]);
	// The last answer came after a third of it.
	await vi.advanceTimersByTimeAsync((MINUTE_MS / 3) * 3.9);
	expect(lost).toEqual([]);
	await vi.advanceTimersByTimeAsync(MINUTE_MS);
	expect(lost).toEqual([false]);
});
