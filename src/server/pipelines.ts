import { z } from "zod";
import { waitingAlert } from "../app/api.ts";
import { lateMessage, lateTables, neverLoaded } from "../app/freshness.ts";
import type { CatalogEntry } from "../app/service/catalog.ts";
import { hasIntervals } from "../app/service/due.ts";
import { type CheckedPipeline, tableRule } from "../config/index.ts";
import type { RunReceipt } from "../core/index.ts";
import type { Freshness, Grid, PipelineDetail, PipelineSummary, Schedule } from "./api.ts";
import { fileWithin, notFound, problemOf } from "./failure.ts";
import { jobOf } from "./jobs.ts";
import { param, type Route, type RouteRequest, route, type ServerContext } from "./route.ts";
import { scheduleWords } from "./schedule-words.ts";
import { pauseRequest } from "./schemas/access.ts";
import { grid, pipelineDetail, pipelineSummary } from "./schemas/pipelines.ts";
import { squareOf, squareOfSums } from "./squares.ts";

const LAST_RUNS = 14;
const NEXT_RUNS = 5;

/** The pipeline of a path. */
export function entryOf(request: RouteRequest<unknown, unknown>): CatalogEntry {
	const name = param(request, "pipeline");
	const entry = request.context.service.catalog.entries.get(name);
	if (entry === undefined) throw notFound(`pipeline ${JSON.stringify(name.slice(0, 100))}`);
	return entry;
}

/** How fresh the tables of a pipeline are: the one that is behind most counts. */
export async function freshnessOf(
	{ service }: ServerContext,
	pipeline: CheckedPipeline | null,
	table?: string,
): Promise<Freshness> {
	const nothing = {
		...{ last_success_at: null, seconds: null, late_after_seconds: null, late: false, message: null },
		never_loaded: [],
	};
	if (pipeline === null) return nothing;
	const nowMs = service.clock.nowMs();
	const successes = (await service.history.successes(pipeline.name)).filter((each) => {
		const rule = tableRule(pipeline, each.table);
		return table === undefined ? rule !== undefined && !rule.skip : each.table === table;
	});
	const history = {
		lastSuccesses: async () => [...(await service.history.successes(pipeline.name))],
		runs: (query: { readonly limit: number }) => service.state.runs({ ...query, pipeline: pipeline.name }),
	};
	const oldest = successes.map(({ at }) => at).sort()[0] ?? null;
	const late = (await lateTables(history, pipeline, nowMs)).filter(
		(each) => table === undefined || each.table === table || each.table === "",
	);
	const loaded = successes.map((each) => each.table);
	const planned = await service.history.planned(pipeline.name);
	const never = table === undefined ? neverLoaded(pipeline, { planned, loaded }) : loaded.length === 0 ? [table] : [];
	const own = table === undefined ? undefined : tableRule(pipeline, table)?.options.lateAfterMs;
	const lateAfterMs = own ?? pipeline.lateAfterMs;
	return {
		last_success_at: oldest,
		seconds: oldest === null ? null : Math.max(0, (nowMs - Date.parse(oldest)) / 1000),
		late_after_seconds: lateAfterMs === undefined ? null : lateAfterMs / 1000,
		late: late.length > 0,
		message: late[0] === undefined ? null : `${late[0].table} ${lateMessage(late[0], nowMs)}`.trim(),
		never_loaded: never,
	};
}

async function scheduleOf({ service }: ServerContext, pipeline: CheckedPipeline): Promise<Schedule | null> {
	const { schedule, timezone, start, catchup, maxActiveRuns, name } = pipeline;
	if (schedule === undefined) return null;
	const [next] = service.nextTimes(name, 1);
	return {
		text: schedule.text,
		words: await scheduleWords(schedule),
		kind: schedule.kind,
		timezone,
		next_at: next === undefined ? null : new Date(next).toISOString(),
		start: start ?? null,
		catchup,
		max_active_runs: maxActiveRuns,
	};
}

async function summaryOf(context: ServerContext, entry: CatalogEntry): Promise<PipelineSummary> {
	const { service } = context;
	const { name, file, pipeline, errors } = entry;
	const { lastRuns, day } = await service.history.of(name);
	const waiting = (await service.state.alerts(name)).filter(({ state }) => state === "waiting");
	const modes = pipeline?.tables.filter(({ skip }) => !skip).map(({ options }) => options.mode) ?? [];
	return {
		pipeline: name,
		file: fileWithin(service.directory, file),
		from: pipeline?.from.name ?? null,
		from_type: pipeline?.from.type ?? null,
		to: pipeline?.to.name ?? null,
		to_type: pipeline?.to.type ?? null,
		modes: [...new Set(modes)],
		schedule: pipeline === null ? null : await scheduleOf(context, pipeline),
		paused: service.paused(name),
		last_runs: lastRuns.map((run) => squareOfSums(run, service.clock.nowMs())),
		jobs: service.jobs.open(name).map((job) => jobOf(context, job)),
		held_by: (await service.state.leaseHolder(`pipeline:${name}`))?.holder ?? null,
		freshness: await freshnessOf(context, pipeline),
		rows_day: day.rows,
		bytes_day: day.bytes,
		lag_seconds: modes.includes("cdc") ? await service.changes.lagSeconds(name) : null,
		alerts_waiting: waiting.length,
		problems: errors.map((error) => problemOf(error, service.directory)),
	};
}

