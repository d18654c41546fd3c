import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import {
	type Batch,
	type Chunk,
	type DescribeRequest,
	type Finding,
	type FormatName,
	HeadraceError,
	qualified,
	type ReadRequest,
	type Snapshot,
	type Source,
	type SourceTable,
	type TableName,
} from "../../core/index.ts";
import { Engine, type EngineConnection } from "../../engine/index.ts";
import { valueText } from "../../formats/index.ts";
import { duckdbDialect } from "../../sql/index.ts";
import { type FoundTable, fitsColumn, mergeParquet, mergeText, sourceColumns } from "./column-plan.ts";
import { columnNamed, conditionOf, filtered, highestValue } from "./condition.ts";
import { inspectCsv, readCsv, type TextInspection } from "./csv-file.ts";
import { type Discovery, discover, type FileTable, type SourceFile } from "./discover.ts";
import { inspectJsonl, readJsonl } from "./jsonl-file.ts";
import { inspectParquet, type ParquetInspection, readParquet } from "./parquet-file.ts";
import { fileStamp, sameStamp } from "./stamps.ts";

export interface FileSourceOptions {
	/** A file, a folder, or a pattern with `*`, `?`, `[a-z]`, `**`. */
	readonly path: string;
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
	const { root } = await discover(options.path, options.format);
	return new FileSource(options, root);
}

type Inspection =
	| { readonly format: "text"; readonly found: TextInspection }
	| { readonly format: "parquet"; readonly found: ParquetInspection };

let engines = 0;

class FileSource implements Source {
	readonly defaultSchema = "";
	readonly queries = false;
	readonly quoteString = duckdbDialect.quoteLiteral;
	readonly backslashEscapes = false;
	readonly #options: FileSourceOptions;
	readonly #root: string;
	#engine: Promise<Engine> | null = null;
	/** What each file holds, for as long as its stamp stays. */
	readonly #inspections = new Map<string, { readonly stamp: string; readonly inspection: Inspection }>();

	constructor(options: FileSourceOptions, root: string) {
		this.#options = options;
		this.#root = root;
	}

