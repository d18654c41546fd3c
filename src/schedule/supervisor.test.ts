import { expect, test } from "vitest";
import { ClockByHand } from "../../test/support/clock-by-hand.ts";
import { Supervisor } from "./supervisor.ts";

function world(work: (signal: AbortSignal, count: number) => Promise<void>) {
	const clock = new ClockByHand("2026-01-01T00:00:00Z");
	const begun: number[] = [];
	const supervisor = new Supervisor({
		clock,
		work: (signal) => {
			begun.push(clock.nowMs() / 1000);
			return work(signal, begun.length);
		},
		mayRestart: (thrown) => !(thrown instanceof Error && thrown.message === "for good"),
		onChange: () => {},
		random: () => 1,
	});
	return { clock, supervisor, gaps: () => begun.slice(1).map((at, index) => Math.round(at - begun[index]!)) };
}

test("what fails again and again is begun after delays that double up to five minutes", async () => {
	const { clock, supervisor, gaps } = world(() => Promise.reject(new Error("down")));
	supervisor.start();
	await clock.pass(18 * 60_000);
	expect(gaps()).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
	expect(supervisor.state).toBe("restarting");
	expect(supervisor.restarts).toBe(10);
	expect((supervisor.failure as Error).message).toBe("down");
	await supervisor.stop("done");
	await clock.pass(600_000);
	expect(supervisor.state).toBe("stopped");
	expect(supervisor.restarts).toBe(10);
});

test("what worked for long begins with a short delay again; an end without an error is an end too", async () => {
	const clockOf: { clock?: ClockByHand } = {};
	const { clock, supervisor, gaps } = world((_signal, count) =>
		count < 5
			? Promise.reject(new Error("down"))
			: new Promise((resolve) => {
					clockOf.clock!.after(700_000, resolve);
				}),
	);
	clockOf.clock = clock;
	supervisor.start();
	await clock.pass(20 * 60_000);
	expect(gaps()).toEqual([1, 2, 4, 8, 701]);
});

test("a fault that stays is not tried again until somebody says so", async () => {
	const { clock, supervisor, gaps } = world((signal, count) =>
		count === 1
			? Promise.reject(new Error("for good"))
			: new Promise((_resolve, reject) => {
					signal.addEventListener("abort", () => reject(signal.reason));
				}),
	);
	supervisor.start();
	await clock.pass(3_600_000);
	expect([supervisor.state, gaps()]).toEqual(["stopped", []]);
	supervisor.start();
	supervisor.start();
	await clock.pass(1_000);
	expect([supervisor.state, gaps()]).toEqual(["working", [3600]]);
	await supervisor.stop(new Error("the server stops"));
	expect([supervisor.state, supervisor.failure]).toEqual(["stopped", null]);
});
