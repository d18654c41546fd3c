import assert from "node:assert/strict";
import { setTimeout as delay, setImmediate as nextTurn } from "node:timers/promises";
import type { Batch } from "../core/batch.ts";
import type { LoadRequest } from "../core/destination.ts";
import { HeadraceError } from "../core/errors.ts";
import { rejectsWith, within } from "./case.ts";
import {
	COLUMNS,
	type DestinationCase,
	expectRows,
	Loader,
	loaded,
	PIPELINE,
	positionAt,
	targetOf,
} from "./destination-fixture.ts";
import { batchesOf, CountingPool, numberedRows, sameRows, type TextRow } from "./rows.ts";

const OLD = numberedRows(50);
const NEW = numberedRows(60, 1000);

/** Batches of 10 rows with something between them. */
async function* withBetween(
	rows: readonly TextRow[],
	between: (batch: number) => Promise<void>,
): AsyncGenerator<Batch> {
	let count = 0;
	for await (const batch of batchesOf(COLUMNS, rows, 10)) {
		await between(count++);
		yield batch;
	}
	await between(count);
}

const input = (batches: AsyncIterable<Batch>): LoadRequest["input"] => ({ kind: "batches", fields: COLUMNS, batches });

/** A request that does not continue where the destination is. */
const fencedCases: readonly DestinationCase[] = (
	[
		["epoch", (r: LoadRequest) => ({ ...r, epoch: r.epoch - 1 })],
		["epoch of the future", (r: LoadRequest) => ({ ...r, epoch: r.epoch + 1 })],
		["seq", (r: LoadRequest) => ({ ...r, seq: r.seq + 1 })],
		["from-position", (r: LoadRequest) => ({ ...r, fromPosition: positionAt(999) })],
		["from-position NULL", (r: LoadRequest) => ({ ...r, fromPosition: null })],
	] as const
).map(([what, change]) => [
	`a wrong ${what} is E_FENCED and changes nothing`,
	async (fixture) => {
		const loader = await loaded(fixture, "fenced", OLD);
		const request = change(loader.request(NEW));
		await rejectsWith("E_FENCED", fixture.destination.load(request));
		await expectRows(fixture, loader, OLD);
		await loader.expectPosition();
		assert.equal(await fixture.destination.committed(request.loadId), false);
	},
]);

