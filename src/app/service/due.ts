import { type CheckedPipeline, intervalsSince, lastInterval, parseTime } from "../../config/index.ts";
import type { ServerStore } from "../../state/index.ts";
import type { RunInterval } from "../api.ts";

/** Whether the pipeline has tables that are read by intervals. */
export function hasIntervals(pipeline: CheckedPipeline): boolean {
	return pipeline.tables.some((rule) => !rule.skip && rule.options.mode === "interval");
}

/**
 * The intervals that a time of the schedule asks for: the last one that is over then and, with `catchup`, all that
 * ended after `sinceMs` and were not loaded. Undefined for a pipeline without intervals: one run brings all up to date.
 */
export async function dueIntervals(
	pipeline: CheckedPipeline,
	due: { readonly atMs: number; readonly sinceMs: number },
	store: ServerStore,
): Promise<readonly RunInterval[] | undefined> {
	if (!hasIntervals(pipeline)) return undefined;
	const { schedule, timezone, name } = pipeline;
	const last = lastInterval(due.atMs, schedule, timezone);
	if (!pipeline.catchup) return [bare(last)];
	const since = new Date(Math.max(due.sinceMs, startMs(pipeline) ?? due.sinceMs)).toISOString();
	const missed = intervalsSince(since, due.atMs, schedule, timezone);
	const loaded = await loadedIntervals(store, name, missed[0]?.start ?? last.start, last.end);
	return [...missed.filter(({ start }) => start !== last.start && !loaded.has(start)), last].map(bare);
}

/** When the first interval of a pipeline begins; null when the file does not say. */
export function startMs({ start, timezone }: CheckedPipeline): number | null {
	return start === undefined ? null : parseTime(start, timezone).instantMs;
}

/** Starts of the intervals in [from, to) all of whose tables succeeded in their last runs. */
export async function loadedIntervals(
	store: ServerStore,
	pipeline: string,
	from: string,
	to: string,
): Promise<Set<string>> {
	const loaded = new Set<string>();
	const failed = new Set<string>();
	for (const { start, state } of await store.intervals(pipeline, from, to))
		(state === "succeeded" ? loaded : failed).add(start);
	for (const start of failed) loaded.delete(start);
	return loaded;
}

const bare = ({ start, end }: RunInterval): RunInterval => ({ start, end });
