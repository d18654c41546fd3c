import { expect, test } from "vitest";
import { ClockByHand } from "../../test/support/clock-by-hand.ts";
import { Scheduler } from "./scheduler.ts";
import { cronTimetable, everyTimetable } from "./timetable.ts";

const nightly = await cronTimetable(["0", "2", "*", "*", "*"], "UTC");
const MINUTE = 60_000;

function world(now: string, served: Record<string, string> = {}) {
	const clock = new ClockByHand(now);
	const kept = new Map(Object.entries(served).map(([name, at]) => [name, Date.parse(at)]));
	const due: string[] = [];
	const scheduler = new Scheduler({
		clock,
		served: (name) => kept.get(name) ?? null,
		saveServed: (name, at) => kept.set(name, at),
		onDue: (name, { atMs }) => due.push(`${name} ${new Date(atMs).toISOString().slice(0, 16)}`),
	});
	return { clock, kept, due, scheduler, nightly: { name: "shop", timetable: nightly, paused: false } };
}

test("each time is told once, at its minute", async () => {
	const { clock, due, scheduler, nightly } = world("2026-01-01T01:59:30Z", { shop: "2025-12-31T02:00:00Z" });
	scheduler.set([nightly]);
	scheduler.start();
	await clock.pass(29_000);
	expect(due).toEqual([]);
	await clock.pass(2_000);
	expect(due).toEqual(["shop 2026-01-01T02:00"]);
	await clock.pass(MINUTE);
	expect(due).toHaveLength(1);
	expect(scheduler.nextMs("shop")).toBe(Date.parse("2026-01-02T02:00Z"));
	scheduler.stop();
	await clock.pass(2 * 24 * 60 * MINUTE);
	expect(due).toHaveLength(1);
});

test("a new pipeline waits for its next time; of what was missed while nothing ran, the last time is told", async () => {
	const fresh = world("2026-01-05T12:00:00Z");
	fresh.scheduler.set([fresh.nightly]);
	fresh.scheduler.start();
	expect(fresh.due).toEqual([]);
	await fresh.clock.pass(14 * 60 * MINUTE);
	expect(fresh.due).toEqual(["shop 2026-01-06T02:00"]);
	const after = world("2026-01-05T12:00:00Z", { shop: "2026-01-02T02:00:00Z" });
	after.scheduler.set([after.nightly]);
	after.scheduler.start();
	expect(after.due).toEqual(["shop 2026-01-05T02:00"]);
});

test("of what is due at once, what was due first comes first", () => {
	const before = "2026-01-05T00:00:00Z";
	const { due, scheduler } = world("2026-01-05T12:00:00Z", { hourly: before, daily: before, often: before });
	const every = (name: string, minutes: number) => ({
		name,
		paused: false,
		timetable: everyTimetable(minutes * MINUTE, null),
	});
	// Due at 12:00, 08:00 and 09:00.
	scheduler.set([every("often", 1), every("daily", 8 * 60), every("hourly", 7 * 60)]);
	scheduler.start();
	expect(due.map((each) => each.split(" ")[0])).toEqual(["daily", "hourly", "often"]);
	scheduler.stop();
});

test("what was told and not done comes again after a crash; what was done does not", async () => {
	const first = world("2026-01-05T12:00:00Z", { shop: "2026-01-02T02:00:00Z", other: "2026-01-02T02:00:00Z" });
	first.scheduler.set([first.nightly, { ...first.nightly, name: "other" }]);
	first.scheduler.start();
	first.scheduler.done("other", Date.parse("2026-01-05T02:00Z"));
	expect(first.due).toHaveLength(2);
	const kept = Object.fromEntries([...first.kept].map(([name, at]) => [name, new Date(at).toISOString()]));
	const second = world("2026-01-05T12:01:00Z", kept);
	second.scheduler.set([second.nightly, { ...second.nightly, name: "other" }]);
	second.scheduler.start();
	expect(second.due).toEqual(["shop 2026-01-05T02:00"]);
});

test("a held schedule tells nothing, and its last missed time when it goes on", async () => {
	const { clock, due, scheduler, nightly } = world("2026-01-01T00:00:00Z", { shop: "2025-12-31T02:00:00Z" });
	scheduler.set([{ ...nightly, paused: true }]);
	scheduler.start();
	await clock.pass(3 * 24 * 60 * MINUTE);
	expect(due).toEqual([]);
	expect(scheduler.nextMs("shop")).toBeNull();
	scheduler.set([nightly]);
	expect(due).toEqual(["shop 2026-01-03T02:00"]);
});

test("a clock that is set back repeats nothing; one that was days ahead does not silence a schedule", async () => {
	const { clock, due, scheduler } = world("2026-01-01T10:00:30Z", { shop: "2026-01-01T10:00:00Z" });
	scheduler.set([{ name: "shop", timetable: everyTimetable(5 * MINUTE, null), paused: false }]);
	scheduler.start();
	await clock.pass(5 * MINUTE);
	expect(due).toEqual(["shop 2026-01-01T10:05"]);
	clock.set("2026-01-01T09:30:00Z");
	await clock.pass(30 * MINUTE);
	expect(due).toHaveLength(1);
	clock.set("2026-06-01T00:00:10Z");
	await clock.pass(MINUTE);
	expect(due).toEqual(["shop 2026-01-01T10:05", "shop 2026-06-01T00:00"]);
	scheduler.done("shop", Date.parse("2026-06-01T00:00Z"));
	clock.set("2026-01-01T12:00:10Z");
	await clock.pass(6 * MINUTE);
	expect(due.at(-1)).toBe("shop 2026-01-01T12:05");
});

test("a machine that slept tells the last time within moments of waking", async () => {
	const { clock, due, scheduler, nightly } = world("2026-01-01T03:00:00Z", { shop: "2026-01-01T02:00:00Z" });
	scheduler.set([nightly]);
	scheduler.start();
	clock.set("2026-01-04T08:00:00Z");
	await clock.pass(16_000);
	expect(due).toEqual(["shop 2026-01-04T02:00"]);
});
