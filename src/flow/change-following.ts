import { setImmediate as nextTurn } from "node:timers/promises";
import {
	type ChangeBoundary,
	type ChangeRequest,
	type ChangeStream,
	crashPoint,
	HeadraceError,
	qualified,
} from "../core/index.ts";
import type { ChangeCommits } from "./change-commits.ts";
import { type CaptureContext, isRepeatable, refuseToLose } from "./change-context.ts";
import { ChangeFlush, type Flushed } from "./change-flush.ts";
import { advance, forgettable, startingFrom, withoutTable } from "./change-state.ts";
import type { TableTask } from "./task.ts";

/** An idle log's position is committed this often: the source may then forget what is before. */
const IDLE_COMMIT_MS = 30_000;

/** Applies the log to tables that have been read: while the destination takes one flush, the next is decoded. */
export class LogFollowing {
	readonly #context: CaptureContext;
	readonly #commits: ChangeCommits;
	/** Where the log was when tables were planned anew for it. */
	readonly #plannedAt = new Map<string, string>();
	/** Columns for which a table was read anew because rows of the log had others: a generated one is in none of them. */
	readonly #readForShape = new Map<string, string>();
	/** The log could not be opened as the tables were planned, and a new plan was made for it. */
	#isReplanned = false;

	constructor(context: CaptureContext, commits: ChangeCommits) {
		this.#context = context;
		this.#commits = commits;
	}

