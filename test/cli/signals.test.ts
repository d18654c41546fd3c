import { spawn } from "node:child_process";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

const SIGNALS = join(import.meta.dirname, "../../src/cli/signals.ts");

/** A process that works until it is stopped, and then takes `stopMs` for it. */
function worker(stopMs: number) {
	const program = `
		import { StopSignals } from ${JSON.stringify(SIGNALS)};
		const stop = new StopSignals({
			onFirst: (name) => process.stdout.write("stopping " + name + "\\n"),
			onForced: () => process.stdout.write("last words\\n"),
		});
		const alive = setInterval(() => {}, 1000);
		stop.signal.addEventListener("abort", () => {
			process.stdout.write(stop.signal.reason.code + "\\n");
			setTimeout(() => { clearInterval(alive); process.exitCode = stop.exitCode; process.stdout.write("clean\\n"); }, ${stopMs});
		});
		process.stdout.write("ready\\n");`;
	const child = spawn(process.execPath, ["--input-type=module", "-e", program]);
	let output = "";
	const waiting: { readonly text: string; readonly resolve: () => void }[] = [];
	child.stdout.setEncoding("utf8").on("data", (text: string) => {
		output += text;
		for (const each of waiting) if (output.includes(each.text)) each.resolve();
	});
	return {
		kill: (signal: NodeJS.Signals) => child.kill(signal),
		printed: (text: string) =>
			new Promise<void>((resolve) => {
				if (output.includes(text)) resolve();
				else waiting.push({ text, resolve });
			}),
		ended: new Promise<{ code: number | null; output: string }>((resolve) =>
			child.on("close", (code) => resolve({ code, output })),
		),
	};
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe("a signal", () => {
	test.each<[NodeJS.Signals, number]>([
		["SIGINT", 130],
		["SIGTERM", 143],
	])("%s stops cleanly and gives %i", async (signal, code) => {
		const work = worker(50);
		await work.printed("ready");
		work.kill(signal);
		expect(await work.ended).toEqual({ code, output: `ready\nstopping ${signal}\nE_STOPPED\nclean\n` });
	});

	test("that comes again at once is the same one, as a terminal and npx both send it", async () => {
		const work = worker(300);
		await work.printed("ready");
		work.kill("SIGINT");
		await work.printed("stopping");
		work.kill("SIGINT");
		expect(await work.ended).toMatchObject({ code: 130, output: expect.stringContaining("clean") });
	});

	test("that comes a second time ends the process at once", async () => {
		const work = worker(20_000);
		await work.printed("ready");
		work.kill("SIGINT");
		await work.printed("stopping");
		await pause(400);
		work.kill("SIGTERM");
		expect(await work.ended).toEqual({ code: 143, output: "ready\nstopping SIGINT\nE_STOPPED\nlast words\n" });
	});
});
