import { decodePosition, type PositionRow, qualified } from "../core/index.ts";
import { CHANGES_STREAM, changesPosition, type TableTask } from "../flow/index.ts";
import type { TablePlan } from "./planned-table.ts";

/** A table that positions say was loaded, and that the destination does not have. */
export interface TableGone {
	/** Whether this run reads all that was read before; what it can't is left to whoever reads `message`. */
	readonly readsAnew: boolean;
	readonly message: string;
}

/**
 * What to do about a table that is not in the destination: null when nothing was loaded before. Reading on from the
 * position would leave a new table with a few rows, and a run that says all is well: somebody has dropped the table, or
 * renamed it, or `into` names another one now.
 */
export function tableGone(plan: TablePlan, task: TableTask, positions: readonly PositionRow[]): TableGone | null {
	const into = qualified(plan.into);
	if (task.mode === "interval") {
		const loaded = loadedIntervals(qualified(plan.selected.source), positions);
		const others = loaded
			.filter(({ start }) => start !== task.interval?.start)
			.sort((a, b) => (a.start < b.start ? -1 : 1));
		const [first, last] = [others[0], others.at(-1)];
		if (first === undefined || last === undefined) return null;
		const count = `${others.length} interval${others.length === 1 ? "" : "s"}`;
		return {
			readsAnew: false,
			message: `${into} is not in the destination, where ${count} between ${first.start} and ${last.end} were loaded before; this run loads its own interval only, \`headrace backfill\` the others`,
		};
	}
	if (!wasRead(task, positions)) return null;
	return {
		readsAnew: true,
		message: `${into} is not in the destination, though rows of ${plan.source} were loaded before: it was dropped, renamed, or \`into\` has changed; all rows are read anew`,
	};
}

/** The plan of a table that is gone, with what is said about it. */
export function withTableGone(plan: TablePlan, message: string): TablePlan {
	const task =
		plan.task === null || plan.task.reading === undefined ? plan.task : { ...plan.task, targetGone: true as const };
	return { ...plan, task, gone: message, notes: [message, ...plan.notes] };
}

/** Whether reading would go on after what was read before. */
function wasRead(task: TableTask, positions: readonly PositionRow[]): boolean {
	if (task.mode === "cdc") {
		const row = positions.find(({ stream }) => stream === CHANGES_STREAM);
		const known = row === undefined ? undefined : changesPosition(row)?.tables[qualified(task.table.name)];
		// One that is paused is left alone until it is resumed, one that is being read is read on.
		return known !== undefined && known.state === undefined;
	}
	if (task.mode !== "incremental") return false;
	const position = positions.find(({ stream }) => stream === task.stream)?.position ?? null;
	if (position === null) return false;
	const known = decodePosition(position);
	return known.kind === "files" || (known.kind === "cursor" && known.value !== null && known.column === task.cursor);
}

/** Intervals of a stream that were loaded, UTC. */
export function loadedIntervals(stream: string, positions: readonly PositionRow[]) {
	return positions.flatMap((row) => {
		if (!row.stream.startsWith(`${stream}@`) || row.position === null) return [];
		const position = decodePosition(row.position);
		return position.kind === "interval" ? [{ start: position.start, end: position.end }] : [];
	});
}
