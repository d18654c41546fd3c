import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import {
	acquireTurn,
	type ColumnType,
	type CompactedTable,
	type CompactRequest,
	committedLoad,
	crashPoint,
	type Destination,
	type ExistingTable,
	expectedRow,
	type Field,
	type Finding,
	type FormatName,
	HeadraceError,
	type LoadRequest,
	type LoadResult,
	type PositionRow,
	qualified,
	type RecordedSchema,
	type TableName,
	type TargetTable,
	timestampText,
	typeName,
	type Write,
} from "../../core/index.ts";
import { fieldsAfter, sameFields } from "../../engine/index.ts";
import { diskError, makeFolders } from "../../formats/index.ts";
import { compactChanges } from "./archive-compact.ts";
import { BuiltVersion } from "./built-version.ts";
import { FileChanges } from "./changes.ts";
import type { FormatResources } from "./formats.ts";
import { HIDDEN_FOLDER, tableFolder } from "./layout.ts";
import { storedFields } from "./load-shape.ts";
import { storedMapping, storedType } from "./stored-format.ts";
import { type StreamEntry, StreamLog, streamHeads } from "./stream-log.ts";
import { type CurrentTable, TableVersions } from "./table-versions.ts";
import { type Built, VersionBuilder } from "./version-builder.ts";

export interface FileDestinationOptions extends FormatResources {
	/** A folder; made when it is missing. */
	readonly path: string;
	readonly format?: FormatName;
}

/**
 * A folder of tables: `<path>/<schema>.<table>/part-….parquet`. Each load makes a new version of its table, whole and
 * on disk, and shows it by renaming one link; a reader sees the old or the new rows, never a mixture. See this folder's
 * README for the layout.
 */
export async function createFileDestination(options: FileDestinationOptions): Promise<Destination> {
	const root = resolve(options.path);
	const found = await stat(root).catch(() => null);
	if (found !== null && !found.isDirectory())
		throw new HeadraceError("E_UNSUPPORTED", `${options.path} is a file; a destination is a folder`, {
			hint: "Write the folder's path; each table gets a folder in it.",
		});
	return new FileDestination(root, options);
}

class FileDestination implements Destination {
	readonly accepts = { batches: true, formats: [] };
	readonly writes: readonly Write[] = ["replace", "merge", "append"];
	readonly #root: string;
	readonly #hidden: string;
	readonly #format: FormatName;
	readonly #builder: VersionBuilder;
	readonly changes: FileChanges;
	readonly compactsAlone = true;
	readonly #resources: FormatResources;

	constructor(root: string, options: FileDestinationOptions) {
		this.#root = root;
		this.#hidden = join(root, HIDDEN_FOLDER);
		this.#format = options.format ?? "parquet";
		this.#resources = options;
		this.#builder = new VersionBuilder(this.#format, options);
		this.changes = new FileChanges({
			root,
			hidden: this.#hidden,
			format: this.#format,
			resources: options,
			checkFormat: (current) => this.#checkFormat(current),
		});
	}

