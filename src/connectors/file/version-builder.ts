import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import {
	type Batch,
	type Field,
	type FileFormat,
	type FormatName,
	HeadraceError,
	type LoadRequest,
	type LoadResult,
	qualified,
} from "../../core/index.ts";
import {
	checkUnique,
	Engine,
	type EngineConnection,
	fieldsAfter,
	Incoming,
	planOutcome,
	sameFields,
	stageIncoming,
} from "../../engine/index.ts";
import type { BuiltVersion } from "./built-version.ts";
import { writeEmptyFile } from "./empty-file.ts";
import { type FormatResources, ownTemporaryFolder } from "./formats.ts";
import { storedFields } from "./load-shape.ts";
import { destinationFormat, storedBatches, storedType } from "./stored-format.ts";
import type { StoredFile } from "./table-record.ts";
import type { CurrentTable } from "./table-versions.ts";
import { versionRelation } from "./version-relation.ts";

/** Less than this and the engine can't even write a group of narrow rows. */
const ENGINE_BYTES_MIN = 32 << 20;

const NO_ROWS: LoadResult = { rowsReceived: 0, rowsInserted: 0, rowsUpdated: 0, rowsDeleted: 0, rowsSuperseded: 0 };

export interface Written {
	readonly fields: readonly Field[];
	readonly files: readonly StoredFile[];
	readonly rows: number;
}

export interface Built extends Written {
	readonly result: LoadResult;
}

/** Writes the files of a table's next version. */
export class VersionBuilder {
	readonly #format: FormatName;
	readonly #resources: FormatResources;

	constructor(format: FormatName, resources: FormatResources) {
		this.#format = format;
		this.#resources = resources;
	}

