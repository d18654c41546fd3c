import { describe, expect, test } from "vitest";
import { type HeadraceError, HeadraceErrors } from "../core/errors.ts";
import { checkPipelineText, parseAddress, pipelineText } from "./index.ts";

const ENV = { SHOP_PASSWORD: "p@ss/w:rd", DW_PASSWORD: "dw", PII_KEY: "pii", N: "7", YES: "true", EMPTY: "" };

async function faultsOf(work: () => unknown): Promise<readonly HeadraceError[]> {
	try {
		await work();
	} catch (error) {
		if (error instanceof HeadraceErrors) return error.errors;
		throw error;
	}
	throw new Error("nothing was thrown");
}

const check = (text: string, env: Record<string, string> = ENV, directory = "/project") =>
	checkPipelineText(text, { file: `${directory}/pipelines/shop.yaml`, directory, env });

/** `2:3 E_CODE message` of every fault. */
async function shown(text: string, env = ENV): Promise<string[]> {
	const faults = await faultsOf(() => check(text, env));
	return faults.map(({ place, code, message }) => `${place.line ?? "-"}:${place.column ?? "-"} ${code} ${message}`);
}

const HEAD = "from: ./in\nto: duckdb:out.duckdb\n";
const body = (text: string) => `${HEAD}${text}`;
const entry = (text: string) => body(`tables:\n  a.b: ${text}\n`);

