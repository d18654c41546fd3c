import { expect, test } from "vitest";
import { Column, parseColumnType } from "../core/index.ts";
import { setText, valueText } from "../formats/index.ts";
import { castColumn, plainNumber, sameNumber } from "./cast-column.ts";

/** The value cast from one type to another as text; `misfit` when it has none. */
function cast(from: string, to: string, text: string | null): string | null {
	const source = new Column("c", parseColumnType(from)!, 64);
	const target = new Column("c", parseColumnType(to)!, 64);
	if (text === null) source.setNull(0);
	else if (!setText(source, 0, text)) throw new Error(`${text} is no ${from}`);
	let misfit = false;
	castColumn(source, target, 1, (row) => {
		expect(row).toBe(0);
		misfit = true;
	});
	return misfit ? "misfit" : valueText(target, 0);
}

test.each<[string, string, string | null, string | null]>([
	["int64", "int32", "2147483647", "2147483647"],
	["int64", "int32", "2147483648", "misfit"],
	["int64", "int32", null, null],
	["int64", "uint8", "-1", "misfit"],
	["uint64", "int64", "18446744073709551615", "misfit"],
	["int32", "int64", "-2147483648", "-2147483648"],
	["int64", "text", "-9223372036854775808", "-9223372036854775808"],
	["text", "int64", "007", "7"],
	["text", "int64", "7.00", "7"],
	["text", "int64", "7.5", "misfit"],
	["text", "int64", "", "misfit"],
	["text", "int64", " 7", "misfit"],
	["text", "int64", "1e3", "misfit"],
	["decimal(10,2)", "int32", "5.00", "5"],
	["decimal(10,2)", "int32", "5.01", "misfit"],
	["decimal(10,2)", "decimal(4,1)", "123.40", "123.4"],
	["decimal(10,2)", "decimal(4,1)", "1234.50", "misfit"],
	["decimal(10,2)", "decimal(4,1)", "123.45", "misfit"],
	["text", "decimal(10,2)", "1.5", "1.50"],
	["text", "decimal(10,2)", "1.505", "misfit"],
	["text", "decimal(10,2)", "1.50000", "1.50"],
	["float64", "float32", "0.1", "misfit"],
	["float64", "float32", "0.5", "0.5"],
	["float64", "float32", "NaN", "NaN"],
	["float64", "int32", "3", "3"],
	["float64", "int64", "1e+18", "1000000000000000000"],
	["float64", "int32", "3.5", "misfit"],
	["float64", "decimal(10,2)", "1e-2", "0.01"],
	["decimal(20,10)", "float64", "0.1000000000", "0.1"],
	["text", "float64", "0.1", "0.1"],
	["text", "float64", "0.10000000000000000001", "misfit"],
	["int64", "float64", "9007199254740993", "misfit"],
	["int64", "float64", "9007199254740992", "9007199254740992"],
	["timestamp", "date", "2024-02-29 00:00:00", "2024-02-29"],
	["timestamp", "date", "2024-02-29 00:00:01", "misfit"],
	["date", "timestamp", "2024-02-29", "2024-02-29 00:00:00"],
	["timestamptz", "timestamp", "2024-02-29 00:00:00+00", "misfit"],
	["text", "timestamp", "2024-02-29 12:00:00.50", "2024-02-29 12:00:00.5"],
	["text", "date", "2024-02-30", "misfit"],
	["text", "date", "0000-00-00", "misfit"],
	["text", "boolean", "true", "true"],
	["text", "boolean", "1", "misfit"],
	["text", "json", '{"a": 1}', '{"a": 1}'],
	["text", "json", "{a: 1}", "misfit"],
	["json", "text", '{"a":1}', '{"a":1}'],
	["text", "uuid", "6BA7B810-9DAD-11D1-80B4-00C04FD430C8", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"],
	["text", "uuid", "6ba7b810", "misfit"],
	["text", "binary", "abcd", "misfit"],
	["binary", "text", "abcd", "abcd"],
	["text", "int64[]", '["1"]', '["1"]'],
	["text", "int64[]", "[1]", "misfit"],
])("%s as %s: %j is %j", (from, to, text, expected) => {
	expect(cast(from, to, text)).toBe(expected);
});

test("values that a policy changed stay counted", () => {
	const source = new Column("c", { kind: "int64" }, 64);
	source.setChangedNull(0);
	const target = new Column("c", { kind: "int32" }, 64);
	castColumn(source, target, 1, () => {});
	expect([target.changedCount, target.nullCount, target.isNull(0)]).toEqual([1, 1, true]);
});

test.each([
	["1.5e+3", "1500"],
	["1.5e-3", "0.0015"],
	["-2E2", "-200"],
	["12.34e1", "123.4"],
	["7", "7"],
	["x", "x"],
])("%s without an exponent is %s", (text, plain) => {
	expect(plainNumber(text)).toBe(plain);
});

test("numbers are equal by value", () => {
	expect(sameNumber("1e21", "1000000000000000000000")).toBe(true);
	expect(sameNumber("0.10", ".1")).toBe(true);
	expect(sameNumber("-0", "0.00")).toBe(true);
	expect(sameNumber("+5", "5")).toBe(true);
	expect(sameNumber("0.1", "0.10000000000000001")).toBe(false);
	expect(sameNumber("NaN", "nan")).toBe(true);
	expect(sameNumber("Infinity", "-Infinity")).toBe(false);
});
