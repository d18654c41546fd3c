import type { Batch, BatchPool } from "../../core/batch.ts";
import {
	beforeImagesOf,
	type ChangedRows,
	type ChangeEvent,
	ChangeOperation,
	type ChangeRequest,
	type ChangeStream,
	type ChangeTransaction,
} from "../../core/changes.ts";
import type { SourceTable, TableName } from "../../core/table.ts";
import { type MemoryColumn, tableId } from "./database.ts";
import { describeShape } from "./describe.ts";
import type { LoggedEntry, MemoryLog, RowChange, TableShape } from "./log.ts";
import { poolOf } from "./pools.ts";
import { stopped } from "./readers.ts";
import { convertValue, type Row, type Value, writeValue } from "./values.ts";

export interface MemoryStreamOptions {
	readonly request: ChangeRequest;
	readonly log: MemoryLog;
	/** Places in the log. */
	readonly from: number;
	readonly until: number | null;
	readonly position: (place: number) => string;
	/** Columns whose values an update that leaves them as they are does not tell. */
	readonly toasted: readonly string[];
	/** Rows before a change are told by their key alone, where there is one. */
	readonly keyImages: boolean;
	readonly batchRowsMax: number;
	readonly acknowledge: (position: string) => void;
}

/** Changes of one table that were not given yet. */
interface Pending {
	readonly shape: TableShape;
	readonly table: SourceTable;
	readonly pool: BatchPool;
	rows: PendingRow[];
}

interface PendingRow {
	readonly operation: ChangeOperation;
	readonly transaction: number;
	readonly row: Row;
	readonly told: readonly boolean[] | null;
}

/** Reads the log of a database in memory; nothing is made of an entry before it is asked for. */
export class MemoryChangeStream implements ChangeStream {
	readonly #options: MemoryStreamOptions;
	readonly #followed: ReadonlyMap<string, SourceTable>;
	/** The columns that whoever reads knows of. */
	readonly #known: Map<string, SourceTable>;
	readonly #shapes = new Map<readonly MemoryColumn[], Pending>();
	#transactions: ChangeTransaction[] = [];
	#place: number;
	#rows = 0;
	#bytes = 0;
	readonly #close = new AbortController();

	constructor(options: MemoryStreamOptions) {
		this.#options = options;
		this.#place = options.from;
		this.#followed = new Map(options.request.tables.map((table) => [tableId(table.name), table]));
		this.#known = new Map(this.#followed);
	}

	async acknowledge(position: string): Promise<void> {
		this.#options.acknowledge(position);
	}

	async [Symbol.asyncDispose](): Promise<void> {
		this.#close.abort();
	}

