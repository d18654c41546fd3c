import { mkdir, mkdtemp, readFile, rename, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { constants, gzipSync, zstdCompressSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createFileSource } from "../../src/connectors/file/index.ts";
import {
	DEFAULT_TYPE_POLICY,
	type ReadRequest,
	type Source,
	type SourceTable,
	type TypePolicy,
	typeName,
} from "../../src/core/index.ts";
import { Engine, type EngineConnection } from "../../src/engine/index.ts";
import { valueText } from "../../src/formats/index.ts";

let folder = "";
let engine: Engine;
let duckdb: EngineConnection;
const open: Source[] = [];

beforeAll(async () => {
	engine = await Engine.open({ allowedDirectories: [tmpdir()] });
	duckdb = await engine.connect();
});
afterAll(() => engine[Symbol.asyncDispose]());
beforeEach(async () => {
	folder = await mkdtemp(join(tmpdir(), "headrace-files-"));
});
afterEach(async () => {
	for (const source of open.splice(0)) await source[Symbol.asyncDispose]();
	await rm(folder, { recursive: true, force: true });
});

async function put(name: string, content: string | Uint8Array): Promise<string> {
	const path = join(folder, name);
	await mkdir(dirname(path), { recursive: true });
	await writeFile(path, content);
	return path;
}

async function parquet(name: string, sql: string): Promise<string> {
	const path = await put(name, "");
	await duckdb.execute(`COPY (${sql}) TO '${path}' (FORMAT parquet)`);
	return path;
}

async function sourceOf(path: string, format?: "csv" | "jsonl" | "parquet"): Promise<Source> {
	const source = await createFileSource({
		path,
		...(format === undefined ? {} : { format }),
		temporaryDirectory: join(folder, ".tmp"),
	});
	open.push(source);
	return source;
}

async function describeTable(
	source: Source,
	name?: string,
	types: TypePolicy = DEFAULT_TYPE_POLICY,
): Promise<SourceTable> {
	const names = await source.listTables();
	const table = name === undefined ? names[0]! : { schema: "", name };
	return (await source.describe([{ table, types }]))[0]!;
}

async function rowsOf(source: Source, table: SourceTable, request: Partial<ReadRequest> = {}) {
	await using snapshot = await source.snapshot({ readers: 1 });
	const rows: (string | null)[][] = [];
	const changed: Record<string, number> = {};
	for await (const batch of snapshot.read({ table, columns: table.columns, types: DEFAULT_TYPE_POLICY, ...request })) {
		for (let row = 0; row < batch.rowCount; row++) rows.push(batch.columns.map((column) => valueText(column, row)));
		for (const column of batch.columns)
			if (column.changedCount > 0) changed[column.name] = (changed[column.name] ?? 0) + column.changedCount;
		batch.release();
	}
	return { rows, changed };
}

const types = (table: SourceTable) =>
	Object.fromEntries(table.columns.map((column) => [column.name, typeName(column.type)]));

/** Without zeros that say nothing. */
const plainNumber = (text: string) => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);

/** Describes and reads the one table of a path. */
async function readAll(path: string, policy: TypePolicy = DEFAULT_TYPE_POLICY) {
	const source = await sourceOf(path);
	const table = await describeTable(source, undefined, policy);
	return { table, types: types(table), ...(await rowsOf(source, table, { types: policy })) };
}

