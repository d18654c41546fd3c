/**
 * Loaded by `--import` before the command line: connections of type file and duckdb become a source and a destination
 * in memory, so that the command line is tested without a database. STAND_IN_DELAY_MS slows the read down,
 * STAND_IN_FAILURE makes it fail with that code, STAND_IN_ORPHAN with an error that nobody awaits.
 */
import { registerHooks } from "node:module";
import { setTimeout as delay } from "node:timers/promises";
import { MemoryDatabase, MemoryWarehouse, memoryDestination, memorySource } from "../../src/connectors/memory/index.ts";
import type { Source } from "../../src/core/index.ts";
import { type ErrorCode, HeadraceError } from "../../src/core/index.ts";

registerHooks({
	resolve: (specifier, context, next) =>
		/\/connectors\/(?:file|duckdb)\/index\.[jt]s$/.test(specifier)
			? { url: import.meta.url, shortCircuit: true, format: "module-typescript" }
			: next(specifier, context),
});

const ROWS = 2_000;
const BATCH_ROWS_MAX = 20;

const database = new MemoryDatabase();
for (const name of ["orders", "customers"]) {
	const table = { schema: "shop", name };
	const columns = [
		{ name: "id", type: { kind: "int64" as const }, nullable: false },
		{ name: "name", type: { kind: "text" as const }, nullable: true },
	];
	database.createTable(table, columns, ["id"]);
	database.insert(table, ...Array.from({ length: ROWS }, (_, i) => ({ id: String(i), name: `n${i}` })));
}
const warehouse = new MemoryWarehouse();

export function createFileSource(): Source {
	const source = memorySource(database, { batchRowsMax: BATCH_ROWS_MAX, defaultSchema: "shop" });
	return {
		...source,
		async snapshot(options) {
			const snapshot = await source.snapshot(options);
			return {
				...snapshot,
				async *read(request) {
					const failure = process.env["STAND_IN_FAILURE"];
					if (failure !== undefined && request.table.name.name === "orders")
						throw new HeadraceError(failure as ErrorCode, "the stand-in was told to fail");
					const orphan = process.env["STAND_IN_ORPHAN"];
					if (orphan !== undefined) Promise.reject(new Error(orphan));
					for await (const batch of snapshot.read(request)) {
						await delay(Number(process.env["STAND_IN_DELAY_MS"] ?? 0), undefined, { signal: request.signal });
						yield batch;
					}
				},
			};
		},
	};
}

export const createDuckdbDestination = () => memoryDestination(warehouse);
