import type { ColumnType } from "../core/index.ts";

/** What a text must look like to be a value of a type, as regular expressions that RE2 and POSIX read the same. */

const DATE = "[0-9]{4}-[0-9]{2}-[0-9]{2}";
const TIME = "[0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,6}0*)?)?";
const ZONE = "(Z|[+-][0-9]{2}(:?[0-9]{2})?)";

const PATTERNS: Readonly<Record<string, string>> = {
	boolean: "true|false",
	float32: "[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?|NaN|-?Infinity",
	float64: "[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?|NaN|-?Infinity",
	date: DATE,
	timestamp: `${DATE}([ T]${TIME})?`,
	timestamptz: `${DATE}[ T]${TIME} ?${ZONE}`,
	uuid: "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
};

/** The form of a type's texts, anchored; null for types that no pattern tells (json), or that texts don't become. */
export function textPattern(type: ColumnType): string | null {
	if (type.kind === "decimal") {
		const fraction = type.scale === 0 ? "" : `|[.][0-9]{1,${type.scale}}0*`;
		return `^[+-]?([0-9]+([.][0-9]{0,${type.scale}}0*)?${fraction})$`;
	}
	if (/^u?int/.test(type.kind)) return "^[+-]?[0-9]+([.]0*)?$";
	const pattern = PATTERNS[type.kind];
	return pattern === undefined ? null : `^(${pattern})$`;
}

/** Digits that every float of the type gives back as they were: FLT_DIG and DBL_DIG of C. */
export const FLOAT_DIGITS = { float32: 6, float64: 15 } as const;
