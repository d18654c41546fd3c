import { randomBytes } from "node:crypto";
import {
	type ApplyRequest,
	CHANGE_DELETED_COLUMN,
	type Field,
	type LoadRequest,
	loadId,
	type PositionRow,
	type Write,
} from "../../src/core/index.ts";
import { duckdbType } from "../../src/engine/index.ts";
import { batchesOf, type Cell, fieldsOf } from "./duckdb-support.ts";

export const FIELDS = fieldsOf("id int64, name text, at timestamp");

const row = (id: number, name: string): Cell[] => [id, name, BigInt(1_700_000_000 + id) * 1_000_000n];
export const OLD_ROWS: readonly Cell[][] = Array.from({ length: 5000 }, (_, i) => row(i, `the old name of row ${i}`));
export const NEW_ROWS: readonly Cell[][] = Array.from({ length: 5000 }, (_, i) =>
	row(2500 + i, `the new name of row ${2500 + i}`),
);

/** 30 MB that no compression makes smaller: for a disk that is full. */
export const INCOMPRESSIBLE_ROWS: Iterable<readonly Cell[]> = {
	*[Symbol.iterator]() {
		for (let i = 0; i < 5000; i++) yield row(10_000 + i, randomBytes(3000).toString("hex"));
	},
};

/** The next load of stream `t` after a position row. */
export function requestOf(
	position: PositionRow,
	rows: Iterable<readonly Cell[]>,
	write: Write,
	change: Partial<LoadRequest> & { readonly fields?: readonly Field[]; readonly key?: readonly string[] } = {},
): LoadRequest {
	const { fields = FIELDS, key = ["id"], ...more } = change;
	const toPosition = JSON.stringify({ at: String(position.seq + 1), kind: "full" });
	return {
		pipeline: "crash",
		stream: position.stream,
		loadId: loadId({
			pipeline: "crash",
			stream: position.stream,
			seq: position.seq,
			from: position.position,
			to: toPosition,
			schemaVersion: "1",
		}),
		epoch: position.epoch,
		seq: position.seq,
		fromPosition: position.position,
		toPosition,
		schemaVersion: "1",
		target: {
			name: { schema: "raw", name: "t" },
			columns: fields.map((field) => ({ ...field, destinationType: duckdbType(field.type) })),
			key,
		},
		write,
		input: { kind: "batches", fields, batches: batchesOf(fields, [...rows], { batchRows: 512 }) },
		bufferBytesMax: 4 << 20,
		...more,
	};
}

/** The next changes after a position row: the same rows for `raw.t` and `raw.u`. */
export function changesOf(position: PositionRow, rows: readonly (readonly Cell[])[]): ApplyRequest {
	const { target, input: _input, write: _write, ...request } = requestOf(position, [], "merge");
	const fields: readonly Field[] = [
		...FIELDS,
		{ name: CHANGE_DELETED_COLUMN, type: { kind: "boolean" }, nullable: true },
	];
	const changes = rows.map((row) => [...row, false]);
	return {
		...request,
		parts: ["t", "u"].map((name) => ({
			loadId: `${request.loadId}-${name}`,
			target: { ...target, name: { ...target.name, name } },
			write: "merge",
			schemaVersion: "1",
			partial: false,
			input: { kind: "batches", fields, batches: batchesOf(fields, changes, { batchRows: 512 }) },
		})),
	};
}
