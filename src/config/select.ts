import { HeadraceError, HeadraceErrors } from "../core/errors.ts";
import { qualified, type TableName } from "../core/table.ts";
import { fillInto } from "./into.ts";
import { matchesPattern, parsePattern, type TablePattern } from "./patterns.ts";
import type { CheckedPipeline, SelectedTable, TableRule } from "./pipeline.ts";
import { nearest } from "./suggest.ts";

export interface Selection {
	/** In the order of the source's list, queries last in the order of the file. */
	readonly tables: readonly SelectedTable[];
	/** Patterns that no table matches: E_UNKNOWN_TABLE, for a line of the report. */
	readonly warnings: readonly HeadraceError[];
}

export interface SelectionOptions {
	/** Schema of a name that is written without one; without it such a name stands for any schema. */
	readonly defaultSchema?: string;
}

interface Rule {
	readonly rule: TableRule;
	readonly pattern: TablePattern;
	readonly order: number;
	matched: boolean;
}

/**
 * Which of the source's tables the pipeline takes, with the options of each. An exact name beats a pattern, a longer
 * pattern a shorter, of equal ones the later wins.
 * @throws HeadraceErrors with E_UNKNOWN_TABLE for each exact name that does not exist, and when nothing is selected
 */
export function resolveTables(
	pipeline: CheckedPipeline,
	available: readonly TableName[],
	options: SelectionOptions = {},
): Selection {
	const entries = pipeline.tables.filter((rule) => rule.options.query === undefined);
	const rules: Rule[] = entries.map((rule, order) => ({
		rule,
		pattern: parsePattern(rule.pattern),
		order,
		matched: false,
	}));
	const tables: SelectedTable[] = [];
	for (const table of available) {
		const winner = winnerOf(rules, table, available, options.defaultSchema);
		if (winner === undefined || winner.skip) continue;
		const into = intoOf(pipeline, winner, table);
		tables.push({ kind: "table", source: table, into, options: winner.options, rule: winner });
	}
	const errors: HeadraceError[] = [];
	const warnings: HeadraceError[] = [];
	for (const { rule, pattern, matched } of rules)
		if (!matched) (pattern.exact ? errors : warnings).push(unknownTable(rule, pattern, available));
	for (const rule of pipeline.tables) {
		const query = rule.options.query;
		if (query === undefined || rule.skip) continue;
		const source = querySource(pipeline, rule);
		const into = intoOf(pipeline, rule, source);
		tables.push({ kind: "query", source, into, query, options: rule.options, rule });
	}
	if (errors.length > 0) throw new HeadraceErrors(errors);
	if (tables.length === 0)
		throw new HeadraceErrors([
			new HeadraceError(
				"E_UNKNOWN_TABLE",
				available.length === 0
					? `the source of the pipeline ${pipeline.name} has no table that its user can see`
					: `pipeline ${pipeline.name} takes no table: none of the source's ${available.length} tables matches an entry of tables that is not skip`,
				{
					...(pipeline.tables[0]?.place ?? {}),
					hint:
						available.length === 0
							? "Check the database that the address names, or grant the reader the right to see the tables."
							: "Mend the patterns, or grant the reader the right to see the tables.",
				},
			),
		]);
	return { tables, warnings };
}

/** The entry that takes a table of the source, and where it goes; null when none does. For tables that are known to be. */
export function selectedTable(
	pipeline: CheckedPipeline,
	source: TableName,
): { readonly rule: TableRule; readonly into: TableName } | null {
	const rule = tableRule(pipeline, qualified(source));
	return rule === undefined || rule.skip ? null : { rule, into: intoOf(pipeline, rule, source) };
}

/** The entry of `tables` that a table of a receipt (`schema.name`) belongs to; undefined when there is none any more. */
export function tableRule(pipeline: CheckedPipeline, table: string): TableRule | undefined {
	const query = pipeline.tables.find(
		(rule) => rule.options.query !== undefined && qualified(querySource(pipeline, rule)) === table,
	);
	if (query !== undefined) return query;
	const dot = table.indexOf(".");
	const name = { schema: table.slice(0, Math.max(0, dot)), name: table.slice(dot + 1) };
	const rules = pipeline.tables
		.filter((rule) => rule.options.query === undefined)
		.map((rule, order) => ({ rule, pattern: parsePattern(rule.pattern), order, matched: false }));
	return winnerOf(rules, name, [name], undefined);
}

function winnerOf(
	rules: readonly Rule[],
	table: TableName,
	available: readonly TableName[],
	defaultSchema: string | undefined,
): TableRule | undefined {
	let best: Rule | undefined;
	for (const candidate of rules) {
		const { pattern } = candidate;
		if (!matchesPattern(pattern, table)) continue;
		// A plain name means the default schema's table when that has one, else that of any schema.
		const elsewhere =
			pattern.exact && pattern.schema === undefined && defaultSchema !== undefined && table.schema !== defaultSchema;
		if (elsewhere && available.some(({ schema, name }) => schema === defaultSchema && name === table.name)) continue;
		candidate.matched = true;
		if (best === undefined || rank(candidate) >= rank(best)) best = candidate;
	}
	return best?.rule;
}

/** Larger wins; of equal ones the later. */
function rank({ pattern }: Rule): number {
	if (!pattern.exact) return pattern.source.length;
	return pattern.schema === undefined ? 1e9 : 2e9;
}

function unknownTable(rule: TableRule, pattern: TablePattern, available: readonly TableName[]): HeadraceError {
	if (!pattern.exact) {
		const message = `no table of the source matches ${rule.pattern}`;
		return new HeadraceError("E_UNKNOWN_TABLE", message, { ...rule.place, table: rule.pattern });
	}
	const names = available.map(pattern.schema === undefined ? (table) => table.name : qualified);
	const written = pattern.schema === undefined ? pattern.name.text : `${pattern.schema.text}.${pattern.name.text}`;
	const near = nearest(written, names);
	const meant = near === undefined ? "" : `; did you mean ${near}?`;
	const message = `the source has no table ${rule.pattern}${meant}`;
	return new HeadraceError("E_UNKNOWN_TABLE", message, { ...rule.place, table: rule.pattern });
}

/** A query's name; its schema is the one it is written with, or the source's database or schema. */
export function querySource(pipeline: CheckedPipeline, rule: TableRule): TableName {
	const pattern = parsePattern(rule.pattern);
	if (pattern.schema !== undefined) return { schema: pattern.schema.text, name: pattern.name.text };
	const { from } = pipeline;
	const own = ("schema" in from ? from.schema : undefined) ?? ("database" in from ? from.database : undefined);
	return { schema: own ?? from.name, name: pattern.name.text };
}

function intoOf(pipeline: CheckedPipeline, rule: TableRule, source: TableName): TableName {
	if (rule.options.into === undefined) return source;
	try {
		return fillInto(rule.options.into, {
			schema: source.schema,
			table: source.name,
			source: pipeline.from.name,
			pipeline: pipeline.name,
		});
	} catch (error) {
		throw error instanceof HeadraceError ? error.at(rule.places["into"] ?? rule.place) : error;
	}
}
