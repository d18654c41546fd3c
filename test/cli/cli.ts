import { spawn } from "node:child_process";
import { join } from "node:path";

const BIN = join(import.meta.dirname, "../../bin/headrace.js");

export interface CliResult {
	readonly code: number | null;
	readonly stdout: string;
	readonly stderr: string;
	readonly seconds: number;
}

export interface CliOptions {
	readonly cwd?: string;
	readonly env?: Readonly<Record<string, string | undefined>>;
	/** Called with what came on stderr so far, and with a function that sends a signal. */
	readonly onStderr?: (text: string, kill: (signal: NodeJS.Signals) => void) => void;
	/** The same for stdout. */
	readonly onStdout?: (text: string, kill: (signal: NodeJS.Signals) => void) => void;
	/** Files and DuckDB become tables in memory: see stand-ins.ts. */
	readonly standIns?: boolean;
	/** stdout is closed at once, as `| true` does. */
	readonly closeStdout?: boolean;
}

/** Runs the command line as a user does, without a terminal. */
export function headrace(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
	const started = performance.now();
	const env = {
		...process.env,
		NODE_COMPILE_CACHE: process.env["HEADRACE_TESTS_CACHE"],
		NO_COLOR: undefined,
		FORCE_COLOR: undefined,
		// The stand-ins take the place of modules in src.
		...(options.standIns === true ? { HEADRACE_SOURCES: "1" } : {}),
		...options.env,
	};
	const node = options.standIns === true ? ["--import", join(import.meta.dirname, "stand-ins.ts")] : [];
	const child = spawn(process.execPath, [...node, BIN, ...args], {
		cwd: options.cwd,
		env,
		stdio: ["ignore", "pipe", "pipe"],
	});
	let stdout = "";
	let stderr = "";
	child.stdout.setEncoding("utf8").on("data", (text: string) => {
		stdout += text;
		options.onStdout?.(stdout, (signal) => child.kill(signal));
	});
	child.stderr.setEncoding("utf8").on("data", (text: string) => {
		stderr += text;
		options.onStderr?.(stderr, (signal) => child.kill(signal));
	});
	if (options.closeStdout === true) child.stdout.destroy();
	return new Promise((resolve, reject) => {
		child.on("error", reject);
		child.on("close", (code) => resolve({ code, stdout, stderr, seconds: (performance.now() - started) / 1000 }));
	});
}

export interface Envelope {
	readonly format_version: string;
	readonly command: string;
	readonly ok: boolean;
	readonly data: unknown;
	readonly errors: readonly {
		readonly code: string;
		readonly message: string;
		readonly file: string | null;
		readonly line: number | null;
		readonly column: number | null;
		readonly hint: string;
	}[];
}

/** The one object of `--json`; anything else on stdout fails. */
export function envelopeOf(result: CliResult): Envelope {
	return JSON.parse(result.stdout) as Envelope;
}
