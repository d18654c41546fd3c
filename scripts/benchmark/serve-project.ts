/** A project for the benchmarks of `headrace serve`: pipelines that copy next to nothing, and a long history of runs. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { receipt, tableReceipt } from "../../src/conformance/state-store-receipts.ts";
import { openStateStore } from "../../src/state/index.ts";

const DAY_MS = 86_400_000;
const TABLES = ["shop.orders", "shop.lines", "shop.customers", "shop.visits"];
const LINES_PER_RUN = 5;

export const pipelineName = (index: number): string => `p${String(index).padStart(4, "0")}`;

/** `count` pipelines, each of a file of two rows into a folder of its own, by the schedule that `scheduleOf` says. */
export function writeProject(
	directory: string,
	count: number,
	scheduleOf: (index: number) => string,
	table = "{}",
): void {
	for (const folder of ["pipelines", "data", ".headrace"]) mkdirSync(join(directory, folder), { recursive: true });
	writeFileSync(join(directory, "data/orders.csv"), "id,name\n1,a\n2,b\n");
	for (let index = 0; index < count; index++)
		writeFileSync(
			join(directory, "pipelines", `${pipelineName(index)}.yaml`),
			`from: ./data\nto: ./out/${pipelineName(index)}\nschedule: ${scheduleOf(index)}\nretries: 0\ntables: { orders: ${table} }\n`,
		);
}

/**
 * Puts `runs` past runs of the pipelines into a project's state, each of four tables with five lines of log, over the
 * last thirty days; one table is read by intervals, and every thirtieth run has failed.
 */
export async function writeHistory(directory: string, pipelines: number, runs: number): Promise<void> {
	const path = join(directory, ".headrace/state.db");
	// Makes the tables as this version has them.
	await (await openStateStore(path))[Symbol.asyncDispose]();
	const database = new DatabaseSync(path);
	const run = database.prepare(
		`INSERT INTO runs (run_id, pipeline, interval_start, interval_end, state, started_at, finished_at, holder, details)
		VALUES (?, ?, ?, ?, ?, ?, ?, 'nobody', ?)`,
	);
	const table = database.prepare(
		"INSERT INTO table_receipts (run_id, ordinal, table_name, state, receipt) VALUES (?, ?, ?, ?, ?)",
	);
	const line = database.prepare(
		"INSERT INTO log_lines (run_id, logged_at, level, task, message) VALUES (?, ?, ?, ?, ?)",
	);
	const endMs = Date.now() - 60_000;
	const stepMs = (30 * DAY_MS) / runs;
	database.exec("BEGIN");
	for (let index = 0; index < runs; index++) {
		const startedMs = Math.round(endMs - (runs - index) * stepMs);
		const started = new Date(startedMs).toISOString();
		const finished = new Date(startedMs + 8_000).toISOString();
		const dayMs = Math.floor(startedMs / DAY_MS) * DAY_MS;
		const interval = [new Date(dayMs - DAY_MS).toISOString(), new Date(dayMs).toISOString()] as const;
		const runId = `${started.replace(/[-:]/g, "").slice(0, 15)}-${index.toString(16).padStart(8, "0")}`;
		const state = index % 30 === 7 ? "failed" : "succeeded";
		const { pipeline } = receipt(runId, 0, { pipeline: pipelineName(index % pipelines) });
		const details = JSON.stringify({ origin: { trigger: "schedule", due_at: started } });
		run.run(runId, pipeline, ...interval, state, started, finished, details);
		for (const [ordinal, name] of TABLES.entries()) {
			const own = state === "failed" && ordinal === 0 ? "failed" : "succeeded";
			const done = tableReceipt(name, {
				...{ state: own, rows_read: 1000 + ordinal, rows_staged: 1000 + ordinal, rows_loaded: 1000 + ordinal },
				...{ mode: name === "shop.visits" ? "interval" : "incremental", bytes: 81_000, seconds: 2.5 },
				error: own === "failed" ? { code: "E_CONNECTION_LOST", message: "the server went away", hint: "" } : null,
			});
			table.run(runId, ordinal, name, own, JSON.stringify(done));
		}
		for (let number = 0; number < LINES_PER_RUN; number++)
			line.run(runId, started, number === 4 && state === "failed" ? "error" : "info", TABLES[0]!, `line ${number}`);
	}
	database.exec("COMMIT");
	database.close();
}
