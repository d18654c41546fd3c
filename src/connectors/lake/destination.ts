import {
	type ColumnType,
	type CompactedTable,
	type CompactRequest,
	crashPoint,
	type Destination,
	type ExistingTable,
	type Field,
	type Finding,
	type Grant,
	HeadraceError,
	type LoadRequest,
	type LoadResult,
	type PositionRow,
	qualified,
	type RecordedSchema,
	type Staging,
	type TableName,
	type TargetTable,
	type TypeMapping,
	timestampText,
	type Write,
} from "../../core/index.ts";
import { compactTable } from "./compact.ts";
import { isStale, publishCurrent } from "./current.ts";
import type { LakeResources } from "./engine.ts";
import { GlueCatalog } from "./glue-catalog.ts";
import type { GlueOptions } from "./glue-client.ts";
import { type BuiltLoad, LoadBuilder } from "./load-builder.ts";
import { lakeGrants } from "./policies.ts";
import { type StreamEntry, StreamLog, streamHeads } from "./streams.ts";
import { type CommitBody, LakeTable } from "./table.ts";
import { fieldsOf, type LakeFile, type StreamRow, streamRow, type TableState } from "./table-state.ts";
import { hiveType, mapType } from "./types.ts";

export interface LakeOptions extends LakeResources {
	/** The folder or bucket that the lake is. The lake closes it. */
	readonly store: Staging;
	/** Columns whose values become folders: `country`, `day(created_at)`. Tables without them are not partitioned. */
	readonly partitionBy?: readonly string[];
	/** The catalogue to tell of the tables; the store has an address then. */
	readonly glue?: GlueOptions;
	/** How long files stay that no longer count, for readers that know them; default a day. */
	readonly retentionMs?: number;
}

const RETENTION_MS_DEFAULT = 24 * 3600 * 1000;
/** A load of staged files is worked out again when a compaction was committed meanwhile. */
const BUILDS_MAX = 3;

/**
 * Parquet files in a folder or a bucket. Files never change; commit files, of which each number is written once, say
 * which of them are the table, together with the position. See this folder's README for the layout.
 */
export function createLakeDestination(options: LakeOptions): Destination {
	return new LakeDestination(options);
}

class LakeDestination implements Destination {
	readonly accepts = { batches: true, formats: [] };
	readonly writes: readonly Write[] = ["replace", "merge", "append"];
	readonly #store: Staging;
	readonly #retentionMs: number;
	readonly #resources: LakeResources;
	readonly #builder: LoadBuilder;
	readonly #glue: GlueOptions | undefined;
	readonly #catalog: GlueCatalog | null;
	readonly #tables = new Map<string, LakeTable>();

	constructor(options: LakeOptions) {
		this.#store = options.store;
		this.#retentionMs = options.retentionMs ?? RETENTION_MS_DEFAULT;
		this.#resources = options;
		this.#glue = options.glue;
		this.#catalog = options.glue === undefined ? null : new GlueCatalog(options.store, options.glue);
		this.#builder = new LoadBuilder(options.store, options, options.partitionBy ?? []);
	}

	mapType(type: ColumnType): TypeMapping {
		return mapType(type);
	}

	/** Athena and Glue know lower case only. */
	foldName(name: string): string {
		return name;
	}