	/**
	 * Rows that only replace or follow the others go straight to files; else the whole table is worked out again.
	 * @throws E_EMPTY, E_DUPLICATE_KEY, E_NULL_KEY, E_KEY_REQUIRED, E_SCHEMA, E_VALUE
	 */
	async build(request: LoadRequest, current: CurrentTable | null, building: BuiltVersion): Promise<Built> {
		const incoming = new Incoming(request);
		const fields = fieldsAfter(current === null ? null : storedFields(current), request, (type) =>
			storedType(type, this.#format),
		);
		const incomingFields = incoming.fields.map((field) => ({ ...field, type: storedType(field.type, this.#format) }));
		const batches = storedBatches(incoming.batches(), incoming.fields, this.#format);
		const writerBy = (resources: FormatResources) =>
			new VersionWriter(destinationFormat(this.#format, resources), building, request);
		const isReplace = request.write === "replace" && request.interval === undefined;
		const isPlainAppend =
			request.write === "append" &&
			request.interval === undefined &&
			request.overlap === undefined &&
			(current === null || sameFields(storedFields(current), fields));
		const isDirect = isPlainAppend || (isReplace && request.deletedColumn === undefined);
		if (isDirect && sameFields(fields, incomingFields)) {
			const files = await writerBy(this.#resources).write(fields, batches);
			return isReplace
				? this.#replaced(request, current, building, { fields, files, rows: incoming.rows })
				: this.#appended(current, building, { fields, files, rows: incoming.rows });
		}
		const writer = writerBy(this.#share);
		return this.#reworked(request, current, { incoming, incomingFields, batches, fields, writer, isReplace });
	}

	async #replaced(
		request: LoadRequest,
		current: CurrentTable | null,
		building: BuiltVersion,
		written: Written,
	): Promise<Built> {
		const rowsDeleted = current?.record.rows ?? 0;
		if (written.rows === 0 && rowsDeleted > 0 && request.allowEmpty !== true)
			throw new HeadraceError("E_EMPTY", `no rows came for ${qualified(request.target.name)}, which has some`);
		if (request.target.key.length > 0 && written.rows > 0)
			await this.#withEngine(building.dataFolder, async (connection) => {
				const paths = written.files.map((file) => building.unfinishedPath(file.name));
				await checkUnique(
					connection,
					await this.#relation(connection, paths, written.fields, request.bufferBytesMax),
					request,
				);
			});
		return { ...written, result: { ...NO_ROWS, rowsReceived: written.rows, rowsInserted: written.rows, rowsDeleted } };
	}

	async #appended(current: CurrentTable | null, building: BuiltVersion, written: Written): Promise<Built> {
		const old = current?.record.files.filter((file) => file.rows > 0 || written.rows === 0) ?? [];
		for (const file of old) await building.adopt(join(current!.dataFolder, file.name), file.name);
		// The empty file of a load without rows is only there to say what columns a table has.
		const files = old.length > 0 && written.rows === 0 ? [] : written.files;
		for (const file of written.files) if (!files.includes(file)) await building.drop(file.name);
		return {
			fields: written.fields,
			files: [...old, ...files],
			rows: (current?.record.rows ?? 0) + written.rows,
			result: { ...NO_ROWS, rowsReceived: written.rows, rowsInserted: written.rows },
		};
	}

	/** The whole table again, by way of the engine. */
	async #reworked(request: LoadRequest, current: CurrentTable | null, parts: ReworkParts): Promise<Built> {
		const { incoming, incomingFields, batches, fields, writer, isReplace } = parts;
		return this.#withEngine(current?.dataFolder, async (connection) => {
			const old = current === null || isReplace ? null : current;
			const existing =
				old === null
					? null
					: {
							fields: storedFields(old),
							relation: await this.#relation(
								connection,
								old.record.files.map((file) => join(old.dataFolder, file.name)),
								storedFields(old),
								request.bufferBytesMax,
							),
						};
			const staged = await stageIncoming(connection, request, { fields: incomingFields, batches });
			const outcome = await planOutcome(connection, request, staged, fields, existing);
			if (isReplace && incoming.rows === 0 && (current?.record.rows ?? 0) > 0 && request.allowEmpty !== true)
				throw new HeadraceError("E_EMPTY", `no rows came for ${qualified(request.target.name)}, which has some`);
			if (isReplace) await checkUnique(connection, "incoming", request);
			const { batches: rows } = await connection.stream(
				outcome.sql,
				request.signal === undefined ? {} : { signal: request.signal },
			);
			const files = await writer.write(fields, rows);
			const written = files.reduce((sum, file) => sum + file.rows, 0);
			if (written !== outcome.rows)
				throw new HeadraceError("E_RECEIPT", `${written} rows were written where ${outcome.rows} were expected`);
			const rowsDeleted = outcome.result.rowsDeleted + (isReplace ? (current?.record.rows ?? 0) : 0);
			return { fields, files, rows: written, result: { ...outcome.result, rowsDeleted } };
		});
	}

	#relation(connection: EngineConnection, paths: readonly string[], fields: readonly Field[], bufferBytesMax: number) {
		const format = destinationFormat(this.#format, this.#share);
		const read = (path: string, all: readonly Field[]): AsyncIterable<Batch> => format.read(path, all);
		return versionRelation(connection, { paths, fields, read, isParquet: this.#format === "parquet" }, bufferBytesMax);
	}

	/** Two engines may be open at once, one that works the rows out and one that writes them. */
	get #share(): FormatResources {
		const { memoryBytes } = this.#resources;
		return ownTemporaryFolder({
			...this.#resources,
			...(memoryBytes === undefined ? {} : { memoryBytes: Math.max(ENGINE_BYTES_MIN, Math.floor(memoryBytes / 2)) }),
		});
	}

	async #withEngine<T>(folder: string | undefined, work: (connection: EngineConnection) => Promise<T>): Promise<T> {
		const { memoryBytes, temporaryDirectory } = this.#share;
		if (temporaryDirectory !== undefined) await mkdir(dirname(temporaryDirectory), { recursive: true, mode: 0o700 });
		await using engine = await Engine.open({
			allowedDirectories: folder === undefined ? [] : [folder],
			...(memoryBytes === undefined ? {} : { memoryBytes }),
			...(temporaryDirectory === undefined ? {} : { tempDirectory: temporaryDirectory }),
		});
		await using connection = await engine.connect();
		return await work(connection);
	}
}

interface ReworkParts {
	readonly incoming: Incoming;
	readonly incomingFields: readonly Field[];
	readonly batches: AsyncIterable<Batch>;
	readonly fields: readonly Field[];
	readonly writer: VersionWriter;
	readonly isReplace: boolean;
}

/** Writes the files of a version; their names hold the load's, so that no two versions have different files of one name. */
class VersionWriter {
	readonly #format: FileFormat;
	readonly #building: BuiltVersion;
	readonly #request: LoadRequest;

	constructor(format: FileFormat, building: BuiltVersion, request: LoadRequest) {
		this.#format = format;
		this.#building = building;
		this.#request = request;
	}

	/** Without rows one file is written all the same: it has the columns. */
	async write(fields: readonly Field[], batches: AsyncIterable<Batch>): Promise<StoredFile[]> {
		const files: StoredFile[] = [];
		const names = new Map<string, string>();
		const nextPath = async (): Promise<string> => {
			const number = String(names.size).padStart(5, "0");
			const name = `part-${this.#request.loadId}-${number}.${this.#format.extension}`;
			const path = this.#building.pathFor(name);
			names.set(path, name);
			return path;
		};
		await this.#format.write({
			fields,
			batches,
			nextPath,
			written: async (path, rows) => {
				files.push({ name: names.get(path)!, rows });
			},
			bufferBytesMax: this.#request.bufferBytesMax,
		});
		if (files.length === 0) {
			const path = await nextPath();
			await writeEmptyFile(path, fields, this.#format.name);
			files.push({ name: names.get(path)!, rows: 0 });
		}
		return files.sort((a, b) => (a.name < b.name ? -1 : 1));
	}
}
