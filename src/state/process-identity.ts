import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";

/**
 * Names this process so that another one on the same host can tell whether it still lives:
 * `build-7 pid 4711 #8812345.4026531836`, the digits being its start (clock ticks since boot, so that a reused pid is
 * not taken for it) and its pid namespace (a pid of another container says nothing). See proc_pid_stat(5), pid_namespaces(7).
 * Elsewhere than on Linux the digits are missing.
 */
export function processHolder(): string {
	own ??= nameOfThisProcess();
	return own;
}

/** A holder's name for people: without the digits that tell a reused pid. */
export function holderText(holder: string): string {
	return holder.replace(/ #\d+\.\d+/, "");
}

let own: string | null = null;

function nameOfThisProcess(): string {
	const start = startTicks(process.pid);
	const identity = start === null ? "" : ` #${start}.${pidNamespace()}`;
	return `${hostname()} pid ${process.pid}${identity}`;
}

/**
 * Whether the process that gave itself this name is known to be gone. False when it lives and also when nobody here
 * can know: another host, another container, a text of another form.
 */
export function holderIsDead(holder: string): boolean {
	if (holder === processHolder()) return false;
	const match = /^(.*)(?: pid |:)(\d+)(?: #(\d+)\.(\d+))?(?: .*)?$/.exec(holder);
	if (match === null || match[1] !== hostname()) return false;
	const pid = Number(match[2]);
	const start = match[3];
	if (start !== undefined && match[4] !== pidNamespace()) return false;
	if (!processExists(pid)) return true;
	return start !== undefined && startTicks(pid) !== start;
}

function processExists(pid: number): boolean {
	try {
		process.kill(pid, 0);
		return true;
	} catch (error) {
		// EPERM: it exists and belongs to somebody else.
		return (error as NodeJS.ErrnoException).code !== "ESRCH";
	}
}

function startTicks(pid: number): string | null {
	try {
		const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
		// The command name, in brackets, may hold blanks and brackets itself: fields are counted from its end. Start is field 22.
		const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
		// A zombie has ended; it only waits for its parent.
		return fields[0] === "Z" ? "0" : (fields[19] ?? null);
	} catch {
		return null;
	}
}

function pidNamespace(): string {
	try {
		return /\d+/.exec(readlinkSync("/proc/self/ns/pid"))?.[0] ?? "0";
	} catch {
		return "0";
	}
}
