import { BatchPool } from "../../core/batch.ts";
import type { SourceColumn } from "../../core/table.ts";

/** Batches are reused by all reads of the same columns: a test makes many small ones. */
const pools = new WeakMap<readonly SourceColumn[], BatchPool>();

export function poolOf(columns: readonly SourceColumn[]): BatchPool {
	const pool = pools.get(columns) ?? new BatchPool(columns);
	pools.set(columns, pool);
	return pool;
}
