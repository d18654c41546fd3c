import type { RunReceipt, TableReceipt } from "../core/index.ts";
import { countRowsOf } from "../sql/index.ts";
import type { RunInterval, RunOptions } from "./api.ts";
import type { TablePlan } from "./planned-table.ts";
import { emptyReceipt, failedReceipt } from "./receipt.ts";
import { newRunId } from "./run-id.ts";
import type { Session } from "./session.ts";
import { planSession } from "./session-plan.ts";
import { emptySummaryReceipt, type SummaryPlan } from "./summaries.ts";

/** Reads every row of the tables and throws it away: shows that a task would work, and records nothing anywhere. */
export async function readOnly(
	session: Session,
	options: RunOptions,
	interval: RunInterval | null,
): Promise<RunReceipt> {
	const runId = newRunId();
	const started = new Date().toISOString();
	const plan = await planSession(session, options, interval, runId);
	await using snapshot = await session.source.snapshot({
		readers: 1,
		...(options.signal === undefined ? {} : { signal: options.signal }),
	});
	const read = async (table: TablePlan): Promise<TableReceipt> => {
		if (table.task === null) return failedReceipt(table, table.errors[0], 0, 0, "failed");
		const begin = performance.now();
		let rows = 0;
		let bytes = 0;
		for await (const batch of snapshot.read({
			table: table.table,
			columns: table.task.columns,
			types: table.task.types,
		})) {
			rows += batch.rowCount;
			bytes += batch.byteLength;
			batch.release();
		}
		const seconds = Math.round(performance.now() - begin) / 1000;
		return { ...emptyReceipt(table), state: "succeeded", rows_read: rows, bytes, seconds, attempts: 1 };
	};
	const tables: TableReceipt[] = [];
	for (const table of plan.tables) tables.push(await read(table));
	for (const summary of plan.policy.summaries) tables.push(await readSummary(session, summary));
	return {
		run_id: runId,
		pipeline: session.pipeline.name,
		interval: plan.tables.some((table) => table.task?.mode === "interval") ? interval : null,
		state: tables.every((table) => table.state === "succeeded") ? "succeeded" : "failed",
		started_at: started,
		finished_at: new Date().toISOString(),
		tables,
	};
}

/** Counts the rows that a summary would have. */
async function readSummary({ destination }: Session, plan: SummaryPlan): Promise<TableReceipt> {
	const begin = performance.now();
	const [row] = (await destination.sql?.query(countRowsOf(plan.select))) ?? [];
	const seconds = Math.round(performance.now() - begin) / 1000;
	const rows = Number(row?.["n"] ?? 0);
	return { ...emptySummaryReceipt(plan), state: "succeeded", rows_read: rows, seconds, attempts: 1 };
}
