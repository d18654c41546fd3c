import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DestinationFixture } from "../../src/conformance/index.ts";
import { stagedFormats } from "../../src/connectors/file/index.ts";
import { createLocalFolderStaging } from "../../src/connectors/local-folder/index.ts";
import { createSnowflakeDestination, type SnowflakeOptions } from "../../src/connectors/snowflake/index.ts";
import { foldName } from "../../src/connectors/snowflake/names.ts";
import {
	type Destination,
	type Field,
	type FormatName,
	type LoadRequest,
	type LoadResult,
	type ManifestFile,
	ROW_NUMBER_COLUMN,
	Secret,
	type TableName,
} from "../../src/core/index.ts";
import { duckdbType } from "../../src/engine/index.ts";
import { withRowNumbers } from "../../src/flow/row-numbers.ts";
import { valueText } from "../../src/formats/index.ts";
import { encodeName, type SnowflakeStandIn, startSnowflakeStandIn } from "../stand-ins/snowflake/index.ts";

export function optionsOf(standIn: SnowflakeStandIn, more: Partial<SnowflakeOptions> = {}): SnowflakeOptions {
	return {
		account: standIn.account,
		user: standIn.user,
		password: new Secret(standIn.password),
		role: standIn.role,
		warehouse: standIn.warehouse,
		database: standIn.database,
		endpoint: standIn.endpoint,
		...more,
	};
}

/** A destination of staged files that takes batches too, by staging them as a run does. */
export function staging(destination: Destination, folder: string, formatName: FormatName = "parquet"): Destination {
	let loads = 0;
	return new Proxy(destination, {
		get(target, property) {
			if (property === "load")
				return async (request: LoadRequest): Promise<LoadResult> =>
					destination.load(await staged(destination, request, join(folder, `load-${++loads}`), formatName));
			const value = Reflect.get(target, property, target) as unknown;
			return typeof value === "function" ? value.bind(target) : value;
		},
	});
}

/** The request with its rows in sealed files of a folder. */
export async function staged(
	destination: Destination,
	request: LoadRequest,
	folder: string,
	formatName: FormatName,
): Promise<LoadRequest> {
	const { input } = request;
	if (input.kind === "files" && input.remote !== undefined) return request;
	const store = await createLocalFolderStaging(folder);
	const format = (await stagedFormats({ memoryBytes: 128 << 20 })).find(({ name }) => name === formatName)!;
	const files: ManifestFile[] = [];
	const open = new Map<string, Awaited<ReturnType<typeof store.create>> & { readonly path: string }>();
	const row: Field = { name: ROW_NUMBER_COLUMN, type: { kind: "int64" }, nullable: false };
	const stored = [...destination.fileFields!(request.target), row];
	const nullText = "NULL-0badcafe";
	const batches =
		input.kind === "batches"
			? input.batches
			: (async function* () {
					for (const path of input.localPaths) yield* input.format.read(path, input.fields);
				})();
	await format.write({
		fields: [...input.fields, row],
		stored,
		nullText,
		batches: withRowNumbers(batches),
		nextPath: async () => {
			const path = `part-${open.size}-${files.length}.${format.extension}`;
			const write = await store.create(path);
			open.set(write.localPath, Object.assign(write, { path }));
			return write.localPath;
		},
		written: async (localPath, rows) => {
			const file = open.get(localPath)!;
			open.delete(localPath);
			files.push({ path: file.path, rows, ...(await file.commit()) });
		},
		bufferBytesMax: request.bufferBytesMax,
	});
	return {
		...request,
		input: { kind: "files", fields: stored, format, localPaths: [], remote: { staging: store, files, nullText } },
	};
}

/** Committed rows as canonical text, read past the destination and its SQL, from the engine behind the stand-in. */
export async function tableRows(
	standIn: SnowflakeStandIn,
	table: TableName,
	columns: readonly Field[],
): Promise<(string | null)[][] | null> {
	const found = standIn.table(foldName(table.schema), foldName(table.name));
	if (found === null) return null;
	const items = columns.map(({ name, type }, index) => {
		const column = encodeName(foldName(name));
		const isText = ["interval", "uuid", "list", "text"].includes(type.kind);
		return isText ? `CAST(${column} AS VARCHAR) AS c${index}` : `CAST(${column} AS ${duckdbType(type)}) AS c${index}`;
	});
	await using connection = await standIn.world.engine.connect();
	const { batches } = await connection.stream(`SELECT ${items.join(", ")} FROM ${found.physical}`);
	const rows: (string | null)[][] = [];
	for await (const batch of batches) {
		for (let row = 0; row < batch.rowCount; row++) rows.push(batch.columns.map((column) => valueText(column, row)));
		batch.release();
	}
	return rows;
}

/** A fresh stand-in as a destination. */
export async function destinationFixture(
	format: FormatName = "parquet",
): Promise<DestinationFixture & { standIn: SnowflakeStandIn }> {
	const standIn = await startSnowflakeStandIn();
	const folder = await mkdtemp(join(tmpdir(), "headrace-snowflake-"));
	const open = async () => staging(await createSnowflakeDestination(optionsOf(standIn)), folder, format);
	const destination = await open();
	return {
		standIn,
		destination,
		schema: "raw",
		reopen: open,
		rows: (table, columns) => tableRows(standIn, table, columns),
		[Symbol.asyncDispose]: async () => {
			await destination[Symbol.asyncDispose]();
			await standIn[Symbol.asyncDispose]();
			await rm(folder, { recursive: true, force: true });
		},
	};
}
