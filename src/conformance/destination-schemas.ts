import assert from "node:assert/strict";
import type { Field } from "../core/batch.ts";
import type { RecordedColumn } from "../core/schema.ts";
import type { TargetTable } from "../core/table.ts";
import { rejectsWith } from "./case.ts";
import { type DestinationCase, expectRows, Loader, loaded, PIPELINE, targetOf } from "./destination-fixture.ts";
import { ID, NAME, numberedRows, type TextRow } from "./rows.ts";

const NOTE: Field = { name: "note", type: { kind: "text" }, nullable: true };
const AT: Field = { name: "at", type: { kind: "timestamp" }, nullable: true };
const at = (second: number) => `2024-01-01 00:00:${String(second).padStart(2, "0")}`;

const recorded = (name: string, ordinal: number, more: Partial<RecordedColumn> = {}): RecordedColumn => ({
	name,
	target: name,
	source_type: "int(11)",
	type: "int32",
	landed: "int32",
	nullable: true,
	ordinal,
	...more,
});

const A = [recorded("id", 1, { key: 1, nullable: false }), recorded("näme ' \"", 2, { default: "'it''s'" })];
const B = [...A, recorded("later", 3, { dropped: true, identity: "16384.3", collation: "utf8mb4_bin", variant: 2 })];

