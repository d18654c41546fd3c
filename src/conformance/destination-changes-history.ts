import assert from "node:assert/strict";
import type { Field } from "../core/batch.ts";
import { ARCHIVE_COLUMNS, CHANGED_AT_COLUMN, HISTORY_COLUMNS } from "../core/destination.ts";
import type { TargetTable } from "../core/table.ts";
import { rejectsWith } from "./case.ts";
import { type Follower, followed, patch, type TextPart } from "./destination-changes-fixture.ts";
import { type DestinationCase, type DestinationFixture, expectRows, targetOf } from "./destination-fixture.ts";
import { ID, NAME, sameRows, type TextRow } from "./rows.ts";

const { validFrom, validTo, operation, position } = HISTORY_COLUMNS;
const TIME = { type: { kind: "timestamptz" }, nullable: true } as const;
const FROM: Field = { name: validFrom, ...TIME, nullable: false };
const TO: Field = { name: validTo, ...TIME };
const OPERATION: Field = { name: operation, type: { kind: "text" }, nullable: true };
const POSITION: Field = { name: position, type: { kind: "text" }, nullable: true };
const MORE: Field = { name: "more", type: { kind: "text" }, nullable: true };
/** The end of a version is not the last column: masks count it, the rows that come do not have it. */
const VERSIONS: readonly Field[] = [ID, NAME, FROM, TO, OPERATION, POSITION, MORE];

const at = (second: number) => `2024-03-31 01:00:${String(second).padStart(2, "0")}.123456+00`;

/** A change of a source's table, at a second. */
interface Change {
	readonly at: number;
	readonly operation: "snapshot" | "insert" | "update" | "delete";
	readonly id: string;
	readonly name?: string;
}

/** The row that tells a change; `more` is its name doubled, as long as it tells one. */
function rowOf(change: Change, place: number): TextRow {
	const name = change.name ?? null;
	return [change.id, name, at(change.at), change.operation, `log:${place}`, name === null ? null : name + name];
}

const keeping = (target: TargetTable, rows: readonly TextRow[], more: Partial<TextPart> = {}): TextPart => ({
	target,
	write: "history",
	rows,
	...more,
});

/** What the source's table was at a time: after all changes up to it, in their order. */
function sourceAt(changes: readonly Change[], time: string): Map<string, string> {
	const rows = new Map<string, string>();
	for (const change of changes) {
		if (at(change.at) > time) continue;
		if (change.operation === "delete") rows.delete(change.id);
		else rows.set(change.id, change.name!);
	}
	return rows;
}

async function versionsOf(fixture: DestinationFixture, target: TargetTable): Promise<readonly TextRow[]> {
	const rows = await fixture.rows(target.name, VERSIONS);
	assert.ok(rows !== null, "there is no table");
	return rows;
}

/** Asserts that the versions of each time are the source's rows of that time, and those without an end its last ones. */
async function expectHistory(
	fixture: DestinationFixture,
	target: TargetTable,
	changes: readonly Change[],
): Promise<readonly TextRow[]> {
	const versions = await versionsOf(fixture, target);
	const rowsOf = (kept: readonly TextRow[]) => kept.map(([id, name, , , , , more]) => [id!, name!, more!]);
	const wanted = (time: string) => [...sourceAt(changes, time)].map(([id, name]) => [id, name, name + name]);
	const times = changes.flatMap((change) => [at(change.at), at(change.at).replace("456+", "457+")]);
	for (const time of [at(0), ...times]) {
		const valid = versions.filter(([, , from, to]) => from! <= time && (to === null || time < to!));
		sameRows(rowsOf(valid), wanted(time), `rows as of ${time}`);
	}
	const current = versions.filter(([, , , to]) => to === null);
	sameRows(rowsOf(current), wanted(at(59)), "rows that have no end");
	return versions;
}

async function applyAll(
	follower: Follower,
	target: TargetTable,
	flushes: readonly (readonly Change[])[],
	rowsPerBatch: number,
): Promise<void> {
	let place = 0;
	for (const changes of flushes) {
		const rows = changes.map((change) => rowOf(change, place++));
		const { parts } = await follower.apply(keeping(target, rows, { rowsPerBatch }));
		assert.equal(parts[0]?.rowsReceived, changes.length);
		assert.equal(parts[0]?.rowsInserted, changes.filter((change) => change.operation !== "delete").length);
		assert.equal(parts[0]?.rowsDeleted, 0);
	}
}

