import { mkdir, realpath } from "node:fs/promises";
import { dirname } from "node:path";
import {
	type ChangeLog,
	type DescribeRequest,
	type FileStore,
	type Finding,
	type FormatName,
	type Grant,
	HeadraceError,
	type Snapshot,
	type Source,
	type SourceTable,
	type TableName,
} from "../../core/index.ts";
import { Engine, type EngineConnection } from "../../engine/index.ts";
import { duckdbDialect } from "../../sql/index.ts";
import { Archive, type OpenedArchive } from "./archive.ts";
import { ArchiveLog } from "./archive-log.ts";
import { type FoundTable, mergeParquet, mergeText, sourceColumns } from "./column-plan.ts";
import { inspectCsv } from "./csv-file.ts";
import { type Discovery, discover, type FileTable, type SourceFile, tableNamed } from "./discover.ts";
import { discoverStored } from "./discover-stored.ts";
import { aboutFile, FileCopies } from "./file-copies.ts";
import { ownTemporaryFolder } from "./formats.ts";
import { inspectJsonl } from "./jsonl-file.ts";
import { inspectParquet } from "./parquet-file.ts";
import { FileSnapshot, type Inspection, type SnapshotFiles } from "./snapshot.ts";
import { sinceListed } from "./stamps.ts";

export interface FileSourceOptions {
	/** A file, a folder, or a pattern with `*`, `?`, `[a-z]`, `**`; of a store the same within it. */
	readonly path: string;
	/** Where the files lie when that is not this machine; closed with the source. Then `temporaryDirectory` is needed. */
	readonly store?: FileStore;
	/** Default: by each file's ending. */
	readonly format?: FormatName;
	/** Bound on the embedded engine. */
	readonly memoryBytes?: number;
	/** Where the engine may spill. */
	readonly temporaryDirectory?: string;
}

/**
 * CSV, JSON lines and Parquet files as tables; see this folder's README for which file is which table and how types
 * are found.
 * @throws E_FILE_NOT_FOUND when there is nothing at the path, E_PATH, E_NAME_COLLISION, E_UNSUPPORTED: see `discover`
 */
export async function createFileSource(options: FileSourceOptions): Promise<Source> {
	if (options.store !== undefined) {
		const { temporaryDirectory } = options;
		if (temporaryDirectory === undefined)
			throw new HeadraceError("E_INTERNAL", "a source of stored files needs a folder for their copies");
		await mkdir(temporaryDirectory, { recursive: true, mode: 0o700 });
		return new FileSource(options, await realpath(temporaryDirectory));
	}
	const { root } = await discover(options.path, options.format);
	const archive = await Archive.find(options.path);
	return new FileSource(options, root, archive === null ? null : await archive.opened());
}

class FileSource implements Source, SnapshotFiles {
	readonly defaultSchema = "";
	readonly queries = false;
	readonly quoteString = duckdbDialect.quoteLiteral;
	readonly backslashEscapes = false;
	/** Of a folder in which changes were kept: they are a log again. */
	readonly changeLog?: ChangeLog;
	readonly #archive: Archive | null;
	readonly #options: FileSourceOptions;
	readonly copies: FileCopies;
	/** The folder that the engine may look into. */
	#root: string;
	#engine: Promise<Engine> | null = null;
	/** What each file holds, for as long as its stamp stays. */
	readonly #inspections = new Map<string, { readonly stamp: string; readonly inspection: Inspection }>();

	constructor(options: FileSourceOptions, root: string, opened: OpenedArchive | null = null) {
		this.#archive = opened?.archive ?? null;
		if (opened !== null) this.changeLog = new ArchiveLog(opened, () => this.connect());
		this.#options = options;
		this.#root = root;
		this.copies = new FileCopies(options.store ?? null);
	}

