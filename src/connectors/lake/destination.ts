import {
	type ColumnType,
	type CompactedTable,
	type CompactRequest,
	crashPoint,
	type Destination,
	type ExistingTable,
	expectedRow,
	type Field,
	type Finding,
	type Grant,
	HeadraceError,
	type LoadRequest,
	type LoadResult,
	type PositionRow,
	type RecordedSchema,
	type Staging,
	type TableName,
	type TargetTable,
	type TypeMapping,
	type Verify,
	type Write,
} from "../../core/index.ts";
import { followedRow, LakeChanges } from "./changes.ts";
import { compactTable } from "./compact.ts";
import { isStale, publishCurrent } from "./current.ts";
import type { LakeResources } from "./engine.ts";
import { GlueCatalog } from "./glue-catalog.ts";
import type { GlueOptions } from "./glue-client.ts";
import { type BuiltLoad, LoadBuilder } from "./load-builder.ts";
import { loadBody } from "./load-commit.ts";
import { PipelineLists } from "./pipeline-list.ts";
import { lakeGrants } from "./policies.ts";
import { LakeReads } from "./reads.ts";
import { type StreamEntry, StreamLog, streamHeads } from "./streams.ts";
import { type CommitBody, LakeTable, type TableTimes } from "./table.ts";
import { fieldsOf, type StreamRow, streamRow, type TableState } from "./table-state.ts";
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
	/** How long a table waits for the end of another process's transaction before it refuses it; default 10 s. */
	readonly transactionWaitMs?: number;
}