	/** Applies the log; `changed` when tables have to be planned, or read, anew before it can go on. */
	async follow(tasks: ReadonlyMap<string, TableTask>): Promise<"ended" | "changed"> {
		const { log, reader, follow, signal, flush, temporaryDirectory, bufferBytesMax } = this.#context;
		const start = this.#commits.position;
		if (start === null) return "ended";
		const followed = [...tasks].filter(([name]) => start.tables[name]?.state === undefined);
		const until = follow ? undefined : await log.end(signal);
		const request: ChangeRequest = {
			reader,
			from: start.at,
			tables: followed.map(([, task]) => task.table),
			types: (name) => tasks.get(qualified(name))!.types,
			before: (name) => (tasks.get(qualified(name))?.beforeImages === true ? "all" : "key-changes"),
			canReadAnew: (name) => isRepeatable(tasks.get(qualified(name))!),
			knownUntil: (name) => start.tables[qualified(name)]?.from,
			flush,
			...(until === undefined ? {} : { until }),
			...(signal === undefined ? {} : { signal }),
		};
		await using stream = await this.#open(request);
		if (stream === null) return "changed";
		await this.#commits.expectTables(followed.map(([, task]) => task.target.name));
		const planned = new Map(followed.filter(([name]) => this.#plannedAt.get(name) === start.at));
		// Two of them are held at once.
		const bytesMax = Math.floor(bufferBytesMax / 2);
		await using work = new FlushWork(() => new ChangeFlush({ folder: temporaryDirectory, bytesMax, planned }));
		const events = stream[Symbol.asyncIterator]();
		try {
			while (true) {
				const next = await work.orFailure(events.next());
				if (next.done === true) break;
				const event = next.value;
				if (event.kind !== "boundary") {
					await work.pending.add(event);
					// The destination's threads may wait for this one's rows.
					if (work.isApplying) await nextTurn();
					continue;
				}
				await work.applied();
				const isChanged = this.#settle(work, event, { tasks, stream, oneShot: until !== undefined });
				if (!isChanged) continue;
				await work.applied();
				return "changed";
			}
			await work.applied();
			return "ended";
		} catch (error) {
			// A run that is fenced must know it, whatever befell the source.
			await work.applied();
			throw error;
		} finally {
			await work.idle();
			// This wakes a reader that waits for the source; what it is told concerns nobody any more.
			await stream[Symbol.asyncDispose]();
			void events.return?.()?.catch(() => {});
		}
	}

	/** Null when tables have to be planned anew: one that was dropped and made again is none that the log tells of. */
	async #open(request: ChangeRequest): Promise<ChangeStream | null> {
		try {
			const stream = await this.#context.log.open(request);
			this.#isReplanned = false;
			return stream;
		} catch (error) {
			if (this.#isReplanned || !(error instanceof HeadraceError) || error.code !== "E_LOG_SETTINGS") throw error;
			this.#isReplanned = true;
			return null;
		}
	}

	/** Begins to apply what is there up to a boundary. Gives whether tables have changed. */
	#settle(
		work: FlushWork,
		boundary: ChangeBoundary,
		{
			tasks,
			stream,
			oneShot,
		}: {
			readonly tasks: ReadonlyMap<string, TableTask>;
			readonly stream: ChangeStream;
			readonly oneShot: boolean;
		},
	): boolean {
		const { log } = this.#context;
		const flushed = work.pending.settle({
			log,
			boundary,
			position: this.#commits.position!,
			seq: this.#commits.seq,
			tasks,
			isAsRead: (name) => this.#readForShape.get(name) === tasks.get(name)?.schemaVersion,
		});
		for (const name of flushed.otherShapes) this.#readForShape.set(name, tasks.get(name)!.schemaVersion);
		work.begin(async () => {
			await this.#apply(flushed, tasks, oneShot);
			await stream.acknowledge(forgettable(this.#commits.committed!, log));
			crashPoint("cdc-acknowledged");
		});
		return flushed.isChanged;
	}

	/** Commits a flush. */
	async #apply(flushed: Flushed, tasks: ReadonlyMap<string, TableTask>, oneShot: boolean): Promise<void> {
		const { log } = this.#context;
		const before = this.#commits.position!;
		let position = advance(before, flushed, log);
		if (flushed.readAgainFrom !== null) position = startingFrom(position, flushed.readAgainFrom, log);
		for (const name of flushed.left) {
			refuseToLose(tasks.get(name)!, name);
			position = withoutTable(position, name);
		}
		for (const [name, place] of flushed.cut) {
			const { from } = place;
			this.#plannedAt.set(name, from);
			// It stays behind: what was read at a later cut may be in it as before.
			const until = before.tables[name]?.until;
			const entry = { ...place, ...(until !== undefined && log.compare(until, from) > 0 ? { until } : {}) };
			position = { ...position, tables: { ...position.tables, [name]: entry } };
		}
		const isIdle = flushed.parts.length === 0 && !flushed.isChanged;
		if (isIdle && !oneShot && Date.now() - this.#commits.committedMs < IDLE_COMMIT_MS) return;
		await this.#commits.commit(position, flushed);
	}
}

/** One flush that is collected, and the one before it while it is applied. */
class FlushWork implements AsyncDisposable {
	/** What is collected. */
	pending: ChangeFlush;
	readonly #collect: () => ChangeFlush;
	/** Never rejects: what went wrong is thrown by `applied`. */
	#applying: Promise<void> | null = null;
	#failure: { readonly error: unknown } | null = null;

	constructor(collect: () => ChangeFlush) {
		this.#collect = collect;
		this.pending = collect();
	}

	get isApplying(): boolean {
		return this.#applying !== null;
	}

	/** Applies what was collected; what comes is collected anew. Only when nothing else is applied. */
	begin(apply: () => Promise<void>): void {
		const flush = this.pending;
		this.pending = this.#collect();
		this.#applying = (async () => {
			try {
				await apply();
			} catch (error) {
				this.#failure = { error };
			} finally {
				await flush[Symbol.asyncDispose]();
				this.#applying = null;
			}
		})();
	}

	/** Waits until nothing is applied. */
	async idle(): Promise<void> {
		await this.#applying;
	}

	/** Waits until nothing is applied. @throws what applying threw */
	async applied(): Promise<void> {
		await this.#applying;
		this.#check();
	}

	/** What is awaited, or what applying throws meanwhile. */
	async orFailure<T>(awaited: Promise<T>): Promise<T> {
		// Its error is thrown where it is awaited; until then it must not count as unhandled.
		awaited.catch(() => {});
		if (this.#applying !== null) await Promise.race([awaited, this.#applying]);
		this.#check();
		return awaited;
	}

	#check(): void {
		if (this.#failure !== null) throw this.#failure.error;
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.#applying;
		await this.pending[Symbol.asyncDispose]();
	}
}
