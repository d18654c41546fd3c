/** Runs a command and says what it cost: time, processor time of it and its children, peak memory. */
import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { undoAtEnd } from "../../test/support/processes.ts";

export interface Command {
	readonly command: string;
	readonly args: readonly string[];
	readonly cwd?: string;
	readonly env?: Readonly<Record<string, string>>;
	/** Send stdout to /dev/null, as a client that only reads would. */
	readonly discardOutput?: boolean;
}

export interface Measurement {
	readonly wallSeconds: number;
	/** User and system time of the process and of the children it waited for. */
	readonly cpuSeconds: number;
	/** Peak resident set of the largest single process. */
	readonly rssMegabytes: number;
	readonly exitCode: number;
	readonly stdout: string;
	readonly stderr: string;
}

const GNU_TIME = ["/usr/bin/time"].find(existsSync);
const CLOCK_TICKS_PER_SECOND = 100;

/** What /proc says of a process and all below it: peak memory of the largest, processor time of all. */
function observe(root: number): { rssKilobytes: number; cpuSeconds: number } {
	const parents = new Map<number, number>();
	const ticks = new Map<number, number>();
	for (const name of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
		try {
			const stat = readFileSync(`/proc/${name}/stat`, "utf8");
			const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
			parents.set(Number(name), Number(fields[1]));
			ticks.set(
				Number(name),
				[11, 12, 13, 14].map((index) => Number(fields[index])).reduce((a, b) => a + b),
			);
		} catch {
			// It ended while we looked.
		}
	}
	const isBelow = (pid: number): boolean => {
		for (let at: number | undefined = pid; at !== undefined && at > 1; at = parents.get(at))
			if (at === root) return true;
		return false;
	};
	let rssKilobytes = 0;
	let cpuTicks = 0;
	for (const pid of [...parents.keys()].filter(isBelow)) {
		cpuTicks += ticks.get(pid) ?? 0;
		try {
			const peak = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
			rssKilobytes = Math.max(rssKilobytes, Number(peak ?? 0));
		} catch {
			// It ended while we looked.
		}
	}
	return { rssKilobytes, cpuSeconds: cpuTicks / CLOCK_TICKS_PER_SECOND };
}

/** Runs the command to its end. Uses GNU time where it is installed, else samples /proc every 10 ms. */
export async function measure(what: Command, timeoutMs = 900_000): Promise<Measurement> {
	const folder = mkdtempSync(join(tmpdir(), "headrace-measure-"));
	const figures = join(folder, "figures");
	const [command, args] =
		GNU_TIME === undefined
			? [what.command, what.args]
			: [GNU_TIME, ["-q", "-o", figures, "-f", "%U %S %M", what.command, ...what.args]];
	const output = what.discardOutput ? openSync("/dev/null", "w") : "pipe";
	const started = performance.now();
	const child = spawn(command, args, {
		...(what.cwd === undefined ? {} : { cwd: what.cwd }),
		env: { ...process.env, ...what.env },
		stdio: ["ignore", output, "pipe"],
		detached: true,
	});
	if (typeof output === "number") closeSync(output);
	const stopAll = () => {
		try {
			if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
		} catch {
			// It has ended.
		}
	};
	const forget = undoAtEnd(stopAll);
	let stdout = "";
	let stderr = "";
	child.stdout?.on("data", (bytes: Buffer) => {
		stdout += bytes;
	});
	child.stderr?.on("data", (bytes: Buffer) => {
		stderr += bytes;
	});
	let seen = { rssKilobytes: 0, cpuSeconds: 0 };
	const sampler =
		GNU_TIME === undefined
			? setInterval(() => {
					const now = observe(child.pid!);
					seen = {
						rssKilobytes: Math.max(seen.rssKilobytes, now.rssKilobytes),
						cpuSeconds: Math.max(seen.cpuSeconds, now.cpuSeconds),
					};
				}, 10)
			: undefined;
	const timer = setTimeout(stopAll, timeoutMs);
	const exitCode = await new Promise<number>((resolve) => {
		child.once("error", (error) => {
			stderr += error.message;
			resolve(127);
		});
		child.once("close", (code) => resolve(code ?? 137));
	});
	const wallSeconds = (performance.now() - started) / 1000;
	clearTimeout(timer);
	clearInterval(sampler);
	forget();
	if (GNU_TIME !== undefined && existsSync(figures)) {
		// A line on how the command ended may come before the figures.
		const last = readFileSync(figures, "utf8").trim().split("\n").at(-1) ?? "";
		const [user, system, kilobytes] = last.split(" ").map(Number);
		seen = { rssKilobytes: kilobytes ?? 0, cpuSeconds: (user ?? 0) + (system ?? 0) };
	}
	rmSync(folder, { recursive: true, force: true });
	return {
		wallSeconds,
		cpuSeconds: seen.cpuSeconds,
		rssMegabytes: (seen.rssKilobytes * 1024) / 1e6,
		exitCode,
		stdout,
		stderr,
	};
}

