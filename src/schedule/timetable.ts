import type { Cron } from "croner";

/** The times of a schedule, in milliseconds since 1970. */
export interface Timetable {
	/** The first time after this moment; null when there is none. */
	next(afterMs: number): number | null;
	/** The last time at or before this moment; null when there was none. */
	last(atMs: number): number | null;
}

/** Upper ends of cron's fields, where `5/15` means `5-59/15`. */
const FIELD_ENDS = [59, 23, 31, 12, 6];

const CRONS_KEPT = 32;
/** The last that were asked. */
const crons = new Map<string, Cron>();

/**
 * Cron with five fields in a time zone. When the clock is set forward, a time that it skips is the moment of the jump;
 * when it is set back, a time of day comes once, the first time, and `*` goes on by the minute as always (crontab(5)
 * of Debian's cron).
 */
export async function cronTimetable(fields: readonly string[], timezone: string): Promise<Timetable> {
	const { Cron: CronOf } = await import("croner");
	// croner keeps 80 kB of tables for each: a thousand schedules share a few, and theirs are made anew when it is asked.
	const cronOf = (): Cron => {
		const key = `${timezone}\n${fields.join(" ")}`;
		const known = crons.get(key) ?? new CronOf(pattern.join(" "), { timezone, paused: true });
		crons.delete(key);
		crons.set(key, known);
		for (const oldest of crons.keys()) {
			if (crons.size <= CRONS_KEPT) break;
			crons.delete(oldest);
		}
		return known;
	};
	const pattern = fields.map((field, index) =>
		field.replace(/(^|,)(\w+)\/(\d+)/g, (_all, comma, from, step) => `${comma}${from}-${FIELD_ENDS[index]}/${step}`),
	);
	cronOf();
	return {
		next: (afterMs) => cronOf().nextRun(new Date(afterMs))?.getTime() ?? null,
		// What is asked for lies strictly before, and cron knows whole seconds only.
		last: (atMs) =>
			cronOf()
				.previousRuns(1, new Date(Math.floor(atMs / 1000) * 1000 + 1000))[0]
				?.getTime() ?? null,
	};
}

/** Where the parts of a calendar begin. */
export interface Boundaries {
	/** The last one at or before. */
	floor(atMs: number): number;
	/** The first one after a boundary. */
	next(boundaryMs: number): number;
}

/** Every so often: from midnight on when a day has a whole number of them, else since 1970. */
export function everyTimetable(everyMs: number, boundaries: Boundaries | null): Timetable {
	const { floor, next } = boundaries ?? {
		floor: (atMs: number) => Math.floor(atMs / everyMs) * everyMs,
		next: (boundaryMs: number) => boundaryMs + everyMs,
	};
	return { next: (afterMs) => next(floor(afterMs)), last: floor };
}

/** The next times, at most so many. */
export function nextTimes(timetable: Timetable, afterMs: number, count: number): number[] {
	const times: number[] = [];
	// A search through the calendar takes long: nothing is looked for beyond the last.
	for (let at: number | null = afterMs; times.length < count; times.push(at)) {
		at = timetable.next(at);
		if (at === null) break;
	}
	return times;
}
