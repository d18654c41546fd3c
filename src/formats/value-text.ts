import {
	type Batch,
	type Column,
	dateText,
	HeadraceError,
	TIMESTAMP_INFINITY,
	timestampText,
	timeText,
} from "../core/index.ts";

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** An unscaled integer as a decimal with all digits of its scale: `150n, 2` → `1.50`. */
export function decimalText(unscaled: bigint, scale: number): string {
	if (scale === 0) return String(unscaled);
	const negative = unscaled < 0n;
	const digits = String(negative ? -unscaled : unscaled).padStart(scale + 1, "0");
	const point = digits.length - scale;
	return `${negative ? "-" : ""}${digits.slice(0, point)}.${digits.slice(point)}`;
}

/** Shortest digits that read back as the same double: `0.1`, `-0`, `1e+21`, `NaN`, `Infinity`. */
export function float64Text(value: number): string {
	return Object.is(value, -0) ? "-0" : String(value);
}

/** Shortest digits that read back as the same 32-bit float: `3.1415927`, not the double's `3.1415927410125732`. */
export function float32Text(value: number): string {
	if (Number.isInteger(value) && Math.abs(value) < 16777216) return float64Text(value);
	for (let digits = 6; digits < 9; digits++) {
		const short = Number(value.toPrecision(digits));
		if (Math.fround(short) === value) return float64Text(short);
	}
	return float64Text(Number(value.toPrecision(9)));
}

/** A uuid column's value as text (RFC 9562), lower case. */
export function uuidText(column: Column, row: number): string {
	let text = "";
	for (let i = 0; i < 16; i++) {
		if (i === 4 || i === 6 || i === 8 || i === 10) text += "-";
		text += HEX[column.uuidByte(row, i)]!;
	}
	return text;
}

/**
 * ISO 8601 as PostgreSQL prints it with `intervalstyle = iso_8601`: `P1Y2M-3DT4H5M6.7S`; months, days and microseconds
 * stay three numbers, each part with its own sign.
 */
export function intervalText(months: number, days: number, micros: bigint): string {
	let text = "P";
	const years = Math.trunc(months / 12);
	if (years !== 0) text += `${years}Y`;
	if (months % 12 !== 0) text += `${months % 12}M`;
	if (days !== 0) text += `${days}D`;
	if (micros !== 0n) {
		const sign = micros < 0n ? "-" : "";
		const whole = micros < 0n ? -micros : micros;
		const hours = whole / 3600000000n;
		const minutes = (whole / 60000000n) % 60n;
		const seconds = (whole / 1000000n) % 60n;
		const fraction = whole % 1000000n;
		text += "T";
		if (hours !== 0n) text += `${sign}${hours}H`;
		if (minutes !== 0n) text += `${sign}${minutes}M`;
		if (seconds !== 0n || fraction !== 0n) {
			const decimals = fraction === 0n ? "" : `.${String(fraction).padStart(6, "0").replace(/0+$/, "")}`;
			text += `${sign}${seconds}${decimals}S`;
		}
	}
	return text === "P" ? "PT0S" : text;
}

/** `2024-01-01 00:00:00.5+00`: a timestamp of UTC with its zone; `0044-03-15 01:00:00+00 BC` as PostgreSQL has it. */
export function timestamptzText(micros: bigint): string {
	const text = timestampText(micros);
	if (micros === TIMESTAMP_INFINITY || micros === -TIMESTAMP_INFINITY) return text;
	return text.endsWith(" BC") ? `${text.slice(0, -3)}+00 BC` : `${text}+00`;
}

/** The unscaled integer of a decimal column's value. */
export function unscaled(column: Column, row: number): bigint {
	switch (column.width) {
		case 2:
			return BigInt(column.i16[row]!);
		case 4:
			return BigInt(column.i32[row]!);
		case 8:
			return column.i64[row]!;
		default:
			return column.getInt128(row);
	}
}