describe("which file is which table", () => {
	it("takes a file, a folder and a pattern", async () => {
		await put("data/orders.csv", "a\n1\n");
		await put("data/people.jsonl.gz", gzipSync('{"a":1}\n'));
		await put("data/events/2024/01.csv", "a\n1\n");
		await put("data/events/2024/02.csv", "a\n2\n");
		await put("data/.hidden.csv", "a\n1\n");
		await put("data/_SUCCESS", "");
		await put("data/readme.md", "");
		const names = async (path: string) =>
			(await (await sourceOf(join(folder, path))).listTables()).map(({ name }) => name);
		expect(await names("data")).toEqual(["events", "orders", "people"]);
		expect(await names("data/orders.csv")).toEqual(["orders"]);
		expect(await names("data/events/**/*.csv")).toEqual(["events"]);
		expect(await names("data/*.csv")).toEqual(["data"]);
		expect(await names("data/events/2024/0[2-9].csv")).toEqual(["2024"]);
		const source = await sourceOf(join(folder, "data"));
		expect((await rowsOf(source, await describeTable(source, "events"))).rows).toEqual([["1"], ["2"]]);
		expect(await source.check()).toMatchObject([
			{ severity: "ok" },
			{ severity: "warning", message: expect.stringContaining("readme.md") },
		]);
	});

	it("refuses what is not there, two files of one table, mixed formats, and unknown formats", async () => {
		await expect(sourceOf(join(folder, "none.csv"))).rejects.toMatchObject({ code: "E_FILE_NOT_FOUND" });
		await expect(sourceOf(join(folder, "*.csv"))).rejects.toMatchObject({ code: "E_FILE_NOT_FOUND" });
		await put("two/a.csv", "a\n");
		await put("two/a.jsonl", "{}");
		await expect(sourceOf(join(folder, "two"))).rejects.toMatchObject({ code: "E_NAME_COLLISION" });
		await put("mixed/t/a.csv", "a\n");
		await put("mixed/t/b.jsonl", "{}");
		await expect(sourceOf(join(folder, "mixed"))).rejects.toMatchObject({ code: "E_UNSUPPORTED" });
		await expect(sourceOf(await put("x.dat", "a"))).rejects.toMatchObject({ code: "E_UNSUPPORTED" });
		const source = await sourceOf(await put("y.dat", "a,b\n1,2\n"), "csv");
		expect((await rowsOf(source, await describeTable(source, "y"))).rows).toEqual([["1", "2"]]);
		await expect(
			source.describe([{ table: { schema: "", name: "z" }, types: DEFAULT_TYPE_POLICY }]),
		).rejects.toMatchObject({
			code: "E_UNKNOWN_TABLE",
		});
	});

	it("follows symbolic links inside the folder, and refuses those that leave it", async () => {
		await put("data/real/a.csv", "a\n1\n");
		await symlink(join(folder, "data/real"), join(folder, "data/link"));
		await symlink(join(folder, "data/real"), join(folder, "data/real/loop"));
		expect((await readAll(join(folder, "data/link"))).rows).toEqual([["1"]]);
		for (const target of ["/etc/passwd", "/etc", "..", "../other"]) {
			await mkdir(join(folder, "other"), { recursive: true });
			await symlink(target, join(folder, "data/bad.csv"));
			await expect(sourceOf(join(folder, "data"))).rejects.toMatchObject({ code: "E_PATH" });
			await rm(join(folder, "data/bad.csv"));
		}
	});

	it("reads names that are patterns, quotes and backslashes to others", async () => {
		for (const name of ["a[1]*?.csv", 'it\'s "q".csv', "b\\c.csv", "ä 😀.csv"]) {
			expect((await readAll(await put(`odd/${name}`, "a\n1\n"))).rows).toEqual([["1"]]);
			await rm(join(folder, "odd", name));
		}
		for (const name of ["a[1]*?.parquet", 'it\'s "q".parquet']) {
			await put("odd/a1x.parquet", "not parquet");
			const plain = await parquet("plain.parquet", "SELECT 1 AS a");
			await rename(plain, join(folder, "odd", name));
			expect((await readAll(join(folder, "odd", name))).rows).toEqual([["1"]]);
		}
	});
});