	mapType(type: ColumnType) {
		return storedMapping(type, this.#format);
	}

	foldName(name: string): string {
		return name;
	}

	async check(): Promise<Finding[]> {
		try {
			await makeFolders(this.#hidden, 0o777);
			const probe = await BuiltVersion.begin(this.#root);
			await probe.discard();
			return [{ severity: "ok", message: `${this.#root} can be written` }];
		} catch (error) {
			const fault = diskError(error, this.#root);
			if (!(fault instanceof HeadraceError)) throw fault;
			return [{ severity: "error", message: fault.message, remedy: fault.hint }];
		}
	}

	async describe(table: TableName): Promise<ExistingTable | null> {
		const current = await new TableVersions(this.#root, tableFolder(table)).current();
		if (current === null) return null;
		this.#checkFormat(current);
		return {
			columns: storedFields(current).map(({ name, type, nullable }) => ({
				name,
				destinationType: this.mapType(type).destinationType,
				nullable,
			})),
			key: current.record.key,
			rows: current.record.rows,
		};
	}

	async planDdl(target: TargetTable, write: Write): Promise<string[]> {
		const current = await new TableVersions(this.#root, tableFolder(target.name)).current();
		const fields = fieldsAfter(current === null ? null : storedFields(current), { target, write }, (type) =>
			storedType(type, this.#format),
		);
		const text = (field: Field) => `${field.name} ${this.mapType(field.type).destinationType}`;
		const folder = tableFolder(target.name);
		if (current === null) return [`mkdir ${folder} -- ${this.#format}: ${fields.map(text).join(", ")}`];
		const old = storedFields(current);
		if (sameFields(old, fields)) return [];
		const changed = fields.filter((field) => !old.some((other) => sameFields([other], [field])));
		const does = current.record.follows === undefined ? "rewrite" : "new columns in";
		return [`${does} ${folder} -- ${this.#format}: ${changed.map(text).join(", ")}`];
	}

	async takeOver(pipeline: string, streams: readonly string[]): Promise<Map<string, PositionRow>> {
		const rows = new Map<string, PositionRow>();
		for (const stream of streams) {
			const head = await this.#raiseEpoch(new StreamLog(this.#hidden, pipeline, stream), stream);
			await this.#showCommitted([head]);
			await this.changes.sweep(head);
			rows.set(stream, positionRow(head));
		}
		return rows;
	}

	/** Shows readers what a run committed that died before it could. */
	async #showCommitted(heads: readonly StreamEntry[]): Promise<void> {
		for (const head of heads) {
			for (const folder of Object.keys(head.tables)) await new TableVersions(this.#root, folder).current();
			await this.changes.show(head);
		}
	}

	async #raiseEpoch(log: StreamLog, stream: string): Promise<StreamEntry> {
		for (let attempt = 1; ; attempt++) {
			const head = await log.head();
			const row = head ?? { seq: 0, position: null, loadId: null, schemaVersion: null, committedAt: null, tables: {} };
			const { seq, position, loadId, schemaVersion, committedAt, tables } = row;
			try {
				return await log.append(head, {
					epoch: (head?.epoch ?? 0) + 1,
					seq,
					position,
					loadId,
					schemaVersion,
					committedAt,
					tables,
				});
			} catch (error) {
				// Another run took it over, or committed, at the same moment: what it left is taken over then.
				if (!(error instanceof HeadraceError) || error.code !== "E_FENCED" || attempt === 100)
					throw error instanceof HeadraceError ? error.at({ table: stream }) : diskError(error, this.#root);
			}
		}
	}

	async positions(pipeline: string): Promise<PositionRow[]> {
		return (await streamHeads(this.#hidden, pipeline)).map(positionRow);
	}

	/** Each interval of a table has a log of its own: the last that any of them recorded is the table's. */
	async schemas(pipeline: string): Promise<RecordedSchema[]> {
		const last = new Map<string, RecordedSchema>();
		for (const { schema, schemas = {} } of await streamHeads(this.#hidden, pipeline))
			for (const recorded of [...Object.values(schemas), ...(schema === undefined ? [] : [schema])]) {
				const known = last.get(recorded.stream);
				if (known === undefined || known.committedAt < recorded.committedAt) last.set(recorded.stream, recorded);
			}
		return [...last.values()];
	}

	async committed(loadId: string): Promise<boolean> {
		const heads = await streamHeads(this.#hidden);
		const holding = heads.filter((head) => head.loads.some((load) => load.load_id === loadId));
		await this.#showCommitted(holding);
		return holding.length > 0;
	}

	/** @throws E_UNSUPPORTED when nothing in the folder is an archive of the pipeline's changes in Parquet */
	async compact(request: CompactRequest): Promise<CompactedTable[]> {
		const heads = (await streamHeads(this.#hidden, request.pipeline)).filter(({ journal }) => journal !== undefined);
		if (heads.length === 0 || this.#format !== "parquet")
			throw new HeadraceError("E_UNSUPPORTED", `${this.#root} has no changes of ${request.pipeline} in Parquet`, {
				hint: "compact is for what mode cdc has added to a folder, and for lakes.",
			});
		const compacted: CompactedTable[] = [];
		for (const { stream } of heads) {
			// Whoever adds to the tables elsewhere is fenced off, and what it left is removed.
			if (request.dryRun !== true) await this.takeOver(request.pipeline, [stream]);
			const log = new StreamLog(this.#hidden, request.pipeline, stream);
			const head = await log.head();
			const context = { root: this.#root, hidden: this.#hidden, resources: this.#resources };
			if (head !== null) compacted.push(...(await compactChanges(context, log, head, request)));
		}
		return compacted;
	}

	async load(request: LoadRequest): Promise<LoadResult> {
		if (request.write === "history")
			throw new HeadraceError("E_UNSUPPORTED", "a folder of files keeps no history of rows", {
				hint: "Use write: append, or load into a database.",
			});
		const versions = new TableVersions(this.#root, tableFolder(request.target.name));
		// Each load builds on the version before it: two intervals of a table, side by side, take turns.
		const endTurn = await acquireTurn(join(this.#root, versions.folder));
		try {
			return await this.#load(request, versions);
		} finally {
			endTurn();
		}
	}

	async #load(request: LoadRequest, versions: TableVersions): Promise<LoadResult> {
		const log = new StreamLog(this.#hidden, request.pipeline, request.stream);
		// Asked twice: a run that is fenced already must not read everything to learn it.
		const head = expectedRow(await log.head(), request);
		const current = await versions.current();
		if (current !== null) this.#checkFormat(current);
		if (current?.record.follows !== undefined && (request.write !== "replace" || request.interval !== undefined))
			throw new HeadraceError(
				"E_UNSUPPORTED",
				`${qualified(request.target.name)} is a table that changes of a log are added to: other loads can only replace it`,
				{ hint: "Write `into:` another name." },
			);
		const building = await BuiltVersion.begin(this.#root);
		try {
			const built = await this.#builder.build(request, current, building);
			crashPoint("c08");
			expectedRow(await log.head(), request);
			await this.#commit(request, { log, head, versions, current, building, built });
			return built.result;
		} catch (error) {
			if (error instanceof HeadraceError && error.reaction === "retry") throw error;
			// A run that is behind finds files gone that it builds on: say which it is.
			expectedRow(await log.head(), request);
			if (!(await versions.isNewest(current?.record.version)))
				throw new HeadraceError("E_CONFLICT", `another load of ${versions.folder} was committed meanwhile`, {
					cause: error,
				});
			throw diskError(error, join(this.#root, versions.folder));
		} finally {
			await building.discard();
		}
	}

	/** The commit is the new entry of the stream's log: it holds the position, and names the version that it is about. */
	async #commit(request: LoadRequest, parts: CommitParts): Promise<void> {
		const { log, head, versions, current, building, built } = parts;
		const { pipeline, stream, loadId, fromPosition, toPosition, schemaVersion, target } = request;
		const version = await versions.place(
			building,
			{
				format_version: 1,
				table: target.name,
				format: this.#format,
				columns: built.fields.map(({ name, type, nullable }) => ({ name, type: typeName(type), nullable })),
				key: target.key,
				rows: built.rows,
				files: built.files,
				pipeline,
				stream,
				epoch: request.epoch,
				load_id: loadId,
				from_position: fromPosition,
				to_position: toPosition,
			},
			current?.record.version ?? 0,
		);
		crashPoint("c09");
		const committedAt = timestampText(BigInt(Date.now()) * 1000n);
		const { schema } = request;
		try {
			await log.append(head, {
				epoch: request.epoch,
				seq: request.seq + 1,
				position: toPosition,
				loadId,
				schemaVersion,
				committedAt,
				tables: { ...head.tables, [versions.folder]: { version, load_id: loadId } },
				...(schema === undefined ? {} : { schema: { ...schema, version: schemaVersion, committedAt } }),
				loads: [committedLoad(request, { loadId, table: qualified(target.name), result: built.result }, committedAt)],
			});
		} catch (error) {
			if (error instanceof HeadraceError && error.code === "E_FENCED") await versions.withdraw(version);
			throw error;
		}
		crashPoint("c10");
		await versions.publish(version);
	}

	/** A folder keeps one format: files of two would not be one table to any reader. */
	#checkFormat(current: CurrentTable): void {
		if (current.record.format !== this.#format)
			throw new HeadraceError(
				"E_UNSUPPORTED",
				`${qualified(current.record.table)} is kept as ${current.record.format}, not ${this.#format}`,
				{ hint: `Write format: ${current.record.format}, or another path.` },
			);
	}

	async [Symbol.asyncDispose](): Promise<void> {}
}

interface CommitParts {
	readonly log: StreamLog;
	readonly head: StreamEntry;
	readonly versions: TableVersions;
	readonly current: CurrentTable | null;
	readonly building: BuiltVersion;
	readonly built: Built;
}

function positionRow({ stream, epoch, seq, position, loadId, schemaVersion, committedAt }: StreamEntry): PositionRow {
	return { stream, epoch, seq, position, loadId, schemaVersion, committedAt };
}
