import { type Column, type ColumnType, isView } from "../core/index.ts";
import { integer, setInteger, setText, valueText } from "../formats/index.ts";

/**
 * Sets a column's values from another's, by their canonical text. A value is converted when the other type has one that
 * is equal as a number, time or text; `misfit` is told the row of each that is not, and nothing is rounded or cut.
 */
export function castColumn(from: Column, to: Column, rowCount: number, misfit: (row: number) => void): void {
	const byInteger = INTEGERS.has(from.type.kind) && INTEGERS.has(to.type.kind);
	for (let row = 0; row < rowCount; row++) {
		if (from.isNull(row)) to.setNull(row);
		else if (byInteger ? !setInteger(to, row, integer(from, row)) : !castValue(from, to, row)) misfit(row);
	}
	to.changedCount += from.changedCount;
}

const INTEGERS = new Set(["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]);
const FLOATS = new Set(["float32", "float64"]);

function castValue(from: Column, to: Column, row: number): boolean {
	const text = valueText(from, row);
	if (text === null) return false;
	const source = from.type.kind;
	const { type } = to;
	switch (type.kind) {
		case "text":
			return setText(to, row, text);
		case "json":
			return isJson(text) && setText(to, row, text);
		case "list":
			return isView(from.type) && isTextList(text) && setText(to, row, text);
		case "binary":
			// A text of hex digits is a text: nothing says that it stands for bytes.
			return source === "binary" && setText(to, row, text);
		case "float32":
			// A double's text is that of another float too, which is not the same number.
			if (source === "float64" && !Object.is(Math.fround(from.f64[row]!), from.f64[row]!)) return false;
			return setText(to, row, text) && sameNumber(valueText(to, row) ?? "", text);
		case "float64":
			return setText(to, row, text) && sameNumber(valueText(to, row) ?? "", text);
		case "date":
			return setText(to, row, source === "timestamp" ? text.replace(/ 00:00:00(?= BC$|$)/, "") : text);
		case "decimal":
			return setText(to, row, FLOATS.has(source) ? plainNumber(text) : text);
		default:
			return setText(to, row, INTEGERS.has(type.kind) ? wholeNumber(text, source) : text);
	}
}

/** `5.00` and `5e+0` are the integer 5; what is none stays as it is and is refused. */
function wholeNumber(text: string, source: ColumnType["kind"]): string {
	const plain = FLOATS.has(source) ? plainNumber(text) : text;
	return plain.replace(/^([+-]?\d+)\.0*$/, "$1");
}

const NUMBER = /^([+-]?)(\d*)\.?(\d*)(?:e([+-]?\d+))?$/i;

/** A number without an exponent: `1.5e+3` → `1500`; other text as it is. */
export function plainNumber(text: string): string {
	const match = NUMBER.exec(text);
	if (match === null || match[4] === undefined) return text;
	const [, sign = "", whole = "", fraction = ""] = match;
	const exponent = Number(match[4]);
	const digits = whole + fraction;
	const point = whole.length + exponent;
	const padded = point < 0 ? "0".repeat(-point) + digits : digits.padEnd(point, "0");
	const at = Math.max(0, point);
	const decimals = padded.slice(at);
	return `${sign}${padded.slice(0, at) || "0"}${decimals === "" ? "" : `.${decimals}`}`;
}

/** Whether two texts are the same number, exactly; NaN and infinities by their names. */
export function sameNumber(a: string, b: string): boolean {
	return normalNumber(a) === normalNumber(b);
}

function normalNumber(text: string): string {
	const match = /^([+-]?)0*(\d*?)(?:\.(\d*?)0*)?$/.exec(plainNumber(text));
	if (match === null) return text.toLowerCase().replace(/^\+/, "");
	const [, sign = "", whole = "", fraction = ""] = match;
	const isZero = whole === "" && fraction === "";
	return `${sign === "-" && !isZero ? "-" : ""}${whole}.${fraction}`;
}

function isJson(text: string): boolean {
	try {
		JSON.parse(text);
		return true;
	} catch {
		return false;
	}
}

function isTextList(text: string): boolean {
	try {
		const value: unknown = JSON.parse(text);
		return Array.isArray(value) && value.every((item) => item === null || typeof item === "string");
	} catch {
		return false;
	}
}
