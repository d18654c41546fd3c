import type { Job as ServiceJob } from "../app/service/jobs.ts";
import { HeadraceError } from "../core/index.ts";
import type { Job } from "./api.ts";
import { notFound, RequestFailure } from "./failure.ts";
import { param, type Route, route, type ServerContext } from "./route.ts";
import { jobAnswer, jobList } from "./schemas/runs.ts";

const ENDED_SHOWN = 50;

/** A job as it is sent. */
export function jobOf({ service }: ServerContext, job: ServiceJob): Job {
	const { request, error } = job;
	return {
		job_id: job.id,
		pipeline: job.pipeline,
		trigger: request.trigger,
		state: job.state,
		queued_at: job.queuedAt,
		started_at: job.startedAt,
		finished_at: job.finishedAt,
		due_at: request.dueMs === undefined ? null : new Date(request.dueMs).toISOString(),
		requested_by: request.by,
		waits_for: job.state === "queued" ? service.waitsFor(job.id) : null,
		tables: request.tables ?? [],
		intervals: Math.max(1, request.intervals?.length ?? 1),
		run_ids: job.runIds,
		error: error === null ? null : { ...error, file: null, line: null, column: null },
	};
}

export const JOB_ROUTES: readonly Route[] = [
	route({
		method: "GET",
		path: "/api/jobs",
		summary: "What waits and what is at work, oldest first, then the last that ended",
		role: "viewer",
		answer: jobList,
		async handle({ context }) {
			const { jobs } = context.service;
			const ended = await jobs.ended();
			const shown = [...jobs.open(), ...ended.slice(0, ENDED_SHOWN)];
			return { jobs: shown.map((job) => jobOf(context, job)) };
		},
	}),
	route({
		method: "GET",
		path: "/api/jobs/:job",
		summary: "One job",
		role: "viewer",
		answer: jobAnswer,
		async handle(request) {
			const job = await request.context.service.jobs.find(param(request, "job"));
			if (job === null) throw notFound("such job");
			return { job: jobOf(request.context, job) };
		},
	}),
	route({
		method: "POST",
		path: "/api/jobs/:job/cancel",
		summary: "Stops a job, or takes it out of the queue",
		role: "operator",
		answer: jobAnswer,
		action: "cancel",
		async handle(request) {
			const { context, who, note } = request;
			const { service } = context;
			const job = await service.jobs.find(param(request, "job"));
			if (job === null) throw notFound("such job");
			note({ subject: job.pipeline, detail: `job ${job.id}` });
			if (!(await service.cancel(job.id, who?.name ?? "somebody")))
				throw new RequestFailure(409, new HeadraceError("E_REQUEST", `job ${job.id} has ended already`));
			return { job: jobOf(context, (await service.jobs.find(job.id)) ?? job) };
		},
	}),
];