describe("types of CSV", () => {
	it("finds the type that loses nothing, from the whole file", async () => {
		const rows = Array.from({ length: 30_000 }, (_, index) => `${index},${index}.5,x,2024-01-01,${index}`);
		const late = "30000,0.125,007,2024-01-02,later";
		const { types, rows: read } = await readAll(await put("t.csv", `id,n,t,d,l\n${rows.join("\n")}\n${late}\n`));
		expect(types).toEqual({ id: "int64", n: "decimal(18,4)", t: "text", d: "date", l: "text" });
		expect(read.at(-1)).toEqual(["30000", "0.1250", "007", "2024-01-02", "later"]);
		expect(read).toHaveLength(30_001);
	});

	it.each([
		["007", "text"],
		["+5", "text"],
		["-0", "text"],
		["5.", "text"],
		[".5", "text"],
		[" 5", "text"],
		["1,5", "text"],
		["12345678901234567890", "decimal(38,0)"],
		["9223372036854775807", "int64"],
		["9223372036854775808", "decimal(38,0)"],
		["1".repeat(39), "text"],
		["1.10", "decimal(18,2)"],
		["0.1234567890123456789", "decimal(38,19)"],
		["1e5", "float64"],
		["1.2345678901234568e-05", "float64"],
		["1.2345678901234567e-05", "text"],
		["1e400", "text"],
		["NaN", "text"],
		["True", "boolean"],
		["t", "text"],
		["2024-02-30", "text"],
		["01/02/2024", "text"],
		["2024-02-29", "date"],
		["2024-02-29T12:00:00", "timestamp"],
		["2024-02-29 12:00:00.1234567", "text"],
		["2024-02-29 12:00:00+05:30", "timestamptz"],
		["2024-02-29T12:00:00Z", "timestamptz"],
		["12:00:00.5", "time"],
		["24:00:00", "text"],
		["\\N", "text"],
	])("%s is %s, and reads back", async (value, type) => {
		const path = await put("t.csv", `k;v\nx;${value}\n`);
		const { types, rows } = await readAll(path);
		expect(types["v"]).toBe(type);
		const text = rows[0]![1]!;
		if (type === "text") expect(text).toBe(value);
		else if (type === "timestamptz")
			expect(text).toBe(value.endsWith("Z") ? "2024-02-29 12:00:00+00" : "2024-02-29 06:30:00+00");
		else if (type.startsWith("decimal")) expect(plainNumber(text)).toBe(plainNumber(value));
		else if (type === "float64") expect(Number(text)).toBe(Number(value));
		else expect(text).toBe(value.toLowerCase().replace("t1", " 1"));
	});

	it("makes a column text when its values are of several kinds", async () => {
		const { types } = await readAll(
			await put("t.csv", "a,b,c,d\n1,2024-01-01,true,1e3\nx,2024-01-01 10:00:00,1,12345678901234567890\n"),
		);
		expect(types).toEqual({ a: "text", b: "text", c: "text", d: "text" });
	});

	it("keeps NULL and the empty text apart", async () => {
		const { types, rows } = await readAll(await put("t.csv", 'n,t\n1,""\n"",\n,"x"\n'));
		expect(types).toEqual({ n: "int64", t: "text" });
		expect(rows).toEqual([
			["1", ""],
			[null, null],
			[null, "x"],
		]);
	});

	it("obeys string, lenient and fixed types", async () => {
		const path = await put("t.csv", "a,b,c,d\n1,1.50,true,2024-01-01T00:00:00+02\n");
		expect((await readAll(path, { ...DEFAULT_TYPE_POLICY, mode: "string" })).rows).toEqual([
			["1", "1.50", "true", "2024-01-01T00:00:00+02"],
		]);
		const lenient = await readAll(path, { ...DEFAULT_TYPE_POLICY, mode: "lenient" });
		expect(lenient.types).toEqual({ a: "int64", b: "float64", c: "int64", d: "timestamp" });
		expect(lenient.rows).toEqual([["1", "1.5", "1", "2023-12-31 22:00:00"]]);
		expect(lenient.table.columns[1]).toMatchObject({ fidelity: "lossy" });
		const fixed = { ...DEFAULT_TYPE_POLICY, overrides: { a: { kind: "text" }, b: { kind: "int64" } } } as const;
		await expect(readAll(path, fixed)).rejects.toMatchObject({ code: "E_VALUE", place: { file: path, line: 2 } });
	});
});

