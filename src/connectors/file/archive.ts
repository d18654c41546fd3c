import { realpath, stat } from "node:fs/promises";
import { join } from "node:path";
import {
	HeadraceError,
	parseColumnType,
	qualified,
	type RecordedColumn,
	type SourceColumn,
	type SourceTable,
	sameType,
	type TableName,
	type TypePolicy,
	typeName,
} from "../../core/index.ts";
import { ADDED_COLUMNS, isArchive } from "./archive-columns.ts";
import { UNFINISHED_ENDING } from "./built-version.ts";
import { ChangeJournal } from "./change-journal.ts";
import { sourceColumns } from "./column-plan.ts";
import { HIDDEN_FOLDER, tableFolder } from "./layout.ts";
import { storedFields } from "./load-shape.ts";
import { type JournalHead, type StreamEntry, streamHeads } from "./stream-log.ts";
import { type CurrentTable, originOf, TableVersions } from "./table-versions.ts";

/** Where the changes of an archive end. */
export interface ArchiveEnd {
	readonly entry: StreamEntry;
	readonly head: JournalHead;
	readonly journal: ChangeJournal;
}

export interface OpenedArchive {
	readonly archive: Archive;
	/** See JournalHead. */
	readonly journal: string;
}

/** A table whose changes are in an archive. */
export interface ArchivedTable {
	readonly folder: string;
	readonly origin: string;
	readonly current: CurrentTable;
}

/** A folder in which changes of a log were kept, for who reads it: nothing in it is changed. */
export class Archive {
	readonly root: string;
	readonly #hidden: string;

	private constructor(root: string) {
		this.root = root;
		this.#hidden = join(root, HIDDEN_FOLDER);
	}

	/** Null when the path is no folder with changes in it. */
	static async find(path: string): Promise<Archive | null> {
		const changes = await stat(join(path, HIDDEN_FOLDER, "changes")).catch(() => null);
		if (!changes?.isDirectory()) return null;
		const archive = new Archive(await realpath(path));
		return (await archive.#heads()).length === 0 ? null : archive;
	}

	/** With the name of its journal. */
	async opened(): Promise<OpenedArchive> {
		return { archive: this, journal: (await this.end()).head.journal };
	}

	async #heads(): Promise<StreamEntry[]> {
		return (await streamHeads(this.#hidden)).filter(({ journal }) => journal !== undefined);
	}

	/** @throws E_UNSUPPORTED when several pipelines wrote changes into the folder: they have no common order */
	async end(): Promise<ArchiveEnd> {
		const [entry, ...others] = await this.#heads();
		const head = entry?.journal;
		if (entry === undefined || head === undefined)
			throw new HeadraceError("E_HISTORY_GONE", `the changes in ${this.root} are gone`);
		if (others.length > 0)
			throw new HeadraceError(
				"E_UNSUPPORTED",
				`${this.root} has the changes of several pipelines (${[entry, ...others].map(({ pipeline }) => pipeline).join(", ")}), which have no common order`,
				{ hint: "Let each pipeline write into a folder of its own." },
			);
		return { entry, head, journal: new ChangeJournal(this.#hidden, entry.pipeline, entry.stream) };
	}

	/** Null when the table's changes can't be read back. */
	async table(name: TableName): Promise<ArchivedTable | null> {
		const folder = tableFolder(name);
		const current = await new TableVersions(this.root, folder).newest();
		if (current === null || !isArchive(current.record)) return null;
		return { folder, origin: originOf(current), current };
	}

	/**
	 * The table that was archived, with every column that it ever had.
	 * @throws E_LOG_SETTINGS when its changes were not kept whole, E_UNSUPPORTED when they are not Parquet
	 */
	async describe(name: TableName, types: TypePolicy): Promise<SourceTable> {
		const table = await this.table(name);
		if (table === null)
			throw new HeadraceError(
				"E_LOG_SETTINGS",
				`${qualified(name)} in ${this.root} does not hold all that the change log told of it`,
				{ table: qualified(name), hint: "Only a table with `write: append` and `before_images: true` does." },
			);
		const { record } = table.current;
		if (record.format !== "parquet")
			throw new HeadraceError("E_UNSUPPORTED", `the changes of ${qualified(name)} are ${record.format}, not Parquet`, {
				hint: "Read them as rows, with mode full.",
			});
		const recorded = await this.#recorded(record.follows?.stream ?? record.stream, record.pipeline);
		const own = storedFields(table.current).filter((field) => !ADDED_COLUMNS.has(field.name));
		const found = own.map((field) => {
			const before = recorded.get(field.name);
			const type = (before === undefined ? null : parseColumnType(before.landed)) ?? field.type;
			const isOwn = before !== undefined && before.type === before.landed;
			return { name: field.name, type, nativeType: isOwn ? before.source_type : typeName(type) };
		});
		const key = [...recorded.values()]
			.filter((column) => column.key !== undefined && column.dropped !== true)
			.sort((a, b) => a.key! - b.key!);
		return {
			name: record.table,
			kind: "table",
			columns: sourceColumns({ columns: found, warnings: [] }, types).map((column, place): SourceColumn => {
				const before = recorded.get(column.name);
				const isPlain = sameType(column.type, found[place]!.type);
				return {
					...column,
					nullable: before === undefined || before.dropped === true || before.nullable,
					...(isPlain && before?.default !== undefined ? { defaultSql: before.default } : {}),
				};
			}),
			primaryKey: key.map(({ target }) => target),
			warnings: [],
		};
	}

	/** What the source said of a table's columns when its changes were archived, by the names that they have here. */
	async #recorded(stream: string, pipeline: string): Promise<ReadonlyMap<string, RecordedColumn>> {
		let last: { readonly columns: readonly RecordedColumn[]; readonly committedAt: string } | null = null;
		for (const head of await streamHeads(this.#hidden, pipeline))
			for (const schema of [head.schema, head.schemas?.[stream]])
				if (schema?.stream === stream && (last === null || last.committedAt < schema.committedAt)) last = schema;
		return new Map((last?.columns ?? []).map((column) => [column.target, column]));
	}
}

/** Where a file of a version is: it has its name from shortly after its commit on. */
export async function pathOfFile(dataFolder: string, name: string): Promise<string> {
	const path = join(dataFolder, name);
	// It may get its name between two looks.
	for (const candidate of [path, path + UNFINISHED_ENDING, path])
		if ((await stat(candidate).catch(() => null)) !== null) return candidate;
	throw new HeadraceError("E_FILE_NOT_FOUND", `${path} is gone, and with it changes of the archive`, { file: path });
}
