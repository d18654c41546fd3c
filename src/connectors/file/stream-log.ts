import { randomBytes } from "node:crypto";
import { link, open, readdir, readFile, unlink } from "node:fs/promises";
import { join } from "node:path";
import { type CommittedLoad, HeadraceError, type PositionRow, type RecordedSchema } from "../../core/index.ts";
import { makeFolders, pathSegment, syncFolder } from "../../formats/index.ts";

/** One entry of a stream's log; the last is the stream's state. */
export interface StreamEntry extends PositionRow {
	readonly format_version: 1;
	readonly pipeline: string;
	/** Number of this entry in the log; each commit and each taking over adds one. */
	readonly entry: number;
	/** Names this entry, and the one before it: tells whether an entry was built on ours. */
	readonly id: string;
	readonly previousId: string | null;
	/** What this stream last committed to each table, by the table's folder. */
	readonly tables: Readonly<Record<string, CommittedVersion>>;
	/** The latest loads, newest last. */
	readonly loads: readonly CommittedLoad[];
	/** The columns that this stream's loads recorded last, for the stream they name (intervals of a table share one). */
	readonly schema?: RecordedSchema;
	/** The same for the tables of a change log, by the stream of each. */
	readonly schemas?: Readonly<Record<string, RecordedSchema>>;
	/** The last record of the changes that this stream brought. */
	readonly journal?: JournalHead;
}

/** Up to where the records of a stream's changes count: see `change-journal.ts`. */
export interface JournalHead {
	/** Names the journal, whatever becomes of its folder. */
	readonly journal: string;
	readonly number: number;
	readonly id: string;
	/** Tables whose changes are in it, by folder: the load that the rows of each began with. */
	readonly origins: Readonly<Record<string, string>>;
}

export interface CommittedVersion {
	readonly version: number;
	readonly load_id: string;
}

/** Loads that an entry remembers. */
const LOADS_MAX = 200;
/** Entries that stay, so that a process that slept finds that others wrote meanwhile. */
const ENTRIES_KEPT = 20;

/**
 * Epoch and position of one stream as numbered files that are only ever added, by link(2): of two that add the same
 * number one fails. So adding an entry is a compare-and-set on disk, without locks that a dead process could hold.
 */
export class StreamLog {
	readonly #folder: string;
	readonly #pipeline: string;
	readonly #stream: string;

	constructor(hidden: string, pipeline: string, stream: string) {
		this.#folder = join(hidden, "streams", pathSegment(pipeline), pathSegment(stream));
		this.#pipeline = pipeline;
		this.#stream = stream;
	}

	/** The last entry; null when there is none. @throws E_STATE when it can't be read */
	async head(): Promise<StreamEntry | null> {
		return readHead(this.#folder);
	}

	/**
	 * Adds the entry that follows `before`.
	 * @throws E_FENCED when another was added in between
	 */
	async append(
		before: StreamEntry | null,
		change: Omit<PositionRow, "stream"> & {
			readonly tables: Readonly<Record<string, CommittedVersion>>;
			/** Loads of this commit; all of them are remembered. */
			readonly loads?: readonly CommittedLoad[];
			readonly schema?: RecordedSchema;
			readonly schemas?: Readonly<Record<string, RecordedSchema>>;
			readonly journal?: JournalHead;
		},
	): Promise<StreamEntry> {
		const {
			loads: added = [],
			schema = before?.schema,
			schemas = before?.schemas,
			journal = before?.journal,
			...row
		} = change;
		const loads = [...(before?.loads ?? []), ...added].slice(-Math.max(LOADS_MAX, added.length));
		const entry: StreamEntry = {
			format_version: 1,
			pipeline: this.#pipeline,
			stream: this.#stream,
			entry: (before?.entry ?? 0) + 1,
			id: randomBytes(12).toString("hex"),
			previousId: before?.id ?? null,
			...row,
			loads,
			...(schema === undefined ? {} : { schema }),
			...(schemas === undefined ? {} : { schemas }),
			...(journal === undefined ? {} : { journal }),
		};
		await makeFolders(this.#folder, 0o777);
		const temporary = join(this.#folder, `.tmp-${entry.id}`);
		try {
			const handle = await open(temporary, "wx", 0o600);
			try {
				await handle.writeFile(`${JSON.stringify(entry)}\n`);
				await handle.sync();
			} finally {
				await handle.close();
			}
			await link(temporary, join(this.#folder, entryName(entry.entry)));
			await syncFolder(this.#folder);
		} catch (error) {
			if ((error as NodeJS.ErrnoException).code === "EEXIST") throw this.#fenced();
			throw error;
		} finally {
			await unlink(temporary).catch(() => {});
		}
		await this.#confirm(entry);
		return entry;
	}

	/** Our number may have been used and cleaned up before: then what follows it does not build on ours. */
	async #confirm(entry: StreamEntry): Promise<void> {
		const numbers = await entryNumbers(this.#folder);
		const later = numbers.filter((number) => number > entry.entry);
		if (later.length > 0) {
			const next = await readEntry(this.#folder, entry.entry + 1);
			if (next?.previousId !== entry.id) throw this.#fenced();
		}
		for (const number of numbers.slice(0, -ENTRIES_KEPT))
			await unlink(join(this.#folder, entryName(number))).catch(() => {});
	}

	#fenced(): HeadraceError {
		return new HeadraceError("E_FENCED", `another run has taken ${this.#stream} over`);
	}
}

/** The heads of all streams of a pipeline, or of all pipelines. */
export async function streamHeads(hidden: string, pipeline?: string): Promise<StreamEntry[]> {
	const streams = join(hidden, "streams");
	const pipelines = pipeline === undefined ? await names(streams) : [pathSegment(pipeline)];
	const heads: StreamEntry[] = [];
	for (const folder of pipelines)
		for (const stream of await names(join(streams, folder))) {
			const head = await readHead(join(streams, folder, stream));
			if (head !== null) heads.push(head);
		}
	return heads;
}

const entryName = (entry: number) => `${String(entry).padStart(20, "0")}.json`;

async function names(folder: string): Promise<string[]> {
	return readdir(folder).catch((error: NodeJS.ErrnoException) => {
		if (error.code === "ENOENT") return [];
		throw error;
	});
}

async function entryNumbers(folder: string): Promise<number[]> {
	return (await names(folder))
		.filter((name) => /^\d{20}\.json$/.test(name))
		.map((name) => Number(name.slice(0, 20)))
		.sort((a, b) => a - b);
}

async function readHead(folder: string): Promise<StreamEntry | null> {
	while (true) {
		const last = (await entryNumbers(folder)).at(-1);
		if (last === undefined) return null;
		const entry = await readEntry(folder, last);
		// Between listing and reading it may have been cleaned up after newer ones.
		if (entry !== null) return entry;
	}
}

async function readEntry(folder: string, number: number): Promise<StreamEntry | null> {
	const path = join(folder, entryName(number));
	const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
		if (error.code === "ENOENT") return null;
		throw error;
	});
	if (text === null) return null;
	try {
		const entry = JSON.parse(text) as StreamEntry;
		if (entry.format_version === 1 && entry.entry === number) return entry;
	} catch {
		// falls through to the error
	}
	throw new HeadraceError("E_STATE", `${path} can't be read, or is of a newer version`, { file: path });
}
