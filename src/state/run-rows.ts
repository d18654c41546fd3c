import type { DatabaseSync } from "node:sqlite";
import { HeadraceError } from "../core/errors.ts";
import type { RunReceipt, RunState, TableReceipt } from "../core/state-store.ts";
import type { DurableDatabase } from "./database.ts";
import { holderIsDead } from "./process-identity.ts";

export interface RunRow {
	readonly run_id: string;
	readonly pipeline: string;
	readonly interval_start: string | null;
	readonly interval_end: string | null;
	readonly state: RunState;
	readonly started_at: string;
	readonly finished_at: string | null;
	/** What only some runs have, as JSON; null in stores of an older version. */
	readonly details: string | null;
}

/** The parts of a receipt that only some runs have. */
type RunDetails = Pick<RunReceipt, "error" | "attempt_errors" | "stage" | "origin">;

export function detailsOf({ error, attempt_errors, stage, origin }: RunReceipt): RunDetails | null {
	const details = {
		...(error !== undefined && { error }),
		...(attempt_errors !== undefined && { attempt_errors }),
		...(stage !== undefined && { stage }),
		...(origin !== undefined && { origin }),
	};
	return Object.keys(details).length === 0 ? null : details;
}

export function replaceReceipts(database: DatabaseSync, runId: string, tables: readonly TableReceipt[]): void {
	database.prepare("DELETE FROM table_receipts WHERE run_id = ?").run(runId);
	const insert = database.prepare(
		"INSERT INTO table_receipts (run_id, ordinal, table_name, state, receipt) VALUES (?, ?, ?, ?, ?)",
	);
	tables.forEach((table, ordinal) => {
		insert.run(runId, ordinal, table.table, table.state, JSON.stringify(table));
	});
}

function receiptsOf(database: DatabaseSync, runId: string): TableReceipt[] {
	const rows = database.prepare("SELECT receipt FROM table_receipts WHERE run_id = ? ORDER BY ordinal").all(runId) as {
		receipt: string;
	}[];
	return rows.map((row) => JSON.parse(row.receipt) as TableReceipt);
}

export function receiptOf(database: DatabaseSync, row: RunRow): RunReceipt {
	return {
		run_id: row.run_id,
		pipeline: row.pipeline,
		interval:
			row.interval_start === null || row.interval_end === null
				? null
				: { start: row.interval_start, end: row.interval_end },
		state: row.state,
		started_at: row.started_at,
		finished_at: row.finished_at,
		tables: receiptsOf(database, row.run_id),
		...(row.details === null ? {} : (JSON.parse(row.details) as RunDetails)),
	};
}

/**
 * The id of the run that is named so, wholly or by its beginning.
 * @throws E_USAGE when several runs begin so
 */
export function findRunId(database: DatabaseSync, prefix: string): string | null {
	const rows = database
		.prepare("SELECT run_id FROM runs WHERE substr(run_id, 1, length(?1)) = ?1 ORDER BY length(run_id), run_id LIMIT 4")
		.all(prefix) as { run_id: string }[];
	const first = rows[0];
	if (first === undefined || prefix === "") return null;
	if (rows.length > 1 && first.run_id !== prefix)
		throw new HeadraceError(
			"E_USAGE",
			`several runs begin with ${prefix}: ${rows.map((row) => row.run_id).join(", ")}`,
			{
				hint: "Write more of the run id.",
			},
		);
	return first.run_id;
}

/** A run whose process is gone never told its end: it counts as stopped, so that nobody waits for it. */
export function settleAbandonedRuns(store: DurableDatabase): void {
	const abandoned = store
		.use(
			(database) =>
				database.prepare("SELECT run_id, holder FROM runs WHERE state = 'running'").all() as unknown as RunHolder[],
		)
		.filter((run) => holderIsDead(run.holder));
	if (abandoned.length === 0) return;
	store.transaction((database) => {
		for (const run of abandoned) settle(database, run);
	});
}

interface RunHolder {
	readonly run_id: string;
	readonly holder: string;
}

const ABANDONED = {
	code: "E_STOPPED",
	message: "the run's process is gone: it was killed, or the machine was restarted",
	hint: "Run again: it goes on where it stopped.",
};

function settle(database: DatabaseSync, run: RunHolder): void {
	const settled = database
		.prepare("UPDATE runs SET state = 'stopped' WHERE run_id = ? AND state = 'running' AND holder = ?")
		.run(run.run_id, run.holder);
	if (settled.changes === 0) return;
	const open = (table: TableReceipt): boolean => table.state === "running" || table.state === "pending";
	replaceReceipts(
		database,
		run.run_id,
		receiptsOf(database, run.run_id).map((table) =>
			open(table) ? { ...table, state: "stopped", error: table.error ?? ABANDONED } : table,
		),
	);
}
