import type { Health } from "./api.ts";
import { type Route, route, type ServerContext } from "./route.ts";
import { health } from "./schemas/access.ts";

async function healthOf({ service, version }: ServerContext): Promise<Health> {
	const now = service.clock.nowMs();
	const entries = [...service.catalog.entries.values()];
	const jobs = service.jobs.open();
	const [found] = await service.state.check();
	return {
		version,
		state: service.draining ? "draining" : "ok",
		leads: service.leads,
		leader: service.leader,
		started_at: service.startedAt,
		now: new Date(now).toISOString(),
		uptime_seconds: process.uptime(),
		rss_bytes: process.memoryUsage.rss(),
		jobs_running: jobs.filter(({ state }) => state === "running").length,
		jobs_queued: jobs.filter(({ state }) => state === "queued").length,
		jobs_max: service.jobsMax,
		pipelines: entries.length,
		pipelines_broken: entries.filter(({ pipeline }) => pipeline === null).length,
		history: { sound: found?.severity === "ok", message: found?.message ?? "" },
	};
}

export const HEALTH_ROUTES: readonly Route[] = [
	route({
		method: "GET",
		path: "/api/health",
		summary: "The server itself: memory, queue, history",
		role: "viewer",
		answer: health,
		handle: ({ context }) => healthOf(context),
	}),
];
