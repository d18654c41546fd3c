import { setTimeout } from "node:timers/promises";
import type { Service } from "../app/service/service.ts";
import type { Finding } from "../core/index.ts";
import type { Health } from "./api.ts";
import { type Route, route, type ServerContext } from "./route.ts";
import { health } from "./schemas/access.ts";

/** The whole history is read for it: not at each look of each page. */
const SOUND_MS = 3_600_000;
/** A page waits so long for the first answer. */
const ANSWER_MS = 50;

interface Soundness {
	readonly atMs: number;
	finding: Finding | null;
}

const soundness = new WeakMap<Service, Soundness>();

/** Whether the history is sound, as far as that is known. */
async function soundnessOf(service: Service): Promise<Finding | null> {
	const now = service.clock.nowMs();
	const known = soundness.get(service);
	if (known !== undefined && Math.abs(now - known.atMs) < SOUND_MS) return known.finding;
	const asked: Soundness = { atMs: now, finding: known?.finding ?? null };
	soundness.set(service, asked);
	const answer = service.state.check().then(
		([found]) => {
			asked.finding = found ?? null;
		},
		() => {
			// A history that can't be asked is asked again by the next page.
			soundness.delete(service);
		},
	);
	await Promise.race([answer, setTimeout(ANSWER_MS)]);
	return asked.finding;
}

async function healthOf({ service, version }: ServerContext): Promise<Health> {
	const now = service.clock.nowMs();
	const entries = [...service.catalog.entries.values()];
	const jobs = service.jobs.open();
	const found = await soundnessOf(service);
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
		history: { sound: (found?.severity ?? "ok") === "ok", message: found?.message ?? "being looked at" },
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
