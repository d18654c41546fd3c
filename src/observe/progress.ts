import type { EventSink, RunEvent } from "../core/events.ts";
import type { RunReceipt } from "../core/state-store.ts";
import { bytesText, clockText, countText, intervalText, rowsText, secondsText } from "./format.ts";
import { errorText, stamped } from "./lines.ts";
import { LiveBlock } from "./live-block.ts";
import { Meter } from "./meter.ts";
import { stateSign } from "./receipt.ts";
import { cut, displayWidth, type Paint, padEnd, padStart, printable, type Terminal } from "./terminal.ts";

export interface ProgressOptions {
	readonly terminal: Terminal;
	readonly paint: Paint;
	readonly redact: (text: string) => string;
	/** Prints nothing but warnings. */
	readonly quiet?: boolean;
	/** Milliseconds of a clock that only goes on. */
	readonly now?: () => number;
}

/** Draws what runs do. */
export interface Progress extends Disposable {
	readonly onEvent: EventSink;
	/** A line that stays, above what is redrawn. */
	print(line: string): void;
}

/** How often a terminal is redrawn, and a plain line written for a table that is at work. */
const REDRAW_INTERVAL_MS = 100;
const PLAIN_INTERVAL_MS = 10_000;
const NAME_WIDTH_MAX = 40;

/** A redrawn line a table on a terminal, plain lines elsewhere (also in CI and on a terminal that can't move its cursor). */
export function createProgress(options: ProgressOptions, env: NodeJS.ProcessEnv = process.env): Progress {
	const live = options.terminal.isTTY === true && env["TERM"] !== "dumb" && (env["CI"] ?? "") === "";
	if (options.quiet === true) return new QuietProgress(options);
	return live ? new LiveProgress(options) : new PlainProgress(options);
}

