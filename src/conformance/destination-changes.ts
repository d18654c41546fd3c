import assert from "node:assert/strict";
import { setTimeout as delay, setImmediate as nextTurn } from "node:timers/promises";
import { typeName } from "../core/column-type.ts";
import type { ApplyRequest } from "../core/destination.ts";
import { HeadraceError } from "../core/errors.ts";
import type { RecordedColumn } from "../core/schema.ts";
import { type Gap, rejectsWith, within } from "./case.ts";
import { Follower, followed, logPositionAt, merging, put, STREAM } from "./destination-changes-fixture.ts";
import { destinationChangesHistoryCases } from "./destination-changes-history.ts";
import { destinationChangesRowsCases } from "./destination-changes-rows.ts";
import { destinationChangesValuesCases } from "./destination-changes-values.ts";
import {
	COLUMNS,
	type DestinationCase,
	expectRows,
	Loader,
	loaded,
	PIPELINE,
	targetOf,
} from "./destination-fixture.ts";
import { CountingPool, numberedRows, sameRows } from "./rows.ts";

const BOTH = "a load and changes of one table follow each other";
const OLD = numberedRows(20);
const NEW = numberedRows(30, 1000);
const LATER = numberedRows(5, 9000);
const CHANGES = NEW.map((row) => put(...row));

/** Requests that do not continue where the destination is. */
const FENCED: readonly (readonly [what: string, change: (request: ApplyRequest) => Partial<ApplyRequest>])[] = [
	["epoch", ({ epoch }) => ({ epoch: epoch - 1 })],
	["epoch of the future", ({ epoch }) => ({ epoch: epoch + 1 })],
	["seq", ({ seq }) => ({ seq: seq + 1 })],
	["from-position", () => ({ fromPosition: logPositionAt(999) })],
	["from-position NULL", () => ({ fromPosition: null })],
	["stream", () => ({ stream: "unknown" })],
];

