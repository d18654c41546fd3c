import { type CheckedPipeline, parsePattern, querySource, tableRule } from "../config/index.ts";
import { qualified, type StateStore } from "../core/index.ts";
import { secondsText, timeText } from "../observe/index.ts";

/** A table whose last success is too long ago. */
export interface LateTable {
	/** Empty: no table of the pipeline has ever succeeded. */
	readonly table: string;
	/** ISO 8601, UTC; null when there was none since the first run that is kept. */
	readonly lastSuccess: string | null;
	/** When the first run that is kept began, where there was no success. */
	readonly since: string;
	readonly lateAfterMs: number;
}

/** More runs than this are not looked at for the beginning of a pipeline that never succeeded. */
const RUNS_MAX = 10_000;

/**
 * Tables of the pipeline that are late: those that its runs have loaded, whose entry is still there, and whose last
 * success is longer ago than `late_after`. A pipeline whose runs have all failed is late as a whole.
 */
export async function lateTables(
	state: Pick<StateStore, "lastSuccesses" | "runs">,
	pipeline: CheckedPipeline,
	nowMs: number,
): Promise<readonly LateTable[]> {
	const isLate = (at: string, lateAfterMs: number | undefined): lateAfterMs is number =>
		lateAfterMs !== undefined && nowMs - Date.parse(at) > lateAfterMs;
	if (pipeline.lateAfterMs === undefined && pipeline.tables.every((rule) => rule.options.lateAfterMs === undefined))
		return [];
	const successes = await state.lastSuccesses(pipeline.name);
	if (successes.length === 0) {
		const first = (await state.runs({ pipeline: pipeline.name, limit: RUNS_MAX })).at(-1);
		const { lateAfterMs } = pipeline;
		if (first === undefined || !isLate(first.started_at, lateAfterMs)) return [];
		return [{ table: "", lastSuccess: null, since: first.started_at, lateAfterMs }];
	}
	return successes.flatMap(({ table, at }) => {
		const rule = tableRule(pipeline, table);
		const lateAfterMs = rule?.options.lateAfterMs ?? pipeline.lateAfterMs;
		if (rule === undefined || rule.skip || !isLate(at, lateAfterMs)) return [];
		return [{ table, lastSuccess: at, since: at, lateAfterMs }];
	});
}

/**
 * Tables that were never loaded, as far as runs are kept: those that the file names, and of its patterns those that a
 * run has planned. `planned` and `loaded` are named as receipts name tables.
 */
export function neverLoaded(
	pipeline: CheckedPipeline,
	{ planned, loaded }: { readonly planned: readonly string[]; readonly loaded: readonly string[] },
): string[] {
	const isLoaded = new Set(loaded);
	const known = [...isLoaded, ...planned].map((table) => ({ table, rule: tableRule(pipeline, table) }));
	const waiting = known.flatMap(({ table, rule }) =>
		rule === undefined || rule.skip || isLoaded.has(table) ? [] : [table],
	);
	const taken = new Set(known.map(({ rule }) => rule));
	// An exact name that no run got as far as planning.
	const named = pipeline.tables.filter(
		(rule) => !rule.skip && !taken.has(rule) && (rule.options.query !== undefined || parsePattern(rule.pattern).exact),
	);
	const names = named.map((rule) =>
		rule.options.query === undefined ? rule.pattern : qualified(querySource(pipeline, rule)),
	);
	return [...new Set([...waiting, ...names])].sort();
}

/** `last success 2026-11-20 02:00:00 UTC, 26 h 00 min ago; late_after is 2 h 00 min`. */
export function lateMessage({ lastSuccess, since, lateAfterMs }: LateTable, nowMs: number): string {
	const ago = secondsText((nowMs - Date.parse(since)) / 1000);
	const what =
		lastSuccess === null
			? `no success since the first run, ${timeText(since)}, ${ago} ago`
			: `last success ${timeText(lastSuccess)}, ${ago} ago`;
	return `${what}; late_after is ${secondsText(lateAfterMs / 1000)}`;
}
