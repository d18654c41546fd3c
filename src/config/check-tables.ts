import { typeName } from "../core/column-type.ts";
import { type ErrorPlace, HeadraceError } from "../core/errors.ts";
import { checkCdc } from "./check-cdc.ts";
import { hooksOf, maskFaults, type TemplateCheck } from "./check-policy.ts";
import { placed, type Settings } from "./check-settings.ts";
import { collecting } from "./connections.ts";
import { fillInto } from "./into.ts";
import { invalidValue } from "./issues.ts";
import type { OwnTableOptions, PipelineOptions } from "./options.ts";
import { parsePattern } from "./patterns.ts";
import type { TableOptions, TableRule } from "./pipeline.ts";
import { type Path, type Positions, pathText } from "./positions.ts";
import { intervalLength } from "./schedules.ts";
import { type MergeBase, mergeOptions, optionPlaces } from "./table-options.ts";
import { hasInterval, hasTemplate, TABLE_VARIABLE } from "./template-names.ts";

export interface TablesContext {
	readonly base: MergeBase;
	readonly positions: Positions;
	readonly settings: Settings;
	readonly check: TemplateCheck | undefined;
	/** False when `defaults` has a fault of its own, so that what it would have given is not missed here. */
	readonly defaultsKnown: boolean;
	/** The source is files, which are new or changed as wholes: an incremental table needs no cursor. */
	readonly files: boolean;
}

type Entry = PipelineOptions["tables"][string];

/** The entries of `tables` in order; what is wrong with them goes on the list of faults. */
export function checkTables(
	tables: Readonly<Record<string, Entry>>,
	context: TablesContext,
	faults: HeadraceError[],
): TableRule[] {
	const { positions, settings } = context;
	if (Object.keys(tables).length === 0 && faults.length === 0)
		faults.push(invalidValue("tables is empty; name a table, or a pattern such as prod.*", positions.key(["tables"])));
	const rules = Object.entries(tables).map(([name, entry]) => tableRule(name, entry, context, faults));
	if (settings.schedule !== undefined && rules.some((rule) => !rule.skip && rule.options.mode === "interval"))
		collecting(faults, () => placed(positions.value(["schedule"]), () => intervalLength(settings.schedule)));
	return rules;
}

function tableRule(name: string, entry: Entry, context: TablesContext, faults: HeadraceError[]): TableRule {
	const { base, positions } = context;
	const path: Path = ["tables", name];
	const own: OwnTableOptions = entry === "skip" || entry === null ? {} : entry;
	const policy = { positions, faults, check: context.check };
	const inherited = hooksOf(base.defaults.hooks, ["defaults", "hooks"], policy, [TABLE_VARIABLE]);
	const rule: TableRule = {
		pattern: name,
		skip: entry === "skip",
		options: mergeOptions(own, path, base),
		place: positions.key(path),
		places: optionPlaces(own, path, base.defaults, positions),
		ownColumns: Object.keys(own.columns ?? {}),
		ownFixes: Object.keys(own.fix ?? {}),
		hooks: own.hooks === undefined ? inherited : hooksOf(own.hooks, [...path, "hooks"], policy, [TABLE_VARIABLE]),
	};
	const pattern = collecting(faults, () => placed(rule.place, () => parsePattern(name)));
	if (rule.skip || pattern === undefined) return rule;
	const at = (key: string) => rule.places[key] ?? rule.place;
	const { options } = rule;
	if (options.query !== undefined) {
		if (!pattern.exact)
			faults.push(invalidValue(`a query needs a name without * and ?, not ${pathText([name])}`, rule.place));
		if (options.mode === "cdc")
			faults.push(invalidValue(`the query ${name} can't have mode cdc: a change log knows tables only`, at("mode")));
		if (own.where !== undefined)
			faults.push(invalidValue(`the query ${name} has a where; write the condition into the query`, at("where")));
	}
	if (context.defaultsKnown && !(context.files && options.mode === "incremental"))
		checkCursor(name, options, rule.place, faults);
	checkColumns(name, options, at, faults);
	checkChanges(name, options, at, faults);
	checkCdc(name, { own, options }, at, faults);
	if (options.into !== undefined) {
		const sample = { schema: "s", table: "t", source: "c", pipeline: "p" };
		collecting(faults, () => placed(at("into"), () => fillInto(options.into!, sample)));
	}
	for (const key of ["query", "where"] as const) {
		const text = options[key];
		if (text === undefined || !hasTemplate(text) || context.check === undefined) continue;
		const from = own[key] === undefined ? ["defaults", key] : [...path, key];
		faults.push(...context.check(text, (line, column) => positions.within(from, line, column)));
	}
	return rule;
}

