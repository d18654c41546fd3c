import { z } from "zod";
import { HeadraceError, type LogLine, type RunReceipt } from "../core/index.ts";
import { receiptLines } from "../observe/index.ts";
import type { RunDetail, RunListItem, SettingsDiff, StageBar } from "./api.ts";
import { notFound, RequestFailure } from "./failure.ts";
import { jobOf } from "./jobs.ts";
import { lineDiff } from "./line-diff.ts";
import { param, type Route, type RouteRequest, route, type ServerContext } from "./route.ts";
import { runState } from "./schemas/receipts.ts";
import { jobAnswer, logLevel, logLine, logPage, runDetail, runList, settingsDiff } from "./schemas/runs.ts";
import { squareOf } from "./squares.ts";
import { eventStream, mayOpenStream } from "./sse.ts";

const LOG_POLL_MS = 400;
/** A run's last lines are stored a moment after its end, with those of its alarms. */
const LOG_TAIL_MS = 1_500;
const LOG_PAGE_MAX = 2_000;
const DOWNLOAD_LINES_MAX = 200_000;

const count = (max: number) => z.coerce.number().int().min(1).max(max);
const logFilter = {
	level: logLevel.optional().describe("Lines of this level and above"),
	table: z.string().max(300).optional(),
	search: z.string().max(200).optional().describe("Lines that hold this text, whatever its case"),
};

/** The run of a path, by its whole id: an address must not change its meaning when another run comes. */
export async function runOf(request: RouteRequest<unknown, unknown>): Promise<RunReceipt> {
	const id = param(request, "run");
	const run = id.length < 8 ? null : await request.context.service.state.run(id);
	if (run === null || run.run_id !== id) throw notFound(`run ${JSON.stringify(id.slice(0, 100))}`);
	return run;
}

/** A run that is at work here with the state of the tables that have begun. */
function withLive({ service }: ServerContext, run: RunReceipt): RunReceipt {
	const live = service.live.get(run.run_id);
	if (live === null) return run;
	const tables = run.tables.map((table) =>
		table.state === "pending" && live.working.has(table.table) ? { ...table, state: "running" as const } : table,
	);
	return { ...run, tables };
}

function stagesOf({ service }: ServerContext, run: RunReceipt): StageBar[] {
	const live = service.live.get(run.run_id)?.times.all();
	const tables = live ?? run.tables.map(({ table, stages = [] }) => ({ table, stages }));
	return tables.flatMap(({ table, stages }) => stages.map((stage) => ({ table, ...stage })));
}

async function detailOf(context: ServerContext, receipt: RunReceipt): Promise<RunDetail> {
	const { server } = context.service.state;
	const run = withLive(context, receipt);
	const { run_id: id, origin } = run;
	const size = await server.logSize(id);
	return {
		run,
		trigger: origin?.trigger ?? "command",
		requested_by: origin?.by ?? null,
		due_at: origin?.due_at ?? null,
		params: origin?.params ?? {},
		held: context.service.jobOfRun(id) !== null,
		stages: stagesOf(context, run),
		previous_run_id: await server.neighbour(id, -1),
		next_run_id: await server.neighbour(id, 1),
		log_lines: size.lines,
		first_error_line: size.firstErrorLine,
		commands: {
			show: `headrace runs show ${id}`,
			logs: `headrace logs ${id}`,
			retry: run.state === "failed" || run.state === "stopped" ? `headrace run ${run.pipeline} --failed ${id}` : null,
		},
	};
}

function listItem(run: RunReceipt, nowMs: number): RunListItem {
	const failed = run.tables.filter(({ state }) => state === "failed");
	const error = run.error ?? failed[0]?.error ?? null;
	return {
		...squareOf(run, nowMs),
		pipeline: run.pipeline,
		tables: run.tables.length,
		tables_failed: failed.length,
		error:
			error === null
				? null
				: { code: error.code, message: error.message, hint: error.hint, file: null, line: null, column: null },
	};
}

function isLogComplete({ service }: ServerContext, { state, finished_at: end }: RunReceipt): boolean {
	return state !== "running" && (end === null || service.clock.nowMs() - Date.parse(end) > LOG_TAIL_MS);
}

