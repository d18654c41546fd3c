import {
	type Batch,
	type Chunk,
	HeadraceError,
	type ReadRequest,
	type Snapshot,
	type SourceTable,
} from "../../core/index.ts";
import type { EngineConnection } from "../../engine/index.ts";
import { valueText } from "../../formats/index.ts";
import { fitsColumn } from "./column-plan.ts";
import { columnNamed, conditionOf, filtered, highestValue } from "./condition.ts";
import { readCsv, type TextInspection } from "./csv-file.ts";
import { type FileTable, type SourceFile, tableNamed } from "./discover.ts";
import { aboutFile, type FileCopies } from "./file-copies.ts";
import { readJsonl } from "./jsonl-file.ts";
import { type ParquetInspection, readParquet } from "./parquet-file.ts";
import { sinceListed } from "./stamps.ts";

/** What one look at a whole file found. */
export type Inspection =
	| { readonly format: "text"; readonly found: TextInspection }
	| { readonly format: "parquet"; readonly found: ParquetInspection };

/** What a snapshot needs of its source. */
export interface SnapshotFiles {
	readonly copies: FileCopies;
	connect(): Promise<EngineConnection>;
	inspect(file: SourceFile, table: FileTable, stamp: string): Promise<Inspection>;
	inspectAll(
		files: readonly SourceFile[],
		table: FileTable,
	): Promise<{ readonly name: string; readonly inspection: Inspection }[]>;
}

/** Files as they are listed when it is made; one that changes while it is read stops the read. */
export class FileSnapshot implements Snapshot {
	readonly readers: number;
	readonly clock: string;
	readonly #source: SnapshotFiles;
	readonly #tables: readonly FileTable[];
	readonly #signal: AbortSignal | undefined;
	readonly #stamps = new Map<string, string>();

	constructor(
		source: SnapshotFiles,
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
		for (const file of tableNamed(this.#tables, table.name).files)
			stamps.push({ name: file.name, stamp: await this.#stamp(file) });
		return stamps;
	}

	/** The stamp of the file at this cut. */
	async #stamp(file: SourceFile): Promise<string> {
		const stamp = this.#stamps.get(file.path) ?? (await this.#source.copies.stamp(file));
		this.#stamps.set(file.path, stamp);
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
		// Text is read without the engine, whose start costs more than a small file.
		const needsEngine = condition !== null || table.format === "parquet";
		await using connection = needsEngine ? await this.#source.connect() : null;
		for (const file of chosenFiles(table, request)) {
			if (signal?.aborted === true) throw new HeadraceError("E_STOPPED", "stopped while files were being read");
			const stamp = await this.#stamp(file);
			const inspection = await this.#source.inspect(file, table, stamp);
			checkColumns(file, inspection, request);
			await using here = await this.#source.copies.open(file, stamp, "read");
			try {
				yield* readFile(connection, here.localPath, table, inspection, request, condition, signal);
			} catch (error) {
				throw sinceListed(aboutFile(error, here.localPath, file), file.path);
			}
			await here.confirm();
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
	connection: EngineConnection | null,
	path: string,
	table: FileTable,
	inspection: Inspection,
	request: ReadRequest,
	condition: string | null,
	signal: AbortSignal | undefined,
): AsyncGenerator<Batch, void, undefined> {
	const { columns, types } = request;
	if (inspection.format === "parquet" && connection !== null) {
		yield* readParquet(connection, path, inspection.found, { columns, all: request.table.columns }, condition, signal);
		return;
	}
	const readText = table.format === "csv" ? readCsv : readJsonl;
	if (condition === null || connection === null) yield* readText(path, columns, types, signal);
	else {
		const all = request.table.columns;
		const batches = readText(path, all, types, signal);
		yield* filtered(connection, { fields: all, batches }, columns, condition, {
			...(signal === undefined ? {} : { signal }),
			...(request.bufferBytesMax === undefined ? {} : { bufferBytesMax: request.bufferBytesMax }),
		});
	}
}
