import type { ScheduleRow, ServerStore } from "../../state/index.ts";

/** How far each schedule has been served and whether it is held, as the state store has it. */
export class ScheduleBook {
	readonly #store: ServerStore;
	readonly #rows: Map<string, ScheduleRow>;

	constructor(store: ServerStore) {
		this.#store = store;
		this.#rows = new Map(store.schedules().map((row) => [row.pipeline, row]));
	}

	/** The last time that needs nothing more, milliseconds since 1970; null for a pipeline that is new. */
	served(pipeline: string): number | null {
		return this.#rows.get(pipeline)?.dueMs ?? null;
	}

	saveServed(pipeline: string, dueMs: number): void {
		this.#store.saveDue(pipeline, dueMs);
		this.#rows.set(pipeline, { pipeline, dueMs, paused: this.paused(pipeline) });
	}

	paused(pipeline: string): ScheduleRow["paused"] {
		return this.#rows.get(pipeline)?.paused ?? null;
	}

	savePause(pipeline: string, paused: ScheduleRow["paused"]): void {
		this.#store.savePause(pipeline, paused);
		this.#rows.set(pipeline, { pipeline, dueMs: this.served(pipeline), paused });
	}
}
