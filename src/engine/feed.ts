import { type Batch, type Field, HeadraceError } from "../core/index.ts";
import type { Bindings, Connection } from "./bindings.ts";
import { fillChunk, stringLayoutIsKnown } from "./fill.ts";
import { logicalTypeOf } from "./types.ts";

const FUNCTION_NAME = "_headrace_pull";

/** Batches that one statement pulls. They must all be there: the function can't wait for more. */
export interface Slot {
	readonly fields: readonly Field[];
	readonly batches: Batch[];
	/** What the optimizer is told that they are: it builds the hash table of a join of the side that has fewer. */
	readonly rowsExpected: number;
	/** Most native threads that pull at once; with one, rows keep their order. */
	readonly threads: number;
	/** Called when a batch has gone in and its memory is free again. */
	readonly taken: (batch: Batch) => void;
	/** Why the function failed: more exact than what DuckDB makes of it. */
	error: unknown;
}

/**
 * The table function through which DuckDB's threads pull batches. It runs on the JS thread while a native thread
 * waits, so no statement may be called synchronously meanwhile, and registering it must come before any transaction:
 * a transaction does not see functions that are younger than it.
 */
export class Feed {
	readonly #duckdb: Bindings;
	readonly #slots = new Map<number, Slot>();
	#nextSlot = 1;
	#oneHeapCall: boolean | null = null;

	constructor(duckdb: Bindings) {
		this.#duckdb = duckdb;
	}

	register(connection: Connection): void {
		const duckdb = this.#duckdb;
		const pull = duckdb.create_table_function();
		duckdb.table_function_set_name(pull, FUNCTION_NAME);
		duckdb.table_function_add_parameter(pull, duckdb.create_logical_type(duckdb.Type.INTEGER));
		duckdb.table_function_set_bind(pull, (info) => {
			const slotNumber = duckdb.get_int32(duckdb.bind_get_parameter(info, 0));
			const slot = this.#slots.get(slotNumber);
			if (slot === undefined) {
				duckdb.bind_set_error(info, "there is no such slot");
				return;
			}
			duckdb.bind_set_bind_data(info, { slotNumber });
			duckdb.bind_set_cardinality(info, slot.rowsExpected, true);
			for (const field of slot.fields)
				duckdb.bind_add_result_column(info, field.name, logicalTypeOf(duckdb, field.type));
		});
		duckdb.table_function_set_init(pull, (info) => {
			const slot = this.#slotOf(duckdb.init_get_bind_data(info));
			duckdb.init_set_max_threads(info, slot?.threads ?? 1);
		});
		duckdb.table_function_set_function(pull, (info, chunk) => {
			const slot = this.#slotOf(duckdb.function_get_bind_data(info));
			if (slot === undefined) {
				duckdb.function_set_error(info, "there is no such slot");
				return;
			}
			try {
				if (slot.error !== null) throw slot.error;
				const batch = slot.batches.shift();
				if (batch === undefined) {
					duckdb.data_chunk_set_size(chunk, 0);
					return;
				}
				try {
					this.#oneHeapCall ??= stringLayoutIsKnown(duckdb);
					fillChunk(duckdb, chunk, batch, this.#oneHeapCall);
				} finally {
					slot.taken(batch);
				}
			} catch (error) {
				slot.error ??= error;
				duckdb.function_set_error(info, error instanceof HeadraceError ? error.code : "the feed failed");
			}
		});
		duckdb.register_table_function(connection, pull);
	}

	#slotOf(bindData: object | undefined): Slot | undefined {
		return this.#slots.get((bindData as { readonly slotNumber: number } | undefined)?.slotNumber ?? 0);
	}

	/** Offers a slot; gives the relation's SQL and what takes the offer back. */
	offer(slot: Slot): { readonly relation: string; withdraw(): void } {
		const slotNumber = this.#nextSlot++;
		this.#slots.set(slotNumber, slot);
		return {
			relation: `${FUNCTION_NAME}(${slotNumber})`,
			withdraw: () => {
				this.#slots.delete(slotNumber);
				for (const batch of slot.batches.splice(0)) slot.taken(batch);
			},
		};
	}
}
