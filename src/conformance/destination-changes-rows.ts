import assert from "node:assert/strict";
import type { Field } from "../core/batch.ts";
import { DELETED_AT_COLUMN } from "../core/destination.ts";
import { rejectsWith } from "./case.ts";
import { followed, gone, merging, patch, put, whole } from "./destination-changes-fixture.ts";
import { type DestinationCase, expectRows, Loader, loaded, targetOf } from "./destination-fixture.ts";
import { ID, NAME, numberedRows, type TextRow } from "./rows.ts";
import { ODD_NAMES } from "./samples.ts";

const MORE: Field = { name: "more", type: { kind: "text" }, nullable: true };
const WIDE: readonly Field[] = [ID, NAME, MORE];
const THREE: readonly TextRow[] = [
	["1", "one", "a"],
	["2", "two", "b"],
	["3", "three", null],
];
const THIRD_ABSENT = "001";
const SECOND_ABSENT = "010";

export const destinationChangesRowsCases: readonly DestinationCase[] = [
	followed("of the changes of a key the last counts, in whatever batches they come", async (fixture, follower) => {
		const rows = [
			put("1", "inserted"),
			put("2", "updated"),
			put("3", "inserted"),
			put("4", "updated, then deleted"),
			put("1", "updated"),
			gone(2, "5"),
			gone(2, "3"),
			gone(2, "4"),
			gone(2, "6"),
			gone(2, "1"),
			put("6", "deleted, then inserted"),
			put("3", "inserted again"),
		];
		const before = ["2", "4", "5", "6", "7"].map((id) => [id, "before"]);
		for (const rowsPerBatch of [1, 100]) {
			const loader = await loaded(fixture, `folded_${rowsPerBatch}`, before);
			const { parts } = await follower.apply(merging(loader.target, rows, { rowsPerBatch }));
			await expectRows(fixture, loader, [
				["2", "updated"],
				["3", "inserted again"],
				["6", "deleted, then inserted"],
				["7", "before"],
			]);
			const { rowsReceived, rowsInserted, rowsUpdated, rowsDeleted, rowsSuperseded } = parts[0]!;
			assert.deepEqual(
				{ rowsReceived, rowsInserted, rowsUpdated, rowsDeleted, rowsSuperseded },
				{ rowsReceived: 12, rowsInserted: 1, rowsUpdated: 2, rowsDeleted: 2, rowsSuperseded: 6 },
			);
		}
	}),
	followed(
		"changes of which each key comes once, as it is promised, do what they would without",
		async (fixture, follower) => {
			const before = ["2", "4", "5", "6"].map((id) => [id, "before"]);
			for (const rowsPerBatch of [1, 100]) {
				const loader = await loaded(fixture, `promised_${rowsPerBatch}`, before);
				const folded = { isFolded: true, rowsPerBatch };
				const first = [put("1", "inserted"), put("2", "updated"), gone(2, "4"), gone(2, "9"), put("7", "made")];
				const { parts } = await follower.apply(merging(loader.target, first, folded));
				await expectRows(fixture, loader, [
					["1", "inserted"],
					["2", "updated"],
					["5", "before"],
					["6", "before"],
					["7", "made"],
				]);
				const { rowsReceived, rowsInserted, rowsUpdated, rowsDeleted, rowsSuperseded } = parts[0]!;
				assert.deepEqual(
					{ rowsReceived, rowsInserted, rowsUpdated, rowsDeleted, rowsSuperseded },
					{ rowsReceived: 5, rowsInserted: 2, rowsUpdated: 1, rowsDeleted: 1, rowsSuperseded: 0 },
				);
				const later = await follower.apply(
					merging(loader.target, [put("1", "again"), put("8", "made"), gone(2, "5"), gone(2, "7")], folded),
					merging(loader.target, [put("5", "back"), gone(2, "8"), put("1", "last")], folded),
					merging(loader.target, [], folded),
				);
				await expectRows(fixture, loader, [
					["1", "last"],
					["2", "updated"],
					["5", "back"],
					["6", "before"],
				]);
				assert.deepEqual(
					later.parts.map((part) => [part.rowsInserted, part.rowsUpdated, part.rowsDeleted]),
					[
						[1, 1, 2],
						[1, 1, 1],
						[0, 0, 0],
					],
				);
				const truncatedAt = "2024-01-01 00:00:00+00";
				await follower.apply(merging(loader.target, [put("3", "after"), gone(2, "2")], { ...folded, truncatedAt }));
				await expectRows(fixture, loader, [["3", "after"]]);
				const nowhere = follower.request([merging(loader.target, [put("4", "x"), put(null, "x")], folded)]);
				await rejectsWith("E_NULL_KEY", follower.changes.apply(nowhere));
				await expectRows(fixture, loader, [["3", "after"]]);
			}
		},
	),
	followed("keys that change, and change places, take what their rows do not tell along", async (fixture, follower) => {
		const loader = await loaded(fixture, "swapped", THREE, WIDE);
		await follower.apply(
			merging(
				loader.target,
				[
					patch(put("2", "now two", null), THIRD_ABSENT, "1"),
					patch(put("1", "now one", null), THIRD_ABSENT, "2"),
					whole(gone(3, "3")),
					patch(put("9", null, "told"), SECOND_ABSENT, "3"),
				],
				{ partial: true },
			),
		);
		await expectRows(fixture, loader, [
			["1", "now one", "b"],
			["2", "now two", "a"],
			["9", "three", "told"],
		]);
		await follower.apply(merging(loader.target, [put("1", "whole", "2"), put("2", "whole", "1"), gone(3, "9")]));
		await expectRows(fixture, loader, [
			["1", "whole", "2"],
			["2", "whole", "1"],
		]);
	}),
	followed(
		"what a row does not tell is the table's, and what it tells is NULL when it says so",
		async (fixture, follower) => {
			const loader = await loaded(fixture, "partial", THREE, WIDE);
			const rows = [
				patch(put("1", null, null), THIRD_ABSENT, "1"),
				patch(put("2", "superseded", null), THIRD_ABSENT, "2"),
				patch(put("2", null, null), "011", "2"),
				patch(put("3", "not looked at", "x"), "010", "3"),
				whole(put("4", "whole", null)),
				patch(gone(3, "5"), "011", "5"),
			];
			const { parts } = await follower.apply(merging(loader.target, rows, { partial: true }));
			await expectRows(fixture, loader, [["1", null, "a"], THREE[1]!, ["3", "three", "x"], ["4", "whole", null]]);
			assert.equal(parts[0]?.rowsReceived, 6);
		},
	),
	followed("a row whose base is not there is E_BASE_MISSING and changes nothing", async (fixture, follower) => {
		const loader = await loaded(fixture, "baseless", THREE, WIDE);
		const rows = [whole(put("1", "changed", "x")), patch(put("1", "one", null), THIRD_ABSENT, "8")];
		const request = follower.request([
			merging(targetOf(fixture, "other"), [put("1", "x")]),
			merging(loader.target, rows, { partial: true }),
		]);
		await rejectsWith("E_BASE_MISSING", follower.changes.apply(request));
		await expectRows(fixture, loader, THREE);
		await follower.expectRecorded(request, false);
		await follower.expectPosition();
		const gap = patch(put("1", "one", null), THIRD_ABSENT, null);
		const nowhere = follower.request([merging(loader.target, [gap], { partial: true })]);
		await rejectsWith("E_BASE_MISSING", follower.changes.apply(nowhere));
	}),
	followed("a row whose base is not there is left out where rows were read later", async (fixture, follower) => {
		const loader = await loaded(fixture, "overlapping", THREE, WIDE);
		const rows = [
			whole(gone(3, "2")),
			patch(put("2", "moved to where a later one is", null), THIRD_ABSENT, "8"),
			patch(put("7", "gone since", null), THIRD_ABSENT, "7"),
			patch(put("1", "changed", null), THIRD_ABSENT, "1"),
			whole(gone(3, "3")),
			whole(put("4", "whole", "x")),
		];
		const { parts } = await follower.apply(merging(loader.target, rows, { partial: true, overlaps: true }));
		await expectRows(fixture, loader, [["1", "changed", "a"], THREE[1]!, ["4", "whole", "x"]]);
		assert.equal(parts[0]?.rowsReceived, 6);
		assert.equal(parts[0]?.rowsSuperseded, 3);
	}),
	followed("a table may come twice: the second part finds what the first left", async (fixture, follower) => {
		const loader = await loaded(fixture, "twice", THREE, WIDE);
		const first = merging(loader.target, [put("1", "first", "first"), put("8", "made", "made"), gone(3, "2")]);
		const rows = [patch(put("1", "second", null), THIRD_ABSENT, "1"), patch(put("9", null, "x"), SECOND_ABSENT, "8")];
		const second = merging(loader.target, [...rows, whole(gone(3, "8"))], { partial: true });
		await follower.apply(first, merging(targetOf(fixture, "between"), [put("1", "x")]), second);
		await expectRows(fixture, loader, [["1", "second", "first"], THREE[2]!, ["9", "made", "x"]]);
		const late = merging(loader.target, [patch(put("2", "x", null), THIRD_ABSENT, "2")], { partial: true });
		await rejectsWith("E_BASE_MISSING", follower.changes.apply(follower.request([late])));
	}),
	followed("a truncation takes the rows of before, and no base is among them", async (fixture, follower) => {
		const loader = await loaded(fixture, "truncated", THREE, WIDE);
		const truncatedAt = "2024-01-01 00:00:00+00";
		const late = [patch(put("1", "x", null), THIRD_ABSENT, "1")];
		const request = follower.request([merging(loader.target, late, { partial: true, truncatedAt })]);
		await rejectsWith("E_BASE_MISSING", follower.changes.apply(request));
		await expectRows(fixture, loader, THREE);
		const { parts } = await follower.apply(
			merging(loader.target, [put("7", "before", null)]),
			merging(loader.target, [put("1", "after", null), gone(3, "2")], { truncatedAt }),
		);
		await expectRows(fixture, loader, [["1", "after", null]]);
		assert.deepEqual(
			parts.map(({ rowsInserted, rowsDeleted }) => [rowsInserted, rowsDeleted]),
			[
				[1, 0],
				[1, 4],
			],
		);
		await follower.apply(merging(loader.target, [], { truncatedAt }));
		await expectRows(fixture, loader, []);
	}),
	followed("a truncation marks the rows of before where deleted rows stay", async (fixture, follower) => {
		const deletedAt: Field = { name: DELETED_AT_COLUMN, type: { kind: "timestamptz" }, nullable: true };
		const [first, second] = ["2024-01-01 00:00:00+00", "2024-01-02 00:00:00+00"];
		const loader = await loaded(
			fixture,
			"marked",
			[
				["1", "one", null],
				["2", "two", first],
			],
			[ID, NAME, deletedAt],
		);
		await follower.apply(merging(loader.target, [put("3", "three", null)], { truncatedAt: second }));
		await expectRows(fixture, loader, [
			["1", "one", second],
			["2", "two", first],
			["3", "three", null],
		]);
	}),
	followed("changes of a table that is not there make it as merge does", async (fixture, follower) => {
		const [byLoad, byChanges, empty] = ["by_load", "by_changes", "empty"].map((name) => targetOf(fixture, name));
		const loader = await Loader.takeOver(fixture.destination, byLoad!);
		await loader.load(numberedRows(2), { write: "merge" });
		await follower.apply(
			merging(byChanges!, [gone(2, "5"), put("0", "row 0"), put("1", "row 1")]),
			merging(empty!, []),
		);
		await expectRows(fixture, { target: byChanges! }, numberedRows(2));
		await expectRows(fixture, { target: empty! }, []);
		const shape = async (target: typeof byLoad) => {
			const found = await fixture.destination.describe(target!.name);
			return { columns: found?.columns, key: found?.key };
		};
		const wanted = await shape(byLoad);
		assert.deepEqual(await shape(byChanges), wanted);
		assert.deepEqual(await shape(empty), wanted);
	}),
	followed("a column that is new is added, and rows from before have NULL in it", async (fixture, follower) => {
		const loader = await loaded(fixture, "grown", numberedRows(3));
		const target = targetOf(fixture, "grown", [MORE, ID, NAME]);
		const rows = [
			patch(put(null, "1", "changed"), "100", "1"),
			patch(put("told", "2", null), "001", "2"),
			whole(put("new", "9", "whole")),
		];
		await follower.apply(merging(loader.target, [put("2", "narrow")]), merging(target, rows, { partial: true }));
		await expectRows(fixture, { target }, [
			[null, "0", "row 0"],
			[null, "1", "changed"],
			["told", "2", "narrow"],
			["new", "9", "whole"],
		]);
	}),
	followed("a column that is renamed between two parts is one column", async (fixture, follower) => {
		const loader = await loaded(fixture, "renamed", THREE, WIDE);
		const called = { ...MORE, name: "called" };
		const { columns, ...target } = targetOf(fixture, "renamed", [ID, called, MORE]);
		const after = { ...target, columns: columns.map((c) => (c.name === "called" ? { ...c, renamedFrom: "name" } : c)) };
		const untold = [patch(put("1", null, "told"), SECOND_ABSENT, "1"), whole(put("4", "four", "d"))];
		const later = [patch(put("4", null, "D"), SECOND_ABSENT, "4"), whole(put("2", "called two", "b"))];
		await follower.apply(merging(loader.target, untold, { partial: true }), merging(after, later, { partial: true }));
		const wanted = [["1", "one", "told"], ["2", "called two", "b"], THREE[2]!, ["4", "four", "D"]];
		await expectRows(fixture, { target: after }, wanted);
		assert.equal((await fixture.destination.describe(after.name))?.columns.length, 3);
	}),
	followed("changes by a composite key with odd names", async (fixture, follower) => {
		const names = ODD_NAMES.filter((name) => fixture.destination.foldName(name) === name);
		const columns: Field[] = names.map((name, index) => ({ ...NAME, name, nullable: index > 1 }));
		const target = targetOf(fixture, names[0]!, columns, [names[1]!, names[0]!]);
		const row = (first: string, second: string, rest: string | null) => [
			first,
			second,
			...names.slice(2).map(() => rest),
		];
		const mask = `00${"1".repeat(names.length - 2)}`;
		await follower.apply(
			merging(target, [put(...row("a", "A", "x")), put(...row("a", "B", "y")), put(...row("b", "A", "z"))]),
		);
		await follower.apply(
			merging(
				target,
				[
					patch(put(...row("a", "B", null)), mask, "A", "a"),
					patch(put(...row("a", "A", null)), mask, "B", "a"),
					whole(gone(names.length, "b", "A"), 2),
				],
				{ partial: true },
			),
		);
		await expectRows(fixture, { target }, [row("a", "B", "x"), row("a", "A", "y")]);
	}),
	followed("changes without a key are E_KEY_REQUIRED, with NULL in the key E_NULL_KEY", async (fixture, follower) => {
		const keyless = merging(targetOf(fixture, "keyless", [NAME]), [put("a")]);
		await rejectsWith("E_KEY_REQUIRED", follower.changes.apply(follower.request([keyless])));
		const loader = await loaded(fixture, "null_key", numberedRows(2));
		const target = targetOf(fixture, "null_key", [{ ...ID, nullable: true }, NAME]);
		const request = follower.request([merging(target, [put("1", "changed"), put(null, "x")])]);
		await rejectsWith("E_NULL_KEY", follower.changes.apply(request));
		await expectRows(fixture, loader, numberedRows(2));
		await follower.expectPosition();
	}),
];
