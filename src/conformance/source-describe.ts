import assert from "node:assert/strict";
import type { Field } from "../core/batch.ts";
import { typeName } from "../core/column-type.ts";
import { qualified } from "../core/table.ts";
import { rejectsWith } from "./case.ts";
import { ID, NAME, sameRows } from "./rows.ts";
import { ODD_NAMES } from "./samples.ts";
import { describeOne, makeTable, numberedTable, POLICY, readTable, type SourceCase } from "./source-fixture.ts";

export const sourceDescribeCases: readonly SourceCase[] = [
	[
		"check finds nothing wrong",
		async ({ source }) => {
			const errors = (await source.check()).filter((finding) => finding.severity === "error");
			assert.deepEqual(errors, []);
		},
	],
	[
		"lists the tables that exist, with their schema",
		async (fixture) => {
			await numberedTable(fixture, "listed_b", 0);
			await numberedTable(fixture, "listed_a", 1);
			const listed = (await fixture.source.listTables()).filter((table) => table.schema === fixture.schema);
			assert.deepEqual(listed.map(qualified).sort(), [`${fixture.schema}.listed_a`, `${fixture.schema}.listed_b`]);
		},
	],
	[
		"describes columns in their order, nullability and a composite key in key order",
		async (fixture) => {
			const columns: Field[] = [
				{ name: "b", type: { kind: "int32" }, nullable: false },
				NAME,
				{ name: "a", type: { kind: "int32" }, nullable: false },
			];
			const table = await makeTable(fixture, { name: "described", columns, primaryKey: ["a", "b"], rows: [] });
			assert.deepEqual(
				table.columns.map(({ name, nullable }) => ({ name, nullable })),
				columns.map(({ name, nullable }) => ({ name, nullable })),
			);
			assert.deepEqual(table.primaryKey, ["a", "b"]);
			assert.equal(table.kind, "table");
			for (const column of table.columns) assert.notEqual(column.nativeType, "");
		},
	],
	[
		"describes several tables in the order of the requests",
		async (fixture) => {
			const names = ["third", "first", "second"];
			for (const name of names) await numberedTable(fixture, name, 0);
			const asked = ["second", "third", "first", "second"];
			const described = await fixture.source.describe(
				asked.map((name) => ({ table: { schema: fixture.schema, name }, types: POLICY })),
			);
			assert.deepEqual(
				described.map((table) => table.name.name),
				asked,
			);
		},
	],
	[
		"a table that does not exist is E_UNKNOWN_TABLE",
		async ({ source, schema }) => {
			await rejectsWith("E_UNKNOWN_TABLE", describeOne(source, { schema, name: "no_such_table" }));
		},
	],
	[
		"a column's type can be fixed by the pipeline",
		async (fixture) => {
			const { name } = await makeTable(fixture, {
				name: "overridden",
				columns: [ID],
				primaryKey: ["id"],
				rows: [["9223372036854775807"]],
			});
			const types = { ...POLICY, overrides: { id: { kind: "text" as const } } };
			const [table] = await fixture.source.describe([{ table: name, types }]);
			assert.equal(typeName(table!.columns[0]!.type), "text");
			sameRows(await readTable(fixture.source, table!, { types }), [["9223372036854775807"]]);
		},
	],
	[
		"odd names of tables and columns are kept and read",
		async (fixture) => {
			const columns: Field[] = ODD_NAMES.map((name) => ({ name, type: { kind: "text" }, nullable: true }));
			const row = ODD_NAMES.map((_, i) => `value ${i}`);
			for (const name of ODD_NAMES) {
				const table = await makeTable(fixture, { name, columns, primaryKey: [], rows: [row] });
				assert.equal(table.name.name, name);
				assert.deepEqual(
					table.columns.map((column) => column.name),
					ODD_NAMES,
				);
				sameRows(await readTable(fixture.source, table), [row], `table ${name}`);
			}
		},
	],
	[
		"a column that was added is described, and older descriptions still read their own columns",
		async (fixture) => {
			const before = await numberedTable(fixture, "grown", 2);
			await fixture.addColumn(before.name, { name: "extra", type: { kind: "int32" }, nullable: true });
			sameRows(await readTable(fixture.source, before), [
				["0", "row 0"],
				["1", "row 1"],
			]);
			const after = await describeOne(fixture.source, before.name);
			assert.deepEqual(after.columns.map((column) => column.name).sort(), ["extra", "id", "name"]);
			const extra = after.columns.filter((column) => column.name === "extra");
			sameRows(await readTable(fixture.source, after, { columns: extra }), [[null], [null]]);
		},
	],
	[
		"closing twice is harmless",
		async ({ source }) => {
			const snapshot = await source.snapshot({ readers: 1 });
			await snapshot[Symbol.asyncDispose]();
			await snapshot[Symbol.asyncDispose]();
			await source[Symbol.asyncDispose]();
			await source[Symbol.asyncDispose]();
		},
	],
];
