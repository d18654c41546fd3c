import { useEffect, useState } from "preact/hooks";
import type { LogLine, LogPage } from "../../src/server/api.ts";
import { runApi } from "./addresses.ts";
import { get } from "./client.ts";

export interface Log {
	readonly lines: readonly LogLine[];
	readonly state: "loading" | "live" | "complete";
	readonly error: unknown;
}

/** The most that the server gives at once. */
const PAGE_LINES = 2000;
/** Lines that came are drawn together, so that a busy run does not draw the page a thousand times a second. */
const DRAW_MS = 150;

/** All lines of a run: what is there page by page, then each as it comes. */
export function useLog(runId: string): Log {
	const [log, setLog] = useState<Log>({ lines: [], state: "loading", error: null });
	useEffect(() => {
		const abort = new AbortController();
		follow(runId, abort.signal, setLog).catch((error: unknown) => {
			if (!abort.signal.aborted) setLog((before) => ({ ...before, state: "complete", error }));
		});
		return () => abort.abort();
	}, [runId]);
	return log;
}

async function follow(runId: string, signal: AbortSignal, draw: (log: Log) => void): Promise<void> {
	let lines: LogLine[] = [];
	let after: number | null = null;
	while (true) {
		const query = new URLSearchParams({ limit: String(PAGE_LINES), level: "debug" });
		if (after !== null) query.set("after", String(after));
		const page: LogPage = await get<LogPage>(`${runApi(runId)}/log?${query}`, signal);
		lines = [...lines, ...page.lines];
		after = lines.at(-1)?.line ?? after;
		if (page.next !== null) {
			draw({ lines, state: "loading", error: null });
			continue;
		}
		draw({ lines, state: page.complete ? "complete" : "live", error: null });
		if (page.complete) return;
		break;
	}
	stream(runId, after, signal, (more, complete) => {
		lines = [...lines, ...more];
		draw({ lines, state: complete ? "complete" : "live", error: null });
	});
}

/** Takes each line as it comes, while the page is seen; what came meanwhile follows when it is seen again. */
function stream(
	runId: string,
	after: number | null,
	signal: AbortSignal,
	take: (lines: readonly LogLine[], complete: boolean) => void,
): void {
	let last = after ?? 0;
	let waiting: LogLine[] = [];
	let timer: ReturnType<typeof setTimeout> | undefined;
	let events: EventSource | null = null;
	const flush = (complete: boolean) => {
		clearTimeout(timer);
		timer = undefined;
		const lines = waiting;
		waiting = [];
		take(lines, complete);
	};
	const close = () => {
		events?.close();
		events = null;
	};
	const open = () => {
		events = new EventSource(`${runApi(runId)}/log/stream?after=${last}`);
		events.addEventListener("line", ({ data }) => {
			const line = JSON.parse(data) as LogLine;
			// After a reconnection a server may send again what was there.
			if (line.line <= last) return;
			last = line.line;
			waiting.push(line);
			timer ??= setTimeout(() => flush(false), DRAW_MS);
		});
		events.addEventListener("end", () => {
			stop.abort();
			flush(true);
		});
	};
	const stop = new AbortController();
	const over = AbortSignal.any([signal, stop.signal]);
	over.addEventListener("abort", () => {
		clearTimeout(timer);
		close();
	});
	document.addEventListener("visibilitychange", () => (document.hidden ? close() : events === null && open()), {
		signal: over,
	});
	if (!document.hidden) open();
}
