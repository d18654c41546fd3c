import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DestinationFixture } from "../../src/conformance/index.ts";
import { createLakeDestination, type LakeOptions } from "../../src/connectors/lake/index.ts";
import { currentPath, tableFolder } from "../../src/connectors/lake/layout.ts";
import { LakeTable } from "../../src/connectors/lake/table.ts";
import { createLocalFolderStaging } from "../../src/connectors/local-folder/index.ts";
import type { ColumnType, Field, TableName } from "../../src/core/index.ts";
import { duckdbType, Engine } from "../../src/engine/index.ts";
import { valueText } from "../../src/formats/index.ts";
import { duckdbDialect } from "../../src/sql/index.ts";
import type { S3StandIn } from "../stand-ins/s3/index.ts";

export type TextRow = readonly (string | null)[];

/** What `_headrace/current/<table>.json` says. */
export interface CurrentFile {
	readonly version: number;
	readonly rows: number;
	readonly columns: readonly { readonly name: string; readonly hive_type: string }[];
	readonly files: readonly {
		readonly path: string;
		readonly rows: number;
		readonly partition: readonly (string | null)[];
	}[];
}

export function currentOf(root: string, table: TableName): CurrentFile | null {
	try {
		return JSON.parse(readFileSync(join(root, currentPath(tableFolder(table))), "utf8")) as CurrentFile;
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
		throw error;
	}
}

/** A stored value as its own type again: what a reader of the lake does who knows what it was. */
function back(type: ColumnType, name: string): string {
	const column = duckdbDialect.quoteIdentifier(name);
	if (type.kind === "time") return `CAST(TIME '00:00:00' + to_microseconds(${column}) AS TIME)`;
	if (type.kind === "interval") return column;
	return `CAST(${column} AS ${duckdbType(type)})`;
}

/** The rows of the files that the list names, as DuckDB reads them. */
export async function lakeRows(root: string, table: TableName, columns: readonly Field[]): Promise<TextRow[] | null> {
	const current = currentOf(root, table);
	return current === null
		? null
		: rowsOfFiles(
				current.files.map(({ path }) => join(root, path)),
				columns,
			);
}

/** The same of a lake in the stand-in of S3: copies of its objects are read. */
export async function s3Rows(
	s3: S3StandIn,
	prefix: string,
	table: TableName,
	columns: readonly Field[],
): Promise<TextRow[] | null> {
	const content = await s3.get("lake", prefix + currentPath(tableFolder(table)));
	if (content === null) return null;
	const { files } = JSON.parse(content.toString("utf8")) as CurrentFile;
	return rowsOfObjects(
		s3,
		files.map(({ path }) => prefix + path),
		columns,
	);
}

/** Rows of Parquet objects. @throws when one of them is not there */
export async function rowsOfObjects(
	s3: S3StandIn,
	keys: readonly string[],
	columns: readonly Field[],
): Promise<TextRow[]> {
	const folder = await mkdtemp(join(tmpdir(), "headrace-objects-"));
	try {
		const paths: string[] = [];
		for (const [index, key] of keys.entries()) {
			const object = await s3.get("lake", key);
			if (object === null) throw new Error(`there is no object ${key}`);
			paths.push(join(folder, `${index}.parquet`));
			await writeFile(paths.at(-1)!, object);
		}
		return await rowsOfFiles(paths, columns);
	} finally {
		await rm(folder, { recursive: true, force: true });
	}
}

export async function rowsOfFiles(localPaths: readonly string[], columns: readonly Field[]): Promise<TextRow[]> {
	await using engine = await Engine.open({ allowedDirectories: [tmpdir()] });
	await using connection = await engine.connect();
	const items = columns.map(({ name, type }) => `${back(type, name)} AS ${duckdbDialect.quoteIdentifier(name)}`);
	const paths = localPaths.map((path) => duckdbDialect.quoteLiteral(path.replace(/[*?[]/g, "[$&]")));
	const { batches } = await connection.stream(
		`SELECT ${items.join(", ")} FROM read_parquet([${paths.join(", ")}], union_by_name = true, hive_partitioning = false, binary_as_string = false)`,
	);
	const rows: TextRow[] = [];
	for await (const batch of batches) {
		for (let row = 0; row < batch.rowCount; row++) rows.push(batch.columns.map((column) => valueText(column, row)));
		batch.release();
	}
	return rows;
}

/** A lake in a folder. */
export function openLake(root: string, more: Partial<LakeOptions> = {}) {
	return createLakeDestination({
		store: createLocalFolderStaging(root, { shared: true }),
		localDirectories: [root],
		temporaryDirectory: join(root, "..", "tmp"),
		...more,
	});
}

/** The rows of a table as its commits have it: of all tables that a transaction changed, or of none. */
export async function committedRows(
	root: string,
	name: TableName,
	columns: readonly Field[],
): Promise<TextRow[] | null> {
	const table = new LakeTable(createLocalFolderStaging(root, { shared: true }), name, {
		retentionMs: 0,
		transactionWaitMs: 0,
	});
	const state = await table.head();
	if (state === null || state.form === null) return null;
	return rowsOfFiles(
		state.files.map(({ path }) => join(root, path)),
		columns,
	);
}

/** A folder of its own for each case of the destinations' suite. */
export async function lakeFixture(more: Partial<LakeOptions> = {}): Promise<DestinationFixture> {
	const folder = await mkdtemp(join(tmpdir(), "headrace-lake-"));
	const root = join(folder, "lake");
	const destination = openLake(root, more);
	return {
		destination,
		schema: "shop",
		reopen: async () => openLake(root, more),
		rows: (table, columns) => committedRows(root, table, columns),
		[Symbol.asyncDispose]: async () => {
			await destination[Symbol.asyncDispose]();
			await rm(folder, { recursive: true, force: true });
		},
	};
}