describe("CSV as it comes", () => {
	it.each([
		["semicolons", "a;b\n1;x,y\n"],
		["tabs", "a\tb\n1\tx,y\n"],
		["bars", "a|b\n1|x,y\n"],
		["CRLF", 'a,b\r\n1,"x,y"\r\n'],
		["CR", 'a,b\r1,"x,y"\r'],
		["a byte order mark", '\ufeffa,b\n1,"x,y"\n'],
		["no last line end", 'a,b\n1,"x,y"'],
		["blank lines", 'a,b\n\n1,"x,y"\n\n'],
	])("reads %s", async (_name, content) => {
		const { types, rows } = await readAll(await put("t.csv", content));
		expect(types).toEqual({ a: "int64", b: "text" });
		expect(rows).toEqual([["1", "x,y"]]);
	});

	it("reads what breaks others", async () => {
		const texts = ['"', "\n", "\r", "\r\n", "\u2028", ",", "", " a ", "\\", "\\N", "NULL", '=cmd("x")', "a\0b", "😀"];
		const lines = texts.map((text, index) => `${index},"${text.replaceAll('"', '""')}"`);
		const { rows } = await readAll(await put("t.csv", `id,t\n${lines.join("\n")}\n`));
		expect(rows.map((row) => row[1])).toEqual(texts);
	});

	it("reads .gz and .zst, of several members too", async () => {
		const gz = Buffer.concat([gzipSync("a\n1\n"), gzipSync("2\n")]);
		expect((await readAll(await put("g.csv.gz", gz))).rows).toEqual([["1"], ["2"]]);
		expect((await readAll(await put("z.csv.zst", zstdCompressSync("a\n1\n")))).rows).toEqual([["1"]]);
	});

	it("gives names to columns without one, and different ones to equal ones", async () => {
		const { table } = await readAll(await put("t.csv", "a,,A,a\n1,2,3,x\n"));
		expect(table.columns.map((column) => column.name)).toEqual(["a", "column1", "A_1", "a_2"]);
		expect(table.warnings).toHaveLength(2);
		const none = await readAll(await put("u.csv", "1,x\n2,y\n"));
		expect(none.table.columns.map((column) => column.name)).toEqual(["column0", "column1"]);
		expect(none.rows).toHaveLength(2);
	});

	it("unites files by name: what a file lacks is NULL, with a warning", async () => {
		await put("t/1.csv", "a,b\n1,2\n");
		await put("t/2.csv", "c,a\nx,3\n");
		const { table, types, rows } = await readAll(join(folder, "t/*.csv"));
		expect(types).toEqual({ a: "int64", b: "int64", c: "text" });
		expect(rows).toEqual([
			["1", "2", null],
			["3", null, "x"],
		]);
		expect(table.warnings).toEqual(["1.csv lacks c: NULL there", "2.csv lacks b: NULL there"]);
		expect(table.estimatedRows).toBe(2);
	});

	it("reads an empty file and a header alone", async () => {
		expect((await readAll(await put("e.csv", ""))).rows).toEqual([]);
		const { types, rows } = await readAll(await put("h.csv", "a,b\n"));
		expect([types, rows]).toEqual([{ a: "text", b: "text" }, []]);
	});

	it("replaces text that is not UTF-8 when the policy says so, and counts it", async () => {
		const path = await put("t.csv", Buffer.from("a,b\n1,ok\n2,caf\xe9\n", "latin1"));
		await expect(readAll(path)).rejects.toMatchObject({ code: "E_ENCODING", place: { file: path, line: 3 } });
		const { rows, changed } = await readAll(path, { ...DEFAULT_TYPE_POLICY, invalidText: "replace" });
		expect(rows).toEqual([
			["1", "ok"],
			["2", "caf\ufffd"],
		]);
		expect(changed).toEqual({ b: 1 });
	});
});

