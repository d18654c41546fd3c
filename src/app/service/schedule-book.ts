import type { ScheduleRow, ServerStore } from "../../state/index.ts";
import type { PendingWrites } from "./pending-writes.ts";

/** How far each schedule has been served and whether it is held, as the state store has it. */
export class ScheduleBook {
	readonly #store: ServerStore;
	#rows: ReadonlyMap<string, ScheduleRow> = new Map();

	constructor(store: ServerStore) {
		this.#store = store;
	}

	/**
	 * Reads what others wrote. Who leads alone says how far schedules are served: what it remembers may be yet to be
	 * written. Gives whether a pause came or went.
	 */
	async read(leads: boolean): Promise<boolean> {
		const found = await this.#store.schedules();
		const before = this.#rows;
		const dueMs = (row: ScheduleRow) => (leads ? (before.get(row.pipeline)?.dueMs ?? row.dueMs) : row.dueMs);
		const rows = new Map(found.map((row) => [row.pipeline, { ...row, dueMs: dueMs(row) }]));
		if (leads) for (const [name, row] of before) if (!rows.has(name)) rows.set(name, row);
		this.#rows = rows;
		return [...new Set([...before.keys(), ...rows.keys()])].some(
			(name) => (before.get(name)?.paused?.at ?? null) !== (rows.get(name)?.paused?.at ?? null),
		);
	}

	/** The last time that needs nothing more, milliseconds since 1970; null for a pipeline that is new. */
	served(pipeline: string): number | null {
		return this.#rows.get(pipeline)?.dueMs ?? null;
	}

	/** Remembers it at once, and writes it down as the server that `store` is fenced for. */
	saveServed(pipeline: string, dueMs: number, store: ServerStore, writes: PendingWrites): void {
		this.#keep({ pipeline, dueMs, paused: this.paused(pipeline) });
		writes.put(`due ${pipeline}`, () => store.saveDue(pipeline, dueMs));
	}

	paused(pipeline: string): ScheduleRow["paused"] {
		return this.#rows.get(pipeline)?.paused ?? null;
	}

	async savePause(pipeline: string, paused: ScheduleRow["paused"]): Promise<void> {
		await this.#store.savePause(pipeline, paused);
		this.#keep({ pipeline, dueMs: this.served(pipeline), paused });
	}

	#keep(row: ScheduleRow): void {
		this.#rows = new Map([...this.#rows, [row.pipeline, row]]);
	}
}
