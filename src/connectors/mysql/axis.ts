import { dateText, daysFromCivil, type SourceColumn, timestampText } from "../../core/index.ts";
import { literal } from "./literal.ts";
import { decoderOf } from "./row-decoder.ts";

/** A key column whose values can be reckoned with, so that ranges of it can be made without reading it. */
export interface Axis {
	/** Null for a value that has no place, such as 0000-00-00: it lies below all others. */
	toNumber(text: string): bigint | null;
	/** The value as a literal of the column's type. */
	toSql(value: bigint): string;
}

const DAY_MICROS = 86_400_000_000n;

/** Undefined when the column's values can only be compared, by the server. */
export function axisOf(column: SourceColumn): Axis | undefined {
	const { wire } = decoderOf(column);
	const native = column.nativeType;
	if (wire === "integer") return { toNumber: (text) => BigInt(text), toSql: (value) => String(value) };
	if (wire === "decimal") {
		const scale = Number(/^decimal\(\d+,(\d+)\)/i.exec(native)?.[1] ?? 0);
		return {
			toNumber: (text) => BigInt(text.replace(".", "")),
			toSql: (value) => scaledText(value, scale),
		};
	}
	if (wire === "date")
		return { toNumber: (text) => dayOf(text), toSql: (value) => literal(column, dateText(Number(value))) };
	if (wire === "datetime")
		return { toNumber: (text) => microsOf(text), toSql: (value) => literal(column, timestampText(value)) };
	return undefined;
}

function scaledText(value: bigint, scale: number): string {
	const digits = String(value < 0n ? -value : value).padStart(scale + 1, "0");
	const point = digits.length - scale;
	return `${value < 0n ? "-" : ""}${digits.slice(0, point)}${scale === 0 ? "" : `.${digits.slice(point)}`}`;
}

function dayOf(text: string): bigint | null {
	const [year = 0, month = 0, day = 0] = text.slice(0, 10).split("-").map(Number);
	return year === 0 || month === 0 || day === 0 ? null : BigInt(daysFromCivil(year, month, day));
}

function microsOf(text: string): bigint | null {
	const day = dayOf(text);
	const time = /(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?$/.exec(text);
	if (day === null || time === null) return null;
	const seconds = Number(time[1]) * 3600 + Number(time[2]) * 60 + Number(time[3]);
	return day * DAY_MICROS + BigInt(seconds) * 1_000_000n + BigInt((time[4] ?? "").padEnd(6, "0"));
}