/** Sends the lines of a log as they come; ends when the run has. */
function follow(request: RouteRequest<z.output<typeof logQuery>, unknown>, runId: string): Response {
	const { context, query, lastEventId, signal } = request;
	if (!mayOpenStream())
		throw new RequestFailure(503, new HeadraceError("E_BUSY", "too many streams are open"), { "Retry-After": "10" });
	const { server } = context.service.state;
	let after = lastEventId ?? query.after ?? 0;
	return eventStream((send, end) => {
		let timer: NodeJS.Timeout | undefined;
		let looking = true;
		const look = async () => {
			// Asked before the lines: those that it wrote before its end are there then.
			const run = await context.service.state.run(runId);
			const lines = await server.logLines(runId, { ...filterOf(query), after, limit: LOG_PAGE_MAX });
			for (const line of lines) {
				send({ id: line.line, event: "line", data: context.redact(line) });
				after = line.line;
			}
			if ((run === null || isLogComplete(context, run)) && lines.length < LOG_PAGE_MAX) {
				send({ event: "end", data: { state: run?.state ?? "stopped" } });
				end();
			} else if (looking) timer = setTimeout(again, lines.length < LOG_PAGE_MAX ? LOG_POLL_MS : 0);
		};
		// A history that can't be read now is read when the client asks again.
		const again = () => void look().catch(end);
		again();
		return () => {
			looking = false;
			clearTimeout(timer);
		};
	}, signal);
}

const logQuery = z.strictObject({ after: z.coerce.number().int().min(0).optional(), ...logFilter });

function filterOf({ level, table, search }: Pick<z.output<typeof logQuery>, "level" | "table" | "search">) {
	return {
		...(level === undefined ? {} : { level }),
		...(table === undefined ? {} : { task: table }),
		...(search === undefined || search === "" ? {} : { search }),
	};
}

/** The whole log as a text file, with the receipt at its end. */
async function download({ service }: ServerContext, run: RunReceipt): Promise<Response> {
	const lines = await service.state.server.logLines(run.run_id, { after: 0, limit: DOWNLOAD_LINES_MAX });
	const text = [...lines.map(textOf), "", ...receiptLines(run, { paint: (_style, part) => part, indent: 0 })].join(
		"\n",
	);
	return new Response(`${service.redactor.redact(text)}\n`, {
		headers: {
			"Content-Type": "text/plain; charset=utf-8",
			"Content-Disposition": `attachment; filename="${run.run_id.replace(/[^\w.-]/g, "_")}.log"`,
		},
	});
}

function textOf({ at, level, task, message }: LogLine): string {
	return `${at}  ${level.padEnd(5)}  ${task === null ? "" : `${task}  `}${message}`;
}

/** What the pipeline's file said when a run began, against the run before. */
async function settingsOf({ service }: ServerContext, run: RunReceipt): Promise<SettingsDiff> {
	const { server } = service.state;
	const previous = await server.neighbour(run.run_id, -1);
	const before = previous === null ? null : await service.state.run(previous);
	const own = await server.settingsAt(run.pipeline, run.started_at);
	const old = before === null ? null : await server.settingsAt(run.pipeline, before.started_at);
	const known = own !== null && (old !== null || before === null);
	const state = !known ? "unknown" : old === null ? "first" : old.settings === own.settings ? "same" : "changed";
	const lines =
		own === null ? [] : old === null ? lineDiff(own.settings, own.settings) : lineDiff(old.settings, own.settings);
	return { run_id: run.run_id, previous_run_id: previous, state, since_run_id: own?.runId ?? null, lines };
}

