import { describe, expect, test } from "vitest";
import * as sql from "../../src/sql/index.ts";

const { duckdbDialect } = sql;
const columns: sql.ColumnDefinition[] = [
	{ name: "id", type: "BIGINT", nullable: false },
	{ name: 'odd "name"', type: "VARCHAR", nullable: true, defaultSql: "'new'" },
	{ name: "select", type: "DECIMAL(10,2)", nullable: true },
];
const tables: sql.MergeTables = {
	target: '"db"."raw"."orders"',
	stage: '"temp"."main"."stage_x"',
	key: ["id", "region"],
	columns: ["id", "region", "price", "share", "span", "rowid"],
};
const history: sql.MergeTables = {
	...tables,
	columns: ["id", "region", "price", "rowid", "_headrace_valid_from", "_headrace_operation", "_headrace_position"],
};
const comparisonOf = (name: string): sql.Comparison =>
	name === "share" ? "float" : name === "span" ? "text" : "value";

const cases: readonly (readonly [name: string, statements: readonly string[]])[] = [
	["create-table", [sql.createTable(duckdbDialect, '"db"."raw"."orders"', columns)]],
	[
		"create-temporary-table",
		[sql.createTable(duckdbDialect, '"stage"', columns.slice(0, 1), { temporary: true, ifNotExists: true })],
	],
	[
		"evolve",
		[
			sql.addColumn(duckdbDialect, '"orders"', { name: "more", type: "DATE", nullable: false, defaultSql: "now()" }),
			sql.changeType(duckdbDialect, '"orders"', "id", "HUGEINT"),
			sql.dropNotNull(duckdbDialect, '"orders"', 'odd "name"'),
		],
	],
	["swap-new", sql.swapTable(duckdbDialect, { fresh: '"raw"."orders__new"', name: "orders" })],
	[
		"swap-old",
		sql.swapTable(duckdbDialect, { old: '"raw"."or""ders"', fresh: '"raw"."orders__new"', name: 'or"ders' }),
	],
	[
		"merge-replace-rows",
		[
			sql.countKeys(duckdbDialect, tables.stage, tables.key),
			sql.deleteSuperseded(duckdbDialect, tables, "modified"),
			sql.deleteFlagged(duckdbDialect, tables, "is_deleted"),
			sql.deleteFlaggedFromStage(duckdbDialect, tables, "is_deleted"),
			sql.countKnown(duckdbDialect, tables),
			sql.deleteEqualFromStage(duckdbDialect, tables, comparisonOf),
			sql.deleteKnown(duckdbDialect, tables),
			sql.insertStaged(duckdbDialect, tables),
		],
	],
	[
		"merge-update-rows",
		[
			sql.deleteSuperseded(duckdbDialect, tables, undefined),
			sql.updateKnown(duckdbDialect, tables),
			sql.deleteKnownFromStage(duckdbDialect, tables),
		],
	],
	["merge-key-only", [sql.deleteEqualFromStage(duckdbDialect, { ...tables, columns: tables.key }, comparisonOf)]],
	[
		"changes-merge",
		[
			sql.deleteAllRows(tables.target),
			sql.selectMasks(duckdbDialect, tables, "merge"),
			sql.countBaseMissing(duckdbDialect, tables, "merge"),
			sql.deleteBaseMissing(duckdbDialect, tables, "merge"),
			sql.fillAbsent(duckdbDialect, tables, "merge", sql.maskedColumns(["000100", "000001"], tables.columns)),
		],
	],
	[
		"changes-history",
		[
			sql.closeAllVersions(duckdbDialect, history.target, "2024-03-31 01:30:00.123456+00"),
			sql.selectMasks(duckdbDialect, history, "history"),
			sql.countBaseMissing(duckdbDialect, history, "history"),
			sql.deleteBaseMissing(duckdbDialect, history, "history"),
			sql.fillAbsent(duckdbDialect, history, "history", [{ name: "price", place: 2 }]),
			sql.closeVersions(duckdbDialect, history),
			sql.insertVersions(duckdbDialect, history),
		],
	],
	[
		"append-beyond-overlap",
		[
			sql.insertBeyondOverlap(
				duckdbDialect,
				tables,
				sql.rangeCondition(duckdbDialect, "at", "TIMESTAMP", { from: "2024-01-01 00:00:00" }),
				comparisonOf,
			),
		],
	],
	[
		"interval",
		[
			sql.deleteRange(duckdbDialect, '"t"', "at", "TIMESTAMP WITH TIME ZONE", { from: "2024-01-01", to: "2024-01-02" }),
			sql.deleteRange(duckdbDialect, '"t"', "day", "DATE", { from: "2024-01-01 12:00:00", to: "2024-01-02 00:00:00" }),
			sql.deleteTagged(duckdbDialect, '"t"', "_headrace_interval", "it's/2024"),
		],
	],
];

describe("SQL for DuckDB", () => {
	test.each(cases)("%s", async (name, statements) => {
		await expect(`${statements.join(";\n\n")};\n`).toMatchFileSnapshot(`duckdb/${name}.sql`);
	});

	test("names and literals are quoted whole", () => {
		expect(duckdbDialect.quoteIdentifier('a"b.c')).toBe('"a""b.c"');
		expect(duckdbDialect.quoteLiteral("it's \\ fine")).toBe("'it''s \\ fine'");
		expect(sql.quotedPath(duckdbDialect, ["a.b", "c"])).toBe('"a.b"."c"');
	});
});
