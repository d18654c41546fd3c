import type { RunEvent } from "../core/events.ts";
import type { LogLine } from "../core/state-store.ts";
import { jsonLine } from "./lines.ts";
import { eventLine } from "./log.ts";
import type { Progress, ProgressOptions } from "./progress.ts";

/** How often a table that is at work is told. */
const PROGRESS_INTERVAL_MS = 10_000;

/** What runs do as JSON lines: each event once, a table at work every ten seconds. */
export function createJsonLog(options: Omit<ProgressOptions, "paint">): Progress {
	return new JsonLog(options);
}

class JsonLog implements Progress {
	readonly #options: Omit<ProgressOptions, "paint">;
	readonly #now: () => number;
	readonly #pipelines = new Map<string, string>();
	readonly #lastMs = new Map<string, number>();

	constructor(options: Omit<ProgressOptions, "paint">) {
		this.#options = options;
		this.#now = options.now ?? (() => performance.now());
	}

	readonly onEvent = (event: RunEvent): void => {
		if (event.type === "run-started") this.#pipelines.set(event.run.run_id, event.run.pipeline);
		if (event.type === "progress") {
			this.#progress(event);
			return;
		}
		const told = eventLine(event);
		if (told === null) return;
		const { level, task, message } = told.line;
		const about = { ...this.#about(told.runId), ...(task === null ? {} : { table: task }) };
		this.#write(level, message, { event: event.type, ...about, ...fieldsOf(event) });
	};

	print(line: string): void {
		this.#write("info", line);
	}

	#progress(event: Extract<RunEvent, { type: "progress" }>): void {
		const { runId, table, phase, rows, bytes, estimatedRows } = event;
		const key = `${runId}\n${table}`;
		const now = this.#now();
		const last = this.#lastMs.get(key);
		this.#lastMs.set(key, last === undefined || now - last >= PROGRESS_INTERVAL_MS ? now : last);
		if (last === undefined || now - last < PROGRESS_INTERVAL_MS) return;
		const estimate = estimatedRows === undefined ? {} : { estimated_rows: estimatedRows };
		this.#write("info", phase, { event: "progress", ...this.#about(runId), table, phase, rows, bytes, ...estimate });
	}

	#about(runId: string): Record<string, string> {
		const pipeline = this.#pipelines.get(runId);
		return { ...(runId === "" ? {} : { run_id: runId }), ...(pipeline === undefined ? {} : { pipeline }) };
	}

	#write(level: LogLine["level"], message: string, more: Readonly<Record<string, unknown>> = {}): void {
		const { quiet, redact, terminal } = this.#options;
		if (quiet === true && level === "info") return;
		// Texts are redacted before they are quoted: a mask must not take a quote away.
		const safe = Object.entries(more).map(([key, value]) => [key, typeof value === "string" ? redact(value) : value]);
		terminal.write(`${jsonLine(level, redact(message), Object.fromEntries(safe))}\n`);
	}

	[Symbol.dispose](): void {}
}

function fieldsOf(event: RunEvent): Readonly<Record<string, unknown>> {
	switch (event.type) {
		case "retry":
			return { attempt: event.attempt, delay_ms: event.delayMs, code: event.error.code };
		case "table-finished": {
			const { state, rows_read, rows_loaded, rows_rejected, bytes, seconds, error } = event.receipt;
			const cause = error === null ? {} : { code: error.code, hint: error.hint };
			return { state, rows_read, rows_loaded, rows_rejected, bytes, seconds, ...cause };
		}
		case "run-finished":
			return { state: event.run.state };
		default:
			return {};
	}
}
