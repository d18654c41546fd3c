import {
	type Batch,
	type Field,
	type LoadRequest,
	loadId,
	type PositionRow,
	type TargetTable,
	typeName,
	type Write,
} from "../../src/core/index.ts";
import { BatchBuilder } from "../../src/formats/index.ts";

export const FIELDS: readonly Field[] = [
	{ name: "id", type: { kind: "int64" }, nullable: false },
	{ name: "load", type: { kind: "int64" }, nullable: false },
	{ name: "text", type: { kind: "text" }, nullable: true },
];

export const TARGET: TargetTable = {
	name: { schema: "shop", name: "orders" },
	columns: FIELDS.map((field) => ({ ...field, destinationType: typeName(field.type) })),
	key: ["id"],
};

export const ROWS = 5000;

/** Load `number`: 5000 rows, half of whose keys are those of the load before. */
export async function* batchesOf(number: number): AsyncGenerator<Batch, void, undefined> {
	const builder = new BatchBuilder(FIELDS);
	for (let row = 0; row < ROWS; row++) {
		const batch = builder.append({ id: (number * ROWS) / 2 + row, load: number, text: `row ${row} of load ${number}` });
		if (batch !== null) yield batch;
	}
	const rest = builder.flush();
	if (rest !== null) yield rest;
}

export function requestOf(
	row: PositionRow,
	number: number,
	write: Write,
	change: Partial<LoadRequest> = {},
): LoadRequest {
	const toPosition = JSON.stringify({ kind: "full", at: `load ${number}` });
	const target = write === "append" ? { ...TARGET, key: [] } : TARGET;
	return {
		pipeline: "crash",
		stream: "t",
		loadId: loadId({
			pipeline: "crash",
			stream: "t",
			seq: row.seq,
			from: row.position,
			to: toPosition,
			schemaVersion: "1",
		}),
		epoch: row.epoch,
		seq: row.seq,
		fromPosition: row.position,
		toPosition,
		schemaVersion: "1",
		target,
		write,
		input: { kind: "batches", fields: FIELDS, batches: batchesOf(number) },
		bufferBytesMax: 16 << 20,
		...change,
	};
}
