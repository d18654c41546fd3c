import type { Clock } from "./clock.ts";
import type { Timetable } from "./timetable.ts";

/** The clock is looked at this often at least: a machine that slept, or whose clock was set, is noticed. */
const LOOK_MS_MAX = 15_000;
/** A time that was served this far in the future was taken from a wrong clock. */
const WRONG_CLOCK_MS = 86_400_000;

export interface Scheduled {
	readonly name: string;
	readonly timetable: Timetable;
	readonly paused: boolean;
}

/** From `fromMs` on nothing is due before `nextMs`; `lastMs` is the last time before it, once it was asked for. */
interface Gap {
	readonly timetable: Timetable;
	readonly fromMs: number;
	readonly nextMs: number | null;
	lastMs: number | null;
}

/** A time that has come, and the last one before it that was served. */
interface Due {
	readonly name: string;
	readonly atMs: number;
	readonly sinceMs: number;
}

export interface SchedulerOptions {
	readonly clock: Clock;
	/** The last time that needs nothing more, as it was kept; null for a pipeline that was never scheduled. */
	readonly served: (name: string) => number | null;
	/** Keeps it. */
	readonly saveServed: (name: string, dueMs: number) => void;
	/** A time has come. `sinceMs`: the last one that was served; what lies between was missed. */
	readonly onDue: (name: string, due: { readonly atMs: number; readonly sinceMs: number }) => void;
}

/**
 * Says when the time of a schedule has come, each time at most once. What was missed, since nothing ran or the schedule
 * was held, is one time: the last. A time counts as served when `done` says so: what a crash cuts off comes again.
 */
export class Scheduler {
	readonly #options: SchedulerOptions;
	#scheduled = new Map<string, Scheduled>();
	/** Told and not yet done. */
	readonly #told = new Map<string, number>();
	/** By name: a span without a time of its schedule. */
	readonly #gaps = new Map<string, Gap>();
	#cancel: (() => void) | null = null;
	#running = false;

	constructor(options: SchedulerOptions) {
		this.#options = options;
	}

	/** Replaces what is scheduled. */
	set(scheduled: readonly Scheduled[]): void {
		this.#scheduled = new Map(scheduled.map((each) => [each.name, each]));
		if (this.#running) this.#look();
	}

	start(): void {
		this.#running = true;
		this.#look();
	}

	stop(): void {
		this.#running = false;
		this.#cancel?.();
		this.#cancel = null;
	}

	/** What was due then needs nothing more. */
	done(name: string, dueMs: number): void {
		const served = this.#options.served(name);
		if (served === null || served < dueMs) this.#options.saveServed(name, dueMs);
	}

	/** What was told was not done: it comes again at the next look. */
	again(name: string): void {
		this.#told.delete(name);
	}

	/** When the pipeline is next due; null when it is held or has no time. */
	nextMs(name: string): number | null {
		const each = this.#scheduled.get(name);
		if (each === undefined || each.paused) return null;
		return this.#nextOf(each, Math.max(this.#options.clock.nowMs(), this.#toldOf(name) ?? 0));
	}

	#nextOf(each: Scheduled, fromMs: number): number | null {
		return this.#gapAt(each, fromMs).nextMs;
	}

	#lastOf(each: Scheduled, atMs: number): number | null {
		const gap = this.#gapAt(each, atMs);
		gap.lastMs ??= each.timetable.last(atMs);
		return gap.lastMs;
	}

	/** A search through the calendar for what is due once a year takes long, and is asked for every few seconds. */
	#gapAt({ name, timetable }: Scheduled, atMs: number): Gap {
		const known = this.#gaps.get(name);
		if (known?.timetable === timetable && known.fromMs <= atMs && atMs < (known.nextMs ?? Number.POSITIVE_INFINITY))
			return known;
		const gap = { timetable, fromMs: atMs, nextMs: timetable.next(atMs), lastMs: null };
		this.#gaps.set(name, gap);
		return gap;
	}

	#toldOf(name: string): number | null {
		const [told, served] = [this.#told.get(name), this.#options.served(name)];
		if (told === undefined) return served;
		return served === null ? told : Math.max(told, served);
	}

	#look(): void {
		this.#cancel?.();
		const { clock } = this.#options;
		const now = clock.nowMs();
		let wake = now + LOOK_MS_MAX;
		const due: Due[] = [];
		for (const each of this.#scheduled.values()) {
			if (each.paused) continue;
			const found = this.#dueOf(each, now);
			if (found !== null) due.push(found);
			wake = Math.min(wake, this.#nextOf(each, now) ?? wake);
		}
		// Whose time came first has its turn first: after a stop all are due at once.
		for (const { name, atMs, sinceMs } of due.toSorted((a, b) => a.atMs - b.atMs)) {
			this.#told.set(name, atMs);
			this.#options.onDue(name, { atMs, sinceMs });
		}
		this.#cancel = clock.after(Math.max(1, wake - now), () => this.#look());
	}

	#dueOf(each: Scheduled, now: number): Due | null {
		const { name } = each;
		const last = this.#lastOf(each, now);
		const told = this.#toldOf(name);
		// Seen for the first time, or by a clock that was wrong then: from now on.
		if (told === null || told > now + WRONG_CLOCK_MS) {
			this.#told.delete(name);
			this.#options.saveServed(name, now);
			return null;
		}
		return last === null || last <= told ? null : { name, atMs: last, sinceMs: told };
	}
}
