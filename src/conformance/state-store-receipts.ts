import type { RunReceipt, TableReceipt } from "../core/state-store.ts";

export function tableReceipt(table: string, change: Partial<TableReceipt> = {}): TableReceipt {
	return {
		table,
		into: `raw.${table}`,
		mode: "incremental",
		write: "merge",
		state: "running",
		rows_read: 0,
		rows_staged: 0,
		rows_loaded: 0,
		rows_rejected: 0,
		rows_inserted: 0,
		rows_updated: 0,
		rows_deleted: 0,
		bytes: 0,
		seconds: 0,
		attempts: 1,
		position: null,
		values_changed: {},
		error: null,
		...change,
	};
}

export function receipt(id: string, minute: number, change: Partial<RunReceipt> = {}): RunReceipt {
	return {
		run_id: id,
		pipeline: "shop",
		interval: null,
		state: "running",
		started_at: `2026-01-01T00:${String(minute).padStart(2, "0")}:00.000Z`,
		finished_at: null,
		tables: [tableReceipt("a"), tableReceipt("b")],
		...change,
	};
}
