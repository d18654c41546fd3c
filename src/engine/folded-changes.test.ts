import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type Batch, BatchPool, CHANGE_DELETED_COLUMN, type ChangesPart, type Field } from "../core/index.ts";
import { Engine } from "./engine.ts";
import { applyFolded } from "./folded-changes.ts";

const PART_ROWS = 50_000;
const fields: readonly Field[] = [
	{ name: "id", type: { kind: "int64" }, nullable: false },
	{ name: CHANGE_DELETED_COLUMN, type: { kind: "boolean" }, nullable: false },
];

async function* rowsFrom(first: number): AsyncGenerator<Batch, void, undefined> {
	const pool = new BatchPool(fields);
	for (let at = 0; at < PART_ROWS; at += pool.capacity) {
		const batch = pool.take();
		batch.rowCount = Math.min(pool.capacity, PART_ROWS - at);
		const [ids, deleted] = batch.columns;
		for (let row = 0; row < batch.rowCount; row++) {
			ids!.i64[row] = BigInt(first + at + row);
			deleted!.u8[row] = 0;
		}
		yield batch;
	}
}

test("keys meet the rows of their own transaction in memory for the keys, not for the rows", async () => {
	const folder = mkdtempSync(join(tmpdir(), "headrace-folded-"));
	try {
		// A table of all ids takes 40 MB for a join; there is no folder that it could be put off to.
		const memoryBytes = 20 << 20;
		const tempDirectory = join(folder, "none/of/it");
		await using engine = await Engine.open({ path: join(folder, "t.duckdb"), memoryBytes, tempDirectory, threads: 1 });
		await using connection = await engine.connect();
		await connection.execute("CREATE TABLE t (id BIGINT)");
		await connection.execute("BEGIN");
		const apply = (first: number) => {
			const part: ChangesPart = {
				loadId: `${first}`,
				target: {
					name: { schema: "main", name: "t" },
					columns: [{ ...fields[0]!, destinationType: "BIGINT" }],
					key: ["id"],
				},
				write: "merge",
				schemaVersion: "",
				partial: false,
				isFolded: true,
				input: { kind: "batches", fields, batches: rowsFrom(first) },
			};
			return applyFolded(connection, connection, { part, target: "t", suffix: `${first}` });
		};
		for (let first = 0; first < 20 * PART_ROWS; first += PART_ROWS)
			expect(await apply(first)).toMatchObject({ rowsInserted: PART_ROWS, rowsUpdated: 0 });
		expect(await apply(PART_ROWS / 2)).toMatchObject({ rowsInserted: 0, rowsUpdated: PART_ROWS });
		await connection.execute("COMMIT");
		const [row] = await connection.query(
			"SELECT count(*) AS n, min(id) AS first, max(id) AS last, sum(id) AS ids FROM t",
		);
		const n = 20 * PART_ROWS;
		expect(Object.values(row!).map(Number)).toEqual([n, 0, n - 1, (n * (n - 1)) / 2]);
	} finally {
		rmSync(folder, { recursive: true, force: true });
	}
});
