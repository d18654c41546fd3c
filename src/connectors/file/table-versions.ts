import { randomBytes } from "node:crypto";
import {
	chmod,
	copyFile,
	link,
	lstat,
	mkdir,
	open,
	readdir,
	readFile,
	readlink,
	rename,
	rm,
	symlink,
} from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { crashPoint, HeadraceError, type TableName } from "../../core/index.ts";
import { isAlive, MACHINE_TAG, makeFolders, syncFile, syncFolder } from "../../formats/index.ts";
import { COMMIT_FILE, HIDDEN_FOLDER } from "./layout.ts";
import { StreamLog } from "./stream-log.ts";

/** What a version of a table is: `_headrace.json` beside its folder of files. */
export interface TableRecord {
	readonly format_version: 1;
	readonly table: TableName;
	readonly version: number;
	readonly format: string;
	readonly columns: readonly StoredColumn[];
	readonly key: readonly string[];
	readonly rows: number;
	readonly files: readonly StoredFile[];
	/** The load that made it; the version counts from when the stream's log says so. */
	readonly pipeline: string;
	readonly stream: string;
	readonly epoch: number;
	readonly load_id: string;
	readonly from_position: string | null;
	readonly to_position: string;
	/** The process that wrote it. */
	readonly writer: string;
}

export interface StoredColumn {
	readonly name: string;
	/** Canonical name: see `typeName`. */
	readonly type: string;
	readonly nullable: boolean;
}

export interface StoredFile {
	readonly name: string;
	readonly rows: number;
}

/** A version that was committed, and where its files are. */
export interface CurrentTable {
	readonly record: TableRecord;
	readonly dataFolder: string;
}

/** This process: machine, process id, and a tag that another process with the same id does not have. */
const WRITER = `${MACHINE_TAG}-${process.pid}-${randomBytes(4).toString("hex")}`;

/** Whether a writer is a process of this machine that is gone. */
function isDeadWriter(writer: string): boolean {
	const [machine, pid] = writer.split("-");
	if (machine !== MACHINE_TAG || writer === WRITER) return false;
	return Number(pid) === process.pid || !isAlive(Number(pid));
}

/** Ending of a file's name until its version is placed: `**` of a reader must not find it before. */
export const UNFINISHED_ENDING = ".tmp";

/**
 * The versions of one table. A version is a folder with a number as its name, made elsewhere and renamed to its place:
 * of two that want the same number one fails. It counts from the moment when its stream's log names it; `<root>/<table>`
 * is a symbolic link to the files of the newest one, and is set right whenever the table is looked at.
 */
export class TableVersions {
	readonly #root: string;
	readonly folder: string;
	readonly #versions: string;
	readonly #pointer: string;

	/** `folder` as `tableFolder` gives it. */
	constructor(root: string, folder: string) {
		this.#root = root;
		this.folder = folder;
		this.#versions = join(root, HIDDEN_FOLDER, "tables", this.folder);
		this.#pointer = join(root, this.folder);
	}

	/**
	 * The newest committed version; null when the table does not exist. A commit whose process died before it set the
	 * link, or removed the version before, is finished here.
	 * @throws E_UNSUPPORTED when something else has the table's name
	 */
	async current(): Promise<CurrentTable | null> {
		await this.#checkPointer();
		const current = await this.#newestCommitted();
		if (current !== null) {
			await this.#point(current.record.version);
			await this.#removeOlder(current.record.version);
		}
		return current;
	}

