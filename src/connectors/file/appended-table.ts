import { chmod, readdir, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import {
	type ApplyRequest,
	type Batch,
	CHANGE_ABSENT_COLUMN,
	type ChangesPart,
	type Field,
	type FormatName,
	HeadraceError,
	qualified,
	type TargetTable,
	typeName,
} from "../../core/index.ts";
import { fieldsAfter, Incoming, sameFields } from "../../engine/index.ts";
import { syncFile, syncFolder } from "../../formats/index.ts";
import { BuiltVersion, UNFINISHED_ENDING } from "./built-version.ts";
import { type JournalPart, recordNumber } from "./change-journal.ts";
import { writeEmptyFile } from "./empty-file.ts";
import { type FormatResources, ownTemporaryFolder } from "./formats.ts";
import { storedFields } from "./load-shape.ts";
import { PartOfBatch } from "./part-of-batch.ts";
import { destinationFormat, storedBatches, storedType } from "./stored-format.ts";
import type { FollowedRecord, StoredFile } from "./table-record.ts";
import type { CurrentTable, TableVersions } from "./table-versions.ts";

interface AppendedTableOptions {
	readonly root: string;
	readonly format: FormatName;
	readonly resources: FormatResources;
	readonly versions: TableVersions;
	/** Null: the table is made. */
	readonly current: CurrentTable | null;
	/** The load that the table's rows began with. */
	readonly origin: string;
	/** Of the journal's record that names the files. */
	readonly number: number;
	/** Tells files of this attempt from those of one that died. */
	readonly tag: string;
}

/**
 * The files that one flush adds to a table. As a rule they come to those of its version; a table that is new, was not
 * followed before, or gets other columns, gets a new version, which has the old files too.
 */
export class AppendedTable {
	readonly folder: string;
	readonly current: CurrentTable | null;
	readonly parts: JournalPart[] = [];
	readonly #options: AppendedTableOptions;
	readonly #written: string[] = [];
	#target: TargetTable | null = null;
	#stream: string | null = null;
	#fields: Field[] | null = null;
	#defaults: Record<string, string>;
	#building: BuiltVersion | null = null;
	#version: number | null = null;
	#rows = 0;
	/** Whether what is written may be committed already. */
	#isOffered = false;

	constructor(options: AppendedTableOptions) {
		this.#options = options;
		this.current = options.current;
		this.folder = options.versions.folder;
		this.#fields = options.current === null ? null : storedFields(options.current);
		this.#defaults = { ...options.current?.record.follows?.defaults };
	}

	/** A part that will be written, in its order. @throws E_SCHEMA */
	expect({ target, schema }: ChangesPart): void {
		const known = new Set(this.#fields?.map(({ name }) => name) ?? []);
		if (this.#fields !== null)
			for (const { name, fill, defaultSql } of target.columns)
				if (fill === true && defaultSql !== undefined && !known.has(name)) this.#defaults[name] = defaultSql;
		// What was written under a column's old name stays under it.
		const columns = target.columns.map(({ renamedFrom: _old, ...column }) => column);
		const shape = { target: { ...target, columns }, write: "append" as const };
		this.#fields = fieldsAfter(this.#fields, shape, (type) => storedType(type, this.#options.format));
		this.#target = target;
		this.#stream = schema?.stream ?? this.#stream;
	}

	/** Writes the rows of a part, durably; gives how many. @throws E_BASE_MISSING, E_VALUE */
	async write(part: ChangesPart, { bufferBytesMax, signal }: ApplyRequest): Promise<number> {
		const { format, resources, number, tag } = this.#options;
		const target = { ...part.target, key: [] };
		const incoming = new Incoming({ target, input: part.input, ...(signal === undefined ? {} : { signal }) });
		const names = new Map(part.input.fields.map(({ name }, place) => [name, place]));
		const own = target.columns.map(({ name }) => part.input.fields[names.get(name)!]!);
		const fields = own.map((field) => ({ ...field, type: storedType(field.type, format) }));
		const files = new Map<string, StoredFile>();
		const prefix = `since-${recordNumber(number)}-${tag}-${String(this.parts.length).padStart(5, "0")}`;
		const { extension } = destinationFormat(format, resources);
		const nextPath = async () => {
			const name = `${prefix}-${String(files.size).padStart(5, "0")}.${extension}`;
			const path = await this.#pathFor(name);
			files.set(path, { name, rows: 0 });
			return path;
		};
		await destinationFormat(format, ownTemporaryFolder(resources)).write({
			fields,
			batches: storedBatches(ownColumns(part, incoming.batches(), own), own, format),
			nextPath,
			written: async (path, rows) => {
				files.set(path, { ...files.get(path)!, rows });
			},
			bufferBytesMax,
		});
		if (files.size === 0 && this.current === null && this.parts.length === 0)
			await writeEmptyFile(await nextPath(), fields, format);
		if (files.size === 0) return incoming.rows;
		this.#rows += incoming.rows;
		this.parts.push({
			folder: this.folder,
			origin: this.#options.origin,
			columns: fields.map(({ name, type, nullable }) => ({ name, type: typeName(type), nullable })),
			files: [...files.values()],
			bytes: await bytesOf([...files.keys()]),
		});
		return incoming.rows;
	}

	/** Whether the table gets a new version. */
	get #isRemade(): boolean {
		const { current } = this;
		return current?.record.follows === undefined || !sameFields(storedFields(current), this.#fields!);
	}

	async #pathFor(name: string): Promise<string> {
		if (this.#isRemade) {
			this.#building ??= await BuiltVersion.begin(this.#options.root);
			return this.#building.pathFor(name);
		}
		const path = join(this.current!.dataFolder, name + UNFINISHED_ENDING);
		this.#written.push(path);
		return path;
	}

	/**
	 * Puts what was written where the commit will find it. Gives the table's new version, when it gets one.
	 * @throws E_CONFLICT when another load of the table came first
	 */
	async place(request: ApplyRequest): Promise<number | null> {
		const { versions, format, origin } = this.#options;
		const { current } = this;
		const files = this.parts.flatMap((part) => part.files);
		if (this.#building === null) {
			for (const path of this.#written) {
				await chmod(path, 0o666 & ~process.umask());
				await syncFile(path);
			}
			if (this.#written.length > 0) await syncFolder(current!.dataFolder);
			if (current !== null && !(await versions.isNewest(current.record.version)))
				throw new HeadraceError("E_CONFLICT", `another load of ${this.folder} was committed meanwhile`);
			return null;
		}
		if (current !== null)
			for (const name of await readdir(current.dataFolder))
				if (!name.endsWith(UNFINISHED_ENDING)) await this.#building.adopt(join(current.dataFolder, name), name);
		const follows: FollowedRecord = {
			origin,
			stream: this.#stream ?? current?.record.follows?.stream ?? current?.record.stream ?? request.stream,
			defaults: this.#defaults,
			...(current?.record.follows?.compacted === undefined ? {} : { compacted: current.record.follows.compacted }),
		};
		const { name, key } = this.#target!;
		this.#version = await versions.place(
			this.#building,
			{
				format_version: 1,
				table: name,
				format,
				columns: this.#fields!.map((field) => ({ ...field, type: typeName(field.type) })),
				key,
				rows: (current?.record.rows ?? 0) + this.#rows,
				files: [...(current?.record.files ?? []), ...files],
				pipeline: request.pipeline,
				stream: request.stream,
				epoch: request.epoch,
				load_id: request.loadId,
				from_position: request.fromPosition,
				to_position: request.toPosition,
				follows,
			},
			current?.record.version ?? 0,
		);
		return this.#version;
	}

	/** From now on only the stream's log says whether what was written counts. */
	offer(): void {
		this.#isOffered = true;
	}

	/** Shows readers a new version. */
	async publish(): Promise<void> {
		if (this.#version !== null) await this.#options.versions.publish(this.#version);
	}

	/** The commit came too late. */
	async withdraw(): Promise<void> {
		this.#isOffered = false;
		if (this.#version !== null) await this.#options.versions.withdraw(this.#version);
	}

	/** Removes what was written and never offered. */
	async discard(): Promise<void> {
		await this.#building?.discard();
		if (this.#isOffered) return;
		for (const path of this.#written) await unlink(path).catch(() => {});
	}
}

/** How much files are together. */
export async function bytesOf(paths: readonly string[]): Promise<number> {
	let bytes = 0;
	for (const path of paths) bytes += (await stat(path)).size;
	return bytes;
}

/** Rows without what only says how they are to be applied. @throws E_BASE_MISSING for one that does not tell all */
async function* ownColumns(
	part: ChangesPart,
	batches: AsyncIterable<Batch>,
	own: readonly Field[],
): AsyncGenerator<Batch, void, undefined> {
	const { fields } = part.input;
	if (fields.length === own.length) {
		yield* batches;
		return;
	}
	const absent = fields.findIndex(({ name }) => name === CHANGE_ABSENT_COLUMN);
	const places = own.map(({ name }) => fields.findIndex((field) => field.name === name));
	for await (const batch of batches) {
		const isPartial = part.partial && batch.columns[absent]!.nullCount < batch.rowCount;
		if (isPartial) {
			batch.release();
			const table = qualified(part.target.name);
			throw new HeadraceError(
				"E_BASE_MISSING",
				`changes of ${table} do not tell all their columns, and append has no row that they could be taken from`,
				{ table, hint: "Write before_images: true, which keeps such rows as they are." },
			);
		}
		yield new PartOfBatch(batch, places);
	}
}