export const RUN_ROUTES: readonly Route[] = [
	route({
		method: "GET",
		path: "/api/runs",
		summary: "Runs, newest first",
		role: "viewer",
		query: z.strictObject({
			pipeline: z.string().max(200).optional(),
			state: runState.optional(),
			limit: count(200).default(50),
			before: z.string().max(100).optional(),
		}),
		answer: runList,
		async handle({ context, query: { limit, pipeline, state, before } }) {
			const runs = await context.service.state.server.runs({
				limit: limit + 1,
				...(pipeline === undefined ? {} : { pipeline }),
				...(state === undefined ? {} : { state }),
				...(before === undefined ? {} : { before }),
			});
			const page = runs.slice(0, limit);
			const now = context.service.clock.nowMs();
			return {
				runs: page.map((run) => listItem(run, now)),
				before: runs.length > limit ? (page.at(-1)?.run_id ?? null) : null,
			};
		},
	}),
	route({
		method: "GET",
		path: "/api/runs/:run",
		summary: "One run: its receipt, and when its tables were read and loaded",
		role: "viewer",
		answer: runDetail,
		async handle(request) {
			return detailOf(request.context, await runOf(request));
		},
	}),
	route({
		method: "GET",
		path: "/api/runs/:run/settings",
		summary: "The pipeline's file as it was when the run began, and what changed in it since the run before",
		role: "viewer",
		answer: settingsDiff,
		async handle(request) {
			return settingsOf(request.context, await runOf(request));
		},
	}),
	route({
		method: "GET",
		path: "/api/runs/:run/log",
		summary: "A page of a run's log; with download=1 all of it as text",
		role: "viewer",
		query: logQuery.extend({ limit: count(LOG_PAGE_MAX).default(500), download: z.literal("1").optional() }),
		answer: logPage,
		async handle(request) {
			const { context, query } = request;
			const run = await runOf(request);
			if (query.download === "1") return download(context, run);
			const options = { ...filterOf(query), after: query.after ?? 0, limit: query.limit + 1 };
			const found = await context.service.state.server.logLines(run.run_id, options);
			const lines = found.slice(0, query.limit);
			return {
				run_id: run.run_id,
				lines: lines.map((line) => ({ ...line })),
				next: found.length > query.limit ? (lines.at(-1)?.line ?? null) : null,
				complete: isLogComplete(context, run),
			};
		},
	}),
	route({
		method: "GET",
		path: "/api/runs/:run/log/stream",
		summary: "A run's log as it grows: events `line`, then `end`; goes on after Last-Event-ID",
		role: "viewer",
		query: logQuery,
		answer: logLine,
		media: "text/event-stream",
		async handle(request) {
			const run = await runOf(request);
			return follow(request, run.run_id);
		},
	}),
	route({
		method: "POST",
		path: "/api/runs/:run/retry",
		summary: "Repeats what failed in a run",
		role: "operator",
		answer: jobAnswer,
		status: 202,
		action: "retry",
		async handle(request) {
			const { context, who } = request;
			const run = await runOf(request);
			const unfinished = run.tables.some(({ state }) => state !== "succeeded") || run.error !== undefined;
			if (run.state === "running" || (!unfinished && run.state === "succeeded"))
				throw new RequestFailure(
					409,
					new HeadraceError("E_REQUEST", `nothing failed in run ${run.run_id}`, { hint: "Nothing to repeat." }),
				);
			const job = await context.service.add({
				pipeline: run.pipeline,
				trigger: "retry",
				by: who?.name ?? null,
				failedRun: run.run_id,
				...(run.origin?.params === undefined ? {} : { params: run.origin.params }),
			});
			return { job: jobOf(context, job) };
		},
	}),
	route({
		method: "POST",
		path: "/api/runs/:run/cancel",
		summary: "Stops a run that is at work in this server, so that the next one can go on",
		role: "operator",
		answer: jobAnswer,
		action: "cancel",
		async handle(request) {
			const { context, who } = request;
			const run = await runOf(request);
			const jobId = context.service.jobOfRun(run.run_id);
			if (jobId === null || !(await context.service.cancel(jobId, who?.name ?? "somebody")))
				throw new RequestFailure(
					409,
					new HeadraceError("E_REQUEST", `run ${run.run_id} is not at work as a job of this server`, {
						hint: "A change stream is stopped by pausing its pipeline; a run of the command line by its own Ctrl-C.",
					}),
				);
			const job = await context.service.jobs.find(jobId);
			if (job === null) throw notFound(`job ${jobId}`);
			return { job: jobOf(context, job) };
		},
	}),
];
