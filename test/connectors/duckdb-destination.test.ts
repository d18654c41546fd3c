import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import { createDuckdbDestination } from "../../src/connectors/duckdb/index.ts";
import type { Destination, LoadResult, PositionRow, TargetTable, Write } from "../../src/core/index.ts";
import { duckdbType, Engine, type EngineConnection, ParquetFormat, type Value } from "../../src/engine/index.ts";
import { requestOf } from "./duckdb-loads.ts";
import { batchesOf, type Cell, fieldsOf } from "./duckdb-support.ts";

const folder = mkdtempSync(join(tmpdir(), "headrace-destination-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;

let path: string;
let destination: Destination;
let engine: Engine;
let reader: EngineConnection;
let row: PositionRow;

beforeEach(async () => {
	// Named as the schema: a name of two parts would be ambiguous in it.
	path = join(folder, String(++files), "raw.duckdb");
	mkdirSync(join(folder, String(files)));
	destination = await createDuckdbDestination({ path, readableDirectories: [folder] });
	row = (await destination.takeOver("crash", ["t"])).get("t")!;
	engine = await Engine.open({ path });
	reader = await engine.connect();
});

afterEach(async () => {
	await destination[Symbol.asyncDispose]();
	await engine[Symbol.asyncDispose]();
});

const FIELDS = fieldsOf("id int64, name text");

type Change = Parameters<typeof requestOf>[3];

async function load(
	rows: Iterable<readonly Cell[]>,
	write: Write = "replace",
	change: Change = {},
): Promise<LoadResult> {
	const request = requestOf(row, rows, write, { fields: FIELDS, ...change });
	const result = await destination.load(request);
	row = { ...row, seq: row.seq + 1, position: request.toPosition, loadId: request.loadId };
	return result;
}

async function table(sql = "FROM raw.raw.t ORDER BY ALL"): Promise<Value[][]> {
	return (await reader.query(sql)).map((values) => Object.values(values));
}

describe("replace", () => {
	test("views on the table, its comments and its indexes stay", async () => {
		await load([
			[1, "a"],
			[2, "b"],
		]);
		await reader.execute(`CREATE VIEW raw.raw.v AS SELECT id FROM raw.raw.t;
			COMMENT ON TABLE raw.raw.t IS 'it''s ours'; COMMENT ON COLUMN raw.raw.t.name IS 'a name';
			CREATE INDEX "by name" ON raw.raw.t (lower(name)); CREATE UNIQUE INDEX by_id ON raw.raw.t (id)`);
		await load([[3, "c"]]);
		expect(await table("FROM raw.raw.v")).toEqual([[3n]]);
		expect(await table("SELECT comment FROM duckdb_tables() WHERE table_name = 't'")).toEqual([["it's ours"]]);
		expect(await table("SELECT comment FROM duckdb_columns() WHERE table_name = 't' ORDER BY column_index")).toEqual([
			[null],
			["a name"],
		]);
		expect(await table("SELECT index_name, is_unique FROM duckdb_indexes() WHERE table_name = 't' ORDER BY 1")).toEqual(
			[
				["by name", false],
				["by_id", true],
			],
		);
	});

	test("the new table has the target's NOT NULL and defaults", async () => {
		const fields = fieldsOf("id int64, name text");
		const target: TargetTable = {
			name: { schema: "raw", name: "t" },
			key: ["id"],
			columns: [
				{ ...fields[0]!, destinationType: "BIGINT" },
				{ ...fields[1]!, nullable: false, destinationType: "VARCHAR", defaultSql: "'new'" },
			],
		};
		await load([[1, "a"]], "replace", { target });
		await reader.execute("INSERT INTO raw.raw.t (id) VALUES (2)");
		expect(await table()).toEqual([
			[1n, "a"],
			[2n, "new"],
		]);
		await expect(reader.execute("INSERT INTO raw.raw.t VALUES (NULL, 'x')")).rejects.toMatchObject({ code: "E_VALUE" });
		expect(await destination.planDdl(target, "replace")).toEqual([]);
		await expect(load([[1, null]], "replace", { target })).rejects.toMatchObject({
			code: "E_VALUE",
			message: expect.stringContaining("name"),
		});
		await expect(load([[null, "a"]], "replace", { target })).rejects.toMatchObject({ code: "E_NULL_KEY" });
	});

	test("what died runs left beside the table is removed, and nothing else", async () => {
		await load([[1, "a"]]);
		await reader.execute(`CREATE TABLE raw.raw.t__headrace_new_dead (i INTEGER); CREATE TABLE raw.raw.t_other (i INTEGER);
			CREATE TABLE raw.raw.u__headrace_new_dead (i INTEGER)`);
		await load([[2, "b"]]);
		const names = "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'raw' ORDER BY 1";
		expect(await table(names)).toEqual([["t"], ["t_other"], ["u__headrace_new_dead"]]);
	});

	test("a column that went is gone, and another order is the new one's", async () => {
		await load([[1, "a"]]);
		const fields = fieldsOf("more date, id int32");
		expect((await destination.planDdl(requestOf(row, [], "replace", { fields }).target, "replace")).length).toBe(1);
		await load([[0, 7]], "replace", { fields });
		expect(await table()).toEqual([["1970-01-01", 7]]);
	});
});

describe("merge", () => {
	test("rows that are equal already are not written, however often they come", async () => {
		const fields = fieldsOf("id int64, f float64, i interval, l int32[], t text");
		const rows: Cell[][] = [
			[1, -0, [1, 0, 0n], '["1"]', "a"],
			[2, Number.NaN, [0, 30, 0n], "[]", null],
		];
		await load(rows, "merge", { fields });
		const identifiers = () => table("SELECT rowid, id, f::VARCHAR, i::VARCHAR FROM raw.raw.t ORDER BY id");
		const before = await identifiers();
		expect(await load(rows, "merge", { fields })).toMatchObject({ rowsReceived: 2, rowsInserted: 0, rowsUpdated: 0 });
		expect(await identifiers()).toEqual(before);
		// Values that SQL takes for equal, but which differ.
		await load([[1, 0, [0, 30, 0n], '["1"]', "a"]], "merge", { fields });
		expect((await table("SELECT f::VARCHAR, i::VARCHAR FROM raw.raw.t WHERE id = 1"))[0]).toEqual(["0.0", "30 days"]);
	});

	test("a table with a primary key, a unique column and an index of its owner's", async () => {
		await reader.execute(`CREATE SCHEMA raw.raw; CREATE TABLE raw.raw.t (id BIGINT PRIMARY KEY, name VARCHAR UNIQUE);
			CREATE INDEX by_name ON raw.raw.t (lower(name)); INSERT INTO raw.raw.t VALUES (1, 'a'), (2, 'b'), (3, 'c')`);
		await load(
			[
				[1, "b"],
				[2, "a"],
				[4, "d"],
			],
			"merge",
		);
		expect(await table()).toEqual([
			[1n, "b"],
			[2n, "a"],
			[3n, "c"],
			[4n, "d"],
		]);
		await load([[5, "e", 9]], "merge", { fields: fieldsOf("id int64, name text, more int32") });
		expect(await table("SELECT count(*), count(more) FROM raw.raw.t")).toEqual([[5n, 1n]]);
		expect(await table("SELECT count(*) FROM duckdb_indexes() WHERE table_name = 't'")).toEqual([[1n]]);
	});

	test("a type becomes wider where a key, a check, indexes and comments are on the column", async () => {
		await reader.execute(`CREATE SCHEMA raw.raw; CREATE TABLE raw.raw.t
			(id INTEGER PRIMARY KEY, "na""me" INTEGER DEFAULT 7 CHECK ("na""me" > 0), kept VARCHAR DEFAULT 'new');
			CREATE INDEX by_name ON raw.raw.t ("na""me"); CREATE INDEX by_kept ON raw.raw.t (kept);
			COMMENT ON COLUMN raw.raw.t.id IS 'the key'; COMMENT ON TABLE raw.raw.t IS 'named';
			INSERT INTO raw.raw.t VALUES (1, 1, 'x'), (2, 2, 'y')`);
		const fields = fieldsOf('id int64, na"me int64');
		const rows: Cell[][] = [
			[2, 3_000_000_000],
			[3, 4],
		];
		expect(await load(rows, "merge", { fields })).toMatchObject({ rowsInserted: 1, rowsUpdated: 1 });
		expect(await table()).toEqual([
			[1n, 1n, "x"],
			[2n, 3_000_000_000n, "y"],
			[3n, 4n, "new"],
		]);
		const column = "SELECT data_type, is_nullable, column_default FROM duckdb_columns() WHERE table_name = 't'";
		expect(await table(`${column} ORDER BY column_index`)).toEqual([
			["BIGINT", false, null],
			["BIGINT", true, "7"],
			["VARCHAR", true, "'new'"],
		]);
		expect((await table("SELECT index_name FROM duckdb_indexes() WHERE table_name = 't' ORDER BY 1")).flat()).toEqual([
			"by_kept",
			"by_name",
		]);
		const comments = `SELECT comment FROM duckdb_tables() WHERE table_name = 't' UNION ALL
			SELECT comment FROM duckdb_columns() WHERE table_name = 't' AND comment IS NOT NULL`;
		expect((await table(comments)).flat()).toEqual(["named", "the key"]);
		await expect(reader.execute("INSERT INTO raw.raw.t VALUES (1, 1, NULL)")).rejects.toThrow();
		await expect(reader.execute("INSERT INTO raw.raw.t VALUES (9, 0, NULL)")).rejects.toThrow();
		expect((await table("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'raw'")).flat()).toEqual(["t"]);
	});

	test("a value that breaks a constraint of the owner's leaves everything as it was and is not told", async () => {
		await reader.execute(`CREATE SCHEMA raw.raw; CREATE TABLE raw.raw.t (id BIGINT, name VARCHAR UNIQUE);
			INSERT INTO raw.raw.t VALUES (1, 'SECRET-NAME')`);
		const error = await load([[2, "SECRET-NAME"]], "merge").catch((thrown: unknown) => thrown);
		expect(error).toMatchObject({ code: "E_DUPLICATE_KEY" });
		expect(inspect(error, { depth: 10 })).not.toContain("SECRET");
		expect(await table()).toEqual([[1n, "SECRET-NAME"]]);
		expect((await destination.positions("crash"))[0]).toMatchObject({ seq: 0, position: null });
	});

	test("rows that share a key from before the table had one become one", async () => {
		await load(
			[
				[1, "a"],
				[1, "a"],
				[2, "b"],
			],
			"append",
		);
		const result = await load([[1, "a"]], "merge");
		expect(result).toMatchObject({ rowsInserted: 0, rowsUpdated: 1 });
		expect(await table()).toEqual([
			[1n, "a"],
			[2n, "b"],
		]);
	});

	test("columns that are called rowid", async () => {
		const fields = fieldsOf("rowid int64, name text");
		const change = { fields, key: ["rowid"], orderColumn: "rowid" };
		await load([[5, "a"]], "merge", change);
		const rows: Cell[][] = [
			[5, "b"],
			[9, "x"],
			[5, "c"],
		];
		expect(await load(rows, "merge", change)).toMatchObject({ rowsSuperseded: 1, rowsInserted: 1, rowsUpdated: 1 });
		expect(await table()).toEqual([
			[5n, "c"],
			[9n, "x"],
		]);
		await load([[9, "x"]], "append", { ...change, overlap: { column: "rowid", from: "9" } });
		expect(await table("SELECT count(*) FROM raw.raw.t")).toEqual([[2n]]);
	});

	test("Parquet files in a readable folder go in by SQL, and rows that tie keep the order of the files", async () => {
		const format = new ParquetFormat();
		const localPaths: string[] = [];
		const fields = fieldsOf("id int64, i interval, l text[], j json");
		for (const days of [1, 2, 3])
			await format.write({
				fields,
				batches: batchesOf(fields, [
					[7, [0, days, -1n], '["a",null]', '{"a":1}'],
					[days * 10, [0, days, 0n], "[]", "null"],
				]),
				nextPath: async () => {
					localPaths.push(join(folder, `${++files}.parquet`));
					return localPaths.at(-1)!;
				},
				written: async () => {},
				bufferBytesMax: 1 << 20,
			});
		for (const write of ["replace", "merge"] as const) {
			const change = {
				fields,
				key: write === "merge" ? ["id"] : [],
				input: { kind: "files", fields, format, localPaths },
			};
			const result = await load([], write, change as Change);
			expect(result.rowsReceived).toBe(6);
		}
		expect(await table("SELECT id, i, l, j FROM raw.raw.t WHERE id = 7")).toEqual([
			[7n, "P0M3DT-0.000001S", '["a",null]', '{"a":1}'],
		]);
	});
});

describe("columns that differ", () => {
	const evolve: readonly (readonly [string, string, string, string | null])[] = [
		["int32 becomes int64", "int32", "int64", "BIGINT"],
		["int64 stays for int32", "int64", "int32", "BIGINT"],
		["uint32 becomes int64", "uint32", "int64", "BIGINT"],
		["decimal gets more digits", "decimal(5,2)", "decimal(10,2)", "DECIMAL(10,2)"],
		["a date becomes a timestamp", "date", "timestamp", "TIMESTAMP"],
		["float becomes double", "float32", "float64", "DOUBLE"],
		["JSON becomes text", "json", "text", "VARCHAR"],
		["int64 does not become text", "int64", "text", null],
		["a decimal loses decimals", "decimal(10,4)", "decimal(10,2)", null],
		["uint64 does not fit int64", "uint64", "int64", null],
		["a timestamp without a zone gets none", "timestamp", "timestamptz", null],
	];
	test.each(evolve)("%s", async (_name, before, after, type) => {
		const cell = (kind: string): Cell => (kind === "json" || kind === "text" ? "1" : 1);
		await load([[1, cell(before)]], "merge", { fields: fieldsOf(`id int64, v ${before}`) });
		const change = { fields: fieldsOf(`id int64, v ${after}`) };
		const planned = destination.planDdl(requestOf(row, [], "merge", change).target, "merge");
		const loading = load([[2, cell(after)]], "merge", change);
		if (type === null) {
			const columnTypes = [duckdbType(fieldsOf(`v ${before}`)[0]!.type), duckdbType(fieldsOf(`v ${after}`)[0]!.type)];
			const errorOf = (failing: Promise<unknown>) =>
				failing.then(
					() => null,
					(thrown: Error & { code?: string }) => thrown,
				);
			// Both at once: the one that fails first must not be without a handler until the other has.
			for (const error of await Promise.all([planned, loading].map(errorOf))) {
				expect(error?.code).toBe("E_SCHEMA");
				for (const name of columnTypes) expect(error?.message).toContain(name);
			}
			expect((await table()).length).toBe(1);
			return;
		}
		await Promise.all([planned, loading]);
		expect((await destination.describe({ schema: "raw", name: "t" }))?.columns[1]?.destinationType).toBe(type);
		expect((await table()).length).toBe(2);
	});

	test("names are compared as DuckDB does, without case", async () => {
		await load([[1, "a"]], "merge", { fields: fieldsOf("ID int64, Name text"), key: ["ID"] });
		await load([[1, "b"]], "merge", { fields: fieldsOf("id int64, name text") });
		expect(await table()).toEqual([[1n, "b"]]);
		for (const [a, b] of [
			["Id", "iD"],
			["Ä", "ä"],
			["ß", "SS"],
			["é", "e"],
		] as const) {
			const same = destination.foldName(a) === destination.foldName(b);
			const creating = reader.execute(`CREATE OR REPLACE TABLE both_names ("${a}" INTEGER, "${b}" INTEGER)`);
			if (same) await expect(creating, `${a} ${b}`).rejects.toThrow();
			else await creating;
		}
	});

	test("a column that must not be NULL may be, once the source lets it or no longer has it", async () => {
		const strict = fieldsOf("id int64, name text").map((field) => ({ ...field, nullable: false }));
		await load([[1, "a"]], "append", { fields: strict });
		await load([[2, null]], "append", { fields: FIELDS });
		await load([[3]], "append", { fields: fieldsOf("id int64") });
		expect(await table()).toEqual([
			[1n, "a"],
			[2n, null],
			[3n, null],
		]);
	});
});

describe("transactions", () => {
	test("a plan makes no file", async () => {
		const fresh = join(folder, `${++files}.duckdb`);
		await using planned = await createDuckdbDestination({ path: fresh });
		const target = requestOf(row, [], "merge").target;
		expect(await planned.describe(target.name)).toBeNull();
		expect(await planned.positions("crash")).toEqual([]);
		expect(await planned.committed("none")).toBe(false);
		expect((await planned.check())[0]?.severity).toBe("ok");
		const ddl = await planned.planDdl(target, "merge");
		expect(existsSync(fresh)).toBe(false);
		await planned.takeOver("crash", ["t"]);
		expect(await planned.planDdl(target, "merge")).toEqual([ddl[0]!.replace("IF NOT EXISTS ", ""), ddl[1]]);
	});

	test("eight intervals of one new table at once: each has its rows", async () => {
		const fields = fieldsOf("id int64, at timestamp");
		const hour = 3_600_000_000n;
		const starts = Array.from({ length: 8 }, (_, i) => `2024-01-01 0${i}:00:00`);
		const rows = await destination.takeOver("crash", starts);
		const base = 1_704_067_200_000_000n;
		await Promise.all(
			starts.map(async (start, index) => {
				const end = index === 7 ? "2024-01-01 08:00:00" : starts[index + 1]!;
				const cells: Cell[][] = Array.from({ length: 3000 }, (_, i) => [
					index * 3000 + i,
					base + BigInt(index) * hour + BigInt(i),
				]);
				const change: Change = { fields, interval: { column: "at", start, end } };
				const write = index % 2 === 0 ? "append" : "merge";
				await destination.load(requestOf(rows.get(start)!, cells, write, change));
			}),
		);
		expect(await table("SELECT count(*), count(DISTINCT id) FROM raw.raw.t")).toEqual([[24000n, 24000n]]);
		expect((await destination.positions("crash")).filter((position) => position.seq === 1).length).toBe(8);
	});

	test("a table is not written anew beside a load that has yet to commit", async () => {
		await reader.execute(
			"CREATE SCHEMA raw.raw; CREATE TABLE raw.raw.t (id BIGINT, name VARCHAR); CREATE INDEX by_id ON raw.raw.t (id)",
		);
		const rows = await destination.takeOver("crash", ["slow", "wider", "again"]);
		let entered = (): void => {};
		let release = (): void => {};
		const isIn = new Promise<void>((resolve) => {
			entered = resolve;
		});
		const verify = async () => {
			entered();
			await new Promise<void>((resolve) => {
				release = resolve;
			});
		};
		const slow = destination.load({
			...requestOf(rows.get("slow")!, [[1, "a"]], "append", { fields: FIELDS }),
			verify,
		});
		await isIn;
		const fields = fieldsOf("id decimal(20,0), name text");
		const wider = (stream: string) => destination.load(requestOf(rows.get(stream)!, [[2, "b"]], "append", { fields }));
		await expect(wider("wider")).rejects.toMatchObject({ code: "E_CONFLICT" });
		release();
		await slow;
		await wider("again");
		expect(await table("SELECT id::VARCHAR, name FROM raw.raw.t ORDER BY 1")).toEqual([
			["1", "a"],
			["2", "b"],
		]);
	});

	test("the control tables have the columns of the contract", async () => {
		await load([[1, "a"]]);
		const columns = (name: string) =>
			table(
				`SELECT column_name FROM duckdb_columns() WHERE schema_name = '_headrace' AND table_name = '${name}' ORDER BY column_index`,
			);
		expect((await columns("positions")).flat()).toEqual([
			"pipeline",
			"stream",
			"epoch",
			"seq",
			"position",
			"load_id",
			"schema_version",
			"committed_at",
		]);
		expect((await columns("loads")).flat()).toEqual([
			"load_id",
			"pipeline",
			"table_name",
			"from_position",
			"to_position",
			"rows_inserted",
			"rows_updated",
			"rows_deleted",
			"committed_at",
		]);
		expect(await table("SELECT table_name, rows_inserted, rows_updated, rows_deleted FROM _headrace.loads")).toEqual([
			["raw.t", 1n, 0n, 0n],
		]);
		const [position] = await destination.positions("crash");
		expect(position?.committedAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);
	});

	test("history is refused by name, and an interval by a column that is not there", async () => {
		await expect(load([], "history")).rejects.toMatchObject({ code: "E_UNSUPPORTED" });
		const interval = { column: "none", start: "2024-01-01 00:00:00", end: "2024-01-02 00:00:00" };
		await expect(load([[1, "a"]], "append", { interval })).rejects.toMatchObject({ code: "E_UNKNOWN_COLUMN" });
		expect((await destination.positions("crash"))[0]?.seq).toBe(0);
	});

	test("a hundred streams are taken over at once, names with quotes among them", async () => {
		const streams = Array.from({ length: 100 }, (_, i) => `it's "stream" ${i}`);
		await destination.takeOver("a 'pipeline'", streams);
		const rows = await destination.takeOver("a 'pipeline'", [...streams, streams[0]!]);
		expect([...rows.keys()].sort()).toEqual([...streams].sort());
		expect([...rows.values()].every((taken) => taken.epoch === 2)).toBe(true);
	});

	test("rows too wide for the engine's memory are E_MEMORY, and nothing of them is kept", async () => {
		await load([[1, "a"]]);
		await reader[Symbol.asyncDispose]();
		await engine[Symbol.asyncDispose]();
		await destination[Symbol.asyncDispose]();
		destination = await createDuckdbDestination({ path, memoryBytes: 24 << 20 });
		const wide = Array.from({ length: 60 }, (_, i): Cell[] => [i, "x".repeat(1_000_000)]);
		await expect(load(wide, "append")).rejects.toMatchObject({ code: "E_MEMORY" });
		engine = await Engine.open({ path });
		reader = await engine.connect();
		expect(await table()).toEqual([[1n, "a"]]);
		expect((await destination.positions("crash"))[0]?.seq).toBe(1);
	});

	test("a date column takes intervals of hours by the midnight of its days", async () => {
		const fields = fieldsOf("id int64, day date");
		await load(
			[
				[1, 19723],
				[2, 19724],
			],
			"append",
			{ fields },
		);
		const interval = { column: "day", start: "2024-01-01 00:00:00", end: "2024-01-01 12:00:00" };
		const result = await load([[3, 19723]], "append", { fields, interval });
		expect(result.rowsDeleted).toBe(1);
		expect(await table("SELECT id FROM raw.raw.t ORDER BY id")).toEqual([[2n], [3n]]);
	});
});
