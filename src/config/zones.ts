const formatters = new Map<string, Intl.DateTimeFormat>();

function formatterOf(timezone: string): Intl.DateTimeFormat {
	let formatter = formatters.get(timezone);
	if (formatter === undefined) {
		formatter = new Intl.DateTimeFormat("en-US", {
			timeZone: timezone,
			calendar: "gregory",
			numberingSystem: "latn",
			hourCycle: "h23",
			era: "short",
			year: "numeric",
			month: "numeric",
			day: "numeric",
			hour: "numeric",
			minute: "numeric",
			second: "numeric",
		});
		formatters.set(timezone, formatter);
	}
	return formatter;
}

/** Whether the runtime knows the IANA zone. */
export function isTimezone(name: string): boolean {
	// The usual one is not asked for: Intl takes 15 ms for its first answer.
	if (name === "UTC") return true;
	if (name.length > 64 || !/^[A-Za-z]/.test(name)) return false;
	try {
		formatterOf(name);
		return true;
	} catch {
		return false;
	}
}

/** Every IANA zone the runtime lists, for suggestions. */
export function timezones(): string[] {
	return ["UTC", ...Intl.supportedValuesOf("timeZone")];
}

/** What the zone's clock shows at an instant, as milliseconds since 1970-01-01 00:00 of that clock. */
export function wallOf(timezone: string, instantMs: number): number {
	if (timezone === "UTC") return instantMs;
	const part: Record<string, number> = {};
	let before = false;
	const whole = Math.floor(instantMs / 1000) * 1000;
	for (const { type, value } of formatterOf(timezone).formatToParts(whole))
		if (type === "era") before = value.startsWith("B");
		else if (type !== "literal") part[type] = Number(value);
	const date = new Date(0);
	date.setUTCFullYear(before ? 1 - part["year"]! : part["year"]!, part["month"]! - 1, part["day"]!);
	date.setUTCHours(part["hour"]!, part["minute"]!, part["second"]!);
	return date.getTime() + (instantMs - whole);
}

/**
 * The instant at which the zone's clock shows a time: the first of two when the clock is set back, the moment of the
 * jump when the clock skips it.
 */
export function instantOf(timezone: string, wallMs: number): number {
	if (timezone === "UTC") return wallMs;
	const dayMs = 86_400_000;
	const before = wallOf(timezone, wallMs - dayMs) - (wallMs - dayMs);
	const after = wallOf(timezone, wallMs + dayMs) - (wallMs + dayMs);
	const candidates = [wallMs - before, wallMs - after].sort((a, b) => a - b);
	for (const candidate of candidates) if (wallOf(timezone, candidate) === wallMs) return candidate;
	return jumpBetween(timezone, candidates[0]! - 1, candidates[1]!, wallMs);
}

/** The first instant in (low, high] whose wall clock is past `wallMs`; the clock jumps over it there. */
function jumpBetween(timezone: string, low: number, high: number, wallMs: number): number {
	let [below, above] = [low, high];
	while (above - below > 1) {
		const middle = Math.floor((below + above) / 2);
		if (wallOf(timezone, middle) >= wallMs) above = middle;
		else below = middle;
	}
	return above;
}
