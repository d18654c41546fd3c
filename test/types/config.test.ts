import { expect, expectTypeOf, test } from "vitest";
import { definePipeline, type PipelineInput } from "../../src/config/define-pipeline.ts";
import type { CheckedPipeline, Connection, TableOptions } from "../../src/config/index.ts";

const directory = { directory: "/project", env: {} };

test("definePipeline takes what the file takes", () => {
	const pipeline = definePipeline(
		{
			from: "mysql://h/shop",
			to: "./out",
			tables: { "shop.*": {}, "shop.tmp_*": "skip", "shop.a": { key: ["a", "b"], types: { zero_date: null } } },
			flush: { rows: "100k", bytes: "64MB", seconds: 10 },
		},
		directory,
	);
	expectTypeOf(pipeline).toEqualTypeOf<CheckedPipeline>();
	expectTypeOf(pipeline.from).toEqualTypeOf<Connection>();
	expectTypeOf<TableOptions["mode"]>().toEqualTypeOf<"full" | "incremental" | "interval" | "cdc">();
	if (pipeline.from.type === "mysql") expectTypeOf(pipeline.from.port).toEqualTypeOf<number>();
	expect(pipeline.tables).toHaveLength(3);
});

test("and refuses what the file refuses", () => {
	const tables = {};
	const wrong: PipelineInput[] = [
		// @ts-expect-error a pipeline has a source
		{ to: "./b", tables },
		// @ts-expect-error no such mode
		{ from: "./a", to: "./b", tables: { a: { mode: "increment" } } },
		// @ts-expect-error no such key
		{ from: "./a", to: "./b", tables: { a: { primary_key: "id" } } },
		// @ts-expect-error a duration has a unit
		{ from: "./a", to: "./b", tables: { a: {} }, retry_delay: 3 },
	];
	for (const input of wrong) expect(() => definePipeline(input, directory)).toThrow();
});