function checkCursor(name: string, options: TableOptions, place: ErrorPlace, faults: HeadraceError[]): void {
	if (options.cursor !== undefined || (options.mode !== "incremental" && options.mode !== "interval")) return;
	const text = options.query ?? options.where;
	if (options.mode === "interval" && text !== undefined && hasInterval(text)) return;
	const what = options.query === undefined ? name : `the query ${name}`;
	const asks = options.mode === "interval" && options.query !== undefined ? " and does not use {{ ds }}" : "";
	const message = `${what} has mode ${options.mode} and no cursor${asks}`;
	faults.push(new HeadraceError("E_CURSOR_REQUIRED", message, place));
}

function checkColumns(
	name: string,
	options: TableOptions,
	at: (key: string) => ErrorPlace,
	faults: HeadraceError[],
): void {
	faults.push(...maskFaults(options.columns, name, (column) => at(`columns.${column}`)));
	const targets = new Map<string, string>();
	for (const [column, rule] of options.columns) {
		const place = at(`columns.${column}`);
		if (rule.drop && (options.key?.includes(column) || options.cursor === column))
			faults.push(invalidValue(`column ${column} of ${name} is dropped and is its key or cursor`, place));
		if (rule.rename === undefined) continue;
		const other = targets.get(rule.rename);
		if (other !== undefined)
			faults.push(
				new HeadraceError("E_NAME_COLLISION", `columns ${other} and ${column} of ${name} get the same name`, place),
			);
		targets.set(rule.rename, column);
	}
}

/** Types that every value of a text can be tried against, with an answer that is never a guess. */
const FIXABLE = new Set<string>([
	"boolean",
	...["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"],
	...["float32", "float64", "decimal", "date", "timestamp", "timestamptz", "uuid", "json"],
]);

/** Options about conflicts and changes of columns. */
function checkChanges(
	name: string,
	options: TableOptions,
	at: (key: string) => ErrorPlace,
	faults: HeadraceError[],
): void {
	if (options.onConflict === "ignore" && options.deleted !== undefined)
		faults.push(
			invalidValue(`${name} has deleted and on_conflict: ignore, which would leave deleted rows`, at("on_conflict")),
		);
	for (const [column, type] of options.fix) {
		const place = at(`fix.${column}`);
		if (!FIXABLE.has(type.kind))
			faults.push(invalidValue(`column ${column} of ${name} can't be fixed to ${typeName(type)}`, place));
		const rule = options.columns.get(column);
		if (rule?.type !== undefined || rule?.drop === true || rule?.mask !== undefined)
			faults.push(
				invalidValue(`column ${column} of ${name} has fix, and columns gives it a type, a mask or drops it`, place),
			);
	}
	for (const [column, { renamedFrom }] of options.columns) {
		if (renamedFrom === undefined) continue;
		const other = [...options.columns].find(([, rule]) => rule.renamedFrom === renamedFrom);
		if (renamedFrom === column || (other !== undefined && other[0] !== column))
			faults.push(
				invalidValue(
					`renamed_from of column ${column} of ${name} must name another column, once`,
					at(`columns.${column}`),
				),
			);
	}
}
