import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { checkHiveType, glueTableName } from "../../src/connectors/lake/glue-form.ts";
import { createLakeDestination } from "../../src/connectors/lake/index.ts";
import { parsePartition, partitionPath, partitionsOf } from "../../src/connectors/lake/partition.ts";
import { hiveType, storedType } from "../../src/connectors/lake/types.ts";
import { createS3Staging } from "../../src/connectors/s3/index.ts";
import {
	type ColumnType,
	type Destination,
	type Field,
	loadId,
	parseColumnType,
	Secret,
	typeName,
	type Write,
} from "../../src/core/index.ts";
import { BatchBuilder, type RowObject } from "../../src/formats/index.ts";
import { currentOf, lakeRows, openLake } from "./lake-support.ts";

let folder: string;
let root: string;
beforeEach(() => {
	folder = mkdtempSync(join(tmpdir(), "headrace-lake-test-"));
	root = join(folder, "lake");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const TABLE = { schema: "shop", name: "orders" };
const field = (name: string, type: string, nullable = true): Field => ({
	name,
	type: parseColumnType(type)!,
	nullable,
});

async function* batches(fields: readonly Field[], rows: readonly RowObject[]) {
	const builder = new BatchBuilder(fields);
	for (const row of rows) {
		const batch = builder.append(row);
		if (batch !== null) yield batch;
	}
	const rest = builder.flush();
	if (rest !== null) yield rest;
}

async function load(
	lake: Destination,
	write: Write,
	fields: readonly Field[],
	rows: readonly RowObject[],
	stream = "orders",
) {
	const row = (await lake.takeOver("test", [stream])).get(stream)!;
	const toPosition = JSON.stringify({ kind: "full", at: `${stream} ${row.seq + 1}` });
	return lake.load({
		pipeline: "test",
		stream,
		loadId: loadId({ pipeline: "test", stream, seq: row.seq, from: row.position, to: toPosition, schemaVersion: "1" }),
		epoch: row.epoch,
		seq: row.seq,
		fromPosition: row.position,
		toPosition,
		schemaVersion: "1",
		target: {
			name: TABLE,
			columns: fields.map((each) => ({ ...each, destinationType: typeName(each.type) })),
			key: ["id"],
		},
		write,
		input: { kind: "batches", fields, batches: batches(fields, rows) },
		bufferBytesMax: 16 << 20,
	});
}

const dataFiles = () =>
	readdirSync(join(root, "shop.orders/data"), { recursive: true, encoding: "utf8" }).filter((name) =>
		name.endsWith(".parquet"),
	);

describe("partitions", () => {
	test.each([
		["DE", "c=DE/"],
		["", "c=__HIVE_DEFAULT_PARTITION__/"],
		[null, "c=__HIVE_DEFAULT_PARTITION__/"],
		["a/b=c%d:e", "c=a%2Fb%3Dc%25d%3Ae/"],
		["..", "c=../"],
		["Größe 日本", "c=Größe 日本/"],
		["\"\\'{[]^*?#\n\u007f", "c=%22%5C%27%7B%5B%5D%5E%2A%3F%23%0A%7F/"],
	])("%j is the folder %s", (value, path) => {
		expect(partitionPath([parsePartition("c")], [value])).toBe(path);
	});

	test("a value that is too long for a folder's name is refused", () => {
		expect(() => partitionPath([parsePartition("c")], ["x".repeat(300)])).toThrow(/too long/);
	});

	test("what can't be a folder is refused; a table that lacks a column has none", () => {
		const fields = [field("at", "timestamp"), field("price", "float64"), field("at_day", "text")];
		expect(() => partitionsOf(["price"], fields)).toThrow(/does not go with/);
		expect(() => partitionsOf(["day(price)"], fields)).toThrow(/does not go with/);
		expect(() => partitionsOf(["day(at)"], fields)).toThrow(/makes a column at_day/);
		expect(partitionsOf(["month(at)", "country"], fields)).toEqual([]);
		expect(partitionsOf(["month(at)"], fields)).toEqual([
			{ text: "month(at)", column: "at", part: "month", name: "at_month" },
		]);
	});

	test("each part of a time, with NULL, odd text and a column called rowid", async () => {
		const fields = [
			field("id", "int64", false),
			field("at", "timestamptz"),
			field("place", "text"),
			field("rowid", "int32"),
		];
		await using lake = openLake(root, { partitionBy: ["year(at)", "month(at)", "hour(at)", "place"] });
		const rows = [
			{ id: 1n, at: "2023-12-31 23:30:00+00", place: "a/b", rowid: 7 },
			{ id: 2n, at: null, place: null, rowid: null },
			{ id: 3n, at: "0001-01-01 00:00:00+00", place: "", rowid: 9 },
		];
		await load(lake, "merge", fields, rows);
		await load(lake, "merge", fields, [{ ...rows[1]!, rowid: 8 }]);
		expect(
			currentOf(root, TABLE)!
				.files.map(({ path }) => path.split("/").slice(2, -1).join(" "))
				.sort(),
		).toEqual([
			"at_year=1 at_month=0001-01 at_hour=0001-01-01-00 place=__HIVE_DEFAULT_PARTITION__",
			"at_year=2023 at_month=2023-12 at_hour=2023-12-31-23 place=a%2Fb",
			"at_year=__HIVE_DEFAULT_PARTITION__ at_month=__HIVE_DEFAULT_PARTITION__ at_hour=__HIVE_DEFAULT_PARTITION__ place=__HIVE_DEFAULT_PARTITION__",
		]);
		expect((await lakeRows(root, TABLE, fields))!.sort()).toEqual([
			["1", "2023-12-31 23:30:00+00", "a/b", "7"],
			["2", null, null, "8"],
			["3", "0001-01-01 00:00:00+00", "", "9"],
		]);
	});

	test("other partitions than the table has are refused, and a full load makes them", async () => {
		const fields = [field("id", "int64", false), field("place", "text")];
		await load(openLake(root), "merge", fields, [{ id: 1n, place: "a" }]);
		await using lake = openLake(root, { partitionBy: ["place"] });
		await expect(load(lake, "merge", fields, [{ id: 2n, place: "b" }])).rejects.toMatchObject({
			code: "E_UNSUPPORTED",
		});
		await load(lake, "replace", fields, [{ id: 2n, place: "b" }]);
		expect(currentOf(root, TABLE)!.files.map(({ partition }) => partition)).toEqual([["b"]]);
	});
});

describe("merge", () => {
	test("files without a key of the rows stay as they are", async () => {
		const fields = [field("id", "int64", false), field("v", "text")];
		await using lake = openLake(root);
		for (const from of [0n, 100n, 200n])
			await load(
				lake,
				"append",
				fields,
				Array.from({ length: 100 }, (_, index) => ({ id: from + BigInt(index), v: "old" })),
			);
		const before = currentOf(root, TABLE)!.files.map(({ path }) => path);
		await load(lake, "merge", fields, [
			{ id: 150n, v: "new" },
			{ id: 900n, v: "new" },
		]);
		const after = currentOf(root, TABLE)!.files.map(({ path }) => path);
		expect(before.filter((path) => after.includes(path))).toEqual([before[0], before[2]]);
		const rows = (await lakeRows(root, TABLE, fields))!;
		expect(rows.length).toBe(301);
		expect(
			rows
				.filter(([, v]) => v === "new")
				.map(([id]) => id)
				.sort(),
		).toEqual(["150", "900"]);
	});
});

describe("changes of columns", () => {
	const narrow = [field("id", "int32", false), field("price", "decimal(6,2)")];

	test("a wider integer and a new column leave the files; compaction gives all one form", async () => {
		const wide = [field("id", "int64", false), narrow[1]!, field("note", "text")];
		await using lake = openLake(root);
		await load(lake, "append", narrow, [{ id: 1, price: "1.50" }]);
		const [first] = currentOf(root, TABLE)!.files;
		await load(lake, "append", wide, [{ id: 3000000000n, price: "2.00", note: "n" }]);
		expect(currentOf(root, TABLE)!.files.map(({ path }) => path)).toContain(first!.path);
		const expected = [
			["1", "1.50", null],
			["3000000000", "2.00", "n"],
		];
		expect((await lakeRows(root, TABLE, wide))!.sort()).toEqual(expected);
		const [done] = await lake.compact!({ pipeline: "test", targetBytes: 1 << 20 });
		expect(done).toMatchObject({ filesBefore: 2, filesAfter: 1, rows: 2 });
		expect((await lakeRows(root, TABLE, wide))!.sort()).toEqual(expected);
	});

	test("a wider decimal, which readers would not take, rewrites the files", async () => {
		const wide = [narrow[0]!, field("price", "decimal(12,4)")];
		await using lake = openLake(root);
		await load(lake, "append", narrow, [{ id: 1, price: "1.50" }]);
		const [first] = currentOf(root, TABLE)!.files;
		await load(lake, "append", wide, [{ id: 2, price: "2.0001" }]);
		expect(currentOf(root, TABLE)!.files.map(({ path }) => path)).not.toContain(first!.path);
		expect((await lakeRows(root, TABLE, wide))!.sort()).toEqual([
			["1", "1.5000"],
			["2", "2.0001"],
		]);
	});

	test("an infinite day stops the load, and nothing of it is seen", async () => {
		const fields = [field("id", "int32", false), field("day", "date")];
		await using lake = openLake(root);
		await load(lake, "append", fields, [{ id: 1, day: "2024-01-01" }]);
		await expect(load(lake, "append", fields, [{ id: 2, day: "infinity" }])).rejects.toThrow();
		expect(await lakeRows(root, TABLE, fields)).toEqual([["1", "2024-01-01"]]);
		expect(dataFiles().length).toBe(1);
	});
});

describe("files that no longer count", () => {
	const fields = [field("id", "int64", false), field("v", "text")];

	test("stay for the retention and are removed then", async () => {
		await using lake = openLake(root, { retentionMs: 60_000 });
		for (let number = 0; number < 20; number++) await load(lake, "replace", fields, [{ id: 1n, v: String(number) }]);
		expect(dataFiles().length).toBe(20);
		await using hasty = openLake(root, { retentionMs: 0 });
		for (let number = 0; number < 20; number++) await load(hasty, "replace", fields, [{ id: 1n, v: String(number) }]);
		expect(dataFiles().length).toBeLessThan(20);
		expect(await lakeRows(root, TABLE, fields)).toEqual([["1", "19"]]);
	});

	test("a file that is gone is E_CORRUPT_FILE, and says what to do", async () => {
		await using lake = openLake(root);
		await load(lake, "append", fields, [{ id: 1n, v: "a" }]);
		rmSync(join(root, currentOf(root, TABLE)!.files[0]!.path));
		await expect(load(lake, "merge", fields, [{ id: 1n, v: "b" }])).rejects.toMatchObject({
			code: "E_CORRUPT_FILE",
			hint: expect.stringMatching(/full-refresh/),
		});
	});

	test("a dry run of a compaction changes nothing", async () => {
		await using lake = openLake(root);
		for (let id = 0n; id < 4n; id++) await load(lake, "append", fields, [{ id, v: "a" }]);
		const before = currentOf(root, TABLE);
		expect(await lake.compact!({ pipeline: "test", targetBytes: 1 << 20, dryRun: true })).toMatchObject([
			{ filesBefore: 4, filesAfter: 1, rows: 4 },
		]);
		expect(currentOf(root, TABLE)).toEqual(before);
		expect(existsSync(join(root, "_headrace/pending"))).toBe(false);
	});
});

describe("types", () => {
	const types: [string, string][] = [
		["int8", "int"],
		["uint32", "bigint"],
		["uint64", "decimal(20,0)"],
		["decimal(38,10)", "decimal(38,10)"],
		["time", "bigint"],
		["timestamptz", "timestamp"],
		["uuid", "string"],
		["interval", "string"],
		["json", "string"],
		["binary", "binary"],
		["uint64[]", "array<decimal(20,0)>"],
		["time[]", "array<string>"],
	];
	test.each(types)("%s is %s, which Glue's rules take", (type, hive) => {
		const found = hiveType(storedType(parseColumnType(type) as ColumnType));
		expect(found).toBe(hive);
		expect(() => checkHiveType(found, "c")).not.toThrow();
	});

	test.each(["integer", "decimal(39,0)", "decimal(5,6)", "varchar", "array<varchar>", "string; drop"])(
		"%s is no type of Hive's",
		(type) => {
			expect(() => checkHiveType(type, "c")).toThrow(/no type of Athena's/);
		},
	);

	test("a table in Glue is named by source and model", () => {
		expect(glueTableName({ schema: "Prod", name: "daily-Scores" })).toBe("prod_daily_scores");
	});
});

test("grants: the bucket never lets a commit be written over; who loads and who reads have what they need and no more", async () => {
	await using lake = createLakeDestination({
		store: createS3Staging({ bucket: "acme", prefix: "lake", region: "eu-central-1", temporaryDirectory: folder }),
		localDirectories: [folder],
		glue: { accessKeyId: new Secret("x"), secretAccessKey: new Secret("y") },
	});
	const grants = await lake.grants!([TABLE]);
	const text = (title: RegExp) => grants.find((grant) => title.test(grant.title))!.text;
	expect(JSON.parse(text(/commit files/)).Statement[0]).toMatchObject({
		Effect: "Deny",
		Resource: ["arn:aws:s3:::acme/lake/_headrace/commits/*", "arn:aws:s3:::acme/lake/_headrace/streams/*"],
		Condition: { Null: { "s3:if-none-match": "true" } },
	});
	const tables = "arn:aws:glue:eu-central-1:ACCOUNT:table/data_lake/shop_orders";
	expect(JSON.parse(text(/for Glue/)).Statement[0].Resource).toContain(tables);
	const reader = text(/reader/);
	expect(reader).toContain("arn:aws:s3:::acme/lake/shop.orders/data/*");
	expect(reader).not.toMatch(/Delete|glue:(Create|Update)|_headrace/);
});
