import { createHmac } from "node:crypto";
import { describe, expect, test } from "vitest";
import { type Batch, type Field, parseColumnType, Secret } from "../core/index.ts";
import { BatchBuilder, type RowObject, rowsOf } from "../formats/index.ts";
import { type ColumnMask, Masker, maskChange, maskedSchemaVersion, maskedType } from "./mask.ts";

const field = (name: string, type: string): Field => ({ name, type: parseColumnType(type)!, nullable: true });
const hmac = (secret = "k3y"): ColumnMask => ({ kind: "hmac", secret: new Secret(secret) });
const hashed = (text: string, secret = "k3y") => createHmac("sha256", secret).update(text).digest("hex");

function batchOf(fields: readonly Field[], rows: readonly RowObject[]): Batch {
	const builder = new BatchBuilder(fields);
	for (const row of rows) builder.append(row);
	return builder.flush()!;
}

function masked(fields: readonly Field[], rows: readonly RowObject[], masks: Record<string, ColumnMask>) {
	const batch = new Masker(fields, new Map(Object.entries(masks))).apply(batchOf(fields, rows));
	return [...rowsOf(batch)];
}

describe("hmac", () => {
	test("hashes the canonical text, so that equal values of any type give equal hashes; NULL stays NULL", () => {
		const types: [string, unknown, string][] = [
			["text", "5", "5"],
			["int32", 5, "5"],
			["uint64", 18446744073709551615n, "18446744073709551615"],
			["decimal(10,2)", "5.10", "5.10"],
			["date", "2024-02-29", "2024-02-29"],
			["uuid", "c5e1f5a0-0000-4000-8000-00000000000f", "c5e1f5a0-0000-4000-8000-00000000000f"],
			["boolean", true, "true"],
			["binary", new Uint8Array([1, 255]), "01ff"],
			["text", "é".repeat(200), "é".repeat(200)],
			["text", "", ""],
		];
		for (const [type, value, text] of types) {
			const rows = masked([field("c", type)], [{ c: value }, { c: null }], { c: hmac() });
			expect(rows).toEqual([{ c: hashed(text) }, { c: null }]);
		}
	});

	test("another secret gives other hashes", () => {
		const [one] = masked([field("c", "text")], [{ c: "a" }], { c: hmac("one") });
		const [two] = masked([field("c", "text")], [{ c: "a" }], { c: hmac("two") });
		expect(one).not.toEqual(two);
	});
});

test.each([
	["4111111111111111", 4, "***1111"],
	["12345", 4, "***45"],
	["ab", 4, "***b"],
	["a", 4, "***"],
	["", 4, "***"],
	["a@b.example", 0, "***"],
	["déjà vu ✓", 4, "***vu ✓"],
	["😀😁😂🤣", 4, "***😂🤣"],
])("partial of %s keeps at most %d characters, never more than half", (value, keep, expected) => {
	expect(masked([field("c", "text")], [{ c: value }], { c: { kind: "partial", keep } })).toEqual([{ c: expected }]);
});

test("null keeps the type, other columns stay as they are, and masked values count as changed", () => {
	const fields = [field("id", "int64"), field("n", "int32"), field("t", "text")];
	const masks = new Map<string, ColumnMask>([
		["n", { kind: "null" }],
		["t", hmac()],
	]);
	expect(maskedType(masks.get("n")!, fields[1]!.type)).toEqual({ kind: "int32" });
	const masker = new Masker(fields, masks);
	const batch = masker.apply(
		batchOf(fields, [
			{ id: 1, n: 7, t: "x" },
			{ id: 2, n: null, t: null },
		]),
	);
	expect([...rowsOf(batch)]).toEqual([
		{ id: 1n, n: null, t: hashed("x") },
		{ id: 2n, n: null, t: null },
	]);
	expect(batch.columns.map((column) => column.changedCount)).toEqual([0, 1, 1]);
	expect(batch.columns[1]!.nullCount).toBe(2);
});

test("columns are used again, and no value of an earlier batch shines through", () => {
	const fields = [field("t", "text")];
	const masker = new Masker(fields, new Map([["t", { kind: "partial", keep: 4 } as const]]));
	const seen = new Set<unknown>();
	for (const length of [3, 1, 2]) {
		const rows = Array.from({ length }, (_, index) => ({ t: index === 1 ? null : `value ${length}${index}` }));
		const batch = masker.apply(batchOf(fields, rows));
		seen.add(batch.columns[0]);
		expect([...rowsOf(batch)].map((row) => row["t"])).toEqual(
			rows.map(({ t }) => (t === null ? null : `***${t.slice(-4)}`)),
		);
		batch.release();
	}
	expect(seen.size).toBe(1);
});

test("a schema version tells which masks it was made with, and nothing of the secret", () => {
	const one = maskedSchemaVersion("s", new Map([["a", hmac("one")]]), []);
	expect(one).toMatch(/^s\.[0-9a-f]{12}$/);
	const version = (masks: Record<string, ColumnMask>, key: string[] = []) =>
		maskedSchemaVersion("s", new Map(Object.entries(masks)), key);
	expect(version({})).toBe("s");
	expect(maskChange(one, version({ a: hmac("one") }))).toBe("none");
	expect(maskChange(one, version({ a: hmac("two") }))).toBe("columns");
	expect(maskChange(one, version({}))).toBe("columns");
	expect(maskChange("s", "t")).toBe("none");
	expect(maskChange(version({ a: hmac() }, ["a"]), version({}, ["a"]))).toBe("key");
	expect(maskChange(version({ a: hmac(), b: hmac() }, ["a"]), version({ a: hmac() }, ["a"]))).toBe("columns");
	expect(version({ b: { kind: "null" }, a: hmac() })).toBe(version({ a: hmac(), b: { kind: "null" } }));
});
