import { crashPoint, eachOf, type Staging, type TableName } from "../../core/index.ts";
import { type CurrentList, listOf } from "./current.ts";
import { pipelinePath } from "./layout.ts";
import { replaceFile } from "./store-text.ts";
import { type StreamEntry, StreamLog, streamHeads } from "./streams.ts";
import type { LakeTable } from "./table.ts";
import type { TableState } from "./table-state.ts";

/** What `_headrace/pipelines/<pipeline>.json` says: the files that are its tables, all as of one position of its log. */
export interface PipelineList {
	readonly format_version: 1;
	readonly pipeline: string;
	readonly stream: string;
	/** Of the position: grows with each transaction. */
	readonly seq: number;
	readonly position: string | null;
	readonly committed_at: string | null;
	readonly tables: readonly CurrentList[];
}

/** Heads of tables that are looked up at once. */
const LOOKS_MAX = 8;
/** A table that the transaction did not change may have been compacted so long ago without its list saying so. */
const AGE_MS_MAX = 60_000;

/** Lists of all tables of a pipeline that follows a log, for readers that join them: one file, so one moment. */
export class PipelineLists {
	readonly #store: Staging;
	readonly #table: (name: TableName) => LakeTable;
	readonly #names = new Map<string, readonly TableName[]>();

	constructor(store: Staging, table: (name: TableName) => LakeTable) {
		this.#store = store;
		this.#table = table;
	}

	/** The pipeline may have other tables from now on. */
	forget(pipeline: string): void {
		this.#names.delete(pipeline);
	}

	/**
	 * Writes the list. `known` are states as of an entry of the stream's log. A process that was paused may write an older
	 * list over a newer one, so it looks again afterwards.
	 */
	async publish(
		{ pipeline, stream }: Pick<StreamEntry, "pipeline" | "stream">,
		known?: { readonly entry: number; readonly states: ReadonlyMap<LakeTable, TableState> },
	): Promise<void> {
		const log = new StreamLog(this.#store, pipeline, stream);
		for (let head = await log.head(); head?.changes !== undefined; ) {
			const { row, commits } = head.changes;
			const states = known?.entry === head.entry ? known.states : new Map<LakeTable, TableState>();
			const tables: CurrentList[] = [];
			const names = await this.#namesOf(pipeline);
			await eachOf(LOOKS_MAX, [...names.entries()], async ([index, name]) => {
				const table = this.#table(name);
				let state = states.get(table) ?? (await table.recent(AGE_MS_MAX));
				if (state === null || state.entry < (commits[table.folder]?.entry ?? 0)) state = await table.head();
				if (state !== null && state.form !== null) tables[index] = listOf(table, state);
			});
			const isWhole = async () => (await log.head())?.entry === head?.entry;
			// Tables were looked up one after the other: a transaction between would show in some of them.
			if (known?.entry === head.entry || (await isWhole())) {
				const { seq, position, committedAt } = row;
				const list: PipelineList = {
					format_version: 1,
					...{ pipeline, stream, seq, position, committed_at: committedAt },
					tables: tables.flat(),
				};
				await replaceFile(this.#store, pipelinePath(pipeline), `${JSON.stringify(list)}\n`);
				crashPoint("lake-listed");
				if (await isWhole()) return;
			}
			head = await log.head();
		}
	}

	/** Writes the list unless it is of the stream's last transaction. */
	async repair(entry: StreamEntry): Promise<void> {
		const { changes, pipeline, stream } = entry;
		if (changes === undefined) return;
		const content = await this.#store.read(pipelinePath(pipeline));
		const seq = content === null ? null : seqOf(new TextDecoder().decode(content), stream);
		if (seq !== changes.row.seq) await this.publish(entry);
	}

	async #namesOf(pipeline: string): Promise<readonly TableName[]> {
		const known = this.#names.get(pipeline);
		if (known !== undefined) return known;
		const heads = await streamHeads(this.#store, pipeline);
		const all = heads.flatMap(({ tables, changes }) => [...tables, ...(changes?.tables ?? [])]);
		const names = [...new Map(all.map((name) => [this.#table(name).folder, name])).entries()];
		const sorted = names.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, name]) => name);
		this.#names.set(pipeline, sorted);
		return sorted;
	}
}

function seqOf(content: string, stream: string): number | null {
	try {
		const list = JSON.parse(content) as PipelineList;
		return list.stream === stream ? list.seq : null;
	} catch {
		return null;
	}
}