describe("JSON lines", () => {
	it("keeps all digits of numbers, and nested values as they stand", async () => {
		const path = await put(
			"t.jsonl",
			[
				'{"i": 9007199254740993, "d": 1.10, "x": 0.12345678901234567890, "s": "007", "b": true, "n": null, "o": {"k": 1.10 , "z": [1]}}',
				'{"d": 12345678901234567890.5, "s": "\\u00e9\\ud83d\\ude00\\n", "o": [1, "2"], "when": "2024-01-01T00:00:00Z", "i": -1}',
				"",
			].join("\r\n"),
		);
		const { types, rows } = await readAll(path);
		expect(types).toEqual({
			i: "int64",
			d: "decimal(38,2)",
			x: "decimal(38,20)",
			s: "text",
			b: "boolean",
			n: "text",
			o: "json",
			when: "timestamptz",
		});
		expect(rows).toEqual([
			["9007199254740993", "1.10", "0.12345678901234567890", "007", "true", null, '{"k": 1.10 , "z": [1]}', null],
			["-1", "12345678901234567890.50", null, "é😀\n", null, null, '[1, "2"]', "2024-01-01 00:00:00+00"],
		]);
	});

	it("reads arrays of one kind as lists", async () => {
		const { types, rows } = await readAll(
			await put("t.jsonl", '{"t":["a", null],"i":[1, -2,null],"m":[1,"a"],"e":[],"f":[1.5]}\n{"t":[],"i":[]}\n'),
		);
		expect(types).toEqual({ t: "text[]", i: "int64[]", m: "json", e: "text[]", f: "json" });
		expect(rows[0]).toEqual(['["a",null]', '["1","-2",null]', '[1,"a"]', "[]", "[1.5]"]);
	});

	it('keeps 1 and "1" apart', async () => {
		const { types, rows } = await readAll(await put("t.ndjson", '{"a":1}\n{"a":"1"}\n'));
		expect(types).toEqual({ a: "json" });
		expect(rows).toEqual([["1"], ['"1"']]);
	});

	it.each([
		["[1]", 1],
		['{"a":1}\n{"a":01}', 2],
		['{"a":1}\n{"a":1', 2],
		['{"a":1}\n{"a" 1}', 2],
		['{"a":1}\n{"a":1}x', 2],
		['{"a":tru}', 1],
		['{"a":{"b":}}', 1],
		['{"a":"x\ty"}', 1],
	])("refuses %j with file and line", async (content, line) => {
		const path = await put("t.jsonl", content);
		await expect(readAll(path)).rejects.toMatchObject({ code: "E_CORRUPT_FILE", place: { file: path, line } });
	});

	it("never puts half a surrogate pair into text", async () => {
		const path = await put("t.jsonl", '{"a":"x\\ud800"}\n');
		await expect(readAll(path)).rejects.toMatchObject({ code: "E_ENCODING", place: { file: path, line: 1 } });
	});
});

