import { expect, test } from "vitest";
import type { ColumnType } from "../core/index.ts";
import { valueText } from "../formats/index.ts";
import { defaultColumn } from "./default-column.ts";

const CASES: readonly (readonly [ColumnType, string | undefined, string | null])[] = [
	[{ kind: "int64" }, "-798862361", "-798862361"],
	[{ kind: "decimal", precision: 16, scale: 4 }, "-497988.0625", "-497988.0625"],
	[{ kind: "text" }, "'it''s\t7'", "it's\t7"],
	[{ kind: "text" }, "''", ""],
	[{ kind: "timestamp" }, "'2008-06-20 10:30:15'", "2008-06-20 10:30:15"],
	[{ kind: "boolean" }, "true", "true"],
	[{ kind: "int32" }, "NULL", null],
	[{ kind: "int32" }, undefined, null],
	[{ kind: "int32" }, "'no number'", null],
];

test.each(CASES)("%j with default %s has %j in each row", (type, defaultSql, text) => {
	const column = defaultColumn({ name: "c", type, ...(defaultSql === undefined ? {} : { defaultSql }) }, 64, 3);
	expect([0, 1, 2].map((row) => (column.isNull(row) ? null : valueText(column, row)))).toEqual([text, text, text]);
});
