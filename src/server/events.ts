import { z } from "zod";
import type { ServiceEvent } from "../app/service/live-runs.ts";
import { HeadraceError } from "../core/index.ts";
import type { ServerEvent } from "./api.ts";
import { Broadcast } from "./broadcast.ts";
import { RequestFailure } from "./failure.ts";
import { jobOf } from "./jobs.ts";
import { type Route, route, type ServerContext } from "./route.ts";
import { serverEvent } from "./schemas/events.ts";
import { eventStream, mayOpenStream } from "./sse.ts";

/** An event of the service as it is sent. */
function eventOf(context: ServerContext, event: ServiceEvent & { readonly at: string }): ServerEvent {
	const { at } = event;
	switch (event.type) {
		case "job":
			return { type: "job", at, job: jobOf(context, event.job) };
		case "run":
			return { type: "run", at, pipeline: event.pipeline, run_id: event.runId, state: event.state };
		case "table": {
			const { pipeline, runId, table, state } = event;
			return { type: "table", at, pipeline, run_id: runId, table, state };
		}
		case "progress": {
			const { runId, table, phase, rows, bytes, estimatedRows, chunks } = event.event;
			return {
				type: "progress",
				at,
				pipeline: event.pipeline,
				run_id: runId,
				table,
				stage: phase,
				rows,
				bytes,
				estimated_rows: estimatedRows ?? null,
				chunks_done: chunks?.done ?? null,
				chunks_total: chunks?.total ?? null,
			};
		}
		case "pipeline":
			return { type: "pipeline", at, pipeline: event.pipeline };
		default:
			return { type: event.type, at };
	}
}

const broadcasts = new WeakMap<ServerContext, Broadcast<ServiceEvent & { readonly at: string }>>();

/** One for all who listen to a server. */
function broadcastOf(context: ServerContext) {
	const known = broadcasts.get(context);
	if (known !== undefined) return known;
	const broadcast = new Broadcast(context.service.events, (id, event) => {
		const data = eventOf(context, event);
		return { id, event: data.type, data: context.redact(data) };
	});
	broadcasts.set(context, broadcast);
	return broadcast;
}

export const EVENT_ROUTES: readonly Route[] = [
	route({
		method: "GET",
		path: "/api/events",
		summary: "What happens, as it happens; goes on after Last-Event-ID, or begins with `reset` where it can't",
		role: "viewer",
		query: z.strictObject({}),
		answer: serverEvent,
		media: "text/event-stream",
		handle({ context, signal, lastEventId }) {
			if (!mayOpenStream())
				throw new RequestFailure(503, new HeadraceError("E_BUSY", "too many streams are open"), {
					"Retry-After": "10",
				});
			return eventStream((send) => broadcastOf(context).join(lastEventId, send), signal);
		},
	}),
];
