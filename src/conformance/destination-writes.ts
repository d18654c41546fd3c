import assert from "node:assert/strict";
import type { Field } from "../core/batch.ts";
import type { LoadInterval } from "../core/destination.ts";
import { rejectsWith } from "./case.ts";
import { type DestinationCase, expectRows, loaded } from "./destination-fixture.ts";
import { ID, NAME, numberedRows, sameRows, type TextRow } from "./rows.ts";

const AT: Field = { name: "at", type: { kind: "timestamp" }, nullable: true };
const VERSIONED: readonly Field[] = [ID, NAME, AT];
const at = (second: number) => `2024-01-01 00:00:${String(second).padStart(2, "0")}`;

const DAY: LoadInterval = { start: "2024-01-02 00:00:00", end: "2024-01-03 00:00:00" };
const onDay = (day: number, id: number, name = `row ${id}`): TextRow => [
	String(id),
	name,
	`2024-01-${String(day).padStart(2, "0")} 12:00:00`,
];
const EDGES: readonly TextRow[] = [
	["90", "before", "2024-01-01 23:59:59.999999"],
	["91", "at the end", "2024-01-03 00:00:00"],
	["92", "without a time", null],
];

const intervalCases: readonly DestinationCase[] = (
	[
		["by its column", "at", "append"],
		["by its column, merged by key", "at", "merge"],
		["by its tag", undefined, "append"],
	] as const
).map(([how, column, write]) => [
	`an interval ${how}: a repeated load replaces exactly its own rows`,
	async (fixture) => {
		const interval: LoadInterval = { ...DAY, ...(column === undefined ? {} : { column }) };
		const before: LoadInterval = { ...interval, start: "2024-01-01 00:00:00", end: DAY.start };
		const loader = await loaded(fixture, "by_interval", EDGES, VERSIONED);
		const neighbour = onDay(1, 1);
		await loader.load([neighbour], { write, interval: before });
		await loader.load([onDay(2, 10), onDay(2, 11)], { write, interval });
		const kept = column === undefined ? [...EDGES, neighbour] : [...EDGES.slice(1), neighbour];
		await expectRows(fixture, loader, [...kept, onDay(2, 10), onDay(2, 11)], "the first load");
		await loader.load([onDay(2, 10), onDay(2, 11)], { write, interval });
		await expectRows(fixture, loader, [...kept, onDay(2, 10), onDay(2, 11)], "the same load again");
		await loader.load([onDay(2, 11, "changed"), onDay(2, 12)], { write, interval });
		await expectRows(fixture, loader, [...kept, onDay(2, 11, "changed"), onDay(2, 12)], "a load of other rows");
		await loader.load([], { write, interval });
		await expectRows(fixture, loader, kept, "a load of no rows");
	},
]);

export const destinationWriteCases: readonly DestinationCase[] = [
	...intervalCases,
	[
		"append adds every row, equal ones too",
		async (fixture) => {
			const columns = [NAME];
			const loader = await loaded(fixture, "appended", [["a"]], columns);
			await loader.load([["a"], ["a"], [null]], { write: "append" });
			await expectRows(fixture, loader, [["a"], ["a"], ["a"], [null]]);
		},
	],
	[
		"append with an overlap adds only what the table has not, each row against one",
		async (fixture) => {
			const columns = [NAME, AT];
			const same: TextRow = ["same", at(5)];
			const loader = await loaded(fixture, "overlapping", [["early", at(1)], same, same, [null, at(6)]], columns);
			const incoming: TextRow[] = [same, same, same, [null, at(6)], ["late", at(6)]];
			const result = await loader.load(incoming, { write: "append", overlap: { column: "at", from: at(5) } });
			await expectRows(fixture, loader, [["early", at(1)], same, same, same, [null, at(6)], ["late", at(6)]]);
			assert.equal(result.rowsReceived, 5);
			assert.equal(result.rowsInserted, 2);
			assert.equal(result.rowsSuperseded, 3);
		},
	],
	[
		"append of a table that is read again as a whole adds only what is not there, NULL cursors too",
		async (fixture) => {
			const columns = [NAME, AT];
			const same: TextRow = ["same", at(5)];
			const loader = await loaded(fixture, "reread", [["early", at(1)], same, same, ["unknown", null]], columns);
			const incoming: TextRow[] = [["early", at(1)], same, same, same, ["unknown", null], ["late", at(6)]];
			const result = await loader.load(incoming, { write: "append", overlap: { column: "at", from: null } });
			await expectRows(fixture, loader, [["early", at(1)], same, same, same, ["unknown", null], ["late", at(6)]]);
			assert.equal(result.rowsInserted, 2);
			assert.equal(result.rowsSuperseded, 4);
		},
	],
	[
		"a replace of no rows is E_EMPTY when the table has some, and changes nothing",
		async (fixture) => {
			const loader = await loaded(fixture, "emptied", numberedRows(3));
			await rejectsWith("E_EMPTY", fixture.destination.load(loader.request([])));
			await expectRows(fixture, loader, numberedRows(3));
			await loader.expectPosition();
		},
	],
	[
		"a replace of no rows is done when it is allowed, or the table is new or empty",
		async (fixture) => {
			const loader = await loaded(fixture, "may_be_empty", []);
			await expectRows(fixture, loader, [], "a new table");
			await loader.load([]);
			await loader.load(numberedRows(3));
			await loader.load([], { allowEmpty: true });
			await expectRows(fixture, loader, [], "allowed");
		},
	],
	...(["replace", "merge"] as const).map(
		(write): DestinationCase => [
			`${write} refuses NULL in a key and changes nothing`,
			async (fixture) => {
				const columns: Field[] = [{ ...ID, nullable: true }, NAME];
				const loader = await loaded(fixture, "null_key", numberedRows(2), columns);
				const rows: TextRow[] = [
					["7", "x"],
					[null, "y"],
				];
				await rejectsWith("E_NULL_KEY", fixture.destination.load(loader.request(rows, { write })));
				await expectRows(fixture, loader, numberedRows(2));
				await loader.expectPosition();
			},
		],
	),
	[
		"replace refuses a key that is not unique and changes nothing",
		async (fixture) => {
			const loader = await loaded(fixture, "twice_a_key", numberedRows(2));
			await rejectsWith(
				"E_DUPLICATE_KEY",
				fixture.destination.load(
					loader.request([
						["7", "x"],
						["7", "y"],
					]),
				),
			);
			await expectRows(fixture, loader, numberedRows(2));
			await loader.expectPosition();
		},
	],
	...(["replace", "merge", "append"] as const).map(
		(write): DestinationCase => [
			`${write} gives the same rows from one batch, three, or thousands of rows`,
			async (fixture) => {
				for (const [rows, rowsPerBatch] of [
					[numberedRows(9, 100), 9],
					[numberedRows(9, 100), 3],
					[numberedRows(6000, 100), 2048],
				] as const) {
					const name = `in_batches_${rows.length}_${rowsPerBatch}`;
					const loader = await loaded(fixture, name, numberedRows(3));
					const result = await loader.load(rows, { write }, rowsPerBatch);
					assert.equal(result.rowsReceived, rows.length);
					const wanted = write === "replace" ? rows : [...numberedRows(3), ...rows];
					sameRows(await fixture.rows(loader.target.name, loader.target.columns), wanted, name);
				}
			},
		],
	),
];
