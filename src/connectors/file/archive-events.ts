import { Batch, type ChangedRows, type ChangeEvent, Column, type SourceTable } from "../../core/index.ts";
import type { EngineConnection } from "../../engine/index.ts";
import { readingSql, TRUNCATE, transactionsSql } from "./archive-rows.ts";

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

/** The transactions that some files hold changes of, in their order. */
export async function numberedTransactions(
	connection: EngineConnection,
	paths: readonly string[],
): Promise<NumberedTransaction[]> {
	const found: NumberedTransaction[] = [];
	const { batches } = await connection.stream(transactionsSql(paths));
	for await (const batch of batches) {
		const [record, number, text, micros, rows] = batch.columns as [Column, Column, Column, Column, Column];
		for (let row = 0; row < batch.rowCount; row++)
			found.push({
				record: Number(record.i64[row]!),
				number: number.i64[row]!,
				text: textOf(text, row),
				micros: micros.i64[row]!,
				rows: Number(rows.i64[row]!),
			});
		batch.release();
	}
	return found;
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
