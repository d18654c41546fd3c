import { type ErrorPlace, HeadraceError } from "../core/errors.ts";
import type { TableName } from "../core/index.ts";
import { durationMs } from "./durations.ts";
import { invalidValue } from "./issues.ts";
import { splitDotted } from "./patterns.ts";
import type { Assertion, DataCheck, Dependency, Hook, Hooks, Summary } from "./policy.ts";
import type { OwnCheck, OwnHooks, OwnSummary } from "./policy-options.ts";
import type { Path, Positions } from "./positions.ts";
import { listOf } from "./table-options.ts";
import { hasTemplate, TABLE_VARIABLE } from "./template-names.ts";

/** Checks SQL with templates; `relations` are the names that stand for a table in it. */
export type TemplateCheck = (
	text: string,
	placeAt: (line: number, column: number) => ErrorPlace,
	relations?: readonly string[],
) => readonly HeadraceError[];

export interface PolicyContext {
	readonly positions: Positions;
	/** Absent when the file has no template. */
	readonly check: TemplateCheck | undefined;
	readonly faults: HeadraceError[];
}

/** The entries of `checks`, one for each of their claims. */
export function dataChecks(entries: readonly OwnCheck[], context: PolicyContext): DataCheck[] {
	return entries.flatMap((entry, index) => {
		const path = ["checks", index];
		const place = context.positions.value([...path, "table"]);
		const table = tableName(entry.table, "table", place, context);
		return table === undefined ? [] : claimsOf(entry, table, entry.table, path, context);
	});
}

function claimsOf(
	entry: Omit<OwnCheck, "table">,
	table: TableName,
	shownTable: string,
	path: Path,
	context: PolicyContext,
): DataCheck[] {
	const { positions, faults } = context;
	const place = positions.value(path);
	const claims = assertionsOf(entry, path, context);
	if (claims.length === 0)
		faults.push(
			invalidValue(
				`the check of ${shownTable} checks nothing; give rows, not_null, unique, accepted, range, freshness or sql`,
				place,
			),
		);
	return claims.map(({ assertion, at }) => {
		const label = labelOf(assertion);
		const name = entry.name === undefined ? `${shownTable} ${label}` : `${entry.name} ${label}`;
		return {
			name: entry.name !== undefined && claims.length === 1 ? entry.name : name,
			table,
			severity: entry.severity ?? "error",
			assertion,
			place: at.line === undefined ? place : at,
		};
	});
}

interface Claim {
	readonly assertion: Assertion;
	readonly at: ErrorPlace;
}

function assertionsOf(entry: Omit<OwnCheck, "table">, path: Path, context: PolicyContext): Claim[] {
	const { positions, faults } = context;
	const claims: Claim[] = [];
	const add = (key: Path, assertion: Assertion) => claims.push({ assertion, at: positions.key([...path, ...key]) });
	if (entry.rows !== undefined) {
		const [, operator, count] = /^\s*([=!<>]*)\s*(\d+)\s*$/.exec(String(entry.rows)) ?? [];
		type Operator = Extract<Assertion, { kind: "rows" }>["operator"];
		add(["rows"], { kind: "rows", operator: (operator || "=") as Operator, count: Number(count) });
	}
	for (const column of listOf(entry.not_null ?? [])) add(["not_null"], { kind: "not_null", column });
	if (entry.unique !== undefined) add(["unique"], { kind: "unique", columns: listOf(entry.unique) });
	for (const [column, values] of Object.entries(entry.accepted ?? {})) {
		const texts = values.map((value, index) => valueText(value, [...path, "accepted", column, index], positions));
		add(["accepted", column], { kind: "accepted", column, values: texts });
	}
	for (const [column, { min, max }] of Object.entries(entry.range ?? {})) {
		const at = [...path, "range", column];
		if (min === undefined && max === undefined)
			faults.push(invalidValue(`the range of ${column} has neither min nor max`, positions.key(at)));
		add(["range", column], {
			kind: "range",
			column,
			...(min !== undefined && { min: valueText(min, [...at, "min"], positions) }),
			...(max !== undefined && { max: valueText(max, [...at, "max"], positions) }),
		});
	}
	for (const [column, age] of Object.entries(entry.freshness ?? {}))
		add(["freshness", column], { kind: "freshness", column, ageMs: durationMs(age)! });
	if (entry.sql !== undefined) {
		add(["sql"], { kind: "sql", sql: entry.sql });
		checkTemplates(entry.sql, [...path, "sql"], context, [TABLE_VARIABLE]);
	}
	return claims;
}

/** A number as it is written: YAML's own number may have lost digits. */
function valueText(value: string | number | boolean, path: Path, positions: Positions): string {
	if (typeof value !== "number") return String(value);
	const written = positions.source(path);
	return written !== undefined && /^[-+]?\d+(?:\.\d+)?$/.test(written) ? written : String(value);
}

function labelOf(assertion: Assertion): string {
	switch (assertion.kind) {
		case "rows":
			return `rows ${assertion.operator} ${assertion.count}`;
		case "unique":
			return `unique ${assertion.columns.join(", ")}`;
		case "sql":
			return "sql";
		default:
			return `${assertion.kind} ${assertion.column}`;
	}
}

