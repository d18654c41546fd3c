/** A full load that is killed at 60 % and run again, against one that is not killed. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { alternate, type Contestant, type Measurement, measure, type Result } from "./measure.ts";
import { headraceCommand, type Route, sourceUrl } from "./routes.ts";
import { compare } from "./tables.ts";

export const WHOLE = "whole run";
export const RESUMED = "run after a kill at 60 %";

interface TableFigures {
	readonly rows_read: number;
	readonly chunks_total?: number;
	readonly chunks_reused?: number;
}

function tableOf({ stdout }: Measurement): TableFigures {
	const document = JSON.parse(stdout) as { data: { runs: { tables: TableFigures[] }[] } };
	return document.data.runs[0]!.tables[0]!;
}

function writeProject(folder: string, { server, schema }: Route, options: string): void {
	rmSync(folder, { recursive: true, force: true });
	mkdirSync(join(folder, "pipelines"), { recursive: true });
	writeFileSync(
		join(folder, "connections.yaml"),
		`source: ${sourceUrl(server)}\nwarehouse: { type: duckdb, path: warehouse.duckdb }\n`,
	);
	writeFileSync(
		join(folder, "pipelines/bench.yaml"),
		`pipeline: bench\nfrom: source\nto: warehouse\n${options}tables:\n  ${schema}.lineitem: { mode: full }\n`,
	);
}

/** `staging` is what the pipeline says of it. The run that is killed is not timed. */
export async function raceResume(
	route: Route,
	staging: string,
	repeat: number,
	onRun: (line: string) => void,
): Promise<Result[]> {
	const project = join(route.folder, "project");
	const plain = headraceCommand(["run", "bench", "--json"], project);
	// Chunks as those of a bigger table: a fifth each, where the source's estimates are right.
	const command = { ...plain, env: { ...plain.env, HEADRACE_CHUNK_ROWS: `${Math.floor(route.generated.rows / 5)}` } };
	let chunks = 0;
	const expectExact = async () => {
		const { missing, surplus, types } = await compare(route.generated.reference, {
			attach: join(project, "warehouse.duckdb"),
			relation: `copied.${route.schema}.lineitem`,
		});
		if (missing + surplus + types.length > 0)
			throw new Error(`the copy differs: ${missing} rows missing, ${surplus} surplus; types: ${types.join(", ")}`);
	};
	const whole: Contestant = {
		name: WHOLE,
		command,
		prepare: () => writeProject(project, route, staging),
		examine: async (measurement) => {
			chunks = tableOf(measurement).chunks_total ?? 0;
			if (chunks < 4) throw new Error(`it was read in ${chunks} chunks: too few rows`);
			await expectExact();
			return `exact, ${chunks} chunks`;
		},
	};
	const resumed: Contestant = {
		name: RESUMED,
		command,
		prepare: async () => {
			writeProject(project, route, staging);
			const env = { ...command.env, HEADRACE_CRASH: `chunk-sealed#${Math.round(chunks * 0.6)}` };
			const killed = await measure({ ...command, env });
			if (killed.exitCode === 0) throw new Error("the run was not killed");
		},
		examine: async (measurement) => {
			const { chunks_reused = 0, rows_read } = tableOf(measurement);
			if (chunks_reused < 1 || rows_read !== route.generated.rows)
				throw new Error(`it kept ${chunks_reused} chunks and has ${rows_read} rows`);
			await expectExact();
			return `exact, ${chunks_reused} of ${chunks} chunks were there`;
		},
	};
	return alternate([whole, resumed], repeat, onRun);
}
