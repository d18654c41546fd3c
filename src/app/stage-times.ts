import type { RunEvent, StageTime, TableReceipt } from "../core/index.ts";

interface Open {
	readonly stage: StageTime["stage"];
	readonly attempt: number;
	readonly startedAt: string;
	rows: number;
	bytes: number;
}

/**
 * When the tables of a run were read, loaded, and waited for another attempt, as its events tell. A table that goes
 * straight into the destination's transaction is read and loaded at once: it has `extract` only.
 */
export class StageTimes {
	readonly #done = new Map<string, StageTime[]>();
	readonly #open = new Map<string, Open>();
	readonly #now: () => Date;

	constructor(now: () => Date = () => new Date()) {
		this.#now = now;
	}

	/** An event sink. Bound, so that it can be passed on. */
	readonly onEvent = (event: RunEvent): void => {
		switch (event.type) {
			case "table-started":
				this.#begin(event.table, "extract", 1);
				return;
			case "progress":
				this.#progress(event);
				return;
			case "retry": {
				this.#begin(event.table, "wait", event.attempt);
				return;
			}
			case "table-finished":
				this.#end(event.receipt.table);
		}
	};

	/** Ends what a table was at; for its receipt. */
	finished(table: string): Pick<TableReceipt, "stages"> {
		this.#end(table);
		const stages = this.#done.get(table);
		return stages === undefined ? {} : { stages };
	}

	/** All tables so far, what goes on with null as its end. */
	all(): { readonly table: string; readonly stages: readonly StageTime[] }[] {
		const tables = new Set([...this.#done.keys(), ...this.#open.keys()]);
		return [...tables].map((table) => {
			const open = this.#open.get(table);
			const going = open === undefined ? [] : [timeOf(open, null)];
			return { table, stages: [...(this.#done.get(table) ?? []), ...going] };
		});
	}

	#progress({ table: stream, phase, rows, bytes }: Extract<RunEvent, { type: "progress" }>): void {
		// The stream of an interval is named `table@start`.
		const table = this.#open.has(stream) ? stream : stream.slice(0, Math.max(0, stream.lastIndexOf("@")));
		let open = this.#open.get(table);
		if (open === undefined) return;
		if (open.stage !== phase) open = this.#begin(table, phase, open.stage === "wait" ? open.attempt + 1 : open.attempt);
		open.rows = rows;
		open.bytes = bytes;
	}

	#begin(table: string, stage: StageTime["stage"], attempt: number): Open {
		this.#end(table);
		const open = { stage, attempt, startedAt: this.#now().toISOString(), rows: 0, bytes: 0 };
		this.#open.set(table, open);
		return open;
	}

	#end(table: string): void {
		const open = this.#open.get(table);
		if (open === undefined) return;
		this.#open.delete(table);
		const done = this.#done.get(table) ?? [];
		done.push(timeOf(open, this.#now().toISOString()));
		this.#done.set(table, done);
	}
}

function timeOf({ stage, attempt, startedAt, rows, bytes }: Open, finishedAt: string | null): StageTime {
	return { stage, attempt, started_at: startedAt, finished_at: finishedAt, rows, bytes };
}
