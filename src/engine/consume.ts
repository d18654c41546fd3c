import { type Batch, type Field, HeadraceError } from "../core/index.ts";
import type { Feed, Slot } from "./feed.ts";

export interface ConsumeRequest {
	readonly fields: readonly Field[];
	readonly batches: AsyncIterable<Batch>;
	/** The SQL that takes one group of batches; `relation` has the fields as columns, see `selectList`. */
	readonly statement: (relation: string) => string | Promise<string>;
	/** Bytes of batches that may be held: half of them are pulled while the other half is being decoded. */
	readonly bufferBytesMax: number;
	/** Most rows of a group. */
	readonly rowsMax?: number;
	/** Native threads that pull and work; 1 keeps the rows' order. Default: the engine's. */
	readonly threads?: number;
	readonly signal?: AbortSignal;
	/** Told of each group that is in, with its rows and bytes. */
	readonly onRows?: (rows: number, bytes: number) => void;
	/** Told after each group's statement; the next begins only when it is done. */
	readonly onGroup?: (rows: number) => void | Promise<void>;
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
	translate(error: unknown, fields: readonly Field[]): HeadraceError;
}

/**
 * Pulls batches into statements, one a group: while DuckDB's threads work on a group, the event loop decodes the next.
 * A group is bounded by bytes, since wide rows would multiply memory. Every batch is released, whatever happens.
 */
export async function consumeBatches(runner: GroupRunner, request: ConsumeRequest): Promise<ConsumeResult> {
	const { fields, signal } = request;
	const groupBytesMax = Math.max(1, Math.floor(request.bufferBytesMax / 2));
	const groupRowsMax = request.rowsMax ?? Number.POSITIVE_INFINITY;
	const changed = new Array<number>(fields.length).fill(0);
	let totalRows = 0;
	let totalBytes = 0;
	let group: Batch[] = [];
	let groupRows = 0;
	let groupHeldBytes = 0;
	let groupBytes = 0;
	let running: Promise<void> | null = null;
	let failure: HeadraceError | null = null;
	let slotRunning: Slot | null = null;

	const stopRunning = (): void => {
		if (slotRunning !== null) slotRunning.error ??= stopped();
		runner.interrupt();
	};
	const runGroup = async (batches: Batch[], rows: number, bytes: number): Promise<void> => {
		const slot: Slot = {
			fields,
			batches,
			rows,
			threads: request.threads ?? runner.threads,
			taken: (batch) => batch.release(),
			error: null,
		};
		const offer = runner.feed.offer(slot);
		slotRunning = slot;
		try {
			await runner.run(await request.statement(offer.relation));
			// A statement that does not read its whole relation would lose rows.
			if (slot.batches.length > 0) throw new HeadraceError("E_INTERNAL", "a statement left batches unread");
			await request.onGroup?.(rows);
			request.onRows?.(rows, bytes);
		} catch (error) {
			failure ??= signal?.aborted ? stopped() : runner.translate(slot.error ?? error, fields);
		} finally {
			slotRunning = null;
			offer.withdraw();
		}
	};
	const startGroup = async (): Promise<void> => {
		await running;
		if (failure !== null) throw failure;
		running = runGroup(group, groupRows, groupBytes);
		group = [];
		groupRows = 0;
		groupHeldBytes = 0;
		groupBytes = 0;
	};

	signal?.addEventListener("abort", stopRunning, { once: true });
	try {
		for await (const batch of request.batches) {
			group.push(batch);
			if (failure !== null) throw failure;
			if (signal?.aborted) throw stopped();
			if (batch.rowCount === 0) {
				group.pop();
				batch.release();
				continue;
			}
			const { columns, rowCount } = batch;
			for (let index = 0; index < columns.length; index++) changed[index]! += columns[index]!.changedCount;
			const bytes = batch.byteLength;
			totalRows += rowCount;
			totalBytes += bytes;
			groupRows += rowCount;
			groupBytes += bytes;
			groupHeldBytes += batch.heldBytes;
			if (groupHeldBytes >= groupBytesMax || groupRows >= groupRowsMax) await startGroup();
		}
		if (signal?.aborted) throw stopped();
		if (groupRows > 0) await startGroup();
		await running;
		if (failure !== null) throw failure;
	} catch (error) {
		if (running !== null && slotRunning !== null) stopRunning();
		await running;
		throw failure ?? error;
	} finally {
		signal?.removeEventListener("abort", stopRunning);
		for (const batch of group) batch.release();
	}
	const valuesChanged: Record<string, number> = {};
	fields.forEach((field, index) => {
		if (changed[index]! > 0) valuesChanged[field.name] = changed[index]!;
	});
	return { rows: totalRows, bytes: totalBytes, valuesChanged };
}

function stopped(): HeadraceError {
	return new HeadraceError("E_STOPPED", "stopped while rows were being loaded");
}
