import { type Batch, type Field, HeadraceError } from "../core/index.ts";
import type { ErrorContext } from "./errors.ts";
import type { Feed, Slot } from "./feed.ts";

/** Fewer rows than one of DuckDB's vectors. */
const WIDE_ROWS_MAX = 2048;

export interface ConsumeRequest {
	readonly fields: readonly Field[];
	readonly batches: AsyncIterable<Batch>;
	/** The SQL that takes one group of batches; `relation` has the fields as columns, see `selectList`. */
	readonly statement: (relation: string) => string | Promise<string>;
	/** Bytes of batches that may be held: one group is decoded while others are pulled. */
	readonly bufferBytesMax: number;
	/** Most rows of a group. */
	readonly rowsMax?: number;
	/** Bytes at which a group of few rows ends, where the engine takes several times their memory for them. */
	readonly wideBytesMax?: number;
	/** What the optimizer is told in place of the rows of a group: see Slot. */
	readonly rowsExpected?: number;
	/** False when a statement may do without some rows: a join with an empty table reads none. */
	readonly needsAll?: boolean;
	/** Native threads that pull and work; with 1 the rows keep their order. Default: the engine's. */
	readonly threads?: number;
	readonly signal?: AbortSignal;
	/** What errors may tell; by default the fields' names. */
	readonly context?: ErrorContext;
	/** Told of each group that is in, with its rows and bytes. */
	readonly onRows?: (rows: number, bytes: number) => void;
	/** Awaited after each group's statement (`sql`), before another begins on the same connection. */
	readonly onGroup?: (rows: number, sql: string) => void | Promise<void>;
}

export interface ConsumeResult {
	readonly rows: number;
	readonly bytes: number;
	/** Per column the values that a stated policy altered; columns without any are left out. */
	readonly valuesChanged: Record<string, number>;
}

/** What `consumeBatches` needs of a connection. */
export interface GroupRunner {
	readonly feed: Feed;
	readonly threads: number;
	run(sql: string): Promise<void>;
	interrupt(): void;
	translate(error: unknown, context: ErrorContext): HeadraceError;
}

interface Group {
	readonly batches: Batch[];
	rows: number;
	bytes: number;
	heldBytes: number;
}

/**
 * Pulls batches into statements, one a group: while DuckDB's threads work on groups, the event loop decodes the next.
 * A group is bounded by bytes, since wide rows would multiply memory. With several runners as many groups are worked on
 * at once, in no order. Every batch is released and no statement runs any more when this ends, however it ends.
 */
export async function consumeBatches(runners: readonly GroupRunner[], request: ConsumeRequest): Promise<ConsumeResult> {
	const work = new Consumption(runners, request);
	const { signal } = request;
	const abort = (): void => work.stop(stopped());
	signal?.addEventListener("abort", abort, { once: true });
	try {
		if (signal?.aborted) throw stopped();
		for await (const batch of request.batches) await work.add(batch);
		return await work.finish();
	} catch (error) {
		work.stop(error);
		await work.settle();
		throw work.failure ?? error;
	} finally {
		signal?.removeEventListener("abort", abort);
	}
}

class Consumption {
	failure: unknown = null;
	readonly #request: ConsumeRequest;
	readonly #groupBytesMax: number;
	readonly #groupRowsMax: number;
	readonly #wideBytesMax: number;
	readonly #changed: number[];
	readonly #free: GroupRunner[];
	readonly #running = new Map<GroupRunner, { readonly done: Promise<void>; slot: Slot | null }>();
	#group: Group = { batches: [], rows: 0, bytes: 0, heldBytes: 0 };
	#rows = 0;
	#bytes = 0;

	constructor(runners: readonly GroupRunner[], request: ConsumeRequest) {
		this.#request = request;
		this.#free = [...runners];
		this.#groupBytesMax = Math.max(1, Math.floor(request.bufferBytesMax / (runners.length + 1)));
		this.#groupRowsMax = request.rowsMax ?? Number.POSITIVE_INFINITY;
		this.#wideBytesMax = Math.min(this.#groupBytesMax, request.wideBytesMax ?? this.#groupBytesMax);
		this.#changed = new Array<number>(request.fields.length).fill(0);
	}