const FLUSHES: readonly (readonly Change[])[] = [
	[
		{ at: 1, operation: "snapshot", id: "1", name: "a" },
		{ at: 1, operation: "snapshot", id: "2", name: "b" },
		{ at: 1, operation: "snapshot", id: "3", name: "c" },
	],
	[
		{ at: 5, operation: "update", id: "1", name: "A" },
		{ at: 6, operation: "delete", id: "2" },
		{ at: 7, operation: "insert", id: "4", name: "d" },
		{ at: 8, operation: "update", id: "1", name: "AA" },
		{ at: 9, operation: "update", id: "4", name: "D" },
		{ at: 9, operation: "delete", id: "4" },
		{ at: 9, operation: "delete", id: "5" },
	],
	[
		{ at: 12, operation: "insert", id: "2", name: "back" },
		{ at: 12, operation: "update", id: "2", name: "back at once" },
		{ at: 12, operation: "update", id: "1", name: "first of a transaction" },
		{ at: 12, operation: "update", id: "1", name: "last of a transaction" },
		{ at: 13, operation: "delete", id: "3" },
		{ at: 14, operation: "insert", id: "3", name: "again" },
		{ at: 14, operation: "insert", id: "4", name: "again" },
	],
	[{ at: 20, operation: "delete", id: "1" }],
];

