import { HeadraceError } from "../core/errors.ts";

/** `3m`, `1h30m`, `500ms`: a number and a unit, once or several times, the larger unit first. */
export const DURATION_PATTERN = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d|w))+$/;

/** What a duration looks like, for messages and docs. */
export const DURATION_FORM = "a duration with its unit, such as 500ms, 10s, 3m, 2h or 1d";

const UNITS_MS: Readonly<Record<string, number>> = {
	ms: 1,
	s: 1000,
	m: 60_000,
	h: 3_600_000,
	d: 86_400_000,
	w: 604_800_000,
};

/** Longest duration that makes sense: 100 years, well inside exact numbers. */
const DURATION_MS_MAX = 36_525 * 86_400_000;

/** A duration in milliseconds; undefined when the text is none. Units: ms, s, m (minutes), h, d (24 hours), w. */
export function durationMs(text: string): number | undefined {
	const trimmed = text.trim();
	if (trimmed.length > 40 || !DURATION_PATTERN.test(trimmed)) return undefined;
	let total = 0;
	let last = Number.POSITIVE_INFINITY;
	for (const [, amount, unit] of trimmed.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d|w)/g)) {
		const unitMs = UNITS_MS[unit!]!;
		if (unitMs >= last) return undefined;
		last = unitMs;
		total += Number(amount) * unitMs;
	}
	return total > DURATION_MS_MAX ? undefined : Math.round(total);
}

/**
 * A duration in milliseconds.
 * @throws E_INVALID_VALUE
 */
export function parseDuration(text: string): number {
	const duration = durationMs(text);
	if (duration === undefined)
		throw new HeadraceError("E_INVALID_VALUE", `${JSON.stringify(text.slice(0, 60))} is not ${DURATION_FORM}`);
	return duration;
}
