import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Field } from "../core/batch.ts";
import { type DestinationCase, expectRows, Loader, loaded, PIPELINE, targetOf } from "./destination-fixture.ts";
import { plainFormat } from "./plain-format.ts";
import { batchesOf, ID, NAME, numberedRows, type TextRow } from "./rows.ts";
import { ODD_NAMES, TYPE_SAMPLES, typeCaseName } from "./samples.ts";

/** A type is kept exactly, or the mapping says what is lost: then there is nothing to compare. */
const typeCases: readonly DestinationCase[] = TYPE_SAMPLES.map(({ type, values }) => [
	typeCaseName(type),
	async (fixture) => {
		const { fidelity, note } = fixture.destination.mapType(type);
		if (fidelity !== "exact") {
			assert.ok(note !== undefined && note !== "", "a mapping that is not exact must say what is lost");
			return;
		}
		const rows: TextRow[] = [...values, null].map((value, i) => [String(i), value]);
		const columns: Field[] = [ID, { name: "v", type, nullable: true }];
		const loader = await loaded(fixture, "typed", rows, columns);
		await expectRows(fixture, loader, rows, "replaced");
		await loader.load(rows, { write: "merge" });
		await expectRows(fixture, loader, rows, "merged");
	},
]);

export const destinationTableCases: readonly DestinationCase[] = [
	[
		"check finds nothing wrong",
		async ({ destination }) => {
			const errors = (await destination.check()).filter((finding) => finding.severity === "error");
			assert.deepEqual(errors, []);
		},
	],
	...typeCases,
	[
		"describe tells the columns and the key of a table, and null when there is none",
		async (fixture) => {
			const loader = await loaded(fixture, "described", numberedRows(3));
			const table = await fixture.destination.describe(loader.target.name);
			assert.deepEqual(
				table?.columns.map((column) => fixture.destination.foldName(column.name)),
				["id", "name"].map((name) => fixture.destination.foldName(name)),
			);
			assert.equal(await fixture.destination.describe({ schema: fixture.schema, name: "no_such_table" }), null);
			assert.equal(await fixture.destination.describe({ schema: "no_such_schema", name: "t" }), null);
		},
	],
	[
		"planDdl tells the DDL of a load and runs none of it",
		async (fixture) => {
			const { destination } = fixture;
			const target = targetOf(fixture, "planned");
			const ddl = await destination.planDdl(target, "merge");
			assert.ok(ddl.length > 0, "no DDL for a table that does not exist");
			assert.equal(await destination.describe(target.name), null);
			const loader = await Loader.takeOver(destination, target);
			await loader.load(numberedRows(1), { write: "merge" });
			assert.deepEqual(await destination.planDdl(target, "merge"), [], "after the load nothing is left to do");
			const wider = targetOf(fixture, "planned", [ID, NAME, { ...NAME, name: "more" }]);
			assert.ok((await destination.planDdl(wider, "merge")).length > 0, "no DDL for a column that is new");
			assert.equal((await destination.describe(target.name))?.columns.length, 2);
		},
	],
	...(["merge", "append", "replace"] as const).map(
		(write): DestinationCase => [
			`${write} with a new column adds it; rows from before have NULL`,
			async (fixture) => {
				const loader = await loaded(fixture, "grown", numberedRows(2));
				const columns: Field[] = [{ name: "extra", type: { kind: "int32" }, nullable: true }, ID, NAME];
				const target = targetOf(fixture, "grown", columns);
				await loader.load([["7", "5", "row 5"]], { write, target });
				const old: TextRow[] = numberedRows(2).map((row) => [null, ...row]);
				const wanted: TextRow[] = [...(write === "replace" ? [] : old), ["7", "5", "row 5"]];
				await expectRows(fixture, { target }, wanted);
			},
		],
	),
	[
		"a column that the rows no longer have keeps its values, and is NULL in new rows",
		async (fixture) => {
			const loader = await loaded(fixture, "shrunk", numberedRows(2));
			const target = targetOf(fixture, "shrunk", [ID]);
			await loader.load([["1"], ["2"]], { write: "merge", target });
			await expectRows(fixture, loader, [...numberedRows(2), ["2", null]]);
		},
	],
	[
		"odd names of tables, columns, streams and pipelines are kept",
		async (fixture) => {
			const { destination } = fixture;
			const folded = ODD_NAMES.filter((name) => destination.foldName(name) === name);
			assert.ok(folded.length > 0, "no odd name is kept");
			const columns: Field[] = [ID, ...folded.map((name) => ({ ...NAME, name }))];
			const row = ["1", ...folded.map((_, i) => `value ${i}`)];
			for (const name of folded) {
				const loader = await loaded(fixture, name, [row], columns);
				await loader.load([row], { write: "merge", orderColumn: folded[0]! });
				await expectRows(fixture, loader, [row], `table ${name}`);
				await loader.expectPosition();
				const taken = await destination.takeOver(`${PIPELINE} ${name}`, [name]);
				assert.equal(taken.get(name)?.stream, name);
			}
		},
	],
	[
		"files are loaded as batches are",
		async (fixture) => {
			const folder = await mkdtemp(join(tmpdir(), "headrace-conformance-"));
			try {
				for (const format of fixture.formats ?? [plainFormat()]) {
					const localPaths: string[] = [];
					const fields: Field[] = [ID, NAME];
					for (const rows of [numberedRows(3), numberedRows(3, 3)])
						await format.write({
							fields,
							batches: batchesOf(fields, rows),
							nextPath: async () => join(folder, `${localPaths.length}.${format.extension}`),
							written: async (path) => {
								localPaths.push(path);
							},
							bufferBytesMax: 1 << 20,
						});
					const name = `from_${format.name}`;
					const loader = await Loader.takeOver(fixture.destination, targetOf(fixture, name));
					const result = await loader.load([], { input: { kind: "files", fields, format, localPaths } });
					assert.equal(result.rowsReceived, 6);
					await expectRows(fixture, loader, numberedRows(6), name);
				}
			} finally {
				await rm(folder, { recursive: true, force: true });
			}
		},
	],
	[
		"positions and rows survive reopening",
		async (fixture) => {
			const loader = await loaded(fixture, "durable", numberedRows(4));
			await fixture.destination[Symbol.asyncDispose]();
			await using later = await fixture.reopen();
			await loader.expectPosition(later);
			await expectRows(fixture, loader, numberedRows(4));
			const next = await Loader.takeOver(later, loader.target);
			await next.load(numberedRows(5), { write: "merge" });
			await expectRows(fixture, loader, numberedRows(5));
		},
	],
	[
		"closing twice is harmless",
		async ({ destination }) => {
			await destination[Symbol.asyncDispose]();
			await destination[Symbol.asyncDispose]();
		},
	],
];