	async discover(): Promise<Discovery> {
		const { store, path, format } = this.#options;
		if (store !== undefined) return discoverStored(store, path, format);
		const found = await discover(this.#options.path, this.#options.format);
		if (found.root !== this.#root) {
			// The path is a link that leads elsewhere now; the engine may only look into the folder that it began with.
			this.#root = found.root;
			await this.#closeEngine();
		}
		return found;
	}

	async connect(): Promise<EngineConnection> {
		this.#engine ??= (async () => {
			const { memoryBytes, temporaryDirectory } = ownTemporaryFolder(this.#options);
			if (temporaryDirectory !== undefined) await mkdir(dirname(temporaryDirectory), { recursive: true, mode: 0o700 });
			return Engine.open({
				allowedDirectories: [this.#root],
				...(memoryBytes === undefined ? {} : { memoryBytes }),
				...(temporaryDirectory === undefined ? {} : { tempDirectory: temporaryDirectory }),
			});
		})();
		return (await this.#engine).connect();
	}

	async check(): Promise<Finding[]> {
		const { store, path } = this.#options;
		const findings = (await store?.check()) ?? [];
		if (findings.some(({ severity }) => severity === "error")) return findings;
		const { tables, ignored } = await this.discover();
		const files = tables.reduce((sum, table) => sum + table.files.length, 0);
		const where = store?.addressOf(path) ?? path;
		findings.push({ severity: "ok", message: `${where}: ${tables.length} tables in ${files} files` });
		if (ignored.length > 0)
			findings.push({
				severity: "warning",
				message: `${ignored.length} files of no known format are passed over: ${ignored.slice(0, 5).join(", ")}${ignored.length > 5 ? ", …" : ""}`,
				remedy: "write format: csv, jsonl or parquet for the connection",
			});
		return findings;
	}

	async grants(tables: readonly TableName[]): Promise<Grant[]> {
		return (await this.#options.store?.grants?.(tables)) ?? [];
	}

	async listTables(): Promise<TableName[]> {
		return (await this.discover()).tables.map((table) => table.name);
	}

	async describe(requests: readonly DescribeRequest[]): Promise<SourceTable[]> {
		const { tables } = await this.discover();
		const described: SourceTable[] = [];
		for (const { table: wanted, types, forLog } of requests) {
			if (forLog === true && this.#archive !== null && !("query" in wanted)) {
				described.push(await this.#archive.describe(tableNamed(tables, wanted).name, types));
				continue;
			}
			if ("query" in wanted)
				throw new HeadraceError("E_UNSUPPORTED", "files take no queries", {
					hint: "Name a table, or copy it to duckdb first.",
				});
			const table = tableNamed(tables, wanted);
			const inspected = await this.inspectAll(table.files, table);
			const found = merge(inspected);
			described.push({
				name: table.name,
				kind: "table",
				columns: sourceColumns(found, types).map((column) => ({
					...column,
					nullable: !table.required.includes(column.name),
				})),
				primaryKey: table.key,
				estimatedRows: inspected.reduce((sum, { inspection }) => sum + inspection.found.rows, 0),
				warnings: found.warnings,
			});
		}
		return described;
	}

	async inspectAll(files: readonly SourceFile[], table: FileTable) {
		const inspected: { readonly name: string; readonly inspection: Inspection }[] = [];
		for (const file of files)
			inspected.push({ name: file.name, inspection: await this.inspect(file, table, await this.copies.stamp(file)) });
		return inspected;
	}

	async inspect(file: SourceFile, table: FileTable, stamp: string): Promise<Inspection> {
		const known = this.#inspections.get(file.path);
		if (known?.stamp === stamp) return known.inspection;
		await using here = await this.copies.open(file, stamp, "look");
		const inspection = await this.#inspect(here.localPath, table).catch((error) => {
			throw sinceListed(aboutFile(error, here.localPath, file), file.path);
		});
		await here.confirm();
		this.#inspections.set(file.path, { stamp, inspection });
		return inspection;
	}

	async #inspect(path: string, table: FileTable): Promise<Inspection> {
		if (table.format === "parquet") {
			await using connection = await this.connect();
			return { format: "parquet", found: await inspectParquet(connection, path) };
		}
		return { format: "text", found: await (table.format === "csv" ? inspectCsv : inspectJsonl)(path) };
	}

	async snapshot(options: {
		readonly readers: number;
		readonly forLog?: boolean | "exact";
		readonly signal?: AbortSignal;
	}): Promise<Snapshot> {
		const clock = `${new Date().toISOString().slice(0, -1).replace("T", " ")}000`;
		if ((options.forLog ?? false) !== false && this.changeLog !== undefined)
			return beforeAllChanges(this.changeLog, clock, options.readers);
		const { tables } = await this.discover();
		return new FileSnapshot(this, tables, clock, Math.max(1, options.readers), options.signal);
	}

	async #closeEngine(): Promise<void> {
		const engine = this.#engine;
		this.#engine = null;
		await (await engine?.catch(() => null))?.[Symbol.asyncDispose]();
	}

	async [Symbol.asyncDispose](): Promise<void> {
		try {
			await this.#closeEngine();
		} finally {
			await this.copies[Symbol.asyncDispose]();
		}
	}
}

/** An archive tells its tables from nothing on: what they held at first is in its log too. */
function beforeAllChanges(log: ChangeLog, clock: string, readers: number): Snapshot {
	return {
		readers,
		clock,
		// Nothing that the archive tells is older, whenever it is read.
		logPlace: async () => ({ position: await log.beginning(), exact: true, at: 0n }),
		cursorMax: async () => ({ max: null, nulls: 0 }),
		split: async () => [{ index: 0 }],
		async *read() {},
		[Symbol.asyncDispose]: async () => {},
	};
}

function merge(inspected: readonly { readonly name: string; readonly inspection: Inspection }[]): FoundTable {
	const text = inspected.flatMap(({ name, inspection }) =>
		inspection.format === "text" ? [{ name, inspection: inspection.found }] : [],
	);
	if (text.length > 0) return mergeText(text);
	return mergeParquet(
		inspected.flatMap(({ name, inspection }) =>
			inspection.format === "parquet" ? [{ name, inspection: inspection.found }] : [],
		),
	);
}
