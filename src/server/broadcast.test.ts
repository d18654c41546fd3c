import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { EventLog } from "../app/service/event-log.ts";
import { Broadcast } from "./broadcast.ts";

let log: EventLog<string>;
let worded: string[];
let broadcast: Broadcast<string>;
beforeEach(() => {
	vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
	log = new EventLog<string>(3);
	worded = [];
	broadcast = new Broadcast(log, (id, event) => {
		worded.push(event);
		return { id, event, data: event };
	});
});
afterEach(() => {
	vi.useRealTimers();
});

/** Joins, and keeps what was told: a list of the numbers of the events for each time. */
function listener(after: number | null) {
	const told: string[] = [];
	const leave = broadcast.join(after, (bytes) =>
		told.push(
			[...new TextDecoder().decode(bytes).matchAll(/id: (\d+)\nevent: (\w+)\ndata: .*\n\n/g)]
				.map(([, id, event]) => `${id} ${event}`)
				.join(", "),
		),
	);
	return { told, leave };
}

test("each event is put into words once, and told to everybody; what comes at once is told together", () => {
	const [a, b] = [listener(null), listener(null)];
	log.add("one");
	vi.advanceTimersByTime(1);
	log.add("two");
	log.add("three");
	expect(a.told).toEqual(["0 reset", "1 one"]);
	vi.advanceTimersByTime(50);
	expect(a.told).toEqual(["0 reset", "1 one", "2 two, 3 three"]);
	expect(b.told).toEqual(a.told);
	expect(worded).toEqual(["one", "two", "three"]);
});

test("who comes while something waits is told nothing twice and misses nothing", () => {
	const a = listener(null);
	log.add("one");
	const fresh = listener(null);
	const back = listener(0);
	vi.advanceTimersByTime(50);
	log.add("two");
	vi.advanceTimersByTime(50);
	expect(a.told).toEqual(["0 reset", "1 one", "2 two"]);
	expect(fresh.told).toEqual(["1 reset", "2 two"]);
	expect(back.told).toEqual(["1 one", "2 two"]);
});

test("what is no longer kept can't be gone on with: it begins anew", () => {
	for (let count = 0; count < 20; count++) log.add("x");
	expect(listener(1).told).toEqual(["20 reset"]);
	expect(listener(19).told).toEqual(["20 x"]);
});

test("who has left is told nothing, and nothing is put into words for nobody", () => {
	const a = listener(null);
	log.add("one");
	a.leave();
	vi.advanceTimersByTime(100);
	log.add("two");
	vi.advanceTimersByTime(100);
	expect(a.told).toEqual(["0 reset"]);
	expect(log.listeners).toBe(0);
	expect(worded).toEqual(["one"]);
	expect(listener(1).told).toEqual(["2 two"]);
});
