import { randomBytes } from "node:crypto";
import { lstat, readdir, readFile, readlink, rename, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { crashPoint, HeadraceError } from "../../core/index.ts";
import { makeFolders, syncFolder } from "../../formats/index.ts";
import { type BuiltVersion, isDeadWriter, WRITER } from "./built-version.ts";
import { COMMIT_FILE, HIDDEN_FOLDER } from "./layout.ts";
import { StreamLog } from "./stream-log.ts";
import type { TableRecord } from "./table-record.ts";

/** A version that was committed, and where its files are. */
export interface CurrentTable {
	readonly record: TableRecord;
	readonly dataFolder: string;
}

/** The load that a table's rows began with. */
export function originOf({ record }: CurrentTable): string {
	return record.follows?.origin ?? record.load_id;
}

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

	/** The same, for who only looks: nothing is finished. */
	async newest(): Promise<CurrentTable | null> {
		return this.#newestCommitted();
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
