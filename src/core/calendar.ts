/** Days and microseconds of the proleptic Gregorian calendar, without Date. */

/**
 * Days since 1970-01-01 of a civil date; any year, months 1–12.
 * After Howard Hinnant, https://howardhinnant.github.io/date_algorithms.html#days_from_civil
 */
export function daysFromCivil(year: number, month: number, day: number): number {
	const y = month <= 2 ? year - 1 : year;
	const era = Math.floor(y / 400);
	const yearOfEra = y - era * 400;
	const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
	const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
	return era * 146097 + dayOfEra - 719468;
}

/** The civil date of a day since 1970-01-01. */
export function civilFromDays(days: number): { year: number; month: number; day: number } {
	const z = days + 719468;
	const era = Math.floor(z / 146097);
	const dayOfEra = z - era * 146097;
	const yearOfEra = Math.floor(
		(dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36524) - Math.floor(dayOfEra / 146096)) / 365,
	);
	const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
	const m = Math.floor((5 * dayOfYear + 2) / 153);
	const month = m < 10 ? m + 3 : m - 9;
	return {
		year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
		month,
		day: dayOfYear - Math.floor((153 * m + 2) / 5) + 1,
	};
}

const MONTH_DAYS = [0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** Days of a month; 0 for a month that does not exist. */
export function daysInMonth(year: number, month: number): number {
	if (month === 2 && year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)) return 29;
	return MONTH_DAYS[month] ?? 0;
}

/** `FIRST_OF_MONTH[year * 16 + month]`: days since 1970-01-01 of the first of a month, for years 0–9999. */
export const FIRST_OF_MONTH: Int32Array = new Int32Array(10000 * 16);
for (let year = 0; year < 10000; year++)
	for (let month = 1; month <= 12; month++) FIRST_OF_MONTH[year * 16 + month] = daysFromCivil(year, month, 1);

/** DuckDB's and our ±infinity of dates: the largest and smallest int32 that are symmetric. */
export const DATE_INFINITY = 2147483647;
/** ±infinity of timestamps: the largest and smallest int64 that are symmetric. */
export const TIMESTAMP_INFINITY = 9223372036854775807n;

function pad(value: number, width: number): string {
	return String(value).padStart(width, "0");
}

/** `2024-02-29`, `infinity`, `-infinity`; years before 1 as `0044-03-15 BC`, after 9999 with all digits. */
export function dateText(days: number): string {
	if (days === DATE_INFINITY) return "infinity";
	if (days === -DATE_INFINITY) return "-infinity";
	const { year, month, day } = civilFromDays(days);
	const date = `${pad(year > 0 ? year : 1 - year, 4)}-${pad(month, 2)}-${pad(day, 2)}`;
	return year > 0 ? date : `${date} BC`;
}

/** `12:00:00`, with up to six decimals when there are any; hours may exceed 24. */
export function timeText(micros: bigint): string {
	const negative = micros < 0n;
	const value = negative ? -micros : micros;
	const seconds = Number(value / 1000000n);
	const fraction = Number(value % 1000000n);
	const text = `${negative ? "-" : ""}${pad(Math.floor(seconds / 3600), 2)}:${pad(Math.floor(seconds / 60) % 60, 2)}:${pad(seconds % 60, 2)}`;
	return fraction === 0 ? text : `${text}.${pad(fraction, 6).replace(/0+$/, "")}`;
}

/** `2024-01-01 00:00:00.123456` (decimals only when there are any) from microseconds since 1970. */
export function timestampText(micros: bigint): string {
	if (micros === TIMESTAMP_INFINITY) return "infinity";
	if (micros === -TIMESTAMP_INFINITY) return "-infinity";
	const day = 86400000000n;
	let days = micros / day;
	let rest = micros % day;
	if (rest < 0n) {
		rest += day;
		days -= 1n;
	}
	const date = dateText(Number(days));
	if (date.endsWith(" BC")) return `${date.slice(0, -3)} ${timeText(rest)} BC`;
	return `${date} ${timeText(rest)}`;
}
