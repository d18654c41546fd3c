import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { inspect } from "node:util";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { type Batch, BatchPool, type Field, HeadraceError } from "../../src/core/index.ts";
import { duckdbType, Engine, EngineConnection, ParquetFormat, selectList } from "../../src/engine/index.ts";
import { valueText } from "../../src/formats/index.ts";
import { batchesOf, type Cell, fieldsOf } from "./duckdb-support.ts";

const folder = mkdtempSync(join(tmpdir(), "headrace-engine-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;
const newPath = (ending = "duckdb") => join(folder, `${++files}.${ending}`);

const createSql = (fields: readonly Field[], table = "t") =>
	`CREATE TABLE ${table} (${fields.map((f) => `"${f.name}" ${duckdbType(f.type)}`).join(", ")})`;
const insertSql = (fields: readonly Field[]) => (relation: string) =>
	`INSERT INTO t SELECT ${selectList(fields)} FROM ${relation}`;

async function collect(batches: AsyncIterable<Batch>): Promise<(string | null)[][]> {
	const rows: (string | null)[][] = [];
	for await (const batch of batches) {
		for (let row = 0; row < batch.rowCount; row++) rows.push(batch.columns.map((column) => valueText(column, row)));
		batch.release();
	}
	return rows;
}

/** Rows by way of consume, a table, and stream. */
async function throughTable(fields: readonly Field[], batches: AsyncIterable<Batch>): Promise<(string | null)[][]> {
	await using engine = await Engine.open();
	await using connection = await engine.connect();
	await connection.execute(createSql(fields));
	await connection.consume({ fields, batches, statement: insertSql(fields), bufferBytesMax: 4 << 20 });
	const result = await connection.stream("FROM t");
	expect(result.fields.map(({ name, type }) => ({ name, type }))).toEqual(
		fields.map(({ name, type }) => ({ name, type })),
	);
	return await collect(result.batches);
}

async function throughParquet(fields: readonly Field[], batches: AsyncIterable<Batch>): Promise<(string | null)[][]> {
	const format = new ParquetFormat({ threads: 1 });
	const paths: string[] = [];
	let written = 0;
	await format.write({
		fields,
		batches,
		nextPath: async () => {
			paths.push(newPath("parquet"));
			return paths.at(-1)!;
		},
		written: async (_path, rows) => {
			written += rows;
		},
		bufferBytesMax: 4 << 20,
	});
	const rows: (string | null)[][] = [];
	for (const path of paths) rows.push(...(await collect(format.read(path, fields))));
	expect(rows.length).toBe(written);
	return rows;
}

const INFINITE_DATE = 2147483647;
const INFINITE_TIMESTAMP = 9223372036854775807n;
const I64_MIN = -(2n ** 63n);
const extremes: readonly (readonly [type: string, cells: readonly Cell[]])[] = [
	["boolean", [true, false]],
	["int8", [-128, 127]],
	["int16", [-32768, 32767]],
	["int32", [-2147483648, 2147483647]],
	["int64", [I64_MIN, 2n ** 63n - 1n, 9007199254740993n]],
	["uint8", [0, 255]],
	["uint16", [0, 65535]],
	["uint32", [0, 4294967295]],
	["uint64", [0, 18446744073709551615n]],
	["float32", [0, -0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1.401298464324817e-45]],
	["float64", [0, -0, Number.NaN, Number.NEGATIVE_INFINITY, 5e-324, Number.MAX_VALUE, 0.1]],
	["date", [0, -719162, 2932896, INFINITE_DATE, -INFINITE_DATE]],
	["time", [0, 86399999999, 86400000000]],
	["timestamp", [0, -62135596800000000n, 253402300799999999n, INFINITE_TIMESTAMP, -INFINITE_TIMESTAMP]],
	["timestamptz", [1, -62135596800000000n, INFINITE_TIMESTAMP, -INFINITE_TIMESTAMP]],
	[
		"interval",
		[
			[0, 0, 0n],
			[-13, 40, -1n],
			[1, -30, 90061000001n],
			[2147483647, -2147483648, 9223372036854775807n],
			[-2147483648, 2147483647, -9223372036854775807n],
		],
	],
	["uuid", [0n, -(2n ** 127n), 2n ** 127n - 1n]],
	[
		"text",
		["", "a", "exactly 12 b", "thirteen byte", "\u0000", "日本語の長い文字列です", "é", "\\N", "x".repeat(70000)],
	],
	["json", ['{"a": 1.50, "b": 12345678901234567890123}', "null", '"\\u0000"']],
	["binary", [Buffer.alloc(0), Buffer.from([0]), Buffer.alloc(12, 255), Buffer.alloc(13, 255), Buffer.alloc(5000, 7)]],
	["decimal(4,2)", [-9999, 9999]],
	["decimal(9,0)", [-999999999, 999999999]],
	["decimal(18,6)", [10n ** 18n - 1n, -1n]],
	["decimal(38,10)", [10n ** 38n - 1n, -(10n ** 38n) + 1n, 10n ** 19n]],
	["int64[]", ["[]", '["1",null,"9223372036854775807"]']],
	["text[]", ['["","a\\"b",null,"NULL"]']],
	["decimal(38,2)[]", ['["1.50","-99999999999999999999999999999999.99"]']],
	["binary[]", ['["00ff",null,""]']],
	["boolean[]", ['["true","false"]']],
];

describe("values come back equal", () => {
	test.each(extremes)("%s", async (typeText, cells) => {
		const fields = fieldsOf(`i int32, v ${typeText}`);
		const rows: Cell[][] = [...cells, null].map((cell, index) => [index, cell]);
		const wanted = await collect(batchesOf(fields, rows));
		expect(await throughTable(fields, batchesOf(fields, rows))).toEqual(wanted);
		expect(await throughParquet(fields, batchesOf(fields, rows))).toEqual(wanted);
	});

	test("text, bytes and numbers of any length and batch size, in their order", async () => {
		const fields = fieldsOf("a text, b binary, c int64, d float64");
		const row = fc.tuple(
			fc.option(fc.string({ unit: "binary", maxLength: 40 })),
			fc.option(fc.uint8Array({ maxLength: 40 })),
			fc.option(fc.bigInt(I64_MIN, 2n ** 63n - 1n)),
			fc.option(fc.double()),
		);
		await fc.assert(
			fc.asyncProperty(fc.array(row, { maxLength: 300 }), fc.integer({ min: 1, max: 100 }), async (rows, batchRows) => {
				const wanted = await collect(batchesOf(fields, rows, { batchRows }));
				expect(await throughTable(fields, batchesOf(fields, rows, { batchRows }))).toEqual(wanted);
			}),
			{ numRuns: 20 },
		);
	});

	test("20,000 rows with long strings keep their order through several groups", async () => {
		const fields = fieldsOf("id int64, text text");
		const rows: Cell[][] = Array.from({ length: 20000 }, (_, i) => [i, i % 7 === 0 ? null : `row number ${i} of many`]);
		const found = await throughTable(fields, batchesOf(fields, rows));
		expect(found).toEqual(rows.map(([id, text]) => [String(id), text]));
	});

	test("1,000 columns", async () => {
		const fields = fieldsOf(
			Array.from({ length: 1000 }, (_, i) => `c${i} ${i % 2 === 0 ? "int32" : "text"}`).join(", "),
		);
		const rows: Cell[][] = Array.from({ length: 700 }, (_, r) =>
			fields.map((_field, c) => (c % 2 === 0 ? r * c : `value ${r} of column ${c}`)),
		);
		const found = await throughTable(fields, batchesOf(fields, rows));
		expect(found).toEqual(rows.map((row) => row.map(String)));
	});

	test("a value of 50 MB", async () => {
		const fields = fieldsOf("id int32, v binary, t text");
		const large = Buffer.alloc(50_000_000);
		for (let i = 0; i < large.length; i += 997) large[i] = i & 255;
		await using engine = await Engine.open({ memoryBytes: 400 << 20 });
		await using connection = await engine.connect();
		await connection.execute(createSql(fields));
		const batches = batchesOf(fields, [
			[1, large, "x".repeat(13)],
			[2, Buffer.from("small"), "y".repeat(50_000_000)],
		]);
		await connection.consume({ fields, batches, statement: insertSql(fields), bufferBytesMax: 1 << 20 });
		const result = await connection.stream("SELECT id, v, t FROM t ORDER BY id");
		const rows: { v: Buffer; t: number }[] = [];
		for await (const batch of result.batches) {
			for (let row = 0; row < batch.rowCount; row++)
				rows.push({ v: Buffer.from(batch.columns[1]!.bytes(row)), t: batch.columns[2]!.bytes(row).length });
			batch.release();
		}
		expect(rows[0]!.v.equals(large)).toBe(true);
		expect(rows.map((row) => row.t)).toEqual([13, 50_000_000]);
	});

	test("names with quotes, dots, reserved words and any Unicode", async () => {
		const names = ['a"b', "a.b", "select", "naïve_名前", " ", "it's", "$1", "rowid"];
		const fields = names.map((name): Field => ({ name, type: { kind: "text" }, nullable: true }));
		const rows = [names.map((name) => `value of ${name}`)];
		await using engine = await Engine.open();
		await using connection = await engine.connect();
		const columns = names.map((name) => `"${name.replaceAll('"', '""')}" VARCHAR`).join(", ");
		await connection.execute(`CREATE TABLE t (${columns})`);
		await connection.consume({
			fields,
			batches: batchesOf(fields, rows),
			statement: insertSql(fields),
			bufferBytesMax: 1 << 20,
		});
		const result = await connection.stream("FROM t");
		expect(result.fields.map((field) => field.name)).toEqual(names);
		expect(await collect(result.batches)).toEqual(rows);
	});
});

describe("results", () => {
	test("types without a canonical type are cast", async () => {
		await using engine = await Engine.open();
		await using connection = await engine.connect();
		const [row] = await connection.query(
			`SELECT 170141183460469231731687303715884105727::HUGEINT AS h, 'a'::ENUM('a') AS e, [1, NULL] AS l,
			{'x': [1.5]} AS s, TIMESTAMP_NS '2024-01-01 00:00:00.123456789' AS n, TIMESTAMP_MS '2024-01-01' AS ms,
			1.50::DECIMAL(5,2) AS d, DATE '2024-02-29' AS day, '12:00:00+05:45'::TIMETZ AS z, 5 AS five, 5::BIGINT AS big`,
		);
		expect(row).toEqual({
			h: "170141183460469231731687303715884105727",
			e: "a",
			l: '["1",null]',
			s: '{"x":[1.5]}',
			n: "2024-01-01 00:00:00.123456789",
			ms: "2024-01-01 00:00:00",
			d: "1.50",
			day: "2024-02-29",
			z: "12:00:00+05:45",
			five: 5,
			big: 5n,
		});
	});

	test("parameters are bound, whatever they hold", async () => {
		await using engine = await Engine.open();
		await using connection = await engine.connect();
		const values = ["it's; DROP TABLE t", 5, -5n, 2n ** 62n, 0.5, true, null];
		const [row] = await connection.query("SELECT ? AS a, ? AS b, ? AS c, ? AS d, ? AS e, ? AS f, ? AS g", values);
		expect(Object.values(row!)).toEqual(["it's; DROP TABLE t", 5n, -5n, 2n ** 62n, 0.5, true, null]);
	});

	test("breaking out of a stream ends it and leaves the connection usable", async () => {
		await using engine = await Engine.open();
		await using connection = await engine.connect();
		const { batches } = await connection.stream("SELECT range AS i FROM range(10000000)");
		for await (const batch of batches) {
			batch.release();
			break;
		}
		expect(await connection.query("SELECT 1 AS one")).toEqual([{ one: 1 }]);
	});

	test("a stream whose rows are large is cut into batches of about a megabyte", async () => {
		await using engine = await Engine.open();
		await using connection = await engine.connect();
		const { batches } = await connection.stream("SELECT repeat('x', 300000) || i AS v FROM range(40) AS r(i)");
		let rows = 0;
		for await (const batch of batches) {
			expect(batch.heapBytes).toBeLessThan(2 << 20);
			rows += batch.rowCount;
			batch.release();
		}
		expect(rows).toBe(40);
	});

	test("a statement that fails midway is an error, not an early end", async () => {
		await using engine = await Engine.open();
		await using connection = await engine.connect();
		const { batches } = await connection.stream(
			"SELECT CAST(CASE WHEN i = 500000 THEN 'x' ELSE '1' END AS INTEGER) AS amount FROM range(1000000) AS r(i)",
		);
		let rows = 0;
		const reading = (async () => {
			for await (const batch of batches) {
				rows += batch.rowCount;
				batch.release();
			}
		})();
		await expect(reading).rejects.toMatchObject({ code: "E_VALUE", message: expect.stringContaining("INT32") });
		expect(rows).toBeGreaterThan(0);
	});

	test("an aborted stream is E_STOPPED", async () => {
		await using engine = await Engine.open();
		await using connection = await engine.connect();
		const abort = new AbortController();
		const { batches } = await connection.stream("SELECT i FROM range(100000000) AS r(i)", { signal: abort.signal });
		const reading = (async () => {
			for await (const batch of batches) {
				batch.release();
				abort.abort();
			}
		})();
		await expect(reading).rejects.toMatchObject({ code: "E_STOPPED" });
	});
});

describe("consume", () => {
	class CountingPool extends BatchPool {
		out = 0;
		outMax = 0;
		override take(): Batch {
			this.out++;
			this.outMax = Math.max(this.outMax, this.out);
			return super.take();
		}
		override give(batch: Batch): void {
			this.out--;
			super.give(batch);
		}
	}
	const fields = fieldsOf("id int64, text text");
	const many = (count: number): Cell[][] =>
		Array.from({ length: count }, (_, i) => [i, `text of row ${i}, long enough`]);

	async function open() {
		const engine = await Engine.open();
		const connection = await engine.connect();
		await connection.execute(createSql(fields));
		return { engine, connection };
	}

	test("holds no more batches than its bound, and gives all back", async () => {
		const { engine, connection } = await open();
		await using _engine = engine;
		const pool = new CountingPool(fields);
		const bufferBytesMax = 20 * pool.take().heldBytes;
		pool.out = 0;
		const result = await connection.consume({
			fields,
			batches: batchesOf(fields, many(200_000), { pool }),
			statement: insertSql(fields),
			bufferBytesMax,
		});
		expect(result.rows).toBe(200_000);
		expect(pool.out).toBe(0);
		expect(pool.outMax).toBeLessThanOrEqual(22);
		expect((await connection.query("SELECT count(*) AS n, count(DISTINCT id) AS d FROM t"))[0]).toEqual({
			n: 200_000n,
			d: 200_000n,
		});
	});

	test("lanes work side by side and lose nothing", async () => {
		const { engine, connection } = await open();
		await using _engine = engine;
		await using second = await engine.connect();
		const pool = new CountingPool(fields);
		const result = await EngineConnection.consumeInLanes([connection, second], {
			fields,
			batches: batchesOf(fields, many(100_000), { pool, batchRows: 500 }),
			statement: insertSql(fields),
			bufferBytesMax: 1 << 20,
			threads: 1,
		});
		expect(result.rows).toBe(100_000);
		expect(pool.out).toBe(0);
		expect(await connection.query("SELECT count(DISTINCT id) AS n, sum(id) AS s FROM t")).toEqual([
			{ n: 100_000n, s: String((99_999 * 100_000) / 2) },
		]);
	});

	test("counts the values that a policy altered", async () => {
		const { engine, connection } = await open();
		await using _engine = engine;
		async function* altered() {
			for await (const batch of batchesOf(fields, many(10), { batchRows: 4 })) {
				batch.columns[1]!.setChangedNull(0);
				yield batch;
			}
		}
		const result = await connection.consume({
			fields,
			batches: altered(),
			statement: insertSql(fields),
			bufferBytesMax: 1 << 20,
		});
		expect(result.valuesChanged).toEqual({ text: 3 });
	});

	test.each([
		["fails", "E_CONNECTION_LOST"],
		["is aborted", "E_STOPPED"],
	] as const)("a source that %s: nothing runs on, every batch comes back", async (what, code) => {
		const { engine, connection } = await open();
		await using _engine = engine;
		const abort = new AbortController();
		const pool = new CountingPool(fields);
		let ended = false;
		async function* failing() {
			try {
				let count = 0;
				for await (const batch of batchesOf(fields, many(200_000), { pool })) {
					if (++count === 40) {
						if (what === "is aborted") abort.abort();
						else {
							batch.release();
							throw new HeadraceError("E_CONNECTION_LOST", "gone");
						}
					}
					yield batch;
					await nextTurn();
				}
			} finally {
				ended = true;
			}
		}
		await connection.execute("BEGIN");
		const consuming = connection.consume({
			fields,
			batches: failing(),
			statement: insertSql(fields),
			bufferBytesMax: 1 << 20,
			signal: abort.signal,
		});
		await expect(consuming).rejects.toMatchObject({ code });
		expect(ended).toBe(true);
		expect(pool.out).toBe(0);
		await connection.execute("ROLLBACK");
		expect(await connection.query("SELECT count(*) AS n FROM t")).toEqual([{ n: 0n }]);
	});

	test("a statement that fails ends the source", async () => {
		const { engine, connection } = await open();
		await using _engine = engine;
		const pool = new CountingPool(fields);
		const consuming = connection.consume({
			fields,
			batches: batchesOf(fields, many(200_000), { pool }),
			statement: (relation) => `INSERT INTO no_such_table SELECT * FROM ${relation}`,
			bufferBytesMax: 1 << 20,
		});
		await expect(consuming).rejects.toMatchObject({ code: "E_DESTINATION" });
		expect(pool.out).toBe(0);
	});

	test("a statement that leaves rows unread is an error, not a loss", async () => {
		const { engine, connection } = await open();
		await using _engine = engine;
		const consuming = connection.consume({
			fields,
			batches: batchesOf(fields, many(50_000)),
			statement: (relation) => `INSERT INTO t SELECT * FROM ${relation} LIMIT 1`,
			bufferBytesMax: 64 << 20,
		});
		await expect(consuming).rejects.toMatchObject({ code: "E_INTERNAL" });
	});

	test.each([
		["long", Buffer.from([...Buffer.from("a valid beginning, then "), 0xff, 0xfe])],
		["short", Buffer.from([0x61, 0xff])],
		["a character cut off at its end", Buffer.from([...Buffer.from("thirteen bytes"), 0xc3])],
	])("text that is not UTF-8 is E_ENCODING and names the column: %s", async (_name, bytes) => {
		const { engine, connection } = await open();
		await using _engine = engine;
		const consuming = connection.consume({
			fields,
			batches: batchesOf(fields, [
				[1, "a perfectly fine long text"],
				[2, bytes],
				[3, "another fine and long text"],
			]),
			statement: insertSql(fields),
			bufferBytesMax: 1 << 20,
		});
		await expect(consuming).rejects.toMatchObject({ code: "E_ENCODING", message: expect.stringContaining("text") });
	});

	test("a heap with bytes that no value uses goes in all the same", async () => {
		const { engine, connection } = await open();
		await using _engine = engine;
		async function* replaced() {
			for await (const batch of batchesOf(fields, [
				[1, Buffer.from([...Buffer.from("bad text of some length "), 0xff])],
				[2, "good text of some length"],
				[3, null],
			])) {
				const repaired = Buffer.from("repaired text of some length");
				batch.columns[1]!.setBytes(0, repaired, 0, repaired.length);
				yield batch;
			}
		}
		await connection.consume({ fields, batches: replaced(), statement: insertSql(fields), bufferBytesMax: 1 << 20 });
		expect(await connection.query("SELECT text FROM t ORDER BY id")).toEqual([
			{ text: "repaired text of some length" },
			{ text: "good text of some length" },
			{ text: null },
		]);
	});
});

describe("errors", () => {
	const SECRET = "SECRET-VALUE-42";
	const cases: readonly (readonly [name: string, setup: string, sql: string, code: string, tells: string])[] = [
		["a cast", "SELECT 1", `SELECT CAST('${SECRET}' AS INTEGER)`, "E_VALUE", "INT32"],
		[
			"a cast of a column",
			"CREATE TABLE a AS SELECT 'SECRET-VALUE-42' AS amount; CREATE TABLE b (amount INTEGER)",
			"INSERT INTO b SELECT amount FROM a",
			"E_VALUE",
			"amount",
		],
		["JSON", "SELECT 1", `SELECT CAST('{${SECRET}' AS JSON)`, "E_VALUE", "JSON"],
		["a date", "SELECT 1", `SELECT CAST('2024-99-99 ${SECRET}' AS DATE)`, "E_VALUE", ""],
		[
			"a duplicate key",
			"CREATE TABLE k (id VARCHAR PRIMARY KEY)",
			`INSERT INTO k VALUES ('${SECRET}'), ('${SECRET}')`,
			"E_DUPLICATE_KEY",
			"",
		],
		["NOT NULL", "CREATE TABLE n (amount INTEGER NOT NULL)", "INSERT INTO n VALUES (NULL)", "E_VALUE", "amount"],
		["a missing table", "SELECT 1", "FROM nowhere", "E_DESTINATION", "nowhere"],
		["an error of SQL", "SELECT 1", `SELECT error('${SECRET}')`, "E_VALUE", ""],
		["a constraint", "CREATE TABLE c (i INTEGER CHECK (i > 5))", "INSERT INTO c VALUES (3)", "E_DESTINATION", ""],
	];
	test.each(cases)("%s tells no value", async (_name, setup, sql, code, tells) => {
		await using engine = await Engine.open();
		await using connection = await engine.connect();
		await connection.execute(setup);
		const error = await connection.execute(sql, [], { columns: ["amount"] }).then(
			() => null,
			(thrown: unknown) => thrown,
		);
		expect(error).toBeInstanceOf(HeadraceError);
		expect((error as HeadraceError).code).toBe(code);
		expect((error as HeadraceError).message).toContain(tells);
		expect(inspect(error, { depth: 10 })).not.toContain(SECRET);
	});

	test("a memory limit that does not suffice is E_MEMORY", async () => {
		await using engine = await Engine.open({ memoryBytes: 20 << 20, tempDirectory: newPath("none/nowhere") });
		await using connection = await engine.connect();
		const query = connection.query("SELECT list(i) AS l FROM range(20000000) AS r(i)");
		await expect(query).rejects.toMatchObject({ code: "E_MEMORY" });
	});

	test("a NUL in a statement is refused: the rest would be cut off", async () => {
		await using engine = await Engine.open();
		await using connection = await engine.connect();
		await expect(connection.execute('CREATE TABLE "a\0b" (i INTEGER)')).rejects.toMatchObject({
			code: "E_INVALID_VALUE",
		});
	});

	test("a closed connection says so", async () => {
		await using engine = await Engine.open();
		const connection = await engine.connect();
		await connection[Symbol.asyncDispose]();
		await connection[Symbol.asyncDispose]();
		await expect(connection.execute("SELECT 1")).rejects.toMatchObject({ code: "E_STOPPED" });
	});
});

describe("sandbox", () => {
	const secretFile = join(folder, "secret.csv");
	writeFileSync(secretFile, "a\n1\n");
	const hostile: readonly string[] = [
		`SELECT * FROM read_csv('${secretFile}')`,
		`SELECT * FROM read_text('${secretFile}')`,
		`SELECT * FROM '${secretFile}'`,
		`SELECT * FROM glob('${folder}/*')`,
		`COPY (SELECT 1) TO '${folder}/out.csv'`,
		`ATTACH '${folder}/other.duckdb'`,
		"INSTALL httpfs",
		"LOAD httpfs",
		"SELECT * FROM read_csv('http://127.0.0.1:1/x.csv')",
		"SET enable_external_access = true",
		"SET lock_configuration = false",
		"SET allowed_directories = ['/']",
		"SET memory_limit = '100GB'",
	];
	test.each(hostile)("%s is refused", async (sql) => {
		await using engine = await Engine.open();
		await using connection = await engine.connect();
		await expect(connection.execute(sql)).rejects.toBeInstanceOf(HeadraceError);
	});

	test("an allowed folder does not open its neighbours", async () => {
		await using engine = await Engine.open({ allowedDirectories: [join(folder, "allowed")] });
		await using connection = await engine.connect();
		for (const path of [secretFile, join(folder, "allowed/../secret.csv")])
			await expect(connection.execute(`FROM read_csv('${path}')`)).rejects.toMatchObject({ code: "E_PATH" });
	});

	test("times are UTC whatever the process's zone", async () => {
		await using engine = await Engine.open();
		await using connection = await engine.connect();
		expect(await connection.query("SELECT CAST(TIMESTAMPTZ '2024-01-01 00:00:00+00' AS VARCHAR) AS t")).toEqual([
			{ t: "2024-01-01 00:00:00+00" },
		]);
	});
});

describe("database files", () => {
	test("two handles of one file share one database", async () => {
		const path = newPath();
		const first = await Engine.open({ path });
		const second = await Engine.open({ path: join(folder, "..", folder.split("/").at(-1)!, path.split("/").at(-1)!) });
		await using writer = await first.connect();
		await using reader = await second.connect();
		await writer.execute("CREATE TABLE t AS SELECT 42 AS a");
		expect(await reader.query("FROM t")).toEqual([{ a: 42 }]);
		await writer[Symbol.asyncDispose]();
		await first[Symbol.asyncDispose]();
		expect(await reader.query("FROM t")).toEqual([{ a: 42 }]);
		await reader[Symbol.asyncDispose]();
		const closing = second[Symbol.asyncDispose]();
		await using third = await Engine.open({ path });
		await closing;
		await using again = await third.connect();
		expect(await again.query("FROM t")).toEqual([{ a: 42 }]);
	});

	test("a file that another process has open is E_BUSY and names the process", async () => {
		const path = newPath();
		const engineModule = join(import.meta.dirname, "../../src/engine/index.ts");
		const script = `import { Engine } from ${JSON.stringify(engineModule)};
			await Engine.open({ path: ${JSON.stringify(path)} }); console.log("open"); setTimeout(() => {}, 180_000);`;
		const holder = spawn(process.execPath, ["--input-type=module-typescript", "-e", script], {
			stdio: ["ignore", "pipe", "inherit"],
		});
		try {
			await once(holder.stdout, "data");
			await expect(Engine.open({ path })).rejects.toMatchObject({
				code: "E_BUSY",
				message: expect.stringContaining(String(holder.pid)),
			});
		} finally {
			holder.kill("SIGKILL");
			await once(holder, "exit");
		}
		await using engine = await Engine.open({ path });
		expect(engine.threads).toBeGreaterThan(0);
	});

	test("a file of something else, a missing folder, a folder, a missing file", async () => {
		const garbage = newPath();
		writeFileSync(garbage, "not a database ".repeat(1000));
		const cases = [
			[{ path: garbage }, "E_CORRUPT_FILE"],
			[{ path: join(folder, "none", "x.duckdb") }, "E_FILE_NOT_FOUND"],
			[{ path: folder }, "E_CORRUPT_FILE"],
			[{ path: newPath(), readOnly: true }, "E_FILE_NOT_FOUND"],
		] as const;
		for (const [options, code] of cases) await expect(Engine.open(options)).rejects.toMatchObject({ code });
	});
});

describe("Parquet", () => {
	test("no rows make no file; many rows make several, each of the rows that are told", async () => {
		const fields = fieldsOf("id int64, text text");
		const told: number[] = [];
		const format = new ParquetFormat();
		const write = async (rows: Cell[][], bufferBytesMax: number) =>
			format.write({
				fields,
				batches: batchesOf(fields, rows),
				nextPath: async () => newPath("parquet"),
				written: async (path, count) => {
					told.push(count);
					expect((await collect(format.read(path, fields))).length).toBe(count);
				},
				bufferBytesMax,
			});
		await write([], 1 << 20);
		expect(told).toEqual([]);
		const rows: Cell[][] = Array.from({ length: 50_000 }, (_, i) => [i, `text of row ${i}`]);
		await write(rows, 1 << 20);
		expect(told.length).toBeGreaterThan(2);
		expect(told.reduce((sum, count) => sum + count, 0)).toBe(50_000);
	});

	test("a file that is cut off is E_CORRUPT_FILE, a missing one E_FILE_NOT_FOUND", async () => {
		const fields = fieldsOf("id int64");
		const damaged = newPath("parquet");
		writeFileSync(damaged, "PAR1 and then nothing");
		const format = new ParquetFormat();
		await expect(collect(format.read(damaged, fields))).rejects.toMatchObject({ code: "E_CORRUPT_FILE" });
		const missing = newPath("parquet");
		await expect(collect(format.read(missing, fields))).rejects.toMatchObject({ code: "E_FILE_NOT_FOUND" });
	});
});
