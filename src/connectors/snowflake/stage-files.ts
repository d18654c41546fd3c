import { createHash } from "node:crypto";
import { basename } from "node:path";
import { HeadraceError, type LoadRequest, type RemoteFiles, type StagingAddress } from "../../core/index.ts";
import { putFile, quoteDouble, quoteEscaped } from "../../sql/index.ts";
import { CONTROL_SCHEMA } from "./control.ts";
import { parsePath, quotePath } from "./names.ts";
import type { SnowflakeOptions } from "./options.ts";
import { type Session, transactionName } from "./session.ts";

/** Where COPY finds the files of a load. */
export interface StagedFiles {
	/** `@"SCHEMA"."STAGE"/path/` */
	readonly location: string;
	/** Relative to the location, with the rows that each must give. */
	readonly files: ReadonlyMap<string, number>;
	/** Takes away what was put there for this load. */
	remove(): Promise<void>;
}

/**
 * The files of a load, on a stage: where they lie when that is S3, else put on an internal one, in `folder`. A load that is
 * repeated writes them again.
 */
export async function stageFiles(
	session: Session,
	options: SnowflakeOptions,
	request: LoadRequest,
	folder = `headrace/${request.loadId}/`,
): Promise<StagedFiles> {
	const remote = remoteOf(request);
	const { address } = remote.staging;
	return address === undefined
		? onInternalStage(session, options, folder, remote)
		: onExternalStage(session, options, remote, address);
}

function remoteOf({ input }: LoadRequest): RemoteFiles {
	if (input.kind === "files" && input.remote !== undefined) return input.remote;
	throw new HeadraceError("E_UNSUPPORTED", "Snowflake is loaded from staged files only");
}

/**
 * Where a stream's changes lie on an internal stage: below a folder of its own, since what a run leaves that is killed has
 * names that no later run uses again.
 */
export function changesFolder(pipeline: string, stream: string): string {
	return `headrace/changes/${transactionName(pipeline, stream)}/`;
}

/** Whether Snowflake gets the files by PUT. */
export function isPut({ input }: Pick<LoadRequest, "input">): boolean {
	return input.kind === "files" && input.remote !== undefined && input.remote.staging.address === undefined;
}

/** Takes away all that lies in a folder of the internal stage. */
export async function clearFolder(session: Session, options: SnowflakeOptions, folder: string): Promise<void> {
	await session.run(`REMOVE @${await internalStage(session, options)}/${folder}`);
}

async function onInternalStage(
	session: Session,
	options: SnowflakeOptions,
	folder: string,
	remote: RemoteFiles,
): Promise<StagedFiles> {
	const location = `@${await internalStage(session, options)}/${folder}`;
	const files = new Map<string, number>();
	for (const file of remote.files) {
		await using copy = await remote.staging.fetch(file.path, file.sha256);
		const { columns, rows } = await session.run(putFile(copy.localPath, location));
		const status = rows[0]?.[columns.indexOf("status")];
		if (status !== "UPLOADED")
			throw new HeadraceError(
				"E_CONNECTION_LOST",
				`a staged file was not put on Snowflake's stage: ${status ?? "no answer"}`,
			);
		files.set(basename(copy.localPath), file.rows);
	}
	return {
		location,
		files,
		remove: async () => {
			await session.run(`REMOVE ${location}`);
		},
	};
}

async function internalStage(session: Session, options: SnowflakeOptions): Promise<string> {
	if (options.stage !== undefined) return parsePath(options.stage).map(quoteDouble).join(".");
	const stage = quotePath(CONTROL_SCHEMA, "FILES");
	await session.run(`CREATE STAGE IF NOT EXISTS ${stage}`);
	return stage;
}

/** Snowflake reads S3 by itself, through a stage over a storage integration: no key is ever in a statement. */
async function onExternalStage(
	session: Session,
	options: SnowflakeOptions,
	remote: RemoteFiles,
	address: StagingAddress,
): Promise<StagedFiles> {
	if (address.scheme !== "s3")
		throw new HeadraceError("E_UNSUPPORTED", `Snowflake does not read files from ${address.scheme}: addresses here`);
	for (const file of remote.files) await address.confirm(file);
	const root = address.uriOf("x").slice(0, -1);
	const { name, url } = await externalStage(session, options, root);
	const files = new Map<string, number>();
	for (const file of remote.files) {
		const uri = address.uriOf(file.path);
		if (!uri.startsWith(url))
			throw new HeadraceError(
				"E_INVALID_VALUE",
				`the stage ${options.stage} is at ${url}, and files are staged at ${root}`,
				{
					hint: "Let `staging:` lie within the stage's URL, or leave `stage:` out and give `storage_integration:`.",
				},
			);
		files.set(uri.slice(url.length), file.rows);
	}
	return { location: `@${name}/`, files, remove: async () => {} };
}

async function externalStage(
	session: Session,
	options: SnowflakeOptions,
	root: string,
): Promise<{ readonly name: string; readonly url: string }> {
	if (options.stage !== undefined) {
		const name = parsePath(options.stage).map(quoteDouble).join(".");
		const rows = await session.records(`DESCRIBE STAGE ${name}`);
		const value = rows.find((row) => row["property"] === "URL")?.["property_value"] ?? "";
		const url = /"([^"]+)"/.exec(value)?.[1] ?? value;
		return { name, url: url.endsWith("/") ? url : `${url}/` };
	}
	if (options.storageIntegration === undefined)
		throw new HeadraceError("E_INVALID_VALUE", "Snowflake can't read the staged files on S3 without an integration", {
			hint: "Give the connection `storage_integration:` (or `stage:`), or stage in a folder.",
		});
	// Another bucket, prefix or integration is another stage.
	const hash = createHash("sha256").update(`${root} ${options.storageIntegration}`).digest("hex").slice(0, 16);
	const name = quotePath(CONTROL_SCHEMA, `S3_${hash.toUpperCase()}`);
	const integration = quoteDouble(parsePath(options.storageIntegration)[0]!);
	await session.run(
		`CREATE STAGE IF NOT EXISTS ${name} URL = ${quoteEscaped(root)} STORAGE_INTEGRATION = ${integration}`,
	);
	return { name, url: root };
}
