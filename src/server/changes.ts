import { followsLog } from "../app/change-standing.ts";
import type { ChangeCapture } from "./api.ts";
import { problemOf } from "./failure.ts";
import { entryOf } from "./pipelines.ts";
import { type Route, route, type ServerContext } from "./route.ts";
import { changeCapture } from "./schemas/tables.ts";

async function captureOf({ service }: ServerContext, name: string): Promise<ChangeCapture> {
	const pipeline = service.catalog.entries.get(name)?.pipeline ?? null;
	const follower = service.follower(name);
	const place = await service.changes.place(name);
	const measure = service.changes.measure(name);
	const headroom = measure?.headroom ?? null;
	const error = follower?.error ?? measure?.error ?? null;
	const has = pipeline !== null && followsLog(pipeline);
	const isPaused = service.paused(name) !== null;
	// Of what another server follows, this one knows by its lease.
	const isElsewhere = !service.leads && (await service.state.leaseHolder(`pipeline:${name}`)) !== null;
	const supervised = isElsewhere ? "working" : (follower?.state ?? null);
	return {
		pipeline: name,
		state: has ? stateOf(supervised, isPaused) : "none",
		lag_seconds: has ? await service.changes.lagSeconds(name) : null,
		bytes_behind: headroom?.bytesBehind ?? null,
		headroom_seconds: headroom?.secondsLeft ?? null,
		headroom_bytes: headroom?.bytesLeft ?? null,
		position: measure?.position ?? place?.position.at ?? null,
		log_end: measure?.end ?? null,
		measured_at: measure === null ? null : new Date(measure.atMs).toISOString(),
		restarts: follower?.restarts ?? 0,
		next_restart_at: follower?.nextMs == null ? null : new Date(follower.nextMs).toISOString(),
		problem: error === null ? null : problemOf(error, service.directory),
		tables: Object.entries(place?.position.tables ?? {}).map(([table, { state, from, until }]) => ({
			table,
			state: state ?? "following",
			from: from ?? null,
			until: until ?? null,
		})),
	};
}

function stateOf(supervised: "working" | "restarting" | "stopped" | null, paused: boolean): ChangeCapture["state"] {
	if (paused) return "paused";
	if (supervised === "working") return "following";
	return supervised === "restarting" ? "restarting" : "stopped";
}

export const CHANGE_ROUTES: readonly Route[] = [
	route({
		method: "GET",
		path: "/api/pipelines/:pipeline/changes",
		summary: "The change stream: how far it is behind, how long it can still be read, and its tables",
		role: "viewer",
		answer: changeCapture,
		handle: (request) => captureOf(request.context, entryOf(request).name),
	}),
];
