import { createHash } from "node:crypto";
import { constants, createReadStream } from "node:fs";
import { mkdir, open } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname } from "node:path";

/** Makes an entry's name durable: its folder is a file too, and rename or link alone do not reach the disk. */
export async function syncFolder(folder: string): Promise<void> {
	const handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
	try {
		await handle.sync();
	} finally {
		await handle.close();
	}
}

/** Makes folders, for their owner alone unless `mode` says otherwise, and their names durable. */
export async function makeFolders(folder: string, mode = 0o700): Promise<void> {
	const first = await mkdir(folder, { recursive: true, mode });
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
	const highWaterMark = readBytes((await handle.stat()).size);
	for await (const piece of createReadStream("", { fd: handle, highWaterMark }) as AsyncIterable<Buffer>) {
		hash.update(piece);
		bytes += piece.length;
	}
	return { sha256: hash.digest("hex"), bytes };
}

/**
 * How much to read at once of a file of that size: a stream takes so much memory for each read, also for the last that
 * finds nothing, and a server that reads a thousand small files a minute would collect garbage all the time.
 */
export function readBytes(fileBytes: number): number {
	return Math.min(1 << 20, Math.max(1 << 14, fileBytes + 1));
}

/** Puts a file's content on the disk. */
export async function syncFile(place: string): Promise<void> {
	const handle = await open(place, constants.O_RDWR | constants.O_NOFOLLOW);
	try {
		await handle.sync();
	} finally {
		await handle.close();
	}
}

/** A shared folder is used by several machines, whose process ids say nothing to each other. */
export const MACHINE_TAG: string = createHash("sha256").update(hostname()).digest("hex").slice(0, 8);

/** Whether a process of this machine lives. */
export function isAlive(pid: number): boolean {
	try {
		process.kill(pid, 0);
		return true;
	} catch (error) {
		// EPERM: it lives and belongs to somebody else.
		return (error as NodeJS.ErrnoException).code === "EPERM";
	}
}
