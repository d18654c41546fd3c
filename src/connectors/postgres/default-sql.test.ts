import { expect, test } from "vitest";
import { parseColumnType } from "../../core/index.ts";
import { portableDefault } from "./default-sql.ts";

test.each([
	["0", "int32", "0"],
	["'-1'::integer", "int32", "-1"],
	["(-1)", "int32", "-1"],
	["1.50", "decimal(5,2)", "1.50"],
	["'1.5'::numeric", "decimal(5,2)", "1.5"],
	["'NaN'::numeric", "decimal(5,2)", undefined],
	["'it''s'::text", "text", "'it''s'"],
	["'a'::character varying(10)", "text", "'a'"],
	["'sad'::ext.mood", "text", "'sad'"],
	["''::text", "text", "''"],
	["'a\\b'::text", "text", undefined],
	["42", "text", "'42'"],
	["true", "boolean", "true"],
	["'2020-01-01'::date", "date", "'2020-01-01'"],
	["'2020-01-01 00:00:00+00'::timestamp with time zone", "timestamptz", "'2020-01-01 00:00:00+00'"],
	["'infinity'::date", "date", undefined],
	["'{}'::jsonb", "json", "'{}'"],
	["'{}'::text[]", "text[]", undefined],
	["'\\x00'::bytea", "binary", undefined],
	["NULL::character varying", "text", "NULL"],
	["now()", "timestamptz", undefined],
	["nextval('s'::regclass)", "int64", undefined],
	["('a'::text || 'b'::text)", "text", undefined],
	["'a'::text || (SELECT 'b')", "text", undefined],
	["CURRENT_USER", "text", undefined],
] as const)("the default %s of %s", (expression, type, expected) => {
	expect(portableDefault(expression, parseColumnType(type)!)).toBe(expected);
});