const transactionCases: readonly DestinationCase[] = [
	followed("changes commit rows of their tables, position and load ids together", async (fixture, follower) => {
		const known = await loaded(fixture, "known", OLD);
		const made = targetOf(fixture, "made");
		const request = follower.request([follower.adding(known.target, NEW), follower.adding(made, NEW.slice(0, 3))]);
		await follower.expectRecorded(request, false);
		const { parts } = await follower.changes.apply(request);
		follower.passed(request);
		await expectRows(fixture, known, [...OLD, ...NEW]);
		await expectRows(fixture, { target: made }, NEW.slice(0, 3));
		assert.deepEqual(
			parts.map(({ rowsReceived, rowsInserted }) => [rowsReceived, rowsInserted]),
			[
				[30, 30],
				[3, 3],
			],
		);
		await follower.expectPosition();
		await follower.expectRecorded(request, true);
		await known.expectPosition();
		const row = (await fixture.destination.positions(PIPELINE)).find((other) => other.stream === STREAM);
		assert.equal(row?.schemaVersion, "1");
		assert.notEqual(row?.committedAt ?? null, null, "the time of the commit");
	}),
	followed("changes are atomic for a reader: it sees those of all tables or of none", async (fixture, follower) => {
		const [left, right] = [await loaded(fixture, "left", OLD), await loaded(fixture, "right", OLD)];
		const isNew = async ({ target }: Loader) => {
			const rows = await fixture.rows(target.name, COLUMNS);
			const found = rows?.some(([id]) => Number(id) >= 1000) === true;
			sameRows(rows, found ? [...OLD, ...NEW] : OLD, `what a reader sees of ${target.name.name}`);
			return found;
		};
		// One table is looked at before and after the other: so no commit between the looks is taken for a half.
		const look = async () => {
			const [before, other, after] = [await isNew(left), await isNew(right), await isNew(left)];
			assert.ok(!before || other, "the first table has its changes, the second has not");
			assert.ok(after || !other, "the second table has its changes, the first has not");
			return other;
		};
		const between = async () => assert.equal(await look(), false, "changes are seen before all came");
		let done = false;
		const watch = async () => {
			for (; !done; await nextTurn()) await look();
		};
		const watching = watch();
		const options = { rowsPerBatch: 10, between };
		const apply = follower.apply(
			follower.adding(left.target, NEW, options),
			follower.adding(right.target, NEW, options),
		);
		try {
			await Promise.race([apply, watching]);
			await apply;
		} finally {
			done = true;
			await Promise.allSettled([apply]);
		}
		await watching;
		assert.equal(await look(), true);
	}),
	followed(
		"changes whose second part fails leave the first and the position as they were, and can be repeated",
		async (fixture, follower) => {
			const first = await loaded(fixture, "first", OLD);
			const second = targetOf(fixture, "second");
			const between = async (batch: number) => {
				if (batch === 2) throw new HeadraceError("E_CONNECTION_LOST", "the source is gone");
			};
			const request = follower.request([
				follower.adding(first.target, NEW),
				follower.adding(second, NEW, { rowsPerBatch: 10, between }),
			]);
			await rejectsWith("E_CONNECTION_LOST", follower.changes.apply(request));
			await expectRows(fixture, first, OLD, "after the failure");
			const rows = await fixture.rows(second.name, COLUMNS);
			assert.ok(rows === null || rows.length === 0, "rows of the part that failed are visible");
			await follower.expectPosition();
			await follower.expectRecorded(request, false);
			await follower.apply(follower.adding(first.target, NEW), follower.adding(second, NEW));
			await expectRows(fixture, first, [...OLD, ...NEW], "after the repetition");
			await expectRows(fixture, { target: second }, NEW, "after the repetition");
			await follower.expectPosition();
		},
	),
	followed("changes that do not continue the position are E_FENCED and change nothing", async (fixture, follower) => {
		const { target } = await loaded(fixture, "fenced", OLD);
		await follower.apply();
		for (const [what, change] of FENCED) {
			const request = follower.request([follower.adding(target, NEW)]);
			const wrong = { ...request, ...change(request) };
			await rejectsWith("E_FENCED", follower.changes.apply(wrong));
			await expectRows(fixture, { target }, OLD, `after a wrong ${what}`);
			await follower.expectRecorded(wrong, false);
		}
		await follower.expectPosition();
	}),
	followed(
		"takeOver fences the older run: its changes fail, before and after the newer run's",
		async (fixture, older) => {
			const { target } = await loaded(fixture, "handed", OLD);
			await older.apply(older.adding(target, []));
			await using second = await fixture.reopen();
			const newer = await Follower.takeOver(second);
			await rejectsWith("E_FENCED", older.changes.apply(older.request([older.adding(target, [["5000", "older"]])])));
			await expectRows(fixture, { target }, OLD);
			await newer.apply(newer.adding(target, NEW));
			await rejectsWith("E_FENCED", older.changes.apply(older.request([older.adding(target, [["5000", "older"]])])));
			await expectRows(fixture, { target }, [...OLD, ...NEW]);
			await newer.expectPosition();
		},
	),
	followed("takeOver in the middle of changes: one of the two wins, and both know which", async (fixture, older) => {
		const { target } = await loaded(fixture, "raced", OLD);
		await using second = await fixture.reopen();
		const race: { taking?: Promise<Follower> } = {};
		const between = async (batch: number) => {
			if (batch !== 2) return;
			race.taking = Follower.takeOver(second);
			// It may have to wait for this request's locks: so it is given time, and not waited for.
			await Promise.race([race.taking, delay(300)]);
		};
		const request = older.request([older.adding(target, NEW, { rowsPerBatch: 10, between })]);
		const applying = older.changes.apply(request).then(
			() => true,
			async (error: unknown) => {
				await rejectsWith(["E_FENCED", "E_CONFLICT"], Promise.reject(error));
				return false;
			},
		);
		const committed = await within(30_000, "the changes", applying);
		assert.ok(race.taking !== undefined, "the input was not read");
		const newer = await within(30_000, "takeOver", race.taking);
		assert.equal(newer.row.seq, committed ? older.row.seq + 1 : older.row.seq);
		await older.expectRecorded(request, committed);
		await expectRows(fixture, { target }, committed ? [...OLD, ...NEW] : OLD);
		await newer.apply(newer.adding(target, LATER));
		await expectRows(
			fixture,
			{ target },
			[...OLD, ...(committed ? NEW : []), ...LATER],
			"after the newer run's changes",
		);
	}),
	followed("changes that are sent again after their commit have effect once", async (fixture, follower) => {
		const target = targetOf(fixture, "sent_again");
		const again = follower.request([{ target, write: "append", rows: NEW }]);
		const request = follower.request([{ target, write: "append", rows: NEW }]);
		assert.equal(again.loadId, request.loadId);
		await follower.changes.apply(request);
		follower.passed(request);
		await rejectsWith("E_FENCED", follower.changes.apply(again));
		await expectRows(fixture, { target }, NEW);
		await follower.expectPosition();
		await using later = await fixture.reopen();
		assert.equal(await later.committed(request.loadId), true, "asked by another process");
	}),
	followed("changes of no tables move the position", async (fixture, follower) => {
		const { target } = await loaded(fixture, "untouched", OLD);
		const request = follower.request([]);
		assert.deepEqual(await follower.changes.apply(request), { parts: [] });
		follower.passed(request);
		await follower.apply();
		await follower.expectPosition();
		await follower.expectRecorded(request, true);
		await expectRows(fixture, { target }, OLD);
	}),
	followed("changes that are aborted leave nothing", async (fixture, follower) => {
		const { target } = await loaded(fixture, "aborted", OLD);
		const abort = new AbortController();
		const between = async (batch: number) => {
			if (batch === 1) abort.abort();
		};
		const parts = [follower.adding(target, NEW), follower.adding(target, NEW, { rowsPerBatch: 10, between })];
		const request = follower.request(parts, { signal: abort.signal });
		await assert.rejects(within(20_000, "aborted changes", follower.changes.apply(request)));
		await expectRows(fixture, { target }, OLD);
		await follower.expectPosition();
		await follower.expectRecorded(request, false);
		await follower.apply(follower.adding(target, NEW));
		await expectRows(fixture, { target }, [...OLD, ...NEW]);
	}),
	followed("changes release every batch once", async (fixture, follower) => {
		const pools: CountingPool[] = [];
		const pool: NonNullable<Parameters<Follower["adding"]>[2]>["pool"] = (fields) => {
			const made = new CountingPool(fields);
			pools.push(made);
			return made;
		};
		const rows = numberedRows(5000);
		const [one, two] = ["one", "two"].map((name) => targetOf(fixture, name));
		await follower.apply(follower.adding(one!, rows, { pool }), follower.adding(two!, rows, { pool }));
		for (const { taken, given } of pools) assert.equal(given, taken, `${taken} batches were given, ${given} came back`);
		assert.equal(pools.length, 2);
		await expectRows(fixture, { target: two! }, numberedRows(5000));
	}),
	followed("the columns of each part are recorded with it", async (fixture, follower) => {
		const columns = COLUMNS.map(({ name, type, nullable }, ordinal): RecordedColumn => {
			const text = typeName(type);
			return { name, target: name, source_type: text, type: text, landed: text, nullable, ordinal };
		});
		const parts = ["one", "two"].map((name) => {
			const target = targetOf(fixture, name);
			return follower.adding(target, [], { schema: { stream: `main.${name}`, columns } });
		});
		await follower.apply(...parts);
		const recorded = await fixture.destination.schemas(PIPELINE);
		assert.deepEqual(recorded.map(({ stream }) => stream).sort(), ["main.one", "main.two"]);
		assert.deepEqual(recorded[0]?.columns, columns);
	}),
	followed(BOTH, async (fixture, follower) => {
		const loader = await loaded(fixture, "both", OLD);
		await follower.apply(merging(loader.target, CHANGES));
		await loader.load(numberedRows(3, 7));
		await expectRows(fixture, loader, numberedRows(3, 7));
		await follower.apply(merging(loader.target, [put("7", "changed"), put("1", "new")]));
		await expectRows(fixture, loader, [["1", "new"], ["7", "changed"], ...numberedRows(2, 8)]);
		await loader.expectPosition();
		await follower.expectPosition();
		assert.equal((await Loader.takeOver(fixture.destination, loader.target)).row.seq, 2);
	}),
];

export const destinationChangesCases: readonly DestinationCase[] = [
	...transactionCases,
	...destinationChangesRowsCases,
	...destinationChangesValuesCases,
	...destinationChangesHistoryCases,
];

/** The gaps of a destination that keeps changes as rows, and can't merge them. */
export function withoutMergedChanges(reason: string): Gap[] {
	const kept = new Set(transactionCases.map(([name]) => name));
	return destinationChangesCases
		.filter(([name]) => name === BOTH || !(kept.has(name) || name.startsWith("append ")))
		.map(([name]) => ({ case: name, reason }));
}

/** The gaps of a destination that takes no changes. */
export function withoutChanges(reason: string): Gap[] {
	return destinationChangesCases.map(([name]) => ({ case: name, reason }));
}
