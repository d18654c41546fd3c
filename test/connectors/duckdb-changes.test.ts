import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createDuckdbDestination } from "../../src/connectors/duckdb/index.ts";
import type { ApplyRequest, ChangesPart, Destination, PositionRow, TargetTable } from "../../src/core/index.ts";
import { changeColumns } from "../../src/core/index.ts";
import { duckdbType, Engine, type EngineConnection, type Value } from "../../src/engine/index.ts";
import { batchesOf, type Cell, fieldsOf } from "./duckdb-support.ts";

let folder: string;
let destination: Destination;
let engine: Engine;
let reader: EngineConnection;
let row: PositionRow;
/** What is promised of the parts. */
let folded: Partial<ChangesPart> = {};

beforeEach(async () => {
	folder = mkdtempSync(join(tmpdir(), "headrace-changes-"));
	const path = join(folder, "raw.duckdb");
	destination = await createDuckdbDestination({ path });
	row = (await destination.takeOver("p", ["log"])).get("log")!;
	engine = await Engine.open({ path });
	reader = await engine.connect();
});

afterEach(async () => {
	await destination[Symbol.asyncDispose]();
	await engine[Symbol.asyncDispose]();
	rmSync(folder, { recursive: true, force: true });
});

type TestPart = Pick<ChangesPart, "target" | "write"> & Partial<ChangesPart> & { readonly rows: readonly Cell[][] };

const targetOf = (columns: string, renamed: Record<string, string> = {}): TargetTable => ({
	name: { schema: "raw", name: "t" },
	columns: fieldsOf(columns).map((field) => ({
		...field,
		destinationType: duckdbType(field.type),
		...(renamed[field.name] === undefined ? {} : { renamedFrom: renamed[field.name]! }),
	})),
	key: ["id"],
});

async function apply(...parts: readonly TestPart[]) {
	const { stream, epoch, seq, position: fromPosition } = row;
	const request: ApplyRequest = {
		...{ pipeline: "p", stream, loadId: `load ${seq}`, epoch, seq, fromPosition, toPosition: String(seq + 1) },
		schemaVersion: "1",
		bufferBytesMax: 1 << 20,
		parts: parts.map(({ rows, ...part }, index) => {
			const fields = changeColumns({ partial: false, ...part }, duckdbType);
			const input = { kind: "batches", fields, batches: batchesOf(fields, rows) } as const;
			return { loadId: `load ${seq}-${index}`, schemaVersion: "1", partial: false, ...folded, input, ...part };
		}),
	};
	const result = await destination.changes!.apply(request);
	row = { ...row, seq: seq + 1, position: request.toPosition };
	return result;
}

async function table(sql = "FROM raw.raw.t ORDER BY ALL"): Promise<Value[][]> {
	return (await reader.query(sql)).map((values) => Object.values(values));
}

