import { BATCH_HEAP_BYTES_MAX, type Batch } from "../../core/batch.ts";
import { timestampText } from "../../core/calendar.ts";
import { HeadraceError } from "../../core/errors.ts";
import type { LogPlace, ReadRequest, Snapshot, Source, TransactionMarks, UnchangedRequest } from "../../core/source.ts";
import { qualified, type SourceTable } from "../../core/table.ts";
import { logPosition, type MemoryCuts, type MemoryLogOptions, memoryChangeLog } from "./change-log.ts";
import { type MemoryCut, type MemoryDatabase, type MemoryTable, tableId } from "./database.ts";
import { describeTable } from "./describe.ts";
import { poolOf } from "./pools.ts";
import { ReaderSlots, stopped } from "./readers.ts";
import { chunkCondition, columnIndex, splitByKey, splitByPlace } from "./split.ts";
import { convertValue, type OrderKey, orderKey, type Row, writeValue } from "./values.ts";

export interface MemorySourceOptions {
	/** Which marks of open transactions a snapshot has; default `clock`. */
	readonly marks?: TransactionMarks["kind"] | "none";
	/** Most rows of a batch; by default as many as it holds. */
	readonly batchRowsMax?: number;
	/** Most reads of one snapshot at once; default 4. */
	readonly readersMax?: number;
	/** Default `main`. */
	readonly defaultSchema?: string;
	/**
	 * What a table is cut by: ranges of its key (the default), or, as in PostgreSQL, the places of its rows, which an
	 * update moves.
	 */
	readonly chunksBy?: "key" | "place";
	/** Whether it can be told that a chunk's rows are still the same; default true. */
	readonly provesUnchanged?: boolean;
	/** How its change log behaves. */
	readonly log?: MemoryLogOptions;
}

/** Reads a `MemoryDatabase` through the port of a source. Queries and raw conditions are refused: there is no SQL. */
export function memorySource(database: MemoryDatabase, options: MemorySourceOptions = {}): Source {
	const cuts: MemoryCuts = new Map();
	return {
		defaultSchema: options.defaultSchema ?? "main",
		queries: false,
		backslashEscapes: false,
		quoteString: (text) => `'${text.replaceAll("'", "''")}'`,
		check: async () => [{ severity: "ok", message: "tables are in this process's memory" }],
		listTables: async () => [...database.cut().tables.values()].map((table) => table.name),
		describe: async (requests) => requests.map((request) => describeTable(database, request)),
		snapshot: async ({ readers, cut, signal }) => {
			if (signal?.aborted === true) throw stopped();
			const opened = cut === undefined ? openCut(database, options.log) : { cut: heldCut(cuts, cut.snapshot) };
			return openSnapshot(database, opened, Math.max(1, Math.min(readers, options.readersMax ?? 4)), options);
		},
		changeLog: memoryChangeLog(database, options.log ?? {}, cuts, options.batchRowsMax),
		[Symbol.asyncDispose]: async () => {},
	};
}

function marksOf(cut: MemoryCut, kind: TransactionMarks["kind"]): TransactionMarks {
	const now = kind === "clock" ? cut.clock : cut.nextId;
	let oldestOpen = now;
	for (const { startedAt, id } of cut.open) {
		const mark = kind === "clock" ? startedAt : id;
		if (mark < oldestOpen) oldestOpen = mark;
	}
	return { kind, now, oldestOpen };
}

/** `2024-01-01 00:00:00.000000`: always all six decimals. */
function clockText(micros: bigint): string {
	const text = timestampText(micros);
	return text.includes(".") ? text.padEnd(26, "0") : `${text}.000000`;
}

interface OpenedCut {
	readonly cut: MemoryCut;
	/** Absent when the log itself has made the cut. */
	readonly place?: LogPlace;
}

function openCut(database: MemoryDatabase, options: MemoryLogOptions = {}): OpenedCut {
	if ((options.cuts ?? "exact") === "exact") {
		const cut = database.logCut();
		return { cut, place: { position: logPosition(database, cut.logPlace), exact: true } };
	}
	// The place comes before the view: what becomes visible in between is in the view and behind the place.
	const position = logPosition(database, database.visibleUpTo);
	options.whileOpening?.();
	const cut = database.cut();
	return { cut, place: { position, exact: false, until: logPosition(database, database.log.end) } };
}

/** @throws E_HISTORY_GONE when the log's cut is closed */
function heldCut(cuts: MemoryCuts, name: string): MemoryCut {
	const cut = cuts.get(name);
	if (cut === undefined) throw new HeadraceError("E_HISTORY_GONE", "the cut of the log is closed");
	return cut;
}

