import assert from "node:assert/strict";
import type { Chunk, Snapshot } from "../core/source.ts";
import type { SourceTable } from "../core/table.ts";
import { numberedRows, sameRows, type TextRow } from "./rows.ts";
import { numberedTable, readRows, type SourceCase, type SourceFixture, type SourceWriter } from "./source-fixture.ts";

/** A chunk as an earlier cut read it. */
interface ReadChunk {
	readonly chunk: Chunk;
	readonly since: string | null;
	readonly rows: TextRow[];
}

async function readChunks(snapshot: Snapshot, table: SourceTable, chunks: readonly Chunk[]): Promise<ReadChunk[]> {
	const since = (await snapshot.tableState?.(table)) ?? null;
	const read: ReadChunk[] = [];
	for (const chunk of chunks) read.push({ chunk, since, rows: await readRows(snapshot, table, { chunk }) });
	return read;
}

/** Asserts that whatever is said to be unchanged has the rows that it had; gives how many chunks are. */
async function expectTrue(fixture: SourceFixture, table: SourceTable, before: readonly ReadChunk[], what: string) {
	await using snapshot = await fixture.source.snapshot({ readers: 2 });
	let count = 0;
	for (const { chunk, since, rows } of before) {
		if (since === null || snapshot.unchanged === undefined) continue;
		if (!(await snapshot.unchanged({ table, chunk, since, rows: rows.length }))) continue;
		count++;
		sameRows(await readRows(snapshot, table, { chunk }), rows, `chunk ${chunk.index}, said to be unchanged, ${what}`);
	}
	return count;
}

type Change = (writer: SourceWriter, table: SourceTable) => Promise<void>;

const CHANGES: readonly (readonly [what: string, change: Change])[] = [
	[
		"after an update",
		(w, { name }) => w.update(name, { column: "id", value: "7" }, { column: "name", value: "other" }),
	],
	["after a delete", (w, { name }) => w.delete(name, { column: "id", value: "1200" })],
	["after an insert", (w, { name }) => w.insert(name, numberedRows(3, 90_000))],
	[
		"after a delete and an insert that leave as many rows",
		async (w, { name }) => {
			await w.delete(name, { column: "id", value: "50" });
			await w.insert(name, [["-1", "instead"]]);
		},
	],
	[
		"after a key has moved",
		(w, { name }) => w.update(name, { column: "id", value: "2400" }, { column: "id", value: "-7" }),
	],
];

/** A source that has no proofs is not asked; one that proves nothing passes: only a proof that is wrong is a fault. */
export const sourceUnchangedCases: readonly SourceCase[] = askedOnly([
	...CHANGES.map(
		([what, change]): SourceCase => [
			`${what}, a chunk that is said to be unchanged has the rows that it had`,
			async (fixture) => {
				const table = await numberedTable(fixture, "changed_since", 2500);
				await using snapshot = await fixture.source.snapshot({ readers: 1 });
				const chunks = await snapshot.split(table, { rows: 300 });
				const before = await readChunks(snapshot, table, chunks);
				await using writer = await fixture.begin();
				await change(writer, table);
				await writer.commit();
				const count = await expectTrue(fixture, table, before, what);
				assert.ok(count < chunks.length, `all ${chunks.length} chunks are said to be unchanged ${what}`);
			},
		],
	),
	[
		"a transaction that was open at the earlier cut, and commits after it, is not overlooked",
		async (fixture) => {
			const table = await numberedTable(fixture, "late_change", 2500);
			await using writer = await fixture.begin();
			await writer.update(table.name, { column: "id", value: "600" }, { column: "name", value: "late" });
			await using snapshot = await fixture.source.snapshot({ readers: 1 });
			const chunks = await snapshot.split(table, { rows: 300 });
			const before = await readChunks(snapshot, table, chunks);
			await writer.commit();
			const count = await expectTrue(fixture, table, before, "after a late commit");
			assert.ok(count < chunks.length, "a late commit is overlooked");
		},
	],
	[
		"what is committed between two cuts of one table does not prove another one wrong",
		async (fixture) => {
			const table = await numberedTable(fixture, "standing", 1500);
			const other = await numberedTable(fixture, "moving", 10);
			await using snapshot = await fixture.source.snapshot({ readers: 1 });
			const before = await readChunks(snapshot, table, await snapshot.split(table, { rows: 300 }));
			await using writer = await fixture.begin();
			await writer.insert(other.name, numberedRows(5, 100));
			await writer.commit();
			await expectTrue(fixture, table, before, "after a change of another table");
		},
	],
]);

function askedOnly(cases: readonly SourceCase[]): SourceCase[] {
	return cases.map(([name, body]) => [
		name,
		async (fixture) => {
			await using snapshot = await fixture.source.snapshot({ readers: 1 });
			if (snapshot.unchanged !== undefined) await body(fixture);
		},
	]);
}
