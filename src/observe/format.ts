/** `1234567` → `1,234,567`. */
export function countText(value: number): string {
	// Not by Intl, whose first use takes 5 ms.
	return String(Math.round(value)).replace(/\B(?=(?:\d{3})+$)/g, ",");
}

export function rowsText(rows: number): string {
	return `${countText(rows)} ${rows === 1 ? "row" : "rows"}`;
}

/** `1 table`, `3 tables`. */
export function plural(count: number, word: string): string {
	return `${countText(count)} ${word}${count === 1 ? "" : "s"}`;
}

/** Decimal units: `0 B`, `812 B`, `4.1 MB`, `1.25 GB`. From kilobytes on a file's size and a rate have the same form. */
export function bytesText(bytes: number): string {
	if (bytes < 1000) return `${Math.round(bytes)} B`;
	const units = ["kB", "MB", "GB", "TB", "PB"];
	let value = bytes / 1000;
	let unit = 0;
	while (value >= 999.95 && unit < units.length - 1) {
		value /= 1000;
		unit++;
	}
	return `${value.toFixed(unit >= 2 ? 2 : 1)} ${units[unit]}`;
}

/** `0.09 s`, `12.3 s`, `3 min 05 s`, `2 h 10 min`. */
export function secondsText(seconds: number): string {
	if (seconds < 9.995) return `${seconds.toFixed(2)} s`;
	if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
	const whole = Math.round(seconds);
	if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
	return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, "0")} min`;
}

/** `0:07`, `1:02:09`: how long something may still take. */
export function clockText(seconds: number): string {
	const whole = Math.max(0, Math.round(seconds));
	const two = (value: number): string => String(value).padStart(2, "0");
	const minutes = Math.floor(whole / 60) % 60;
	return whole < 3600
		? `${minutes}:${two(whole % 60)}`
		: `${Math.floor(whole / 3600)}:${two(minutes)}:${two(whole % 60)}`;
}

/** An ISO time for people: `2026-11-20 10:00:00 UTC` from `2026-11-20T10:00:00.000Z`. */
export function timeText(iso: string): string {
	const match = /^(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2}:\d{2})(?:\.\d+)?Z$/.exec(iso);
	return match === null ? iso : `${match[1]} ${match[2]} UTC`;
}

/** An interval for people: a whole day is `2026-11-20`, midnights lose their time. */
export function intervalText(interval: { readonly start: string; readonly end: string }): string {
	const day = (iso: string): string => iso.replace(/T00:00:00(?:\.0+)?Z$/, "");
	const start = day(interval.start);
	const end = day(interval.end);
	const isDay = /^\d{4}-\d{2}-\d{2}$/;
	if (isDay.test(start) && isDay.test(end) && Date.parse(end) - Date.parse(start) === 86_400_000) return start;
	return `${start} to ${end}`;
}
