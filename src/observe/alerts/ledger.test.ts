import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ALERT_EVENTS, type AlertChannel, type AlertEntry, type AlertEvent } from "../../core/alert.ts";
import { Secret } from "../../core/secret.ts";
import { afterFailing, afterTelling, noted, type Occurrence, waitingFor } from "./ledger.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

function channel(name: string, on: readonly AlertEvent[], coolDownMs = HOUR): AlertChannel {
	return { type: "slack", name, on, coolDownMs, allowPrivate: false, url: new Secret("https://example.com/x") };
}

const OPS = channel("ops", ["failed", "recovered", "late", "schema_changed"]);

/** A channel over time: what it is told, minute by minute. */
class World {
	entries: readonly AlertEntry[] = [];
	readonly told: string[] = [];
	reachable = true;
	readonly #channel: AlertChannel;

	constructor(of: AlertChannel = OPS) {
		this.#channel = of;
	}

	at(minute: number, what: { readonly fails?: string; readonly succeeds?: string; readonly event?: AlertEvent }): void {
		const atMs = minute * MINUTE;
		const [table = "", code = ""] = (what.fails ?? "").split(" ");
		const occurrence: Occurrence = {
			channels: [this.#channel.name],
			event: (what.event ?? "failed") as Occurrence["event"],
			table,
			code,
			message: "no answer",
			hint: "look",
			attempts: 1,
			runId: `run-${minute}`,
		};
		this.entries = noted(this.entries, [this.#channel], {
			occurrences: what.fails === undefined ? [] : [occurrence],
			successes: what.succeeds === undefined ? [] : [what.succeeds],
			runId: `run-${minute}`,
			atMs,
		});
		this.deliver(atMs);
	}

	deliver(atMs: number): void {
		for (const group of waitingFor(this.entries, this.#channel.name)) {
			if (!this.reachable) {
				this.entries = afterFailing(this.entries, group, "refused");
				return;
			}
			for (const { event, table, code, untold } of group)
				this.told.push([`${atMs / MINUTE}:`, event, table, code, untold > 1 ? `x${untold}` : ""].join(" ").trim());
			this.entries = afterTelling(this.entries, group, atMs);
		}
	}
}

describe("what a channel is told", () => {
	test("a failure that repeats is told once in a cool-down, with how often it happened", () => {
		const world = new World();
		for (const minute of [0, 10, 20, 59, 60, 70]) world.at(minute, { fails: "a E_TIMEOUT" });
		expect(world.told).toEqual(["0: failed a E_TIMEOUT", "60: failed a E_TIMEOUT x4"]);
	});

	test("another table and another code are other failures", () => {
		const world = new World();
		world.at(0, { fails: "a E_TIMEOUT" });
		world.at(1, { fails: "b E_TIMEOUT" });
		world.at(2, { fails: "a E_VALUE" });
		expect(world.told).toHaveLength(3);
	});

	test("the first success after a failure is told, the second is not", () => {
		const world = new World();
		world.at(0, { fails: "a E_TIMEOUT" });
		world.at(1, { succeeds: "b" });
		world.at(2, { succeeds: "a" });
		world.at(3, { succeeds: "a" });
		expect(world.told).toEqual(["0: failed a E_TIMEOUT", "2: recovered a"]);
		expect(world.entries).toEqual([]);
	});

	test("a failure after a recovery that was told is a new one: the last word is true", () => {
		const world = new World();
		world.at(0, { fails: "a E_TIMEOUT" });
		world.at(1, { succeeds: "a" });
		world.at(2, { fails: "a E_TIMEOUT" });
		expect(world.told).toEqual(["0: failed a E_TIMEOUT", "1: recovered a", "2: failed a E_TIMEOUT"]);
	});

	test("who does not want to hear of recoveries is spared a failure that comes and goes, for the cool-down", () => {
		const world = new World(channel("ops", ["failed"]));
		world.at(0, { fails: "a E_TIMEOUT" });
		world.at(1, { succeeds: "a" });
		world.at(2, { fails: "a E_TIMEOUT" });
		world.at(3, { succeeds: "a" });
		world.at(61, { fails: "a E_TIMEOUT" });
		expect(world.told).toEqual(["0: failed a E_TIMEOUT", "61: failed a E_TIMEOUT x2"]);
	});

	test("what could not be told waits, once for each failure, and is told before that it is over", () => {
		const world = new World();
		world.reachable = false;
		for (const minute of [0, 100, 200]) world.at(minute, { fails: "a E_TIMEOUT" });
		expect(world.entries).toMatchObject([{ state: "waiting", untold: 3, failure: "refused" }]);
		world.at(300, { succeeds: "a" });
		world.reachable = true;
		world.at(400, { succeeds: "a" });
		expect(world.told).toEqual(["400: failed a E_TIMEOUT x3", "400: recovered a"]);
		expect(world.entries).toEqual([]);
	});

	test("a recovery that was not told yet and is not true any more is not told", () => {
		const world = new World();
		world.at(0, { fails: "a E_TIMEOUT" });
		world.reachable = false;
		world.at(1, { succeeds: "a" });
		world.at(2, { fails: "a E_TIMEOUT" });
		world.reachable = true;
		world.deliver(3 * MINUTE);
		expect(world.told).toEqual(["0: failed a E_TIMEOUT"]);
		world.at(61, { fails: "a E_TIMEOUT" });
		expect(world.told.at(-1)).toBe("61: failed a E_TIMEOUT x2");
	});

	test("what happens while a message is on its way is counted in the next one", () => {
		const world = new World();
		world.reachable = false;
		world.at(0, { fails: "a E_TIMEOUT" });
		const sent = waitingFor(world.entries, "ops")[0]!;
		world.at(1, { fails: "a E_TIMEOUT" });
		world.entries = afterTelling(world.entries, sent, 2 * MINUTE);
		expect(world.entries).toMatchObject([{ state: "told", untold: 1 }]);
	});

	test("a cool-down of zero tells each time; a channel that is gone is forgotten", () => {
		const world = new World(channel("ops", ["failed"], 0));
		for (const minute of [0, 1, 2]) world.at(minute, { fails: "a E_VALUE" });
		expect(world.told).toHaveLength(3);
		expect(noted(world.entries, [], { occurrences: [], successes: [], runId: null, atMs: 0 })).toEqual([]);
	});

	test("a success of each run is told each time, and never kept", () => {
		const world = new World(channel("ping", ["succeeded"]));
		for (const minute of [0, 1]) world.at(minute, { fails: " ", event: "succeeded" });
		expect(world.told).toEqual(["0: succeeded", "1: succeeded"]);
		expect(world.entries).toEqual([]);
	});
});

test("law: whatever happens, the last word that a reachable channel got about a table is true", () => {
	const steps = fc.array(
		fc.record({
			minutes: fc.integer({ min: 1, max: 90 }),
			what: fc.constantFrom("fails", "succeeds", "hang up", "answer"),
			table: fc.constantFrom("a", "b"),
			code: fc.constantFrom("E_TIMEOUT", "E_VALUE"),
		}),
		{ maxLength: 40 },
	);
	fc.assert(
		fc.property(steps, (all) => {
			const world = new World();
			const failing = new Map<string, boolean>();
			let minute = 0;
			for (const { minutes, what, table, code } of all) {
				minute += minutes;
				if (what === "hang up") world.reachable = false;
				else if (what === "answer") world.reachable = true;
				else {
					failing.set(table, what === "fails");
					world.at(minute, what === "fails" ? { fails: `${table} ${code}` } : { succeeds: table });
				}
			}
			world.reachable = true;
			world.deliver((minute + 1) * MINUTE);
			for (const [table, isFailing] of failing) {
				const words = world.told.filter((line) => line.split(" ")[2] === table);
				const last = words.at(-1)?.split(" ")[1];
				if (isFailing) expect(last).toBe("failed");
				else expect(last === undefined || last === "recovered").toBe(true);
			}
			// Nothing waits for ever, and what is known stays small.
			expect(world.entries.every((entry) => entry.state === "told")).toBe(true);
			expect(world.entries.length).toBeLessThanOrEqual(4);
		}),
		{ numRuns: 500 },
	);
});

test("every event has its turn in what waits", () => {
	const entries = ALERT_EVENTS.map((event) => ({ channel: "ops", event, state: "waiting" }) as AlertEntry);
	expect(waitingFor(entries, "ops").map((group) => group[0]!.event)).toEqual([
		"failed",
		"late",
		"schema_changed",
		"check_warned",
		"recovered",
		"succeeded",
	]);
});