function gridOf({ service }: ServerContext, name: string, runs: readonly RunReceipt[]): Grid {
	const nowMs = service.clock.nowMs();
	const oldestFirst = [...runs].reverse();
	// Tables in the order in which the newest run has them.
	const tables = new Map(
		runs
			.flatMap(({ tables }) => tables)
			.map((table) => [table.table, table] as const)
			.reverse(),
	);
	const names = [...new Set(runs.flatMap((run) => run.tables.map(({ table }) => table)))];
	return {
		pipeline: name,
		runs: oldestFirst.map((run) => squareOf(run, nowMs)),
		tables: names.map((table) => {
			const { into, mode, write } = tables.get(table)!;
			const cells = oldestFirst.map((run) => {
				const cell = run.tables.find((each) => each.table === table);
				if (cell === undefined) return null;
				const working = cell.state === "pending" && service.live.get(run.run_id)?.working.has(table) === true;
				return {
					run_id: run.run_id,
					state: working ? ("running" as const) : cell.state,
					rows: cell.rows_loaded,
					bytes: cell.bytes,
					seconds: cell.seconds,
					error_code: cell.error?.code ?? null,
				};
			});
			return { table, into, mode, write, cells };
		}),
	};
}

async function detailOf(context: ServerContext, entry: CatalogEntry): Promise<PipelineDetail> {
	const { service } = context;
	const { name, pipeline } = entry;
	const runs = await service.state.runs({ pipeline: name, limit: LAST_RUNS });
	const alerts = (await service.state.alerts(name)).filter(({ state }) => state === "waiting").map(waitingAlert);
	return {
		...(await summaryOf(context, entry)),
		grid: gridOf(context, name, runs),
		staging: pipeline?.staging?.name ?? null,
		retries: pipeline?.retries ?? null,
		retry_delay_seconds: pipeline === null ? null : pipeline.retryDelayMs / 1000,
		concurrency: pipeline?.concurrency ?? null,
		schema_changes: pipeline?.schemaChanges ?? null,
		params: pipeline?.params ?? {},
		can_backfill: pipeline !== null && hasIntervals(pipeline),
		next_runs: service.nextTimes(name, NEXT_RUNS).map((at) => new Date(at).toISOString()),
		alerts,
	};
}

/** A pipeline as the list has it. */
async function onlySummary(request: RouteRequest<unknown, unknown>): Promise<PipelineSummary> {
	return summaryOf(request.context, entryOf(request));
}

export const PIPELINE_ROUTES: readonly Route[] = [
	route({
		method: "GET",
		path: "/api/pipelines",
		summary: "Every pipeline of the project, also those whose files are broken",
		role: "viewer",
		answer: z.strictObject({ pipelines: z.array(pipelineSummary).readonly() }).readonly(),
		async handle({ context }) {
			const pipelines: PipelineSummary[] = [];
			for (const entry of context.service.catalog.entries.values()) pipelines.push(await summaryOf(context, entry));
			return { pipelines };
		},
	}),
	route({
		method: "GET",
		path: "/api/pipelines/:pipeline",
		summary: "One pipeline with its grid of tables and runs",
		role: "viewer",
		answer: pipelineDetail,
		handle: (request) => detailOf(request.context, entryOf(request)),
	}),
	route({
		method: "GET",
		path: "/api/pipelines/:pipeline/grid",
		summary: "Tables × runs",
		role: "viewer",
		query: z.strictObject({ runs: z.coerce.number().int().min(1).max(200).default(30) }),
		answer: grid,
		async handle(request) {
			const { name } = entryOf(request);
			const runs = await request.context.service.state.runs({ pipeline: name, limit: request.query.runs });
			return gridOf(request.context, name, runs);
		},
	}),
	route({
		method: "POST",
		path: "/api/pipelines/:pipeline/pause",
		summary: "Holds the schedule, and stops a change stream so that it can go on",
		role: "operator",
		body: pauseRequest,
		answer: pipelineSummary,
		action: "pause",
		async handle(request) {
			const { context, who, body, note } = request;
			const { name } = entryOf(request);
			note({ detail: body.reason ?? "" });
			await context.service.pause(name, who?.name ?? "", body.reason ?? null);
			return onlySummary(request);
		},
	}),
	route({
		method: "POST",
		path: "/api/pipelines/:pipeline/unpause",
		summary: "Lets the schedule go on; its last time that was missed comes now",
		role: "operator",
		answer: pipelineSummary,
		action: "unpause",
		async handle(request) {
			await request.context.service.unpause(entryOf(request).name);
			return onlySummary(request);
		},
	}),
];
