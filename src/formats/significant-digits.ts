import { float32Text, float64Text } from "./value-text.ts";

const NUMBER = /^([+-]?)(\d*)\.?(\d*)(?:e([+-]?\d+))?$/i;

/** A decimal number's text in one form, without zeros at either end: `-12.50` and `-1.25e1` give the same. */
function significantDigits(text: string): string {
	const match = NUMBER.exec(text);
	if (match === null) return text;
	const [, sign = "", whole = "", fraction = "", exponent = "0"] = match;
	let start = 0;
	const digits = whole + fraction;
	let end = digits.length;
	while (end > 0 && digits[end - 1] === "0") end--;
	while (start < end && digits[start] === "0") start++;
	if (start === end) return "0";
	const power = Number(exponent) - fraction.length + digits.length - end;
	return `${sign === "-" ? "-" : ""}${digits.slice(start, end)}e${power}`;
}

/**
 * Whether a float is printed with the digits that it was made from: `0.1` keeps them although no binary number is a
 * tenth, `9007199254740993` does not. It is what counts as a change where a decimal becomes a float.
 */
export function keepsDigits(text: string, value: number, single: boolean): boolean {
	return significantDigits(text) === significantDigits(single ? float32Text(value) : float64Text(value));
}