describe("faults of a pipeline file", () => {
	test.each([
		["a: 1", ['1:1 E_UNKNOWN_KEY unknown key "a" in the pipeline', "from", "to", "tables"]],
		[body("tables: {}"), ["3:1 E_INVALID_VALUE tables is empty"]],
		[body("tables:"), ["3:1 E_INVALID_VALUE tables must be a map of table names, patterns and queries, not empty"]],
		[
			body("tables: [a]"),
			["3:9 E_INVALID_VALUE tables must be a map of table names, patterns and queries, not a list"],
		],
		[entry("{ primry_key: id }"), ['4:10 E_UNKNOWN_KEY unknown key "primry_key" in tables."a.b"; did you mean "key"?']],
		[entry("{ unique_key: id }"), ['4:10 E_UNKNOWN_KEY unknown key "unique_key" in tables."a.b"; did you mean "key"?']],
		[entry("{ update_key: id }"), ['did you mean "cursor"?']],
		[entry("{ zzzzzz: 1 }"), ['unknown key "zzzzzz" in tables."a.b"; its keys are query, mode']],
		[entry("skipp"), ['4:8 E_INVALID_VALUE tables."a.b" must be a map of options, {} or skip, not "skipp"']],
		[entry("[x]"), ["not a list"]],
		[
			entry("{ mode: ful }"),
			[
				'4:16 E_INVALID_VALUE tables."a.b".mode must be full, incremental, interval or cdc, not "ful"; did you mean "full"?',
			],
		],
		[
			"from: mysql://u@127.0.0.1/a\nto: duckdb:out.duckdb\ntables:\n  a.b: { mode: incremental }\n",
			["4:3 E_CURSOR_REQUIRED a.b has mode incremental and no cursor"],
		],
		[
			body("schedule: continuous\ntables: { a.b: {}, a.c: skip }"),
			["3:11 E_INVALID_VALUE schedule is continuous, which follows the change log, and no table has mode cdc"],
		],
		[entry("{ mode: interval }"), ["4:3 E_CURSOR_REQUIRED a.b has mode interval and no cursor"]],
		[
			entry("{ query: select 1, mode: interval }"),
			["E_CURSOR_REQUIRED the query a.b has mode interval and no cursor and does not use {{ ds }}"],
		],
		[entry("{ query: select 1, mode: cdc }"), ["4:33 E_INVALID_VALUE the query a.b can't have mode cdc"]],
		[
			entry("{ mode: cdc, cursor: c, late: 1m, overlap: 1m }"),
			["4:29 E_INVALID_VALUE a.b has mode cdc and cursor", "4:38 E_INVALID_VALUE", "4:51 E_INVALID_VALUE"],
		],
		[entry("{ mode: cdc, where: a > 1 }"), ["4:28 E_INVALID_VALUE a.b has mode cdc and where"]],
		[entry("{ mode: cdc, deleted: gone }"), ["4:30 E_INVALID_VALUE a.b has mode cdc and deleted"]],
		[entry("{ mode: cdc, on_conflict: ignore }"), ["4:34 E_INVALID_VALUE a.b has mode cdc and on_conflict: ignore"]],
		[entry("{ mode: cdc, fix: { c: int64 } }"), ["4:28 E_INVALID_VALUE column c of a.b has fix"]],
		[entry("{ mode: cdc, write: replace }"), ["4:28 E_INVALID_VALUE a.b has mode cdc and write replace"]],
		[entry("{ mode: cdc, write: append, deletes: soft }"), ["4:45 E_INVALID_VALUE a.b has deletes and write append"]],
		[entry("{ mode: cdc, write: history, deletes: hard }"), ["4:46 E_INVALID_VALUE a.b has deletes and write history"]],
		[entry("{ mode: cdc, before_images: true }"), ["4:36 E_INVALID_VALUE a.b has before_images without write append"]],
		[
			entry("{ mode: full, write: append, before_images: true }"),
			["4:52 E_INVALID_VALUE a.b has before_images and mode full"],
		],
		[entry("{ mode: full, deletes: soft }"), ["4:31 E_INVALID_VALUE a.b has deletes and mode full"]],
		[entry("{ mode: full, write: history }"), ["4:29 E_INVALID_VALUE a.b has write history and mode full"]],
		[
			body("defaults: { where: a > 1, deleted: gone }\ntables:\n  a.b: { mode: cdc }\n"),
			["3:20 E_INVALID_VALUE a.b has mode cdc and where", "3:36 E_INVALID_VALUE a.b has mode cdc and deleted"],
		],
		[entry("{ query: select 1, where: x }"), ["has a where"]],
		[entry("{ query: '' }"), ['query must be text that is not empty, not ""']],
		[body("tables:\n  a.*: { query: select 1 }"), ["4:3 E_INVALID_VALUE a query needs a name without * and ?"]],
		[entry("{ late: 10 }"), ["late must be a duration with its unit", 'not "10"']],
		[entry("{ key: [] }"), ["key must be"]],
		[entry("{ key: [a, a] }"), ["each of them once"]],
		[entry("{ into: 'raw.{tabl}' }"), ["4:16 E_INVALID_VALUE into", "unknown placeholder {tabl}"]],
		[entry("{ into: 'raw.{{ ds }}' }"), ["E_INVALID_VALUE into"]],
		[entry("{ into: a.b.c }"), ["more than schema and table"]],
		[entry("{ into: a. }"), ["a part of it is empty"]],
		[entry("{ into: 'a\"b' }"), ["a quoted part"]],
		[entry("{ into: 'a{b' }"), ["a brace is not closed"]],
		[entry("{ columns: { x: { mask: hmac } } }"), ["4:21 E_INVALID_VALUE the mask of column x of a.b needs a secret"]],
		[entry("{ columns: { x: { secret: s3cr3t } } }"), ["the secret of column x of a.b is not used"]],
		[entry("{ columns: { x: { secret: [s3cr3t] } } }"), ["secret must be text", "not a list"]],
		[entry("{ columns: { x: { type: txt } } }"), ["type must be a type such as text", 'not "txt"']],
		[entry("{ columns: { x: dropp } }"), ["must be drop, or a map"]],
		[
			entry("{ columns: { a: { rename: z }, b: { rename: z } } }"),
			["E_NAME_COLLISION columns a and b of a.b get the same name"],
		],
		[entry("{ columns: { id: drop }, key: id }"), ["column id of a.b is dropped and is its key or cursor"]],
		[entry("{ types: { zero_date: fial } }"), ['zero_date must be null, fail or string, not "fial"']],
		[entry("{ allow_empty: yes }"), ['allow_empty must be true or false, not "yes"']],
		[body("tables: { a.b.c: {} }"), ["3:11 E_INVALID_VALUE", "more than schema and name"]],
		[body("tables: { '': {} }"), ["a part of it is empty"]],
		[body("tables: { *: {} }"), ["E_YAML a name that begins with * needs quotes"]],
		[body("tables:\n  *.orders: {}"), ["E_YAML", "needs quotes"]],
		[body("cursor: x\ntables: { a: {} }"), ["3:1 E_UNKNOWN_KEY", "write it under defaults or a table"]],
		[
			body("timezone: Europe/Berln\ntables: { a: {} }"),
			['3:11 E_INVALID_VALUE timezone "Europe/Berln" is not known; did you mean "Europe/Berlin"?'],
		],
		[body("schedule: 0 25 * * *\ntables: { a: {} }"), ["3:11 E_INVALID_VALUE schedule", 'hour "25"']],
		[
			body("schedule: 0 2,14 * * *\ntables: { a: { mode: interval, cursor: c } }"),
			["3:11 E_INVALID_VALUE", "has no single interval length"],
		],
		[body("start: 2026-02-30\ntables: { a: {} }"), ["3:8 E_INVALID_VALUE"]],
		[body("concurrency: 0\ntables: { a: {} }"), ['concurrency must be a whole number from 1 to 1000, not "0"']],
		[body("concurrency: many\ntables: { a: {} }"), ['concurrency must be a whole number from 1 to 1000, not "many"']],
		[body("retries: 1.5\ntables: { a: {} }"), ["retries must be a whole number"]],
		[body("memory: 64\ntables: { a: {} }"), ["memory must be a size"]],
		[
			body("flush: { rows: 1x, bytes: 0MB, seconds: 0 }\ntables: { a: {} }"),
			["3:16 E_INVALID_VALUE flush.rows", "3:27 E_INVALID_VALUE flush.bytes", "3:41 E_INVALID_VALUE flush.seconds"],
		],
		[body("params: { a-b: 1, c: [1] }\ntables: { a: {} }"), ["params.c must be text, a number, true or false"]],
		[body("params: { a-b: 1 }\ntables: { a: {} }"), ["3:11 E_INVALID_VALUE a name of params"]],
		[
			body("checks:\n  - { table: a.b.c, rows: 1 }\n  - { table: x }\n  - { rows: '> x' }\ntables: { a: {} }"),
			["6:5 E_INVALID_VALUE checks[2] has no table", 'checks[2].rows must be a comparison such as "> 0"'],
		],
		[
			body("checks:\n  - { table: a.b.c, rows: 1 }\n  - { table: x }\ntables: { a: {} }"),
			["4:14 E_INVALID_VALUE table", "5:5 E_INVALID_VALUE the check of x checks nothing"],
		],
		[body("pipeline: ../x\ntables: { a: {} }"), ['3:11 E_INVALID_VALUE the name "../x"']],
		[
			body("staging: duckdb:x\ntables: { a: {} }"),
			["3:10 E_INVALID_VALUE staging must be an s3 connection or a folder"],
		],
		[
			"from: 5\nto: nope\ntables: { a: {} }",
			["1:7 E_INVALID_VALUE from must be the name of a connection", "2:5 E_UNKNOWN_CONNECTION"],
		],
		[
			body("retry_delay: ${env:NOPE}\nconcurrency: ${env:ALSO}\ntables: { a: {} }"),
			["3:14 E_MISSING_VARIABLE", "4:14 E_MISSING_VARIABLE"],
		],
		[
			body("timezone: ${UTC}\ntables: { a: {} }"),
			["3:11 E_INVALID_VALUE ${UTC} is not a reference", "did you mean ${env:UTC}?"],
		],
		[body("timezone: ${env:X:-UTC}\ntables: { a: {} }"), ["is not a reference"]],
		[body("timezone: ${file:/dev/zero}\ntables: { a: {} }"), ["E_MISSING_VARIABLE", "is not a regular file"]],
		[
			body("timezone: ${file:no/such}\ntables: { a: {} }"),
			["E_MISSING_VARIABLE the file of ${file:no/such} does not exist"],
		],
		[
			body("tables:\n  q:\n    mode: interval\n    query: |\n      select 1\n        where d = '{{ dss }}'\n"),
			["8:20 E_TEMPLATE {{ dss }}: unknown variable"],
		],
		[body("tables:\n  q: { query: \"select '{{ dss }}'\" }"), ["4:24 E_TEMPLATE"]],
		[body("tables:\n  q:\n    query: select {{ dss }}"), ["5:19 E_TEMPLATE"]],
		[body("tables:\n  q:\n    query: >\n      select\n      {{ dss }}"), ["5:12 E_TEMPLATE"]],
		[body("defaults: { where: 'x = {{ dss }}' }\ntables: { a: {}, b: {} }"), ["3:25 E_TEMPLATE"]],
	] as [string, string[]][])("%s", async (text, expected) => {
		const all = (await shown(text)).join("\n");
		for (const part of expected) expect(all).toContain(part);
	});

	test("all faults of a file come at once, in the order of the file", async () => {
		const faults = await faultsOf(() =>
			check(
				"pipeline: x\nform: a\nto: nowhere\ntables:\n  a.b: { mode: incremental }\n  c.d: { mod: x }\nretries: x\n",
			),
		);
		expect(faults.map((fault) => `${fault.place.line}:${fault.place.column} ${fault.code}`)).toEqual([
			"1:1 E_INVALID_VALUE",
			"2:1 E_UNKNOWN_KEY",
			"3:5 E_UNKNOWN_CONNECTION",
			"5:3 E_CURSOR_REQUIRED",
			"6:10 E_UNKNOWN_KEY",
			"7:10 E_INVALID_VALUE",
		]);
	});

	test("a fault brings no second one that follows from it", async () => {
		const lines = async (text: string) => (await shown(text)).map((line) => line.split(" ").slice(0, 2).join(" "));
		expect(await lines(body("concurrency: ${env:NOPE}\ntimezone: ${env:NOPE}\ntables: { a: {} }"))).toEqual([
			"3:14 E_MISSING_VARIABLE",
			"4:11 E_MISSING_VARIABLE",
		]);
		expect(await lines(body("defaults: { crusor: x }\ntables: { a: { mode: incremental } }"))).toEqual([
			"3:13 E_UNKNOWN_KEY",
		]);
		expect(await lines(body("schedule: continuous\ntables: { a: { mode: cdk } }"))).toEqual(["4:22 E_INVALID_VALUE"]);
		expect(await lines("to: ./b\ntables: { a: { mod: x } }")).toEqual(["1:1 E_INVALID_VALUE", "2:16 E_UNKNOWN_KEY"]);
	});

	test("a value that came from a reference is in no message", async () => {
		const text = body("concurrency: ${env:SHOP_PASSWORD}\ntimezone: ${env:DW_PASSWORD}\ntables: { a: {} }");
		const all = (await shown(text)).join("\n");
		expect(all).toContain('not "${env:SHOP_PASSWORD}"');
		expect(all).not.toContain("p@ss");
	});

	test("what may be written", async () => {
		const pipeline = await check(
			body(
				`
concurrency: "\${env:N}"
catchup: \${env:YES}
memory: 256MB
retries: 0
params: { who: me, n: 3, b: true, escaped: "$\${env:N}" }
types: { nan: null, infinity: "null", invalid_text: replace }
flush: { seconds: "0.5" }
common: &x
`.replace("common: &x\n", "") +
					`tables:
  a.b: &one { key: [a, b], overlap: 1h, allow_empty: true, types: { mode: string, zero_date: string } }
  a.c: { <<: *one, key: c, where: "d < {{ ds }}" }
  a.d:
  a.e: { mode: cdc, deletes: soft, columns: { constructor: drop, toString: { rename: x, type: "decimal(10,2)" } } }
  constructor: {}
  7: skip
checks:
  - { table: x, rows: 5 }
  - { table: x, rows: "<= 5", unique: a }
`,
			),
		);
		expect(pipeline).toMatchObject({
			name: "shop",
			concurrency: 7,
			catchup: true,
			memoryBytes: 256_000_000,
			retries: 0,
			params: { who: "me", n: 3, b: true, escaped: "${env:N}" },
			types: { nan: "null", infinity: "null", invalidText: "replace", zeroDate: "null" },
			flush: { intervalMs: 500, rows: 250_000 },
			from: { type: "file", path: "/project/in" },
			to: { type: "duckdb", path: "/project/out.duckdb" },
		});
		const [b, c, d, e] = pipeline.tables.slice(1);
		expect(pipeline.tables.map((rule) => rule.pattern)).toEqual(["7", "a.b", "a.c", "a.d", "a.e", "constructor"]);
		expect(b!.options).toMatchObject({ key: ["a", "b"], overlapMs: 3_600_000, allowEmpty: true });
		expect(b!.options.types).toMatchObject({ mode: "string", zeroDate: "string", nan: "null" });
		expect(c!.options).toMatchObject({ key: ["c"], overlapMs: 3_600_000, where: "d < {{ ds }}" });
		expect(d!.options.mode).toBe("full");
		expect(e!.options).toMatchObject({ mode: "cdc", deletes: "soft" });
		expect(e!.options.columns.get("constructor")).toEqual({ drop: true });
		expect(e!.options.columns.get("toString")!.type).toEqual({ kind: "decimal", precision: 10, scale: 2 });
		expect(pipeline.checks.map((each) => each.assertion)).toEqual([
			{ kind: "rows", operator: "=", count: 5 },
			{ kind: "rows", operator: "<=", count: 5 },
			{ kind: "unique", columns: ["a"] },
		]);
	});
});