	async add(batch: Batch): Promise<void> {
		const group = this.#group;
		group.batches.push(batch);
		if (this.failure !== null) throw this.failure;
		if (batch.rowCount === 0) {
			group.batches.pop();
			batch.release();
			return;
		}
		const { columns } = batch;
		for (let index = 0; index < columns.length; index++) this.#changed[index]! += columns[index]!.changedCount;
		const bytes = batch.byteLength;
		this.#rows += batch.rowCount;
		this.#bytes += bytes;
		group.rows += batch.rowCount;
		group.bytes += bytes;
		group.heldBytes += batch.heldBytes;
		const bytesMax = group.rows < WIDE_ROWS_MAX ? this.#wideBytesMax : this.#groupBytesMax;
		if (group.heldBytes >= bytesMax || group.rows >= this.#groupRowsMax) await this.#start();
	}

	async finish(): Promise<ConsumeResult> {
		if (this.#group.rows > 0) await this.#start();
		await this.settle();
		if (this.failure !== null) throw this.failure;
		const valuesChanged: Record<string, number> = {};
		this.#request.fields.forEach((field, index) => {
			if (this.#changed[index]! > 0) valuesChanged[field.name] = this.#changed[index]!;
		});
		return { rows: this.#rows, bytes: this.#bytes, valuesChanged };
	}

	/** Fails what is running; the first reason is the one that is told. */
	stop(reason: unknown): void {
		this.failure ??= reason;
		for (const [runner, { slot }] of this.#running) {
			if (slot !== null) slot.error ??= reason;
			runner.interrupt();
		}
	}

	/** Resolves when no statement runs and no batch is held. */
	async settle(): Promise<void> {
		for (const { done } of [...this.#running.values()]) await done;
		for (const batch of this.#group.batches.splice(0)) batch.release();
	}

	async #start(): Promise<void> {
		while (this.#free.length === 0) await Promise.race([...this.#running.values()].map(({ done }) => done));
		if (this.failure !== null) throw this.failure;
		const group = this.#group;
		this.#group = { batches: [], rows: 0, bytes: 0, heldBytes: 0 };
		const runner = this.#free.shift()!;
		const entry: { done: Promise<void>; slot: Slot | null } = { done: Promise.resolve(), slot: null };
		this.#running.set(runner, entry);
		entry.done = this.#run(runner, group, entry);
	}

	/** Never rejects: what goes wrong is kept as the failure. */
	async #run(runner: GroupRunner, group: Group, entry: { slot: Slot | null }): Promise<void> {
		const { fields } = this.#request;
		const slot: Slot = {
			fields,
			batches: group.batches,
			rowsExpected: this.#request.rowsExpected ?? group.rows,
			threads: this.#request.threads ?? runner.threads,
			taken: (batch) => batch.release(),
			error: null,
		};
		const offer = runner.feed.offer(slot);
		entry.slot = slot;
		try {
			const sql = await this.#request.statement(offer.relation);
			await runner.run(sql);
			// A statement that does not read its whole relation would lose rows.
			if (slot.batches.length > 0 && this.#request.needsAll !== false)
				throw new HeadraceError("E_INTERNAL", "a statement left batches unread");
			await this.#request.onGroup?.(group.rows, sql);
			this.#request.onRows?.(group.rows, group.bytes);
		} catch (error) {
			const context = this.#request.context ?? { columns: fields.map((field) => field.name) };
			this.stop(runner.translate(slot.error ?? error, context));
		} finally {
			offer.withdraw();
			this.#running.delete(runner);
			this.#free.push(runner);
		}
	}
}

function stopped(): HeadraceError {
	return new HeadraceError("E_STOPPED", "stopped while rows were being loaded");
}
