import type { RunEvent } from "../core/events.ts";
import type { LogLine } from "../core/state-store.ts";
import { bytesText, countText, rowsText, secondsText } from "./format.ts";
import { chunkNotes } from "./receipt.ts";

/** A line of a run's log. */
export interface RunLogLine {
	readonly runId: string;
	readonly line: LogLine;
}

/** What an event says in the log; null for progress, which would only fill it. */
export function eventLine(event: RunEvent, at: Date = new Date()): RunLogLine | null {
	const say = (runId: string, level: LogLine["level"], task: string | null, message: string): RunLogLine => ({
		runId,
		line: { at: at.toISOString(), level, task, message },
	});
	switch (event.type) {
		case "run-started": {
			const { run } = event;
			const interval = run.interval === null ? "" : `, interval ${run.interval.start} to ${run.interval.end}`;
			return say(run.run_id, "info", null, `run of ${run.pipeline} started${interval}`);
		}
		case "table-started": {
			const estimate = event.estimatedRows === undefined ? "" : `, about ${rowsText(event.estimatedRows)}`;
			return say(event.runId, "info", event.table, `started, into ${event.into}${estimate}`);
		}
		case "progress":
			return null;
		case "retry":
			return say(
				event.runId,
				"warn",
				event.table,
				`attempt ${event.attempt} failed with ${event.error.code}: ${event.error.message}; next in ${secondsText(event.delayMs / 1000)}`,
			);
		case "table-finished": {
			const { receipt } = event;
			if (receipt.error !== null)
				return say(
					event.runId,
					receipt.state === "stopped" ? "warn" : "error",
					receipt.table,
					`${receipt.state} with ${receipt.error.code}: ${receipt.error.message}`,
				);
			const counts = `read ${countText(receipt.rows_read)}, staged ${countText(receipt.rows_staged)}, loaded ${countText(receipt.rows_loaded)}, rejected ${countText(receipt.rows_rejected)}`;
			return say(
				event.runId,
				"info",
				receipt.table,
				[
					`${receipt.state}: ${counts}`,
					...chunkNotes(receipt),
					`${bytesText(receipt.bytes)} in ${secondsText(receipt.seconds)}`,
				].join("; "),
			);
		}
		case "run-finished": {
			const level = event.run.state === "succeeded" ? "info" : event.run.state === "stopped" ? "warn" : "error";
			return say(event.run.run_id, level, null, `run ${event.run.state}`);
		}
		case "notice":
			return say(event.runId, event.level, event.table ?? null, event.message);
	}
}

/** How long lines wait to be stored together. */
const FLUSH_DELAY_MS = 250;
const WAITING_LINES_MAX = 200;

/** Collects the log lines of runs and stores them in small groups; `flush` before the end. */
export class RunLog {
	readonly #append: (runId: string, lines: readonly LogLine[]) => Promise<void>;
	#waiting: RunLogLine[] = [];
	#timer: NodeJS.Timeout | null = null;
	#storing: Promise<void> = Promise.resolve();
	#failure: unknown = null;

	/** `append` is a state store's `appendLog`. */
	constructor(append: (runId: string, lines: readonly LogLine[]) => Promise<void>) {
		this.#append = append;
	}

	/** An event sink. Bound, so that it can be passed on. */
	readonly onEvent = (event: RunEvent): void => {
		const line = eventLine(event);
		if (line !== null) this.add(line);
	};

	add(line: RunLogLine): void {
		this.#waiting.push(line);
		if (this.#waiting.length >= WAITING_LINES_MAX) this.#store();
		else this.#timer ??= setTimeout(() => this.#store(), FLUSH_DELAY_MS).unref();
	}

	/** Waits until every line is stored. Throws what a store threw since the last flush. */
	async flush(): Promise<void> {
		this.#store();
		await this.#storing;
		const failure = this.#failure;
		this.#failure = null;
		if (failure !== null) throw failure;
	}

	#store(): void {
		if (this.#timer !== null) clearTimeout(this.#timer);
		this.#timer = null;
		const lines = this.#waiting;
		this.#waiting = [];
		const byRun = Map.groupBy(lines, (line) => line.runId);
		this.#storing = this.#storing.then(async () => {
			try {
				for (const [runId, group] of byRun)
					await this.#append(
						runId,
						group.map((each) => each.line),
					);
			} catch (error) {
				this.#failure ??= error;
			}
		});
	}
}
