import {
	ARCHIVE_TRANSACTIONS_MAX,
	Batch,
	type ChangedRows,
	type ChangeEvent,
	Column,
	type SourceTable,
} from "../../core/index.ts";
import type { EngineConnection } from "../../engine/index.ts";
import { readingSql, TRUNCATE, transactionsSql } from "./archive-rows.ts";
import type { JournalRecord } from "./change-journal.ts";

/** A transaction as its rows tell it. */
export interface NumberedTransaction {
	/** Number of the record that it is in. */
	readonly record: number;
	readonly number: bigint;
	/** What the log that was archived calls its place. */
	readonly text: string;
	/** Since 1970. */
	readonly micros: bigint;
	readonly rows: number;
}

/**
 * The transactions of some records, in their order. `paths`: the files that hold them, and may hold others' too. Records
 * of an older version don't tell their numbers; their files are of one record each.
 */
export async function numberedTransactions(
	connection: EngineConnection,
	paths: readonly string[],
	records: readonly Pick<JournalRecord, "number" | "seq">[],
): Promise<NumberedTransaction[]> {
	const found: NumberedTransaction[] = [];
	const bySeq = new Map(
		records.flatMap(({ number, seq }) => (seq === undefined ? [] : [[BigInt(seq), number] as const])),
	);
	const recordOf = (number: bigint, named: number) =>
		bySeq.size === 0 ? named : bySeq.get(number / ARCHIVE_TRANSACTIONS_MAX);
	const { batches } = await connection.stream(transactionsSql(paths, numbersOf(records)));
	for await (const batch of batches) {
		const [named, number, text, micros, rows] = batch.columns as [Column, Column, Column, Column, Column];
		for (let row = 0; row < batch.rowCount; row++) {
			const record = recordOf(number.i64[row]!, Number(named.i64[row]!));
			if (record === undefined) continue;
			found.push({
				record,
				number: number.i64[row]!,
				text: textOf(text, row),
				micros: micros.i64[row]!,
				rows: Number(rows.i64[row]!),
			});
		}
		batch.release();
	}
	return found;
}

/** The first and the last number that transactions of some records may have; null when it is not told. */
function numbersOf(records: readonly Pick<JournalRecord, "seq">[]): readonly [from: bigint, to: bigint] | null {
	const seqs = records.flatMap(({ seq }) => (seq === undefined ? [] : [BigInt(seq)]));
	const [first, last] = [seqs[0], seqs.at(-1)];
	if (first === undefined || last === undefined) return null;
	return [first * ARCHIVE_TRANSACTIONS_MAX, (last + 1n) * ARCHIVE_TRANSACTIONS_MAX - 1n];
}

/** Where and when a table was read; null when it had no rows. */
export async function readingPlace(
	connection: EngineConnection,
	paths: readonly string[],
): Promise<Pick<NumberedTransaction, "text" | "micros"> | null> {
	let found: Pick<NumberedTransaction, "text" | "micros"> | null = null;
	const { batches } = await connection.stream(readingSql(paths));
	for await (const batch of batches) {
		const [text, micros] = batch.columns as [Column, Column];
		if (batch.rowCount > 0) found = { text: textOf(text, 0), micros: micros.i64[0]! };
		batch.release();
	}
	return found;
}

function textOf(column: Column, row: number): string {
	return Buffer.from(column.bytes(row)).toString("utf8");
}

/** Bits of the columns that rows do not tell: see `ChangedRows.absent`. `untold` holds their names, a list a row. */
export function tellAbsent(table: SourceTable, untold: Column, rowCount: number): Pick<ChangedRows, "absent"> {
	if (untold.nullCount === rowCount) return {};
	const absent: (Uint8Array | null)[] = table.columns.map(() => null);
	for (let row = 0; row < rowCount; row++) {
		if (untold.isNull(row)) continue;
		for (const name of JSON.parse(textOf(untold, row)) as string[]) {
			const place = table.columns.findIndex((column) => column.name === name);
			if (place < 0) continue;
			absent[place] ??= new Uint8Array(Math.ceil(rowCount / 8));
			absent[place][row >> 3]! |= 1 << (row & 7);
		}
	}
	return { absent };
}

/** Rows, and between them that all rows of the table went. */
export function* withTruncations(event: ChangedRows): Generator<ChangeEvent, void, undefined> {
	const { operations, transactions, table, batch } = event;
	if (!operations.includes(TRUNCATE)) {
		yield event;
		return;
	}
	let from = 0;
	const events: ChangeEvent[] = [];
	for (let row = 0; row <= batch.rowCount; row++) {
		if (row < batch.rowCount && operations[row] !== TRUNCATE) continue;
		if (row > from) events.push(copied(event, from, row));
		if (row < batch.rowCount) events.push({ kind: "truncate", table, transaction: transactions[row]! });
		from = row + 1;
	}
	batch.release();
	yield* events;
}

/** Some rows of an event, with memory of their own. */
function copied(event: ChangedRows, from: number, to: number): ChangedRows {
	const capacity = Math.ceil((to - from) / 64) * 64;
	const columns = event.batch.columns.map((column) => {
		const copy = new Column(column.name, column.type, capacity);
		for (let row = from; row < to; row++) copy.copyValue(row - from, column, row);
		return copy;
	});
	const batch = new Batch(columns, null);
	batch.rowCount = to - from;
	const absent = event.absent?.map((bits) => {
		if (bits === null) return null;
		const own = new Uint8Array(Math.ceil(capacity / 8));
		for (let row = from; row < to; row++)
			if (((bits[row >> 3]! >> (row & 7)) & 1) === 1) own[(row - from) >> 3]! |= 1 << ((row - from) & 7);
		return own;
	});
	return {
		...event,
		batch,
		operations: event.operations.slice(from, to),
		transactions: event.transactions.slice(from, to),
		...(absent === undefined ? {} : { absent }),
	};
}