const RETENTION_MS_DEFAULT = 24 * 3600 * 1000;
const TRANSACTION_WAIT_MS_DEFAULT = 10_000;
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
	readonly changes: LakeChanges;
	readonly reads: LakeReads;
	readonly #store: Staging;
	readonly #times: TableTimes;
	readonly #resources: LakeResources;
	readonly #builder: LoadBuilder;
	readonly #glue: GlueOptions | undefined;
	readonly #catalog: GlueCatalog | null;
	readonly #tables = new Map<string, LakeTable>();
	readonly #lists: PipelineLists;

	constructor(options: LakeOptions) {
		this.#store = options.store;
		this.#times = {
			retentionMs: options.retentionMs ?? RETENTION_MS_DEFAULT,
			transactionWaitMs: options.transactionWaitMs ?? TRANSACTION_WAIT_MS_DEFAULT,
		};
		this.#resources = options;
		this.#glue = options.glue;
		this.#catalog = options.glue === undefined ? null : new GlueCatalog(options.store, options.glue);
		const partitionBy = options.partitionBy ?? [];
		this.#builder = new LoadBuilder(options.store, options, partitionBy);
		this.reads = new LakeReads(options.store, options, (name) => this.#table(name));
		this.#lists = new PipelineLists(options.store, (name) => this.#table(name));
		this.changes = new LakeChanges({
			store: options.store,
			resources: options,
			partitionBy,
			table: (name) => this.#table(name),
			expectPosition: async (entry, request) => void expectedRow(await this.#positionOf(entry), request),
			checkForm: (name, fields, levels) => this.#catalog?.checkForm(name, fields, levels),
			announce: async (table, base) => this.#catalog?.announce(table, base),
			forget: async (note) => this.#catalog?.forget(note),
			finish: (table, state, note) => this.#finishLoad(table, state, note),
			publishAll: (entry, states) => this.#publishAll(entry, states),
		});
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
		this.#lists.forget(pipeline);
		const taken: StreamEntry[] = [];
		for (const stream of streams) taken.push(await new StreamLog(this.#store, pipeline, stream).takeOver());
		crashPoint("lake-taken");
		for (const entry of taken) await this.#repairUntold(entry);
		for (const table of this.#loadedBy(taken)) {
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
		const heads = await streamHeads(this.#store);
		const follower = heads.find(({ changes }) => changes?.loads.includes(loadId) === true);
		if (follower !== undefined) {
			await this.#repairUntold(follower);
			return true;
		}
		for (const table of this.#tablesOf(heads)) {
			const state = await table.head();
			if (state?.loads.some((load) => load.load_id === loadId) !== true) continue;
			await this.#repair(table, state);
			return true;
		}
		return false;
	}

	async load(request: LoadRequest): Promise<LoadResult> {
		if (request.write === "history")
			throw new HeadraceError("E_UNSUPPORTED", "only the changes of a log have a history", { hint: "Use mode: cdc." });
		const { pipeline, stream, epoch, target } = request;
		this.#lists.forget(pipeline);
		// Before the first commit into a table: whoever takes the stream over must know where to look.
		const entry = await new StreamLog(this.#store, pipeline, stream).enter(epoch, target.name);
		expectedRow(await this.#positionOf(entry), request);
		const table = this.#table(target.name);
		for (let attempt = 1; ; attempt++) {
			const base = await table.head();
			const { fields, levels } = this.#builder.formAfter(base, request);
			this.#catalog?.checkForm(target.name, fields, levels);
			const built = await this.#builder.build(request, table, base);
			if (request.verify !== undefined) await this.#verify(table, base, built, request.verify);
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

	async #verify(table: LakeTable, base: TableState | null, built: BuiltLoad, verify: Verify): Promise<void> {
		try {
			await this.reads.verify(table.name, base, built, verify);
		} catch (error) {
			await built.writer.discard();
			throw error;
		}
	}

	async compact(request: CompactRequest): Promise<CompactedTable[]> {
		const compacted: CompactedTable[] = [];
		const heads = await streamHeads(this.#store, request.pipeline);
		for (const table of this.#tablesOf(heads)) {
			if (request.takes?.(table.name) === false) continue;
			const note = request.dryRun === true ? undefined : await this.#catalog?.announce(table, await table.head());
			const finish = (state: TableState) => this.#finish(table, state, "always", note);
			const done = await compactTable(this.#store, this.#resources, table, request, finish);
			if (done !== null) compacted.push(done);
		}
		if (request.dryRun !== true)
			for (const head of heads) if (head.changes !== undefined) await this.#lists.publish(head);
		return compacted;
	}

	/** The load is committed, whatever comes after it: it must not count as failed. */
	async #finishLoad(table: LakeTable, state: TableState | null, note: string | undefined): Promise<string[]> {
		const error = await undisturbed(() => this.#finish(table, state, "always", note));
		if (error === null) return [];
		return [`${table.folder} is committed, but readers are not told yet: ${error.code} ${error.message}`];
	}

	/** What an earlier run left undone; a catalogue that is not there now is told later. */
	async #repair(table: LakeTable, state: TableState | null): Promise<void> {
		await undisturbed(() => this.#finish(table, state, "when stale"));
	}

	async #repairUntold(entry: StreamEntry): Promise<void> {
		for (const table of (entry.changes?.untold ?? []).map((name) => this.#table(name)))
			await this.#repair(table, await table.head());
		await undisturbed(() => this.#lists.repair(entry));
	}

	async #publishAll(entry: StreamEntry, states: ReadonlyMap<LakeTable, TableState>): Promise<string[]> {
		const error = await undisturbed(() => this.#lists.publish(entry, { entry: entry.entry, states }));
		if (error === null) return [];
		return [`the changes are committed, but not in the list of ${entry.pipeline} yet: ${error.code} ${error.message}`];
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
		let last: PositionRow | undefined = followedRow(entry);
		for (const name of entry.tables) {
			const row = streamRow(await this.#table(name).head(), pipeline, stream);
			if (row !== undefined && (last === undefined || row.seq > last.seq)) last = row;
		}
		const { seq = 0, position = null, loadId = null, schemaVersion = null, committedAt = null } = last ?? {};
		return { stream, epoch: Math.max(epoch, last?.epoch ?? 0), seq, position, loadId, schemaVersion, committedAt };
	}

	/** Tables that streams have rows in. */
	#tablesOf(entries: readonly StreamEntry[]): LakeTable[] {
		const followed = entries.flatMap(({ changes }) => (changes?.tables ?? []).map((name) => this.#table(name)));
		return [...new Set([...this.#loadedBy(entries), ...followed])];
	}

	/** Those of them whose commits hold the streams' positions. */
	#loadedBy(entries: readonly StreamEntry[]): LakeTable[] {
		return [...new Set(entries.flatMap(({ tables }) => tables.map((name) => this.#table(name))))];
	}

	#table(name: TableName): LakeTable {
		const key = JSON.stringify([name.schema, name.name]);
		const table = this.#tables.get(key) ?? new LakeTable(this.#store, name, this.#times);
		this.#tables.set(key, table);
		return table;
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.#catalog?.close();
		await this.#store[Symbol.asyncDispose]();
	}
}

/** Work that may fail without harm: its error is given. */
async function undisturbed(work: () => Promise<void>): Promise<HeadraceError | null> {
	try {
		await work();
		return null;
	} catch (error) {
		if (error instanceof HeadraceError) return error;
		throw error;
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
