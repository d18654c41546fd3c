import { describe, expect, test } from "vitest";
import type { HeadraceErrors } from "../core/errors.ts";
import { definePipeline, type PipelineInput } from "./define-pipeline.ts";
import { querySource, resolveTables } from "./select.ts";

const names = ["prod.orders", "prod.nps", "prod.tmp_a", "prod.tmp_b", "audit.orders", "audit.log"];
const available = names.map((name) => ({ schema: name.split(".")[0]!, name: name.split(".")[1]! }));

const define = (tables: PipelineInput["tables"], more: Partial<PipelineInput> = {}) =>
	definePipeline({ from: "mysql://h/shop", to: "duckdb:x", tables, ...more }, { directory: "/project", env: {} });

const taken = (tables: PipelineInput["tables"], more: Partial<PipelineInput> = {}, options = {}) =>
	resolveTables(define(tables, more), available, options).tables.map(
		(table) =>
			`${table.source.schema}.${table.source.name} > ${table.into.schema}.${table.into.name} ${table.options.mode}`,
	);

describe("which tables", () => {
	test.each([
		["all of a schema", { "audit.*": {} }, ["audit.orders > audit.orders full", "audit.log > audit.log full"]],
		[
			"an exact name beats a pattern",
			{ "prod.nps": { mode: "full" }, "prod.n*": { mode: "cdc" } },
			["prod.nps > prod.nps full"],
		],
		[
			"a longer pattern beats a shorter",
			{ "prod.tmp_*": "skip", "prod.*": {} },
			["prod.orders > prod.orders full", "prod.nps > prod.nps full"],
		],
		[
			"of equal ones the later",
			{ "prod.np?": { mode: "cdc" }, "prod.n?s": { mode: "full" } },
			["prod.nps > prod.nps full"],
		],
		["a qualified name beats a plain one", { orders: "skip", "prod.orders": {} }, ["prod.orders > prod.orders full"]],
		[
			"a plain name stands for any schema",
			{ orders: {} },
			["prod.orders > prod.orders full", "audit.orders > audit.orders full"],
		],
		[
			"into",
			{ "prod.orders": { into: "raw.{schema}_{table}_{source}_{pipeline}" } },
			["prod.orders > raw.prod_orders_shop_pipeline full"],
		],
		["into with one part", { "prod.orders": { into: "{table}" } }, ["prod.orders > .orders full"]],
		["into with quotes", { "prod.orders": { into: '"a.b".{table}' } }, ["prod.orders > a.b.orders full"]],
		["a query", { q: { query: "select 1" } }, ["shop.q > shop.q full"]],
		["a query with a schema", { "a.q": { query: "select 1", into: "raw.{query}" } }, ["a.q > raw.q full"]],
		[
			"tables, then queries",
			{ q: { query: "select 1" }, "prod.nps": {} },
			["prod.nps > prod.nps full", "shop.q > shop.q full"],
		],
	] as [string, PipelineInput["tables"], string[]][])("%s", (_, tables, expected) =>
		expect(taken(tables)).toEqual(expected),
	);

	test("a plain name means the default schema's table when that has one", () => {
		expect(taken({ orders: {} }, {}, { defaultSchema: "prod" })).toEqual(["prod.orders > prod.orders full"]);
		expect(taken({ log: {} }, {}, { defaultSchema: "prod" })).toEqual(["audit.log > audit.log full"]);
	});

	test("a dot in a name stays in it", () => {
		const pipeline = define({ "*": { into: "raw.{table}" } });
		const [table] = resolveTables(pipeline, [{ schema: "s", name: 'a.b"; drop table x' }]).tables;
		expect(table!.into).toEqual({ schema: "raw", name: 'a.b"; drop table x' });
	});

	test("options lie over the defaults, columns by name", () => {
		const pipeline = define(
			{ "prod.nps": { columns: { a: { rename: "z" } }, types: { nan: "null" } } },
			{
				defaults: { key: "id", columns: { a: "drop", b: "drop" }, types: { infinity: null } },
				types: { mode: "lenient" },
			},
		);
		const [table] = resolveTables(pipeline, available).tables;
		expect(table!.options).toMatchObject({ key: ["id"], types: { mode: "lenient", infinity: "null", nan: "null" } });
		expect([...table!.options.columns]).toEqual([
			["a", { drop: false, rename: "z" }],
			["b", { drop: true }],
		]);
		expect(table!.rule.ownColumns).toEqual(["a"]);
	});

	test("what matches nothing: an exact name is an error with the nearest, a pattern a warning", () => {
		const attempt = (tables: PipelineInput["tables"]) => {
			try {
				return resolveTables(define(tables), available).warnings.map((each) => each.message);
			} catch (error) {
				return (error as HeadraceErrors).errors.map((each) => `${each.code} ${each.message}`);
			}
		};
		expect(attempt({ "prod.ordrs": {}, "x.y": "skip", "prod.nps": {} })).toEqual([
			"E_UNKNOWN_TABLE the source has no table prod.ordrs; did you mean prod.orders?",
			"E_UNKNOWN_TABLE the source has no table x.y",
		]);
		expect(attempt({ ORDERS: {} })).toEqual(["E_UNKNOWN_TABLE the source has no table ORDERS; did you mean orders?"]);
		expect(attempt({ "prod.z*": {}, "prod.nps": {} })).toEqual(["no table of the source matches prod.z*"]);
		expect(attempt({ "prod.z*": {} })[0]).toMatch(
			/E_UNKNOWN_TABLE pipeline pipeline takes no table: none of the source's 6/,
		);
		expect(attempt({ "*": "skip" })[0]).toMatch(/takes no table/);
	});

	test("the schema of a query is the source's", () => {
		const from = (address: string) => {
			const pipeline = define({ q: { query: "select 1" } }, { from: address });
			return querySource(pipeline, pipeline.tables[0]!).schema;
		};
		expect(from("mysql://h/shop")).toBe("shop");
		expect(from("mysql://h")).toBe("mysql");
		expect(from("snowflake://a/db/sch")).toBe("sch");
		expect(from("duckdb:my.duckdb")).toBe("my");
	});
});
