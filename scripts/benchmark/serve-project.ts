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

/** Half of all runs are of this one; the others share the rest. */
export const BUSY_PIPELINE = pipelineName(0);
/** Of the newest run of `BUSY_PIPELINE`. */
export const LONG_LOG_LINES = 20_000;
const AUDIT_ENTRIES = 20_000;
const ENDED_JOBS = 200;

/**
 * Puts `runs` past runs of the pipelines into a project's state, each of four tables with five lines of log, over the
 * last thirty days; one table is read by intervals, and every thirtieth run has failed. Half of them are of one
 * pipeline. With them goes what a server has after some time: jobs that ended, an audit, the columns of tables.
 */
export async function writeHistory(directory: string, pipelines: number, runs: number): Promise<void> {
	const path = join(directory, ".headrace/state.db");
	// Makes the tables as this version has them.
	await (await openStateStore(path))[Symbol.asyncDispose]();
	const database = new DatabaseSync(path);
	database.exec("BEGIN");
	writeRuns(database, pipelines, runs);
	writeServerRows(database, pipelines);
	database.exec("COMMIT");
	database.close();
}

function writeRuns(database: DatabaseSync, pipelines: number, runs: number): void {
	const run = database.prepare(
		`INSERT INTO runs (run_id, pipeline, interval_start, interval_end, state, started_at, finished_at, holder, details,
			rows_loaded, bytes, tables_ms)
		VALUES (?, ?, ?, ?, ?, ?, ?, 'nobody', ?, 4006, 324000, 10000)`,
	);
	const table = database.prepare(
		"INSERT INTO table_receipts (run_id, ordinal, table_name, state, receipt) VALUES (?, ?, ?, ?, ?)",
	);
	const line = database.prepare(
		"INSERT INTO log_lines (run_id, logged_at, level, task, message) VALUES (?, ?, ?, ?, ?)",
	);
	const success = database.prepare(
		`INSERT INTO table_successes (pipeline, table_name, interval_end, ended_at, is_interval) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET interval_end = excluded.interval_end, ended_at = excluded.ended_at`,
	);
	const newest = database.prepare(
		`INSERT INTO interval_runs (pipeline, interval_start, interval_end, table_name, started_at, run_id)
		VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET started_at = excluded.started_at, run_id = excluded.run_id`,
	);
	const endMs = Date.now() - 60_000;
	const stepMs = (30 * DAY_MS) / runs;
	const newestBusy = runs - 1 - (runs % 2);
	for (let index = 0; index < runs; index++) {
		const startedMs = Math.round(endMs - (runs - index) * stepMs);
		const started = new Date(startedMs).toISOString();
		const finished = new Date(startedMs + 8_000).toISOString();
		const dayMs = Math.floor(startedMs / DAY_MS) * DAY_MS;
		const interval = [dayMs - DAY_MS, dayMs].map((ms) => new Date(ms).toISOString().slice(0, 19).replace("T", " "));
		const runId = `${started.replace(/[-:]/g, "").slice(0, 15)}-${index.toString(16).padStart(8, "0")}`;
		const state = index % 30 === 7 ? "failed" : "succeeded";
		const isBusy = index % 2 === 1;
		const name = isBusy ? BUSY_PIPELINE : pipelineName(1 + ((index >> 1) % (pipelines - 1)));
		const { pipeline } = receipt(runId, 0, { pipeline: name });
		const details = JSON.stringify({ origin: { trigger: "schedule", due_at: started } });
		run.run(runId, pipeline, interval[0]!, interval[1]!, state, started, finished, details);
		for (const [ordinal, tableName] of TABLES.entries()) {
			const own = state === "failed" && ordinal === 0 ? "failed" : "succeeded";
			const mode = tableName === "shop.visits" ? "interval" : "incremental";
			const done = tableReceipt(tableName, {
				...{ state: own, rows_read: 1000 + ordinal, rows_staged: 1000 + ordinal, rows_loaded: 1000 + ordinal },
				...{ mode, bytes: 81_000, seconds: 2.5 },
				error: own === "failed" ? { code: "E_CONNECTION_LOST", message: "the server went away", hint: "" } : null,
			});
			table.run(runId, ordinal, tableName, own, JSON.stringify(done));
			const end = mode === "interval" ? interval[1]! : "";
			if (end !== "") newest.run(pipeline, interval[0]!, end, tableName, started, runId);
			if (own === "succeeded") success.run(pipeline, tableName, end, finished, end === "" ? 0 : 1);
		}
		const lines = index === newestBusy ? LONG_LOG_LINES : LINES_PER_RUN;
		for (let number = 0; number < lines; number++)
			line.run(runId, started, number === 4 && state === "failed" ? "error" : "info", TABLES[0]!, `line ${number}`);
	}
}

/** Jobs that ended, what people did, and the columns of each table: twenty each. */
function writeServerRows(database: DatabaseSync, pipelines: number): void {
	const at = (index: number) => new Date(Date.now() - (index + 1) * 60_000).toISOString();
	const job = database.prepare("INSERT INTO jobs (job_id, ended, queued_at, entry) VALUES (?, 1, ?, ?)");
	for (let index = 0; index < ENDED_JOBS; index++) {
		const id = `job-${String(index).padStart(4, "0")}`;
		const pipeline = pipelineName(index % pipelines);
		const times = { queuedAt: at(index), startedAt: at(index), finishedAt: at(index) };
		const request = { pipeline, trigger: "schedule", by: null };
		const entry = { id, pipeline, request, state: "succeeded", ...times, runIds: [], error: null };
		job.run(id, at(index), JSON.stringify(entry));
	}
	const audit = database.prepare("INSERT INTO audit (at, entry) VALUES (?, ?)");
	for (let index = AUDIT_ENTRIES; index > 0; index--) {
		const who = { who: "anna", role: "operator", via: "cookie", address: "127.0.0.1" };
		const what = { action: "run", subject: pipelineName(index % pipelines), outcome: "done", detail: "{}" };
		audit.run(at(index), JSON.stringify({ at: at(index), ...who, ...what }));
	}
	const columns = database.prepare(
		"INSERT INTO table_columns (pipeline, table_name, seen_at, entry) VALUES (?, ?, ?, ?)",
	);
	const types = { source_type: "varchar(50)", destination_type: "text", fidelity: "exact", note: null };
	const entry = JSON.stringify({
		columns: Array.from({ length: 20 }, (_, index) => ({ name: `column_${index}`, ...types })),
		key: ["column_0"],
	});
	for (let index = 0; index < pipelines; index++)
		for (const name of TABLES) columns.run(pipelineName(index), name, at(0), entry);
}
