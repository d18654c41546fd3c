import { civilFromDays, daysFromCivil, daysInMonth } from "../core/calendar.ts";

/** A filter got a value it can't work on; the message is for people. */
export class FilterError extends Error {}

interface Moment {
	readonly days: number;
	readonly seconds: number;
	/** What stood after the day, so that a time keeps its form. */
	readonly rest: "none" | "blank" | "T";
	readonly suffix: string;
}

function momentOf(value: unknown, filter: string): Moment {
	const match =
		typeof value === "string" &&
		/^(\d{4})-(\d{2})-(\d{2})(?:([ T])(\d{2}):(\d{2})(?::(\d{2}))?(\.\d+)?(Z|\+00:00)?)?$/.exec(value);
	const [year, month, day] = match ? match.slice(1, 4).map(Number) : [];
	if (!match || day! < 1 || day! > daysInMonth(year!, month!))
		throw new FilterError(`the filter ${filter} needs a day or time such as ds or interval_start`);
	const [hour, minute, second] = match.slice(5, 8).map((part) => Number(part ?? 0));
	return {
		days: daysFromCivil(year!, month!, day!),
		seconds: (hour! * 60 + minute!) * 60 + second!,
		rest: match[4] === undefined ? "none" : match[4] === " " ? "blank" : "T",
		suffix: `${match[8] ?? ""}${match[9] ?? ""}`,
	};
}

function two(value: number): string {
	return String(value).padStart(2, "0");
}

function textOf({ days, seconds, rest, suffix }: Moment): string {
	const { year, month, day } = civilFromDays(days);
	const date = `${String(year).padStart(4, "0")}-${two(month)}-${two(day)}`;
	if (rest === "none") return date;
	const time = `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
	return `${date}${rest === "blank" ? " " : "T"}${time}${suffix}`;
}

function numberOf(value: unknown, filter: string): number {
	const number = typeof value === "string" && /^-?\d{1,7}$/.test(value) ? Number(value) : value;
	if (typeof number !== "number" || !Number.isInteger(number) || Math.abs(number) > 9_999_999)
		throw new FilterError(`the filter ${filter} needs a whole number: {{ ds | ${filter}: -1 }}`);
	return number;
}

function checked(moment: Moment, filter: string): string {
	const { year } = civilFromDays(moment.days);
	if (year < 1 || year > 9999) throw new FilterError(`the filter ${filter} leaves the years 1 to 9999`);
	return textOf(moment);
}

function addSeconds(value: unknown, amount: unknown, secondsEach: number, filter: string): string {
	const moment = momentOf(value, filter);
	const total = moment.days * 86_400 + moment.seconds + numberOf(amount, filter) * secondsEach;
	const days = Math.floor(total / 86_400);
	const rest = moment.rest === "none" && secondsEach < 86_400 ? "blank" : moment.rest;
	return checked({ ...moment, rest, days, seconds: total - days * 86_400 }, filter);
}

function addMonths(value: unknown, amount: unknown): string {
	const moment = momentOf(value, "add_months");
	const { year, month, day } = civilFromDays(moment.days);
	const months = year * 12 + month - 1 + numberOf(amount, "add_months");
	const [toYear, toMonth] = [Math.floor(months / 12), (((months % 12) + 12) % 12) + 1];
	const days = daysFromCivil(toYear, toMonth, Math.min(day, daysInMonth(toYear, toMonth)));
	return checked({ ...moment, days }, "add_months");
}

const MONTHS = "January February March April May June July August September October November December".split(" ");
const WEEKDAYS = "Sunday Monday Tuesday Wednesday Thursday Friday Saturday".split(" ");

/** strftime of the usual letters, in UTC for times; a day has no zone. */
function formatDate(value: unknown, format: unknown): string {
	const moment = momentOf(value, "date");
	if (typeof format !== "string") throw new FilterError('the filter date needs a format: {{ ds | date: "%Y%m%d" }}');
	const { year, month, day } = civilFromDays(moment.days);
	const weekday = (((moment.days + 4) % 7) + 7) % 7;
	const dayOfYear = moment.days - daysFromCivil(year, 1, 1) + 1;
	const [hour, minute, second] = [moment.seconds / 3600, (moment.seconds / 60) % 60, moment.seconds % 60].map(
		Math.floor,
	);
	const fields: Readonly<Record<string, string>> = {
		Y: String(year).padStart(4, "0"),
		y: two(year % 100),
		m: two(month),
		d: two(day),
		e: String(day).padStart(2, " "),
		H: two(hour!),
		M: two(minute!),
		S: two(second!),
		j: String(dayOfYear).padStart(3, "0"),
		u: String(weekday === 0 ? 7 : weekday),
		w: String(weekday),
		B: MONTHS[month - 1]!,
		b: MONTHS[month - 1]!.slice(0, 3),
		A: WEEKDAYS[weekday]!,
		a: WEEKDAYS[weekday]!.slice(0, 3),
		F: `${String(year).padStart(4, "0")}-${two(month)}-${two(day)}`,
		T: `${two(hour!)}:${two(minute!)}:${two(second!)}`,
		s: String(moment.days * 86_400 + moment.seconds),
		"%": "%",
	};
	return format.replace(/%(.?)/g, (directive, letter: string) => {
		const field = Object.hasOwn(fields, letter) ? fields[letter] : undefined;
		if (field === undefined) throw new FilterError(`the filter date does not know ${directive}`);
		return field;
	});
}

/** Filters of our own; they work on the text of days and times, never on the process's time zone. */
export const DATE_FILTERS: Readonly<Record<string, (value: unknown, argument: unknown) => string>> = {
	date: formatDate,
	add_days: (value, amount) => addSeconds(value, amount, 86_400, "add_days"),
	add_hours: (value, amount) => addSeconds(value, amount, 3600, "add_hours"),
	add_minutes: (value, amount) => addSeconds(value, amount, 60, "add_minutes"),
	add_months: addMonths,
};

/** Liquid's own filters that may be used: short work on text and numbers. */
export const SAFE_FILTERS = [
	"abs",
	"append",
	"at_least",
	"at_most",
	"capitalize",
	"ceil",
	"default",
	"divided_by",
	"downcase",
	"floor",
	"lstrip",
	"minus",
	"modulo",
	"plus",
	"prepend",
	"remove",
	"replace",
	"round",
	"rstrip",
	"size",
	"slice",
	"strip",
	"times",
	"truncate",
	"upcase",
] as const;
