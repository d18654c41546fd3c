/**
 * A folder in memory for everything that tests throw away. An fsync on a disk takes milliseconds, and a whole test run
 * waits for tens of thousands of them; what was written survives `kill -9` in memory too.
 */
import { accessSync, constants, mkdirSync, readdirSync, readFileSync, rmSync, statfsSync } from "node:fs";
import { freemem } from "node:os";
import { join } from "node:path";
import { undoAtEnd } from "./processes.ts";

const MEMORY = "/dev/shm";
/** The servers' data and logs of a whole run take up to 3 GB; a container's own /dev/shm may have 64 MB. */
const FREE_BYTES_MIN = 8 * 2 ** 30;
const NAME = /^headrace-tests-(\d+)$/;

/** Why tests can't have their files there, or undefined. */
function unfit(): string | undefined {
	try {
		accessSync(MEMORY, constants.W_OK);
		const { bavail, bsize } = statfsSync(MEMORY);
		if (bavail * bsize < FREE_BYTES_MIN || freemem() < FREE_BYTES_MIN) return "it has less than 8 GB free";
		// Servers are run from copies of their programs.
		const mounted = readFileSync("/proc/mounts", "utf8")
			.split("\n")
			.map((line) => line.split(" "));
		const options = mounted.findLast(([, path]) => path === MEMORY)?.[3]?.split(",");
		return options === undefined || options.includes("noexec") ? "programs can't be run from it" : undefined;
	} catch {
		return "it can't be written";
	}
}

/** Makes the folder of temporary files of this process, and of those it starts from now on, one in memory, if it can. */
export function useMemoryFolder(): void {
	if (process.env["TMPDIR"] !== undefined || unfit() !== undefined) return;
	// Of runs that were killed.
	for (const name of readdirSync(MEMORY)) {
		const pid = NAME.exec(name)?.[1];
		if (pid !== undefined && !isRunning(Number(pid))) rmSync(join(MEMORY, name), { recursive: true, force: true });
	}
	const path = join(MEMORY, `headrace-tests-${process.pid}`);
	mkdirSync(path, { mode: 0o755, recursive: true });
	undoAtEnd(() => rmSync(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 }));
	process.env["TMPDIR"] = path;
}

function isRunning(pid: number): boolean {
	try {
		process.kill(pid, 0);
		return true;
	} catch (error) {
		return (error as NodeJS.ErrnoException).code === "EPERM";
	}
}
