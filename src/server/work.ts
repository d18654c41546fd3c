import { z } from "zod";
import type { PlanOptions, RunInterval } from "../app/api.ts";
import { namedInterval } from "../app/app.ts";
import { hasIntervals } from "../app/service/due.ts";
import { type CheckedPipeline, intervalLength, intervalsBetween, lastInterval, parseTime } from "../config/index.ts";
import { HeadraceError } from "../core/index.ts";
import type { BackfillPreview, BackfillRequest, CalendarDay, RunRequest } from "./api.ts";
import { jobOf } from "./jobs.ts";
import { entryOf } from "./pipelines.ts";
import { type Route, route, type ServerContext } from "./route.ts";
import { calendar } from "./schemas/pipelines.ts";
import { backfillPreview, backfillRequest, jobAnswer, runRequest } from "./schemas/runs.ts";

/** A calendar shows at most so many intervals; a longer range is asked for in parts. */
const CALENDAR_MAX = 2_000;
const CALENDAR_DAYS = 90;
const DAY_MS = 86_400_000;

/** What a request of a run says to a plan. @throws E_INVALID_VALUE */
export function planOptions(pipeline: CheckedPipeline, body: RunRequest): PlanOptions {
	const { tables, full_refresh: fullRefresh, interval, params } = body;
	return {
		...(tables === undefined || tables.length === 0 ? {} : { tables }),
		...(fullRefresh === true ? { fullRefresh } : {}),
		...(params === undefined ? {} : { params }),
		...(interval === undefined ? {} : { interval: namedInterval(pipeline, interval) }),
	};
}

/** The state of each interval: the worst of its tables counts, and what a job is yet to do. */
async function statesOf(
	{ service }: ServerContext,
	pipeline: CheckedPipeline,
	intervals: readonly (RunInterval & { readonly name: string })[],
): Promise<CalendarDay[]> {
	const [first, last] = [intervals[0], intervals.at(-1)];
	if (first === undefined || last === undefined) return [];
	const known = await service.state.server.intervals(pipeline.name, first.start, last.end);
	const rows = Map.groupBy(known, ({ start }) => start);
	const queued = new Set<string>();
	for (const job of service.jobs.open(pipeline.name))
		for (const { start } of job.request.intervals ?? []) queued.add(start);
	const worst = ["running", "pending", "failed", "stopped", "skipped", "succeeded"] as const;
	return intervals.map(({ start, end, name }) => {
		const tables = rows.get(start) ?? [];
		const state = worst.find((each) => tables.some((table) => table.state === each));
		const newest = tables.toSorted((a, b) => (a.startedAt < b.startedAt ? 1 : -1))[0];
		const shown = state === "pending" ? "running" : state === "skipped" ? "failed" : state;
		return {
			interval: { start, end },
			name,
			state: shown === "running" ? "running" : queued.has(start) ? "queued" : (shown ?? "missing"),
			run_id: newest?.runId ?? null,
			rows: tables.reduce((sum, table) => sum + table.rows, 0),
			seconds: tables.reduce((sum, table) => Math.max(sum, table.seconds), 0),
		};
	});
}

function needIntervals(pipeline: CheckedPipeline): void {
	if (hasIntervals(pipeline)) return;
	throw new HeadraceError("E_USAGE", `${pipeline.name} has no table with mode interval`, {
		pipeline: pipeline.name,
		hint: "A full or incremental table has no intervals to fill; a run with full_refresh reads it anew.",
	});
}

/** What a backfill would run, in its order. @throws E_USAGE, E_INVALID_VALUE */
async function previewOf(
	context: ServerContext,
	pipeline: CheckedPipeline,
	body: BackfillRequest,
): Promise<BackfillPreview> {
	const { service } = context;
	const { start, end, tables = [], which = "all", newest_first: newestFirst } = body;
	const options = { start, end, ...(tables.length === 0 ? {} : { tables }) };
	// As the command line's, with its faults.
	await service.app.backfillIntervals(pipeline, options);
	const intervals = await statesOf(
		context,
		pipeline,
		intervalsBetween(start, end, pipeline.schedule, pipeline.timezone),
	);
	const previewed = intervals.map(({ interval, state }) => {
		const isOpen = state === "queued" || state === "running";
		const wanted =
			which === "all" ||
			(which === "missing" && state !== "succeeded") ||
			(which === "failed" && (state === "failed" || state === "stopped"));
		return { interval, state, taken: wanted && !isOpen };
	});
	if (newestFirst === true) previewed.reverse();
	return {
		pipeline: pipeline.name,
		tables,
		intervals: previewed,
		runs: previewed.filter(({ taken }) => taken).length,
	};
}

