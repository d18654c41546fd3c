import { createHash } from "node:crypto";
import { readdirSync, readFileSync, realpathSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import {
	batchesOf,
	type DestinationFixture,
	type FixtureTable,
	type SourceFixture,
} from "../../src/conformance/index.ts";
import { createFileDestination, createFileSource } from "../../src/connectors/file/index.ts";
import { COMMIT_FILE, tableFolder } from "../../src/connectors/file/layout.ts";
import type { Field, FormatName, TableName } from "../../src/core/index.ts";
import { parseColumnType, qualified } from "../../src/core/index.ts";
import { duckdbType, Engine } from "../../src/engine/index.ts";
import { readCsvFile, readJsonlFile, valueText } from "../../src/formats/index.ts";
import { duckdbDialect } from "../../src/sql/index.ts";

export type TextRow = readonly (string | null)[];

/** The rows of a table's folder as any reader of Parquet sees them, by way of a glob. */
async function parquetRows(folder: string, columns: readonly Field[]): Promise<TextRow[]> {
	await using engine = await Engine.open({ allowedDirectories: [dirname(dirname(folder)), tmpdir()] });
	await using connection = await engine.connect();
	const items = columns.map((column) => {
		const name = duckdbDialect.quoteIdentifier(column.name);
		return column.type.kind === "interval" ? name : `CAST(${name} AS ${duckdbType(column.type)}) AS ${name}`;
	});
	const pattern = `${folder.replace(/[*?[]/g, "[$&]")}/*.parquet`;
	const { batches } = await connection.stream(
		`SELECT ${items.join(", ")} FROM read_parquet(${duckdbDialect.quoteLiteral(pattern)}, binary_as_string = false)`,
	);
	const rows: TextRow[] = [];
	for await (const batch of batches) {
		for (let row = 0; row < batch.rowCount; row++) rows.push(batch.columns.map((column) => valueText(column, row)));
		batch.release();
	}
	return rows;
}

/** The rows of a table's text files, by the columns that its record names. */
async function textRows(folder: string, columns: readonly Field[], format: "csv" | "jsonl"): Promise<TextRow[]> {
	const real = realpathSync(folder);
	const record = JSON.parse(readFileSync(join(dirname(real), COMMIT_FILE), "utf8")) as {
		columns: { name: string; type: string; nullable: boolean }[];
	};
	const fields = record.columns.map((column) => ({ ...column, type: parseColumnType(column.type)! }));
	const places = columns.map((column) => fields.findIndex((field) => field.name === column.name));
	const rows: TextRow[] = [];
	for (const name of readdirSync(real).sort()) {
		const read = format === "csv" ? readCsvFile : readJsonlFile;
		for await (const batch of read(join(real, name), fields)) {
			for (let row = 0; row < batch.rowCount; row++)
				rows.push(places.map((place) => valueText(batch.columns[place]!, row)));
			batch.release();
		}
	}
	return rows;
}

/** What a reader sees who lists a folder and then opens what he saw; he begins again when a file is gone meanwhile. */
export async function rowsOf(
	root: string,
	table: TableName,
	columns: readonly Field[],
	format: FormatName,
): Promise<TextRow[] | null> {
	const folder = join(root, tableFolder(table));
	for (let attempt = 1; ; attempt++) {
		try {
			readdirSync(folder);
		} catch {
			return null;
		}
		try {
			return format === "parquet" ? await parquetRows(folder, columns) : await textRows(folder, columns, format);
		} catch (error) {
			if (attempt === 20) throw error;
		}
	}
}

/** A folder of its own for each case of the destinations' suite. */
export async function fileFixture(format: FormatName): Promise<DestinationFixture> {
	const root = await mkdtemp(join(tmpdir(), "headrace-out-"));
	const open = () => createFileDestination({ path: join(root, "out"), format, temporaryDirectory: join(root, "tmp") });
	const destination = await open();
	return {
		destination,
		schema: "shop",
		reopen: open,
		rows: (table, columns) => rowsOf(join(root, "out"), table, columns, format),
		[Symbol.asyncDispose]: async () => {
			await destination[Symbol.asyncDispose]();
			await rm(root, { recursive: true, force: true });
		},
	};
}

/** A folder whose tables a destination of Parquet files makes, read by the source of files. */
export async function fileSourceFixture(): Promise<SourceFixture> {
	const root = await mkdtemp(join(tmpdir(), "headrace-in-"));
	const destination = await createFileDestination({ path: root });
	const load = async (table: FixtureTable, write: "replace" | "append") => {
		const stream = qualified(table.name);
		const row = (await destination.takeOver("fixture", [stream])).get(stream)!;
		await destination.load({
			pipeline: "fixture",
			stream,
			loadId: createHash("sha256").update(`${stream} ${row.seq}`).digest("hex").slice(0, 26),
			epoch: row.epoch,
			seq: row.seq,
			fromPosition: row.position,
			toPosition: String(row.seq),
			schemaVersion: "1",
			target: {
				name: table.name,
				columns: table.columns.map((column) => ({ ...column, destinationType: "" })),
				key: table.primaryKey,
			},
			write,
			input: { kind: "batches", fields: table.columns, batches: batchesOf(table.columns, table.rows) },
			bufferBytesMax: 16 << 20,
			allowEmpty: true,
		});
	};
	const source = await createFileSource({ path: root, temporaryDirectory: join(root, ".tmp") });
	const unsupported = () => Promise.reject(new Error("files have no transactions"));
	return {
		source,
		schema: "shop",
		createTable: (table) => load(table, "replace"),
		addColumn: unsupported,
		begin: unsupported,
		describedType: (type) => (type.kind === "interval" ? { kind: "text" } : type),
		[Symbol.asyncDispose]: async () => {
			await source[Symbol.asyncDispose]();
			await rm(root, { recursive: true, force: true });
		},
	};
}
