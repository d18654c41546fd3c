import { signal } from "@preact/signals";
import type { ServerEvent } from "../../src/server/api.ts";
import { refresh } from "./resource.ts";

type Progress = Extract<ServerEvent, { type: "progress" }>;

/** How far each table of a run that is at work has come, by `progressKey`. */
export const progress = signal<ReadonlyMap<string, Progress>>(new Map());
export const draining = signal(false);

const KINDS = ["reset", "job", "run", "table", "pipeline", "history"] as const;
const REFRESH_MS_MIN = 700;
const RECONNECT_MS = 5000;

let source: EventSource | null = null;
let isWaiting = false;

export function progressKey(runId: string, table: string): string {
	return `${runId}\n${table}`;
}

/** Many events come at once when many tables end: one refresh serves them all. */
function refreshSoon(): void {
	if (isWaiting) return;
	isWaiting = true;
	setTimeout(() => {
		isWaiting = false;
		refresh();
	}, REFRESH_MS_MIN);
}

/** Listens to the server for as long as the page is open; a browser goes on by itself after a pause of the network. */
export function listen(): void {
	if (source !== null) return;
	const events = new EventSource("/api/events");
	source = events;
	for (const kind of KINDS) events.addEventListener(kind, refreshSoon);
	events.addEventListener("progress", ({ data }) => {
		const event = JSON.parse(data) as Progress;
		progress.value = new Map(progress.value).set(progressKey(event.run_id, event.table), event);
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
		refreshSoon();
	});
	events.addEventListener("error", () => {
		if (events.readyState !== EventSource.CLOSED) return;
		source = null;
		setTimeout(listen, RECONNECT_MS);
	});
}