describe("Parquet", () => {
	it("reads every type; nested ones as JSON, one-dimensional lists as lists", async () => {
		const path = await parquet(
			"t.parquet",
			`SELECT 18446744073709551615::UBIGINT AS u,
			99999999999999999999.123456::DECIMAL(38,6) AS d, 'infinity'::TIMESTAMP AS t, '2024-01-01 00:00:00.123456789'::TIMESTAMP_NS AS ns,
			'\\xFF\\x00'::BLOB AS b, {'a': 1, 'b': [1.5]} AS s, [1, NULL, 3] AS l, MAP {'k': 1} AS m, [[1]] AS ll, uuid '00000000-0000-0000-0000-000000000001' AS id,
			'24:00:00'::TIME AS tm, '0044-03-15 (BC)'::DATE AS bc, '-infinity'::DATE AS inf`,
		);
		const { table, rows } = await readAll(path);
		expect(types(table)).toMatchObject({
			u: "uint64",
			d: "decimal(38,6)",
			t: "timestamp",
			ns: "text",
			b: "binary",
			s: "json",
			l: "int32[]",
			m: "json",
			ll: "json",
			id: "uuid",
			tm: "time",
			bc: "date",
		});
		const row = Object.fromEntries(table.columns.map((column, index) => [column.name, rows[0]![index]]));
		expect(row).toMatchObject({
			u: "18446744073709551615",
			d: "99999999999999999999.123456",
			t: "infinity",
			ns: "2024-01-01 00:00:00.123456789",
			b: "ff00",
			s: '{"a":1,"b":[1.5]}',
			l: '["1",null,"3"]',
			m: '{"k":1}',
			ll: "[[1]]",
			id: "00000000-0000-0000-0000-000000000001",
			tm: "24:00:00",
			bc: "0044-03-15 BC",
			inf: "-infinity",
		});
		expect(table.columns.find((column) => column.name === "s")!.nativeType).toContain("STRUCT");
	});

	it("unites files: wider integers and decimals hold both, other differences are refused by name", async () => {
		await parquet("t/1.parquet", "SELECT 1::TINYINT AS a, 1.5::DECIMAL(3,1) AS b, 1 AS only");
		await parquet("t/2.parquet", "SELECT 1.25::DECIMAL(10,2) AS b, 300::INTEGER AS a");
		const { types, rows } = await readAll(join(folder, "t/*.parquet"));
		expect(types).toEqual({ a: "int32", b: "decimal(10,2)", only: "int32" });
		expect(rows).toEqual([
			["1", "1.50", "1"],
			["300", "1.25", null],
		]);
		const bad = await parquet("t/3.parquet", "SELECT 'x' AS a");
		await expect(readAll(join(folder, "t/*.parquet"))).rejects.toMatchObject({
			code: "E_SCHEMA",
			message: expect.stringMatching(/column a .*3\.parquet/),
		});
		await rm(bad);
	});

	it.each([
		["other bytes", (_bytes: Buffer) => Buffer.from("PK\x03\x04 not parquet at all")],
		["no bytes", (_bytes: Buffer) => Buffer.alloc(0)],
		["a lost footer", (bytes: Buffer) => bytes.subarray(0, bytes.length - 40)],
		["half", (bytes: Buffer) => bytes.subarray(0, bytes.length >> 1)],
		[
			"a wrong footer length",
			(bytes: Buffer) => Buffer.concat([bytes.subarray(0, -8), Buffer.from([255, 255, 255, 127]), bytes.subarray(-4)]),
		],
		["a broken footer", (bytes: Buffer) => Buffer.from(bytes).fill(0xee, bytes.length - 60, bytes.length - 8)],
		["a broken page", (bytes: Buffer) => Buffer.from(bytes).fill(0xee, 10, bytes.length >> 1)],
	])("names a file with %s", async (_name, damage) => {
		const path = await parquet("t.parquet", "SELECT range AS a, md5(range::VARCHAR) AS b FROM range(20000)");
		await writeFile(path, damage(await readFile(path)));
		await expect(readAll(path)).rejects.toMatchObject({ code: "E_CORRUPT_FILE", place: { file: path } });
	});
});

