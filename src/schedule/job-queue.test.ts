import { expect, test } from "vitest";
import { ClockByHand } from "../../test/support/clock-by-hand.ts";
import { JobQueue, type Work, type WorkEnd } from "./job-queue.ts";

function world(atOnceMax: number) {
	const clock = new ClockByHand("2026-01-01T00:00:00Z");
	const log: string[] = [];
	const ends = new Map<string, (end: WorkEnd) => void>();
	const queue = new JobQueue<Work>({
		clock,
		atOnceMax,
		run: (work, signal) =>
			new Promise((resolve) => {
				ends.set(work.id, resolve);
				signal.addEventListener("abort", () => {
					log.push(`${work.id} stopped`);
					resolve({ state: "ended" });
				});
			}),
		onChange: (work, state) => log.push(`${work.id} ${state}`),
	});
	const end = async (id: string, how: WorkEnd = { state: "ended" }) => {
		ends.get(id)!(how);
		await clock.pass(0);
	};
	return { clock, log, queue, end };
}
const ids = (works: readonly Work[]) => works.map(({ id }) => id);

test("one of a pipeline at a time, a bounded number at once, in turn", async () => {
	const { clock, queue, end } = world(2);
	for (const [id, pipeline] of [
		["a1", "a"],
		["a2", "a"],
		["b1", "b"],
		["c1", "c"],
	] as const)
		queue.add({ id, pipeline });
	await clock.pass(0);
	expect(ids(queue.running)).toEqual(["a1", "b1"]);
	expect(queue.waitsFor("a2")).toBe("another job of the pipeline, a1");
	expect(queue.waitsFor("c1")).toBe("a free place: 2 jobs may work at once");
	expect(queue.waitsFor("a1")).toBeNull();
	await end("b1");
	expect(ids(queue.running)).toEqual(["a1", "c1"]);
	await end("a1");
	expect(ids(queue.running)).toEqual(["c1", "a2"]);
	expect(ids(queue.waiting)).toEqual([]);
});

test("what cannot be done now waits in front of its pipeline's later ones, and holds up no other", async () => {
	const { clock, log, queue, end } = world(1);
	queue.add({ id: "a1", pipeline: "a" });
	queue.add({ id: "a2", pipeline: "a" });
	queue.add({ id: "b1", pipeline: "b" });
	await clock.pass(0);
	await end("a1", { state: "again", delayMs: 5_000, reason: "another process holds it" });
	expect(queue.waitsFor("a1")).toBe("another process holds it");
	expect(ids(queue.running)).toEqual(["b1"]);
	await end("b1");
	expect(ids(queue.running)).toEqual([]);
	await clock.pass(5_000);
	expect(ids(queue.running)).toEqual(["a1"]);
	expect(log).toEqual(["a1 running", "a1 queued", "b1 running", "a1 running"]);
});

test("a cancelled work is stopped, or never begins; an unknown one is said to be", async () => {
	const { clock, log, queue } = world(1);
	queue.add({ id: "a1", pipeline: "a" });
	queue.add({ id: "a2", pipeline: "a" });
	await clock.pass(0);
	expect(queue.cancel("a2", "x")).toBe(true);
	expect(queue.cancel("a1", "x")).toBe(true);
	await clock.pass(0);
	expect(log).toEqual(["a1 running", "a2 dropped", "a1 stopped"]);
	expect(queue.cancel("a1", "x")).toBe(false);
});

test("draining begins nothing more, waits a while, then stops what is left", async () => {
	const { clock, log, queue, end } = world(2);
	for (const id of ["a", "b", "c"]) queue.add({ id, pipeline: id });
	await clock.pass(0);
	let drained = false;
	void queue.drain(10_000, "the server stops").then(() => {
		drained = true;
	});
	await end("a");
	expect(ids(queue.waiting)).toEqual(["c"]);
	await clock.pass(9_000);
	expect([drained, log.includes("b stopped")]).toEqual([false, false]);
	await clock.pass(1_500);
	expect([drained, log.includes("b stopped")]).toEqual([true, true]);
	expect(log).not.toContain("c running");
});