test("what says how others are read is not inherited by a table of mode cdc, nor its deletes by others", async () => {
	const text = `defaults: { mode: incremental, cursor: c, late: 1m, deletes: soft }
tables: { a.b: { mode: cdc }, a.c: {} }
`;
	const [followed, other] = (await check(body(text))).tables;
	expect(followed!.options).toMatchObject({ mode: "cdc", deletes: "soft" });
	expect(followed!.options).not.toHaveProperty("cursor");
	expect(followed!.options).not.toHaveProperty("lateMs");
	expect(other!.options).toMatchObject({ mode: "incremental", cursor: "c", lateMs: 60_000 });
	expect(other!.options).not.toHaveProperty("deletes");
});

test("before_images of the defaults is for the tables whose changes are kept as rows", async () => {
	const text = `defaults: { mode: cdc, write: append, before_images: true }
tables: { a.b: {}, a.c: { write: history }, a.d: { mode: full, write: replace } }
`;
	const { tables } = await check(body(text));
	expect(tables.map(({ options }) => options.beforeImages)).toEqual([true, false, false]);
});

test("a pipeline that was written is read as the same", async () => {
	const text = await pipelineText({
		tables: { "*.x": {}, "a.b": "skip" },
		to: "duckdb:o.duckdb",
		from: "./in",
		pipeline: "copied",
	});
	expect(text).toMatch(/^# yaml-language-server.*\npipeline: copied\nfrom: \.\/in\nto: duckdb:o.duckdb\n/);
	const pipeline = await check(text);
	expect(pipeline.tables.map((rule) => [rule.pattern, rule.skip])).toEqual([
		["*.x", false],
		["a.b", true],
	]);
	expect(parseAddress("./in", "/project")).toMatchObject({ type: "file" });
});