	async discover(): Promise<Discovery> {
		const found = await discover(this.#options.path, this.#options.format);
		if (found.root !== this.#root)
			throw new HeadraceError("E_CONFLICT", `${this.#options.path} leads to another folder than before`);
		return found;
	}

	async connect(): Promise<EngineConnection> {
		this.#engine ??= (async () => {
			const { memoryBytes, temporaryDirectory } = this.#options;
			if (temporaryDirectory !== undefined) await mkdir(temporaryDirectory, { recursive: true, mode: 0o700 });
			return Engine.open({
				allowedDirectories: [this.#root],
				...(memoryBytes === undefined ? {} : { memoryBytes }),
				...(temporaryDirectory === undefined
					? {}
					: { tempDirectory: join(temporaryDirectory, `files-${process.pid}-${++engines}`) }),
			});
		})();
		return (await this.#engine).connect();
	}

	async check(): Promise<Finding[]> {
		const { tables, ignored } = await this.discover();
		const files = tables.reduce((sum, table) => sum + table.files.length, 0);
		const findings: Finding[] = [
			{ severity: "ok", message: `${this.#options.path}: ${tables.length} tables in ${files} files` },
		];
		if (ignored.length > 0)
			findings.push({
				severity: "warning",
				message: `${ignored.length} files of no known format are passed over: ${ignored.slice(0, 5).join(", ")}${ignored.length > 5 ? ", …" : ""}`,
				remedy: "write format: csv, jsonl or parquet for the connection",
			});
		return findings;
	}

	async listTables(): Promise<TableName[]> {
		return (await this.discover()).tables.map((table) => table.name);
	}

	async describe(requests: readonly DescribeRequest[]): Promise<SourceTable[]> {
		const { tables } = await this.discover();
		const described: SourceTable[] = [];
		for (const { table: wanted, types } of requests) {
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
			inspected.push({ name: file.name, inspection: await this.inspect(file, table, await fileStamp(file.path)) });
		return inspected;
	}

	async inspect(file: SourceFile, table: FileTable, stamp: string): Promise<Inspection> {
		const known = this.#inspections.get(file.path);
		if (known?.stamp === stamp) return known.inspection;
		let inspection: Inspection;
		if (table.format === "parquet") {
			await using connection = await this.connect();
			inspection = { format: "parquet", found: await inspectParquet(connection, file.path) };
		} else {
			const inspectText = table.format === "csv" ? inspectCsv : inspectJsonl;
			inspection = { format: "text", found: await inspectText(file.path) };
		}
		sameStamp(file.path, stamp, await fileStamp(file.path));
		this.#inspections.set(file.path, { stamp, inspection });
		return inspection;
	}

	async snapshot(options: { readonly readers: number; readonly signal?: AbortSignal }): Promise<Snapshot> {
		const { tables } = await this.discover();
		const clock = `${new Date().toISOString().slice(0, -1).replace("T", " ")}000`;
		return new FileSnapshot(this, tables, clock, Math.max(1, options.readers), options.signal);
	}

	async [Symbol.asyncDispose](): Promise<void> {
		const engine = this.#engine;
		this.#engine = null;
		await (await engine?.catch(() => null))?.[Symbol.asyncDispose]();
	}
}

function tableNamed(tables: readonly FileTable[], name: TableName): FileTable {
	const table = tables.find((other) => other.name.schema === name.schema && other.name.name === name.name);
	if (table === undefined)
		throw new HeadraceError("E_UNKNOWN_TABLE", `there is no file or folder for the table ${qualified(name)}`, {
			hint: `There are: ${tables
				.slice(0, 10)
				.map((other) => qualified(other.name))
				.join(", ")}${tables.length > 10 ? ", …" : ""}.`,
		});
	return table;
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

/** Files as they are listed when it is made; one that changes while it is read stops the read. */
class FileSnapshot implements Snapshot {
	readonly readers: number;
	readonly clock: string;
	readonly #source: FileSource;
	readonly #tables: readonly FileTable[];
	readonly #signal: AbortSignal | undefined;
	readonly #stamps = new Map<string, string>();

	constructor(
		source: FileSource,
		tables: readonly FileTable[],
		clock: string,
		readers: number,
		signal: AbortSignal | undefined,
	) {
		this.#source = source;
		this.#tables = tables;
		this.clock = clock;
		this.readers = readers;
		this.#signal = signal;
	}

	async fileStamps(table: SourceTable): Promise<readonly { readonly name: string; readonly stamp: string }[]> {
		const stamps: { name: string; stamp: string }[] = [];
		for (const { name, path } of tableNamed(this.#tables, table.name).files)
			stamps.push({ name, stamp: await this.#stamp(path) });
		return stamps;
	}

	/** The stamp of the file at this cut. */
	async #stamp(path: string): Promise<string> {
		const stamp = this.#stamps.get(path) ?? (await fileStamp(path));
		this.#stamps.set(path, stamp);
		return stamp;
	}

	async cursorMax(table: SourceTable, name: string): Promise<{ readonly max: string | null; readonly nulls: number }> {
		const column = columnNamed(table.columns, name);
		await using connection = await this.#source.connect();
		const types = { ...TYPES_OF_CURSORS };
		const found = await highestValue(connection, column, this.read({ table, columns: [column], types }));
		if (found === null) return { max: null, nulls: 0 };
		const max = valueText(found.batch.columns[0]!, 0);
		found.batch.release();
		return { max, nulls: found.nulls };
	}

	/** Whole files together: a file is not cut. */
	async split(table: SourceTable, { rows }: { readonly rows: number }): Promise<Chunk[]> {
		const files = tableNamed(this.#tables, table.name);
		const groups: string[][] = [[]];
		let groupRows = 0;
		for (const { name, inspection } of await this.#source.inspectAll(files.files, files)) {
			if (groupRows >= rows) {
				groups.push([]);
				groupRows = 0;
			}
			groups.at(-1)!.push(name);
			groupRows += inspection.found.rows;
		}
		if (groups.length === 1) return [{ index: 0 }];
		return groups.map((names, index) => ({ index, condition: JSON.stringify(names) }));
	}

	async *read(request: ReadRequest): AsyncGenerator<Batch, void, undefined> {
		const table = tableNamed(this.#tables, request.table.name);
		const signal = request.signal ?? this.#signal;
		const condition = conditionOf(request);
		await using connection = await this.#source.connect();
		for (const file of chosenFiles(table, request)) {
			if (signal?.aborted === true) throw new HeadraceError("E_STOPPED", "stopped while files were being read");
			const stamp = await this.#stamp(file.path);
			const inspection = await this.#source.inspect(file, table, stamp);
			checkColumns(file, inspection, request);
			yield* readFile(connection, file, table, inspection, request, condition, signal);
			sameStamp(file.path, stamp, await fileStamp(file.path));
		}
	}

	async [Symbol.asyncDispose](): Promise<void> {}
}

/** Policies that let every value through as it is. */
const TYPES_OF_CURSORS = {
	mode: "exact",
	zeroDate: "fail",
	nan: "fail",
	infinity: "fail",
	outOfRange: "fail",
	invalidText: "replace",
} as const;

function chosenFiles(table: FileTable, request: ReadRequest): readonly SourceFile[] {
	const chunk = request.chunk?.condition;
	const wanted = chunk === undefined ? request.files : (JSON.parse(chunk) as string[]);
	if (wanted === undefined) return table.files;
	return wanted.map((name) => {
		const file = table.files.find((other) => other.name === name);
		if (file === undefined) throw new HeadraceError("E_CONFLICT", `the file ${name} is gone`, { file: name });
		return file;
	});
}

/** A file that came or changed after the table was described may hold what its columns can't. */
function checkColumns(file: SourceFile, inspection: Inspection, request: ReadRequest): void {
	const { table, types } = request;
	for (const found of inspection.found.columns) {
		const type = "guess" in found ? found.guess.type : found.type;
		const column = table.columns.find((other) => other.name === found.name);
		const isEmpty = "guess" in found && found.guess.bits === 0;
		const isFixed = types.mode !== "exact" || types.overrides?.[found.name] !== undefined;
		if (column === undefined || !(isEmpty || isFixed || fitsColumn(type, column.type)))
			throw new HeadraceError("E_CONFLICT", `${file.name} has other columns than when the table was described`, {
				file: file.path,
				hint: "Run again.",
			});
	}
}

async function* readFile(
	connection: EngineConnection,
	file: SourceFile,
	table: FileTable,
	inspection: Inspection,
	request: ReadRequest,
	condition: string | null,
	signal: AbortSignal | undefined,
): AsyncGenerator<Batch, void, undefined> {
	const { columns, types } = request;
	if (inspection.format === "parquet") {
		yield* readParquet(
			connection,
			file.path,
			inspection.found,
			{ columns, all: request.table.columns },
			condition,
			signal,
		);
		return;
	}
	const readText = table.format === "csv" ? readCsv : readJsonl;
	if (condition === null) yield* readText(file.path, columns, types, signal);
	else {
		const all = request.table.columns;
		const batches = readText(file.path, all, types, signal);
		yield* filtered(connection, { fields: all, batches }, columns, condition, {
			...(signal === undefined ? {} : { signal }),
			...(request.bufferBytesMax === undefined ? {} : { bufferBytesMax: request.bufferBytesMax }),
		});
	}
}
