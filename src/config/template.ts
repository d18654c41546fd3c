import { Liquid } from "liquidjs";
import { type ErrorPlace, HeadraceError } from "../core/errors.ts";
import { isWord, type SqlDialect, type SqlPart, SqlQuoteError, splitSql, type TemplateSite } from "./sql-quotes.ts";
import { didYouMean } from "./suggest.ts";
import { DATE_FILTERS, FilterError, SAFE_FILTERS } from "./template-filters.ts";
import { INTERVAL_VARIABLES, namesIn, TEMPLATE_VARIABLES } from "./template-names.ts";
import { isTimezone, wallOf } from "./zones.ts";

export type TemplateValue = string | number | boolean | null;

/** Values of a run's templates. */
export interface TemplateValues {
	readonly variables: Readonly<Record<string, TemplateValue>>;
	readonly params: Readonly<Record<string, TemplateValue>>;
	/** SQL names of tables, quoted already: `this`. They stand in code only, as they are. */
	readonly relations?: Readonly<Record<string, string>>;
}

export interface TemplateInput {
	/** UTC, ISO 8601 with Z; without it the variables of the interval are an error. */
	readonly interval?: { readonly start: string; readonly end: string };
	readonly runId: string;
	readonly params?: Readonly<Record<string, TemplateValue>>;
	/** `ds` is the day of the interval's start in it; times are UTC. */
	readonly timezone: string;
}

/**
 * The variables of a run: `ds` (2026-01-01) and `ds_nodash` in the time zone; `interval_start`, `interval_end`
 * (2026-01-01 00:00:00, UTC) with Airflow's names for them, and `ts` (2026-01-01T00:00:00+00:00).
 * @throws E_INVALID_VALUE
 */
export function templateValues(input: TemplateInput): TemplateValues {
	const params = { ...input.params };
	if (input.interval === undefined) return { variables: { run_id: input.runId }, params };
	const [startMs, endMs] = [Date.parse(input.interval.start), Date.parse(input.interval.end)];
	if (Number.isNaN(startMs) || Number.isNaN(endMs) || !isTimezone(input.timezone))
		throw new HeadraceError("E_INVALID_VALUE", "an interval has no valid start, end or time zone");
	const utc = (instantMs: number) =>
		new Date(instantMs)
			.toISOString()
			.replace("T", " ")
			.replace(/(?:\.000)?Z$/, "");
	const day = new Date(wallOf(input.timezone, startMs)).toISOString().slice(0, 10);
	const [start, end] = [utc(startMs), utc(endMs)];
	const variables = {
		ds: day,
		ds_nodash: day.replaceAll("-", ""),
		ts: `${start.replace(" ", "T")}+00:00`,
		interval_start: start,
		interval_end: end,
		execution_date: start,
		logical_date: start,
		data_interval_start: start,
		data_interval_end: end,
		run_id: input.runId,
	};
	return { variables, params };
}

/** A fault of a template before it is known where its text is written. */
class TemplateFault extends Error {
	readonly offset: number;
	constructor(message: string, offset: number) {
		super(message);
		this.offset = offset;
	}
}

const EXPRESSION_LENGTH_MAX = 1000;
const VALUE_LENGTH_MAX = 100_000;

const VALUE = String.raw`(?:[A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*|\[(?:"[^"]*"|'[^']*')\])*|"[^"]*"|'[^']*'|-?\d+(?:\.\d+)?)`;
const FILTER = String.raw`\s*\|\s*[a-z_]+(?:\s*:\s*${VALUE}(?:\s*,\s*${VALUE})*)?`;
/** A value, then filters with their arguments. */
const EXPRESSION = new RegExp(`^${VALUE}(?:${FILTER})*$`);

let engine: Liquid | undefined;

/**
 * Liquid, for single expressions only: no tag, loop or include is ever parsed, own properties only, every unknown name
 * an error, and no filter that is not on the list.
 */
function liquid(): Liquid {
	if (engine !== undefined) return engine;
	engine = new Liquid({
		ownPropertyOnly: true,
		strictVariables: true,
		strictFilters: true,
		parseLimit: EXPRESSION_LENGTH_MAX,
		renderLimit: 1000,
		memoryLimit: VALUE_LENGTH_MAX,
		templates: {},
	});
	for (const name of Object.keys(engine.filters))
		if (!SAFE_FILTERS.some((safe) => safe === name)) delete engine.filters[name];
	for (const [name, filter] of Object.entries(DATE_FILTERS)) engine.registerFilter(name, filter);
	return engine;
}

