import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import type { Batch } from "../core/batch.ts";
import type { Snapshot } from "../core/source.ts";
import type { SourceTable } from "../core/table.ts";
import { within } from "./case.ts";
import { collect, numberedRows, sameRows } from "./rows.ts";
import { numberedTable, POLICY, readRows, readTable, type SourceCase, type SourceFixture } from "./source-fixture.ts";

/** Far over what the end of a read takes, far under a runner's limit. */
const endMs = (fixture: SourceFixture) => fixture.endMs ?? 20_000;

/** Begins a read and takes its first batch. */
async function firstBatch(fixture: SourceFixture, snapshot: Snapshot, table: SourceTable, signal?: AbortSignal) {
	const read = snapshot.read({
		table,
		columns: table.columns,
		types: POLICY,
		bufferBytesMax: 1 << 16,
		...(signal === undefined ? {} : { signal }),
	});
	const batches: AsyncIterator<Batch> = read[Symbol.asyncIterator]();
	const first = await within(endMs(fixture), "the first batch of a read", batches.next());
	assert.ok(first.done !== true, "the table has no rows");
	return { batches, batch: first.value };
}

/** How often marks are looked at on a server where others write too. */
const MARKS_ATTEMPTS = 40;
const MARKS_DELAY_MS = 100;

