/**
 * Server processes of the tests: a temporary folder, a free port, a process that dies with its parent.
 * Everything started here is undone when this process ends, however it ends; nothing else is ever touched.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { chmodSync, closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, statSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** The account that PostgreSQL runs under when we are root, which it refuses: `nobody` needs no useradd. */
export const UNPRIVILEGED = { uid: 65534, gid: 65534 };

export const isRoot = process.getuid?.() === 0;

const undoes = new Set<() => void>();
let watching = false;

function undoAll(): void {
	for (const undo of undoes) undo();
	undoes.clear();
}

/** Has `undo` called when this process ends, by a signal too; gives what takes that back. */
export function undoAtEnd(undo: () => void): () => void {
	undoes.add(undo);
	if (!watching) {
		watching = true;
		process.on("exit", undoAll);
		for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
			const onSignal = () => {
				undoAll();
				// A listener switches Node's own reaction off. Where nobody else listens, die of the signal all the same.
				if (process.listenerCount(signal) > 1) return;
				process.removeListener(signal, onSignal);
				process.kill(process.pid, signal);
			};
			process.on(signal, onSignal);
		}
	}
	return () => undoes.delete(undo);
}

/** Whether another account can get at a path: an executable in a 0700 folder cannot be run after setuid. */
export function reachableByOthers(path: string): boolean {
	for (let folder = path; ; folder = dirname(folder)) {
		if ((statSync(folder).mode & 0o001) === 0) return false;
		if (folder === dirname(folder)) return true;
	}
}

export interface TemporaryFolder {
	readonly path: string;
	remove(): void;
}

