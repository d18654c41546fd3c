import {
	ARCHIVE_COLUMNS,
	ARCHIVE_TRANSACTIONS_MAX,
	type BeginRequest,
	CHANGED_AT_COLUMN,
	crashPoint,
	decodePosition,
	HeadraceError,
	HISTORY_COLUMNS,
	type LogCut,
	type LogPlace,
	type PositionRow,
	qualified,
	type Snapshot,
	type SourceTable,
	toHeadraceErrors,
} from "../core/index.ts";
import type { ChangeCommits } from "./change-commits.ts";
import { type CaptureContext, isRepeatable } from "./change-context.ts";
import { beginReading, endReading, tablesToRead, withoutTable } from "./change-state.ts";
import { runTable } from "./run-table.ts";
import type { TableOutcome, TableTask } from "./task.ts";
import { microsOfText } from "./wall-clock.ts";

/** Tables are planned anew so often before they are read as they were planned. */
const PLANS_MAX = 5;

const GONE: ReadonlySet<string> = new Set(["E_UNKNOWN_TABLE", "E_UNKNOWN_COLUMN"]);

/** The first reading of tables: as of a cut whose place in the log is known. */
export class TableReading {
	readonly #context: CaptureContext;
	readonly #commits: ChangeCommits;
	/** All tables of the pipeline, by name. */
	#tasks: ReadonlyMap<string, TableTask> = new Map();
	/** Plans that were made because columns or tables changed before the tables were read, since they were read last. */
	#plans = 0;

	constructor(context: CaptureContext, commits: ChangeCommits) {
		this.#context = context;
		this.#commits = commits;
	}

	/**
	 * Reads what does not follow yet; what an earlier run has read of it stays, where it can. `changed` when the tables
	 * have other columns at the cut than they were planned with: the log tells only of what comes later.
	 */
	async readTables(tasks: ReadonlyMap<string, TableTask>): Promise<"read" | "changed"> {
		this.#tasks = tasks;
		await this.#beginAnew();
		await this.#endKilled();
		const names = tablesToRead(this.#commits.position, [...this.#tasks.keys()]);
		if (names.length === 0) {
			await this.#forgetPassing();
			return "read";
		}
		const wanted = names.map((name) => this.#tasks.get(name)!);
		let cut: LogCut | null = null;
		let done: "read" | "changed";
		try {
			cut = await this.#openCut(wanted);
			done = await this.#readAt(cut, names, wanted);
		} catch (error) {
			// The error that counts is the first.
			await this.#close(cut).catch(() => undefined);
			// A table or column that is gone since it was planned: a new plan knows whether the pipeline may do without it.
			const areGone = toHeadraceErrors(error).every(({ code }) => GONE.has(code));
			if (areGone && this.#plans++ < PLANS_MAX) return "changed";
			throw error;
		}
		await this.#close(cut);
		// Who follows for weeks meets more changes than these, one at a time.
		if (done === "read") this.#plans = 0;
		return done;
	}

	async #close(cut: LogCut | null): Promise<void> {
		await cut?.[Symbol.asyncDispose]();
		await this.#forgetPassing();
	}

	async #readAt(
		cut: LogCut | null,
		names: readonly string[],
		wanted: readonly TableTask[],
	): Promise<"read" | "changed"> {
		const { log, source, signal, concurrency } = this.#context;
		const strict = wanted.filter((task) => !isRepeatable(task));
		const forLog: "exact" | true = strict.length > 0 ? "exact" : true;
		const request = { readers: Math.max(1, concurrency), forLog, ...(signal === undefined ? {} : { signal }) };
		await using snapshot = await source.snapshot(cut === null ? request : { ...request, cut });
		const place: LogPlace | undefined =
			cut === null
				? await snapshot.logPlace?.()
				: // The snapshot is taken over from the cut, and its clock is read after that.
					{ position: cut.position, exact: true, at: microsOfText(snapshot.clock) };
		if (place === undefined) throw new HeadraceError("E_UNSUPPORTED", "the source does not tell where its log is");
		if (!place.exact && strict.length > 0)
			throw new HeadraceError(
				"E_TIMEOUT",
				`${strict.map((task) => task.stream).join(", ")}: the exact place of a snapshot in the log was not found, which tables without a key and histories need: transactions were committed all the time`,
				{ hint: "Run again at a quieter time: a tenth of a second without a commit is enough." },
			);
		if (await this.#haveOtherColumns(wanted)) return "changed";
		// What was committed while the view was opened may be in it, wherever the place is.
		const until = place.until ?? (place.exact ? place.position : await log.end(signal));
		// A commit's time may be told in whole seconds.
		const at = place.at ?? microsOfText(snapshot.clock.slice(0, 19));
		const begun = wanted.map((task, index) => {
			const { seq } = this.#rowOf(task);
			return { name: names[index]!, goesOn: isRepeatable(task), seq, at: historyBegins(task, at) };
		});
		await this.#commits.commit(beginReading(this.#commits.position, place.position, begun));
		crashPoint("cdc-reading");
		const mixed = new Set<string>();
		await this.#each(wanted, concurrency, async (task) => {
			const { chunks } = await this.#readTable(task, snapshot, { place: place.position, at });
			if (chunks?.consistency === "mixed") mixed.add(qualified(task.table.name));
		});
		let position = this.#commits.position!;
		for (const [index, name] of names.entries()) {
			const from = mixed.has(name) ? undefined : place.position;
			position = endReading(position, name, { until, from, at: historyBegins(wanted[index]!, at) }, log);
		}
		await this.#commits.commit(position);
		crashPoint("cdc-read");
		return "read";
	}