/**
 * Fills the templates of a query in. In single quotes a value is escaped; in code it becomes a literal of its type; in
 * quoted identifiers it is escaped for that quoting; in comments and dollar quotes it is an error. Never raw text.
 * @throws E_TEMPLATE
 */
export function renderQuery(sql: string, values: TemplateValues, dialect: SqlDialect, place: ErrorPlace = {}): string {
	try {
		return partsOf(sql, dialect)
			.map((part) => (part.kind === "sql" ? part.text : renderSite(part, values, dialect)))
			.join("");
	} catch (error) {
		if (!(error instanceof TemplateFault)) throw error;
		const { line, column } = lineColumn(sql, error.offset);
		throw new HeadraceError("E_TEMPLATE", `${error.message} (line ${line}, column ${column} of the query)`, place);
	}
}

const CHECK_DIALECTS: readonly SqlDialect[] = [false, true].map((backslashEscapes) => ({
	quoteString: (text) => `'${text.replaceAll("'", "''")}'`,
	backslashEscapes,
}));

/**
 * Faults that a query's templates would have in a run, whatever its values and whichever the dialect; `placeAt` gives
 * the file's place of a line and column of the query. Any `params.x` counts as known: the command line may give it.
 */
export function checkTemplate(
	sql: string,
	placeAt: (line: number, column: number) => ErrorPlace,
	relationNames: readonly string[] = [],
): HeadraceError[] {
	const { variables } = templateValues({
		interval: { start: "2026-01-01T00:00:00Z", end: "2026-01-02T00:00:00Z" },
		runId: "0",
		timezone: "UTC",
	});
	const params: Record<string, string> = {};
	for (const [, name] of sql.matchAll(/params\.(\w+)/g)) if (name !== "__proto__") params[name!] = "1";
	const relations = Object.fromEntries(relationNames.map((name) => [name, '"t"']));
	const faults = CHECK_DIALECTS.map((dialect) => faultsOfTemplate(sql, { variables, params, relations }, dialect));
	const counted = faults[0]!.filter((fault) => faults[1]!.some((other) => other.offset === fault.offset));
	return counted.map((fault) => {
		const { line, column } = lineColumn(sql, fault.offset);
		return new HeadraceError("E_TEMPLATE", fault.message, placeAt(line, column));
	});
}

function faultsOfTemplate(sql: string, values: TemplateValues, dialect: SqlDialect): TemplateFault[] {
	const faults: TemplateFault[] = [];
	const attempt = <Result>(work: () => Result): Result | undefined => {
		try {
			return work();
		} catch (error) {
			if (!(error instanceof TemplateFault)) throw error;
			faults.push(error);
			return undefined;
		}
	};
	for (const part of attempt(() => partsOf(sql, dialect)) ?? [])
		if (part.kind === "template") attempt(() => renderSite(part, values, dialect));
	return faults;
}

function partsOf(sql: string, dialect: SqlDialect): SqlPart[] {
	if (!sql.includes("{{")) return [{ kind: "sql", text: sql }];
	try {
		return splitSql(sql, dialect);
	} catch (error) {
		throw error instanceof SqlQuoteError ? new TemplateFault(error.message, error.offset) : error;
	}
}

function lineColumn(text: string, offset: number): { line: number; column: number } {
	const before = text.slice(0, offset);
	return { line: before.split("\n").length, column: offset - before.lastIndexOf("\n") };
}

function renderSite(site: TemplateSite, values: TemplateValues, dialect: SqlDialect): string {
	const fault = (message: string) =>
		new TemplateFault(`{{ ${site.expression.trim().slice(0, 80)} }}: ${message}`, site.offset);
	if (site.context === "comment") throw fault("a template can't stand in a comment");
	if (site.context === "dollar") throw fault("a template can't stand in a dollar-quoted string; use single quotes");
	const relation = relationOf(site, values);
	if (relation !== undefined) {
		if (site.context !== "code" || touches(site.before) || touches(site.after))
			throw fault("it is the name of a table, which can't stand in quotes or right beside a name");
		return relation;
	}
	const value = evaluate(site, values, fault);
	if (site.context === "code") return literalOf(site, value, dialect, fault);
	if (value === null) throw fault("it is null, which can't stand in quotes");
	const text = String(value);
	if (text.includes("\0")) throw fault("its value has a NUL character");
	const escaped = site.backslashes ? text.replaceAll("\\", "\\\\") : text;
	const quote = { string: "'", double: '"', backtick: "`", bracket: "]" }[site.context];
	return escaped.replaceAll(quote, quote + quote);
}

