/** The native DuckDB library, loaded on first use: it costs 20 ms and 40 MB that a run without it does not pay. */
export type Bindings = typeof import("@duckdb/node-bindings");
export type { Connection, Database, DataChunk, LogicalType, Result } from "@duckdb/node-bindings";

let loading: Promise<Bindings> | null = null;

export function loadBindings(): Promise<Bindings> {
	loading ??= import("@duckdb/node-bindings").then((module: Bindings & { readonly default?: Bindings }) => {
		return module.default ?? module;
	});
	return loading;
}
