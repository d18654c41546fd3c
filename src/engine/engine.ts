import { realpath, stat } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { HeadraceError } from "../core/index.ts";
import { quoteSingle } from "../sql/index.ts";
import { type Bindings, type Connection, type Database, loadBindings } from "./bindings.ts";
import { EngineConnection } from "./connection.ts";
import { engineError } from "./errors.ts";
import { Feed } from "./feed.ts";

/** What the engine takes for its own pages when nothing else is said. */
export const ENGINE_MEMORY_BYTES_DEFAULT = 128 << 20;
const THREADS_MAX = 4;
/**
 * Threads of ours that run statements at once: the two lanes of a load. DuckDB starts that many fewer of its own. With
 * its own a waiting statement would spin for work while a lane waits for the event loop: measured 30 % of all CPU.
 */
const EXTERNAL_THREADS = 2;

export interface EngineOptions {
	/** A database file; in memory when absent. */
	readonly path?: string;
	readonly readOnly?: boolean;
	/** Bound on DuckDB's own memory; batches come on top. Past it DuckDB spills to `tempDirectory`. */
	readonly memoryBytes?: number;
	readonly threads?: number;
	/** False lets a single statement's rows lose their order, and with it lets several threads write one file. */
	readonly preserveOrder?: boolean;
	/** Log of a database file at which its pages are written, bytes; default DuckDB's 16 MB. */
	readonly checkpointBytes?: number;
	/** Default: `<path>.tmp`, or a folder of this process under the system's temporary folder. */
	readonly tempDirectory?: string;
	/** Folders that SQL may read and write files in; it may touch nothing else. */
	readonly allowedDirectories?: readonly string[];
	readonly allowedPaths?: readonly string[];
}

interface OpenDatabase {
	readonly duckdb: Bindings;
	readonly database: Database;
	/** Keeps the function registered: it goes with its connection's database. */
	readonly feedConnection: Connection;
	readonly feed: Feed;
	readonly threads: number;
	readonly readOnly: boolean;
	readonly allowed: ReadonlySet<string>;
	users: number;
}

/**
 * DuckDB's lock on a file does not keep this process from opening it twice, which would destroy it. So handles of one
 * file share one database. Null is one that is being closed: opening again waits for it.
 */
const openFiles = new Map<string, Promise<OpenDatabase | null>>();
let memoryDatabases = 0;

/**
 * An embedded DuckDB in a sandbox: no network, no extension downloads, no files outside what is allowed, and a
 * configuration that SQL can't change.
 */
export class Engine implements AsyncDisposable {
	readonly #key: string | null;
	readonly #open: OpenDatabase;
	readonly #connections = new Set<EngineConnection>();
	#closed = false;

	private constructor(key: string | null, open: OpenDatabase) {
		this.#key = key;
		this.#open = open;
	}

	/**
	 * @throws E_BUSY when another process has the file open, E_CORRUPT_FILE when it is no database of a version that
	 * can be read, E_FILE_NOT_FOUND when its folder is missing
	 */
	static async open(options: EngineOptions = {}): Promise<Engine> {
		if (options.path === undefined) return new Engine(null, await openDatabase(null, options));
		const path = await canonicalPath(options.path, options.readOnly === true);
		while (true) {
			const opening = openFiles.get(path);
			if (opening === undefined) break;
			const open = await opening;
			// It may be closing, or its last user has closed it since.
			if (open === null || openFiles.get(path) !== opening) continue;
			checkShared(open, path, options);
			open.users++;
			return new Engine(path, open);
		}
		const opening = openDatabase(path, options);
		openFiles.set(path, opening);
		try {
			return new Engine(path, await opening);
		} catch (error) {
			openFiles.delete(path);
			throw error;
		}
	}

	get threads(): number {
		return this.#open.threads;
	}

