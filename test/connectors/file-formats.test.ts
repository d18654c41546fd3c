import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AWKWARD_TEXTS, batchesOf, TYPE_SAMPLES } from "../../src/conformance/index.ts";
import { stagedFormats } from "../../src/connectors/file/index.ts";
import { type Field, type FileFormat, typeName } from "../../src/core/index.ts";
import { duckdbType, Engine, type EngineConnection } from "../../src/engine/index.ts";
import { csvFormat, jsonlFormat, valueText } from "../../src/formats/index.ts";
import { duckdbDialect } from "../../src/sql/index.ts";

let folder = "";
let engine: Engine;
let connection: EngineConnection;
beforeAll(async () => {
	folder = await mkdtemp(join(tmpdir(), "headrace-formats-"));
	engine = await Engine.open({ allowedDirectories: [folder] });
	connection = await engine.connect();
});
afterAll(async () => {
	await engine[Symbol.asyncDispose]();
	await rm(folder, { recursive: true });
});

async function write(format: FileFormat, fields: readonly Field[], rows: readonly (readonly (string | null)[])[]) {
	const paths: string[] = [];
	await format.write({
		fields,
		batches: batchesOf(fields, rows),
		nextPath: async () => join(folder, `${Math.random().toString(36).slice(2)}.${format.extension}`),
		written: async (path) => {
			paths.push(path);
		},
		bufferBytesMax: 1 << 20,
	});
	return paths[0]!;
}

async function query(sql: string) {
	const rows: (string | null)[][] = [];
	for await (const batch of (await connection.stream(sql)).batches) {
		for (let row = 0; row < batch.rowCount; row++) rows.push(batch.columns.map((column) => valueText(column, row)));
		batch.release();
	}
	return rows;
}

/** Types whose text another reader takes by itself; the others are text to it. */
const PLAIN = TYPE_SAMPLES.filter(({ type }) => !["interval", "binary", "list", "json"].includes(type.kind));
const columns: Field[] = PLAIN.map(({ type }, index) => ({
	name: `c${index} ${typeName(type)}`,
	type,
	nullable: true,
}));
const rowCount = Math.max(...PLAIN.map(({ values }) => values.length));
const rows = Array.from({ length: rowCount + 1 }, (_, row) => PLAIN.map(({ values }) => values[row] ?? null));
const spec = `{${columns.map(({ name, type }) => `${duckdbDialect.quoteLiteral(name)}: ${duckdbDialect.quoteLiteral(duckdbType(type))}`).join(", ")}}`;

describe("what another reader makes of our files", () => {
	it.each(["none", "gzip", "zstd"] as const)(
		"CSV (%s): every value of the plain types, NULL and '' apart",
		async (compression) => {
			const path = await write(csvFormat({ compression }), columns, rows);
			const options =
				"header = true, auto_detect = false, delim = ',', quote = '\"', escape = '\"', nullstr = '', allow_quoted_nulls = false";
			expect(await query(`SELECT * FROM read_csv('${path}', ${options}, columns = ${spec})`)).toEqual(rows);
		},
	);

	it("CSV with a text for NULL, for readers that don't look at quotes", async () => {
		const nullText = "\\N5f3a91c2";
		const path = await write(csvFormat({ nullText, compression: "none" }), columns, rows);
		const options = `header = true, auto_detect = false, delim = ',', quote = '"', escape = '"', nullstr = '${nullText}'`;
		expect(await query(`SELECT * FROM read_csv('${path}', ${options}, columns = ${spec})`)).toEqual(rows);
	});

	it("JSON lines: every value of the plain types", async () => {
		const path = await write(jsonlFormat(), columns, rows);
		expect(await query(`SELECT * FROM read_json('${path}', format = 'newline_delimited', columns = ${spec})`)).toEqual(
			rows,
		);
	});

	it("lists and hexadecimal bytes", async () => {
		const fields: Field[] = [
			{ name: "b", type: { kind: "binary" }, nullable: true },
			{ name: "l", type: { kind: "list", element: { kind: "text" } }, nullable: true },
		];
		const path = await write(jsonlFormat({ compression: "none" }), fields, [["00ff", '["a\\nb",null]']]);
		const sql = `SELECT unhex(b) AS b, l FROM read_json('${path}', columns = {b: 'VARCHAR', l: 'VARCHAR[]'})`;
		expect(await query(sql)).toEqual([["00ff", '["a\\nb",null]']]);
	});
});

describe("staged formats", () => {
	it("are Parquet first, then text, and each reads back what it wrote", async () => {
		const formats = await stagedFormats({ temporaryDirectory: join(folder, "tmp") });
		expect(formats.map((format) => [format.name, format.extension])).toEqual([
			["parquet", "parquet"],
			["csv", "csv.gz"],
			["jsonl", "jsonl.gz"],
		]);
		const fields: Field[] = TYPE_SAMPLES.map(({ type }, index) => ({ name: `c${index}`, type, nullable: true }));
		const samples = AWKWARD_TEXTS.map((_, row) => TYPE_SAMPLES.map(({ values }) => values[row] ?? null));
		for (const format of formats) {
			const path = await write(format, fields, samples);
			const read: (string | null)[][] = [];
			for await (const batch of format.read(path, fields)) {
				for (let row = 0; row < batch.rowCount; row++) read.push(batch.columns.map((column) => valueText(column, row)));
				batch.release();
			}
			expect(read).toEqual(samples);
		}
	});
});
