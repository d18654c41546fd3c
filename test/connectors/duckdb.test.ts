import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "vitest";
import { caseTitle, type DestinationFixture, destinationSuite } from "../../src/conformance/index.ts";
import { createDuckdbDestination } from "../../src/connectors/duckdb/index.ts";
import type { TableName } from "../../src/core/index.ts";
import { Engine, ParquetFormat } from "../../src/engine/index.ts";
import { valueText } from "../../src/formats/index.ts";
import { quoteDouble } from "../../src/sql/index.ts";

async function fixture(): Promise<DestinationFixture> {
	const folder = await mkdtemp(join(tmpdir(), "headrace-duckdb-"));
	const path = join(folder, "warehouse.duckdb");
	const open = () => createDuckdbDestination({ path, readableDirectories: [folder] });
	const destination = await open();
	return {
		destination,
		schema: "raw",
		reopen: open,
		formats: [new ParquetFormat()],
		// A handle of its own on the same database, as another reader in this process has.
		rows: async (table: TableName, columns) => {
			await using engine = await Engine.open({ path });
			await using connection = await engine.connect();
			const exists = await connection.query(
				"SELECT 1 AS one FROM duckdb_tables() WHERE schema_name = ? AND table_name = ?",
				[table.schema, table.name],
			);
			if (exists.length === 0) return null;
			const list = columns.map((column) => quoteDouble(column.name)).join(", ");
			const { batches } = await connection.stream(
				`SELECT ${list} FROM ${quoteDouble(table.schema)}.${quoteDouble(table.name)}`,
			);
			const rows: (string | null)[][] = [];
			for await (const batch of batches) {
				for (let row = 0; row < batch.rowCount; row++) rows.push(batch.columns.map((column) => valueText(column, row)));
				batch.release();
			}
			return rows;
		},
		[Symbol.asyncDispose]: async () => {
			await destination[Symbol.asyncDispose]();
			await rm(folder, { recursive: true, force: true });
		},
	};
}

describe("conformance", () => {
	for (const conformance of destinationSuite({ open: fixture }))
		test(caseTitle(conformance), { skip: conformance.skip !== undefined }, () => conformance.run());
});
