import { HeadraceError, type Manifest, type PositionRow, qualified, type Staging, type Write } from "../core/index.ts";
import { maskChange } from "./mask.ts";
import { discardManifest } from "./stage.ts";
import type { FlowContext, TableTask } from "./task.ts";

/** Staged rows that were hidden otherwise than the pipeline now says are not loaded, but read again. */
export async function withSameMasks(
	context: FlowContext & { readonly staging: Staging },
	task: TableTask,
	pending: Manifest | null,
): Promise<Manifest | null> {
	if (pending === null || maskChange(pending.schemaVersion, task.schemaVersion) === "none") return pending;
	await discardManifest(context, pending);
	warn(context, task, "the masks of its columns have changed: rows that were staged under others are read again");
	return null;
}

/**
 * Rows of a merge or append come beside older ones, which keep what they hold: that is told. Where the key itself is
 * masked otherwise, no row would find its older self.
 * @throws E_SCHEMA
 */
export function confirmMasks(context: FlowContext, task: TableTask, row: PositionRow, write: Write): void {
	if (write === "replace" || row.schemaVersion === null) return;
	const change = maskChange(row.schemaVersion, task.schemaVersion);
	const table = qualified(task.target.name);
	if (change === "key")
		throw new HeadraceError(
			"E_SCHEMA",
			`the mask of the key of ${table} has changed: its rows would not be found again`,
			{
				table: task.stream,
				hint: `Read the table anew: --full-refresh --table ${task.stream}`,
			},
		);
	if (change === "columns")
		warn(
			context,
			task,
			"the masks of its columns have changed: rows that were loaded before keep what they hold; --full-refresh masks them",
		);
}

function warn(context: FlowContext, task: TableTask, message: string): void {
	context.onEvent({ type: "notice", runId: context.runId, level: "warn", table: task.stream, message });
}