	/** A plan that does not help is not made again and again. */
	async #haveOtherColumns(wanted: readonly TableTask[]): Promise<boolean> {
		const described = await this.#context.source.describe(
			wanted.map(({ table, types }) => ({ table: table.name, types, forLog: true as const })),
		);
		const text = ({ columns }: SourceTable) =>
			JSON.stringify(columns.map(({ name, nativeType }) => [name, nativeType]));
		return wanted.some(({ table }, index) => text(table) !== text(described[index]!)) && this.#plans++ < PLANS_MAX;
	}

	/** When no table follows any more, the log is begun anew: the place that it was read to may be gone. */
	async #beginAnew(): Promise<void> {
		if (this.#commits.position === null || Object.keys(this.#commits.position.tables).length > 0) return;
		const { log, reader } = this.#context;
		await log.forget?.(reader);
		this.#commits.position = null;
	}

	/** A table whose rows are loaded, and whose run was killed before it could say so. */
	async #endKilled(): Promise<void> {
		const { log } = this.#context;
		let position = this.#commits.position;
		let end: string | null = null;
		for (const [name, { state, from, since, seq }] of Object.entries(position?.tables ?? {})) {
			const task = this.#tasks.get(name);
			const row = task === undefined ? undefined : this.#commits.rows.get(task.stream);
			const text = row?.position ?? null;
			if (position === null || task === undefined || state !== "loading" || from === undefined || text === null)
				continue;
			// What the row tells may be of an earlier reading, at the same place of a log that rests.
			if (seq !== undefined && row !== undefined && row.seq <= seq) continue;
			const own = decodePosition(text);
			if (own.kind !== "full" || own.log === undefined || log.compare(own.log, from) < 0) continue;
			if (!isRepeatable(task)) {
				const read = { until: own.log, at: since === undefined ? undefined : BigInt(since) };
				position = endReading(withoutTable(position, name), name, read, log);
			} else {
				end ??= await log.end(this.#context.signal);
				position = endReading(position, name, { until: end }, log);
			}
		}
		if (position !== null && position !== this.#commits.position) await this.#commits.commit(position);
	}

	/** The cut of a log that keeps something for its readers: its own at first, a passing one for tables that come later. */
	async #openCut(wanted: readonly TableTask[]): Promise<LogCut | null> {
		const { log, reader, signal } = this.#context;
		if (log.begin === undefined) return null;
		const requestOf = (name: string, tasks: readonly TableTask[]): BeginRequest => ({
			reader: name,
			tables: tasks.map((task) => task.table),
			...(signal === undefined ? {} : { signal }),
		});
		if (this.#commits.position === null) return log.begin(requestOf(reader, [...this.#tasks.values()]));
		await log.include?.(requestOf(reader, [...this.#tasks.values()]));
		return log.begin(requestOf(`${reader}:reading`, wanted));
	}

	/** Also what a run that was killed has left: a source would keep its log for it. */
	async #forgetPassing(): Promise<void> {
		const { log, reader } = this.#context;
		await log.forget?.(`${reader}:reading`);
	}

	#rowOf({ stream }: TableTask): PositionRow {
		const row = this.#commits.rows.get(stream);
		if (row === undefined) throw new HeadraceError("E_INTERNAL", `no position row for ${stream}`);
		return row;
	}

	async #readTable(
		task: TableTask,
		snapshot: Snapshot,
		{ place, at }: { readonly place: string; readonly at: bigint },
	): Promise<TableOutcome> {
		const row = this.#rowOf(task);
		const { log } = this.#context;
		const from = this.#commits.position?.tables[qualified(task.table.name)]?.from ?? place;
		const reading = readingTask(task, { place, at, text: log.format(place), seq: this.#commits.seq });
		const outcome = await runTable(
			this.#context.tableContext(task),
			{ ...reading, keepsCut: (cut) => log.compare(cut, from) >= 0 },
			row,
			async () => snapshot,
		);
		this.#commits.rows.set(task.stream, outcome.row);
		this.#context.onOutcome(task.stream, outcome);
		return outcome;
	}

	/** Works on several tables at once. One that fails lets the others end; its error is thrown then. */
	async #each(tasks: readonly TableTask[], parallel: number, work: (task: TableTask) => Promise<void>): Promise<void> {
		const queue = [...tasks];
		const errors: unknown[] = [];
		const worker = async () => {
			for (let next = queue.shift(); next !== undefined; next = queue.shift())
				await work(next).catch((error: unknown) => errors.push(error));
		};
		await Promise.all(Array.from({ length: Math.max(1, Math.min(parallel, tasks.length)) }, worker));
		if (errors.length > 0) throw errors[0];
	}
}

/** The table as it is read at first: whole, as of the cut. */
function readingTask(
	task: TableTask,
	cut: { readonly place: string; readonly at: bigint; readonly text: string; readonly seq: number },
): TableTask {
	const { place, at, text, seq } = cut;
	const repeatable = isRepeatable(task);
	const constants = new Map<string, string | bigint>();
	if (task.write !== "merge") {
		constants.set(HISTORY_COLUMNS.operation, "snapshot");
		constants.set(HISTORY_COLUMNS.position, text);
		if (task.write === "history") constants.set(HISTORY_COLUMNS.validFrom, at);
		// Changes that were committed just after the cut are not to seem older.
		else constants.set(CHANGED_AT_COLUMN, at - (at % 1_000_000n));
		constants.set(ARCHIVE_COLUMNS.transaction, BigInt(seq) * ARCHIVE_TRANSACTIONS_MAX);
	}
	return {
		...task,
		mode: "cdc",
		write: "replace",
		// Versions and changes share keys.
		target: repeatable ? task.target : { ...task.target, key: [] },
		logPlace: place,
		constants,
		resume: repeatable && task.resume !== "off" ? "mixed" : "off",
		allowEmpty: true,
		fullRefresh: false,
	};
}

/**
 * When versions of a table begin that were there when it was read: no later one begins before, though MariaDB tells the
 * time at which a statement began. Changes that are kept as rows have one time in all tables, whichever was read when.
 */
function historyBegins({ write }: TableTask, at: bigint): bigint | undefined {
	return write === "history" ? at : undefined;
}
