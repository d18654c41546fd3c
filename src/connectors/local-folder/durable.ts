import { createHash } from "node:crypto";
import { constants, createReadStream } from "node:fs";
import { mkdir, open } from "node:fs/promises";
import { dirname } from "node:path";
import { HeadraceError } from "../../core/index.ts";

/** Makes an entry's name durable: its folder is a file too, and rename or link alone do not reach the disk. */
export async function syncFolder(folder: string): Promise<void> {
	const handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
	try {
		await handle.sync();
	} finally {
		await handle.close();
	}
}

/** Makes folders for their owner alone, and their names durable. */
export async function makeFolders(folder: string): Promise<void> {
	const first = await mkdir(folder, { recursive: true, mode: 0o700 });
	if (first === undefined) return;
	for (let made = folder; ; made = dirname(made)) {
		await syncFolder(dirname(made));
		if (made === first) return;
	}
}

/** SHA-256 and size of a file; a symbolic link is not followed. */
export async function digestFile(place: string): Promise<{ readonly sha256: string; readonly bytes: number }> {
	const hash = createHash("sha256");
	let bytes = 0;
	const handle = await open(place, constants.O_RDONLY | constants.O_NOFOLLOW);
	for await (const piece of createReadStream("", { fd: handle, highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
		hash.update(piece);
		bytes += piece.length;
	}
	return { sha256: hash.digest("hex"), bytes };
}

const SPACE = new Set(["ENOSPC", "EFBIG", "EDQUOT"]);
const RIGHTS = new Set(["EACCES", "EPERM", "EROFS"]);

/** A fault of the file system as a Headrace error. */
export function folderError(error: unknown, doing: string): HeadraceError {
	if (error instanceof HeadraceError) return error;
	const { code = "", message } = error as NodeJS.ErrnoException;
	if (SPACE.has(code)) return new HeadraceError("E_NO_SPACE", `no space left ${doing}`, { cause: error });
	if (RIGHTS.has(code))
		return new HeadraceError("E_RIGHTS", `not allowed ${doing}`, {
			hint: "Give this user the right to write the folder: `chmod u+rwx` or `chown`.",
			cause: error,
		});
	if (code === "ELOOP") return new HeadraceError("E_PATH", `a symbolic link is in the way ${doing}`, { cause: error });
	return new HeadraceError("E_DESTINATION", `${message} ${doing}`, { cause: error });
}
