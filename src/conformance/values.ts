import type { Column } from "../core/batch.ts";
import { dateText, daysFromCivil, timestampText, timeText } from "../core/calendar.ts";

/**
 * Values of a batch as canonical text and back, for samples. It is an oracle: so it shares no code with what reads and
 * writes values in earnest, and takes only text that is canonical already.
 */

const DAY_MICROS = 86_400_000_000n;
/** A batch keeps a uuid as a 128-bit integer with its top bit flipped. */
const UUID_FLIP = 1n << 127n;

function parseDate(text: string): number {
	const [, year, month, day] = /^(\d{4})-(\d\d)-(\d\d)$/.exec(text)!;
	return daysFromCivil(Number(year), Number(month), Number(day));
}

/** Microseconds of `HH:MM:SS[.ffffff]`. */
function parseTime(text: string): bigint {
	const [, hours, minutes, seconds, fraction = ""] = /^(\d\d):(\d\d):(\d\d)(?:\.(\d+))?$/.exec(text)!;
	const whole = Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
	return BigInt(whole) * 1_000_000n + BigInt(fraction.padEnd(6, "0"));
}

function parseTimestamp(text: string): bigint {
	const [date, time] = text.replace(/\+00$/, "").split(" ");
	return BigInt(parseDate(date!)) * DAY_MICROS + parseTime(time!);
}

/** Months, days and microseconds: `P1Y2M-3DT4H5M6.7S`, each part with its own sign. */
function parseInterval(text: string): readonly [months: number, days: number, micros: bigint] {
	const [date, time = ""] = text.slice(1).split("T");
	const part = (from: string, unit: string) => new RegExp(`(-?[\\d.]+)${unit}`).exec(from)?.[1] ?? "0";
	const [whole, fraction = ""] = part(time, "S").split(".");
	const sign = whole!.startsWith("-") ? -1n : 1n;
	const seconds = BigInt(whole!) * 1_000_000n + sign * BigInt(fraction.padEnd(6, "0"));
	const micros = BigInt(part(time, "H")) * 3_600_000_000n + BigInt(part(time, "M")) * 60_000_000n + seconds;
	return [Number(part(date!, "Y")) * 12 + Number(part(date!, "M")), Number(part(date!, "D")), micros];
}

function intervalText(months: number, days: number, micros: bigint): string {
	const rest = micros < 0n ? -micros : micros;
	const sign = micros < 0n ? "-" : "";
	const part = (value: bigint | number, unit: string) => (Number(value) === 0 ? "" : `${value}${unit}`);
	const signed = (value: bigint, unit: string) => (value === 0n ? "" : `${sign}${value}${unit}`);
	const seconds = timeText(rest % 60_000_000n).replace(/^00:00:0?/, "");
	const time = [
		signed(rest / 3_600_000_000n, "H"),
		signed((rest / 60_000_000n) % 60n, "M"),
		seconds === "0" ? "" : `${sign}${seconds}S`,
	].join("");
	const text = `P${part(Math.trunc(months / 12), "Y")}${part(months % 12, "M")}${part(days, "D")}`;
	return time === "" ? (text === "P" ? "PT0S" : text) : `${text}T${time}`;
}

function floatText(value: number, bits: 32 | 64): string {
	if (Object.is(value, -0)) return "-0";
	if (bits === 64 || !Number.isFinite(value)) return String(value);
	// The shortest digits that give the same 32 bits again; nine always do.
	const digits = [1, 2, 3, 4, 5, 6, 7, 8, 9].find((n) => Math.fround(Number(value.toPrecision(n))) === value);
	return String(Number(value.toPrecision(digits)));
}

