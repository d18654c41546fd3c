import { HeadraceError } from "../core/errors.ts";
import { durationMs } from "./durations.ts";

/** The length of an interval of `mode: interval`, in the pipeline's time zone. */
export type IntervalLength =
	| { readonly unit: "minute"; readonly count: number }
	| { readonly unit: "day" }
	/** `startsOn`: 0 is Sunday. */
	| { readonly unit: "week"; readonly startsOn: number }
	/** `startsOn`: day of the month, 1–28. */
	| { readonly unit: "month"; readonly startsOn: number }
	| { readonly unit: "year" };

export type Schedule =
	| { readonly kind: "cron"; readonly text: string; readonly fields: readonly string[] }
	| { readonly kind: "every"; readonly text: string; readonly everyMs: number }
	| { readonly kind: "continuous"; readonly text: string };

export const SCHEDULE_FORM = 'cron such as "0 2 * * *", `@daily`, `every 5m`, or `continuous`';

const WORDS: Readonly<Record<string, string>> = {
	"@hourly": "0 * * * *",
	"@daily": "0 0 * * *",
	"@midnight": "0 0 * * *",
	"@weekly": "0 0 * * 0",
	"@monthly": "0 0 1 * *",
	"@yearly": "0 0 1 1 *",
	"@annually": "0 0 1 1 *",
	hourly: "0 * * * *",
	daily: "0 0 * * *",
	weekly: "0 0 * * 0",
	monthly: "0 0 1 * *",
	yearly: "0 0 1 1 *",
};

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

interface FieldRange {
	readonly name: string;
	readonly low: number;
	readonly high: number;
	readonly words?: readonly string[];
	/** Value of the first word. */
	readonly wordsFrom?: number;
}

const FIELDS: readonly FieldRange[] = [
	{ name: "minute", low: 0, high: 59 },
	{ name: "hour", low: 0, high: 23 },
	{ name: "day of the month", low: 1, high: 31 },
	{ name: "month", low: 1, high: 12, words: MONTHS, wordsFrom: 1 },
	{ name: "day of the week", low: 0, high: 7, words: DAYS, wordsFrom: 0 },
];

/**
 * Reads `schedule:`. Cron has five fields (minute, hour, day, month, weekday) with lists, ranges, steps and names.
 * @throws E_INVALID_VALUE
 */
export function parseSchedule(text: string): Schedule {
	const trimmed = text.trim();
	const word = trimmed.toLowerCase();
	if (word === "continuous") return { kind: "continuous", text: trimmed };
	if (word.startsWith("every ")) {
		const everyMs = durationMs(word.slice(6).trim());
		if (everyMs === undefined || everyMs < 1000)
			throw invalid(text, "`every` takes a duration from 1s on, such as `every 5m`");
		return { kind: "every", text: trimmed, everyMs };
	}
	const expression = Object.hasOwn(WORDS, word) ? WORDS[word]! : trimmed;
	const fields = expression.split(/\s+/);
	if (fields.length !== 5) throw invalid(text, `it is not ${SCHEDULE_FORM}`);
	for (const [index, field] of fields.entries()) checkField(text, field, FIELDS[index]!);
	return { kind: "cron", text: trimmed, fields };
}

function invalid(text: string, why: string): HeadraceError {
	return new HeadraceError("E_INVALID_VALUE", `schedule ${JSON.stringify(text.slice(0, 80))}: ${why}`);
}

function checkField(text: string, field: string, range: FieldRange): void {
	for (const item of field.split(",")) {
		const match = /^(\*|\w+(?:-\w+)?)(?:\/(\d+))?$/.exec(item);
		const step = match?.[2] === undefined ? 1 : Number(match[2]);
		const ends = match && match[1] !== "*" ? match[1]!.split("-").map((end) => fieldValue(end, range)) : [];
		if (!match || step < 1 || ends.some((end) => end === undefined) || (ends.length === 2 && ends[0]! > ends[1]!))
			throw invalid(text, `${range.name} "${item}" is not a number, range, list or step of ${range.low}–${range.high}`);
	}
}

function fieldValue(text: string, range: FieldRange): number | undefined {
	const word = range.words?.indexOf(text.toLowerCase()) ?? -1;
	const value = word >= 0 ? word + range.wordsFrom! : /^\d{1,2}$/.test(text) ? Number(text) : Number.NaN;
	return value >= range.low && value <= range.high ? value : undefined;
}

/**
 * The length of the pipeline's intervals: one day without a schedule and for `continuous`; else what the schedule says.
 * @throws E_INVALID_VALUE for a schedule whose gaps differ, such as `0 2,14 * * *`
 */
export function intervalLength(schedule: Schedule | undefined): IntervalLength {
	if (schedule === undefined || schedule.kind === "continuous") return { unit: "day" };
	const length = schedule.kind === "every" ? lengthOfEvery(schedule.everyMs) : lengthOfCron(schedule.fields);
	if (length !== undefined) return length;
	throw new HeadraceError(
		"E_INVALID_VALUE",
		`schedule ${JSON.stringify(schedule.text)} has no single interval length; intervals work with a cron of fixed ` +
			"minutes (*/N, N divides 60), hours (*/N, N divides 24), one time a day, one weekday, one day of the month " +
			"(1–28) or one day of the year (1 January), and with `every` of a whole part of a day, 1d or 7d",
	);
}

function lengthOfEvery(everyMs: number): IntervalLength | undefined {
	const minutes = everyMs / 60_000;
	if (minutes === 1440) return { unit: "day" };
	if (minutes === 10_080) return { unit: "week", startsOn: 1 };
	return Number.isInteger(minutes) && minutes < 1440 && 1440 % minutes === 0
		? { unit: "minute", count: minutes }
		: undefined;
}

function lengthOfCron(fields: readonly string[]): IntervalLength | undefined {
	const [minute, hour, day, month, weekday] = fields as [string, string, string, string, string];
	const single = (field: string) => /^\w+$/.test(field);
	const step = (field: string, whole: number) => {
		const every = field === "*" ? 1 : Number(/^\*\/(\d+)$/.exec(field)?.[1] ?? Number.NaN);
		return whole % every === 0 ? every : undefined;
	};
	const everyDay = day === "*" && month === "*" && weekday === "*";
	if (!single(minute)) {
		const minutes = step(minute, 60);
		return everyDay && hour === "*" && minutes !== undefined ? { unit: "minute", count: minutes } : undefined;
	}
	if (!single(hour)) {
		const hours = step(hour, 24);
		if (!everyDay || hours === undefined) return undefined;
		return hours === 24 ? { unit: "day" } : { unit: "minute", count: hours * 60 };
	}
	if (everyDay) return { unit: "day" };
	if (day === "*" && month === "*" && single(weekday))
		return { unit: "week", startsOn: fieldValue(weekday, FIELDS[4]!)! % 7 };
	if (!single(day) || weekday !== "*" || Number(day) > 28) return undefined;
	if (month === "*") return { unit: "month", startsOn: Number(day) };
	return Number(day) === 1 && fieldValue(month, FIELDS[3]!) === 1 ? { unit: "year" } : undefined;
}
