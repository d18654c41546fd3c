import { z } from "zod";
import { parseColumnType } from "../core/column-type.ts";
import { DURATION_FORM, durationMs } from "./durations.ts";
import { COUNT_FORM, countOf, SIZE_FORM, sizeBytes } from "./sizes.ts";

/** The kinds of option values. An `error` says what form a value must have; messages are made from it. */

export function oneOf<const Words extends readonly [string, ...string[]]>(words: Words) {
	return z.enum(words);
}

/** A word or YAML's own null, which `zero_date: null` gives. */
export function nullOr<const Words extends readonly [string, ...string[]]>(words: Words) {
	return z.union([z.null(), z.enum(["null", ...words])], {
		error: ["null", ...words].join(", ").replace(/, (\w+)$/, " or $1"),
	});
}

/** Text of a form, or a reference that gives one: what editors may accept where a number or word stands. */
export function written(form: RegExp) {
	return z.string().meta({ pattern: `(?:${form.source})|${REFERENCE_PATTERN}` });
}

/** A value that is one reference. */
export const REFERENCE_PATTERN = "^\\$\\{(?:env|file):[^}]+\\}$";

export function wholeNumber(low: number, high: number) {
	const form = `a whole number from ${low} to ${high}`;
	return z
		.union([z.int().meta({ minimum: low, maximum: high }), written(DIGITS)], { error: form })
		.refine((value) => DIGITS.test(String(value)) && Number(value) >= low && Number(value) <= high, { error: form })
		.meta({ title: "whole number" });
}

const DIGITS = /^\d{1,15}$/;
const FLAG = /^(?:true|false)$/;

/** `true`, `false`, also as text: a reference gives text. */
export function flag() {
	return z
		.union([z.boolean(), written(FLAG)], { error: "true or false" })
		.refine((value) => FLAG.test(String(value)), { error: "true or false" })
		.meta({ title: "true or false" });
}

export function duration() {
	return z
		.string({ error: DURATION_FORM })
		.refine((value) => durationMs(value) !== undefined, { error: DURATION_FORM })
		.meta({ title: "duration", examples: ["10s", "3m", "1d"] });
}

export function size() {
	return z
		.string({ error: SIZE_FORM })
		.refine((value) => (sizeBytes(value) ?? 0) > 0, { error: SIZE_FORM })
		.meta({ title: "size", examples: ["64MB", "256MiB"] });
}

export function count() {
	return z
		.union([z.int().meta({ minimum: 1 }), z.string()], { error: COUNT_FORM })
		.refine((value) => (countOf(String(value)) ?? 0) > 0, { error: COUNT_FORM })
		.meta({ title: "count", examples: [5000, "100k"] });
}

/** Text of one line or more, never empty. */
export function text(form = "text that is not empty") {
	return z.string({ error: form }).refine((value) => value.trim() !== "" && !value.includes("\0"), { error: form });
}

export function columnName() {
	return text("the name of a column").meta({ title: "column" });
}

export function columnNames() {
	const form = "the name of a column or a list of names";
	return z
		.union([text(form), z.array(text(form)).min(1)], { error: form })
		.refine((value) => typeof value === "string" || new Set(value).size === value.length, {
			error: "a list of columns, each of them once",
		})
		.meta({ title: "column or list of columns" });
}

export function columnType() {
	const form = "a type such as text, int64, decimal(38,10), timestamp or binary";
	return z
		.string({ error: form })
		.refine((value) => parseColumnType(value) !== null, { error: form })
		.meta({ title: "type", examples: ["text", "decimal(38,10)"] });
}