function readInteger(column: Column, row: number): bigint {
	const view = new DataView(column.data);
	const at = row * column.width;
	const unsigned = column.type.kind.startsWith("u");
	switch (column.width) {
		case 1:
			return BigInt(unsigned ? view.getUint8(at) : view.getInt8(at));
		case 2:
			return BigInt(unsigned ? view.getUint16(at, true) : view.getInt16(at, true));
		case 4:
			return BigInt(unsigned ? view.getUint32(at, true) : view.getInt32(at, true));
		case 8:
			return unsigned ? view.getBigUint64(at, true) : view.getBigInt64(at, true);
		default:
			return (view.getBigInt64(at + 8, true) << 64n) | view.getBigUint64(at, true);
	}
}

function writeInteger(column: Column, row: number, value: bigint): void {
	const view = new DataView(column.data);
	const at = row * column.width;
	if (column.width === 1) view.setUint8(at, Number(BigInt.asUintN(8, value)));
	else if (column.width === 2) view.setUint16(at, Number(BigInt.asUintN(16, value)), true);
	else if (column.width === 4) view.setUint32(at, Number(BigInt.asUintN(32, value)), true);
	else view.setBigUint64(at, BigInt.asUintN(64, value), true);
	if (column.width === 16) view.setBigUint64(at + 8, BigInt.asUintN(64, value >> 64n), true);
}

/** The canonical text of a value in a batch; null for NULL. */
export function readText(column: Column, row: number): string | null {
	if (column.isNull(row)) return null;
	const { type } = column;
	switch (type.kind) {
		case "boolean":
			return column.u8[row] === 0 ? "false" : "true";
		case "float32":
			return floatText(column.f32[row]!, 32);
		case "float64":
			return floatText(column.f64[row]!, 64);
		case "decimal": {
			const unscaled = readInteger(column, row);
			const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(type.scale + 1, "0");
			const point = digits.length - type.scale;
			const fraction = type.scale === 0 ? "" : `.${digits.slice(point)}`;
			return `${unscaled < 0n ? "-" : ""}${digits.slice(0, point)}${fraction}`;
		}
		case "date":
			return dateText(column.i32[row]!);
		case "time":
			return timeText(column.i64[row]!);
		case "timestamp":
			return timestampText(column.i64[row]!);
		case "timestamptz":
			return `${timestampText(column.i64[row]!)}+00`;
		case "interval":
			return intervalText(column.i32[row * 4]!, column.i32[row * 4 + 1]!, column.i64[row * 2 + 1]!);
		case "uuid":
			return BigInt.asUintN(128, readInteger(column, row) ^ UUID_FLIP)
				.toString(16)
				.padStart(32, "0")
				.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
		case "binary":
			return Buffer.from(column.bytes(row)).toString("hex");
		case "text":
		case "json":
		case "list":
			return Buffer.from(column.bytes(row)).toString("utf8");
		default:
			return String(readInteger(column, row));
	}
}

/** Puts a value into a batch. */
export function writeText(column: Column, row: number, text: string): void {
	switch (column.type.kind) {
		case "boolean":
			column.u8[row] = text === "true" ? 1 : 0;
			break;
		case "float32":
			column.f32[row] = Number(text);
			break;
		case "float64":
			column.f64[row] = Number(text);
			break;
		case "date":
			column.i32[row] = parseDate(text);
			break;
		case "time":
			column.i64[row] = parseTime(text);
			break;
		case "timestamp":
		case "timestamptz":
			column.i64[row] = parseTimestamp(text);
			break;
		case "interval": {
			const [months, days, micros] = parseInterval(text);
			column.i32[row * 4] = months;
			column.i32[row * 4 + 1] = days;
			column.i64[row * 2 + 1] = micros;
			break;
		}
		case "uuid":
			writeInteger(column, row, BigInt(`0x${text.replaceAll("-", "")}`) ^ UUID_FLIP);
			break;
		case "text":
		case "json":
		case "list":
		case "binary": {
			const bytes = Buffer.from(text, column.type.kind === "binary" ? "hex" : "utf8");
			column.setBytes(row, bytes, 0, bytes.length);
			break;
		}
		default:
			writeInteger(column, row, BigInt(text.replace(".", "")));
	}
}
