import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DestinationFixture } from "../../src/conformance/index.ts";
import { stagedFormats } from "../../src/connectors/file/index.ts";
import { createLocalFolderStaging } from "../../src/connectors/local-folder/index.ts";
import { createSnowflakeDestination, type SnowflakeOptions } from "../../src/connectors/snowflake/index.ts";
import { foldName } from "../../src/connectors/snowflake/names.ts";
import {
	type ApplyRequest,
	type ChangesPart,
	changeColumns,
	type Destination,
	type Field,
	type FormatName,
	type LoadInput,
	type LoadRequest,
	type LoadResult,
	Secret,
	type TableName,
	type TargetTable,
} from "../../src/core/index.ts";
import { duckdbType } from "../../src/engine/index.ts";
import { numberedForm, writeFiles } from "../../src/flow/staged-files.ts";
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
	const input = (of: LoadInput, target: TargetTable) =>
		stagedInput(destination, of, target, join(folder, `load-${++loads}`), formatName);
	const { changes } = destination;
	const apply = async (request: ApplyRequest) => {
		const parts: ChangesPart[] = [];
		for (const part of request.parts) {
			const columns = changeColumns(part, (type) => destination.mapType(type).destinationType);
			parts.push({ ...part, input: await input(part.input, { ...part.target, columns }) });
		}
		return changes!.apply({ ...request, parts });
	};
	return new Proxy(destination, {
		get(target, property) {
			if (property === "load")
				return async (request: LoadRequest): Promise<LoadResult> =>
					destination.load({ ...request, input: await input(request.input, request.target) });
			if (property === "changes" && changes !== undefined) return { writes: changes.writes, apply };
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
	return { ...request, input: await stagedInput(destination, request.input, request.target, folder, formatName) };
}

async function stagedInput(
	destination: Destination,
	input: LoadInput,
	target: TargetTable,
	folder: string,
	formatName: FormatName,
): Promise<LoadInput> {
	if (input.kind === "files" && input.remote !== undefined) return input;
	const store = await createLocalFolderStaging(folder);
	const format = (await stagedFormats({ memoryBytes: 128 << 20 })).find(({ name }) => name === formatName)!;
	const { stored, ...form } = numberedForm(input.fields, destination.fileFields!(target), "0badcafe");
	const batches =
		input.kind === "batches"
			? input.batches
			: (async function* () {
					for (const path of input.localPaths) yield* input.format.read(path, input.fields);
				})();
	const how = { staging: store, format, prefix: "", bufferBytesMax: 16 << 20 };
	const files = await writeFiles({ ...how, form: { stored, ...form }, batches });
	const remote = { staging: store, files, nullText: form.nullText };
	return { kind: "files", fields: stored, format, localPaths: [], remote };
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
