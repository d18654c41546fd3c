import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DestinationFixture } from "../../src/conformance/index.ts";
import { createLakeDestination, type LakeOptions } from "../../src/connectors/lake/index.ts";
import { currentPath, tableFolder } from "../../src/connectors/lake/layout.ts";
import { createLocalFolderStaging } from "../../src/connectors/local-folder/index.ts";
import type { ColumnType, Field, TableName } from "../../src/core/index.ts";
import { duckdbType, Engine } from "../../src/engine/index.ts";
import { valueText } from "../../src/formats/index.ts";
import { duckdbDialect } from "../../src/sql/index.ts";

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
	if (current === null) return null;
	await using engine = await Engine.open({ allowedDirectories: [root, tmpdir()] });
	await using connection = await engine.connect();
	const items = columns.map(({ name, type }) => `${back(type, name)} AS ${duckdbDialect.quoteIdentifier(name)}`);
	const paths = current.files.map(({ path }) => duckdbDialect.quoteLiteral(join(root, path).replace(/[*?[]/g, "[$&]")));
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

/** A folder of its own for each case of the destinations' suite. */
export async function lakeFixture(more: Partial<LakeOptions> = {}): Promise<DestinationFixture> {
	const folder = await mkdtemp(join(tmpdir(), "headrace-lake-"));
	const root = join(folder, "lake");
	const destination = openLake(root, more);
	return {
		destination,
		schema: "shop",
		reopen: async () => openLake(root, more),
		rows: (table, columns) => lakeRows(root, table, columns),
		[Symbol.asyncDispose]: async () => {
			await destination[Symbol.asyncDispose]();
			await rm(folder, { recursive: true, force: true });
		},
	};
}