export function median(values: readonly number[]): number {
	const sorted = [...values].sort((a, b) => a - b);
	const middle = sorted.length >> 1;
	return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export interface Contestant {
	readonly name: string;
	readonly command: Command;
	/** Runs of its own at most; the slow ones need no three. */
	readonly runsMax?: number;
	/** Before each run, not timed: takes away what the last run left. */
	readonly prepare?: () => void | Promise<void>;
	/** After the first run, not timed: a note on what it made, or a throw when that is wrong. */
	readonly examine?: (measurement: Measurement) => Promise<string | undefined>;
}

export interface Result {
	readonly name: string;
	readonly runs: number;
	readonly wallSeconds: number;
	readonly cpuSeconds: number;
	readonly rssMegabytes: number;
	readonly note?: string;
	readonly error?: string;
}

/** What a process holds now and has used so far, of Linux' /proc. */
export function usageOf(pid: number): { readonly rssMegabytes: number; readonly cpuSeconds: number } {
	const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
	const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
	const kilobytes = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0);
	return {
		rssMegabytes: Math.round(kilobytes / 1024),
		cpuSeconds: (Number(fields[11]) + Number(fields[12])) / 100,
	};
}

/** What a failed command says of itself: the errors of a JSON document, else the last line it wrote. */
function failure(measurement: Measurement): string {
	try {
		const { errors } = JSON.parse(measurement.stdout) as { errors: { code: string; message: string }[] };
		const told = errors.map(({ code, message }) => `${code} ${message}`).join("; ");
		if (told !== "") return `exit ${measurement.exitCode}: ${told.slice(0, 300)}`;
	} catch {
		// No document.
	}
	const lines = `${measurement.stdout}\n${measurement.stderr}`.split("\n").map((line) => line.trim());
	return `exit ${measurement.exitCode}: ${lines.filter(Boolean).at(-1)?.slice(0, 300) ?? "no output"}`;
}

/** Lets the contestants run in turn, `repeat` rounds, so that a slow spell of the machine hits all; gives medians. */
export async function alternate(
	contestants: readonly Contestant[],
	repeat: number,
	onRun: (line: string) => void = () => {},
): Promise<Result[]> {
	const runs = new Map<string, Measurement[]>(contestants.map(({ name }) => [name, []]));
	const notes = new Map<string, string>();
	const errors = new Map<string, string>();
	for (let round = 0; round < repeat; round++) {
		for (const { name, command, prepare, examine, runsMax } of contestants) {
			if (errors.has(name) || round >= (runsMax ?? repeat)) continue;
			try {
				await prepare?.();
				const measurement = await measure(command);
				if (measurement.exitCode !== 0) throw new Error(failure(measurement));
				runs.get(name)!.push(measurement);
				onRun(`${name}: ${measurement.wallSeconds.toFixed(2)} s, ${measurement.rssMegabytes.toFixed(0)} MB`);
				const note = round === 0 ? await examine?.(measurement) : undefined;
				if (note !== undefined) notes.set(name, note);
			} catch (error) {
				errors.set(name, (error as Error).message);
				onRun(`${name}: ${(error as Error).message}`);
			}
		}
	}
	return contestants.map(({ name }) => {
		const done = runs.get(name)!;
		const of = (figure: (measurement: Measurement) => number) =>
			done.length === 0 ? Number.NaN : median(done.map(figure));
		const note = notes.get(name);
		const error = errors.get(name);
		return {
			name,
			runs: done.length,
			wallSeconds: of((run) => run.wallSeconds),
			cpuSeconds: of((run) => run.cpuSeconds),
			rssMegabytes: of((run) => run.rssMegabytes),
			...(note === undefined ? {} : { note }),
			...(error === undefined ? {} : { error }),
		};
	});
}
