import {
	type ChangeLog,
	type ChangesPosition,
	type DestinationChanges,
	HeadraceError,
	type PositionRow,
} from "../core/index.ts";
import type { FlowContext, TableOutcome, TableTask } from "./task.ts";

/** Micro-batches: whichever comes first, in whole transactions. */
export interface FlushBounds {
	readonly seconds: number;
	readonly rows: number;
	readonly bytes: number;
}

/** What following a log needs beside what each table does. */
export interface CaptureContext extends Omit<FlowContext, "verify" | "prepare"> {
	readonly log: ChangeLog;
	readonly changes: DestinationChanges;
	/** Names the pipeline at the source: see ChangeRequest.reader. */
	readonly reader: string;
	readonly flush: FlushBounds;
	/** Where transactions that are larger than memory are kept until they are applied. */
	readonly temporaryDirectory: string;
	/** Goes on at the log's end until the signal; else the run ends where the log ended when it began. */
	readonly follow: boolean;
	/** Tables that are read at once. */
	readonly concurrency: number;
	/** What the first reading of a table works with: its checks, its share of memory. */
	readonly tableContext: (task: TableTask) => FlowContext;
	/** The tasks as they are now, after the source's tables have changed. */
	readonly replan: () => Promise<readonly TableTask[]>;
	/** What became of a table since the last call for it: figures add up. */
	readonly onOutcome: (stream: string, outcome: TableOutcome) => void;
	/** Called after each commit, with the log's position. */
	readonly onCommit?: (position: ChangesPosition) => Promise<void>;
	/** Position rows of tables that came with `replan`: see Destination.takeOver. */
	readonly takeOver: (streams: readonly string[]) => Promise<ReadonlyMap<string, PositionRow>>;
}

/** Rows that come twice leave what the log says last. Where each change is kept, they must come once. */
export function isRepeatable({ write, target }: Pick<TableTask, "write" | "target">): boolean {
	return write === "merge" && target.key.length > 0;
}

/** A table that holds what its source no longer has is read anew only when somebody says so. @throws E_SCHEMA */
export function refuseToLose(
	task: TableTask,
	name: string,
	why = "a change of its columns changed rows, or may have, without the log telling which",
): void {
	if (isRepeatable(task)) return;
	throw new HeadraceError(
		"E_SCHEMA",
		`${name}: ${why}; reading it anew would lose the ${task.write === "history" ? "versions" : "changes"} that the destination has of it`,
		{
			table: name,
			hint: `Rename the destination's table to keep it, then \`headrace resync <pipeline> --table ${name}\`: it begins anew.`,
		},
	);
}
