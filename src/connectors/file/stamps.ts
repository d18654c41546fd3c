import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { HeadraceError } from "../../core/index.ts";
import { readError } from "../../formats/index.ts";

/** Files up to this size are stamped by content too: an editor can keep size and time. */
const HASHED_BYTES_MAX = 1 << 20;

/** Size, time of change in nanoseconds, and for small files a hash: it changes when the file does. */
export async function fileStamp(path: string): Promise<string> {
	try {
		const { size, mtimeNs } = await stat(path, { bigint: true });
		if (size > HASHED_BYTES_MAX) return `${size}-${mtimeNs}`;
		const hash = createHash("sha256")
			.update(await readFile(path))
			.digest("hex");
		return `${size}-${hash.slice(0, 32)}`;
	} catch (error) {
		throw sinceListed(readError(error, path), path);
	}
}

/** @throws E_CONFLICT, which is retried, when a file is not as it was */
export function sameStamp(path: string, before: string, now: string): void {
	if (before !== now)
		throw new HeadraceError("E_CONFLICT", `${path} was changed while it was read`, {
			file: path,
			hint: "Write files under another name and rename them when they are whole.",
		});
}

/** A file that was listed and is gone was replaced meanwhile: E_CONFLICT, which is retried with a new list. */
export function sinceListed(error: unknown, path: string): unknown {
	if (!(error instanceof HeadraceError) || error.code !== "E_FILE_NOT_FOUND") return error;
	return new HeadraceError("E_CONFLICT", `${path} is gone since it was listed`, { file: path, cause: error });
}
