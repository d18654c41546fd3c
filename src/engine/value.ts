import { type Column, dateText, timestampText, timeText } from "../core/index.ts";

/** One value for people and for control rows; never used where rows are moved. Whatever has no JS type is text. */
export function readValue(column: Column, row: number): string | bigint | number | boolean | null {
	if (column.isNull(row)) return null;
	const { type } = column;
	switch (type.kind) {
		case "boolean":
			return column.u8[row] === 1;
		case "int8":
			return (column.u8[row]! << 24) >> 24;
		case "uint8":
			return column.u8[row]!;
		case "int16":
			return column.i16[row]!;
		case "uint16":
			return column.i16[row]! & 0xffff;
		case "int32":
			return column.i32[row]!;
		case "uint32":
			return column.u32[row]!;
		case "int64":
			return column.i64[row]!;
		case "uint64":
			return BigInt.asUintN(64, column.i64[row]!);
		case "float32":
			return column.f32[row]!;
		case "float64":
			return column.f64[row]!;
		case "date":
			return dateText(column.i32[row]!);
		case "time":
			return timeText(column.i64[row]!);
		case "timestamp":
		case "timestamptz":
			return timestampText(column.i64[row]!);
		case "interval":
			return intervalText(column.i32[row << 2]!, column.i32[(row << 2) + 1]!, column.i64[(row << 1) + 1]!);
		case "uuid":
			return uuidText(column.getInt128(row));
		case "decimal":
			return decimalText(unscaled(column, row), type.scale);
		case "binary":
			return Buffer.from(column.bytes(row)).toString("hex");
		case "text":
		case "json":
		case "list":
			return Buffer.from(column.bytes(row)).toString("utf8");
	}
}

function unscaled(column: Column, row: number): bigint {
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

function decimalText(value: bigint, scale: number): string {
	if (scale === 0) return value.toString();
	const digits = (value < 0n ? -value : value).toString().padStart(scale + 1, "0");
	return `${value < 0n ? "-" : ""}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

/** ISO 8601 with each part's own sign, since months, days and time are three numbers: `P1M-3DT-4H5.000001S`. */
function intervalText(months: number, days: number, micros: bigint): string {
	const negative = micros < 0n;
	const total = negative ? -micros : micros;
	const seconds = total / 1000000n;
	const fraction = (total % 1000000n).toString().padStart(6, "0").replace(/0+$/, "");
	const time = `${negative ? "-" : ""}${seconds}${fraction === "" ? "" : `.${fraction}`}`;
	return `P${months}M${days}DT${time}S`;
}

/** DuckDB keeps a UUID as a signed 128-bit number whose highest bit is turned, so that numbers order as UUIDs do. */
function uuidText(value: bigint): string {
	const hex = BigInt.asUintN(128, value ^ (1n << 127n))
		.toString(16)
		.padStart(32, "0");
	return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
