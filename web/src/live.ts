import { signal } from "@preact/signals";
import type { ServerEvent } from "../../src/server/api.ts";
import { pipelineApi } from "./addresses.ts";
import { signedOut } from "./client.ts";
import { refresh } from "./resource.ts";

type Progress = Extract<ServerEvent, { type: "progress" }>;

/** How far each table of a run that is at work has come, by `progressKey`. */
export const progress = signal<ReadonlyMap<string, Progress>>(new Map());
export const draining = signal(false);

const KINDS = ["reset", "job", "run", "table", "pipeline", "history"] as const;
const REFRESH_MS_MIN = 700;
const PROGRESS_REFRESH_MS = 5000;
const RECONNECT_MS = 5000;

let source: EventSource | null = null;
/** What the events since the last refresh were about; a refresh waits when there are any. */
let waiting: { readonly kind: string; readonly pipeline: string }[] = [];
let tookMs = 0;
let refreshedAtMs = 0;

export function progressKey(runId: string, table: string): string {
	return `${runId}\n${table}`;
}

/**
 * Many events come at once when many tables end: one refresh serves them all. A server that takes long to answer is
 * asked less often.
 */
function refreshSoon(kind: string, pipeline: string): void {
	waiting.push({ kind, pipeline });
	if (waiting.length > 1) return;
	setTimeout(
		async () => {
			const about = waiting;
			waiting = [];
			const startMs = performance.now();
			await refresh((path) => about.some((each) => isAbout(path, each)));
			refreshedAtMs = performance.now();
			tookMs = refreshedAtMs - startMs;
		},
		Math.max(REFRESH_MS_MIN, tookMs * 4),
	);
}

/** Whether an answer may have changed by an event: of another pipeline's page it has not. */
function isAbout(path: string, { kind, pipeline }: { readonly kind: string; readonly pipeline: string }): boolean {
	if (pipeline === "") return true;
	if (path.startsWith("/api/pipelines/"))
		return `${path}/`.startsWith(`${pipelineApi(pipeline)}/`) || path.startsWith(`${pipelineApi(pipeline)}?`);
	return path !== "/api/pipelines" || kind !== "table";
}

/**
 * Listens to the server while the page is seen; a browser goes on by itself after a pause of the network. Tabs that are
 * not seen do not listen: a browser has six connections to a server, over HTTP/1.1, for all its tabs.
 */
export function listen(): void {
	if (source !== null || document.hidden || signedOut.value) return;
	const events = new EventSource("/api/events");
	source = events;
	for (const kind of KINDS)
		events.addEventListener(kind, ({ data }) => {
			const event = JSON.parse(data) as ServerEvent;
			const pipeline = event.type === "job" ? event.job.pipeline : "pipeline" in event ? event.pipeline : "";
			refreshSoon(kind, pipeline);
		});
	events.addEventListener("progress", ({ data }) => {
		const event = JSON.parse(data) as Progress;
		progress.value = new Map(progress.value).set(progressKey(event.run_id, event.table), event);
		// A change stream tells of nothing else while it moves its lag and its position.
		if (performance.now() - refreshedAtMs > PROGRESS_REFRESH_MS) refreshSoon("progress", event.pipeline);
	});
	events.addEventListener("run", ({ data }) => {
		const event = JSON.parse(data) as Extract<ServerEvent, { type: "run" }>;
		if (event.state === "running") return;
		const beginning = progressKey(event.run_id, "");
		progress.value = new Map([...progress.value].filter(([key]) => !key.startsWith(beginning)));
	});
	events.addEventListener("draining", () => {
		draining.value = true;
	});
	events.addEventListener("open", () => {
		draining.value = false;
		refreshSoon("open", "");
	});
	events.addEventListener("error", () => {
		// Whether it is the server that is gone is seen by asking it.
		refreshSoon("lost", "");
		if (events.readyState !== EventSource.CLOSED) return;
		source = null;
		setTimeout(listen, RECONNECT_MS);
	});
}

document.addEventListener("visibilitychange", () => {
	if (!document.hidden) return listen();
	source?.close();
	source = null;
});