describe("hostile files", () => {
	it.each([
		["a row too short", "a,b\n1,2\n3\n", 3],
		["a row too long", "a,b\n1,2\n3,4,5\n", 3],
		["a quote that is never closed", 'a,b\n1,2\n3,"x\n4,5\n', 3],
		["text behind a quote", 'a,b\n1,"x"y\n', 2],
		["a row too short after quoted line ends", 'a,b\n1,"x\ny"\n3\n', 4],
	])("names file and line of %s", async (_name, content, line) => {
		const path = await put("t.csv", content);
		await expect(readAll(path)).rejects.toMatchObject({ code: "E_CORRUPT_FILE", place: { file: path, line } });
	});

	it("finds compressed data that is cut short, which a reader could take for the end", async () => {
		const text = `a,b\n${Array.from({ length: 50_000 }, (_, index) => `${index},${index * 7919}`).join("\n")}\n`;
		for (const [name, bytes] of [
			["t.csv.gz", gzipSync(text)],
			["u.csv.zst", zstdCompressSync(text, { params: { [constants.ZSTD_c_checksumFlag]: 1 } })],
		] as const)
			for (const cut of [bytes.length - 3, bytes.length >> 1]) {
				const path = await put(name, bytes.subarray(0, cut));
				await expect(readAll(path)).rejects.toMatchObject({ code: "E_CORRUPT_FILE", place: { file: path } });
			}
		const path = await put("v.csv.gz", "not gzip");
		await expect(readAll(path)).rejects.toMatchObject({ code: "E_CORRUPT_FILE", place: { file: path } });
	});

	it("stops a bomb", async () => {
		const line = Buffer.alloc(1 << 20, `a,${"b".repeat(4093)}\n`);
		const frame = zstdCompressSync(Buffer.concat(Array.from({ length: 64 }, () => line)));
		const path = await put("t.csv.zst", Buffer.concat(Array.from({ length: 20 }, () => frame)));
		await expect(readAll(path)).rejects.toMatchObject({ code: "E_BOMB", place: { file: path } });
	}, 300_000);

	it("stops at a record that never ends", async () => {
		const piece = Buffer.alloc(1 << 24, "x");
		const path = await put(
			"t.csv",
			Buffer.concat([Buffer.from('a,b\n1,"'), ...Array.from({ length: 9 }, () => piece)]),
		);
		await expect(readAll(path)).rejects.toMatchObject({ code: "E_TOO_LARGE", place: { file: path, line: 2 } });
		const lines = await put(
			"t.jsonl",
			Buffer.concat([Buffer.from('{"a":"'), ...Array.from({ length: 9 }, () => piece)]),
		);
		await expect(readAll(lines)).rejects.toMatchObject({ code: "E_TOO_LARGE", place: { file: lines, line: 1 } });
	}, 300_000);

	it("says what UTF-16 is", async () => {
		const path = await put("t.csv", Buffer.from("\ufeffa,b\n1,2\n", "utf16le"));
		await expect(readAll(path)).rejects.toMatchObject({ code: "E_ENCODING" });
	});
});