	/** Whether this is still the newest committed version. */
	async isNewest(version: number | undefined): Promise<boolean> {
		return (await this.#newestCommitted())?.record.version === version;
	}

	async #newestCommitted(): Promise<CurrentTable | null> {
		for (const version of (await this.#numbers()).reverse()) {
			const record = await this.#record(version);
			if (record !== null && (await this.#isCommitted(record)))
				return { record, dataFolder: join(this.#place(version), "data") };
		}
		return null;
	}

	/** Whether the stream's log names this very version: a number can be given again after a run died. */
	async #isCommitted(record: TableRecord): Promise<boolean> {
		const head = await new StreamLog(join(this.#root, HIDDEN_FOLDER), record.pipeline, record.stream).head();
		const committed = head?.tables[this.folder];
		return committed?.version === record.version && committed.load_id === record.load_id;
	}

	async #numbers(): Promise<number[]> {
		const names = await readdir(this.#versions).catch((error: NodeJS.ErrnoException) => {
			if (error.code === "ENOENT") return [];
			throw error;
		});
		return names
			.filter((name) => /^\d{20}$/.test(name))
			.map(Number)
			.sort((a, b) => a - b);
	}

	#place(version: number): string {
		return join(this.#versions, String(version).padStart(20, "0"));
	}

	async #record(version: number): Promise<TableRecord | null> {
		const path = join(this.#place(version), COMMIT_FILE);
		const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
			if (error.code === "ENOENT") return null;
			throw error;
		});
		if (text === null) return null;
		try {
			const record = JSON.parse(text) as TableRecord;
			if (record.format_version === 1) return record;
		} catch {
			// falls through to the error
		}
		throw new HeadraceError("E_STATE", `${path} can't be read, or is of a newer version`, { file: path });
	}

	/** What stands under the table's name must be ours. */
	async #checkPointer(): Promise<void> {
		const found = await lstat(this.#pointer).catch((error: NodeJS.ErrnoException) => {
			if (error.code === "ENOENT") return null;
			throw error;
		});
		if (found === null) return;
		const target = found.isSymbolicLink() ? await readlink(this.#pointer) : "";
		if (!target.startsWith(`${HIDDEN_FOLDER}/tables/${this.folder}/`))
			throw new HeadraceError("E_UNSUPPORTED", `${this.#pointer} exists and was not written by Headrace`, {
				hint: `Move it away, or write \`into:\` another name: mv '${this.#pointer}' '${this.#pointer}.old'`,
			});
	}

	/**
	 * Gives a built version its number and place.
	 * @throws E_CONFLICT, which is retried, when another load of the table came first
	 */
	async place(building: BuiltVersion, record: Omit<TableRecord, "version" | "writer">, base: number): Promise<number> {
		const version = base + 1;
		await building.finish({ ...record, version, writer: WRITER });
		await makeFolders(this.#versions, 0o777);
		const place = this.#place(version);
		await this.#removeAbandoned(version, record);
		crashPoint("file-built");
		try {
			await rename(building.folder, place);
		} catch (error) {
			const { code } = error as NodeJS.ErrnoException;
			if (code === "ENOTEMPTY" || code === "EEXIST")
				throw new HeadraceError("E_CONFLICT", `another load of ${this.folder} is being committed`);
			throw error;
		}
		await syncFolder(this.#versions);
		return version;
	}

	/** Versions after the newest committed one whose load is dead or fenced. */
	async #removeAbandoned(from: number, record: Pick<TableRecord, "pipeline" | "stream" | "epoch">): Promise<void> {
		for (const version of await this.#numbers()) {
			if (version < from) continue;
			const other = await this.#record(version);
			if (other === null) continue;
			if (await this.#isCommitted(other)) return;
			const isFenced =
				other.pipeline === record.pipeline && other.stream === record.stream && other.epoch < record.epoch;
			if (isFenced || isDeadWriter(other.writer)) await rm(this.#place(version), { recursive: true, force: true });
		}
	}

	/** Takes a placed version away that could not be committed. */
	async withdraw(version: number): Promise<void> {
		await rm(this.#place(version), { recursive: true, force: true });
	}

	/** Shows readers a committed version, and removes the older ones. */
	async publish(version: number): Promise<void> {
		await this.#point(version);
		crashPoint("file-pointed");
		await this.#removeOlder(version);
	}

	async #removeOlder(version: number): Promise<void> {
		for (const older of await this.#numbers())
			if (older < version) await rm(this.#place(older), { recursive: true, force: true });
	}

	/** Renames a new link over the old: a reader finds the one or the other. */
	async #point(version: number): Promise<void> {
		const target = `${HIDDEN_FOLDER}/tables/${this.folder}/${String(version).padStart(20, "0")}/data`;
		if ((await readlink(this.#pointer).catch(() => null)) === target) return;
		const temporary = join(this.#root, HIDDEN_FOLDER, `link-${WRITER}-${randomBytes(6).toString("hex")}`);
		await symlink(target, temporary);
		await rename(temporary, this.#pointer);
		await syncFolder(this.#root);
		// Another stream may have committed a newer one, and pointed to it, in between.
		const newest = (await this.#newestCommitted())?.record.version ?? version;
		if (newest > version) await this.#point(newest);
	}
}

/** A version under construction, in a folder of its own that nobody reads. */
export class BuiltVersion {
	readonly folder: string;
	readonly dataFolder: string;
	readonly #names: string[] = [];

	private constructor(folder: string) {
		this.folder = folder;
		this.dataFolder = join(folder, "data");
	}

	static async begin(root: string): Promise<BuiltVersion> {
		const all = join(root, HIDDEN_FOLDER, "building");
		await makeFolders(all, 0o777);
		await removeDead(all);
		const version = new BuiltVersion(join(all, `${WRITER}-${randomBytes(6).toString("hex")}`));
		await mkdir(version.dataFolder, { recursive: true });
		return version;
	}

	/** Where to write a file of this name. */
	pathFor(name: string): string {
		this.#names.push(name);
		return this.unfinishedPath(name);
	}

	/** Where a file of this name lies until the version is finished. */
	unfinishedPath(name: string): string {
		return join(this.dataFolder, name + UNFINISHED_ENDING);
	}

	/** Takes a written file back. */
	async drop(name: string): Promise<void> {
		this.#names.splice(this.#names.indexOf(name), 1);
		await rm(this.unfinishedPath(name));
	}

	/** Takes a file of the version before, without copying it where the file system can. */
	async adopt(from: string, name: string): Promise<void> {
		await link(from, join(this.dataFolder, name)).catch(async (error: NodeJS.ErrnoException) => {
			if (error.code !== "EPERM" && error.code !== "ENOTSUP" && error.code !== "EXDEV") throw error;
			await copyFile(from, join(this.dataFolder, name));
			await syncFile(join(this.dataFolder, name));
		});
	}

	/** Makes everything durable, the record last. */
	async finish(record: TableRecord): Promise<void> {
		for (const name of this.#names.splice(0)) {
			const path = join(this.dataFolder, name + UNFINISHED_ENDING);
			await chmod(path, 0o666 & ~process.umask());
			await syncFile(path);
			await rename(path, join(this.dataFolder, name));
		}
		await syncFolder(this.dataFolder);
		const handle = await open(join(this.folder, COMMIT_FILE), "w");
		try {
			await handle.writeFile(`${JSON.stringify(record, null, "\t")}\n`);
			await handle.sync();
		} finally {
			await handle.close();
		}
		await syncFolder(this.folder);
	}

	/** Nothing is left of it; harmless once it is placed. */
	async discard(): Promise<void> {
		await rm(this.folder, { recursive: true, force: true });
	}
}

/** What processes of this machine left when they died. */
async function removeDead(all: string): Promise<void> {
	const hidden = dirname(all);
	const left = [
		...(await readdir(all)).map((name) => join(all, name)),
		...(await readdir(hidden)).map((name) => join(hidden, name)),
	];
	for (const path of left) {
		const writer = /^(?:link-)?([0-9a-f]{8}-\d+-[0-9a-f]{8})-[0-9a-f]{12}$/.exec(basename(path))?.[1];
		if (writer !== undefined && isDeadWriter(writer)) await rm(path, { recursive: true, force: true });
	}
}
