/** Speed is measured over this time, so that a pause shows and a burst does not. */
const WINDOW_MS = 5_000;
const SAMPLE_INTERVAL_MS = 200;

interface Sample {
	readonly atMs: number;
	readonly rows: number;
	readonly bytes: number;
}

/** How far a table is and how fast it goes. */
export class Meter {
	phase: "extract" | "load" = "extract";
	rows = 0;
	bytes = 0;
	estimatedRows: number | null;
	/** Of a table that is read in chunks. */
	chunks: { readonly done: number; readonly total: number } | null = null;
	#samples: Sample[] = [];

	constructor(estimatedRows: number | null) {
		this.estimatedRows = estimatedRows;
	}

	update(
		at: {
			readonly phase: "extract" | "load";
			readonly rows: number;
			readonly bytes: number;
			readonly estimatedRows?: number;
			readonly chunks?: { readonly done: number; readonly total: number };
		},
		nowMs: number,
	): void {
		// A new phase, or a new attempt, counts from nothing again.
		if (at.phase !== this.phase || at.rows < this.rows) this.#samples = [];
		this.phase = at.phase;
		this.rows = at.rows;
		this.bytes = at.bytes;
		this.chunks = at.chunks ?? null;
		if (at.estimatedRows !== undefined) this.estimatedRows = at.estimatedRows;
		const last = this.#samples.at(-1);
		if (last === undefined || nowMs - last.atMs >= SAMPLE_INTERVAL_MS)
			this.#samples.push({ atMs: nowMs, rows: at.rows, bytes: at.bytes });
		while (this.#samples.length > 2 && nowMs - this.#samples[0]!.atMs > WINDOW_MS) this.#samples.shift();
	}

	/** Rows and bytes a second over the last seconds; null while too little is known. */
	rate(nowMs: number): { readonly rows: number; readonly bytes: number } | null {
		const first = this.#samples[0];
		if (first === undefined || nowMs - first.atMs < SAMPLE_INTERVAL_MS) return null;
		const seconds = (nowMs - first.atMs) / 1000;
		return { rows: (this.rows - first.rows) / seconds, bytes: (this.bytes - first.bytes) / seconds };
	}

	/** Part of the estimated rows that is done, below 1; null when there is no estimate or it proved too low. */
	get share(): number | null {
		if (this.estimatedRows === null || this.estimatedRows <= 0 || this.rows >= this.estimatedRows) return null;
		return this.rows / this.estimatedRows;
	}
}
