import { randomBytes } from "node:crypto";
import { HeadraceError, type PositionRow, type Staging, type TableName } from "../../core/index.ts";
import { pipelineFolder, streamFolder } from "./layout.ts";
import { type LogEntry, NumberedLog } from "./numbered-log.ts";

/** Who holds a stream, and which tables it ever loaded into: those whose commits a new holder must guard. */
export interface StreamEntry extends LogEntry {
	readonly pipeline: string;
	readonly stream: string;
	readonly epoch: number;
	readonly tables: readonly TableName[];
	/** Of a stream whose rows go into several tables at once: see `FollowedTables`. */
	readonly changes?: FollowedTables;
}

/**
 * What a stream has that follows a log. Its entry is what makes a transaction true: commits of the tables that belong to it
 * count when an entry names them, and all of them do from the same moment on, with the position.
 */
export interface FollowedTables {
	readonly row: Pick<PositionRow, "seq" | "position" | "loadId" | "schemaVersion" | "committedAt">;
	readonly tables: readonly TableName[];
	/** The last commit of the stream that counts, by the table's folder. */
	readonly commits: Readonly<Record<string, CommitReference>>;
	/** The latest requests, newest last. */
	readonly loads: readonly string[];
	/** Tables whose readers may not have been told of all. */
	readonly untold: readonly TableName[];
}

/** A commit of a table. */
export interface CommitReference {
	readonly entry: number;
	readonly id: string;
}

/** Entries that stay, so that a process that slept finds that others wrote meanwhile. */
const ENTRIES_KEPT = 20;

/** The entries of one stream. Its position is in the commits of its tables, with the rows that it stands for. */
export class StreamLog {
	readonly #log: NumberedLog<StreamEntry>;
	readonly #pipeline: string;
	readonly #stream: string;

	constructor(store: Staging, pipeline: string, stream: string) {
		this.#log = new NumberedLog(store, streamFolder(pipeline, stream));
		this.#pipeline = pipeline;
		this.#stream = stream;
	}

	head(): Promise<StreamEntry | null> {
		return this.#log.last();
	}

	/** Raises the epoch. */
	async takeOver(): Promise<StreamEntry> {
		for (let attempt = 1; ; attempt++) {
			const head = await this.head();
			const added = await this.#add(head, { epoch: (head?.epoch ?? 0) + 1 });
			if (added !== null) return added;
			if (attempt === 100) throw this.#fenced();
		}
	}

	/** Says that the stream loads into this table. @throws E_FENCED when another run has taken it over */
	async enter(epoch: number, table: TableName): Promise<StreamEntry> {
		const head = await this.head();
		if (head === null || head.epoch !== epoch) throw this.#fenced();
		if (head.tables.some(({ schema, name }) => schema === table.schema && name === table.name)) return head;
		const added = await this.#add(head, { tables: [...head.tables, table] });
		if (added === null) throw this.#fenced();
		return added;
	}

	/** Makes a transaction true. Null when another has its number: then nothing of it is. */
	transact(head: StreamEntry, changes: FollowedTables): Promise<StreamEntry | null> {
		return this.#add(head, { changes });
	}

	/** Uses up the number of a transaction, so that it never becomes true, unless it is already. */
	async refuse(entry: number): Promise<void> {
		for (let head = await this.head(); (head?.entry ?? 0) < entry; head = await this.head()) await this.#add(head, {});
	}

	async #add(
		head: StreamEntry | null,
		change: Partial<Pick<StreamEntry, "epoch" | "tables" | "changes">>,
	): Promise<StreamEntry | null> {
		const changes = change.changes ?? head?.changes;
		const entry: StreamEntry = {
			format_version: 1,
			entry: (head?.entry ?? 0) + 1,
			id: randomBytes(12).toString("hex"),
			previous_id: head?.id ?? null,
			pipeline: this.#pipeline,
			stream: this.#stream,
			epoch: change.epoch ?? head?.epoch ?? 0,
			tables: change.tables ?? head?.tables ?? [],
			...(changes === undefined ? {} : { changes }),
		};
		if (!(await this.#log.add(entry))) return null;
		if (entry.entry > ENTRIES_KEPT && entry.entry % 5 === 0) {
			const { entries } = await this.#log.numbers();
			await this.#log.remove({ entries: entries.slice(0, -ENTRIES_KEPT) });
		}
		return entry;
	}

	#fenced(): HeadraceError {
		return new HeadraceError("E_FENCED", `another run has taken ${this.#stream} over`);
	}
}

/** The heads of all streams of a pipeline; of all pipelines without a name. */
export async function streamHeads(store: Staging, pipeline?: string): Promise<StreamEntry[]> {
	const root = pipeline === undefined ? "_headrace/streams/" : pipelineFolder(pipeline);
	const last = new Map<string, string>();
	for (const { path } of await store.list(root)) {
		const slash = path.lastIndexOf("/");
		const folder = path.slice(0, slash + 1);
		if (/^\d{20}\.json$/.test(path.slice(slash + 1)) && path > (last.get(folder) ?? "")) last.set(folder, path);
	}
	const heads: StreamEntry[] = [];
	const folders = [...last.keys()];
	const readers = Array.from({ length: 8 }, async () => {
		for (let folder = folders.shift(); folder !== undefined; folder = folders.shift()) {
			const head = await new NumberedLog<StreamEntry>(store, folder).last();
			if (head !== null) heads.push(head);
		}
	});
	await Promise.all(readers);
	return heads;
}
