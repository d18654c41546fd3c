/** What `headrace serve` costs, and how soon it does what it should: schedules, idle, a long history, many who watch. */
import { mkdirSync, rmSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { noBrowser, startChromium } from "../../test/web/browser.ts";
import { type Result, usageOf } from "./measure.ts";
import { answers, memoryOf } from "./serve-answers.ts";
import { pipelineName, writeHistory, writeProject } from "./serve-project.ts";
import { ask, type Served, serve, share } from "./serve-server.ts";

const PIPELINES = 1_000;
const RUNS = Number(process.env["RUNS"] ?? 100_000);
/** Pipelines of the long history. */
const HISTORY_PIPELINES = 100;
const IDLE_SECONDS = 20;
const SPREAD_SECONDS = Number(process.env["SPREAD_SECONDS"] ?? 80);
const CLIENTS = 200;
/** A machine that is slower than this per run does not come to its end. */
const MINUTE_MS_MAX = 110_000;

function freshFolder(path: string): string {
	rmSync(path, { recursive: true, force: true });
	mkdirSync(path, { recursive: true });
	return path;
}

/** Seconds between the time of the schedule and the start of each run; of what still waits, how long it has so far. */
/** Seconds between the time that a run was due, from `dueFromMs` on, and its begin, or now. */
function delaysOf(directory: string, dueFromMs = 0): number[] {
	const database = new DatabaseSync(join(directory, ".headrace/state.db"), { readOnly: true });
	const rows = database
		.prepare(
			"SELECT started_at, details ->> '$.origin.due_at' AS due_at FROM runs WHERE state IN ('succeeded', 'running')",
		)
		.all() as unknown as readonly { started_at: string; due_at: string }[];
	const waiting = database
		.prepare(
			"SELECT entry ->> '$.request.dueMs' AS due_ms FROM jobs WHERE ended = 0 AND entry ->> '$.state' = 'queued'",
		)
		.all() as unknown as readonly { due_ms: number }[];
	database.close();
	const now = Date.now();
	const begun = rows.map(({ started_at, due_at }) => ({ dueMs: Date.parse(due_at), atMs: Date.parse(started_at) }));
	const all = [...begun, ...waiting.map(({ due_ms }) => ({ dueMs: Number(due_ms), atMs: now }))];
	return all.filter(({ dueMs }) => dueMs >= dueFromMs).map(({ dueMs, atMs }) => (atMs - dueMs) / 1000);
}

/** How many runs have succeeded. */
function runsOf(directory: string): number {
	const database = new DatabaseSync(join(directory, ".headrace/state.db"), { readOnly: true });
	const { runs } = database.prepare("SELECT count(*) AS runs FROM runs WHERE state = 'succeeded'").get() as {
		runs: number;
	};
	database.close();
	return runs;
}

/** Watches a server until `isDone`, and says what it held at most and used. */
async function watched(served: Served, isDone: () => boolean, msMax: number) {
	const begun = performance.now();
	const before = usageOf(served.pid);
	let rssMegabytes = before.rssMegabytes;
	while (!isDone() && performance.now() - begun < msMax) {
		await sleep(500);
		rssMegabytes = Math.max(rssMegabytes, usageOf(served.pid).rssMegabytes);
	}
	const seconds = (performance.now() - begun) / 1000;
	return { seconds, rssMegabytes, cpuSeconds: usageOf(served.pid).cpuSeconds - before.cpuSeconds };
}

export const DELAY_P99 = "start delay, p99";

function delayResults(delays: readonly number[], usage: Awaited<ReturnType<typeof watched>>): Result[] {
	const { rssMegabytes, cpuSeconds, seconds } = usage;
	const plain = { runs: delays.length, cpuSeconds, rssMegabytes };
	const eachMs = (cpuSeconds * 1000) / delays.length;
	// However they are scheduled, they take so long.
	const leastSeconds = cpuSeconds / cpus().length;
	const rate = `${(delays.length / seconds).toFixed(1)} runs/s in ${seconds.toFixed(1)} s`;
	const limit = `${eachMs.toFixed(1)} ms of processor a run: ${leastSeconds.toFixed(1)} s at least for all`;
	return [
		{ ...plain, name: "start delay, median", wallSeconds: share(delays, 0.5), note: rate },
		{ ...plain, name: DELAY_P99, wallSeconds: share(delays, 0.99), note: limit },
	];
}

/** 1,000 pipelines that are due once a minute, their times spread over it by lengths that differ. */
async function spread(folder: string, _say?: unknown, clients = 0): Promise<Result[]> {
	const directory = freshFolder(join(folder, "serve-spread"));
	writeProject(directory, PIPELINES, (index) => `every ${45 + (index % 31)}s`);
	await using served = await serve(directory);
	const { readers, leave } = await watch(served, clients);
	let bytes = 0;
	const read = readers.map(async (reader) => {
		for (let part = await reader.read(); !part.done; part = await reader.read()) bytes += part.value.length;
	});
	const usage = await watched(served, () => false, SPREAD_SECONDS * 1000);
	const results = delayResults(delaysOf(directory), usage);
	leave();
	await Promise.allSettled(read);
	if (clients === 0) return results;
	const plain = { runs: clients, cpuSeconds: usage.cpuSeconds, rssMegabytes: usage.rssMegabytes };
	const note = `${(bytes / clients / usage.seconds / 1000).toFixed(1)} kB/s to each`;
	return [...results, { ...plain, name: `${clients} watch`, wallSeconds: usage.seconds, note }];
}

/** The same, while as many watch as may. */
const spreadWatched = (folder: string) => spread(folder, undefined, CLIENTS);

/** 1,000 pipelines that are due in the same second: how soon the last of them has had its turn. */
async function sameSecond(folder: string): Promise<Result[]> {
	const directory = freshFolder(join(folder, "serve-minute"));
	writeProject(directory, PIPELINES, () => "every 1m");
	await using served = await serve(directory);
	const wholeMs = 60_000;
	// What is due when it starts is over by the next minute but one.
	const dueMs = Math.ceil(Date.now() / wholeMs) * wholeMs + wholeMs;
	await sleep(dueMs - Date.now());
	const before = runsOf(directory);
	const usage = await watched(served, () => runsOf(directory) >= before + PIPELINES, MINUTE_MS_MAX);
	return delayResults(delaysOf(directory, dueMs), usage);
}

export const IDLE = "1,000 pipelines, nothing to do";

async function idle(folder: string): Promise<Result[]> {
	const directory = freshFolder(join(folder, "serve-idle"));
	writeProject(directory, PIPELINES, () => '"0 0 1 1 *"');
	await using served = await serve(directory);
	await sleep(3_000);
	const usage = await watched(served, () => false, IDLE_SECONDS * 1000);
	const note = `${((usage.cpuSeconds / usage.seconds) * 100).toFixed(1)} % of a core`;
	return [{ ...usage, name: IDLE, runs: 1, wallSeconds: usage.seconds, note }];
}

export const FIRST_PAINT = "first paint";

/** Until something is painted, and until the list of pipelines is there, in a browser that has logged in. */
async function firstPaint(served: Served): Promise<Result[]> {
	if (noBrowser !== null) return [];
	await using chromium = await startChromium();
	const { page } = await chromium.open(served.address);
	await page.goto(served.link);
	await page.getByRole("link", { name: pipelineName(7) }).waitFor();
	const painted: number[] = [];
	const listed: number[] = [];
	for (let count = 0; count < 5; count++) {
		await page.goto("about:blank");
		const begun = performance.now();
		await page.goto(served.address);
		await page.getByRole("link", { name: pipelineName(7) }).waitFor();
		listed.push((performance.now() - begun) / 1000);
		const at = await page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime");
		painted.push(Number(at) / 1000);
	}
	const plain = { runs: painted.length, cpuSeconds: 0, ...memoryOf(served) };
	return [
		{ ...plain, name: FIRST_PAINT, wallSeconds: share(painted, 0.5), note: "median; the page's files, nothing kept" },
		{ ...plain, name: "list of pipelines drawn", wallSeconds: share(listed, 0.5), note: "median" },
	];
}

/** So many who listen to what happens. */
async function watch(served: Served, clients: number) {
	const controller = new AbortController();
	const readers = await Promise.all(
		Array.from({ length: clients }, async () => {
			const answer = await ask(served, "/api/events", { signal: controller.signal });
			return answer.body!.getReader();
		}),
	);
	return { readers, leave: () => controller.abort() };
}

/** As many watch as may: how long until all of them were told what happened. */
async function streams(served: Served): Promise<Result[]> {
	const { readers, leave } = await watch(served, CLIENTS);
	const toldBy = async (reader: (typeof readers)[number]) => {
		for (let text = ""; !text.includes('"type":"pipeline"'); ) {
			const { value, done } = await reader.read();
			if (done) throw new Error("a stream ended before it told what happened");
			text += Buffer.from(value).toString();
		}
		return (performance.now() - begun) / 1000;
	};
	const begun = performance.now();
	const told = readers.map(toldBy);
	await ask(served, `/api/pipelines/${pipelineName(1)}/pause`, { method: "POST", body: "{}" });
	const seconds = await Promise.all(told);
	const usage = await watched(served, () => false, 5_000);
	leave();
	const cpu = `${((usage.cpuSeconds / usage.seconds) * 100).toFixed(1)} % of a core while nothing happens`;
	return [{ ...usage, name: `${CLIENTS} watch: all are told`, runs: 1, wallSeconds: Math.max(...seconds), note: cpu }];
}

export const FIRST_LIST = "the first list of pipelines after a start";

/** The list of pipelines, asked for as soon as a server listens that was never started over this history before. */
async function firstList(served: Served, listensSeconds: number): Promise<Result> {
	const begun = performance.now();
	await (await ask(served, "/api/pipelines")).arrayBuffer();
	const wallSeconds = (performance.now() - begun) / 1000;
	const note = `it listened after ${listensSeconds.toFixed(2)} s`;
	return {
		name: FIRST_LIST,
		runs: 1,
		wallSeconds,
		cpuSeconds: 0,
		note,
		...memoryOf(served),
	};
}

async function history(folder: string, say: (line: string) => void): Promise<Result[]> {
	const directory = freshFolder(join(folder, "serve-history"));
	writeProject(directory, HISTORY_PIPELINES, () => '"0 2 * * *"', "{ mode: interval, cursor: id }");
	await writeHistory(directory, HISTORY_PIPELINES, RUNS);
	say(`${RUNS} runs written`);
	const begun = performance.now();
	await using served = await serve(directory);
	const first = await firstList(served, (performance.now() - begun) / 1000);
	return [first, ...(await answers(served)), ...(await firstPaint(served)), ...(await streams(served))];
}

/** By the names of `--only`; each takes less than three minutes. */
export const SERVE_PARTS = {
	"serve-spread": { name: "Schedules spread over a minute", race: spread },
	"serve-watched": { name: `Schedules spread over a minute, ${CLIENTS} watch`, race: spreadWatched },
	"serve-minute": { name: "Schedules in one second", race: sameSecond },
	"serve-idle": { name: "A server with nothing to do", race: idle },
	"serve-history": { name: "A long history", race: history },
} as const;
