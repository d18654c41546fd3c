/**
 * Runs one command line after another in one process, as `bin/headrace.js` would in a process each: loading the program
 * and its drivers takes longer than most commands of a test. `node warm-child.ts BIN`, over IPC.
 */
import { pathToFileURL } from "node:url";
import type { WarmAnswer, WarmRequest } from "./warm-command.ts";

const bin = process.argv[2]!;
const endProcess = process.exit.bind(process);
const written = { stdout: [] as Buffer[], stderr: [] as Buffer[] };

for (const name of ["stdout", "stderr"] as const) {
	const stream = process[name];
	// Each command adds its own.
	stream.setMaxListeners(0);
	stream.write = (chunk: string | Uint8Array, encoding?: unknown, done?: unknown): boolean => {
		written[name].push(Buffer.from(chunk as string));
		const callback = typeof encoding === "function" ? encoding : done;
		if (typeof callback === "function") queueMicrotask(() => callback());
		return true;
	};
}
process.setMaxListeners(0);

let commands = 0;

async function run({ words, directory, env }: WarmRequest): Promise<WarmAnswer> {
	for (const name of Object.keys(process.env)) if (!(name in env)) delete process.env[name];
	Object.assign(process.env, env);
	process.chdir(directory);
	process.argv = [process.execPath, bin, ...words];
	process.exitCode = undefined;
	const exited = Promise.withResolvers<number>();
	// The command ends where the process would.
	process.exit = ((code?: number) => exited.resolve(code ?? 0)) as typeof process.exit;
	const ended = import(`${pathToFileURL(bin).href}?command=${++commands}`);
	const code = await Promise.race([exited.promise, ended.then(() => Number(process.exitCode ?? 0))]);
	process.removeAllListeners("uncaughtException");
	const text = (name: "stdout" | "stderr") => Buffer.concat(written[name].splice(0)).toString("utf8");
	return { code, stdout: text("stdout"), stderr: text("stderr") };
}

process.on("message", (request: WarmRequest) => {
	void run(request).then(
		(answer) => process.send!(answer),
		(error: unknown) => process.send!({ code: 1, stdout: "", stderr: String(error) } satisfies WarmAnswer),
	);
});
process.on("disconnect", () => endProcess(0));