function openSnapshot(
	database: MemoryDatabase,
	{ cut, place }: OpenedCut,
	readers: number,
	options: MemorySourceOptions,
): Snapshot {
	const slots = new ReaderSlots(readers);
	let closed = false;
	const tableOf = (table: SourceTable): MemoryTable => {
		if (closed) throw new HeadraceError("E_CONNECTION_LOST", "the snapshot is closed");
		const found = cut.tables.get(tableId(table.name));
		if (found === undefined) throw new HeadraceError("E_UNKNOWN_TABLE", `there is no table ${qualified(table.name)}`);
		return found;
	};
	const marks = options.marks ?? "clock";
	return {
		readers,
		clock: clockText(cut.clock),
		...(marks === "none" ? {} : { transactions: marksOf(cut, marks) }),
		...(place === undefined ? {} : { logPlace: async () => place }),
		cursorMax: async (source, name) => {
			const table = tableOf(source);
			const index = columnIndex(table, name);
			const { type } = table.columns[index]!;
			let max: { readonly value: string; readonly key: OrderKey } | null = null;
			let nulls = 0;
			for (const row of table.rows) {
				const value = row[index]!;
				if (value === null) {
					nulls++;
					continue;
				}
				const key = orderKey(type, value);
				if (max === null || key > max.key) max = { value, key };
			}
			return { max: max?.value ?? null, nulls };
		},
		split: async (source, { rows, byKey }) => {
			const table = tableOf(source);
			return options.chunksBy === "place" && byKey !== true ? splitByPlace(table, rows) : splitByKey(table, rows);
		},
		...(options.provesUnchanged === false
			? {}
			: {
					tableState: async (source: SourceTable) => String(database.note(tableOf(source))),
					unchanged: async ({ table: source, chunk, since }: UnchangedRequest) => {
						const then = database.noted(Number(since));
						if (then === undefined) return false;
						const lines = (table: MemoryTable) =>
							[...selectedRows(table, { chunk })].map((row) => JSON.stringify(row)).sort();
						const [before, now] = [lines(then), lines(tableOf(source))];
						return before.length === now.length && before.every((line, i) => line === now[i]);
					},
				}),
		async *read(request) {
			await slots.take(request.signal);
			try {
				const table = tableOf(request.table);
				for (const batch of batchesOf(table, request, options.batchRowsMax)) {
					let given = false;
					try {
						// A read of a real source waits for bytes here: writers and signals must get their turn in tests too.
						await Promise.resolve();
						if (request.signal?.aborted === true) throw stopped();
						tableOf(request.table);
						given = true;
						yield batch;
					} finally {
						if (!given) batch.release();
					}
				}
			} finally {
				slots.give();
			}
		},
		[Symbol.asyncDispose]: async () => {
			closed = true;
		},
	};
}

function* batchesOf(
	table: MemoryTable,
	request: ReadRequest,
	batchRowsMax = Number.POSITIVE_INFINITY,
): Generator<Batch> {
	if (request.where !== undefined)
		throw new HeadraceError("E_UNSUPPORTED", "a database in memory has no SQL, so it can't take a condition");
	const pool = poolOf(request.columns);
	const rowsMax = Math.max(1, Math.min(pool.capacity, batchRowsMax));
	const columns = request.columns.map((column) => {
		const index = columnIndex(table, column.name);
		return { index, from: table.columns[index]!.type, to: column.type };
	});
	let batch: Batch | null = null;
	for (const row of selectedRows(table, request)) {
		batch ??= pool.take();
		for (const [at, { index, from, to }] of columns.entries())
			writeValue(batch.columns[at]!, batch.rowCount, convertValue(from, to, row[index]!));
		batch.rowCount++;
		if (batch.rowCount >= rowsMax || batch.heapBytes >= BATCH_HEAP_BYTES_MAX) {
			yield batch;
			batch = null;
		}
	}
	if (batch !== null) yield batch;
}

function selectedRows(table: MemoryTable, { window, chunk }: Pick<ReadRequest, "window" | "chunk">): Iterable<Row> {
	const conditions: ((row: Row) => boolean)[] = [];
	if (chunk?.condition !== undefined) conditions.push(chunkCondition(table, chunk.condition));
	if (window !== undefined) {
		const index = columnIndex(table, window.column);
		const { type } = table.columns[index]!;
		const { from = null, to = null } = window;
		const key = (row: Row) => (row[index] === null ? null : orderKey(type, row[index]!));
		// As in SQL, a NULL satisfies no bound.
		if (from !== null) {
			const least = orderKey(type, from);
			conditions.push((row) => (key(row) ?? Number.NaN) >= least);
		}
		if (to !== null) {
			const bound = orderKey(type, to);
			const included = window.toIncluded === true;
			conditions.push((row) => {
				const value = key(row) ?? Number.NaN;
				return value < bound || (included && value === bound);
			});
		}
	}
	return conditions.length === 0 ? table.rows : table.rows.filter((row) => conditions.every((holds) => holds(row)));
}
