import { type ColumnType, parseColumnType } from "../core/column-type.ts";
import type { ErrorPlace } from "../core/errors.ts";
import { DEFAULT_TYPE_POLICY, type TypePolicy } from "../core/table.ts";
import { durationMs } from "./durations.ts";
import { DEFAULTS, type OwnTableOptions, type OwnTypeOptions } from "./options.ts";
import type { ColumnRule, TableOptions } from "./pipeline.ts";
import type { Path, Positions } from "./positions.ts";
import { secretFrom } from "./secret-origins.ts";
import { hasInterval } from "./template-names.ts";

/** The options of the pipeline that those of a table lie over. */
export interface MergeBase {
	readonly types: TypePolicy;
	readonly defaults: OwnTableOptions;
	readonly origin: (path: Path) => string | undefined;
}

/** Options of a table over the defaults over the pipeline's; columns merge by name, types by policy. */
export function mergeOptions(own: OwnTableOptions, ownPath: Path, base: MergeBase): TableOptions {
	const merged: OwnTableOptions = { ...inherited(base.defaults, own), ...own };
	const columns = new Map([
		...columnRules(base.defaults.columns, ["defaults", "columns"], base.origin),
		...columnRules(own.columns, [...ownPath, "columns"], base.origin),
	]);
	const lateMs = merged.late === undefined ? undefined : durationMs(merged.late);
	const overlapMs = merged.overlap === undefined ? undefined : durationMs(merged.overlap);
	const lateAfterMs = merged.late_after === undefined ? undefined : durationMs(merged.late_after);
	return {
		mode: merged.mode ?? DEFAULTS.mode,
		...(merged.key !== undefined && { key: listOf(merged.key) }),
		...(merged.cursor !== undefined && { cursor: merged.cursor }),
		...(lateMs !== undefined && { lateMs }),
		...(overlapMs !== undefined && { overlapMs }),
		...(merged.deleted !== undefined && { deleted: merged.deleted }),
		...(merged.deletes !== undefined && { deletes: merged.deletes }),
		beforeImages: isSet(merged.before_images),
		...(merged.write !== undefined && { write: merged.write }),
		...(merged.into !== undefined && { into: merged.into }),
		...(merged.query !== undefined && { query: merged.query }),
		...(merged.where !== undefined && { where: merged.where }),
		columns,
		types: typePolicy(typePolicy(base.types, base.defaults.types), own.types),
		onConflict: merged.on_conflict ?? "update",
		onTypeChange: merged.on_type_change ?? "resnapshot",
		fix: new Map(Object.entries({ ...base.defaults.fix, ...own.fix }).flatMap(typeOf)),
		resume: merged.resume ?? "auto",
		allowEmpty: isSet(merged.allow_empty),
		...(merged.dist_key !== undefined && { distKey: merged.dist_key }),
		...(merged.sort_key !== undefined && { sortKey: listOf(merged.sort_key) }),
		...(merged.retries !== undefined && { retries: Number(merged.retries) }),
		...(merged.retry_delay !== undefined && { retryDelayMs: durationMs(merged.retry_delay)! }),
		...(lateAfterMs !== undefined && { lateAfterMs }),
	};
}

function isSet(flag: OwnTableOptions["allow_empty"]): boolean {
	return String(flag ?? false) === "true";
}

function typeOf([column, text]: [string, string]): [string, ColumnType][] {
	const type = parseColumnType(text);
	return type === null ? [] : [[column, type]];
}

/**
 * A query chooses its rows itself: it has no condition, and no cursor when it asks for the interval. A table that
 * follows a change log has no use for what says how others are read, and they none for what it does with deletes.
 */
function inherited(all: OwnTableOptions, own: OwnTableOptions): OwnTableOptions {
	const { deletes: _deletes, before_images: _images, ...others } = all;
	const { cursor: _cursor, late: _late, overlap: _overlap, before_images: images, ...following } = all;
	const keepsImages = images !== undefined && (own.write ?? all.write) === "append";
	const defaults: OwnTableOptions =
		(own.mode ?? all.mode) !== "cdc" ? others : keepsImages ? { ...following, before_images: images } : following;
	if (own.query === undefined) return defaults;
	const { where: _where, cursor, ...rest } = defaults;
	return cursor === undefined || hasInterval(own.query) ? rest : { ...rest, cursor };
}

export function listOf(names: string | readonly string[]): readonly string[] {
	return typeof names === "string" ? [names] : names;
}

/** Policies over others. */
export function typePolicy(base: TypePolicy, own: OwnTypeOptions | undefined): TypePolicy {
	if (own === undefined) return base;
	const nullable = <Word extends string>(value: Word | null | undefined, fallback: Word): Word =>
		value === undefined ? fallback : (value ?? ("null" as Word));
	return {
		...base,
		mode: own.mode ?? base.mode,
		zeroDate: nullable(own.zero_date, base.zeroDate),
		nan: nullable(own.nan, base.nan),
		infinity: nullable(own.infinity, base.infinity),
		outOfRange: nullable(own.out_of_range, base.outOfRange),
		invalidText: own.invalid_text ?? base.invalidText,
	};
}

export const BASE_TYPES: TypePolicy = DEFAULT_TYPE_POLICY;

function columnRules(
	columns: OwnTableOptions["columns"],
	path: Path,
	origin: (path: Path) => string | undefined,
): [string, ColumnRule][] {
	return Object.entries(columns ?? {}).map(([name, rule]) => {
		if (rule === "drop") return [name, { drop: true }];
		const type = rule.type === undefined ? null : parseColumnType(rule.type);
		return [
			name,
			{
				drop: false,
				...(rule.rename !== undefined && { rename: rule.rename }),
				...(rule.mask !== undefined && { mask: rule.mask ?? ("null" as const) }),
				...(rule.keep !== undefined && { keep: Number(rule.keep) }),
				...(rule.secret !== undefined && { secret: secretFrom(rule.secret, origin([...path, name, "secret"])) }),
				...(type !== null && { type }),
				...(rule.renamed_from !== undefined && { renamedFrom: rule.renamed_from }),
			},
		];
	});
}

/** Where each option of an entry is written: its own over those of `defaults`. */
export function optionPlaces(
	own: OwnTableOptions,
	ownPath: Path,
	defaults: OwnTableOptions,
	positions: Positions,
): Record<string, ErrorPlace> {
	const places: Record<string, ErrorPlace> = {};
	for (const [options, path] of [
		[defaults, ["defaults"]],
		[own, ownPath],
	] as const) {
		for (const key of Object.keys(options)) places[key] = positions.value([...path, key]);
		for (const column of Object.keys(options.columns ?? {}))
			places[`columns.${column}`] = positions.key([...path, "columns", column]);
		for (const column of Object.keys(options.fix ?? {}))
			places[`fix.${column}`] = positions.key([...path, "fix", column]);
	}
	return places;
}
