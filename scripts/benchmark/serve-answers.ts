/** How soon `headrace serve` answers over a long history: every GET of its own OpenAPI document, so that none is forgotten. */
import { type Result, usageOf } from "./measure.ts";
import { BUSY_PIPELINE, LONG_LOG_LINES, pipelineName } from "./serve-project.ts";
import { ask, type Served, share } from "./serve-server.ts";

const ASKS = Number(process.env["ASKS"] ?? 100);
const BACKFILL_DAYS = 30;

interface OpenApi {
	readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly responses: Record<string, Answer> }>>>>;
}
interface Answer {
	readonly content?: Readonly<Record<string, unknown>>;
}

/** What stands for `{run}`, `{pipeline}` and the like, and which variants of a path the page asks for beside the plain one. */
interface Asked {
	readonly values: Readonly<Record<string, readonly string[]>>;
	readonly variants: Readonly<Record<string, readonly string[]>>;
}

/** Of a pipeline like the others, and of the one that has half of all runs. */
async function askedOf(served: Served): Promise<Asked> {
	const json = async <Data>(path: string) => (await (await ask(served, path)).json()) as Data;
	type Runs = { readonly runs: readonly { readonly run_id: string }[] };
	const { runs } = await json<Runs>(`/api/runs?pipeline=${pipelineName(7)}&limit=200`);
	const newest = (await json<Runs>(`/api/runs?pipeline=${BUSY_PIPELINE}&limit=1`)).runs[0]!.run_id;
	const { jobs } = await json<{ readonly jobs: readonly { readonly job_id: string }[] }>("/api/jobs");
	const old = runs.at(-1)!.run_id;
	const usual = pipelineName(7);
	return {
		values: {
			pipeline: [usual, BUSY_PIPELINE],
			table: ["shop.orders"],
			run: [old, newest],
			job: [jobs.at(-1)!.job_id],
		},
		variants: {
			"/api/pipelines/{pipeline}/grid": ["?runs=200"],
			"/api/runs": [
				"?limit=200",
				"?state=failed",
				"?state=stopped",
				`?before=${old}`,
				`?pipeline=${usual}&state=failed`,
				`?pipeline=${BUSY_PIPELINE}&limit=200`,
				`?pipeline=${BUSY_PIPELINE}&state=stopped`,
			],
			// The newest run has the long log.
			"/api/runs/{run}/log": ["?level=error", "?search=nothing+has+this", `?after=${LONG_LOG_LINES / 2}`],
			"/api/audit": ["?limit=200"],
		},
	};
}

/** Every path of the document that a GET answers by JSON, its names filled in. */
async function pathsOf(served: Served): Promise<string[]> {
	const { paths } = (await (await ask(served, "/api/openapi.json")).json()) as OpenApi;
	const { values, variants } = await askedOf(served);
	const found: string[] = [];
	for (const [path, operations] of Object.entries(paths)) {
		const answer = operations["get"]?.responses["200"];
		// What never ends is measured by itself.
		if (answer === undefined || "text/event-stream" in (answer.content ?? {})) continue;
		const filled = [...path.matchAll(/\{(\w+)\}/g)].reduce(
			(all, [place, name]) => {
				const known = values[name!];
				if (known === undefined) throw new Error(`the benchmark has no value for ${place} of ${path}`);
				return all.flatMap((each) => known.map((value) => each.replace(place, value)));
			},
			[path],
		);
		found.push(...filled, ...filled.flatMap((each) => (variants[path] ?? []).map((more) => each + more)));
	}
	return [...found, "/metrics"];
}

export async function answers(served: Served): Promise<Result[]> {
	const paths = await pathsOf(served);
	const day = (before: number) => new Date(Date.now() - before * 86_400_000).toISOString().slice(0, 10);
	const range = JSON.stringify({ start: day(BACKFILL_DAYS), end: day(0), which: "missing" });
	const preview = `/api/pipelines/${BUSY_PIPELINE}/backfill/preview`;
	const results: Result[] = [];
	const timed = async (path: string, init?: RequestInit) => {
		const seconds: number[] = [];
		for (let count = 0; count < ASKS; count++) {
			const begun = performance.now();
			await (await ask(served, path, init)).arrayBuffer();
			seconds.push((performance.now() - begun) / 1000);
		}
		const name = `p99 of ${path.replaceAll(/\/runs\/[^/?]+|before=[^&]+|jobs\/[^/?]+/g, (part) => part.replace(/[^/=]+$/, "…"))}`;
		const note = `the slowest: ${Math.max(...seconds).toFixed(3)} s`;
		results.push({ name, runs: ASKS, wallSeconds: share(seconds, 0.99), cpuSeconds: 0, note, ...memoryOf(served) });
	};
	for (const path of paths) await timed(path);
	await timed(preview, { method: "POST", body: range });
	const slowest = results.reduce((most, each) => (each.wallSeconds > most.wallSeconds ? each : most));
	return [{ ...slowest, name: SLOWEST, note: slowest.name }, ...results];
}

export const SLOWEST = "the slowest answer of all, p99";

export const memoryOf = (served: Served) => ({ rssMegabytes: usageOf(served.pid).rssMegabytes });
