import {
	type ApplyRequest,
	type Batch,
	changeColumns,
	type Destination,
	encodePosition,
	type Field,
	loadId,
	type PositionRow,
	type TargetTable,
	typeName,
} from "../../src/core/index.ts";
import { BatchBuilder } from "../../src/formats/index.ts";

export const PIPELINE = "shop";
export const STREAM = "changes";
/** Keys of each table; each transaction takes an amount from one of `paid` and gives it to one of `owed`. */
export const KEYS = 40;
export const SUM = 1000;

export const FIELDS: readonly Field[] = [
	{ name: "id", type: { kind: "int64" }, nullable: false },
	{ name: "amount", type: { kind: "int64" }, nullable: false },
	{ name: "step", type: { kind: "int64" }, nullable: false },
];

export function targetOf(name: string): TargetTable {
	return {
		name: { schema: "shop", name },
		columns: FIELDS.map((field) => ({ ...field, destinationType: typeName(field.type) })),
		key: ["id"],
	};
}

export const TABLES = ["paid", "owed"] as const;

/** What a row is after transaction `step`: both tables have the step in one row, with amounts that add up to SUM. */
export function rowAt(table: (typeof TABLES)[number], step: number) {
	const paid = (step * 7) % SUM;
	return { id: step % KEYS, amount: table === "paid" ? paid : SUM - paid, step };
}

async function* batchesOf(fields: readonly Field[], rows: readonly object[]): AsyncGenerator<Batch, void, undefined> {
	const builder = new BatchBuilder(fields);
	for (const row of rows) builder.append(row as Record<string, unknown>);
	const batch = builder.flush();
	if (batch !== null) yield batch;
}

/** Transaction `step`: a row of each of both tables, by key. */
export function transactionOf(row: PositionRow, step: number): ApplyRequest {
	const { stream, seq, epoch, position: fromPosition } = row;
	const toPosition = encodePosition({ kind: "changes", at: `log:${step}`, tables: {} });
	const id = loadId({ pipeline: PIPELINE, stream, seq, from: fromPosition, to: toPosition, schemaVersion: "1" });
	const parts = TABLES.map((table, index) => {
		const target = targetOf(table);
		const columns = changeColumns({ target, write: "merge", partial: false }, typeName);
		const rows = [{ ...rowAt(table, step), _headrace_deleted: false }];
		const input = { kind: "batches" as const, fields: columns, batches: batchesOf(columns, rows) };
		return { loadId: `${id}-${index}`, target, write: "merge" as const, schemaVersion: "1", partial: false, input };
	});
	const move = { pipeline: PIPELINE, stream, epoch, seq, fromPosition, toPosition, schemaVersion: "1", loadId: id };
	return { ...move, parts, bufferBytesMax: 16 << 20 };
}

/** The last transaction that a position says is in. */
export function stepOf(position: string | null): number {
	return position === null ? 0 : Number(/log:(\d+)/.exec(position)![1]);
}

/** Applies transactions from where the position is to `last`. */
export async function follow(
	destination: Destination,
	last: number,
	onStep: (step: number) => Promise<void> = async () => {},
): Promise<void> {
	let row = (await destination.takeOver(PIPELINE, [STREAM])).get(STREAM)!;
	for (let step = stepOf(row.position) + 1; step <= last; step++) {
		const request = transactionOf(row, step);
		await destination.changes!.apply(request);
		row = { ...row, seq: row.seq + 1, position: request.toPosition, loadId: request.loadId };
		await onStep(step);
	}
}
