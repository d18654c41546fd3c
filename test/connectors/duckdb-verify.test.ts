import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import { createDuckdbDestination } from "../../src/connectors/duckdb/index.ts";
import {
	type Destination,
	type DestinationSql,
	HeadraceError,
	type LoadRequest,
	type PositionRow,
	type Write,
} from "../../src/core/index.ts";
import { Engine, type EngineConnection, type Value } from "../../src/engine/index.ts";
import { requestOf } from "./duckdb-loads.ts";
import { type Cell, fieldsOf } from "./duckdb-support.ts";

const folder = mkdtempSync(join(tmpdir(), "headrace-verify-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;

let destination: Destination;
let sql: DestinationSql;
let engine: Engine;
let reader: EngineConnection;
let row: PositionRow;

beforeEach(async () => {
	// Its name up to the first dot is the database's.
	const path = join(folder, String(++files), "raw.v2.duckdb");
	mkdirSync(join(folder, String(files)));
	destination = await createDuckdbDestination({ path });
	sql = destination.sql!;
	row = (await destination.takeOver("crash", ["t"])).get("t")!;
	engine = await Engine.open({ path });
	reader = await engine.connect();
});

afterEach(async () => {
	await destination[Symbol.asyncDispose]();
	await engine[Symbol.asyncDispose]();
});

const FIELDS = fieldsOf("id int64, name text, at timestamp");
const OLD: Cell[][] = [
	[1, "old", 0n],
	[2, "old", 0n],
];
const NEW: Cell[][] = [
	[2, "new", 1n],
	[3, "new", 1n],
];

async function load(rows: readonly Cell[][], write: Write, change: Partial<LoadRequest> = {}) {
	const request = requestOf(row, rows, write, { fields: FIELDS, ...change });
	const result = await destination.load(request);
	row = { ...row, seq: row.seq + 1, position: request.toPosition, loadId: request.loadId };
	return result;
}

async function read(text = "SELECT id, name FROM raw.raw.t ORDER BY ALL"): Promise<Value[][]> {
	return (await reader.query(text)).map((values) => Object.values(values));
}

const BEFORE = [
	[1n, "old"],
	[2n, "old"],
];
const INTERVAL = { column: "at", start: "1970-01-01 00:00:00", end: "1970-01-02 00:00:00" };

describe.each<[string, Write, Partial<LoadRequest>, [string | null, string | null][]]>([
	[
		"replace",
		"replace",
		{},
		[
			["2", "new"],
			["3", "new"],
		],
	],
	[
		"merge",
		"merge",
		{},
		[
			["1", "old"],
			["2", "new"],
			["3", "new"],
		],
	],
	[
		"append",
		"append",
		{},
		[
			["1", "old"],
			["2", "new"],
			["2", "old"],
			["3", "new"],
		],
	],
	[
		"append with an overlap",
		"append",
		{ overlap: { column: "at", from: null } },
		[
			["1", "old"],
			["2", "new"],
			["2", "old"],
			["3", "new"],
		],
	],
	[
		"interval",
		"append",
		{ interval: INTERVAL },
		[
			["2", "new"],
			["3", "new"],
		],
	],
	[
		"interval merged",
		"merge",
		{ interval: INTERVAL },
		[
			["2", "new"],
			["3", "new"],
		],
	],
])("%s", (_name, write, change, after) => {
	test("verify sees the rows as they will be, others the old ones until it has agreed", async () => {
		await load(OLD, "replace");
		let seen: unknown;
		let meanwhile: unknown;
		await load(NEW, write, {
			...change,
			verify: async (view) => {
				seen = await view.query(`SELECT id, name FROM ${view.relation} ORDER BY ALL`);
				meanwhile = await read();
			},
		});
		expect(seen).toEqual(after.map(([id, name]) => ({ id, name })));
		expect(meanwhile).toEqual(BEFORE);
		expect(await read()).toEqual(after.map(([id, name]) => [BigInt(id!), name]));
	});

	test("when it throws, rows and position stay, nothing is left behind, and the next load works", async () => {
		await load(OLD, "replace");
		const positions = await destination.positions("crash");
		const refused = new HeadraceError("E_CHECK", "no");
		const verify = async () => {
			expect(await read()).toEqual(BEFORE);
			throw refused;
		};
		await expect(load(NEW, write, { ...change, verify })).rejects.toBe(refused);
		expect(await read()).toEqual(BEFORE);
		expect(await destination.positions("crash")).toEqual(positions);
		expect(await read("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'raw'")).toEqual([["t"]]);
		await load(NEW, write, change);
		expect(await read()).toHaveLength(after.length);
	});

	test("what it asks can neither change rows nor end the transaction", async () => {
		await load(OLD, "replace");
		for (const text of ["DELETE FROM raw.raw.t", "SELECT 1; COMMIT", "COMMIT", "SELECT 1) AS a; COMMIT; SELECT (1"]) {
			const verify: LoadRequest["verify"] = async (view) => {
				await view.query(text);
			};
			await expect(load(NEW, write, { ...change, verify })).rejects.toThrow();
			expect(await read()).toEqual(BEFORE);
		}
	});
});

describe("the destination's own SQL", () => {
	const marts = { schema: "mart", name: "daily" };

	test("values are text, and a query changes nothing", async () => {
		const rows = await sql.query("SELECT 1.50 AS a, NULL AS b, 'it''s' AS c, [1] AS d -- comment");
		expect(rows).toEqual([{ a: "1.50", b: null, c: "it's", d: "[1]" }]);
		await expect(sql.query("CREATE TABLE x AS SELECT 1")).rejects.toThrow();
	});

	test("statements are one transaction", async () => {
		await expect(sql.execute(["CREATE TABLE x (a INTEGER)", "INSERT INTO nowhere VALUES (1)"])).rejects.toThrow();
		await expect(sql.query("SELECT * FROM x")).rejects.toThrow(/x/);
		await sql.execute(["CREATE TABLE x (a INTEGER)", "INSERT INTO x VALUES (1)"]);
		expect(await sql.query("SELECT a FROM x")).toEqual([{ a: "1" }]);
	});

	test("relation names a table with its database, whatever the file is called", async () => {
		await load(OLD, "replace");
		expect(sql.relation({ schema: "raw", name: 'a"b' })).toBe('"raw"."raw"."a""b"');
		expect(await sql.query(`SELECT count(*) AS n FROM ${sql.relation({ schema: "raw", name: "t" })}`)).toEqual([
			{ n: "2" },
		]);
	});

	test("a rebuilt table keeps its form: types, defaults, constraints, indexes, comments; new columns come in", async () => {
		await sql.rebuild({ table: marts, select: "SELECT 1 AS day, 2 AS n;" });
		expect(await read("FROM mart.daily")).toEqual([[1, 2]]);
		await sql.execute([
			"DROP TABLE mart.daily",
			"CREATE TABLE mart.daily (day DATE PRIMARY KEY, n BIGINT NOT NULL CHECK (n > 0), note VARCHAR DEFAULT 'it''s')",
			"CREATE INDEX by_n ON mart.daily (n)",
			"COMMENT ON TABLE mart.daily IS 'ours'",
			"INSERT INTO mart.daily VALUES ('2026-01-01', 1, 'old')",
		]);
		const built = await sql.rebuild({
			table: marts,
			select: "WITH x AS (SELECT 7 AS N, DATE '2026-01-02' AS day, 1.5 AS more) SELECT * FROM x",
		});
		expect(built).toEqual({ rows: 1 });
		expect(await read("SELECT day, n, note, more FROM mart.daily")).toEqual([["2026-01-02", 7n, "it's", "1.5"]]);
		expect(await read("SELECT index_name FROM duckdb_indexes()")).toEqual([["by_n"]]);
		expect(await read("SELECT comment FROM duckdb_tables() WHERE table_name = 'daily'")).toEqual([["ours"]]);
		const refused: [string, string][] = [
			["SELECT DATE '2026-01-01' AS day, 0 AS n", "constraint"],
			["SELECT DATE '2026-01-01' AS day, NULL AS n", "NOT NULL"],
			["SELECT day, n FROM mart.daily UNION ALL SELECT day, n FROM mart.daily", "PRIMARY KEY"],
			["SELECT 1; DROP TABLE mart.daily", "syntax error"],
			["DELETE FROM mart.daily", "syntax error"],
		];
		for (const [select, message] of refused) {
			await expect(sql.rebuild({ table: marts, select })).rejects.toThrow(message);
			expect(await read("SELECT day, n FROM mart.daily")).toEqual([["2026-01-02", 7n]]);
			expect(await read("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'mart'")).toEqual([["daily"]]);
		}
	});

	test("a reader sees the old rows until a rebuild is verified; rebuilds of one table wait for each other", async () => {
		await sql.rebuild({ table: marts, select: "SELECT 1 AS n" });
		const verify: LoadRequest["verify"] = async (view) => {
			expect(await view.query(`SELECT n FROM ${view.relation}`)).toEqual([{ n: "2" }]);
			expect(await read("FROM mart.daily")).toEqual([[1]]);
		};
		await sql.rebuild({ table: marts, select: "SELECT 2 AS n", verify });
		expect(await read("FROM mart.daily")).toEqual([[2]]);
		const others = [3, 4, 5].map((n) => sql.rebuild({ table: marts, select: `SELECT ${n} AS n` }));
		await Promise.all(others);
		expect(await read("FROM mart.daily")).toEqual([[5]]);
	});

	test("a signal stops it, and nothing stays", async () => {
		const stop = new AbortController();
		const slow = "SELECT count(*) AS n FROM range(100000000000) AS a(x) WHERE hash(x) = 1";
		const building = sql.rebuild({ table: marts, select: slow, signal: stop.signal });
		setTimeout(() => stop.abort(), 100);
		await expect(building).rejects.toMatchObject({ code: "E_STOPPED" });
		expect(await read("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'mart'")).toEqual([]);
	});
});