	async *[Symbol.asyncIterator](): AsyncGenerator<ChangeEvent, void, undefined> {
		const { log, until, request } = this.#options;
		let saidPlace = this.#place;
		while (!this.#close.signal.aborted) {
			// A log of a real source is waited for here: writers and signals must get their turn in tests too.
			await Promise.resolve();
			if (request.signal?.aborted === true) throw stopped();
			const isReached = until !== null && this.#place >= until;
			const entry = isReached ? undefined : log.next(this.#place);
			const isFull = this.#rows >= request.flush.rows || this.#bytes >= request.flush.bytes;
			if (isReached || isFull || (entry === undefined && until === null && this.#place > saidPlace)) {
				yield* this.#boundary();
				saidPlace = this.#place;
				if (isReached) return;
			} else if (entry !== undefined) yield* this.#take(entry);
			else await log.longerThan(this.#place, [this.#close.signal, request.signal]);
		}
	}

	*#take(entry: LoggedEntry): Generator<ChangeEvent, void, undefined> {
		const { position } = this.#options;
		for (const change of entry.changes) {
			const followed = this.#followed.get(tableId(change.table.name));
			if (followed === undefined) continue;
			if (change.kind === "schema") {
				yield* this.#learn(change.table.name, change.after, change);
				continue;
			}
			yield* this.#learn(change.table.name, change.table);
			if (change.kind === "row") yield* this.#add(change.table, change.change);
			else {
				yield* this.#rowsPending();
				yield { kind: "truncate", table: this.#pendingOf(change.table).table, transaction: this.#transactions.length };
			}
		}
		this.#place = entry.number;
		if (entry.id === null) return;
		const { committedAt, id } = entry;
		this.#transactions.push({ position: position(entry.number), committedAt, id: String(id) });
	}

	/** What the columns are from here on: said when they are not those that were known, whatever made them so. */
	*#learn(
		name: TableName,
		shape: TableShape | null,
		statement: { readonly rereads: boolean; readonly statement: string } = { rereads: false, statement: "alter" },
	): Generator<ChangeEvent, void, undefined> {
		const known = this.#known.get(tableId(name));
		const after = shape === null ? null : this.#pendingOf(shape).table;
		if (known === undefined || (after !== null && isSame(known, after) && !statement.rereads)) return;
		yield* this.#rowsPending();
		if (after !== null) this.#known.set(tableId(name), after);
		yield { kind: "schema", before: known, after, rereads: statement.rereads, statement: statement.statement };
	}

	*#add(shape: TableShape, { before, after }: RowChange): Generator<ChangeEvent, void, undefined> {
		const { request, keyImages, toasted } = this.#options;
		const pending = this.#pendingOf(shape);
		const isKey = shape.columns.map(({ name }) => shape.primaryKey.includes(name));
		const keyOnly = keyImages && shape.primaryKey.length > 0 ? isKey : null;
		if (after === null) return yield* this.#put(pending, ChangeOperation.delete, before!, keyOnly);
		if (before === null) return yield* this.#put(pending, ChangeOperation.insert, after, null);
		const changesKey = isKey.some((key, i) => key && before[i] !== after[i]);
		if (changesKey || beforeImagesOf(request, shape.name) === "all")
			yield* this.#put(pending, ChangeOperation.before, before, keyOnly);
		const told = shape.columns.map(({ name }, i) => !toasted.includes(name) || before[i] !== after[i]);
		// As with a REPLICA IDENTITY FULL: where there is no key, all of both rows is told.
		const whole = shape.primaryKey.length === 0 || told.every(Boolean);
		yield* this.#put(pending, ChangeOperation.update, after, whole ? null : told);
	}

	*#put(
		pending: Pending,
		operation: ChangeOperation,
		row: Row,
		told: readonly boolean[] | null,
	): Generator<ChangeEvent, void, undefined> {
		pending.rows.push({ operation, transaction: this.#transactions.length, row, told });
		this.#rows++;
		for (const value of row) this.#bytes += value?.length ?? 0;
		if (pending.rows.length >= this.#batchRows(pending)) yield rowsOf(pending);
	}

	#batchRows({ pool }: Pending): number {
		return Math.max(1, Math.min(pool.capacity, this.#options.batchRowsMax));
	}

	/** Found by the list of columns: each ALTER makes another. */
	#pendingOf(shape: TableShape): Pending {
		const known = this.#shapes.get(shape.columns);
		if (known !== undefined) return known;
		const followed = this.#followed.get(tableId(shape.name));
		const described = describeShape(shape, this.#options.request.types(shape.name));
		const table = followed !== undefined && isSame(followed, described) ? followed : described;
		const pending: Pending = { shape, table, pool: poolOf(table.columns), rows: [] };
		this.#shapes.set(shape.columns, pending);
		return pending;
	}

	*#rowsPending(): Generator<ChangeEvent, void, undefined> {
		for (const pending of this.#shapes.values()) if (pending.rows.length > 0) yield rowsOf(pending);
	}

	*#boundary(): Generator<ChangeEvent, void, undefined> {
		yield* this.#rowsPending();
		const transactions = this.#transactions;
		this.#transactions = [];
		this.#rows = 0;
		this.#bytes = 0;
		yield { kind: "boundary", position: this.#options.position(this.#place), transactions };
	}
}

function isSame(a: SourceTable, b: SourceTable): boolean {
	const text = ({ columns, primaryKey }: SourceTable) =>
		JSON.stringify([primaryKey, columns.map(({ name, type, nullable }) => [name, type, nullable])]);
	return text(a) === text(b);
}

/** What is pending as one batch. */
function rowsOf(pending: Pending): ChangedRows {
	const { table, shape, pool, rows } = pending;
	pending.rows = [];
	const batch = pool.take();
	const isPartial = rows.some(({ told }) => told !== null);
	const absent: (Uint8Array | null)[] = table.columns.map(() => null);
	for (const [at, { row, told }] of rows.entries()) {
		writeRow(batch, table, shape, told === null ? row : row.map((value, i) => (told[i] ? value : null)));
		for (const [column, isTold] of (told ?? []).entries())
			if (!isTold) {
				absent[column] ??= new Uint8Array(pool.capacity / 8);
				absent[column][at >> 3]! |= 1 << (at & 7);
			}
	}
	return {
		kind: "rows",
		table,
		batch,
		operations: Uint8Array.from(rows, ({ operation }) => operation),
		transactions: Uint32Array.from(rows, ({ transaction }) => transaction),
		...(isPartial ? { absent } : {}),
	};
}

function writeRow(batch: Batch, table: SourceTable, shape: TableShape, row: readonly Value[]): void {
	for (const [i, column] of table.columns.entries())
		writeValue(batch.columns[i]!, batch.rowCount, convertValue(shape.columns[i]!.type, column.type, row[i]!));
	batch.rowCount++;
}