describe("reads", () => {
	it("takes columns, a window and an expert's condition, of text and Parquet alike", async () => {
		const csv = await put(
			"t.csv",
			"id,when,x\n1,2024-01-01 00:00:00,a\n2,2024-01-02 00:00:00,b\n3,2024-01-03 00:00:00,c\n4,,d\n",
		);
		const file = await parquet(
			"u.parquet",
			`SELECT * FROM (VALUES (1, '2024-01-01'::TIMESTAMP, 'a'), (2, '2024-01-02', 'b'), (3, '2024-01-03', 'c'), (4, NULL, 'd')) t(id, "when", x)`,
		);
		for (const path of [csv, file]) {
			const source = await sourceOf(path);
			const table = await describeTable(source);
			const columns = [table.columns[2]!, table.columns[0]!];
			const read = async (request: Partial<ReadRequest>) =>
				(await rowsOf(source, table, { columns, ...request })).rows.map((row) => row.join(""));
			expect(await read({})).toEqual(["a1", "b2", "c3", "d4"]);
			expect(await read({ window: { column: "when", from: "2024-01-02 00:00:00" } })).toEqual(["b2", "c3"]);
			expect(
				await read({ window: { column: "when", from: "2024-01-01 00:00:00", to: "2024-01-03 00:00:00" } }),
			).toEqual(["a1", "b2"]);
			expect(await read({ window: { column: "when", to: "2024-01-02 00:00:00", toIncluded: true } })).toEqual([
				"a1",
				"b2",
			]);
			expect(await read({ where: "x IN ('a', 'd') -- comment" })).toEqual(["a1", "d4"]);
			await using snapshot = await source.snapshot({ readers: 1 });
			expect(await snapshot.cursorMax(table, "when")).toEqual({ max: "2024-01-03 00:00:00", nulls: 1 });
			expect(await snapshot.cursorMax(table, "id")).toEqual({ max: "4", nulls: 0 });
		}
	});

	it("reads only the files that are asked for, by stamps that change with the content", async () => {
		await put("t/1.csv", "a\n1\n");
		await put("t/2.csv", "a\n2\n");
		const source = await sourceOf(join(folder, "t/*.csv"));
		const stamps = async () => {
			await using snapshot = await source.snapshot({ readers: 1 });
			return new Map((await snapshot.fileStamps!(await describeTable(source))).map(({ name, stamp }) => [name, stamp]));
		};
		const before = await stamps();
		expect([...before.keys()]).toEqual(["1.csv", "2.csv"]);
		expect((await rowsOf(source, await describeTable(source), { files: ["2.csv"] })).rows).toEqual([["2"]]);
		await utimes(join(folder, "t/1.csv"), new Date(0), new Date(0));
		await put("t/2.csv", "a\n3\n");
		await put("t/3.csv", "a\n4\n");
		const after = await stamps();
		expect(after.get("1.csv")).toBe(before.get("1.csv"));
		expect(after.get("2.csv")).not.toBe(before.get("2.csv"));
		expect((await rowsOf(source, await describeTable(source), { files: ["2.csv", "3.csv"] })).rows).toEqual([
			["3"],
			["4"],
		]);
		await expect(rowsOf(source, await describeTable(source), { files: ["9.csv"] })).rejects.toMatchObject({
			code: "E_CONFLICT",
		});
	});

	it("stops when a file changes behind its back", async () => {
		const path = await put("t.csv", `a\n${"1\n".repeat(400_000)}`);
		const source = await sourceOf(path);
		const table = await describeTable(source);
		const read = async () => {
			await using snapshot = await source.snapshot({ readers: 1 });
			let first = true;
			for await (const batch of snapshot.read({ table, columns: table.columns, types: DEFAULT_TYPE_POLICY })) {
				batch.release();
				if (first) await writeFile(path, `a\n${"2\n".repeat(400_000)}`);
				first = false;
			}
		};
		await expect(read()).rejects.toMatchObject({ code: "E_CONFLICT" });
		await writeFile(path, "a\n007\n");
		await expect(rowsOf(source, table)).rejects.toMatchObject({ code: "E_CONFLICT" });
	});

	it("splits by files, and all chunks together are the table", async () => {
		for (let file = 0; file < 5; file++) await put(`t/${file}.csv`, `a\n${`${file}\n`.repeat(10)}`);
		const source = await sourceOf(join(folder, "t/*.csv"));
		const table = await describeTable(source);
		await using snapshot = await source.snapshot({ readers: 2 });
		const chunks = await snapshot.split(table, { rows: 20 });
		expect(chunks).toHaveLength(3);
		const rows: string[] = [];
		for (const chunk of chunks) rows.push(...(await rowsOf(source, table, { chunk })).rows.map((row) => row[0]!));
		expect(rows.sort()).toEqual((await rowsOf(source, table)).rows.map((row) => row[0]!).sort());
	});

	it("ends when it is told to", async () => {
		const source = await sourceOf(await put("t.csv", `a\n${"1\n".repeat(300_000)}`));
		const table = await describeTable(source);
		const controller = new AbortController();
		await using snapshot = await source.snapshot({ readers: 1, signal: controller.signal });
		const read = async () => {
			for await (const batch of snapshot.read({ table, columns: table.columns, types: DEFAULT_TYPE_POLICY })) {
				batch.release();
				controller.abort();
			}
		};
		await expect(read()).rejects.toMatchObject({ code: "E_STOPPED" });
	});
});
