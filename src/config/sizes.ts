import { HeadraceError } from "../core/errors.ts";

/** What a size looks like, for messages and docs. */
export const SIZE_FORM = "a size with its unit, such as 64MB (64,000,000 bytes) or 64MiB (67,108,864 bytes)";
/** What a count looks like, for messages and docs. */
export const COUNT_FORM = "a whole number from 1 on, such as 5000, 100k or 2M";

/** Sizes: `64MB`, `1.5GiB`; the unit may be in lower case, and there may be a blank before it. */
export const SIZE_PATTERN = /^\d+(?:\.\d+)? ?(?:[kKmMgGtT][iI]?)?[bB]$/;
/** Counts: `5000`, `100_000`, `100k`, `2M`. */
export const COUNT_PATTERN = /^(?:\d{1,15}|\d{1,3}(?:_\d{3})+|\d+(?:\.\d+)?[kKM])$/;

const POWERS: Readonly<Record<string, number>> = { "": 0, k: 1, m: 2, g: 3, t: 4 };

/** A size in bytes; undefined when the text is none or not a whole number of bytes. `MB` is 10^6, `MiB` 2^20. */
export function sizeBytes(text: string): number | undefined {
	const match = /^(\d{1,12}(?:\.\d{1,6})?) ?([kmgt]?)(i?)b$/.exec(text.trim().toLowerCase());
	if (!match || (match[3] === "i" && match[2] === "")) return undefined;
	const bytes = Number(match[1]) * (match[3] === "i" ? 1024 : 1000) ** POWERS[match[2]!]!;
	return Number.isSafeInteger(Math.round(bytes)) ? Math.round(bytes) : undefined;
}

/** A count; undefined when the text is none. `k` is a thousand, `M` a million. */
export function countOf(text: string): number | undefined {
	const trimmed = text.trim();
	if (trimmed.length > 24 || !COUNT_PATTERN.test(trimmed)) return undefined;
	const factor = /[kK]$/.test(trimmed) ? 1000 : trimmed.endsWith("M") ? 1_000_000 : 1;
	const count = Math.round(Number(trimmed.replace(/_|[kKM]$/g, "")) * factor);
	return Number.isSafeInteger(count) ? count : undefined;
}

/**
 * A size in bytes, such as the `256MB` of `--memory`.
 * @throws E_INVALID_VALUE
 */
export function parseSize(text: string): number {
	const bytes = sizeBytes(text);
	if (bytes === undefined)
		throw new HeadraceError("E_INVALID_VALUE", `${JSON.stringify(text.slice(0, 60))} is not ${SIZE_FORM}`);
	return bytes;
}

/**
 * A count, such as the `100k` of `flush.rows`.
 * @throws E_INVALID_VALUE
 */
export function parseCount(text: string): number {
	const count = countOf(text);
	if (count === undefined)
		throw new HeadraceError("E_INVALID_VALUE", `${JSON.stringify(text.slice(0, 60))} is not ${COUNT_FORM}`);
	return count;
}
