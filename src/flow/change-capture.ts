import {
	type ApplyRequest,
	type ApplyResult,
	type BeginRequest,
	CHANGED_AT_COLUMN,
	type ChangeLog,
	type ChangesPosition,
	crashPoint,
	type DestinationChanges,
	decodePosition,
	encodePosition,
	HeadraceError,
	HISTORY_COLUMNS,
	type LogCut,
	type LogPlace,
	loadId as loadIdOf,
	type PositionRow,
	qualified,
	type Snapshot,
	type SourceTable,
} from "../core/index.ts";
import { ChangeFlush, type Flushed } from "./change-flush.ts";
import {
	advance,
	beginReading,
	CHANGES_STREAM,
	changesPosition,
	endReading,
	forgettable,
	startingFrom,
	tablesToRead,
	withoutTable,
} from "./change-state.ts";
import { runTable } from "./run-table.ts";
import { type ChangesStaging, changesStaging, cleanChanges, stageChanges } from "./staged-changes.ts";
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

/** An idle log's position is committed this often: the source may then forget what is before. */
const IDLE_COMMIT_MS = 30_000;
/** Tables are planned anew so often before they are read as they were planned. */
const PLANS_MAX = 5;

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
	readonly #rows: Map<string, PositionRow>;
	#tasks: ReadonlyMap<string, TableTask>;
	#row: PositionRow;
	#position: ChangesPosition | null;
	#committedMs = 0;
	/** Plans that were made because columns changed before tables were read. */
	#plans = 0;
	/** Where the log was when tables were planned anew for it. */
	readonly #plannedAt = new Map<string, string>();
	readonly #staging: ChangesStaging | null;

	constructor(context: CaptureContext, tasks: readonly TableTask[], rows: ReadonlyMap<string, PositionRow>) {
		this.#context = context;
		this.#staging = changesStaging(context);
		this.#tasks = byName(tasks);
		this.#rows = new Map(rows);
		const row = rows.get(CHANGES_STREAM);
		if (row === undefined) throw new HeadraceError("E_INTERNAL", "the destination gave no position row for changes");
		this.#row = row;
		this.#position = changesPosition(row);
		for (const task of tasks) if (task.fullRefresh) this.#leave(qualified(task.table.name));
		this.#leaveStrangers();
	}

	/** What runs that were killed have left of changes in the staging. */
	async clean(): Promise<void> {
		if (this.#staging !== null) await cleanChanges(this.#staging, this.#row);
	}

	async replan(): Promise<void> {
		const tasks = await this.#context.replan();
		const added = tasks.map((task) => task.stream).filter((stream) => !this.#rows.has(stream));
		for (const [stream, row] of await this.#context.takeOver(added)) this.#rows.set(stream, row);
		this.#tasks = byName(tasks);
		this.#leaveStrangers();
	}

	/** Tables that the pipeline no longer has, and those whose rows a change of their columns asks for again. */
	#leaveStrangers(): void {
		for (const name of Object.keys(this.#position?.tables ?? {})) {
			const task = this.#tasks.get(name);
			if (task?.reading !== undefined) refuseToLose(task, name);
			if (task === undefined || task.reading !== undefined) this.#leave(name);
		}
	}

	#leave(name: string): void {
		if (this.#position !== null) this.#position = withoutTable(this.#position, name);
	}

	/**
	 * Reads what does not follow yet; what an earlier run has read of it stays, where it can. `changed` when the tables
	 * have other columns at the cut than they were planned with: the log tells only of what comes later.
	 */
	async readTables(): Promise<"read" | "changed"> {
		await this.#beginAnew();
		await this.#endKilled();
		const names = tablesToRead(this.#position, [...this.#tasks.keys()]);
		if (names.length === 0) {
			await this.#forgetPassing();
			return "read";
		}
		const wanted = names.map((name) => this.#tasks.get(name)!);
		const cut = await this.#openCut(wanted);
		let done: "read" | "changed";
		try {
			done = await this.#readAt(cut, names, wanted);
		} catch (error) {
			// The error that counts is the first.
			await this.#close(cut).catch(() => undefined);
			throw error;
		}
		await this.#close(cut);
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
			cut === null ? await snapshot.logPlace?.() : { position: cut.position, exact: true };
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
		const begun = names.map((name) => ({ name, goesOn: isRepeatable(this.#tasks.get(name)!) }));
		await this.#commit(beginReading(this.#position, place.position, begun));
		crashPoint("cdc-reading");
		const mixed = new Set<string>();
		await this.#each(wanted, concurrency, async (task) => {
			const { chunks } = await this.#readTable(task, snapshot, place.position);
			if (chunks?.consistency === "mixed") mixed.add(qualified(task.table.name));
		});
		let position = this.#position!;
		for (const name of names)
			position = endReading(position, name, until, log, mixed.has(name) ? undefined : place.position);
		await this.#commit(position);
		crashPoint("cdc-read");
		return "read";
	}

	/** A plan that does not help is not made again and again. */
	async #haveOtherColumns(wanted: readonly TableTask[]): Promise<boolean> {
		const described = await this.#context.source.describe(
			wanted.map(({ table, types }) => ({ table: table.name, types })),
		);
		const text = ({ columns }: SourceTable) =>
			JSON.stringify(columns.map(({ name, nativeType }) => [name, nativeType]));
		return wanted.some(({ table }, index) => text(table) !== text(described[index]!)) && this.#plans++ < PLANS_MAX;
	}

	/** When no table follows any more, the log is begun anew: the place that it was read to may be gone. */
	async #beginAnew(): Promise<void> {
		if (this.#position === null || Object.keys(this.#position.tables).length > 0) return;
		const { log, reader } = this.#context;
		await log.forget?.(reader);
		this.#position = null;
	}

	/** A table whose rows are loaded, and whose run was killed before it could say so. */
	async #endKilled(): Promise<void> {
		const { log } = this.#context;
		let position = this.#position;
		let end: string | null = null;
		for (const [name, { state, from }] of Object.entries(position?.tables ?? {})) {
			const task = this.#tasks.get(name);
			const text = task === undefined ? null : (this.#rows.get(task.stream)?.position ?? null);
			if (position === null || task === undefined || state !== "loading" || from === undefined || text === null)
				continue;
			const own = decodePosition(text);
			if (own.kind !== "full" || own.log === undefined || log.compare(own.log, from) < 0) continue;
			if (!isRepeatable(task)) position = endReading(withoutTable(position, name), name, own.log, log);
			else {
				end ??= await log.end(this.#context.signal);
				position = endReading(position, name, end, log);
			}
		}
		if (position !== null && position !== this.#position) await this.#commit(position);
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
		if (this.#position === null) return log.begin(requestOf(reader, [...this.#tasks.values()]));
		await log.include?.(requestOf(reader, [...this.#tasks.values()]));
		return log.begin(requestOf(`${reader}:reading`, wanted));
	}

	/** Also what a run that was killed has left: a source would keep its log for it. */
	async #forgetPassing(): Promise<void> {
		const { log, reader } = this.#context;
		await log.forget?.(`${reader}:reading`);
	}

	async #readTable(task: TableTask, snapshot: Snapshot, place: string): Promise<TableOutcome> {
		const row = this.#rows.get(task.stream);
		if (row === undefined) throw new HeadraceError("E_INTERNAL", `no position row for ${task.stream}`);
		const { log } = this.#context;
		const from = this.#position?.tables[qualified(task.table.name)]?.from ?? place;
		const reading = readingTask(task, snapshot, place, log.format(place));
		const outcome = await runTable(
			this.#context.tableContext(task),
			{ ...reading, keepsCut: (cut) => log.compare(cut, from) >= 0 },
			row,
			async () => snapshot,
		);
		this.#rows.set(task.stream, outcome.row);
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

	/** Applies the log; `changed` when tables have to be planned, or read, anew before it can go on. */
	async follow(): Promise<"ended" | "changed"> {
		const { log, reader, follow, signal, flush, temporaryDirectory, bufferBytesMax } = this.#context;
		const start = this.#position;
		if (start === null) return "ended";
		const followed = [...this.#tasks].filter(([name]) => start.tables[name]?.state === undefined);
		const until = follow ? undefined : await log.end(signal);
		await using stream = await log.open({
			reader,
			from: start.at,
			tables: followed.map(([, task]) => task.table),
			types: (name) => this.#tasks.get(qualified(name))!.types,
			before: "key-changes",
			flush,
			...(until === undefined ? {} : { until }),
			...(signal === undefined ? {} : { signal }),
		});
		const planned = new Map(followed.filter(([name]) => this.#plannedAt.get(name) === start.at));
		const begin = () =>
			new ChangeFlush({ folder: temporaryDirectory, bytesMax: Math.floor(bufferBytesMax / 2), planned });
		let pending = begin();
		await using _spool = { [Symbol.asyncDispose]: () => pending[Symbol.asyncDispose]() };
		for await (const event of stream) {
			if (event.kind !== "boundary") {
				await pending.add(event);
				continue;
			}
			const flushed = pending.settle({
				log,
				boundary: event,
				position: this.#position!,
				tasks: this.#tasks,
			});
			const isChanged = await this.#applyFlush(flushed, until !== undefined);
			await pending[Symbol.asyncDispose]();
			pending = begin();
			await stream.acknowledge(forgettable(changesPosition(this.#row)!, log));
			crashPoint("cdc-acknowledged");
			if (isChanged) return "changed";
		}
		return "ended";
	}

	/** Commits a flush. Gives whether tables have changed. */
	async #applyFlush(flushed: Flushed, oneShot: boolean): Promise<boolean> {
		const { log } = this.#context;
		let position = advance(this.#position!, flushed, log);
		if (flushed.readAgainFrom !== null) position = startingFrom(position, flushed.readAgainFrom, log);
		for (const name of flushed.left) {
			refuseToLose(this.#tasks.get(name)!, name);
			position = withoutTable(position, name);
		}
		for (const [name, from] of flushed.cut) {
			this.#plannedAt.set(name, from);
			// It stays behind: what was read at a later cut may be in it as before.
			const until = this.#position!.tables[name]?.until;
			const entry = { from, ...(until !== undefined && log.compare(until, from) > 0 ? { until } : {}) };
			position = { ...position, tables: { ...position.tables, [name]: entry } };
		}
		const isIdle = flushed.parts.length === 0 && !flushed.isChanged;
		if (isIdle && !oneShot && Date.now() - this.#committedMs < IDLE_COMMIT_MS) return false;
		await this.#commit(position, flushed);
		return flushed.isChanged;
	}

	#isCommitted(position: ChangesPosition): boolean {
		return encodePosition(position) === this.#row.position;
	}

	/** Moves the position, with the rows of a flush, in one transaction. */
	async #commit(position: ChangesPosition, flushed: Flushed | null = null): Promise<void> {
		this.#position = position;
		this.#committedMs = Date.now();
		if (this.#isCommitted(position) && flushed === null) return;
		const { pipeline, runId, bufferBytesMax, signal, changes } = this.#context;
		const toPosition = encodePosition(position);
		const { seq, epoch, position: fromPosition } = this.#row;
		const idOf = (stream: string, schemaVersion: string) =>
			loadIdOf({ pipeline, stream, seq, from: fromPosition, to: toPosition, schemaVersion });
		const loadId = idOf(CHANGES_STREAM, "");
		const given = (flushed?.parts ?? []).map((of, index) => {
			return { of, part: of.request(idOf(`${of.task.stream}#${index}`, of.task.schemaVersion)) };
		});
		const isStaged = this.#staging !== null && given.length > 0;
		const parts = isStaged ? await stageChanges(this.#staging, this.#row, given) : given.map(({ part }) => part);
		const request: ApplyRequest = {
			pipeline,
			runId,
			stream: CHANGES_STREAM,
			loadId,
			epoch,
			seq,
			fromPosition,
			toPosition,
			schemaVersion: "",
			parts,
			bufferBytesMax,
			...(signal === undefined ? {} : { signal }),
		};
		crashPoint("cdc-apply");
		const result = await this.#applyOnce(changes, request);
		crashPoint("cdc-applied");
		this.#row = { ...this.#row, seq: seq + 1, position: toPosition, loadId };
		for (const [index, part] of (flushed?.parts ?? []).entries())
			this.#context.onOutcome(
				part.task.stream,
				part.outcome(result?.parts[index], this.#rows.get(part.task.stream)!, this.#context.log.format(position.at)),
			);
		if (isStaged) await cleanChanges(this.#staging, this.#row);
		await this.#context.onCommit?.(position);
	}

	/** Applies, and settles an answer that was lost: null when the destination has it. */
	async #applyOnce(changes: DestinationChanges, request: ApplyRequest): Promise<ApplyResult | null> {
		try {
			return await changes.apply(request);
		} catch (error) {
			const settled = error instanceof HeadraceError && (error.reaction === "retry" || error.code === "E_FENCED");
			if (!settled || !(await this.#context.destination.committed(request.loadId).catch(() => false))) throw error;
			return null;
		}
	}
}

function byName(tasks: readonly TableTask[]): ReadonlyMap<string, TableTask> {
	return new Map(tasks.map((task) => [qualified(task.table.name), task]));
}

/** Rows that come twice leave what the log says last. Where each change is kept, they must come once. */
export function isRepeatable({ write, target }: Pick<TableTask, "write" | "target">): boolean {
	return write === "merge" && target.key.length > 0;
}

/** A table that holds what its source no longer has is read anew only when somebody says so. */
function refuseToLose(task: TableTask, name: string): void {
	if (isRepeatable(task)) return;
	throw new HeadraceError(
		"E_SCHEMA",
		`${name}: a change of its columns changed rows, or may have, without the log telling which; reading it anew would lose the ${task.write === "history" ? "versions" : "changes"} that the destination has of it`,
		{
			table: name,
			hint: `Rename the destination's table to keep it, then \`headrace resync <pipeline> --table ${name}\`: it begins anew.`,
		},
	);
}

/** The table as it is read at first: whole, as of the cut. */
function readingTask(task: TableTask, snapshot: Snapshot, place: string, placeText: string): TableTask {
	const repeatable = isRepeatable(task);
	// A commit's time may be told in whole seconds.
	const at = BigInt(Date.parse(`${snapshot.clock.slice(0, 19).replace(" ", "T")}Z`)) * 1000n;
	const constants = new Map<string, string | bigint>();
	if (task.write !== "merge") {
		constants.set(HISTORY_COLUMNS.operation, "snapshot");
		constants.set(HISTORY_COLUMNS.position, placeText);
		constants.set(task.write === "history" ? HISTORY_COLUMNS.validFrom : CHANGED_AT_COLUMN, at);
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
