import { randomBytes } from "node:crypto";
import { chmod, copyFile, link, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { isAlive, MACHINE_TAG, makeFolders, syncFile, syncFolder } from "../../formats/index.ts";
import { COMMIT_FILE, HIDDEN_FOLDER } from "./layout.ts";
import type { TableRecord } from "./table-record.ts";

/** This process: machine, process id, and a tag that another process with the same id does not have. */
export const WRITER = `${MACHINE_TAG}-${process.pid}-${randomBytes(4).toString("hex")}`;

/** Whether a writer is a process of this machine that is gone. */
export function isDeadWriter(writer: string): boolean {
	const [machine, pid] = writer.split("-");
	if (machine !== MACHINE_TAG || writer === WRITER) return false;
	return Number(pid) === process.pid || !isAlive(Number(pid));
}

/** Ending of a file's name until its version is placed: `**` of a reader must not find it before. */
export const UNFINISHED_ENDING = ".tmp";

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