function relationOf(site: TemplateSite, { relations = {} }: TemplateValues): string | undefined {
	const name = site.expression.trim();
	return Object.hasOwn(relations, name) ? relations[name] : undefined;
}

function literalOf(
	site: TemplateSite,
	value: TemplateValue,
	dialect: SqlDialect,
	fault: (message: string) => TemplateFault,
): string {
	// A literal that touches a name or another literal would become part of it: E{{ x }}, 'a'{{ x }}.
	if (touches(site.before) || touches(site.after) || site.afterLiteral)
		throw fault("it stands right beside a name or another literal; put a blank or an operator between");
	if (value === null) return "NULL";
	if (typeof value === "boolean") return value ? "TRUE" : "FALSE";
	// In brackets, so that a minus before it does not begin a comment.
	if (typeof value === "number") return value < 0 ? `(${value})` : String(value);
	if (value.includes("\0")) throw fault("its value has a NUL character");
	return dialect.quoteString(value);
}

function touches(character: string): boolean {
	return character !== "" && (isWord(character) || /['"`\\]/.test(character));
}

function evaluate(
	site: TemplateSite,
	values: TemplateValues,
	fault: (message: string) => TemplateFault,
): TemplateValue {
	const expression = site.expression.trim();
	if (expression === "") throw fault("it is empty");
	if (expression.length > EXPRESSION_LENGTH_MAX) throw fault(`it is longer than ${EXPRESSION_LENGTH_MAX} characters`);
	let value: unknown;
	try {
		value = liquid().evalValueSync(expression, { ...values.variables, params: values.params });
	} catch (error) {
		throw fault(explain(error as Error, expression, values));
	}
	// Liquid forgives what it does not understand, such as `ds ==`; a variable or value with filters is all there is.
	if (!EXPRESSION.test(expression)) throw fault("it is not a variable or value with filters");
	// Liquid's own `nil` is an object.
	if (typeof value === "object" && value !== null) value = value.valueOf();
	if (value === null || typeof value === "boolean") return value;
	if (typeof value === "number" && Number.isFinite(value)) return value;
	if (typeof value === "string" && value.length <= VALUE_LENGTH_MAX) return value;
	throw fault("it is not text, a number, true, false or null");
}

/** Liquid's message in our words, with the name that was probably meant. */
function explain(error: Error, expression: string, values: TemplateValues): string {
	const cause = (error as { originalError?: Error }).originalError ?? error;
	if (cause instanceof FilterError) return cause.message;
	const [message] = error.message.split(", line:");
	if (/\bmacros\./.test(expression)) return "macros are not offered; use filters such as {{ ds | add_days: -1 }}";
	const filter = /^undefined filter: (.*)$/.exec(message!)?.[1];
	if (filter !== undefined) {
		const known = [...SAFE_FILTERS, ...Object.keys(DATE_FILTERS)];
		return `unknown filter ${JSON.stringify(filter)}${didYouMean(filter, known, FILTER_ALIASES)}`;
	}
	const variable = /^undefined variable: (.*)$/.exec(message!)?.[1];
	if (variable === undefined) return message!;
	const name = namesIn(variable)[0] ?? variable;
	if (INTERVAL_VARIABLES.some((known) => known === name)) {
		if (variable !== name || Object.hasOwn(values.variables, name))
			return `${name} has no part ${variable.slice(name.length)}`;
		return `${name} needs an interval; give one by --interval, or take mode: interval`;
	}
	if (variable.startsWith("params.")) {
		const param = variable.slice("params.".length);
		return `params has no ${JSON.stringify(param)}${didYouMean(param, Object.keys(values.params))}`;
	}
	const known = [...TEMPLATE_VARIABLES, "params"];
	return `unknown variable ${JSON.stringify(variable)}${didYouMean(variable, known, VARIABLE_ALIASES, `; known are ${known.join(", ")}.x`)}`;
}

const FILTER_ALIASES: Readonly<Record<string, string>> = { ds_add: "add_days", strftime: "date", ds_format: "date" };

const VARIABLE_ALIASES: Readonly<Record<string, string>> = {
	prev_ds: "ds",
	next_ds: "interval_end",
	next_execution_date: "interval_end",
	start: "interval_start",
	end: "interval_end",
	dag_run: "run_id",
	date: "ds",
	var: "params",
	vars: "params",
};
