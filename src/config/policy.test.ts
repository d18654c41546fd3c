import { describe, expect, test } from "vitest";
import { HeadraceErrors } from "../core/errors.ts";
import { definePipeline, type PipelineInput } from "./define-pipeline.ts";
import { checkPipelineText } from "./load.ts";
import { renderQuery, templateValues } from "./template.ts";

const read = (text: string) =>
	checkPipelineText(`from: mysql://h/shop\nto: duckdb:x.duckdb\n${text}`, {
		file: "/project/pipelines/p.yaml",
		directory: "/project",
		env: { KEY: "k3y-of-hashes", N: "7" },
	});

async function faultsOf(text: string): Promise<string[]> {
	try {
		await read(text);
	} catch (error) {
		if (error instanceof HeadraceErrors)
			return error.errors.map(({ code, message, place }) => `${place.line}:${place.column} ${code} ${message}`);
		throw error;
	}
	return [];
}

const TABLES = "tables: { a.b: {} }\n";

describe("checks", () => {
	test("each claim becomes one check with a name and a place", async () => {
		const { checks } = await read(`${TABLES}checks:
  - table: raw.orders
    severity: warn
    accepted: { state: [new, 1.10, 12345678901234567890, true, "\${env:N}"] }
    range: { amount: { min: 0.10, max: "9" }, day: { min: 2026-01-01 } }
    freshness: { modified: 2h }
    sql: select 1 from {{ this }} where x = '{{ ds }}'
  - { table: '"a.b"."c d"', name: fine, unique: [a, b] }
`);
		expect(checks.map(({ name, severity, assertion }) => [name, severity, assertion])).toEqual([
			[
				"raw.orders accepted state",
				"warn",
				{ kind: "accepted", column: "state", values: ["new", "1.10", "12345678901234567890", "true", "7"] },
			],
			["raw.orders range amount", "warn", { kind: "range", column: "amount", min: "0.10", max: "9" }],
			["raw.orders range day", "warn", { kind: "range", column: "day", min: "2026-01-01" }],
			["raw.orders freshness modified", "warn", { kind: "freshness", column: "modified", ageMs: 7_200_000 }],
			["raw.orders sql", "warn", { kind: "sql", sql: "select 1 from {{ this }} where x = '{{ ds }}'" }],
			["fine", "error", { kind: "unique", columns: ["a", "b"] }],
		]);
		expect(checks[5]!.table).toEqual({ schema: "a.b", name: "c d" });
		expect(checks[3]!.place).toMatchObject({ line: 9, column: 18 });
	});

	test.each([
		["checks: [{ table: a, sevrity: warn, rows: 1 }]", 'did you mean "severity"?'],
		["checks: [{ table: a, severity: fatal, rows: 1 }]", "severity must be error or warn"],
		["checks: [{ table: a, range: { x: {} } }]", "4:31 E_INVALID_VALUE the range of x has neither min nor max"],
		["checks: [{ table: a, range: { x: { mn: 1 } } }]", 'did you mean "min"?'],
		["checks: [{ table: a, freshness: { x: 2 } }]", "must be a duration"],
		["checks: [{ table: a, accepted: { x: [] } }]", "accepted.x must be"],
		["checks: [{ table: a, sql: 'select {{ dss }}' }]", 'did you mean "ds"?'],
		["checks: [{ table: a, sql: \"select '{{ this }}'\" }]", "it is the name of a table"],
		["checks: [{ table: a, sql: 'select x{{ this }}' }]", "it is the name of a table"],
		["checks: [{ table: a, accepted_values: { x: [1] } }]", 'did you mean "accepted"?'],
	])("%s", async (text, message) => {
		expect((await faultsOf(`${TABLES}${text}`)).join("\n")).toContain(message);
	});
});

describe("masks", () => {
	test("null is YAML's own null or the word", async () => {
		const { tables } = await read(
			'tables: { a.b: { columns: { a: { mask: null }, b: { mask: "null" }, c: { mask: partial, keep: 2 }, d: { mask: hmac, secret: "${env:KEY}" } } } }',
		);
		const { columns } = tables[0]!.options;
		expect([...columns.values()].map(({ mask, keep }) => [mask, keep])).toEqual([
			["null", undefined],
			["null", undefined],
			["partial", 2],
			["hmac", undefined],
		]);
		expect(columns.get("d")!.secret!.reveal()).toBe("k3y-of-hashes");
		expect(JSON.stringify([...columns])).not.toContain("k3y");
	});

	test.each([
		["{ mask: partial, secret: x }", "the secret of column c of a.b is not used"],
		["{ mask: hmac, secret: x, keep: 2 }", "keep of column c of a.b is not used"],
		["{ mask: sha1 }", "mask must be null, hmac or partial"],
		["{ mask: partial, keep: -1 }", "keep must be a whole number from 0 to 1000"],
	])("%s", async (rule, message) => {
		expect((await faultsOf(`tables: { a.b: { columns: { c: ${rule} } } }`)).join("\n")).toContain(message);
	});
});

