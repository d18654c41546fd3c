/** Pipelines that follow the table by its cursor: a first run, runs with nothing to do, runs with 100,000 changed rows. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestServer } from "../../test/support/server.ts";
import { alternate, type Contestant, median, type Result } from "./measure.ts";
import { clearTarget, copyRelation, targetUrl } from "./postgres-target.ts";
import { headraceCommand, rowsLoaded, sourceUrl } from "./routes.ts";
import { CHANGED_ROWS, change, compare, type Generated } from "./tables.ts";

/** What a pipeline of the race writes into; the first merges change the source for all. */
export interface IncrementalTarget {
	/** Name of the section. */
	readonly name: string;
	/** The server of a pipeline into PostgreSQL; a DuckDB file without it. */
	readonly into?: TestServer;
}

function writeProject(folder: string, server: TestServer, into: TestServer | undefined): void {
	rmSync(folder, { recursive: true, force: true });
	mkdirSync(join(folder, "pipelines"), { recursive: true });
	const warehouse = into === undefined ? "{ type: duckdb, path: warehouse.duckdb }" : targetUrl(into);
	writeFileSync(join(folder, "connections.yaml"), `source: ${sourceUrl(server)}\nwarehouse: ${warehouse}\n`);
	writeFileSync(
		join(folder, "pipelines/bench.yaml"),
		[
			"pipeline: bench",
			"from: source",
			"to: warehouse",
			"defaults: { mode: incremental, cursor: l_modified }",
			"tables:",
			"  bench.lineitem: { key: l_id }",
			"",
		].join("\n"),
	);
}

type Examine = NonNullable<Contestant["examine"]>;

const expectRows =
	(least: number, most: number): Examine =>
	async (measurement) => {
		const rows = rowsLoaded(measurement);
		if (rows < least || rows > most) throw new Error(`it says it loaded ${rows} rows, not ${least} to ${most}`);
		return `${rows} rows`;
	};

/** What differs between a pipeline's table and the generator's rows; undefined when nothing does. */
async function difference(
	project: string,
	generated: Generated,
	into: TestServer | undefined,
): Promise<string | undefined> {
	const copy =
		into === undefined
			? { attach: join(project, "warehouse.duckdb"), relation: "copied.bench.lineitem" }
			: { relation: await copyRelation(into, "bench.lineitem", project) };
	const { missing, surplus, types } = await compare(generated.reference, copy);
	return missing + surplus + types.length === 0
		? undefined
		: `the copy differs: ${missing} rows missing, ${surplus} surplus; other types: ${types.join(", ") || "none"}`;
}

/**
 * Results of each target, in their order. Changes `generated` and the source: nothing that needs the first rows may come
 * after it.
 */
export async function raceIncremental(
	server: TestServer,
	targets: readonly IncrementalTarget[],
	generated: Generated,
	folder: string,
	repeat: number,
	onRun: (line: string) => void,
): Promise<Result[][]> {
	const races = targets.map(({ name, into }, index) => {
		const project = join(folder, `project-${index}`);
		writeProject(project, server, into);
		const command = headraceCommand(["run", "bench", "--json"], project);
		const say = (line: string) => onRun(`${name}, ${line}`);
		return { into, project, command, say, results: [] as Result[] };
	});
	for (const { command, into, say, results } of races) {
		if (into !== undefined) await clearTarget(into);
		const first: Contestant = {
			name: "first run",
			command,
			examine: expectRows(generated.rows, generated.rows),
		};
		// Rows at the cursor's last value may be read again.
		const idle: Contestant = { name: "run with nothing to do", command, examine: expectRows(0, 1) };
		results.push(...(await alternate([first], 1, say)), ...(await alternate([idle], Math.max(3, repeat), say)));
	}
	const merges = races.map(() => [] as Result[]);
	for (let round = 0; round < repeat; round++) {
		await change(server, generated, round, folder);
		for (const [index, { command, into, say }] of races.entries()) {
			await into?.admin("checkpoint");
			const merge: Contestant = {
				name: `merge of ${CHANGED_ROWS} changed and ${CHANGED_ROWS} new rows`,
				command,
				examine: expectRows(1, 2 * CHANGED_ROWS + 1),
			};
			merges[index]!.push(...(await alternate([merge], 1, say)));
		}
	}
	for (const [index, { results, project, into }] of races.entries()) {
		const merged = medianOf(merges[index]!);
		if (merged.error !== undefined) results.push(merged);
		else {
			const error = await difference(project, generated, into);
			results.push(error === undefined ? { ...merged, note: "exact after all rounds" } : { ...merged, error });
		}
	}
	return races.map(({ results }) => results);
}

/** Runs of one contestant as one result; the first error stands for all. */
function medianOf(results: readonly Result[]): Result {
	const of = (figure: (result: Result) => number) => median(results.map(figure));
	const failed = results.find(({ error }) => error !== undefined);
	return {
		...(failed ?? results[0]!),
		runs: results.length,
		wallSeconds: of((result) => result.wallSeconds),
		cpuSeconds: of((result) => result.cpuSeconds),
		rssMegabytes: of((result) => result.rssMegabytes),
	};
}
