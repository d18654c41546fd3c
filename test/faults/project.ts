/** A project in a folder of its own, and the real command line run in it as a child process. */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import type { RunReceipt } from "../../src/core/index.ts";
import { type TemporaryFolder, temporaryFolder, undoAtEnd } from "../support/processes.ts";
import { runWarm } from "./warm-command.ts";

const BIN = join(import.meta.dirname, "../../bin/headrace.js");

/** Compiled code that all children share: it halves the time that a child needs to start. */
const COMPILE_CACHE = process.env["HEADRACE_TESTS_CACHE"] ?? temporaryFolder("compile-cache").path;

export interface CommandResult {
	readonly code: number | null;
	readonly signal: NodeJS.Signals | null;
	readonly stdout: string;
	readonly stderr: string;
	readonly milliseconds: number;
}

export interface CommandError {
	readonly code: string;
	readonly message: string;
	readonly file: string | null;
	readonly line: number | null;
	readonly column: number | null;
	readonly hint: string;
}

/** What `--json` prints. */
export interface Envelope {
	readonly ok: boolean;
	readonly data: { readonly runs: readonly RunReceipt[] } | null;
	readonly errors: readonly CommandError[];
}

export interface RunningCommand {
	readonly pid: number;
	readonly ended: Promise<CommandResult>;
	kill(signal: NodeJS.Signals): void;
	/** Resolves when stderr matches; throws when the command ends before. */
	says(pattern: RegExp): Promise<void>;
}

export interface CommandOptions {
	readonly env?: Readonly<Record<string, string | undefined>>;
	/** Words before `node`: a wrapper such as `prlimit`. */
	readonly wrapper?: readonly string[];
	/** Without it `--json` is added, so that receipts can be read. */
	readonly plain?: boolean;
}

/** The one object on stdout. @throws when there is anything else. */
export function envelopeOf(result: CommandResult): Envelope {
	try {
		return JSON.parse(result.stdout) as Envelope;
	} catch {
		throw new Error(`no JSON on stdout (exit ${result.code ?? result.signal}): ${result.stdout}\n${result.stderr}`);
	}
}

function commandEnv(): Record<string, string> {
	const { FORCE_COLOR: _color, HEADRACE_CRASH: _crash, ...env } = process.env;
	const given = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined);
	return { ...Object.fromEntries(given), NO_COLOR: "1", NODE_COMPILE_CACHE: COMPILE_CACHE };
}

/** Starts a command in a folder; it is killed when this process ends. */
export function startCommand(
	directory: string,
	words: readonly string[],
	options: CommandOptions = {},
): RunningCommand {
	const started = performance.now();
	const [command, ...before] = [...(options.wrapper ?? []), process.execPath];
	const child: ChildProcessByStdio<null, Readable, Readable> = spawn(
		command!,
		[...before, BIN, "-C", directory, ...words, ...(options.plain === true ? [] : ["--json"])],
		{
			cwd: directory,
			env: { ...commandEnv(), ...options.env },
			stdio: ["ignore", "pipe", "pipe"],
		},
	);
	const forget = undoAtEnd(() => child.kill("SIGKILL"));
	let stdout = "";
	let stderr = "";
	let over = false;
	child.stdout.setEncoding("utf8").on("data", (text: string) => {
		stdout += text;
	});
	child.stderr.setEncoding("utf8").on("data", (text: string) => {
		stderr += text;
	});
	const ended = new Promise<CommandResult>((resolve, reject) => {
		child.once("error", reject);
		child.once("close", (code, signal) => {
			over = true;
			forget();
			resolve({ code, signal, stdout, stderr, milliseconds: performance.now() - started });
		});
	});
	return {
		pid: child.pid!,
		ended,
		kill: (signal) => child.kill(signal),
		async says(pattern) {
			await until(
				() => {
					if (pattern.test(stderr)) return true;
					if (over) throw new Error(`the command ended without saying ${pattern}:\n${stdout}\n${stderr}`);
					return false;
				},
				() => `stderr says ${pattern}, not\n${stderr}`,
			);
		},
	};
}