describe("summaries", () => {
	test("come after what they depend on, with a check of their own and those of their key", async () => {
		const { summaries } = await read(`${TABLES}summaries:
  weekly: { into: mart.weekly, query: select 1, depends_on: [daily], checks: [] }
  daily: { into: mart.daily, query: "select {{ params.n }}", key: day, depends_on: [a.b] }
`);
		expect(summaries.map(({ name }) => name)).toEqual(["daily", "weekly"]);
		expect(summaries[0]!.checks.map(({ name }) => name)).toEqual([
			"mart.daily not_null day",
			"mart.daily unique day",
			"mart.daily rows > 0",
		]);
		expect(summaries[1]!.checks).toEqual([]);
		expect(summaries[1]!.into).toEqual({ schema: "mart", name: "weekly" });
	});

	test.each([
		[
			"  a: { into: m.a, query: x, depends_on: [b] }\n  b: { into: m.b, query: x, depends_on: [c] }\n  c: { into: m.c, query: x, depends_on: [a] }",
			"7:42 E_INVALID_VALUE summaries depend on each other in a circle: a → b → c → a",
		],
		[
			"  a: { into: m.a, query: x, depends_on: [a] }",
			"5:42 E_INVALID_VALUE summaries depend on each other in a circle: a → a",
		],
		["  a.b: { into: m.a, query: x }", "5:3 E_NAME_COLLISION a.b is the name of a table and of a summary"],
		["  a: { into: m.a.x, query: x }", "5:14 E_INVALID_VALUE into of summary a"],
		["  a: { query: x }", "summaries.a has no into"],
		["  a: { into: m.a, query: 'select {{ nope }}' }", "unknown variable"],
		["  a: { into: m.a, query: x, checks: [{ table: m.a, rows: 1 }] }", 'unknown key "table"'],
	])("%s", async (text, message) => {
		expect((await faultsOf(`${TABLES}summaries:\n${text}\n`)).join("\n")).toContain(message);
	});
});

describe("hooks", () => {
	test("of the pipeline, of a table, and of the defaults", async () => {
		const pipeline = await read(`defaults:
  hooks: { after: [{ on: destination, sql: "grant select on {{ this }} to bi" }] }
tables: { a.b: {}, a.c: { hooks: { before: [{ on: source, sql: [one, two] }] } } }
hooks:
  before:
    - { on: source, sql: "call refresh('{{ ds }}')" }
`);
		expect(pipeline.hooks.before[0]).toMatchObject({ on: "source", place: { line: 8, column: 7 } });
		expect(pipeline.tables[0]!.hooks.after[0]!.statements[0]!.place).toMatchObject({ line: 4 });
		expect(pipeline.tables[1]!.hooks.after).toEqual([]);
		expect(pipeline.tables[1]!.hooks.before[0]!.statements.map(({ sql }) => sql)).toEqual(["one", "two"]);
	});

	test.each([
		["hooks: { befor: [] }", 'did you mean "before"?'],
		["hooks: { before: [{ on: src, sql: x }] }", "on must be source or destination"],
		["hooks: { before: [{ sql: x }] }", "has no on"],
		["hooks: { before: [{ on: source, sql: '{{ this }}' }] }", "unknown variable"],
		["hooks: { before: [{ on: source, sql: [] }] }", "sql must be at least 1"],
	])("%s", async (text, message) => {
		expect((await faultsOf(`${TABLES}${text}`)).join("\n")).toContain(message);
	});
});

test("definePipeline takes the same", () => {
	const input: PipelineInput = {
		from: "mysql://h/shop",
		to: "duckdb:x",
		tables: { "a.b": { columns: { email: { mask: null } }, hooks: { after: [{ on: "destination", sql: "x" }] } } },
		checks: [{ table: "a.b", range: { n: { min: 1.5 } } }],
		summaries: { s: { into: "m.s", query: "select 1" } },
	};
	const pipeline = definePipeline(input, { directory: "/project", env: {} });
	expect(pipeline.checks[0]!.assertion).toMatchObject({ min: "1.5" });
	expect(pipeline.summaries[0]!.into).toEqual({ schema: "m", name: "s" });
});

test("the table's name goes into code as it is, never into quotes", () => {
	const values = { ...templateValues({ runId: "1", timezone: "UTC" }), relations: { this: '"a"."it\'s"' } };
	const dialect = { quoteString: (text: string) => `'${text}'`, backslashEscapes: false };
	expect(renderQuery("select * from {{this}} t", values, dialect)).toBe('select * from "a"."it\'s" t');
	for (const sql of ["select '{{ this }}'", 'select "{{ this }}"', "-- {{ this }}", "x{{ this }}"])
		expect(() => renderQuery(sql, values, dialect)).toThrow(/name of a table|comment/);
});
