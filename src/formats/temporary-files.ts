import { randomBytes } from "node:crypto";
import { readdir, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { isAlive, MACHINE_TAG } from "./durable.ts";

/** Begins the names of files that are not whole yet; no staged path may use it. */
export const TEMPORARY_PREFIX = ".tmp-";

/** Another machine's temporary file this old has no writer any more. */
const FOREIGN_AGE_MAX_MS = 24 * 3600 * 1000;

/** Temporary files of this process, so that a file of an earlier process with the same id is known as stale. */
const own = new Set<string>();

/** A new name for a file that is not whole yet: `.tmp-<machine>-<pid>-<random>`. */
export function temporaryName(): string {
	const name = `${TEMPORARY_PREFIX}${MACHINE_TAG}-${process.pid}-${randomBytes(6).toString("hex")}`;
	own.add(name);
	return name;
}

/** The file is gone or has its final name. */
export function forgetTemporary(name: string): void {
	own.delete(name);
}

/** Removes temporary files whose process is dead. */
export async function removeStaleTemporaries(root: string): Promise<void> {
	for (const name of await readdir(root)) {
		const match = /^\.tmp-([0-9a-f]{8})-(\d+)-[0-9a-f]{12}$/.exec(name);
		if (match === null || own.has(name)) continue;
		const place = join(root, name);
		if (match[1] !== MACHINE_TAG) {
			const found = await stat(place).catch(() => null);
			if (found === null || Date.now() - found.mtimeMs < FOREIGN_AGE_MAX_MS) continue;
		} else if (Number(match[2]) !== process.pid && isAlive(Number(match[2]))) continue;
		await unlink(place).catch(() => {});
	}
}
