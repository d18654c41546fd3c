import { type Batch, crashPoint, HeadraceError, type RemoteFiles, ROW_NUMBER_COLUMN } from "../../core/index.ts";
import { createTable, redshiftDialect } from "../../sql/index.ts";
import { addressOf, copyManifest, copySql, expectRows, manifestPathOf } from "./copy.ts";
import { INSERT_BYTES_MAX, INSERT_ROWS_MAX, insertRows } from "./insert-rows.ts";
import type { LoadContext, Shape } from "./load-context.ts";
import { withLoadError } from "./load-errors.ts";
import { quoteIdentifier } from "./sql-text.ts";
import { stageType } from "./target-types.ts";

/** A temporary table is the session's own, and goes with it. */
export const STAGE = stageName("_headrace_stage");

export function stageName(name: string): string {
	return quoteIdentifier(name);
}

export interface StageColumn {
	readonly name: string;
	readonly type: string;
}

/** The DDL of a stage: columns as in the files, rows that a merge joins on the node that its key's hash says. */
export function stageDdl(stage: string, columns: readonly StageColumn[], key: readonly string[]): string {
	const distKey = key.find((name) => {
		const type = columns.find((column) => column.name === name)?.type ?? "";
		return !/^(?:SUPER|VARBYTE)/.test(type);
	});
	const definitions = columns.map(({ name, type }) => ({ name, type, nullable: true }));
	const rows = { name: ROW_NUMBER_COLUMN, type: "BIGINT", nullable: true };
	const distribution = distKey === undefined ? "DISTSTYLE EVEN" : `DISTSTYLE KEY DISTKEY (${quoteIdentifier(distKey)})`;
	return `${createTable(redshiftDialect, stage, [...definitions, rows], { temporary: true })}\n${distribution}`;
}

/**
 * The load's rows in a stage, before the load's transaction: nobody else sees it. Gives how many there are.
 * @throws E_VALUE with file, line and column of what COPY refused; E_CONFLICT when a sealed file is gone or another
 */
export async function stageRows(context: LoadContext, { typeOf }: Pick<Shape, "typeOf">): Promise<number> {
	const { writer, request, stage } = context;
	const columns = request.target.columns.map(({ name, type }) => ({ name, type: stageType(type, typeOf(name)) }));
	await writer.execute(stageDdl(stage, columns, request.target.key));
	const { input } = request;
	const insert = (batches: Parameters<typeof insertRows>[0]["batches"], numbered: boolean) =>
		insertRows({
			table: stage,
			names: [...columns.map(({ name }) => name), ...(numbered ? [ROW_NUMBER_COLUMN] : [])],
			types: columns.map(({ type }) => type),
			batches,
			numbered,
			execute: (sql) => writer.execute(sql),
		});
	const received =
		input.kind === "batches"
			? await insert(input.batches, false)
			: input.remote === undefined
				? await insert(localBatches(input), false)
				: await stageRemote(context, input.remote, insert);
	crashPoint("c08");
	return received;
}

type Insert = (batches: AsyncIterable<Batch>, numbered: boolean) => Promise<number>;
type Files = Extract<LoadContext["request"]["input"], { kind: "files" }>;

async function* localBatches({ format, fields, localPaths }: Files) {
	for (const path of localPaths) yield* format.read(path, fields);
}

async function stageRemote(context: LoadContext, remote: RemoteFiles, insert: Insert): Promise<number> {
	const { request, options } = context;
	const { staging, files } = remote;
	const { format, fields } = request.input as Files;
	if (files.length === 0) return 0;
	const rows = files.reduce((sum, file) => sum + file.rows, 0);
	const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
	let received = 0;
	if (format.name === "parquet" && rows <= (options.insertRowsMax ?? INSERT_ROWS_MAX) && bytes <= INSERT_BYTES_MAX)
		for (const file of files) {
			await using copy = await staging.fetch(file.path, file.sha256).catch((cause: unknown) => {
				if (!(cause instanceof HeadraceError) || cause.code !== "E_FILE_NOT_FOUND") throw cause;
				throw new HeadraceError("E_CONFLICT", `the staged file ${file.path} was taken away by another run`, { cause });
			});
			received += await insert(format.read(copy.localPath, fields), true);
		}
	else received = await copyFiles(context, remote);
	expectRows(received, remote, request.target.name);
	return received;
}

async function copyFiles({ writer, options, request, stage }: LoadContext, remote: RemoteFiles): Promise<number> {
	const { staging, files, nullText } = remote;
	const { format } = request.input as Files;
	if (format.name !== "parquet" && format.name !== "csv")
		throw new HeadraceError("E_UNSUPPORTED", `Redshift loads staged parquet and csv, not ${format.name}`);
	const address = addressOf(staging);
	for (const file of files) await address.confirm(file);
	const path = manifestPathOf(remote);
	await staging.writeOnce(path, new TextEncoder().encode(copyManifest(remote, format.name)));
	const sql = copySql({
		table: stage,
		manifest: address.uriOf(path),
		...(options.iamRole === undefined ? {} : { iamRole: options.iamRole }),
		format: format.name,
		extension: format.extension,
		...(nullText === undefined ? {} : { nullText }),
		...(address.region === undefined ? {} : { region: address.region }),
	});
	try {
		await writer.execute(sql, options.iamRole === undefined ? {} : { copyRole: options.iamRole });
	} catch (error) {
		if (!(error instanceof HeadraceError)) throw error;
		throw await withLoadError(writer.session, error, request.target.name);
	}
	const { staged } = await writer.counts(`SELECT count(*) AS staged FROM ${stage}`);
	return staged!;
}