	async check(): Promise<Finding[]> {
		return [...(await this.#store.check()), ...((await this.#catalog?.check()) ?? [])];
	}

	async grants(tables: readonly TableName[]): Promise<Grant[]> {
		return [...((await this.#store.grants?.([])) ?? []), ...lakeGrants(this.#store, this.#glue, tables)];
	}

	async describe(name: TableName): Promise<ExistingTable | null> {
		const state = await this.#table(name).head();
		const form = state?.form ?? null;
		if (state === null || form === null) return null;
		return {
			columns: fieldsOf(form.columns).map(({ name: column, type, nullable }) => ({
				name: column,
				destinationType: hiveType(type),
				nullable,
			})),
			key: form.key,
			rows: state.rows,
		};
	}

	async planDdl(target: TargetTable, write: Write): Promise<string[]> {
		const table = this.#table(target.name);
		const state = await table.head();
		const { fields, levels, known } = this.#builder.formAfter(state, { target, write });
		this.#catalog?.checkForm(target.name, fields, levels);
		const text = (field: Field) => `${field.name} ${hiveType(field.type)}`;
		const folders = levels.length === 0 ? "" : ` partitioned by ${levels.map((level) => level.text).join(", ")}`;
		if (known === null) return [`create ${table.folder}${folders} -- parquet: ${fields.map(text).join(", ")}`];
		const isKnown = (field: Field) => known.some((old) => text(old) === text(field));
		const changed = fields.filter((field) => !isKnown(field));
		if (changed.length === 0 && fields.length === known.length) return [];
		return [`alter ${table.folder}${folders} -- parquet: ${changed.map(text).join(", ")}`];
	}

	/**
	 * A stream's epoch is in a log of its own; in each table that it ever loaded into a commit repeats it, so that a
	 * commit of an older run finds its row changed. Then its position is read.
	 */
	async takeOver(pipeline: string, streams: readonly string[]): Promise<Map<string, PositionRow>> {
		const taken: StreamEntry[] = [];
		for (const stream of streams) taken.push(await new StreamLog(this.#store, pipeline, stream).takeOver());
		crashPoint("lake-taken");
		for (const table of this.#tablesOf(taken)) {
			const own = taken.filter((entry) => entry.tables.some((name) => this.#table(name) === table));
			const state = await table.commit((head) => takeOverBody(head, pipeline, own));
			await this.#repair(table, state);
		}
		const rows = new Map<string, PositionRow>();
		for (const entry of taken) rows.set(entry.stream, await this.#positionOf(entry));
		return rows;
	}

	async positions(pipeline: string): Promise<PositionRow[]> {
		const heads = await streamHeads(this.#store, pipeline);
		for (const table of this.#tablesOf(heads)) await table.head();
		return Promise.all(heads.map((head) => this.#positionOf(head)));
	}

	async schemas(pipeline: string): Promise<RecordedSchema[]> {
		const last = new Map<string, RecordedSchema>();
		for (const table of this.#tablesOf(await streamHeads(this.#store, pipeline)))
			for (const recorded of (await table.head())?.recorded ?? []) {
				const { pipeline: of, ...schema } = recorded;
				const known = last.get(schema.stream);
				if (of === pipeline && (known === undefined || known.committedAt < schema.committedAt))
					last.set(schema.stream, schema);
			}
		return [...last.values()];
	}

	async committed(loadId: string): Promise<boolean> {
		for (const table of this.#tablesOf(await streamHeads(this.#store))) {
			const state = await table.head();
			if (state?.loads.some((load) => load.load_id === loadId) !== true) continue;
			await this.#repair(table, state);
			return true;
		}
		return false;
	}

	async load(request: LoadRequest): Promise<LoadResult> {
		if (request.write === "history")
			throw new HeadraceError("E_UNSUPPORTED", "the lake keeps no history of rows", {
				hint: "Use write: append, or load into a database.",
			});
		const { pipeline, stream, epoch, target } = request;
		// Before the first commit into a table: whoever takes the stream over must know where to look.
		const entry = await new StreamLog(this.#store, pipeline, stream).enter(epoch, target.name);
		checkRow(await this.#positionOf(entry), request);
		const table = this.#table(target.name);
		for (let attempt = 1; ; attempt++) {
			const base = await table.head();
			const { fields, levels } = this.#builder.formAfter(base, request);
			this.#catalog?.checkForm(target.name, fields, levels);
			const built = await this.#builder.build(request, table, base);
			const note = await this.#catalog?.announce(table, base);
			try {
				crashPoint("c08");
				const state = await table.commit((head) => loadBody(head, base, request, built));
				crashPoint("c10");
				const warnings = await this.#finishLoad(table, state, note);
				return { ...built.result, ...(warnings.length === 0 ? {} : { warnings }) };
			} catch (error) {
				const code = error instanceof HeadraceError ? error.code : null;
				// Only then it is certain that nothing was committed: a lost answer may still become true.
				if (code === "E_CONFLICT" || code === "E_FENCED") {
					await built.writer.discard();
					if (note !== undefined) await this.#catalog?.forget(note);
				}
				if (code !== "E_CONFLICT" || attempt === BUILDS_MAX || request.input.kind !== "files") throw error;
			}
		}
	}

	async compact(request: CompactRequest): Promise<CompactedTable[]> {
		const compacted: CompactedTable[] = [];
		for (const table of this.#tablesOf(await streamHeads(this.#store, request.pipeline))) {
			if (request.takes?.(table.name) === false) continue;
			const note = request.dryRun === true ? undefined : await this.#catalog?.announce(table, await table.head());
			const finish = (state: TableState) => this.#finish(table, state, "always", note);
			const done = await compactTable(this.#store, this.#resources, table, request, finish);
			if (done !== null) compacted.push(done);
		}
		return compacted;
	}

	/** The load is committed, whatever comes after it: it must not count as failed. */
	async #finishLoad(table: LakeTable, state: TableState | null, note: string | undefined): Promise<string[]> {
		try {
			await this.#finish(table, state, "always", note);
			return [];
		} catch (error) {
			if (!(error instanceof HeadraceError)) throw error;
			return [`${table.folder} is committed, but readers are not told yet: ${error.code} ${error.message}`];
		}
	}

	/** What an earlier run left undone; a catalogue that is not there now is told later. */
	async #repair(table: LakeTable, state: TableState | null): Promise<void> {
		try {
			await this.#finish(table, state, "when stale");
		} catch (error) {
			if (!(error instanceof HeadraceError)) throw error;
		}
	}

	/** What comes after a commit: readers' list, and cleaning. A fault of it is mended by the next run. */
	async #finish(
		table: LakeTable,
		state: TableState | null,
		when: "always" | "when stale",
		note?: string,
	): Promise<void> {
		if (state === null) return;
		if (state.form !== null) {
			const isAlways = when === "always";
			if (isAlways || (await isStale(this.#store, table, state))) await publishCurrent(this.#store, table, state);
			crashPoint("lake-current");
			if (isAlways || (await this.#catalog?.isPending(table)) === true)
				await this.#catalog?.publish(table, state, note);
		}
		await table.tidy(state);
	}

	/** The position of a stream is that of its last load, into whichever table. */
	async #positionOf(entry: StreamEntry): Promise<PositionRow> {
		const { pipeline, stream, epoch } = entry;
		let last: StreamRow | undefined;
		for (const name of entry.tables) {
			const row = streamRow(await this.#table(name).head(), pipeline, stream);
			if (row !== undefined && (last === undefined || row.seq > last.seq)) last = row;
		}
		const { seq = 0, position = null, loadId = null, schemaVersion = null, committedAt = null } = last ?? {};
		return { stream, epoch: Math.max(epoch, last?.epoch ?? 0), seq, position, loadId, schemaVersion, committedAt };
	}

	#tablesOf(entries: readonly StreamEntry[]): LakeTable[] {
		return [...new Set(entries.flatMap(({ tables }) => tables.map((name) => this.#table(name))))];
	}

	#table(name: TableName): LakeTable {
		const key = JSON.stringify([name.schema, name.name]);
		const table = this.#tables.get(key) ?? new LakeTable(this.#store, name, this.#retentionMs);
		this.#tables.set(key, table);
		return table;
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.#catalog?.close();
		await this.#store[Symbol.asyncDispose]();
	}
}

/** Repeats the epochs in a table. Null when it has them already, or higher ones. */
function takeOverBody(head: TableState | null, pipeline: string, entries: readonly StreamEntry[]): CommitBody | null {
	const streams = entries.flatMap(({ stream, epoch }): StreamRow[] => {
		const row = streamRow(head, pipeline, stream);
		if (row !== undefined && row.epoch >= epoch) return [];
		const none = { seq: 0, position: null, loadId: null, schemaVersion: null, committedAt: null };
		return [{ ...none, ...row, pipeline, stream, epoch }];
	});
	if (streams.length === 0) return null;
	return { kind: "take-over", added: [], removed: [], rows: head?.rows ?? 0, streams };
}

/** The commit of a load on top of a head that may be newer than what it was built on. */
function loadBody(
	head: TableState | null,
	base: TableState | null,
	request: LoadRequest,
	built: BuiltLoad,
): CommitBody {
	const { pipeline, stream, epoch, seq, loadId, fromPosition, toPosition, schemaVersion, schema, target } = request;
	const row = streamRow(head, pipeline, stream);
	if (row !== undefined) checkRow(row, request);
	const removed = removedFiles(head, base, request, built);
	const gone = new Set(removed.map(({ path }) => path));
	const left = (head?.files ?? []).filter(({ path }) => !gone.has(path));
	const committedAt = timestampText(BigInt(Date.now()) * 1000n);
	const { rowsInserted, rowsUpdated, rowsDeleted } = built.result;
	crashPoint("c09");
	return {
		kind: "load",
		adds_only: built.addsOnly,
		form: built.form,
		added: built.added,
		removed: [...gone],
		rows: [...left, ...built.added].reduce((sum, file) => sum + file.rows, 0),
		streams: [{ pipeline, stream, epoch, seq: seq + 1, position: toPosition, loadId, schemaVersion, committedAt }],
		load: {
			load_id: loadId,
			pipeline,
			table_name: qualified(target.name),
			from_position: fromPosition,
			to_position: toPosition,
			rows_inserted: rowsInserted,
			rows_updated: rowsUpdated,
			rows_deleted: rowsDeleted,
			committed_at: committedAt,
		},
		...(schema === undefined ? {} : { recorded: { ...schema, pipeline, version: schemaVersion, committedAt } }),
	};
}

/**
 * The files that a load takes out of the head. What only adds agrees with all but a change of columns; what looked at
 * rows agrees with a compaction of other files, and with nothing else.
 * @throws E_CONFLICT
 */
function removedFiles(
	head: TableState | null,
	base: TableState | null,
	request: LoadRequest,
	built: BuiltLoad,
): readonly LakeFile[] {
	if (head === null || head.entry === base?.entry) return built.removed;
	const live = new Set(head.files.map(({ path }) => path));
	const there = built.removed.filter(({ path }) => live.has(path));
	const isSameForm = JSON.stringify(head.form) === JSON.stringify(base?.form ?? null);
	const conflict = new HeadraceError(
		"E_CONFLICT",
		`another load of ${qualified(request.target.name)} or a compaction was committed meanwhile`,
	);
	if (built.addsOnly) {
		// Of such a load only files without rows go, which another may have taken out before.
		if (!isSameForm) throw conflict;
		return there;
	}
	if (head.last.load > (base?.entry ?? 0)) throw conflict;
	if (built.replacesAll) return head.files;
	if (there.length < built.removed.length) throw conflict;
	return built.removed;
}

/** The compare of the compare-and-set. @throws E_FENCED */
function checkRow(row: PositionRow, request: LoadRequest): void {
	if (row.epoch !== request.epoch || row.seq !== request.seq || row.position !== request.fromPosition)
		throw new HeadraceError("E_FENCED", `the position of ${request.stream} is no longer the one this run began with`);
}
