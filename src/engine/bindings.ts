/** The native DuckDB library, loaded on first use: it costs 20 ms and 40 MB that a run without it does not pay. */
export type Bindings = typeof import("@duckdb/node-bindings");
export type { Connection, Database, DataChunk, LogicalType, Result } from "@duckdb/node-bindings";

/** How the library's allocator (jemalloc) is set, which it reads once: https://jemalloc.net/jemalloc.3.html#opt.dirty_decay_ms */
const ALLOCATOR_VARIABLE = "DUCKDB_JE_MALLOC_CONF";
const RETURNS_AT_ONCE = "dirty_decay_ms:0,muzzy_decay_ms:0";

let loading: Promise<Bindings> | null = null;
let returnsAtOnce = false;

/**
 * Has the library give memory back to the system as soon as it is free; nothing when it is loaded already. Else it keeps it
 * for a second, and returns it only while it is asked for more: bounded to 64 MB it then holds 130, of which 30 are used.
 * For one that runs for long beside others: a load of a whole table takes an eighth more processor time so.
 */
export function returnFreedMemory(): void {
	returnsAtOnce = true;
}

export function loadBindings(): Promise<Bindings> {
	loading ??= load();
	return loading;
}

async function load(): Promise<Bindings> {
	const own = process.env[ALLOCATOR_VARIABLE];
	if (returnsAtOnce) process.env[ALLOCATOR_VARIABLE] = own ?? RETURNS_AT_ONCE;
	try {
		const module: Bindings & { readonly default?: Bindings } = await import("@duckdb/node-bindings");
		return module.default ?? module;
	} finally {
		// Processes that this one starts are none of its business.
		if (own === undefined) delete process.env[ALLOCATOR_VARIABLE];
	}
}
