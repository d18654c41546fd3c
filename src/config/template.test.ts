import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { SqlDialect } from "./sql-quotes.ts";
import { checkTemplate, renderQuery, type TemplateValue, templateValues } from "./template.ts";
import { hasInterval } from "./template-names.ts";

const POSTGRES: SqlDialect = { quoteString: (text) => `'${text.replaceAll("'", "''")}'`, backslashEscapes: false };
const MYSQL: SqlDialect = {
	quoteString: (text) => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`,
	backslashEscapes: true,
};
const SQLSERVER: SqlDialect = { ...POSTGRES, bracketQuotes: true };

const values = (params: Record<string, TemplateValue> = {}) =>
	templateValues({
		interval: { start: "2026-01-31T00:00:00Z", end: "2026-02-01T00:00:00Z" },
		runId: "run-1",
		params: { n: 3, minus: -2, half: 1.5, yes: true, no: false, nothing: null, text: "it's \\ \" ` ]", ...params },
		timezone: "UTC",
	});

const render = (sql: string, dialect = POSTGRES, params = {}) => renderQuery(sql, values(params), dialect);

describe("values of a run", () => {
	test.each([
		["ds", "2026-01-31"],
		["ds_nodash", "20260131"],
		["ts", "2026-01-31T00:00:00+00:00"],
		["interval_start", "2026-01-31 00:00:00"],
		["interval_end", "2026-02-01 00:00:00"],
		["execution_date", "2026-01-31 00:00:00"],
		["logical_date", "2026-01-31 00:00:00"],
		["data_interval_start", "2026-01-31 00:00:00"],
		["data_interval_end", "2026-02-01 00:00:00"],
		["run_id", "run-1"],
	])("%s is %s", (name, expected) => expect(render(`x = {{ ${name} }}`)).toBe(`x = '${expected}'`));

	test("ds is the day in the time zone, times are UTC", () => {
		const berlin = templateValues({
			interval: { start: "2026-01-30T23:00:00Z", end: "2026-01-31T23:00:00Z" },
			runId: "1",
			timezone: "Europe/Berlin",
		});
		expect(renderQuery("'{{ ds }}' '{{ interval_start }}'", berlin, POSTGRES)).toBe(
			"'2026-01-31' '2026-01-30 23:00:00'",
		);
	});

	test("without an interval its variables say so", () => {
		const bare = templateValues({ runId: "1", timezone: "UTC" });
		expect(renderQuery("{{ run_id }}", bare, POSTGRES)).toBe("'1'");
		expect(() => renderQuery("{{ ds }}", bare, POSTGRES)).toThrow(/ds needs an interval/);
		expect(() => templateValues({ interval: { start: "x", end: "y" }, runId: "1", timezone: "UTC" })).toThrow(
			/no valid/,
		);
	});
});

