import { describe, expect, test } from "vitest";
import type { ChangesPosition } from "../core/index.ts";
import {
	advance,
	beginReading,
	caughtUp,
	endReading,
	heldBack,
	pauseTable,
	resumeTable,
	startingFrom,
	withoutTable,
} from "./change-state.ts";

const order = { compare: (a: string, b: string) => Number(a) - Number(b) };
const at = (place: number, tables: ChangesPosition["tables"], committedAt?: number): ChangesPosition => ({
	kind: "changes",
	at: String(place),
	...(committedAt === undefined ? {} : { committedAt: String(committedAt) }),
	tables,
});

describe("a position that is set back", () => {
	test("has for each table the time that its later changes are not before", () => {
		const back = startingFrom(at(9, { a: {}, b: { since: "99" } }, 50), "5", order);
		expect(back).toEqual(at(5, { a: { from: "9", since: "50" }, b: { from: "9", since: "99" } }));
		// What comes again counts for nobody who passes it over.
		const [again, there] = [7, 9].map((place) => advance(back, { at: String(place), committedAt: 60n }, order));
		expect(again!.tables).toEqual(back.tables);
		expect(there!.tables).toEqual({ a: {}, b: { since: "99" } });
	});

	test("for a table that was paused begins at its own time, though others went on", () => {
		const paused = pauseTable(at(3, { a: {}, b: {} }, 30), "a");
		const resumed = resumeTable(advance(paused, { at: "8", committedAt: 80n }, order), "a", order);
		expect(resumed).toEqual(at(3, { a: { from: "3", since: "30" }, b: { from: "8", since: "80" } }));
	});

	test("for a history begins no version before its rows were read", () => {
		const read = endReading(
			at(9, { a: {}, b: { from: "4", state: "loading" } }, 50),
			"b",
			{ until: "4", at: 70n },
			order,
		);
		expect(read.tables["b"]).toEqual({ from: "4", since: "70" });
	});

	test("is told its time still when a table begins to be read beside those that follow", () => {
		const reading = beginReading(at(9, { a: {} }, 50), "12", [{ name: "b", goesOn: false, seq: 0 }]);
		expect(reading).toEqual(at(9, { a: {}, b: { from: "12", seq: 0, state: "loading" } }, 50));
		expect(beginReading(null, "12", []).at).toBe("12");
	});

	test("goes on where the others are when the table that it was set back for is gone", () => {
		const resumed = at(3, { a: { from: "3" }, b: { from: "8", since: "80" }, c: { from: "6" } });
		expect(caughtUp(resumed, order)).toEqual(resumed);
		expect(caughtUp(withoutTable(resumed, "a"), order)).toEqual(at(6, { b: { from: "8", since: "80" }, c: {} }));
		expect(caughtUp(at(3, { a: { from: "1", state: "paused" } }), order).at).toBe("3");
	});
});

test("the log is kept for the table that is furthest behind", () => {
	const position = at(9, { a: {}, b: { from: "4", state: "paused" }, c: { from: "6", state: "loading" } });
	expect(heldBack(position, order)).toEqual({ table: "b", from: "4" });
	expect(heldBack(at(9, { a: { from: "12" } }), order)).toBeNull();
});