/** An integer column's value, exact for every width and sign. */
export function integer(column: Column, row: number): bigint {
	switch (column.type.kind) {
		case "int8":
			return BigInt((column.u8[row]! << 24) >> 24);
		case "uint8":
			return BigInt(column.u8[row]!);
		case "int16":
			return BigInt(column.i16[row]!);
		case "uint16":
			return BigInt(column.i16[row]! & 0xffff);
		case "int32":
			return BigInt(column.i32[row]!);
		case "uint32":
			return BigInt(column.u32[row]!);
		case "uint64":
			return BigInt.asUintN(64, column.i64[row]!);
		default:
			return column.i64[row]!;
	}
}

/**
 * The canonical text of a value, the same for every source and every path: null for NULL.
 * Integers and decimals in plain digits with the scale's zeros; booleans `true`, `false`; floats in the shortest digits
 * that read back equal; `2024-02-29`, `12:00:00.5`, `2024-01-01 00:00:00.123456` (`+00` for timestamptz), ` BC` behind
 * years before 1, `infinity`, `-infinity`; intervals as ISO 8601; uuid in lower case; binary as lower-case hex; text,
 * json and list as they are.
 */
export function valueText(column: Column, row: number): string | null {
	if (column.isNull(row)) return null;
	const { type } = column;
	switch (type.kind) {
		case "boolean":
			return column.u8[row] === 0 ? "false" : "true";
		case "float32":
			return float32Text(column.f32[row]!);
		case "float64":
			return float64Text(column.f64[row]!);
		case "decimal":
			return decimalText(unscaled(column, row), type.scale);
		case "date":
			return dateText(column.i32[row]!);
		case "time":
			return timeText(column.i64[row]!);
		case "timestamp":
			return timestampText(column.i64[row]!);
		case "timestamptz":
			return timestamptzText(column.i64[row]!);
		case "interval":
			return intervalText(column.i32[row * 4]!, column.i32[row * 4 + 1]!, column.i64[row * 2 + 1]!);
		case "uuid":
			return uuidText(column, row);
		case "text":
		case "json":
		case "list":
			return textOf(column.bytes(row));
		case "binary": {
			const bytes = column.bytes(row);
			return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex");
		}
		default:
			return String(integer(column, row));
	}
}

function textOf(bytes: Uint8Array): string {
	return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("utf8");
}

/** A value as JavaScript has it; see `rowsOf`. */
export type RowValue = null | boolean | number | bigint | string | Uint8Array | (string | null)[];

/** A value as JavaScript has it without loss. */
export function rowValue(column: Column, row: number): RowValue {
	if (column.isNull(row)) return null;
	switch (column.type.kind) {
		case "boolean":
			return column.u8[row] !== 0;
		case "int8":
		case "int16":
		case "int32":
		case "uint8":
		case "uint16":
		case "uint32":
			return Number(integer(column, row));
		case "int64":
		case "uint64":
			return integer(column, row);
		case "float32":
			return column.f32[row]!;
		case "float64":
			return column.f64[row]!;
		case "binary":
			return Uint8Array.from(column.bytes(row));
		case "list":
			return listElements(column, row);
		default:
			return valueText(column, row);
	}
}

function listElements(column: Column, row: number): (string | null)[] {
	try {
		const elements: unknown = JSON.parse(textOf(column.bytes(row)));
		if (Array.isArray(elements)) return elements.map((element) => (element === null ? null : String(element)));
	} catch {
		// falls through to the error
	}
	throw new HeadraceError("E_INTERNAL", `column ${column.name} holds a list that is not JSON`);
}

/**
 * The rows of a batch as objects: numbers up to 32 bits and floats as number, 64-bit integers as bigint, binary as a
 * Uint8Array of its own, lists as arrays of strings or null, everything else as canonical text. For people and tests;
 * the hot path never makes objects. The batch is not released.
 */
export function* rowsOf(batch: Batch): Generator<Record<string, RowValue>, void, undefined> {
	for (let row = 0; row < batch.rowCount; row++) {
		const object: Record<string, RowValue> = {};
		// A column may be called __proto__: defining it keeps it a plain key.
		for (const column of batch.columns)
			Object.defineProperty(object, column.name, {
				value: rowValue(column, row),
				enumerable: true,
				writable: true,
				configurable: true,
			});
		yield object;
	}
}
