import assert from "node:assert/strict";
import type { Field } from "../core/batch.ts";
import type { LoadRequest } from "../core/destination.ts";
import { rejectsWith } from "./case.ts";
import { type DestinationCase, expectRows, Loader, loaded, targetOf } from "./destination-fixture.ts";
import { ID, NAME, type TextRow } from "./rows.ts";

const AT: Field = { name: "at", type: { kind: "timestamp" }, nullable: true };
const VERSIONED: readonly Field[] = [ID, NAME, AT];
const MERGE: Partial<LoadRequest> = { write: "merge", orderColumn: "at" };
const at = (second: number) => `2024-01-01 00:00:${String(second).padStart(2, "0")}`;

export const destinationMergeCases: readonly DestinationCase[] = [
	[
		"merge adds new keys, replaces known ones, and leaves the others",
		async (fixture) => {
			const loader = await loaded(
				fixture,
				"merged",
				[
					["1", "a", at(1)],
					["2", "b", at(1)],
				],
				VERSIONED,
			);
			const result = await loader.load(
				[
					["2", "B", at(2)],
					["3", "c", at(2)],
				],
				MERGE,
			);
			await expectRows(fixture, loader, [
				["1", "a", at(1)],
				["2", "B", at(2)],
				["3", "c", at(2)],
			]);
			const { rowsReceived, rowsInserted, rowsUpdated, rowsDeleted, rowsSuperseded } = result;
			assert.deepEqual(
				{ rowsReceived, rowsInserted, rowsUpdated, rowsDeleted, rowsSuperseded },
				{ rowsReceived: 2, rowsInserted: 1, rowsUpdated: 1, rowsDeleted: 0, rowsSuperseded: 0 },
			);
		},
	],
	[
		"merge keeps the newest row of a key, whatever the order they come in, and counts the others",
		async (fixture) => {
			const loader = await loaded(fixture, "newest", [["1", "old", at(1)]], VERSIONED);
			const rows: TextRow[] = [
				["1", "newest", at(9)],
				["1", "older", at(5)],
				["2", "older", at(3)],
				["2", "newest", at(4)],
				["3", "no time", null],
				["3", "newest", at(1)],
			];
			for (const rowsPerBatch of [1, 6]) {
				const result = await loader.load(rows, MERGE, rowsPerBatch);
				assert.equal(result.rowsReceived, 6);
				assert.equal(result.rowsSuperseded, 3);
				await expectRows(fixture, loader, [
					["1", "newest", at(9)],
					["2", "newest", at(4)],
					["3", "newest", at(1)],
				]);
			}
		},
	],
	[
		"merge of rows that tie keeps the one read later",
		async (fixture) => {
			const loader = await loaded(fixture, "tied", [["1", "old", at(7)]], VERSIONED);
			const rows: TextRow[] = [
				["1", "first", at(7)],
				["2", "first", null],
				["1", "second", at(7)],
				["2", "second", null],
			];
			for (const rowsPerBatch of [1, 4]) {
				await loader.load(rows, MERGE, rowsPerBatch);
				await expectRows(fixture, loader, [
					["1", "second", at(7)],
					["2", "second", null],
				]);
			}
		},
	],
	[
		"merge without an order column keeps the row read last",
		async (fixture) => {
			const loader = await loaded(fixture, "read_last", []);
			await loader.load(
				[
					["1", "a"],
					["2", "b"],
					["1", "c"],
				],
				{ write: "merge" },
			);
			await expectRows(fixture, loader, [
				["1", "c"],
				["2", "b"],
			]);
		},
	],
	...(["boolean", "int8"] as const).map(
		(kind): DestinationCase => [
			`merge removes rows flagged as deleted, by a column of ${kind}`,
			async (fixture) => {
				const flag: Field = { name: "gone", type: { kind }, nullable: true };
				const [yes, no] = kind === "boolean" ? ["true", "false"] : ["1", "0"];
				const columns = [ID, flag, AT];
				const before = [
					["1", no!, at(1)],
					["2", no!, at(1)],
					["3", no!, at(1)],
				];
				const loader = await loaded(fixture, "flagged", before, columns);
				const result = await loader.load(
					[
						["1", yes!, at(2)],
						["2", yes!, at(2)],
						["2", null, at(3)],
						["4", yes!, at(2)],
						["5", no!, at(2)],
						["5", yes!, at(1)],
					],
					{ ...MERGE, deletedColumn: "gone" },
				);
				await expectRows(fixture, loader, [
					["2", null, at(3)],
					["3", no!, at(1)],
					["5", no!, at(2)],
				]);
				assert.equal(result.rowsDeleted, 1);
			},
		],
	),
	[
		"replace leaves out rows flagged as deleted, as if they had been merged",
		async (fixture) => {
			const flag: Field = { name: "gone", type: { kind: "boolean" }, nullable: true };
			const loader = await loaded(fixture, "flagged_anew", [["9", "false", at(1)]], [ID, flag, AT]);
			const rows: TextRow[] = [
				["1", "true", at(1)],
				["2", "false", at(1)],
				["3", null, at(1)],
			];
			const result = await loader.load(rows, { deletedColumn: "gone", orderColumn: "at" });
			await expectRows(fixture, loader, rows.slice(1));
			assert.equal(result.rowsReceived, 3);
		},
	],
	[
		"merge by a composite key, and keys that differ by case or blanks are different",
		async (fixture) => {
			const columns: Field[] = [
				{ name: "a", type: { kind: "text" }, nullable: false },
				{ name: "b", type: { kind: "int32" }, nullable: false },
				NAME,
			];
			const target = targetOf(fixture, "composite", columns, ["a", "b"]);
			const loader = await Loader.takeOver(fixture.destination, target);
			await loader.load([
				["k", "1", "one"],
				["k", "2", "two"],
				["K", "1", "upper"],
				["k ", "1", "blank"],
			]);
			await loader.load(
				[
					["k", "1", "ONE"],
					["", "1", "empty"],
				],
				{ write: "merge" },
			);
			await expectRows(fixture, loader, [
				["k", "1", "ONE"],
				["k", "2", "two"],
				["K", "1", "upper"],
				["k ", "1", "blank"],
				["", "1", "empty"],
			]);
		},
	],
	[
		"merge without a key is E_KEY_REQUIRED",
		async (fixture) => {
			const loader = await Loader.takeOver(fixture.destination, targetOf(fixture, "keyless", [NAME]));
			await rejectsWith("E_KEY_REQUIRED", fixture.destination.load(loader.request([["a"]], { write: "merge" })));
		},
	],
];