/** The entries of `summaries`, each after those that it depends on. */
export function summaries(
	entries: Readonly<Record<string, OwnSummary>>,
	tables: readonly string[],
	context: PolicyContext,
): Summary[] {
	const { positions, faults } = context;
	const all = Object.entries(entries).flatMap(([name, entry]): Summary[] => {
		const path: Path = ["summaries", name];
		const place = positions.key(path);
		if (tables.includes(name))
			faults.push(new HeadraceError("E_NAME_COLLISION", `${name} is the name of a table and of a summary`, place));
		const into = tableName(entry.into, `into of summary ${name}`, positions.value([...path, "into"]), context);
		checkTemplates(entry.query, [...path, "query"], context);
		if (into === undefined) return [];
		const checks = checksOfSummary(entry, into, path, context);
		const dependsOn = entry.depends_on?.map(
			(text, index): Dependency => ({ text, place: positions.value([...path, "depends_on", index]) }),
		);
		return [
			{
				name,
				into,
				query: entry.query,
				key: entry.key === undefined ? [] : listOf(entry.key),
				checks,
				...(dependsOn !== undefined && { dependsOn }),
				place,
				queryPlace: positions.value([...path, "query"]),
			},
		];
	});
	return inOrder(all, faults);
}

function checksOfSummary(entry: OwnSummary, into: TableName, path: Path, context: PolicyContext): DataCheck[] {
	const place = context.positions.key(path);
	const claim = (assertion: Assertion): DataCheck => ({
		name: `${entry.into} ${labelOf(assertion)}`,
		table: into,
		severity: "error",
		assertion,
		place,
	});
	const key = entry.key === undefined ? [] : listOf(entry.key);
	return [
		...key.map((column) => claim({ kind: "not_null", column })),
		...(key.length === 0 ? [] : [claim({ kind: "unique", columns: key })]),
		...(entry.checks === undefined
			? [claim({ kind: "rows", operator: ">", count: 0 })]
			: entry.checks.flatMap((check, index) => claimsOf(check, into, entry.into, [...path, "checks", index], context))),
	];
}

/** Depth first; a summary that comes upon itself is a cycle. */
function inOrder(all: readonly Summary[], faults: HeadraceError[]): Summary[] {
	const byName = new Map(all.map((summary) => [summary.name, summary]));
	const done = new Set<Summary>();
	const visit = (summary: Summary, way: readonly Summary[]): void => {
		for (const { text, place } of summary.dependsOn ?? []) {
			const next = byName.get(text);
			if (next === undefined || done.has(next)) continue;
			const before = [...way, summary];
			const start = before.indexOf(next);
			if (start < 0) visit(next, before);
			else {
				const names = [...before.slice(start), next].map(({ name }) => name);
				faults.push(invalidValue(`summaries depend on each other in a circle: ${names.join(" → ")}`, place));
			}
		}
		done.add(summary);
	};
	for (const summary of all) if (!done.has(summary)) visit(summary, []);
	return [...done];
}

/** The statements of `hooks`, each with its place. */
export function hooksOf(
	own: OwnHooks | undefined,
	path: Path,
	context: PolicyContext,
	relations: readonly string[] = [],
): Hooks {
	const list = (when: "before" | "after"): Hook[] =>
		(own?.[when] ?? []).map(({ on, sql }, index) => {
			const at: Path = [...path, when, index];
			const statements = listOf(sql).map((text, position) => {
				const sqlPath = typeof sql === "string" ? [...at, "sql"] : [...at, "sql", position];
				checkTemplates(text, sqlPath, context, on === "destination" ? relations : []);
				return { sql: text, place: context.positions.value(sqlPath) };
			});
			return { on, statements, place: context.positions.value(at) };
		});
	return { before: list("before"), after: list("after") };
}

function checkTemplates(sql: string, path: Path, context: PolicyContext, relations: readonly string[] = []): void {
	if (!hasTemplate(sql) || context.check === undefined) return;
	const placeAt = (line: number, column: number) => context.positions.within(path, line, column);
	context.faults.push(...context.check(sql, placeAt, relations));
}

function tableName(text: string, what: string, place: ErrorPlace, context: PolicyContext): TableName | undefined {
	const parts = splitDotted(text);
	if (parts !== undefined && parts.length <= 2 && parts.every((part) => part.text !== "")) {
		const name = parts.at(-1)!.text;
		return { schema: parts.length === 2 ? parts[0]!.text : "", name };
	}
	const shown = JSON.stringify(text.slice(0, 120));
	context.faults.push(invalidValue(`${what} ${shown} is not a name such as raw.orders`, place));
	return undefined;
}

/** Faults of the masks in a table's columns that need no connection. */
export function maskFaults(
	columns: ReadonlyMap<string, { readonly mask?: string; readonly secret?: unknown; readonly keep?: number }>,
	name: string,
	at: (column: string) => ErrorPlace,
): HeadraceError[] {
	const faults: HeadraceError[] = [];
	for (const [column, { mask, secret, keep }] of columns) {
		if (mask === "hmac" && secret === undefined)
			faults.push(invalidValue(`the mask of column ${column} of ${name} needs a secret`, at(column)));
		if (mask !== "hmac" && secret !== undefined)
			faults.push(invalidValue(`the secret of column ${column} of ${name} is not used; add mask: hmac`, at(column)));
		if (mask !== "partial" && keep !== undefined)
			faults.push(invalidValue(`keep of column ${column} of ${name} is not used; add mask: partial`, at(column)));
	}
	return faults;
}
