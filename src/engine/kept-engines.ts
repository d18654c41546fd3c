import { copyFile, link, mkdir, mkdtemp, open, readdir, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { Engine, type EngineOptions } from "./engine.ts";

/** An engine that nobody needed for so long is ended: it holds some megabytes. */
const IDLE_MS = 60_000;
/** A folder that nothing was written into for so long is of a process that was killed: no file takes so long. */
const LEFT_MS = 86_400_000;
const PREFIX = "kept-";

/** What an engine that is used again must have been started with. */
export type KeptOptions = Pick<EngineOptions, "memoryBytes" | "threads" | "preserveOrder">;

export interface KeepOptions {
	/** Where the engines write; made when it is missing. It should lie on the disk that the files are meant for. */
	readonly folder: string;
	/** How many may wait for their next use. */
	readonly countMax: number;
}

/** An engine that may write into one folder of its own, from which a file goes where it is meant to be. */
export interface FileWriter extends AsyncDisposable {
	readonly engine: Engine;
	/** Where the engine writes what is meant for `path`; it must not write to another file first (`USE_TMP_FILE`). */
	begin(path: string): Promise<string>;
	/** Puts a file that the engine has written to where it is meant to be. */
	deliver(path: string): Promise<void>;
	/** The work is done: the engine may be used again. Whatever else ends it ends the engine too. */
	done(): void;
}

interface KeptEngine {
	readonly engine: Engine;
	readonly folder: string;
	readonly key: string;
	idle: NodeJS.Timeout | null;
}

/**
 * Engines of a process that makes many short runs: to start and to end one takes some 13 ms of processor, more than
 * all the rest of a run of a few rows. They get statements of ours only, never a text of a user's, leave nothing in
 * their databases, and see one empty folder each.
 */
class Keeper implements AsyncDisposable {
	readonly #options: KeepOptions;
	readonly device: number;
	#idle: KeptEngine[] = [];
	#closed = false;

	private constructor(options: KeepOptions, device: number) {
		this.#options = options;
		this.device = device;
	}

	static async begin(options: KeepOptions): Promise<Keeper> {
		await mkdir(options.folder, { recursive: true, mode: 0o700 });
		await removeLeft(options.folder);
		const keeper = new Keeper(options, (await stat(options.folder)).dev);
		keepers.add(keeper);
		return keeper;
	}

	async borrow(options: KeptOptions): Promise<FileWriter> {
		const key = JSON.stringify([options.memoryBytes, options.threads, options.preserveOrder]);
		const at = this.#idle.findLastIndex((each) => each.key === key);
		const [found] = at < 0 ? [] : this.#idle.splice(at, 1);
		if (found?.idle) clearTimeout(found.idle);
		const kept = found ?? (await this.#open(key, options));
		let isDone = false;
		const within = (path: string): string => join(kept.folder, basename(path));
		const linked = new Set<string>();
		return {
			engine: kept.engine,
			async begin(path) {
				if (await makeWithin(path, within(path))) linked.add(path);
				return within(path);
			},
			async deliver(path) {
				if (!linked.has(path)) await copyFile(within(path), path);
				await rm(within(path));
			},
			done: () => {
				isDone = true;
			},
			[Symbol.asyncDispose]: () => (isDone ? this.#keep(kept) : end(kept)),
		};
	}

	async #open(key: string, options: KeptOptions): Promise<KeptEngine> {
		const folder = await mkdtemp(join(this.#options.folder, PREFIX));
		try {
			const tempDirectory = `${folder}.tmp`;
			const engine = await Engine.open({ ...options, allowedDirectories: [folder], tempDirectory });
			return { engine, folder, key, idle: null };
		} catch (error) {
			await rm(folder, { recursive: true, force: true });
			throw error;
		}
	}

	async #keep(kept: KeptEngine): Promise<void> {
		if (this.#closed) return end(kept);
		this.#idle.push(kept);
		kept.idle = setTimeout(() => {
			this.#idle = this.#idle.filter((each) => each !== kept);
			// What can't be removed is a folder without files.
			void end(kept).catch(() => {});
		}, IDLE_MS).unref();
		if (this.#idle.length > this.#options.countMax) await end(this.#idle.shift()!);
	}

	async [Symbol.asyncDispose](): Promise<void> {
		this.#closed = true;
		keepers.delete(this);
		for (const kept of this.#idle.splice(0)) await end(kept);
	}
}

const keepers = new Set<Keeper>();

/** From now on engines that write files are kept for their next use, until what is returned is disposed of. */
export function keepEngines(options: KeepOptions): Promise<AsyncDisposable> {
	return Keeper.begin(options);
}

/**
 * An engine that writes files into the folder of `path`, and nowhere else.
 * @throws what `Engine.open` throws
 */
export async function openFileWriter(path: string, options: EngineOptions = {}): Promise<FileWriter> {
	const folder = dirname(path);
	const keeper = keepers.size === 0 ? undefined : await keeperFor(folder);
	const { memoryBytes, threads, preserveOrder } = options;
	if (keeper !== undefined)
		return keeper.borrow({
			...(memoryBytes === undefined ? {} : { memoryBytes }),
			...(threads === undefined ? {} : { threads }),
			...(preserveOrder === undefined ? {} : { preserveOrder }),
		});
	const engine = await Engine.open({ ...options, allowedDirectories: [folder] });
	return {
		engine,
		begin: async (path) => path,
		deliver: async () => {},
		done: () => {},
		[Symbol.asyncDispose]: () => engine[Symbol.asyncDispose](),
	};
}

/** One that writes on the disk that the folder is on. */
async function keeperFor(folder: string): Promise<Keeper | undefined> {
	const device = await stat(folder).then(
		({ dev }) => dev,
		() => null,
	);
	return [...keepers].find((keeper) => keeper.device === device);
}

async function end({ engine, folder, idle }: KeptEngine): Promise<void> {
	if (idle !== null) clearTimeout(idle);
	await engine[Symbol.asyncDispose]();
	await rm(folder, { recursive: true, force: true });
}

async function removeLeft(folder: string): Promise<void> {
	for (const name of await readdir(folder)) {
		if (!name.startsWith(PREFIX)) continue;
		const path = join(folder, name);
		// What went away meanwhile is nobody's any more.
		const changedMs = await stat(path).then(
			({ mtimeMs }) => mtimeMs,
			() => Date.now(),
		);
		if (Date.now() - changedMs > LEFT_MS) await rm(path, { recursive: true, force: true });
	}
}

/**
 * Makes the file where it is meant to be, so that its folder gives it its group and rights, and gives it a second name.
 * False where that can't be: the file is copied then.
 */
async function makeWithin(path: string, within: string): Promise<boolean> {
	await (await open(path, "w", 0o666)).close();
	try {
		await link(path, within);
		return true;
	} catch (error) {
		const { code = "" } = error as NodeJS.ErrnoException;
		// Another disk, or the same one mounted elsewhere; a file system without such names, or that does not allow them.
		if (["EXDEV", "EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"].includes(code)) return false;
		throw error;
	}
}