export const destinationTransactionCases: readonly DestinationCase[] = [
	[
		"a load commits data, position and load id together",
		async (fixture) => {
			const loader = await Loader.takeOver(fixture.destination, targetOf(fixture, "whole"));
			assert.equal(await fixture.destination.describe(loader.target.name), null);
			const request = loader.request(OLD);
			assert.equal(await fixture.destination.committed(request.loadId), false);
			const result = await loader.load(OLD);
			assert.equal(result.rowsReceived, 50);
			assert.equal(result.rowsInserted, 50);
			await expectRows(fixture, loader, OLD);
			await loader.expectPosition();
			assert.equal(await fixture.destination.committed(request.loadId), true);
			const [row] = await fixture.destination.positions(PIPELINE);
			assert.equal(row?.schemaVersion, "1");
			assert.notEqual(row?.committedAt ?? null, null, "the time of the commit");
		},
	],
	[
		"replace is atomic for a reader: it sees all the old rows or all the new",
		async (fixture) => {
			const loader = await loaded(fixture, "atomic", OLD);
			const look = async () => {
				const rows = await fixture.rows(loader.target.name, COLUMNS);
				sameRows(rows, rows?.some(([id]) => Number(id) >= 1000) ? NEW : OLD, "what a reader sees");
			};
			let done = false;
			const watch = async () => {
				for (; !done; await nextTurn()) await look();
			};
			const watching = watch();
			const load = loader.load(NEW, { input: input(withBetween(NEW, look)) });
			try {
				await Promise.race([load, watching]);
				await load;
			} finally {
				done = true;
				await Promise.allSettled([load]);
			}
			await watching;
			await expectRows(fixture, loader, NEW);
		},
	],
	...(["replace", "merge", "append"] as const).map(
		(write): DestinationCase => [
			`${write} whose input fails midway leaves the old rows and position, and can be repeated`,
			async (fixture) => {
				const loader = await loaded(fixture, "failing", OLD);
				const failing = withBetween(NEW, async (batch) => {
					if (batch === 3) throw new HeadraceError("E_CONNECTION_LOST", "the source is gone");
				});
				const request = loader.request(NEW, { write, input: input(failing) });
				await rejectsWith("E_CONNECTION_LOST", fixture.destination.load(request));
				await expectRows(fixture, loader, OLD, "after the failure");
				await loader.expectPosition();
				assert.equal(await fixture.destination.committed(request.loadId), false);
				await loader.load(NEW, { write });
				await expectRows(fixture, loader, write === "replace" ? NEW : [...OLD, ...NEW], "after the repetition");
			},
		],
	),
	[
		"a load that is aborted leaves nothing",
		async (fixture) => {
			const loader = await loaded(fixture, "aborted", OLD);
			const abort = new AbortController();
			const batches = withBetween(NEW, async (batch) => {
				if (batch === 2) abort.abort();
			});
			const request = loader.request(NEW, { input: input(batches), signal: abort.signal });
			await assert.rejects(within(20_000, "an aborted load", fixture.destination.load(request)));
			await expectRows(fixture, loader, OLD);
			await loader.expectPosition();
			await loader.load(NEW);
			await expectRows(fixture, loader, NEW);
		},
	],
	...fencedCases,
	[
		"a load without a position row is E_FENCED",
		async (fixture) => {
			const loader = await loaded(fixture, "known", OLD);
			const target = targetOf(fixture, "unknown");
			await rejectsWith("E_FENCED", fixture.destination.load(loader.request(NEW, { stream: "unknown", target })));
			const rows = await fixture.rows(target.name, COLUMNS);
			assert.ok(rows === null || rows.length === 0, "rows of a fenced load are visible");
		},
	],
	[
		"takeOver raises the epoch, makes missing rows, and leaves the positions as they are",
		async (fixture) => {
			const loader = await loaded(fixture, "taken", OLD);
			const rows = await fixture.destination.takeOver(PIPELINE, ["taken", "other"]);
			assert.deepEqual([...rows.keys()].sort(), ["other", "taken"]);
			const [taken, other] = [rows.get("taken")!, rows.get("other")!];
			assert.equal(taken.epoch, loader.row.epoch + 1);
			assert.equal(taken.seq, loader.row.seq);
			assert.equal(taken.position, loader.row.position);
			assert.equal(taken.loadId, loader.row.loadId);
			assert.deepEqual([other.seq, other.position, other.loadId], [0, null, null]);
			const elsewhere = await fixture.destination.takeOver(`${PIPELINE} 2`, ["taken"]);
			assert.deepEqual([elsewhere.get("taken")?.seq, elsewhere.get("taken")?.position], [0, null]);
			const again = await fixture.destination.positions(PIPELINE);
			assert.equal(again.find((row) => row.stream === "taken")?.epoch, taken.epoch, "another pipeline's takeOver");
			assert.deepEqual(again.map((row) => row.stream).sort(), ["other", "taken"]);
		},
	],
	[
		"takeOver fences the older run: its load fails and the newer run's is kept",
		async (fixture) => {
			const older = await loaded(fixture, "handed", OLD);
			await using second = await fixture.reopen();
			const newer = await Loader.takeOver(second, older.target);
			await rejectsWith("E_FENCED", older.destination.load(older.request(numberedRows(3, 5000))));
			await expectRows(fixture, newer, OLD, "after the older run's load");
			await newer.load(NEW);
			await rejectsWith("E_FENCED", older.destination.load(older.request(numberedRows(3, 5000))));
			await expectRows(fixture, newer, NEW, "after the newer run's load");
			await newer.expectPosition();
		},
	],
	[
		"takeOver in the middle of a load: one of the two wins, and both know which",
		async (fixture) => {
			const loader = await loaded(fixture, "raced", OLD);
			await using second = await fixture.reopen();
			const race: { taking?: Promise<Loader> } = {};
			const batches = withBetween(NEW, async (batch) => {
				if (batch !== 3) return;
				race.taking = Loader.takeOver(second, loader.target);
				// It may have to wait for this load's locks: so it is given time, and not waited for.
				await Promise.race([race.taking, delay(300)]);
			});
			const request = loader.request(NEW, { input: input(batches) });
			const loading = fixture.destination.load(request).then(
				() => true,
				async (error: unknown) => {
					await rejectsWith(["E_FENCED", "E_CONFLICT"], Promise.reject(error));
					return false;
				},
			);
			const committed = await within(30_000, "the load", loading);
			assert.ok(race.taking !== undefined, "the input was not read");
			const newer = await within(30_000, "takeOver", race.taking);
			assert.equal(newer.row.seq, committed ? loader.row.seq + 1 : loader.row.seq);
			assert.equal(newer.row.position, committed ? request.toPosition : loader.row.position);
			assert.equal(await second.committed(request.loadId), committed);
			await expectRows(fixture, newer, committed ? NEW : OLD);
			await newer.load(numberedRows(1));
			await expectRows(fixture, newer, numberedRows(1), "after the newer run's load");
		},
	],
	[
		"an answer that was lost can be asked for again, by another process too",
		async (fixture) => {
			const loader = await loaded(fixture, "answered", OLD);
			await using later = await fixture.reopen();
			assert.equal(await later.committed(loader.row.loadId!), true);
			assert.equal(await later.committed("no-such-load"), false);
			await loader.expectPosition(later);
			const newer = await Loader.takeOver(later, loader.target);
			assert.equal(newer.row.loadId, loader.row.loadId);
		},
	],
	[
		"a load that is sent again after its commit has effect once",
		async (fixture) => {
			const loader = await loaded(fixture, "sent_twice", OLD);
			const again = loader.request(NEW, { write: "append" });
			await loader.load(NEW, { write: "append" });
			await rejectsWith("E_FENCED", fixture.destination.load({ ...again, input: input(batchesOf(COLUMNS, NEW)) }));
			await expectRows(fixture, loader, [...OLD, ...NEW]);
			await loader.expectPosition();
			assert.equal(await fixture.destination.committed(again.loadId), true);
		},
	],
	[
		"loads of different streams at once are both kept",
		async (fixture) => {
			const loaders = await Promise.all(["left", "right"].map((name) => loaded(fixture, name, OLD)));
			await Promise.all(
				loaders.map(async (loader) => {
					for (let attempt = 0; ; attempt++) {
						try {
							return await loader.load(NEW, { input: input(withBetween(NEW, () => nextTurn())) });
						} catch (error) {
							// A conflict is an answer too, when the engine allows one writer: the load is repeated.
							const conflict = error instanceof HeadraceError && error.code === "E_CONFLICT";
							if (!conflict || attempt === 5) throw error;
						}
					}
				}),
			);
			for (const loader of loaders) {
				await expectRows(fixture, loader, NEW);
				await loader.expectPosition();
			}
		},
	],
	[
		"every batch is released once",
		async (fixture) => {
			const loader = await loaded(fixture, "released", OLD);
			const pool = new CountingPool(COLUMNS);
			const rows = numberedRows(5000, 10);
			await loader.load(rows, { input: input(batchesOf(COLUMNS, rows, 2048, pool)) });
			assert.equal(pool.given, pool.taken, `${pool.taken} batches were given, ${pool.given} came back`);
		},
	],
];