	async connect(): Promise<EngineConnection> {
		if (this.#closed) throw new HeadraceError("E_INTERNAL", "the engine is closed");
		const { duckdb, database, feed, threads } = this.#open;
		const native = await duckdb.connect(database);
		const connection: EngineConnection = new EngineConnection({
			duckdb,
			native,
			feed,
			threads,
			closed: () => this.#connections.delete(connection),
		});
		this.#connections.add(connection);
		return connection;
	}

	async [Symbol.asyncDispose](): Promise<void> {
		if (this.#closed) return;
		this.#closed = true;
		for (const connection of [...this.#connections]) await connection[Symbol.asyncDispose]();
		const open = this.#open;
		open.users--;
		if (open.users > 0) return;
		const key = this.#key;
		if (key === null) {
			closeDatabase(open);
			return;
		}
		const closing = (async () => {
			// Not before the map holds this promise: what it takes out at the end must be itself.
			await Promise.resolve();
			// Closing does it, too, but holds the event loop meanwhile.
			if (!open.readOnly) await open.duckdb.query(open.feedConnection, "CHECKPOINT").catch(() => {});
			closeDatabase(open);
			openFiles.delete(key);
			return null;
		})();
		openFiles.set(key, closing);
		await closing;
	}
}

function closeDatabase(open: OpenDatabase): void {
	open.duckdb.disconnect_sync(open.feedConnection);
	open.duckdb.close_sync(open.database);
}

async function canonicalPath(path: string, readOnly: boolean): Promise<string> {
	const absolute = resolve(path);
	const folder = dirname(absolute);
	const realFolder = await realpath(folder).catch(() => {
		throw new HeadraceError("E_FILE_NOT_FOUND", `there is no folder ${folder} for the DuckDB file`, {
			hint: `Make it: mkdir -p ${folder}`,
		});
	});
	const full = join(realFolder, basename(absolute));
	const status = await stat(full).catch(() => null);
	if (status === null && readOnly) throw new HeadraceError("E_FILE_NOT_FOUND", `there is no DuckDB file ${absolute}`);
	if (status?.isDirectory()) throw new HeadraceError("E_CORRUPT_FILE", `${absolute} is a folder, not a DuckDB file`);
	return status === null ? full : realpath(full);
}

function checkShared(open: OpenDatabase, path: string, options: EngineOptions): void {
	const refused = open.readOnly && options.readOnly !== true;
	const missing = allowedOf(options).some((entry) => !open.allowed.has(entry));
	if (refused || missing)
		throw new HeadraceError("E_BUSY", `this process has ${path} open already, with fewer rights`, {
			hint: "It is at work for a pipeline whose staged files are in another folder: give both pipelines the same `staging`, or wait until that one ends.",
		});
}

function allowedOf(options: EngineOptions): string[] {
	return [
		...(options.allowedDirectories ?? []).map((folder) => `folder:${resolve(folder)}`),
		...(options.allowedPaths ?? []).map((path) => `file:${resolve(path)}`),
	];
}

async function openDatabase(path: string | null, options: EngineOptions): Promise<OpenDatabase> {
	const duckdb = await loadBindings();
	const threads = options.threads ?? Math.min(THREADS_MAX, availableParallelism());
	const config = duckdb.create_config();
	const settings: Record<string, string> = {
		threads: String(threads),
		external_threads: String(Math.min(threads, EXTERNAL_THREADS)),
		memory_limit: `${options.memoryBytes ?? ENGINE_MEMORY_BYTES_DEFAULT}B`,
		temp_directory:
			options.tempDirectory ??
			(path === null ? join(tmpdir(), `headrace-${process.pid}-${++memoryDatabases}`) : `${path}.tmp`),
		// Kept order makes an INSERT append to one growing row group after another. Without it each statement's threads
		// leave partial row groups that are copied and compressed again: measured 30 % more CPU and twice the file.
		preserve_insertion_order: options.preserveOrder === false ? "false" : "true",
		// New files can be read by DuckDB 1.3 and later, whose dictionary compression is 20 % faster and smaller.
		storage_compatibility_version: "v1.3.0",
		autoinstall_known_extensions: "false",
		autoload_known_extensions: "false",
		allow_community_extensions: "false",
	};
	if (options.checkpointBytes !== undefined) settings["checkpoint_threshold"] = `${options.checkpointBytes}B`;
	if (options.readOnly === true) settings["access_mode"] = "READ_ONLY";
	for (const [name, value] of Object.entries(settings)) duckdb.set_config(config, name, value);
	let database: Database | null = null;
	try {
		database = await duckdb.open(path ?? ":memory:", config);
		const feedConnection = await duckdb.connect(database);
		const list = (entries: readonly string[] | undefined) =>
			`[${(entries ?? []).map((entry) => quoteSingle(resolve(entry))).join(", ")}]`;
		// The order matters: paths can be allowed only while access is on, and nothing changes once it is locked.
		await duckdb.query(
			feedConnection,
			`SET GLOBAL TimeZone = 'UTC'; SET GLOBAL allowed_directories = ${list(options.allowedDirectories)};
			SET GLOBAL allowed_paths = ${list(options.allowedPaths)}; SET GLOBAL enable_external_access = false;
			SET GLOBAL lock_configuration = true`,
		);
		const feed = new Feed(duckdb);
		feed.register(feedConnection);
		const readOnly = options.readOnly === true;
		return {
			duckdb,
			database,
			feedConnection,
			feed,
			threads,
			readOnly,
			allowed: new Set(allowedOf(options)),
			users: 1,
		};
	} catch (error) {
		if (database !== null) duckdb.close_sync(database);
		throw engineError(error, { doing: path === null ? "starting the engine" : `opening ${path}` });
	}
}