describe("where a template stands decides how its value is written", () => {
	test.each([
		["date(c) = date('{{ ds }}')", "date(c) = date('2026-01-31')"],
		["c >= {{ interval_start }}::timestamp", "c >= '2026-01-31 00:00:00'::timestamp"],
		["limit {{ params.n }}", "limit 3"],
		["x -{{ params.minus }}", "x -(-2)"],
		["x = {{ params.half }}", "x = 1.5"],
		["x is {{ params.yes }} or {{ params.no }} or {{ params.nothing }}", "x is TRUE or FALSE or NULL"],
		["x = {{ params.text }}", "x = 'it''s \\ \" ` ]'"],
		["x = 'a {{ params.text }} b'", "x = 'a it''s \\ \" ` ] b'"],
		["x = E'{{ params.text }}'", "x = E'it''s \\\\ \" ` ]'"],
		['select "{{ params.text }}"', 'select "it\'s \\ "" ` ]"'],
		["select `{{ params.text }}`", "select `it's \\ \" `` ]`"],
		["x = 'it''s {{ ds }}' and y = {{ds}}", "x = 'it''s 2026-01-31' and y = '2026-01-31'"],
		["-- it's a comment\nx = {{ ds }}", "-- it's a comment\nx = '2026-01-31'"],
		["/* it's */ x = {{ ds }}", "/* it's */ x = '2026-01-31'"],
		["x = $$it's$$ and y = {{ ds }}", "x = $$it's$$ and y = '2026-01-31'"],
		["x = $a$ $$ $a$ and y = {{ ds }} and a$b", "x = $a$ $$ $a$ and y = '2026-01-31' and a$b"],
		["a[1] = {{ ds }} # 3", "a[1] = '2026-01-31' # 3"],
		["x between {{ ds }} and {{ ds | add_days: 1 }}", "x between '2026-01-31' and '2026-02-01'"],
		["x in ({{ds}},{{ds_nodash}})", "x in ('2026-01-31','20260131')"],
		["x = '{{ ds | date: \"%d.%m.%Y\" }}'", "x = '31.01.2026'"],
		["x = '{{ ds | date: '%Y' }}'", "x = '2026'"],
		["x = '{{ \"{{ }}\" }}'", "x = '{{ }}'"],
		["x like '{%' and y = '{a}' and {d '2026-01-01'}", "x like '{%' and y = '{a}' and {d '2026-01-01'}"],
	])("%s", (sql, expected) => expect(render(sql)).toBe(expected));

	test.each([
		["x = '{{ params.text }}'", "x = 'it''s \\\\ \" ` ]'"],
		["x = {{ params.text }}", "x = 'it''s \\\\ \" ` ]'"],
		['x = "it\\"s {{ params.text }}"', 'x = "it\\"s it\'s \\\\ "" ` ]"'],
		["x = 'it\\'s {{ ds }}'", "x = 'it\\'s 2026-01-31'"],
		["# it's\nx = {{ ds }}", "# it's\nx = '2026-01-31'"],
		["-- it's\nx = {{ ds }}", "-- it's\nx = '2026-01-31'"],
	])("MySQL: %s", (sql, expected) => expect(render(sql, MYSQL)).toBe(expected));

	test("SQL Server's brackets", () =>
		expect(render("select [{{ params.text }}] from [it's] where x = {{ ds }}", SQLSERVER)).toBe(
			"select [it's \\ \" ` ]]] from [it's] where x = '2026-01-31'",
		));

	test.each([
		["-- {{ ds }}", /can't stand in a comment/],
		["/* {{ ds }} */", /can't stand in a comment/],
		["/* /* */ {{ ds }} */", /a comment inside a comment/],
		["$$ {{ ds }} $$", /dollar-quoted/],
		["E{{ ds }}", /right beside a name/],
		["'a'{{ ds }}", /right beside/],
		["'a' {{ ds }}", /right beside/],
		["E'a'\n{{ ds }}", /right beside/],
		["{{ ds }}{{ ds }}", /right beside/],
		["{{ ds }}'a'", /right beside/],
		["{{ ds }}x", /right beside/],
		["x = '{{ params.nothing }}'", /null, which can't stand in quotes/],
		["{{ ds", /\{\{ is not closed by \}\} \(line 1, column 1 of the query\)/],
		["{{ }}", /it is empty/],
		["select 1\n  where {{ dss }}", /unknown variable "dss"; did you mean "ds"\? \(line 2, column 9 of the query\)/],
		["{{ foo_bar_baz }}", /known are ds, ds_nodash/],
		["{{ next_ds }}", /did you mean "interval_end"/],
		["{{ params.m }}", /params has no "m"; did you mean "n"/],
		["{{ ds | add_dayz: 1 }}", /unknown filter "add_dayz"; did you mean "add_days"/],
		["{{ macros.ds_add(ds, 1) }}", /macros are not offered/],
		["{{ ds.year }}", /ds has no part \.year/],
		["{{ ds | add_days: 'x' }}", /add_days needs a whole number/],
		["{{ ds | add_days: 9999999 }}", /leaves the years/],
		["{{ params.n | add_days: 1 }}", /add_days needs a day or time/],
		["{{ ds | date }}", /needs a format/],
		["{{ ds | date: '%Q' }}", /does not know %Q/],
		["{{ params.n | divided_by: 0 }}", /not text, a number/],
		["{{ params }}", /not text, a number/],
		[`{{ "${"a".repeat(1200)}" }}`, /longer than 1000/],
		["{{ ds == }}", /E?/],
	])("%s is refused", (sql, message) => expect(() => render(sql)).toThrow(message));

	test("MySQL: -- without a blank is refused", () =>
		expect(() => render("x = 5--'{{ ds }}'", MYSQL)).toThrow(/write a blank after --/));

	test("a NUL in a value is refused", () => {
		expect(() => render("x = {{ params.z }}", POSTGRES, { z: "a\0b" })).toThrow(/NUL/);
		expect(() => render("x = '{{ params.z }}'", POSTGRES, { z: "a\0b" })).toThrow(/NUL/);
	});

	test("text without templates is untouched, whatever is in it", () =>
		expect(render("select '/* /* {% include x %} -- ${y}")).toBe("select '/* /* {% include x %} -- ${y}"));
});

describe("filters", () => {
	test.each([
		["ds | add_days: -31", "2025-12-31"],
		["ds | add_months: 1", "2026-02-28"],
		["ds | add_months: -13", "2024-12-31"],
		["interval_start | add_hours: -1", "2026-01-30 23:00:00"],
		["interval_start | add_minutes: 90", "2026-01-31 01:30:00"],
		["ds | add_hours: 5", "2026-01-31 05:00:00"],
		["ts | add_days: '1'", "2026-02-01T00:00:00+00:00"],
		[
			'ds | date: "%j %a %b %e %y %u %w %F %T %B %A %s %%"',
			"031 Sat Jan 31 26 6 6 2026-01-31 00:00:00 January Saturday 1769817600 %",
		],
		["ds | upcase | append: '-x' | replace: '-', '/'", "2026/01/31/x"],
		["params.z | default: 'a'", "a"],
	])("%s", (expression, expected) =>
		expect(render(`x = '{{ ${expression} }}'`, POSTGRES, { z: null })).toBe(`x = '${expected}'`),
	);

	test("arithmetic stays a number", () => expect(render("limit {{ params.n | times: 2 | plus: 1 }}")).toBe("limit 7"));
});

describe("the sandbox", () => {
	test.each([
		'{{ params.constructor.constructor("return process")() }}',
		"{{ params.constructor }}",
		"{{ params.__proto__ }}",
		'{{ params["__proto__"] }}',
		"{{ constructor }}",
		"{{ __proto__ }}",
		"{{ toString }}",
		"{{ ds.constructor }}",
		"{{ ds.__proto__.constructor }}",
		"{{ ds | constructor }}",
		"{{ ds | __proto__ }}",
		"{{ ds | toString }}",
		"{{ ds | inspect }}",
		"{{ ds | raw }}",
		"{{ ds | json }}",
		"{{ (1..100000000) | join: ',' }}",
		"{{ (1..3) }}",
		"{{ ds | split: '' }}",
		"{{ include 'x' }}",
		"{{ ds %} {% for i in (1..9) %} }}",
		"{{ process.env.PATH }}",
		"{{ ds\u0007 }}",
	])("%s is refused", (sql) => {
		const started = performance.now();
		expect(() => render(sql)).toThrow(/\{\{/);
		expect(performance.now() - started).toBeLessThan(500);
	});

	test("tags are plain text, never run", () =>
		expect(render("{% for i in (1..9) %}x{% endfor %} {{ ds }}")).toBe(
			"{% for i in (1..9) %}x{% endfor %} '2026-01-31'",
		));

	test("a value with a template in it is not rendered again", () =>
		expect(render("x = {{ params.z }}", POSTGRES, { z: "{{ ds }}" })).toBe("x = '{{ ds }}'"));

	test("text that grows without end is stopped", () => {
		const grow = Array.from({ length: 28 }, () => `replace: 'a', 'aaaaaaaaaa'`).join(" | ");
		expect(() => render(`x = {{ 'a' | ${grow} }}`)).toThrow(/\{\{/);
	});
});

/** Takes SQL apart as the engine does and gives the texts of its string literals, to see that no value breaks out. */
function literals(sql: string, backslashes: boolean): string[] | undefined {
	const found: string[] = [];
	for (let at = 0; at < sql.length; at++) {
		if (sql[at] !== "'") continue;
		let text = "";
		for (at++; ; at++) {
			if (at >= sql.length) return undefined;
			if (backslashes && sql[at] === "\\") text += sql[++at];
			else if (sql[at] !== "'") text += sql[at];
			else if (sql[at + 1] === "'") text += sql[at++];
			else break;
		}
		found.push(text);
	}
	return found;
}

test("law: no value leaves its literal", () => {
	const hostile = fc.string({ unit: fc.constantFrom("'", "\\", '"', "`", ";", "-", "x", "\n", "%", "{", "}", "é") });
	fc.assert(
		fc.property(hostile, fc.constantFrom(POSTGRES, MYSQL), (text, dialect) => {
			const sql = render("a = {{ params.z }} and b = '<{{ params.z }}>' and c = 'end'", dialect, { z: text });
			expect(literals(sql, dialect.backslashEscapes)).toEqual([text, `<${text}>`, "end"]);
		}),
		{ numRuns: 500 },
	);
});

test.each([
	["where d = '{{ ds }}'", true],
	["where d = {{ interval_start | date: '%Y' }}", true],
	["{{ params.x }} {{ data_interval_end }}", true],
	["{{ params.ds }}", false],
	["{{ 'ds' }}", false],
	["{{ run_id }}", false],
	["ds", false],
	["{{ ds", false],
	[`${"{{".repeat(50_000)}`, false],
])("hasInterval %#", (sql, expected) => expect(hasInterval(sql)).toBe(expected));

test("checkTemplate finds every fault and knows any parameter", () => {
	const faults = checkTemplate(
		"select {{ dss }}\nfrom {{ params.any }} where {{ ds | foo }} -- {{ ds }}",
		(line, column) => ({
			line,
			column,
		}),
	);
	expect(faults.map((fault) => [fault.code, fault.place.line, fault.place.column])).toEqual([
		["E_TEMPLATE", 1, 8],
		["E_TEMPLATE", 2, 29],
		["E_TEMPLATE", 2, 47],
	]);
	expect(checkTemplate("{{ ds ", () => ({}))).toHaveLength(1);
	// A # begins a comment in MySQL only: what only one dialect refuses is left to the run.
	expect(checkTemplate("x #> {{ ds }}", () => ({}))).toEqual([]);
});