export const destinationChangesHistoryCases: readonly DestinationCase[] = [
	followed("history: the versions of any time are the rows that the source had", async (fixture, follower) => {
		for (const rowsPerBatch of [1, 100]) {
			const target = targetOf(fixture, `versions_${rowsPerBatch}`, VERSIONS);
			await applyAll(follower, target, FLUSHES, rowsPerBatch);
			const versions = await expectHistory(fixture, target, FLUSHES.flat());
			const told = versions.map(([id, name, from, , op, where]) => [id, name, from, op, where]);
			const wanted = FLUSHES.flat()
				.map(rowOf)
				.filter(([, , , op]) => op !== "delete");
			sameRows(
				told as TextRow[],
				wanted.map(([id, name, from, op, where]) => [id!, name!, from!, op!, where!]),
				"every change but deletes is a version, those of no length too",
			);
		}
	}),
	followed("history: all changes in one request give the versions that many give", async (fixture, follower) => {
		const [one, many] = [targetOf(fixture, "one", VERSIONS), targetOf(fixture, "many", VERSIONS)];
		await applyAll(follower, one, [FLUSHES.flat()], 100);
		await applyAll(
			follower,
			many,
			FLUSHES.flat().map((change) => [change]),
			100,
		);
		await expectRows(fixture, { target: one }, await versionsOf(fixture, many));
	}),
	followed(
		"history: what a change does not tell is the current version's, of the key it had",
		async (fixture, follower) => {
			const target = targetOf(fixture, "partial_versions", VERSIONS);
			await applyAll(follower, target, FLUSHES.slice(0, 2), 100);
			const change = (second: number, op: string, id: string, name: string | null, base: string) =>
				patch([id, name, at(second), op, `partial:${second}`, null], name === null ? "0100001" : "0000001", base);
			const rows = [
				change(30, "update", "1", "told", "1"),
				change(31, "update", "1", null, "1"),
				[...rowOf({ at: 32, operation: "delete", id: "3" }, 32), "0100001", "9"],
				change(32, "insert", "8", null, "3"),
			];
			await follower.apply(keeping(target, rows, { partial: true }));
			const found = await versionsOf(fixture, target);
			sameRows(
				found.filter(([, , , , , where]) => where!.startsWith("partial")),
				[
					["1", "told", at(30), at(31), "update", "partial:30", "AAAA"],
					["1", "AA", at(31), null, "update", "partial:31", "AAAA"],
					["8", "c", at(32), null, "insert", "partial:32", "cc"],
				],
			);
			assert.ok(
				found.some(([id, , , to]) => id === "3" && to === at(32)),
				"the deleted row has no end",
			);
		},
	),
	followed("history: a version that has an end is no base", async (fixture, follower) => {
		const target = targetOf(fixture, "ended", VERSIONS);
		await applyAll(follower, target, FLUSHES.slice(0, 2), 100);
		const before = await versionsOf(fixture, target);
		const rows = [
			patch(["2", null, at(30), "update", "p", null], "0100001", "2"),
			patch(["1", "whole", at(31), "update", "q", "x"], "0000000", "1"),
		];
		const request = follower.request([keeping(target, rows, { partial: true })]);
		await rejectsWith("E_BASE_MISSING", follower.changes.apply(request));
		await expectRows(fixture, { target }, before);
		await follower.expectPosition();
		const { parts } = await follower.apply(keeping(target, rows, { partial: true, overlaps: true }));
		assert.deepEqual([parts[0]?.rowsReceived, parts[0]?.rowsInserted, parts[0]?.rowsSuperseded], [2, 1, 1]);
		const after = await versionsOf(fixture, target);
		assert.equal(after.length, before.length + 1);
		assert.ok(
			after.some(([id, , , to]) => id === "1" && to === at(31)),
			"the version before has no end",
		);
	}),
	followed(
		"history: a truncation ends all versions at its time, and later rows begin anew",
		async (fixture, follower) => {
			const target = targetOf(fixture, "truncated_versions", VERSIONS);
			await applyAll(follower, target, FLUSHES.slice(0, 2), 100);
			const before = await versionsOf(fixture, target);
			const late = [patch(["1", null, at(41), "update", "p", null], "0100001", "1")];
			const truncatedAt = at(40);
			const request = follower.request([keeping(target, late, { partial: true, truncatedAt })]);
			await rejectsWith("E_BASE_MISSING", follower.changes.apply(request));
			const anew = rowOf({ at: 45, operation: "insert", id: "1", name: "anew" }, 1);
			const { parts } = await follower.apply(keeping(target, [anew], { truncatedAt }));
			const [id, name, from, op, where, more] = anew;
			await expectRows(fixture, { target }, [
				...before.map((row) => (row[3] === null ? row.with(3, truncatedAt) : row)),
				[id!, name!, from!, null, op!, where!, more!],
			]);
			assert.deepEqual([parts[0]?.rowsInserted, parts[0]?.rowsUpdated, parts[0]?.rowsDeleted], [1, 2, 0]);
		},
	),
	followed("append keeps every change as a row, deletes too, whatever comes before", async (fixture, follower) => {
		const changedAt: Field = { name: CHANGED_AT_COLUMN, ...TIME };
		const target = targetOf(fixture, "appended", [{ ...ID, nullable: true }, NAME, OPERATION, POSITION, changedAt], []);
		const rows: TextRow[] = [
			["1", "a", "insert", "log:1", at(1)],
			["1", "a", "insert", "log:1", at(1)],
			["1", "b", "update", "log:2", at(2)],
			["1", null, "delete", "log:3", at(3)],
			[null, null, "delete", "log:4", at(3)],
		];
		const part: TextPart = { target, write: "append", rows };
		const { parts } = await follower.apply(part);
		assert.equal(parts[0]?.rowsInserted, 5);
		await follower.apply({ ...part, rows: rows.slice(0, 1), truncatedAt: at(4) });
		await expectRows(fixture, { target }, [...rows, rows[0]!]);
		const untold: TextPart = {
			...part,
			partial: true,
			overlaps: true,
			rows: [["1", null, "update", "p", at(5), "01000"]],
		};
		await rejectsWith("E_BASE_MISSING", follower.changes.apply(follower.request([untold])));
		await follower.apply({ ...untold, rows: [["2", null, "update", "log:5", at(5), null]] });
		await expectRows(fixture, { target }, [...rows, rows[0]!, ["2", null, "update", "log:5", at(5)]]);
	}),
	followed(
		"append keeps all that a log tells: rows before updates, truncations, what a row does not tell",
		async (fixture, follower) => {
			const changedAt: Field = { name: CHANGED_AT_COLUMN, ...TIME };
			const transaction: Field = { name: ARCHIVE_COLUMNS.transaction, type: { kind: "int64" }, nullable: true };
			const names: Field = {
				name: ARCHIVE_COLUMNS.untold,
				type: { kind: "list", element: { kind: "text" } },
				nullable: true,
			};
			const own = [{ ...ID, nullable: true }, NAME];
			const target = targetOf(fixture, "archived", [...own, OPERATION, POSITION, changedAt, transaction, names], []);
			// More than a double holds: a transaction's number is its commit's times ten thousand millions.
			const number = (place: number) => `900719925474099${place}`;
			const rows: TextRow[] = [
				["1", "a", "snapshot", "log:1", at(1), number(1), null],
				["1", "a", "before", "log:2/0", at(2), number(3), null],
				["1", null, "update", "log:2/1", at(2), number(3), '["name"]'],
				["2", null, "before", "log:2/2", at(2), number(3), '["name"]'],
				["3", null, "update", "log:2/3", at(2), number(3), '["id"]'],
				[null, null, "truncate", "log:3", at(3), number(5), null],
			];
			const { parts } = await follower.apply({ target, write: "append", rows });
			assert.equal(parts[0]?.rowsInserted, rows.length);
			await expectRows(fixture, { target }, rows);
		},
	),
	followed("history without a key is E_KEY_REQUIRED", async (fixture, follower) => {
		const target = targetOf(fixture, "keyless", VERSIONS, []);
		await rejectsWith("E_KEY_REQUIRED", follower.changes.apply(follower.request([keeping(target, [])])));
	}),
];
