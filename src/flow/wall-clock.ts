import { daysFromCivil, HeadraceError, timestampText } from "../core/index.ts";

/** Microseconds since 1970 of `YYYY-MM-DD[ HH:MM:SS[.ffffff]]`, read as UTC. */
export function microsOfText(text: string): bigint {
	const match = /^(\d{4,6})-(\d{2})-(\d{2})(?:[ T](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,6}))?)?(?:Z|\+00)?$/.exec(text);
	if (match === null) throw new HeadraceError("E_STATE", "a saved cursor is not a date or time");
	const [, year, month, day, hour = "0", minute = "0", second = "0", fraction = ""] = match;
	const days = daysFromCivil(Number(year), Number(month), Number(day));
	const seconds = BigInt(days) * 86400n + BigInt(Number(hour) * 3600 + Number(minute) * 60 + Number(second));
	return seconds * 1000000n + BigInt(fraction.padEnd(6, "0"));
}

/** A UTC time as the clocks on the wall of a zone show it: for cursor columns without a zone. */
export function wallClock(utc: string, timezone: string): string {
	if (timezone === "UTC") return utc;
	const micros = microsOfText(utc);
	const parts = new Intl.DateTimeFormat("en-CA", {
		timeZone: timezone,
		hourCycle: "h23",
		year: "numeric",
		month: "2-digit",
		day: "2-digit",
		hour: "2-digit",
		minute: "2-digit",
		second: "2-digit",
	}).formatToParts(Number(micros / 1000n));
	const part = (type: string) => parts.find((p) => p.type === type)?.value ?? "00";
	const local = `${part("year").padStart(4, "0")}-${part("month")}-${part("day")} ${part("hour")}:${part("minute")}:${part("second")}`;
	const fraction = ((micros % 1000000n) + 1000000n) % 1000000n;
	return fraction === 0n ? local : timestampText(microsOfText(local) + fraction);
}