/** Waits until `holds` gives true, 30 s at most. */
export async function until(
	holds: () => boolean | Promise<boolean>,
	what: string | (() => string),
	deadlineMs = 30_000,
): Promise<void> {
	const end = performance.now() + deadlineMs;
	while (!(await holds())) {
		if (performance.now() > end)
			throw new Error(`waited ${deadlineMs} ms in vain until ${typeof what === "string" ? what : what()}`);
		await sleep(10);
	}
}

export class Project implements Disposable {
	readonly folder: string;
	/** Everything that its commands printed, for the search for secrets. */
	readonly output: string[] = [];
	readonly #temporary: TemporaryFolder;

	/** `files` are written below its folder: `pipelines/shop.yaml`, `connections.yaml`. */
	constructor(files: Readonly<Record<string, string>> = {}) {
		this.#temporary = temporaryFolder("project");
		this.folder = this.#temporary.path;
		for (const [name, text] of Object.entries(files)) this.write(name, text);
	}

	path(name: string): string {
		return join(this.folder, name);
	}

	write(name: string, content: string | Uint8Array): void {
		mkdirSync(dirname(this.path(name)), { recursive: true });
		writeFileSync(this.path(name), content);
	}

	read(name: string): string {
		return readFileSync(this.path(name), "utf8");
	}

	/** Names of all files below a folder of the project, sorted; none when it is missing. */
	files(name: string): string[] {
		if (!existsSync(this.path(name))) return [];
		return readdirSync(this.path(name), { recursive: true, withFileTypes: true })
			.filter((entry) => !entry.isDirectory())
			.map((entry) => join(entry.parentPath, entry.name).slice(this.path(name).length + 1))
			.sort();
	}

	start(words: readonly string[], options: CommandOptions = {}): RunningCommand {
		const running = startCommand(this.folder, words, options);
		void running.ended.then((result) => this.output.push(result.stdout, result.stderr));
		return running;
	}

	/** Runs a command to its end, in a process that other commands were run in before. */
	async run(...words: readonly string[]): Promise<CommandResult> {
		const started = performance.now();
		const request = { words: ["-C", this.folder, ...words, "--json"], directory: this.folder, env: commandEnv() };
		const answer = await runWarm(BIN, request);
		if (answer === null) return this.start(words).ended;
		this.output.push(answer.stdout, answer.stderr);
		return { ...answer, signal: null, milliseconds: performance.now() - started };
	}

	/** Runs a command that has to succeed and gives its runs, each of them balanced. */
	async succeed(...words: readonly string[]): Promise<readonly RunReceipt[]> {
		const result = await this.run(...words);
		if (result.code !== 0)
			throw new Error(
				`${words.join(" ")} ended with ${result.code ?? result.signal}:\n${result.stdout}${result.stderr}`,
			);
		const runs = envelopeOf(result).data?.runs ?? [];
		for (const run of runs) assertBalanced(run, !words.includes("extract"));
		return runs;
	}

	/** The errors of a command that has to fail with this code. */
	async fail(code: number, ...words: readonly string[]): Promise<readonly CommandError[]> {
		const result = await this.run(...words);
		if (result.code !== code)
			throw new Error(
				`${words.join(" ")} ended with ${result.code ?? result.signal}, not ${code}:\n${result.stdout}${result.stderr}`,
			);
		return envelopeOf(result).errors;
	}

	[Symbol.dispose](): void {
		this.#temporary.remove();
	}
}

/** Rows read = rows staged = rows loaded + rejected, in every table. @throws */
export function assertBalanced(run: RunReceipt, loaded = true): void {
	for (const { table, state, rows_read, rows_staged, rows_loaded, rows_rejected } of run.tables) {
		const rows = [rows_read, rows_staged, ...(loaded ? [rows_loaded + rows_rejected] : [])];
		if (state !== "succeeded" || new Set(rows).size !== 1)
			throw new Error(`${table} of run ${run.run_id} is ${state} and does not balance: ${rows.join(" ")}`);
	}
}
