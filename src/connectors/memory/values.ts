import { Column } from "../../core/batch.ts";
import { type ColumnType, typeName } from "../../core/column-type.ts";
import { HeadraceError } from "../../core/errors.ts";
import { BatchBuilder } from "../../formats/batch-builder.ts";
import { parseDate, parseTime, parseTimestamp, setText } from "../../formats/value-parse.ts";
import { valueText } from "../../formats/value-text.ts";

/** A value at rest in memory: its canonical text (see `valueText` of src/formats), null for NULL. */
export type Value = string | null;

/** A row at rest, in the order of its table's columns. */
export type Row = readonly Value[];

/** A row as a test writes it, by column name: a string is canonical text, other values are as `BatchBuilder` takes them. */
export type RowInput = Readonly<Record<string, unknown>>;

const scratchColumns = new Map<string, Column>();

/** A one-value column to read or write a value's text with. */
function scratch(type: ColumnType): Column {
	const name = typeName(type);
	let column = scratchColumns.get(name);
	if (column === undefined) {
		column = new Column(name, type, 64);
		scratchColumns.set(name, column);
	}
	column.reset();
	return column;
}

/**
 * The canonical text of a value, whatever the way it was written.
 * @throws E_VALUE when it is not a value of the type
 */
export function canonicalValue(type: ColumnType, input: unknown): Value {
	if (input === null || input === undefined) return null;
	if (typeof input === "string") {
		const column = scratch(type);
		if (!input.isWellFormed() || !setText(column, 0, input))
			throw new HeadraceError("E_VALUE", `a value is not a ${typeName(type)}`);
		return valueText(column, 0);
	}
	const builder = new BatchBuilder([{ name: "value", type, nullable: true }]);
	builder.append({ value: input });
	return valueText(builder.flush()!.columns[0]!, 0);
}

/** Puts a value into a batch's column. @throws E_VALUE when the column's type can't hold it */
export function writeValue(column: Column, row: number, value: Value): void {
	if (value === null) column.setNull(row);
	else if (!setText(column, row, value))
		throw new HeadraceError("E_VALUE", `column ${column.name} holds a value that is not a ${typeName(column.type)}`);
}

/** A value of another type that means the same. @throws E_VALUE when there is none */
export function convertValue(from: ColumnType, to: ColumnType, value: Value): Value {
	if (value === null || typeName(from) === typeName(to)) return value;
	if (from.kind === "boolean" && to.kind !== "text") return canonicalValue(to, value === "true" ? "1" : "0");
	if (from.kind === "timestamptz" && to.kind === "timestamp") return value.replace("+00", "");
	return canonicalValue(to, value);
}

/** Comparable by `<` and `>` with others of the same type. */
export type OrderKey = bigint | number | string;

/**
 * What orders values of a type by `<`. Times of both kinds are microseconds; the text may leave out the zone, which is
 * then UTC, and a date may be written as its midnight: bounds of windows are.
 * @throws E_VALUE when the text is not a value of the type
 */
export function orderKey(type: ColumnType, text: string): OrderKey {
	switch (type.kind) {
		case "boolean":
		case "uuid":
		case "binary":
		case "text":
		case "json":
		case "list":
		case "interval":
			return text;
		case "float32":
		case "float64":
			return Number(text);
		case "decimal": {
			const [whole, fraction = ""] = canonicalValue(type, text)!.split(".");
			return BigInt(whole! + fraction);
		}
		case "date":
		case "timestamp":
		case "timestamptz": {
			const micros = parseTimestamp(text, false) ?? parseTimestamp(text, true);
			if (micros !== null) return micros;
			const days = parseDate(text);
			if (days !== null) return BigInt(days) * 86_400_000_000n;
			break;
		}
		case "time": {
			const micros = parseTime(text);
			if (micros !== null) return micros;
			break;
		}
		default:
			return BigInt(canonicalValue(type, text)!);
	}
	throw new HeadraceError("E_VALUE", `a bound is not a ${typeName(type)}`);
}

/** Orders two values of one type; NULL is before all others, NaN after all. */
export function compareValues(type: ColumnType, a: Value, b: Value): number {
	if (a === null || b === null) return a === b ? 0 : a === null ? -1 : 1;
	if (a === b) return 0;
	const [left, right] = [orderKey(type, a), orderKey(type, b)];
	if (left < right) return -1;
	if (left > right) return 1;
	return Number(Number.isNaN(left)) - Number(Number.isNaN(right));
}

/** Several values as one text that is equal exactly when all are. */
export function tupleText(values: readonly Value[]): string {
	return JSON.stringify(values);
}
