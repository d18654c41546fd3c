import { tmpdir } from "node:os";
import { expect, test } from "vitest";
import {
	Batch,
	CHANGE_ABSENT_COLUMN,
	CHANGE_BASE_COLUMN,
	type ChangedRows,
	ChangeOperation,
	Column,
	type ColumnType,
	DEFAULT_TYPE_POLICY,
	type SourceTable,
} from "../core/index.ts";
import { ChangeFlush } from "./change-flush.ts";
import type { TableTask } from "./task.ts";

const NAME = { schema: "main", name: "items" };
const TEXT: ColumnType = { kind: "text" };
const COLUMNS = ["id", "long"].map((name) => {
	return { name, type: TEXT, nullable: true, nativeType: "text", fidelity: "exact" as const };
});
const TABLE: SourceTable = { name: NAME, kind: "table", columns: COLUMNS, primaryKey: ["id"], warnings: [] };
const TASK = {
	stream: "main.items",
	table: TABLE,
	columns: COLUMNS,
	types: DEFAULT_TYPE_POLICY,
	target: { name: NAME, columns: COLUMNS.map((column) => ({ ...column, destinationType: "text" })), key: ["id"] },
	mode: "cdc",
	write: "merge",
	deletes: "hard",
	allowEmpty: true,
	fullRefresh: false,
	schemaVersion: "1",
	timezone: "UTC",
} as TableTask;

/** Rows of one transaction; `long` is not told. */
function partly(...rows: readonly (readonly [operation: ChangeOperation, id: string])[]): ChangedRows {
	const columns = COLUMNS.map(({ name, type }) => new Column(name, type, 64));
	for (const [row, [, id]] of rows.entries()) {
		const bytes = Buffer.from(id);
		columns[0]!.setBytes(row, bytes, 0, bytes.length);
		columns[1]!.setNull(row);
	}
	const batch = new Batch(columns, null);
	batch.rowCount = rows.length;
	return {
		kind: "rows",
		table: TABLE,
		batch,
		operations: Uint8Array.from(rows.map(([operation]) => operation)),
		transactions: new Uint32Array(rows.length),
		absent: [null, Uint8Array.of(255)],
	};
}

test("a row as it was is not parted from what became of it when memory is full between the two", async () => {
	const { update, before } = ChangeOperation;
	await using flush = new ChangeFlush({ folder: tmpdir(), bytesMax: 1, planned: new Map() });
	await flush.add(partly([update, "a"], [before, "b"]));
	await flush.add(partly([update, "c"], [before, "d"]));
	await flush.add(partly([update, "e"]));
	const transactions = [{ position: "1", committedAt: 1n }];
	const { parts } = flush.settle({
		log: { compare: (a, b) => Number(a) - Number(b), format: (text) => text },
		boundary: { kind: "boundary", position: "1", transactions },
		position: { kind: "changes", at: "0", tables: { "main.items": {} } },
		seq: 0,
		tasks: new Map([["main.items", TASK]]),
		isAsRead: () => false,
	});
	const told: string[] = [];
	for (const part of parts) {
		const { input } = part.request("load");
		if (input.kind !== "batches") throw new Error("changes come as batches");
		for await (const batch of input.batches) {
			const text = (name: string, row: number) => {
				const column = batch.columns.find((other) => other.name === name)!;
				return column.isNull(row) ? "" : Buffer.from(column.bytes(row)).toString();
			};
			for (let row = 0; row < batch.rowCount; row++)
				told.push(["id", CHANGE_ABSENT_COLUMN, `${CHANGE_BASE_COLUMN}0`].map((name) => text(name, row)).join(" "));
			batch.release();
		}
	}
	// What a row does not tell is the table's, under the key that it had.
	expect(told).toEqual(["a 01 a", "b  ", "c 01 b", "d  ", "e 01 d"]);
});