/** Changes of the columns: what is recorded of them, and what a table that is there makes of them. */
export const destinationSchemaCases: readonly DestinationCase[] = [
	[
		"the columns of a load are recorded with it; the last of each stream are told, by pipeline",
		async (fixture) => {
			const { destination } = fixture;
			assert.deepEqual(await destination.schemas(PIPELINE), []);
			const loader = await Loader.takeOver(destination, targetOf(fixture, "recorded"));
			const last = async (port = destination) =>
				(await port.schemas(PIPELINE)).map(({ stream, version, columns }) => ({ stream, version, columns }));
			await loader.load(numberedRows(1), { schema: { stream: "t", columns: A } });
			assert.deepEqual(await last(), [{ stream: "t", version: "1", columns: A }]);
			await loader.load(numberedRows(1), { schema: { stream: "t", columns: B }, schemaVersion: "2" });
			await loader.load(numberedRows(1));
			assert.deepEqual(await last(), [{ stream: "t", version: "2", columns: B }]);
			await loader.load(numberedRows(1), { schema: { stream: "t", columns: A }, schemaVersion: "1" });
			assert.deepEqual(await last(), [{ stream: "t", version: "1", columns: A }], "columns that came back");
			assert.deepEqual(await destination.schemas("another pipeline"), []);
			await destination[Symbol.asyncDispose]();
			await using later = await fixture.reopen();
			assert.deepEqual(await last(later), [{ stream: "t", version: "1", columns: A }], "reopened");
		},
	],
	[
		"a load that fails records no columns",
		async (fixture) => {
			const { destination } = fixture;
			const loader = await loaded(fixture, "unrecorded", numberedRows(2));
			const twice: TextRow[] = [...numberedRows(1), ...numberedRows(1)];
			const request = loader.request(twice, { schema: { stream: "t", columns: A } });
			await rejectsWith("E_DUPLICATE_KEY", destination.load(request));
			assert.deepEqual(await destination.schemas(PIPELINE), []);
			const stale = loader.request(numberedRows(1), {
				schema: { stream: "t", columns: A },
				epoch: loader.row.epoch - 1,
			});
			await rejectsWith("E_FENCED", destination.load(stale));
			assert.deepEqual(await destination.schemas(PIPELINE), []);
		},
	],
	...(["merge", "append"] as const).map(
		(write): DestinationCase => [
			`${write} with a column that is to be filled gives its default to rows from before`,
			async (fixture) => {
				await loaded(fixture, "filled", numberedRows(2));
				const target = withColumn(targetOf(fixture, "filled", [ID, NAME, NOTE]), "note", {
					defaultSql: "'it''s new'",
					fill: true,
				});
				const loader = await Loader.takeOver(fixture.destination, target);
				await loader.load([["5", "row 5", null]], { write });
				const old: TextRow[] = numberedRows(2).map((row) => [...row, "it's new"]);
				await expectRows(fixture, { target }, [...old, ["5", "row 5", null]]);
			},
		],
	),
	...(["merge", "append", "replace"] as const).map(
		(write): DestinationCase => [
			`${write} with a renamed column renames the table's`,
			async (fixture) => {
				await loaded(fixture, "renamed", numberedRows(2));
				const title: Field = { ...NAME, name: "title" };
				const target = withColumn(targetOf(fixture, "renamed", [ID, title]), "title", { renamedFrom: "name" });
				const loader = await Loader.takeOver(fixture.destination, target);
				await loader.load([["5", "row 5"]], { write });
				const old = write === "replace" ? [] : numberedRows(2);
				await expectRows(fixture, { target }, [...old, ["5", "row 5"]]);
				const table = await fixture.destination.describe(target.name);
				assert.deepEqual(
					table?.columns.map((column) => fixture.destination.foldName(column.name)),
					["id", "title"].map((name) => fixture.destination.foldName(name)),
				);
				await loader.load([["6", "row 6"]], { write: "append" });
			},
		],
	),
	[
		"a column is not renamed to a name that the table has, nor away from one that the rows have",
		async (fixture) => {
			const columns: Field[] = [ID, NAME, { ...NAME, name: "title" }];
			const loader = await loaded(fixture, "taken", [["1", "n", "t"]], columns);
			const narrow = withColumn(targetOf(fixture, "taken", [ID, { ...NAME, name: "title" }]), "title", {
				renamedFrom: "name",
			});
			await loader.load([["2", "T"]], { write: "merge", target: narrow });
			await expectRows(fixture, loader, [
				["1", "n", "t"],
				["2", null, "T"],
			]);
			const wide = withColumn(targetOf(fixture, "taken", [ID, NAME, { ...NAME, name: "head" }]), "head", {
				renamedFrom: "name",
			});
			await loader.load([["3", "N", "H"]], { write: "merge", target: wide });
			await expectRows(fixture, { target: wide }, [
				["1", "n", null],
				["2", null, null],
				["3", "N", "H"],
			]);
		},
	],
	[
		"append with a column that is new replaces the rows of its overlap, as many as came, and doubles none",
		async (fixture) => {
			const columns = [ID, AT];
			const target = targetOf(fixture, "overlapping_added", columns, []);
			const loader = await Loader.takeOver(fixture.destination, target);
			const before: TextRow[] = [
				["1", at(1)],
				["2", at(2)],
				["2", at(2)],
				["3", at(2)],
			];
			await loader.load(before, { write: "append" });
			const wider = targetOf(fixture, "overlapping_added", [...columns, NOTE], []);
			const came: TextRow[] = [
				["2", at(2), "a"],
				["2", at(2), null],
				["2", at(2), "c"],
				["4", at(3), "d"],
			];
			const overlap = { column: "at", from: at(2), added: ["note"] };
			const result = await loader.load(came, { write: "append", target: wider, overlap });
			await expectRows(fixture, { target: wider }, [["1", at(1), null], ["3", at(2), null], ...came]);
			assert.deepEqual(
				[result.rowsReceived, result.rowsInserted, result.rowsSuperseded],
				[4, 2, 2],
				"received, inserted, superseded",
			);
		},
	],
	[
		"merge that ignores conflicts leaves rows that are there, and adds the others once",
		async (fixture) => {
			const loader = await loaded(fixture, "ignoring", numberedRows(2));
			const result = await loader.load(
				[
					["1", "changed"],
					["7", "first"],
					["7", "second"],
				],
				{ write: "merge", onConflict: "ignore" },
			);
			await expectRows(fixture, loader, [...numberedRows(2), ["7", "second"]]);
			const { rowsReceived, rowsInserted, rowsUpdated, rowsDeleted } = result;
			assert.deepEqual([rowsReceived, rowsInserted, rowsUpdated, rowsDeleted], [3, 1, 0, 0]);
		},
	],
];

function withColumn(target: TargetTable, name: string, change: Partial<TargetTable["columns"][number]>): TargetTable {
	return {
		...target,
		columns: target.columns.map((column) => (column.name === name ? { ...column, ...change } : column)),
	};
}
