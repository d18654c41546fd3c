import { zone } from "./settings.ts";

const whole = new Intl.NumberFormat("en");

/** `1,204,110`; a dash for what is not known. */
export function count(value: number | null | undefined): string {
	return value === null || value === undefined ? "–" : whole.format(value);
}

/** `1 row`, `2 rows`. */
export function plural(value: number, noun: string): string {
	return `${count(value)} ${noun}${value === 1 ? "" : "s"}`;
}

const BYTE_UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

/** Decimal units, as the command line prints them: `4.1 MB`. */
export function bytes(value: number | null | undefined): string {
	if (value === null || value === undefined) return "–";
	const sign = value < 0 ? "−" : "";
	let rest = Math.abs(value);
	let unit = 0;
	while (rest >= 999.5 && unit < BYTE_UNITS.length - 1) {
		rest /= 1000;
		unit++;
	}
	return `${sign}${rest >= 10 || unit === 0 ? Math.round(rest) : rest.toFixed(1)} ${BYTE_UNITS[unit]}`;
}

/** `4 ms`, `0.42 s`, `8 s`, `3 min 04 s`, `2 h 05 min`, `3 d 4 h`. */
export function duration(seconds: number | null | undefined): string {
	if (seconds === null || seconds === undefined) return "–";
	if (seconds < 0) return `−${duration(-seconds)}`;
	if (seconds === 0) return "0 s";
	if (seconds < 0.0995) return `${Math.max(1, Math.round(seconds * 1000))} ms`;
	if (seconds < 9.95) return `${seconds < 1 ? seconds.toFixed(2) : seconds.toFixed(1)} s`;
	const rounded = Math.round(seconds);
	if (rounded < 60) return `${rounded} s`;
	const minutes = Math.floor(rounded / 60);
	if (minutes < 60) return `${minutes} min ${pad(rounded % 60)} s`;
	const hours = Math.floor(minutes / 60);
	if (hours < 24) return `${hours} h ${pad(minutes % 60)} min`;
	return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

function pad(value: number): string {
	return String(value).padStart(2, "0");
}

/** Seconds between two times; until now when it has not ended. */
export function secondsBetween(start: string, end: string | null): number {
	return Math.max(0, ((end === null ? Date.now() : Date.parse(end)) - Date.parse(start)) / 1000);
}

interface Parts {
	readonly day: string;
	readonly clock: string;
}

const formats = new Map<string, Intl.DateTimeFormat>();

function partsOf(time: string): Parts {
	const timeZone = zone.value === "UTC" ? "UTC" : Intl.DateTimeFormat().resolvedOptions().timeZone;
	let format = formats.get(timeZone);
	if (format === undefined) {
		// Swedish writes dates as ISO 8601 does.
		format = new Intl.DateTimeFormat("sv-SE", { timeZone, dateStyle: "short", timeStyle: "medium" });
		formats.set(timeZone, format);
	}
	const [day = "", clock = ""] = format.format(new Date(time)).split(" ");
	return { day, clock };
}

/** `2026-11-21 02:00:07` in the zone that was chosen. */
export function dateTime(time: string | null | undefined): string {
	if (time === null || time === undefined || Number.isNaN(Date.parse(time))) return "–";
	const { day, clock } = partsOf(time);
	return `${day} ${clock}`;
}

/** `2026-11-21 02:00`, without seconds that are nought. */
export function shortDateTime(time: string | null | undefined): string {
	return dateTime(time).replace(/:00$/, "");
}

/** `02:00:07.118`, for lines that follow each other. */
export function clockTime(time: string): string {
	const milliseconds = /\.(\d{3})/.exec(time)?.[1] ?? "000";
	return `${partsOf(time).clock}.${milliseconds}`;
}

export function dayOf(time: string): string {
	return partsOf(time).day;
}

/** `12 s ago`, `in 3 h`: rounded to its biggest unit. `nowMs` is milliseconds since 1970. */
export function relative(time: string | null | undefined, nowMs: number): string {
	if (time === null || time === undefined) return "never";
	const seconds = (Date.parse(time) - nowMs) / 1000;
	const words = roughly(Math.abs(seconds));
	return Math.abs(seconds) < 1 ? "now" : seconds < 0 ? `${words} ago` : `in ${words}`;
}

/** `45 s`, `12 min`, `5 h`, `3 d`. */
export function roughly(seconds: number): string {
	if (seconds < 90) return `${Math.round(seconds)} s`;
	if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
	if (seconds < 36 * 3600) return `${Math.round(seconds / 3600)} h`;
	return `${Math.round(seconds / 86400)} d`;
}

/**
 * An interval in the zone that was chosen: `2026-11-20` for a day of that zone, else start and end, `2026-11-20 02:00 –
 * 03:00`. Midnight is not written.
 */
export function intervalText(interval: { readonly start: string; readonly end: string } | null): string {
	if (interval === null) return "";
	const start = partsOf(interval.start);
	const end = partsOf(interval.end);
	const text = ({ day, clock }: Parts) => (clock === "00:00:00" ? day : `${day} ${clock.replace(/:00$/, "")}`);
	const isWhole = start.clock === "00:00:00" && end.clock === "00:00:00";
	const hours = (Date.parse(interval.end) - Date.parse(interval.start)) / 3_600_000;
	// A day on which the clock changes has an hour less or more.
	if (isWhole && hours > 20 && hours < 28) return start.day;
	return `${text(start)} – ${!isWhole && end.day === start.day ? end.clock.replace(/:00$/, "") : text(end)}`;
}
