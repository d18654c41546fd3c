import { closeSync, existsSync, mkdirSync, openSync, renameSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { Worker } from "node:worker_threads";
import { HeadraceError } from "../core/errors.ts";
import type { Finding } from "../core/port.ts";
import type { Lease } from "../core/state-store.ts";
import type { StateDatabase } from "./database.ts";
import { fenced } from "./fence.ts";
import { type LeaseMoment, leaseNow } from "./lease-clock.ts";
import { holderIsDead } from "./process-identity.ts";
import { migrate, pragma } from "./sqlite-schema.ts";
import { type Answer, type Row, type Statement, storable, type Work } from "./work.ts";

/** How long a statement waits for another process's lock before it gives up. */
const BUSY_TIMEOUT_MS = 15_000;
const PREPARED_MAX = 200;

/** https://www.sqlite.org/rescode.html */
const SQLITE = { busy: 5, locked: 6, readOnly: 8, ioError: 10, corrupt: 11, full: 13, cantOpen: 14, notADatabase: 26 };

/**
 * A SQLite file that replaces itself when it is damaged: the damaged one is moved to `<path>.damaged-<time>`, a new
 * one is made, and the work that met the damage is done again on it.
 */
class DurableFile {
	readonly path: string;
	readonly #notice: (message: string) => void;
	#database: DatabaseSync;
	#inode: bigint;
	/** Statements of the open file by their text. */
	#prepared = new Map<string, StatementSync>();

	/** @throws E_STATE when the file can't be opened, belongs to another program or to a newer Headrace */
	constructor(path: string, notice: (message: string) => void) {
		this.path = path;
		this.#notice = notice;
		mkdirSync(dirname(path), { recursive: true });
		this.#database = this.#open();
		this.#inode = inodeOf(path);
	}

	/**
	 * Does the work in one turn; when the file turns out to be damaged, once more on a new file.
	 * @throws E_STATE, E_NO_SPACE
	 */
	use<Result>(work: (database: DatabaseSync) => Result): Result {
		try {
			return work(this.#database);
		} catch (error) {
			if (!isDamage(error)) throw this.#translated(error);
		}
		this.#replace();
		try {
			return work(this.#database);
		} catch (error) {
			throw this.#translated(error);
		}
	}

	/** Runs the statements of a work, each when the one before has answered. */
	do<Result>(work: Work<Result>): Result {
		let step = work.next();
		while (step.done !== true) {
			let answer: Answer;
			try {
				answer = this.#answer(step.value);
			} catch (error) {
				step = work.throw(error);
				continue;
			}
			step = work.next(answer);
		}
		return step.value;
	}

	/** The same in one transaction that has the write lock from its start. */
	doInTransaction<Result>(work: Work<Result>): Result {
		const database = this.#database;
		database.exec("BEGIN IMMEDIATE");
		try {
			const result = this.do(work);
			database.exec("COMMIT");
			return result;
		} catch (error) {
			if (database.isTransaction) database.exec("ROLLBACK");
			throw error;
		}
	}

	close(): void {
		this.#prepared.clear();
		if (this.#database.isOpen) this.#database.close();
	}

	#answer({ text, values, gives }: Statement): Answer {
		let statement = this.#prepared.get(text);
		if (statement === undefined) {
			if (this.#prepared.size >= PREPARED_MAX) this.#prepared.clear();
			statement = this.#database.prepare(text.replace(/\$(?=\d)/g, "?"));
			this.#prepared.set(text, statement);
		}
		if (gives === "rows") return { rows: statement.all(...values.map(storable)) as Row[], changed: 0 };
		return { rows: [], changed: Number(statement.run(...values.map(storable)).changes) };
	}

	#open(): DatabaseSync {
		try {
			return openFile(this.path);
		} catch (error) {
			if (!isDamage(error)) throw this.#translated(error);
			moveAside(this.path, this.#notice);
			try {
				return openFile(this.path);
			} catch (again) {
				throw this.#translated(again);
			}
		}
	}

	#replace(): void {
		this.#prepared.clear();
		try {
			this.#database.close();
		} catch {
			// A damaged file may not even close cleanly; its handle is gone either way.
		}
		// Another process may have met the damage first: what lies there now is then its new file, which stays.
		if (existsSync(this.path) && inodeOf(this.path) === this.#inode) moveAside(this.path, this.#notice);
		this.#database = this.#open();
		this.#inode = inodeOf(this.path);
	}

	#translated(error: unknown): unknown {
		const code = primaryCode(error);
		if (code === null) return error;
		const say = (what: string, hint?: string): HeadraceError =>
			new HeadraceError("E_STATE", `${this.path} ${what}`, { cause: error, ...(hint === undefined ? {} : { hint }) });
		switch (code) {
			case SQLITE.full:
				return new HeadraceError("E_NO_SPACE", `no space left to write ${this.path}`, { cause: error });
			case SQLITE.busy:
			case SQLITE.locked:
				return say(
					`has been locked by another program for ${BUSY_TIMEOUT_MS / 1000} s`,
					"Find the process that holds it open, or run again.",
				);
			case SQLITE.readOnly:
			case SQLITE.cantOpen:
				return say("can't be opened for writing", "Check the folder's permissions.");
			default:
				return say(`can't be read or written: ${(error as Error).message}`, "Check the disk.");
		}
	}
}

/** A project's state in one SQLite file, shared by all processes of this machine that work on the project. */
export class SqliteDatabase implements StateDatabase {
	readonly fence: Lease | null;
	readonly #file: DurableFile;

	private constructor(file: DurableFile, fence: Lease | null) {
		this.#file = file;
		this.fence = fence;
	}

	/**
	 * Opens the file, and makes it when it is missing.
	 * @throws E_STATE when the file can't be opened, belongs to another program or to a newer Headrace
	 */
	static open(path: string, notice: (message: string) => void): SqliteDatabase {
		return new SqliteDatabase(new DurableFile(path, notice), null);
	}

	get isShared(): boolean {
		return false;
	}

	get place(): string {
		return this.#file.path;
	}

	async use<Result>(work: () => Work<Result>): Promise<Result> {
		return this.#file.use(() => this.#file.do(work()));
	}

	async transaction<Result>(work: () => Work<Result>): Promise<Result> {
		return this.#file.use(() => this.#file.doInTransaction(fenced(this.fence, work)));
	}

	fencedBy(lease: Lease | null): StateDatabase {
		return new SqliteDatabase(this.#file, lease);
	}

	// biome-ignore lint/correctness/useYield: the machine's own clocks need no statement
	*now(): Work<LeaseMoment> {
		return leaseNow();
	}

	nowMs(): number {
		return Date.now();
	}

	/** Whoever shares the file is on this machine, whatever boot it was. */
	isDead(holder: string): boolean {
		return holderIsDead(holder);
	}

	/** https://www.sqlite.org/pragma.html#pragma_data_version */
	async dataVersion(): Promise<number> {
		return this.#file.use((database) => pragma(database, "data_version"));
	}

	/** One finding: whether every page of the file is sound. */
	async check(): Promise<Finding[]> {
		const { path } = this.#file;
		const answer = await quickCheck(path);
		return answer === "ok"
			? [{ severity: "ok", message: `state store ${path} is sound` }]
			: [
					{
						severity: "warning",
						message: `state store ${path} is damaged: ${answer}`,
						remedy: `mv ${path} ${path}.damaged`,
					},
				];
	}

	async tidy(): Promise<void> {
		this.#file.use((database) => database.exec("PRAGMA incremental_vacuum"));
	}

	async [Symbol.asyncDispose](): Promise<void> {
		this.#file.close();
	}
}

function openFile(path: string): DatabaseSync {
	// Logs may tell about private systems: only the owner reads them. SQLite gives its other files the same mode.
	if (!existsSync(path)) closeQuietly(path);
	const database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
	try {
		migrate(database, path);
		switchToWal(database);
		// With WAL, NORMAL survives every death of the process; a power cut may cost the last moments of history.
		database.exec("PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON");
		return database;
	} catch (error) {
		database.close();
		throw error;
	}
}

function closeQuietly(path: string): void {
	try {
		closeSync(openSync(path, "a", 0o600));
	} catch {
		// SQLite meets the same obstacle and says it better.
	}
}

/** The switch does not wait for other connections as statements do, so it is tried again until the file is in WAL mode. */
function switchToWal(database: DatabaseSync): void {
	const deadlineMs = Date.now() + BUSY_TIMEOUT_MS;
	while (true) {
		try {
			database.exec("PRAGMA journal_mode = WAL");
			return;
		} catch (error) {
			if (primaryCode(error) !== SQLITE.busy || Date.now() > deadlineMs) throw error;
			Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
		}
	}
}

/** Moves a damaged store out of the way together with its log, which belongs to it alone. */
function moveAside(path: string, notice: (message: string) => void): void {
	const time = new Date().toISOString().replace(/[-:]/g, "").replace("T", "-").slice(0, 15);
	let target = `${path}.damaged-${time}`;
	for (let i = 2; existsSync(target); i++) target = `${path}.damaged-${time}-${i}`;
	for (const suffix of ["", "-wal", "-shm"]) {
		try {
			renameSync(path + suffix, target + suffix);
		} catch (error) {
			if ((error as NodeJS.ErrnoException).code !== "ENOENT")
				throw new HeadraceError("E_STATE", `${path} is damaged and can't be moved aside`, {
					cause: error,
					hint: "Move it elsewhere by hand: only history is lost, positions are read from the destination.",
				});
		}
	}
	notice(
		`${path} was damaged: it is now ${target}, and a new one was begun. History before this is lost; data and positions are not, they are read from the destination.`,
	);
}

function inodeOf(path: string): bigint {
	return statSync(path, { bigint: true }).ino;
}

function primaryCode(error: unknown): number | null {
	const code = (error as { errcode?: unknown } | null)?.errcode;
	return typeof code === "number" ? code & 0xff : null;
}

function isDamage(error: unknown): boolean {
	const code = primaryCode(error);
	return code === SQLITE.corrupt || code === SQLITE.notADatabase;
}

const QUICK_CHECK = `
const { parentPort, workerData } = require("node:worker_threads");
const { DatabaseSync } = require("node:sqlite");
const database = new DatabaseSync(workerData, { readOnly: true });
const [row = {}] = database.prepare("PRAGMA quick_check(1)").all();
database.close();
parentPort.postMessage(String(Object.values(row)[0] ?? "no answer"));
`;

/** Reads the whole file, which takes seconds when it is large: in a thread of its own, so that nothing else waits. */
function quickCheck(path: string): Promise<string> {
	return new Promise((resolve) => {
		const worker = new Worker(QUICK_CHECK, { eval: true, workerData: path, execArgv: [] });
		worker.once("message", resolve);
		worker.once("error", (error) => resolve(error.message));
	});
}
