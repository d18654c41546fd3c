import { type HeadraceError, qualified, type ReceiptError, type TableReceipt } from "../core/index.ts";
import type { TableOutcome } from "../flow/index.ts";
import type { TablePlan } from "./planned-table.ts";

export function emptyReceipt({ source, into, selected, write }: TablePlan): TableReceipt {
	return pendingReceipt({ table: source, into: qualified(into), mode: selected.options.mode, write });
}

/** Of what has not begun. */
export function pendingReceipt(of: Pick<TableReceipt, "table" | "into" | "mode" | "write">): TableReceipt {
	return {
		...of,
		state: "pending",
		rows_read: 0,
		rows_staged: 0,
		rows_loaded: 0,
		rows_rejected: 0,
		rows_inserted: 0,
		rows_updated: 0,
		rows_deleted: 0,
		bytes: 0,
		seconds: 0,
		attempts: 0,
		position: null,
		values_changed: {},
		error: null,
	};
}

export function finishedReceipt(
	plan: TablePlan,
	outcome: TableOutcome,
	seconds: number,
	attempts: number,
): TableReceipt {
	return {
		...emptyReceipt(plan),
		state: "succeeded",
		rows_read: outcome.rowsRead,
		rows_staged: outcome.rowsStaged,
		rows_loaded: outcome.rowsLoaded,
		rows_rejected: outcome.rowsRejected,
		rows_inserted: outcome.rowsInserted,
		rows_updated: outcome.rowsUpdated,
		rows_deleted: outcome.rowsDeleted,
		...(outcome.rowsSuperseded === undefined ? {} : { rows_superseded: outcome.rowsSuperseded }),
		bytes: outcome.bytes,
		seconds,
		attempts,
		position: outcome.position,
		values_changed: outcome.valuesChanged,
		...chunkFields(outcome.chunks),
		...changesOf(plan),
	};
}

function chunkFields(chunks: TableOutcome["chunks"]): Partial<TableReceipt> {
	if (chunks === undefined) return {};
	const { total, reused, rowsReused, consistency } = chunks;
	return {
		chunks_total: total,
		chunks_reused: reused,
		rows_reused: rowsReused,
		...(consistency === null ? {} : { consistency }),
	};
}

/** Absent when nothing changed. */
function changesOf({ changes = [] }: TablePlan): Pick<TableReceipt, "schema_changes"> {
	if (changes.length === 0) return {};
	return { schema_changes: changes.map(({ column, change, action }) => ({ column, change, action })) };
}

export function failedReceipt(
	plan: TablePlan,
	error: HeadraceError | undefined,
	seconds: number,
	attempts: number,
	state: "failed" | "stopped",
	showValues = false,
): TableReceipt {
	return {
		...emptyReceipt(plan),
		state,
		seconds,
		attempts,
		// What was to be done about other changes was not done.
		...(plan.task === null ? changesOf(plan) : {}),
		error: error === undefined ? null : receiptError(error, showValues),
	};
}

/** An error as receipts have it; with the values only for who asked to see them. */
export function receiptError(error: HeadraceError, showValues = false): ReceiptError {
	const { code, message, hint, values } = error;
	return { code, message, hint, ...(showValues && values !== undefined ? { values } : {}) };
}
