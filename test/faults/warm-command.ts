/** Commands that need no process of their own: they share one, which has the program loaded. */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { undoAtEnd } from "../support/processes.ts";

export interface WarmRequest {
	readonly words: readonly string[];
	readonly directory: string;
	readonly env: Readonly<Record<string, string>>;
}

export interface WarmAnswer {
	readonly code: number | null;
	readonly stdout: string;
	readonly stderr: string;
}

let child: ChildProcess | null = null;
let isBusy = false;

function start(bin: string): ChildProcess {
	const started = spawn(process.execPath, [join(import.meta.dirname, "warm-child.ts"), bin], {
		stdio: ["ignore", "ignore", "inherit", "ipc"],
	});
	const forget = undoAtEnd(() => started.kill("SIGKILL"));
	started.once("exit", () => {
		forget();
		if (child === started) child = null;
	});
	// It must not keep a worker alive that has nothing to ask.
	started.unref();
	started.channel?.unref();
	return started;
}

/** Runs a command in the shared process; null when that one is busy with another. @throws when it died */
export async function runWarm(bin: string, request: WarmRequest): Promise<WarmAnswer | null> {
	if (isBusy) return null;
	isBusy = true;
	child ??= start(bin);
	const asked = child;
	const { promise, resolve, reject } = Promise.withResolvers<WarmAnswer>();
	const onExit = (code: number | null, signal: string | null) =>
		reject(new Error(`the process of ${request.words.join(" ")} died: ${code ?? signal}`));
	asked.once("message", resolve as (answer: unknown) => void);
	asked.once("exit", onExit);
	try {
		asked.send(request);
		return await promise;
	} finally {
		asked.off("message", resolve as (answer: unknown) => void);
		asked.off("exit", onExit);
		isBusy = false;
	}
}