class QuietProgress implements Progress {
	readonly #options: ProgressOptions;
	constructor(options: ProgressOptions) {
		this.#options = options;
	}
	readonly onEvent = (event: RunEvent): void => {
		if (event.type === "notice" && event.level === "warn") this.print(noticeText(event, this.#options));
	};
	print(line: string): void {
		this.#options.terminal.write(`${stamped(line, this.#options.terminal)}\n`);
	}
	[Symbol.dispose](): void {}
}

/** What is known of a table that is at work. */
interface Work {
	readonly label: string;
	readonly meter: Meter;
	retry: string | null;
}

class Labels {
	readonly #runs = new Map<string, { readonly interval: string; readonly tables: ReadonlySet<string> }>();
	begin({ run_id, interval, tables }: RunReceipt): void {
		if (interval === null) return;
		const cut = tables.filter(({ mode }) => mode === "interval").map(({ table }) => table);
		this.#runs.set(run_id, { interval: intervalText(interval), tables: new Set(cut) });
	}
	/** The table, and which interval it is of: tables of other modes are read as they are, whatever the run's interval. */
	of(runId: string, table: string): string {
		const run = this.#runs.get(runId);
		return printable(run?.tables.has(table) ? `${table} ${run.interval}` : table);
	}
}

function noticeText(event: Extract<RunEvent, { type: "notice" }>, options: ProgressOptions): string {
	const about = event.table === undefined ? "" : `${printable(event.table)}  `;
	const text = `${event.level === "warn" ? "!" : "·"} ${about}${printable(options.redact(event.message))}`;
	return event.level === "warn" ? options.paint("yellow", text) : text;
}

function retryText(event: Extract<RunEvent, { type: "retry" }>, options: ProgressOptions): string {
	const message = printable(options.redact(event.error.message));
	return `${event.error.code}  ${message}; attempt ${event.attempt + 1} in ${secondsText(event.delayMs / 1000)}`;
}

/** Below this width a line has no room for the bytes so far. */
const WIDE_COLUMNS_MIN = 100;

/** Rows, bytes, rates, share and time left; what is estimated begins with `~`. */
function meterParts(meter: Meter, nowMs: number, wide = true): string[] {
	const rate = meter.rate(nowMs);
	const parts = [padStart(rowsText(meter.rows), 15)];
	if (wide) parts.push(padStart(bytesText(meter.bytes), 9));
	if (rate !== null) {
		parts.push(padStart(`${countText(rate.rows)} rows/s`, 14), padStart(`${(rate.bytes / 1e6).toFixed(1)} MB/s`, 9));
		const share = meter.share;
		if (share !== null) {
			parts.push(`~${Math.floor(share * 100)} %`);
			if (rate.rows > 0) parts.push(`ETA ~${clockText((meter.estimatedRows! - meter.rows) / rate.rows)}`);
		}
	}
	if (wide && meter.chunks !== null) parts.push(`chunk ${meter.chunks.done} of ${meter.chunks.total}`);
	return parts;
}

interface PlainWork extends Work {
	readonly pace: Pace;
}

/** When a table is told next. */
interface Pace {
	told: string;
	/** Ticks from the last line to the next one while nothing changes, and how many of them are left. */
	gap: number;
	left: number;
}

/**
 * Whether this tick has a line for a table: whenever something has changed, else after 1, 2, 4, … ticks. Hundreds of
 * tables that follow a change log and rest would fill a log with lines that say nothing.
 */
function isToBeTold(pace: Pace, now: string): boolean {
	const isSame = pace.told === now;
	if (isSame && --pace.left > 0) return false;
	pace.told = now;
	pace.gap = isSame ? pace.gap * 2 : 1;
	pace.left = pace.gap;
	return true;
}

class PlainProgress implements Progress {
	readonly #options: ProgressOptions;
	readonly #now: () => number;
	readonly #labels = new Labels();
	readonly #working = new Map<string, PlainWork>();
	readonly #timer: NodeJS.Timeout;

	constructor(options: ProgressOptions) {
		this.#options = options;
		this.#now = options.now ?? (() => performance.now());
		this.#timer = setInterval(() => this.#tick(), PLAIN_INTERVAL_MS).unref();
	}

	readonly onEvent = (event: RunEvent): void => {
		switch (event.type) {
			case "run-started":
				this.#labels.begin(event.run);
				this.print(`run ${event.run.run_id} of ${printable(event.run.pipeline)} started`);
				return;
			case "table-started": {
				const label = this.#labels.of(event.runId, event.table);
				const meter = new Meter(event.estimatedRows ?? null);
				const pace = { told: "", gap: 1, left: 1 };
				this.#working.set(key(event.runId, event.table), { label, meter, retry: null, pace });
				const estimate = event.estimatedRows === undefined ? "" : `, ~${rowsText(event.estimatedRows)}`;
				this.print(`${label}  started → ${printable(event.into)}${estimate}`);
				return;
			}
			case "progress":
				this.#working.get(key(event.runId, event.table))?.meter.update(event, this.#now());
				return;
			case "retry":
				this.print(`${this.#labels.of(event.runId, event.table)}  ${retryText(event, this.#options)}`);
				return;
			case "table-finished": {
				const { receipt } = event;
				this.#working.delete(key(event.runId, receipt.table));
				const error = receipt.error === null ? "" : `  ${errorText(receipt.error, this.#options.redact)}`;
				this.print(
					`${this.#labels.of(event.runId, receipt.table)}  ${receipt.state}  ${rowsText(receipt.rows_read)}  ${bytesText(receipt.bytes)}  ${secondsText(receipt.seconds)}${error}`,
				);
				return;
			}
			case "run-finished":
				this.print(`run ${event.run.run_id} of ${printable(event.run.pipeline)} ${event.run.state}`);
				return;
			case "notice":
				this.print(noticeText(event, this.#options));
				return;
		}
	};

	print(line: string): void {
		const time = new Date().toISOString().replace(/\.\d+Z$/, "Z");
		this.#options.terminal.write(`${time}  ${line}\n`);
	}

	#tick(): void {
		const now = this.#now();
		for (const { label, meter, pace } of this.#working.values())
			if (isToBeTold(pace, `${meter.phase} ${meter.rows}`))
				this.print(
					`${label}  ${meter.phase}  ${meterParts(meter, now)
						.map((part) => part.trim())
						.join("  ")}`,
				);
	}

	[Symbol.dispose](): void {
		clearInterval(this.#timer);
	}
}

class LiveProgress implements Progress {
	readonly #options: ProgressOptions;
	readonly #now: () => number;
	readonly #labels = new Labels();
	readonly #block: LiveBlock;
	readonly #working = new Map<string, Work>();
	readonly #timer: NodeJS.Timeout;
	#done: string[] = [];
	#nameWidth = 12;
	#tables = 0;
	#finished = 0;

	constructor(options: ProgressOptions) {
		this.#options = options;
		this.#now = options.now ?? (() => performance.now());
		this.#block = new LiveBlock(options.terminal);
		this.#timer = setInterval(() => this.#draw(), REDRAW_INTERVAL_MS).unref();
	}

	readonly onEvent = (event: RunEvent): void => {
		switch (event.type) {
			case "run-started":
				this.#labels.begin(event.run);
				this.#tables += event.run.tables.length;
				for (const { table } of event.run.tables) this.#widen(this.#labels.of(event.run.run_id, table));
				return;
			case "table-started": {
				const label = this.#labels.of(event.runId, event.table);
				this.#widen(label);
				this.#working.set(key(event.runId, event.table), {
					label,
					meter: new Meter(event.estimatedRows ?? null),
					retry: null,
				});
				return;
			}
			case "progress": {
				const work = this.#working.get(key(event.runId, event.table));
				work?.meter.update(event, this.#now());
				if (work !== undefined) work.retry = null;
				return;
			}
			case "retry": {
				const work = this.#working.get(key(event.runId, event.table));
				if (work !== undefined) work.retry = retryText(event, this.#options);
				return;
			}
			case "table-finished": {
				const { receipt } = event;
				this.#working.delete(key(event.runId, receipt.table));
				this.#finished++;
				const counts = [
					padStart(rowsText(receipt.rows_read), 15),
					padStart(bytesText(receipt.bytes), 9),
					padStart(secondsText(receipt.seconds), 12),
				];
				const name = this.#name(this.#labels.of(event.runId, receipt.table));
				this.#done.push(`   ${name}  ${counts.join("  ")}   ${stateSign(receipt.state, this.#options.paint)}`);
				return;
			}
			case "run-finished":
				return;
			case "notice":
				this.print(noticeText(event, this.#options));
				return;
		}
	};

	print(line: string): void {
		this.#block.clear();
		this.#options.terminal.write(`${line}\n`);
		this.#draw();
	}

	#widen(label: string): void {
		this.#nameWidth = Math.min(NAME_WIDTH_MAX, Math.max(this.#nameWidth, displayWidth(label)));
	}

	#name(label: string): string {
		return padEnd(cut(label, this.#nameWidth), this.#nameWidth);
	}

	#draw(): void {
		const now = this.#now();
		const wide = (this.#options.terminal.columns ?? 80) >= WIDE_COLUMNS_MIN;
		const rows = Math.max(4, (this.#options.terminal.rows ?? 24) - 2);
		const working = [...this.#working.values()].map((work) => {
			const what =
				work.retry ??
				`${meterParts(work.meter, now, wide).join("  ")}${work.meter.phase === "load" ? "  loading" : ""}`;
			return `   ${this.#name(work.label)}  ${what}`;
		});
		// What is at work matters most, then what ended last; the rest is a number.
		const shown = working.slice(0, rows - 1);
		const done = this.#done.slice(Math.max(0, this.#done.length - (rows - 1 - shown.length)));
		this.#done = done;
		const hidden = this.#tables - shown.length - done.length;
		const rest = hidden > 0 ? [`   ${countText(this.#finished)} of ${countText(this.#tables)} tables done`] : [];
		this.#block.draw([...done, ...shown, ...rest]);
	}

	[Symbol.dispose](): void {
		clearInterval(this.#timer);
		this.#block.clear();
	}
}

function key(runId: string, table: string): string {
	return `${runId}\n${table}`;
}
