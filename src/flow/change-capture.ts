import { type PositionRow, qualified } from "../core/index.ts";
import { ChangeCommits } from "./change-commits.ts";
import { type CaptureContext, refuseToLose } from "./change-context.ts";
import { LogFollowing } from "./change-following.ts";
import { TableReading } from "./change-reading.ts";
import { caughtUp, withoutTable } from "./change-state.ts";
import type { TableTask } from "./task.ts";

/**
 * Follows a change log: reads the tables that do not follow it yet, as of a cut whose place in the log is known, then
 * applies the log from the oldest of these places on. A table that has a key may be read in pieces and at several cuts:
 * the changes between them are applied although they may be in it, which leaves what the log says last. Position and
 * rows are committed together, and the source is told only afterwards. See docs/decisions/0015-hand-over.md.
 *
 * `rows` are the position rows of the tables' streams and of CHANGES_STREAM, as `takeOver` gave them.
 * @throws E_FENCED when another run has taken over, E_HISTORY_GONE and E_HISTORY_MISMATCH of the log
 */
export async function captureChanges(
	context: CaptureContext,
	tasks: readonly TableTask[],
	rows: ReadonlyMap<string, PositionRow>,
): Promise<void> {
	const capture = new Capture(context, tasks, rows);
	await capture.clean();
	while (true) {
		if ((await capture.readTables()) === "read" && (await capture.follow()) === "ended") return;
		await capture.replan();
	}
}

class Capture {
	readonly #context: CaptureContext;
	readonly #commits: ChangeCommits;
	readonly #reading: TableReading;
	readonly #following: LogFollowing;
	#tasks: ReadonlyMap<string, TableTask>;

	constructor(context: CaptureContext, tasks: readonly TableTask[], rows: ReadonlyMap<string, PositionRow>) {
		this.#context = context;
		this.#tasks = byName(tasks);
		this.#commits = new ChangeCommits(context, rows);
		this.#reading = new TableReading(context, this.#commits);
		this.#following = new LogFollowing(context, this.#commits);
		for (const task of tasks) if (task.fullRefresh) this.#leave(qualified(task.table.name));
		this.#leaveStrangers();
	}

	/** What runs that were killed have left of changes in the staging. */
	clean(): Promise<void> {
		return this.#commits.clean();
	}

	readTables(): Promise<"read" | "changed"> {
		return this.#reading.readTables(this.#tasks);
	}

	follow(): Promise<"ended" | "changed"> {
		return this.#following.follow(this.#tasks);
	}

	async replan(): Promise<void> {
		const tasks = await this.#context.replan();
		const { rows } = this.#commits;
		const added = tasks.map((task) => task.stream).filter((stream) => !rows.has(stream));
		for (const [stream, row] of await this.#context.takeOver(added)) rows.set(stream, row);
		this.#tasks = byName(tasks);
		this.#leaveStrangers();
	}

	/** Tables that the pipeline no longer has, and those whose rows a change of their columns asks for again. */
	#leaveStrangers(): void {
		for (const name of Object.keys(this.#commits.position?.tables ?? {})) {
			const task = this.#tasks.get(name);
			if (task?.reading !== undefined && task.targetGone !== true) refuseToLose(task, name);
			if (task === undefined || task.reading !== undefined) this.#leave(name);
		}
	}

	#leave(name: string): void {
		const { position } = this.#commits;
		if (position !== null) this.#commits.position = caughtUp(withoutTable(position, name), this.#context.log);
	}
}

function byName(tasks: readonly TableTask[]): ReadonlyMap<string, TableTask> {
	return new Map(tasks.map((task) => [qualified(task.table.name), task]));
}
