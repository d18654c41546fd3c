/** A `headrace serve` to be measured, and how it is asked. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { undoAtEnd } from "../../test/support/processes.ts";
import { headraceCommand } from "./routes.ts";

export interface Served extends AsyncDisposable {
	readonly address: string;
	readonly link: string;
	readonly token: string;
	readonly pid: number;
}

/** Starts `headrace serve` over a project, with a token of an admin; resolves when it listens. */
export async function serve(directory: string, ...options: string[]): Promise<Served> {
	const made = headraceCommand(["-C", directory, "serve", "token", "add", "bench", "--role", "admin"], directory);
	const token = spawnSync(made.command, made.args, { cwd: directory, encoding: "utf8" }).stdout.trim();
	const { command, args, env } = headraceCommand(["serve", directory, "--port", "0", ...options], directory);
	const child: ChildProcess = spawn(command, args, {
		cwd: directory,
		env: { ...process.env, ...env },
		stdio: ["ignore", "pipe", "ignore"],
	});
	const forget = undoAtEnd(() => child.kill("SIGKILL"));
	const link = await new Promise<string>((resolve, reject) => {
		let text = "";
		child.stdout?.on("data", (part: Buffer) => {
			text += part.toString();
			const found = /http:\S+/.exec(text)?.[0];
			if (found !== undefined) resolve(found);
		});
		child.once("exit", (code) => reject(new Error(`serve ended with ${code}`)));
	});
	return {
		...{ link, token, address: new URL(link).origin, pid: child.pid! },
		async [Symbol.asyncDispose]() {
			child.removeAllListeners("exit");
			const ended = new Promise((resolve) => child.once("close", resolve));
			child.kill("SIGTERM");
			await ended;
			forget();
		},
	};
}

export async function ask(served: Served, path: string, init: RequestInit = {}): Promise<Response> {
	const answer = await fetch(served.address + path, {
		...init,
		headers: { authorization: `Bearer ${served.token}`, "content-type": "application/json" },
	});
	if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
	return answer;
}

/** The value that 50 or 99 of 100 stay below. */
export function share(values: readonly number[], part: number): number {
	const sorted = values.toSorted((a, b) => a - b);
	return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}