export const sourceSnapshotCases: readonly SourceCase[] = [
	[
		"a snapshot is one cut: what is committed after it is in none of its reads",
		async (fixture) => {
			const a = await numberedTable(fixture, "cut_a", 3000);
			const b = await numberedTable(fixture, "cut_b", 10);
			await using snapshot = await fixture.source.snapshot({ readers: 1 });
			const { batches, batch } = await firstBatch(fixture, snapshot, a);
			let seen = batch.rowCount;
			batch.release();
			{
				await using writer = await fixture.begin();
				await writer.insert(a.name, numberedRows(5, 90_000));
				await writer.delete(a.name, { column: "id", value: "2999" });
				await writer.update(b.name, { column: "id", value: "3" }, { column: "name", value: "changed" });
				await writer.insert(b.name, numberedRows(1, 90_000));
				await writer.commit();
			}
			for (let next = await batches.next(); next.done !== true; next = await batches.next()) {
				seen += next.value.rowCount;
				next.value.release();
			}
			assert.equal(seen, 3000, "rows of the read that had begun");
			sameRows(await readRows(snapshot, b), numberedRows(10), "rows of a read that began after the change");
			assert.deepEqual(await snapshot.cursorMax(b, "id"), { max: "9", nulls: 0 });
			const after = await readTable(fixture.source, b);
			assert.equal(after.length, 11, "a later snapshot sees the change");
			assert.ok(after.some(([, name]) => name === "changed"));
		},
	],
	[
		"several reads at once see the same cut, and those over the number of readers wait their turn",
		async (fixture) => {
			const table = await numberedTable(fixture, "shared_cut", 500);
			await using snapshot = await fixture.source.snapshot({ readers: 3 });
			assert.ok(snapshot.readers >= 1 && snapshot.readers <= 3, `${snapshot.readers} readers`);
			{
				await using writer = await fixture.begin();
				await writer.delete(table.name, { column: "id", value: "7" });
				await writer.commit();
			}
			const reads = Array.from({ length: snapshot.readers + 2 }, () => readRows(snapshot, table));
			for (const rows of await within(endMs(fixture), "reads over the number of readers", Promise.all(reads)))
				sameRows(rows, numberedRows(500));
		},
	],
	[
		"rows of an open transaction are not seen before its commit, not when it is rolled back",
		async (fixture) => {
			const table = await numberedTable(fixture, "open_rows", 2);
			{
				await using writer = await fixture.begin();
				await writer.insert(table.name, numberedRows(1, 100));
				sameRows(await readTable(fixture.source, table), numberedRows(2), "while it is open");
			}
			sameRows(await readTable(fixture.source, table), numberedRows(2), "after it was rolled back");
			await using writer = await fixture.begin();
			await writer.insert(table.name, numberedRows(1, 2));
			await writer.commit();
			sameRows(await readTable(fixture.source, table), numberedRows(3), "after it was committed");
		},
	],
	[
		"marks tell an open writing transaction, and that it began after an earlier cut",
		async (fixture) => {
			const table = await numberedTable(fixture, "marked", 1);
			const marks = async () => {
				await using snapshot = await fixture.source.snapshot({ readers: 1 });
				return snapshot.transactions;
			};
			for (let attempt = 1; ; attempt++) {
				if (attempt > 1) await new Promise((resolve) => setTimeout(resolve, MARKS_DELAY_MS));
				const before = await marks();
				if (before === undefined) return;
				await using writer = await fixture.begin();
				await writer.insert(table.name, numberedRows(1, 50 + attempt));
				const during = await marks();
				// Others may have transactions open on the same server, or end them while marks are taken.
				const mayRepeat = attempt < MARKS_ATTEMPTS;
				if (during === undefined && mayRepeat) continue;
				assert.ok(during !== undefined, "marks come and go");
				assert.equal(during.kind, before.kind);
				assert.ok(during.oldestOpen < during.now, "an open transaction is not told");
				assert.ok(during.now >= before.now, "marks go back");
				const isOthers = during.oldestOpen < before.now && mayRepeat;
				if (!isOthers) assert.ok(during.oldestOpen >= before.now, "it seems to have begun before the earlier cut");
				const again = await marks();
				const isTold = again !== undefined && again.oldestOpen < during.now;
				assert.ok(isTold || (again === undefined && mayRepeat), "it seems to have begun after the later cut");
				await writer.commit();
				if (!isOthers && isTold) return;
			}
		},
	],
	[
		"the clock of a cut is UTC with microseconds and does not go back",
		async ({ source }) => {
			const clocks: string[] = [];
			for (let i = 0; i < 3; i++) {
				await using snapshot = await source.snapshot({ readers: 1 });
				clocks.push(snapshot.clock);
			}
			for (const clock of clocks) assert.match(clock, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}$/);
			assert.deepEqual([...clocks].sort(), clocks);
		},
	],
	[
		"breaking out of a read ends it at the source: the next one gets its turn",
		async (fixture) => {
			const table = await numberedTable(fixture, "broken_off", 20_000);
			await using snapshot = await fixture.source.snapshot({ readers: 1 });
			for (let i = 0; i < 3; i++) {
				const { batches, batch } = await firstBatch(fixture, snapshot, table);
				batch.release();
				await within(endMs(fixture), "ending a read early", Promise.resolve(batches.return?.()));
			}
			const rows = await within(endMs(fixture), "a read after one that was broken off", readRows(snapshot, table));
			assert.equal(rows.length, 20_000);
		},
	],
	[
		"aborting a read makes it fail, never end as if whole, and frees its place",
		async (fixture) => {
			const table = await numberedTable(fixture, "aborted", 20_000);
			await using snapshot = await fixture.source.snapshot({ readers: 1 });
			const abort = new AbortController();
			const { batches, batch } = await firstBatch(fixture, snapshot, table, abort.signal);
			batch.release();
			abort.abort();
			const rest = collect({ [Symbol.asyncIterator]: () => batches });
			const ended = rest.then(
				() => "ended as if whole",
				() => "failed",
			);
			assert.equal(await within(endMs(fixture), "an aborted read", ended), "failed");
			await using other = await fixture.source.snapshot({ readers: 1 });
			const rows = await within(endMs(fixture), "a read after one that was aborted", readRows(other, table));
			assert.equal(rows.length, 20_000);
		},
	],
	[
		"a read whose signal is aborted already fails",
		async (fixture) => {
			const table = await numberedTable(fixture, "stillborn", 10);
			await using snapshot = await fixture.source.snapshot({ readers: 1 });
			await assert.rejects(
				within(endMs(fixture), "the read", readRows(snapshot, table, { signal: AbortSignal.abort() })),
			);
		},
	],
	[
		"a slow reader gets every row: the source waits for it",
		async (fixture) => {
			const table = await numberedTable(fixture, "slow_reader", 10_000);
			await using snapshot = await fixture.source.snapshot({ readers: 1 });
			let count = 0;
			const read = snapshot.read({ table, columns: table.columns, types: POLICY, bufferBytesMax: 1 << 16 });
			for await (const batch of read) {
				count += batch.rowCount;
				await delay(5);
				batch.release();
			}
			assert.equal(count, 10_000);
		},
	],
];