export const WORK_ROUTES: readonly Route[] = [
	route({
		method: "POST",
		path: "/api/pipelines/:pipeline/run",
		summary: "Runs the pipeline now, as `headrace run`",
		role: "operator",
		body: runRequest,
		answer: jobAnswer,
		status: 202,
		action: "run",
		async handle(request) {
			const { context, body, who, note } = request;
			const pipeline = context.service.catalog.pipeline(entryOf(request).name);
			note({ detail: JSON.stringify(body) });
			const { tables, fullRefresh, params } = planOptions(pipeline, body);
			const job = await context.service.add(
				{
					pipeline: pipeline.name,
					trigger: "manual",
					by: who?.name ?? null,
					...(tables === undefined ? {} : { tables }),
					...(fullRefresh === undefined ? {} : { fullRefresh }),
					...(params === undefined ? {} : { params }),
					...(body.stage === undefined ? {} : { stage: body.stage }),
				},
				body.interval,
			);
			return { job: jobOf(context, job) };
		},
	}),
	route({
		method: "POST",
		path: "/api/pipelines/:pipeline/backfill/preview",
		summary: "The runs that a backfill would make; begins nothing",
		role: "viewer",
		body: backfillRequest,
		answer: backfillPreview,
		handle: (request) =>
			previewOf(request.context, request.context.service.catalog.pipeline(entryOf(request).name), request.body),
	}),
	route({
		method: "POST",
		path: "/api/pipelines/:pipeline/backfill",
		summary: "A run an interval, as `headrace backfill`",
		role: "operator",
		body: backfillRequest,
		answer: jobAnswer,
		status: 202,
		action: "backfill",
		async handle(request) {
			const { context, body, who, note } = request;
			const pipeline = context.service.catalog.pipeline(entryOf(request).name);
			note({ detail: JSON.stringify(body) });
			const preview = await previewOf(context, pipeline, body);
			const intervals = preview.intervals.filter(({ taken }) => taken).map(({ interval }) => interval);
			if (intervals.length === 0)
				throw new HeadraceError("E_USAGE", "no interval of that range is to be run", {
					hint: "Ask for the preview: it shows what each one is.",
				});
			const job = await context.service.add({
				pipeline: pipeline.name,
				trigger: "backfill",
				by: who?.name ?? null,
				intervals,
				...(body.tables === undefined || body.tables.length === 0 ? {} : { tables: body.tables }),
				...(body.max_active_runs === undefined ? {} : { maxActiveRuns: body.max_active_runs }),
			});
			return { job: jobOf(context, job) };
		},
	}),
	route({
		method: "GET",
		path: "/api/pipelines/:pipeline/calendar",
		summary: "The state of each interval, also of those that are missing",
		role: "viewer",
		query: z.strictObject({
			from: z.string().max(60).optional().describe("A day or time; default 90 days ago, or the pipeline's start"),
			to: z.string().max(60).optional().describe("Default: now"),
		}),
		answer: calendar,
		async handle(request) {
			const { context, query } = request;
			const pipeline = context.service.catalog.pipeline(entryOf(request).name);
			needIntervals(pipeline);
			const { schedule, timezone, start } = pipeline;
			const nowMs = context.service.clock.nowMs();
			const at = (text: string) => parseTime(text, timezone).instantMs;
			const until = query.to === undefined ? nowMs : Math.min(nowMs, at(query.to));
			const since =
				query.from === undefined
					? Math.max(until - CALENDAR_DAYS * DAY_MS, start === undefined ? 0 : at(start))
					: at(query.from);
			const last = lastInterval(until, schedule, timezone);
			const first = lastInterval(Math.min(since, until), schedule, timezone).end;
			const all = first < last.end ? intervalsBetween(first, last.end, schedule, timezone) : [last];
			const intervals = await statesOf(context, pipeline, all.slice(-CALENDAR_MAX));
			return {
				pipeline: pipeline.name,
				unit: intervalLength(schedule).unit,
				timezone,
				from: intervals[0]?.interval.start ?? last.start,
				to: last.end,
				intervals,
			};
		},
	}),
];