/** A folder that is gone when this process ends. Short, because a Unix socket's address holds 107 bytes. */
export function temporaryFolder(name: string): TemporaryFolder {
	const preferred = tmpdir();
	const base = preferred.length < 60 && (!isRoot || reachableByOthers(preferred)) ? preferred : "/tmp";
	const path = mkdtempSync(join(base, `headrace-${name}-`));
	chmodSync(path, 0o755);
	const removeNow = () => rmSync(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
	const forget = undoAtEnd(removeNow);
	return {
		path,
		remove() {
			forget();
			removeNow();
		},
	};
}

/**
 * A free port of 127.0.0.1 below the kernel's ephemeral range (32768 up), so that no outgoing connection takes it
 * between a kill and the restart.
 */
export async function freePort(): Promise<number> {
	for (let attempt = 0; attempt < 200; attempt++) {
		const port = 15_000 + Math.floor(Math.random() * 17_000);
		const free = await new Promise<boolean>((resolve) => {
			const probe = createServer();
			probe.once("error", () => resolve(false));
			probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
		});
		if (free) return port;
	}
	throw new Error("no free port between 15000 and 32000 on 127.0.0.1");
}

export interface Launch {
	readonly command: string;
	readonly args: readonly string[];
	readonly cwd: string;
	readonly env?: Record<string, string>;
	/** Run under this account; needs root. */
	readonly as?: { uid: number; gid: number };
	/** What the kernel sends the server when our process dies without a chance to stop it. */
	readonly deathSignal: "KILL" | "QUIT";
	readonly logFile: string;
	/** Resolves when the server answers, throws while it does not. */
	readonly answers: () => Promise<unknown>;
}

const baseEnv = { PATH: process.env["PATH"] ?? "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" };
const setpriv = ["/usr/bin/setpriv", "/bin/setpriv"].find(existsSync);

/** Runs a set-up command to its end; throws with its output when it fails. */
export function runToEnd(
	command: string,
	args: readonly string[],
	options: { cwd?: string; env?: Record<string, string>; as?: { uid: number; gid: number } | undefined } = {},
): void {
	const done = spawnSync(command, args, {
		...options.as,
		...(options.cwd === undefined ? {} : { cwd: options.cwd }),
		env: { ...baseEnv, ...options.env },
		encoding: "utf8",
	});
	if (done.status !== 0) {
		throw new Error(
			`${command} failed (${done.error?.message ?? done.status ?? done.signal}):\n${done.stderr}${done.stdout}`,
		);
	}
}

/** Like runToEnd without blocking the event loop: several servers are set up side by side. */
export async function runAside(
	command: string,
	args: readonly string[],
	options: { cwd?: string; env?: Record<string, string>; as?: { uid: number; gid: number } | undefined } = {},
): Promise<void> {
	const child = spawn(command, args, {
		...options.as,
		...(options.cwd === undefined ? {} : { cwd: options.cwd }),
		env: { ...baseEnv, ...options.env },
		stdio: ["ignore", "pipe", "pipe"],
	});
	let output = "";
	child.stdout.on("data", (bytes: Buffer) => {
		output += bytes;
	});
	child.stderr.on("data", (bytes: Buffer) => {
		output += bytes;
	});
	const status = await new Promise<string>((resolve) => {
		child.once("error", (error) => resolve(error.message));
		child.once("close", (code, signal) => resolve(code === 0 ? "" : String(code ?? signal)));
	});
	if (status !== "") throw new Error(`${command} failed (${status}):\n${output}`);
}

/** A server that can be started, stopped, killed and started again on the same data and port. */
export class ServerProcess {
	readonly #launch: Launch;
	#child: ChildProcess | undefined;
	#exited: Promise<void> = Promise.resolve();
	#forget: () => void = () => {};

	constructor(launch: Launch) {
		this.#launch = launch;
	}

	get pid(): number | undefined {
		return this.#child?.pid;
	}

	/** Starts and waits until the server answers, 60 s at most. */
	async start(): Promise<void> {
		if (this.#child !== undefined) throw new Error(`${this.#launch.command} is running`);
		const { command, args, cwd, env, as, deathSignal, logFile, answers } = this.#launch;
		const account = as === undefined ? [] : ["--reuid", `${as.uid}`, "--regid", `${as.gid}`, "--clear-groups"];
		const log = openSync(logFile, "a");
		// Detached: Ctrl-C in a terminal reaches us only, and we stop the server in order.
		const child =
			setpriv === undefined
				? spawn(command, args, {
						...as,
						cwd,
						env: { ...baseEnv, ...env },
						stdio: ["ignore", log, log],
						detached: true,
					})
				: spawn(setpriv, ["--pdeathsig", deathSignal, ...account, "--", command, ...args], {
						cwd,
						env: { ...baseEnv, ...env },
						stdio: ["ignore", log, log],
						detached: true,
					});
		closeSync(log);
		this.#child = child;
		let ended: string | undefined;
		this.#exited = new Promise((resolve) => {
			const end = (how: string) => {
				ended = how;
				this.#forget();
				this.#child = undefined;
				resolve();
			};
			child.once("error", (error) => end(error.message));
			child.once("exit", (code, signal) => end(`exit ${code ?? signal}`));
		});
		this.#forget = undoAtEnd(() => child.kill("SIGKILL"));
		// The server must not keep a script or a vitest worker alive that forgot to stop it.
		child.unref();
		const deadlineMs = Date.now() + 60_000;
		let last: unknown;
		while (ended === undefined && Date.now() < deadlineMs) {
			try {
				await answers();
				return;
			} catch (error) {
				last = error;
				await sleep(20);
			}
		}
		await this.stop("SIGKILL");
		const log_ = existsSync(logFile) ? readFileSync(logFile, "utf8").slice(-3000) : "";
		throw new Error(`${command} did not start (${ended ?? `no answer in 60 s: ${last}`}):\n${log_}`);
	}

	/** Sends a signal and waits for the end; SIGKILL after 20 s. Nothing happens when it is not running. */
	async stop(signal: NodeJS.Signals): Promise<void> {
		const child = this.#child;
		if (child === undefined) return;
		child.kill(signal);
		const timer = setTimeout(() => child.kill("SIGKILL"), 20_000);
		await this.#exited;
		clearTimeout(timer);
	}

	/** kill -9 of the server and of its own child processes at once, as the machine's out-of-memory killer would. */
	async kill9(): Promise<void> {
		const pid = this.#child?.pid;
		if (pid === undefined) throw new Error(`${this.#launch.command} is not running`);
		const children = await childrenOf(pid);
		await this.stop("SIGKILL");
		for (const child of children) {
			try {
				process.kill(child, "SIGKILL");
			} catch {
				// It ended with its parent.
			}
		}
		for (const child of children) while (existsSync(`/proc/${child}/stat`) && !(await isZombie(child))) await sleep(5);
	}
}

async function statFields(pid: number): Promise<string[]> {
	const stat = await readFile(`/proc/${pid}/stat`, "utf8");
	return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}

async function isZombie(pid: number): Promise<boolean> {
	try {
		return (await statFields(pid))[0] === "Z";
	} catch {
		return true;
	}
}

async function childrenOf(parent: number): Promise<number[]> {
	const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
	const found: number[] = [];
	for (const pid of pids) {
		try {
			if (Number((await statFields(pid))[1]) === parent) found.push(pid);
		} catch {
			// It ended while we looked.
		}
	}
	return found;
}
