import { randomBytes } from "node:crypto";
import { HeadraceError, type Staging, type TableName } from "../../core/index.ts";
import { pipelineFolder, streamFolder } from "./layout.ts";
import { type LogEntry, NumberedLog } from "./numbered-log.ts";

/** Who holds a stream, and which tables it ever loaded into: those whose commits a new holder must guard. */
export interface StreamEntry extends LogEntry {
	readonly pipeline: string;
	readonly stream: string;
	readonly epoch: number;
	readonly tables: readonly TableName[];
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
			const added = await this.#add(head, (head?.epoch ?? 0) + 1, head?.tables ?? []);
			if (added !== null) return added;
			if (attempt === 100) throw this.#fenced();
		}
	}

	/** Says that the stream loads into this table. @throws E_FENCED when another run has taken it over */
	async enter(epoch: number, table: TableName): Promise<StreamEntry> {
		const head = await this.head();
		if (head === null || head.epoch !== epoch) throw this.#fenced();
		if (head.tables.some(({ schema, name }) => schema === table.schema && name === table.name)) return head;
		const added = await this.#add(head, epoch, [...head.tables, table]);
		if (added === null) throw this.#fenced();
		return added;
	}

	async #add(head: StreamEntry | null, epoch: number, tables: readonly TableName[]): Promise<StreamEntry | null> {
		const entry: StreamEntry = {
			format_version: 1,
			entry: (head?.entry ?? 0) + 1,
			id: randomBytes(12).toString("hex"),
			previous_id: head?.id ?? null,
			pipeline: this.#pipeline,
			stream: this.#stream,
			epoch,
			tables,
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