describe.each([
	["by way of a stage", false],
	["directly where they can be", true],
])("changes of a log into DuckDB, %s", (_how, isFolded) => {
	beforeEach(() => {
		folded = isFolded ? { isFolded } : {};
	});

	test("columns that are renamed, widened and added between parts of one table, with its owner's key and indexes", async () => {
		await reader.execute(`CREATE SCHEMA raw.raw; CREATE TABLE raw.raw.t (id INTEGER PRIMARY KEY, name VARCHAR, n INTEGER);
			CREATE UNIQUE INDEX by_name ON raw.raw.t (name); CREATE INDEX by_n ON raw.raw.t (n);
			INSERT INTO raw.raw.t VALUES (1, 'one', 1), (2, 'two', 2), (3, 'three', 3)`);
		const before = targetOf("id int32, name text, n int32");
		const after = targetOf("id int64, called text, n int64, more text", { called: "name" });
		const { parts } = await apply(
			{
				target: before,
				write: "merge",
				rows: [
					[1, "uno", 10, false],
					[4, "four", 4, false],
					[3, null, null, true],
				],
			},
			{
				target: after,
				write: "merge",
				rows: [
					[4, "quattro", 4_000_000_000, "x", false],
					[2, null, null, null, true],
					[5_000_000_000, "five", 5, null, false],
				],
			},
		);
		expect(parts).toMatchObject([
			{ rowsInserted: 1, rowsUpdated: 1, rowsDeleted: 1 },
			{ rowsInserted: 1, rowsUpdated: 1, rowsDeleted: 1 },
		]);
		expect(await table()).toEqual([
			[1n, "uno", 10n, null],
			[4n, "quattro", 4_000_000_000n, "x"],
			[5_000_000_000n, "five", 5n, null],
		]);
		const indexes = await table("SELECT index_name FROM duckdb_indexes() WHERE table_name = 't' ORDER BY 1");
		expect(indexes.flat()).toEqual(["by_n", "by_name"]);
		await expect(reader.execute("INSERT INTO raw.raw.t VALUES (9, 'five', 1, NULL)")).rejects.toThrow();
		await expect(reader.execute("INSERT INTO raw.raw.t VALUES (1, 'other', 1, NULL)")).rejects.toThrow();
	});

	test("a table with columns of its owner's keeps their values, and is one of its neighbours in a request", async () => {
		await reader.execute(`CREATE SCHEMA raw.raw; CREATE TABLE raw.raw.t (id BIGINT, name VARCHAR, mine INTEGER DEFAULT 7);
			INSERT INTO raw.raw.t VALUES (1, 'one', 1), (2, 'two', 2), (3, 'three', 3)`);
		const target = targetOf("id int64, name text");
		const rows: Cell[][] = [
			[1, "uno", false],
			[3, null, true],
			[4, "four", false],
		];
		const other = { ...target, name: { schema: "other", name: "t" } };
		const { parts } = await apply({ target, write: "merge", rows }, { target: other, write: "merge", rows });
		expect(parts).toMatchObject([
			{ rowsInserted: 1, rowsUpdated: 1, rowsDeleted: 1 },
			{ rowsInserted: 2, rowsUpdated: 0, rowsDeleted: 0 },
		]);
		expect(await table()).toEqual([
			[1n, "uno", 1],
			[2n, "two", 2],
			[4n, "four", 7],
		]);
		expect(await table("SELECT load_id, table_name, rows_inserted FROM raw._headrace.loads ORDER BY 1")).toEqual([
			["load 0", "log", 0n],
			["load 0-0", "raw.t", 1n],
			["load 0-1", "other.t", 2n],
		]);
	});

	test("an error tells the table and no value", async () => {
		await reader.execute("CREATE SCHEMA raw.raw; CREATE TABLE raw.raw.t (id BIGINT, name VARCHAR UNIQUE)");
		const target = targetOf("id int64, name text");
		await apply({ target, write: "merge", rows: [[1, "SECRET-NAME", false]] });
		const error = await apply({ target, write: "merge", rows: [[2, "SECRET-NAME", false]] }).catch((thrown) => thrown);
		expect(error.code).toMatch(/^E_/);
		expect(error.message).not.toContain("SECRET");
		const missing = await apply({
			target,
			write: "merge",
			partial: true,
			rows: [[1, "SECRET-NAME", false, "01", 8]],
		}).catch((thrown) => thrown);
		expect(missing).toMatchObject({ code: "E_BASE_MISSING", place: { table: "raw.t" } });
		expect(missing.message).not.toContain("SECRET");
		expect(await table()).toEqual([[1n, "SECRET-NAME"]]);
	});

	test("keys of several columns, long texts among them, beside rows that share a key from before", async () => {
		const [one, two] = ["a key of more than twelve bytes", "another key of more than twelve bytes"];
		await reader.execute(`CREATE SCHEMA raw.raw; CREATE TABLE raw.raw.t (name VARCHAR, id BIGINT, n INTEGER);
			INSERT INTO raw.raw.t VALUES ('${one}', 1, 1), ('${one}', 1, 2), ('${two}', 1, 3)`);
		const id = 1;
		const target = { ...targetOf("name text, id int64, n int32"), key: ["name", "id"] };
		const rows: Cell[][] = [
			[one, id, 10, false],
			[two, id, null, true],
			["short", id, 11, false],
			[`${two}\u00e9`, id, 12, false],
		];
		const { parts } = await apply({ target, write: "merge", rows });
		expect(parts).toMatchObject([{ rowsInserted: 2, rowsUpdated: 1, rowsDeleted: 1 }]);
		expect(await table("SELECT name, n FROM raw.raw.t ORDER BY n")).toEqual([
			[one, 10],
			["short", 11],
			[`${two}\u00e9`, 12],
		]);
	});

	test("a table that has a column of the row identifier's name", async () => {
		const target = targetOf("id int64, rowid int64");
		await apply({ target, write: "merge", rows: [1, 2].map((key) => [key, 7, false]) });
		await apply({
			target,
			write: "merge",
			rows: [
				[1, 2, false],
				[2, null, true],
				[3, 1, false],
			],
		});
		expect(await table("SELECT id, rowid FROM raw.raw.t ORDER BY id")).toEqual([
			[1n, 2n],
			[3n, 1n],
		]);
	});
});
