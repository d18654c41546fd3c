import { describe, expect, test } from "vitest";
import { HeadraceErrors } from "../core/errors.ts";
import { definePipeline } from "./define-pipeline.ts";

const options = { directory: "/project", env: { PW: "secret-pw" } };

describe("definePipeline", () => {
	test("gives what a file gives", () => {
		const pipeline = definePipeline(
			{
				pipeline: "shop",
				from: "shop",
				to: "duckdb:x.duckdb",
				schedule: undefined,
				tables: { "a.*": {}, "a.b": "skip", q: { query: "select {{ params.n }}" } },
				flush: { rows: "5k" },
				checks: [{ table: "x", rows: 1 }],
			},
			{ ...options, connections: { shop: { type: "mysql", host: "h", password: "${env:PW}", port: undefined } } },
		);
		expect(pipeline).toMatchObject({
			name: "shop",
			directory: "/project",
			from: { type: "mysql", origins: { password: "${env:PW}" }, port: 3306 },
			flush: { rows: 5000 },
			checks: [{ table: { schema: "", name: "x" } }],
		});
		expect(pipeline.file).toBeUndefined();
		expect(pipeline.schedule).toBeUndefined();
	});

	test("finds the same faults, all at once and without places", () => {
		const wrong = { from: "nope", to: "./x", tables: { "a.b": { mode: "incremental", cursr: "x" } }, retires: 1 };
		try {
			definePipeline(wrong as never, options);
			throw new Error("nothing was thrown");
		} catch (error) {
			expect(error).toBeInstanceOf(HeadraceErrors);
			const found = (error as HeadraceErrors).errors.map((each) => `${each.code} ${each.message}`);
			expect(found.sort()).toEqual([
				'E_UNKNOWN_CONNECTION unknown connection "nope": there is no connections.yaml',
				'E_UNKNOWN_KEY unknown key "cursr" in tables."a.b"; did you mean "cursor"?',
				'E_UNKNOWN_KEY unknown key "retires" in the pipeline; did you mean "retries"?',
			]);
		}
		expect(() => definePipeline({ from: "./a", to: "./b", tables: { q: { query: "{{ dss }}" } } })).toThrow(/dss/);
		expect(() => definePipeline({ from: "./a", to: "./b", tables: { a: { into: "{x}" } } }, options)).toThrow(
			/placeholder/,
		);
	});
});
